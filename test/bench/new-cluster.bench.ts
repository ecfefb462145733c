// An operator's first hour: how good predictions are for a cluster that no training saw, by how many of its moves were seen:
// node scripts/run.mjs test/bench/new-cluster.bench.ts [real] [synthetic]
// Real clusters are left out wholly, one after the other; several starts within each, so that there are enough first moves.
// The synthetic ones are made up (`synthetic-moves.ts`): kinds of clusters that neither data set has.
import { readFileSync } from 'node:fs';
import {
  finishMs,
  isCompleted,
  parseMoveRecord,
  startMs,
  type MoveRecord,
} from '../../src/domain/move-record.js';
import { QUANTILE_LEVELS } from '../../src/domain/prediction.js';
import type { ModelFile } from '../../src/predictor/model-file.js';
import { inputsOfRecord } from '../../src/predictor/move-inputs.js';
import { servedModel } from '../../training/candidates/whole-model.js';
import { fitModel } from '../../training/fit.js';
import { seededRandom } from '../../training/seeded-random.js';
import { syntheticMoves } from './synthetic-moves.js';

const SEED = 7;
/** Rows of a table: from so many completed moves of the cluster on. */
const STAGES = [0, 1, 2, 3, 5, 10, 20];
/** A start is followed for so many moves, and real starts lie at least so many apart. */
const MOVES = 32;
const APART = 10;
const MOST_STARTS = 12;
const SYNTHETIC_CLUSTERS = 40;

interface Row {
  seen: number;
  actual: number;
  seconds: ArrayLike<number>;
}

function read(name: string): MoveRecord[] {
  const lines = readFileSync(`data/${name}/records.jsonl`, 'utf8').trim().split('\n');
  return lines.map((line) => {
    const parsed = parseMoveRecord(JSON.parse(line));
    if (!parsed.ok) throw new Error(parsed.reason);
    return parsed.value;
  });
}

/** Moves in order of start, met by a model that learns each as it finishes. */
function replay(file: ModelFile, moves: readonly MoveRecord[]): Row[] {
  const forecaster = servedModel(file).fit({ moves: [], linkSamples: [], instanceSamples: [] }, SEED);
  const byFinish = [...moves].sort((a, b) => finishMs(a) - finishMs(b));
  const rows: Row[] = [];
  let finished = 0;
  let seen = 0;
  for (const move of moves) {
    for (; finished < byFinish.length && finishMs(byFinish[finished]!) <= startMs(move); finished++) {
      forecaster.learn(byFinish[finished]!);
      if (isCompleted(byFinish[finished]!)) seen++;
    }
    const { seconds } = forecaster.predict(inputsOfRecord(move));
    if (isCompleted(move)) rows.push({ seen, actual: move.duration_seconds, seconds });
  }
  return rows;
}

function table(title: string, rows: readonly Row[]): void {
  console.log(`\n${title.padEnd(36)} moves  in 80  in 90   MAPE  pinball  p95/p05`);
  const stageOf = ({ seen }: Row): number => STAGES.findLast((stage) => stage <= seen)!;
  for (const stage of STAGES) {
    const at = rows.filter((row) => stageOf(row) === stage);
    if (at.length === 0) continue;
    const mean = (of: (row: Row) => number): number => at.reduce((sum, row) => sum + of(row), 0) / at.length;
    const inside = (low: number, high: number): number =>
      100 * mean(({ actual, seconds }) => Number(actual >= seconds[low]! && actual <= seconds[high]!));
    const pinball = ({ actual, seconds }: Row): number =>
      QUANTILE_LEVELS.reduce((sum, p, j) => {
        const error = Math.log(actual / seconds[j]!);
        return sum + Math.max(p * error, (p - 1) * error) / QUANTILE_LEVELS.length;
      }, 0);
    const cells = [
      inside(1, 3).toFixed(1).padStart(7),
      inside(0, 4).toFixed(1).padStart(7),
      (100 * mean(({ actual, seconds }) => Math.abs(seconds[2]! / actual - 1))).toFixed(1).padStart(7),
      (100 * mean(pinball)).toFixed(2).padStart(9),
      Math.exp(mean(({ seconds }) => Math.log(seconds[4]! / seconds[0]!)))
        .toFixed(1)
        .padStart(9),
    ];
    console.log(
      `  after ${String(stage).padStart(2)} moves`.padEnd(36) +
        String(at.length).padStart(6) +
        cells.join(''),
    );
  }
}

const all = [...read('osic'), ...read('qemu-lab')].sort((a, b) => startMs(a) - startMs(b));

function real(): void {
  const rows = new Map<string, Row[]>([
    ['OSIC', []],
    ['QEMU lab', []],
  ]);
  for (const cluster of new Set(all.map((record) => record.cluster))) {
    const own = all.filter((record) => record.cluster === cluster);
    const file = fitModel(
      all.filter((record) => record.cluster !== cluster),
      { name: 'new-cluster', seed: SEED },
    );
    const last = Math.max(0, own.length - MOVES);
    const starts = Math.min(MOST_STARTS, 1 + Math.floor(last / APART));
    for (let s = 0; s < starts; s++) {
      const from = starts === 1 ? 0 : Math.round((s * last) / (starts - 1));
      rows
        .get(cluster!.startsWith('osic') ? 'OSIC' : 'QEMU lab')!
        .push(...replay(file, own.slice(from, from + MOVES)));
    }
  }
  for (const [title, of] of rows) table(`${title}, each cluster left out`, of);
}

type Change = (record: MoveRecord, uniform: () => number) => MoveRecord;

/** 2 to 3 s, however large; of the size nothing but the memory is told. */
const fixed =
  (sizesMib: readonly number[]): Change =>
  ({ id, cluster, instance, source_node, target_node, operation, started_at }, uniform) => ({
    id,
    cluster: cluster!,
    instance,
    source_node,
    target_node,
    operation,
    started_at,
    memory_mib: sizesMib[Number(instance.slice(2)) % sizesMib.length]!,
    concurrent_moves: 0,
    duration_seconds: 2 + uniform(),
  });

const kinds: Record<string, Change> = {
  'as they are': (record) => record,
  'link 10 times slower': (record) => ({ ...record, link_mbps: 10 * record.link_mbps! }),
  '3 times more dirtying': (record) => ({
    ...record,
    dirty_rate_mib_s: record.dirty_rate_mib_s! / 3,
  }),
  '3 s more to set up': (record) => ({ ...record, duration_seconds: record.duration_seconds + 3 }),
  '2 to 3 s, 128 to 512 MiB': fixed([128, 192, 256, 512]),
  '2 to 3 s, 128 MiB to 4 GiB': fixed([128, 256, 512, 1024, 2048, 4096]),
  '2 to 3 s, 1 to 16 GiB': fixed([1024, 2048, 4096, 8192, 16_384]),
};

function synthetic(): void {
  const file = fitModel(all, { name: 'new-cluster', seed: SEED });
  for (const [kind, change] of Object.entries(kinds)) {
    const rows: Row[] = [];
    for (let seed = 1; seed <= SYNTHETIC_CLUSTERS; seed++) {
      const { records } = syntheticMoves({
        moves: MOVES,
        seed,
        nodes: 4,
        nodeSpread: 0.15,
        linksMbps: [1000],
        instances: 12,
        memoriesMib: [512, 1024, 2048, 4096],
        measured: true,
      });
      const uniform = seededRandom(seed);
      rows.push(
        ...replay(
          file,
          records.map((record) => change(record, uniform)),
        ),
      );
    }
    table(`synthetic, ${kind}`, rows);
  }
}

const parts = process.argv.slice(2);
console.log(`Seed ${SEED}. Pinball loss of log(seconds), in percent, mean of five quantiles.`);
if (parts.length === 0 || parts.includes('real')) real();
if (parts.length === 0 || parts.includes('synthetic')) synthetic();
