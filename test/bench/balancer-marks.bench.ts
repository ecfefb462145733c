/**
 * The marks of docs/balancer.md, printed: npm run marks:balancer [-- CLUSTER… | computing | large]
 *
 * Every time is from one run with both sides in it. The truth: plain durations (docs/balancer.md) times a log-normal
 * deviation of each single step and one that the whole run shares. The plans are made with the plain durations and
 * their spread; they never see the deviations.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { blindSearch } from '../../src/balancer/blind-search.js';
import { ConstantMoveCosts, PLAIN_SPREAD } from '../../src/balancer/constant-move-costs.js';
import { GroupModel } from '../../src/balancer/group-model.js';
import { showFixed } from '../../src/balancer/haskell-numbers.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import { jobsetsOf, nodesOfMove } from '../../src/balancer/jobsets.js';
import type { CostColumns, MoveCosts } from '../../src/balancer/move-costs.js';
import { MovePrices } from '../../src/balancer/move-prices.js';
import type { Move } from '../../src/balancer/moves.js';
import { buildPlan } from '../../src/balancer/plan-builder.js';
import { normalFrom, seededRandom } from '../../src/balancer/random.js';
import { movesBefore, playJobsets, playOrder } from '../../src/balancer/schedule.js';
import { defaultSearchOptions, type SearchOptions } from '../../src/balancer/search-options.js';
import { askStepTimes, moveSeconds } from '../../src/balancer/step-times.js';
import { playMoves, reorderMoves, timedSearch } from '../../src/balancer/timed-search.js';
import type { MoveRequest } from '../../src/domain/move-request.js';
import { generateCluster } from '../balancer/cluster-generator.js';
import { optionsOf, type HbalRun } from '../balancer/hbal-options.js';

const SHARED = join('..', 'shared', 'peers', 'hbal');
const HBAL = '/usr/lib/ganeti/3.0/usr/bin/hbal';
const TRUTHS = 5;
const PROMISE_TRUTHS = 200;
/** Planning with the truth known costs as much as planning: fewer worlds. */
const REGRET_TRUTHS = 1;
/** Standard deviation of ln(true / predicted) that fits the plain spread: p90 / p50 = 1.5. */
const SIGMA = Math.log(PLAIN_SPREAD) / 1.2815515655446004;
const SHARED_PART = 0.2;

const print = (line = ''): void => void process.stdout.write(`${line}\n`);
const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
const read = (path: string): string => {
  const bytes = readFileSync(path);
  return (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes).toString('utf8');
};
const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let c = 0; c < text.length; c++) value = Math.imul(value ^ text.charCodeAt(c), 0x01000193);
  return value;
}

/** The true durations of one world; the same step takes the same time in every plan. */
class Truth implements MoveCosts {
  readonly model = undefined;
  readonly #plain = new ConstantMoveCosts({});
  readonly #seed: number;
  readonly #common: number;

  constructor(seed: number) {
    this.#seed = seed;
    this.#common = Math.sqrt(SHARED_PART) * normalFrom(seededRandom(hash(`world ${seed}`)));
  }

  async durations(requests: readonly MoveRequest[]): Promise<CostColumns> {
    const { p50 } = await this.#plain.durations(requests);
    requests.forEach(({ instance, operation, source_node, target_node }, r) => {
      const key = `${this.#seed} ${instance} ${operation} ${source_node} ${target_node}`;
      const own = Math.sqrt(1 - SHARED_PART) * normalFrom(seededRandom(hash(key)));
      p50[r]! *= Math.exp(SIGMA * (own + this.#common));
    });
    return { p10: p50, p50, p90: p50 };
  }

  warnings(): readonly string[] {
    return [];
  }
}

interface Case {
  name: string;
  start: GroupModel;
  search: SearchOptions;
  text: string;
}

/** Every recorded run of hbal: the same score before, steps and score after, to 8 decimals. */
function parity(): void {
  let same = 0;
  let runs = 0;
  let refused = 0;
  const compare = (text: string, run: HbalRun): void => {
    if (run.outcome === 'error') {
      refused += 1;
      return;
    }
    runs += 1;
    const { cluster } = parseHtoolsText(text, { file: 'recorded', duplicates: 'later-wins' });
    if (run.outcome === 'empty') {
      same += cluster.instances.length === 0 ? 1 : 0;
      return;
    }
    const options = optionsOf(run, cluster);
    const found = blindSearch(new GroupModel(cluster, options.model), options.search);
    const steps = found.steps.map(({ score }) => showFixed(score, 8));
    const equal =
      showFixed(found.scoreBefore, 8) === run.initial_score &&
      (run.final_score === null || showFixed(found.scoreAfter, 8) === run.final_score) &&
      JSON.stringify(steps) === JSON.stringify(run.steps.map(({ score }) => score));
    if (equal) same += 1;
  };
  const { files } = JSON.parse(read(join(SHARED, 'golden-ganeti.json'))) as {
    files: { data: string; runs: HbalRun[] }[];
  };
  for (const { data, runs: recorded } of files)
    for (const run of recorded) compare(read(join(SHARED, 'ganeti-data', data)), run);
  for (const golden of readdirSync(join(SHARED, 'clusters')).filter((name) =>
    name.endsWith('.golden.json'),
  )) {
    const plain = join(SHARED, 'clusters', golden.replace('.golden.json', '.data'));
    const { runs: recorded } = JSON.parse(read(join(SHARED, 'clusters', golden))) as { runs: HbalRun[] };
    for (const run of recorded) compare(read(existsSync(plain) ? plain : `${plain}.gz`), run);
  }
  print(
    `parity: ${same} of ${runs} recorded runs of hbal equal to 8 decimals before, after and at every step (${refused} more that hbal itself refuses or breaks off)`,
  );
}

function cases(names: readonly string[]): Case[] {
  const folder = join(SHARED, 'clusters');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.golden.json'))
    .flatMap((golden) => {
      const name = golden.replace('.golden.json', '');
      if (names.length > 0 && !names.includes(name)) return [];
      const plain = join(folder, `${name}.data`);
      const text = read(existsSync(plain) ? plain : `${plain}.gz`);
      const { runs } = JSON.parse(read(join(folder, golden))) as { runs: HbalRun[] };
      return runs.map((run): Case => {
        const { cluster } = parseHtoolsText(text, { file: name, duplicates: 'refuse' });
        const options = optionsOf(run, cluster);
        return {
          name: `${name} ${run.label ?? ''}`,
          start: new GroupModel(cluster, options.model),
          search: options.search,
          text,
        };
      });
    });
}

async function secondsOf(start: GroupModel, moves: readonly Move[], costs: MoveCosts): Promise<Float64Array> {
  const times = await askStepTimes(start, moves, costs);
  return moveSeconds(times, times.p50);
}

const lastEnd = (moves: readonly Move[], seconds: Float64Array): number =>
  playOrder(movesBefore(moves), seconds, new Float64Array(moves.length));

function busiest(moves: readonly Move[], seconds: Float64Array): number {
  const busy = new Map<number, number>();
  moves.forEach((move, m) => {
    for (const node of nodesOfMove(move)) busy.set(node, (busy.get(node) ?? 0) + seconds[m]!);
  });
  return Math.max(...busy.values());
}

/** When a share of a gain is reached, if gains count at the end of each move (or of its job set). */
function secondsToShare(start: GroupModel, moves: readonly Move[], ends: Float64Array, gain: number): number {
  const { scoreBefore, steps } = playMoves(start.copy(), moves, true);
  const gains = steps.map(({ score }, m) => (m === 0 ? scoreBefore : steps[m - 1]!.score) - score);
  let gained = 0;
  for (const m of [...moves.keys()].sort((a, b) => ends[a]! - ends[b]!)) {
    gained += gains[m]!;
    if (gained >= gain - 1e-9) return ends[m]!;
  }
  return Infinity;
}

function jobsetEnds(moves: readonly Move[], seconds: Float64Array): Float64Array {
  const ends = new Float64Array(moves.length);
  let now = 0;
  for (const set of jobsetsOf(moves)) {
    now += Math.max(...set.map((m) => seconds[m]!));
    for (const m of set) ends[m] = now;
  }
  return ends;
}

/** The marks of one run; `cut`: hbal was stopped after so many moves. */
interface Row {
  time: number;
  early: number;
  alone: number;
  bound: number;
  regret: number;
  kept: number;
  cut: boolean;
}

async function timeMarks(all: readonly Case[]): Promise<void> {
  const plain = new ConstantMoveCosts({});
  const rows: Row[] = [];
  print(
    'cluster and options        | moves hbal/ours | score hbal -> ours       | time / hbal | 95 % gain | schedule alone | / lower bound | regret | p90 kept | CPU s',
  );
  for (const { name, start, search } of all) {
    const hbal = blindSearch(start.copy(), search);
    const hbalMoves = hbal.steps.map(({ move }) => move);
    const ownOptions = { ...search, maxLength: -1 };
    const cpuBefore = cpuSeconds();
    const prices = await MovePrices.ask(start, plain, 0.5);
    const ours = timedSearch(start, ownOptions, prices, { seed: 1, reference: hbalMoves });
    const cpu = cpuSeconds() - cpuBefore;
    const alonePlan = reorderMoves(start, hbalMoves, prices, search);
    const gain = hbal.scoreBefore - hbal.scoreAfter;
    const row = {
      time: [] as number[],
      early: [] as number[],
      alone: [] as number[],
      bound: [] as number[],
      regret: [] as number[],
    };
    for (let t = 1; t <= TRUTHS; t++) {
      const truth = new Truth(t);
      const hbalSeconds = await secondsOf(start, hbalMoves, truth);
      const oursSeconds = await secondsOf(start, ours.moves, truth);
      const hbalTime = playJobsets(jobsetsOf(hbalMoves), hbalSeconds);
      const ends = new Float64Array(ours.moves.length);
      const oursTime = playOrder(movesBefore(ours.moves), oursSeconds, ends);
      row.time.push(oursTime / hbalTime);
      row.alone.push(lastEnd(alonePlan, await secondsOf(start, alonePlan, truth)) / hbalTime);
      row.bound.push(oursTime / busiest(ours.moves, oursSeconds));
      row.early.push(
        secondsToShare(start, ours.moves, ends, 0.95 * gain) /
          secondsToShare(start, hbalMoves, jobsetEnds(hbalMoves, hbalSeconds), 0.95 * gain),
      );
      if (t <= REGRET_TRUTHS) {
        const knowing = await MovePrices.ask(start, truth, 0.5);
        const perfect = timedSearch(start, ownOptions, knowing, { seed: 1, reference: hbalMoves });
        row.regret.push(oursTime / lastEnd(perfect.moves, await secondsOf(start, perfect.moves, truth)));
      }
    }
    const { document } = await buildPlan(start, ours.moves, plain);
    let keptHere = 0;
    for (let t = 1; t <= PROMISE_TRUTHS; t++) {
      const seconds = await secondsOf(start, ours.moves, new Truth(1000 + t));
      if (lastEnd(ours.moves, seconds) <= document.duration_seconds.p90) keptHere += 1;
    }
    const mean = (values: readonly number[]): number => geometricMean(values);
    rows.push({
      time: mean(row.time),
      early: mean(row.early),
      alone: mean(row.alone),
      bound: mean(row.bound),
      regret: mean(row.regret),
      kept: keptHere / PROMISE_TRUTHS,
      cut: search.maxLength > 0,
    });
    print(
      `${name.padEnd(26)} | ${`${hbalMoves.length} / ${ours.moves.length}`.padStart(15)} | ${`${hbal.scoreAfter.toFixed(4)} -> ${ours.scoreAfter.toFixed(4)}`.padEnd(24)} | ${mean(row.time).toFixed(3).padStart(11)} | ${mean(row.early).toFixed(3).padStart(9)} | ${mean(row.alone).toFixed(3).padStart(14)} | ${mean(row.bound).toFixed(3).padStart(13)} | ${mean(row.regret).toFixed(3).padStart(6)} | ${`${((100 * keptHere) / PROMISE_TRUTHS).toFixed(1)} %`.padStart(8)} | ${cpu.toFixed(1)}`,
    );
  }
  const means = (title: string, pick: (row: Row) => boolean): void => {
    const some = rows.filter(pick);
    if (some.length === 0) return;
    const mean = (of: (row: Row) => number, width: number): string =>
      geometricMean(some.map(of)).toFixed(3).padStart(width);
    const share = some.reduce((sum, row) => sum + row.kept, 0) / some.length;
    print(
      `${title.padEnd(26)} | ${''.padStart(15)} | ${''.padEnd(24)} | ${mean((row) => row.time, 11)} | ${mean((row) => row.early, 9)} | ${mean((row) => row.alone, 14)} | ${mean((row) => row.bound, 13)} | ${mean((row) => row.regret, 6)} | ${`${(100 * share).toFixed(1)} %`.padStart(8)} |`,
    );
  };
  means('geometric mean', () => true);
  means('mean of whole runs', ({ cut }) => !cut);
}

/** CPU seconds of the whole program, start-up included, beside the real hbal on the same cluster and moves. */
function computingTime(all: readonly Case[]): void {
  if (!existsSync(HBAL)) {
    print('computing time: left out, the real hbal is not installed (package ganeti-htools-3.0)');
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'movecast-marks-'));
  print('nodes / instances | options | hbal CPU s | ours CPU s | ratio');
  const programs: [string, string[]][] = [
    ['s03', []],
    ['s05', ['-l', '30']],
    ['m01', ['-l', '3']],
    ['l01', ['--no-disk-moves', '-l', '4']],
    ['l01', ['--select-instances=inst-00002.dc1.example.com', '-l', '1']],
  ];
  for (const [name, options] of programs) {
    const found = all.find((one) => one.name.startsWith(`${name} `));
    if (found === undefined) continue;
    const file = join(folder, `${name}.data`);
    writeFileSync(file, found.text);
    const hbal = childCpu(HBAL, ['-t', file, ...options]);
    const ours = childCpu(process.execPath, [
      join('dist', 'src', 'main.js'),
      'balance',
      '-t',
      file,
      '--blind',
      ...options,
    ]);
    print(
      `${`${found.start.nodeCount} / ${found.start.instanceCount}`.padEnd(17)} | ${options.join(' ').padEnd(7)} | ${hbal.toFixed(2)} | ${ours.toFixed(2)} | ${(ours / hbal).toFixed(4)}`,
    );
  }
  rmSync(folder, { recursive: true });
}

/** User and system seconds of a child, as the shell's `times` counts them. */
function childCpu(program: string, args: readonly string[]): number {
  const quoted = [program, ...args].map((word) => `'${word}'`).join(' ');
  const { stdout, status } = spawnSync('/bin/sh', ['-c', `${quoted} >/dev/null 2>&1 && times`], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${quoted} ended with ${status}`);
  const children = stdout.trim().split('\n').at(-1) ?? '';
  return [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds),
    0,
  );
}

async function largeGroup(): Promise<void> {
  const text = generateCluster({ seed: 1, nodes: 1000, instancesPerNode: 20, drbd: 0.85, ext: 0.15 });
  const before = cpuSeconds();
  const started = performance.now();
  const { cluster } = parseHtoolsText(text, { file: 'large', duplicates: 'refuse' });
  const start = new GroupModel(cluster, { group: 0 });
  const costs = new ConstantMoveCosts({});
  const prices = await MovePrices.ask(start, costs, 0.5);
  const found = timedSearch(start, { ...defaultSearchOptions }, prices, { seed: 1 });
  const { document } = await buildPlan(start, found.moves, costs);
  print(
    `1,000 nodes, 20,000 instances: ${found.moves.length} moves, score ${found.scoreBefore.toFixed(2)} -> ${found.scoreAfter.toFixed(2)}, plan of ${Math.round(document.duration_seconds.p50)} s; ` +
      `${((performance.now() - started) / 1000).toFixed(1)} s (${(cpuSeconds() - before).toFixed(1)} s CPU), ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB`,
  );
}

const parts = ['parity', 'time', 'computing', 'large'];
const words = process.argv.slice(2);
const chosen = words.filter((word) => parts.includes(word));
const wanted = (part: string): boolean => chosen.length === 0 || chosen.includes(part);
const all = cases(words.filter((word) => !parts.includes(word)));
print(`${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}`);
if (all.length === 0) print('the shared clusters are not here: only the large group is measured');
if (all.length > 0 && wanted('parity')) parity();
if (all.length > 0 && wanted('time')) await timeMarks(all);
if (all.length > 0 && wanted('computing')) computingTime(all);
if (wanted('large')) await largeGroup();
