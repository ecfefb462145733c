// Every row of the marks table, measured on the shipped data: npm run marks [-- osic | lab | synthetic | shift | speed]
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { standardDeviation } from 'simple-statistics';
import { finishMs, isCompleted, parseMoveRecord, type MoveRecord } from '../../src/domain/move-record.js';
import { loadPredictor } from '../../src/predictor/load-predictor.js';
import { inputsOfRecord } from '../../src/predictor/move-inputs.js';
import { movePhysics, newPhysicsResult, secondsWhenSent, sentOf } from '../../src/predictor/move-physics.js';
import { accuracyOf, type Accuracy } from '../../training/accuracy.js';
import { accuracyTable } from '../../training/accuracy-table.js';
import { backtest, SHIFT_FACTOR, type BacktestRow, type Protocol } from '../../training/backtest.js';
import { candidates } from '../../training/candidates/candidates.js';
import { wholeModel } from '../../training/candidates/whole-model.js';
import { fitModel } from '../../training/fit.js';
import { fitPhysics } from '../../training/physics-fit.js';
import { shiftReaction, type ShiftReaction } from '../../training/shift-test.js';
import { basisMarks, coverageMarks } from './group-coverage.js';
import { precopyMarks, unseenMarks } from './synthetic-marks.js';

const SEED = 7;
let missed = 0;

const read = (name: string): MoveRecord[] =>
  readFileSync(`data/${name}/records.jsonl`, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const parsed = parseMoveRecord(JSON.parse(line));
      if (!parsed.ok) throw new Error(parsed.reason);
      return parsed.value;
    });

/** One mark: what was measured, and whether it reaches what is asked for. */
function mark(name: string, measured: number, low: number, high: number, unit = ''): void {
  const reached = measured >= low && measured <= high;
  if (!reached) missed++;
  const figure = measured < Infinity ? measured.toFixed(2) : 'never';
  const wanted = low === -Infinity ? `<= ${high}` : `${low} to ${high}`;
  console.log(
    `${reached ? 'reached' : 'MISSED '}  ${name.padEnd(64)} ${figure.padStart(8)}${measured < Infinity ? unit : ''}  wanted ${wanted}${unit}`,
  );
}
const atMost = (name: string, measured: number, most: number, unit = ' %'): void =>
  mark(name, measured, -Infinity, most, unit);

function accuracies(rows: readonly BacktestRow[]): Map<string, Accuracy> {
  const all = new Map<string, Accuracy>();
  for (const { name } of candidates) {
    const accuracy = accuracyOf(rows.filter((row) => row.candidate === name));
    if (accuracy !== undefined) all.set(name, accuracy);
  }
  return all;
}
const ours = (rows: readonly BacktestRow[]): Accuracy =>
  accuracyOf(rows.filter((row) => row.candidate === wholeModel.name))!;
const protocol = (records: readonly MoveRecord[], name: Protocol, only = candidates): BacktestRow[] =>
  backtest({ records }, only, { protocol: name, seed: SEED });
const cpuMs = (work: () => void): number => {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
};
const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;

console.log(`Node ${process.version}, ${cpus()[0]?.model ?? 'unknown processor'}; seed ${SEED}\n`);

const osic = read('osic');
const osicById = new Map(osic.map((record) => [record.id, record]));
const parts = {
  osic: osicMarks,
  lab: labMarks,
  synthetic: syntheticMarks,
  shift: shiftMarks,
  speed: speedMarks,
};
const chosen = process.argv.slice(2);
const unknown = chosen.find((name) => !Object.hasOwn(parts, name));
if (unknown !== undefined)
  throw new Error(`there is no part ${unknown}; there are ${Object.keys(parts).join(', ')}`);
for (const [name, marks] of Object.entries(parts)) if (chosen.length === 0 || chosen.includes(name)) marks();
console.log(missed === 0 ? '\nevery mark is reached' : `\n${missed} marks are missed`);

function osicMarks(): void {
  const osicRows = protocol(osic, 'rolling');
  const withOthers = (others: number) => (row: BacktestRow) =>
    osicById.get(row.id)!.concurrent_moves === others;
  for (const [title, rows] of [
    ['OSIC, one at a time', osicRows.filter(withOthers(0))],
    ['OSIC, 2 at a time', osicRows.filter(withOthers(1))],
    ['OSIC, 4 at a time', osicRows.filter(withOthers(3))],
    ['OSIC, all', osicRows],
  ] as const) {
    console.log(accuracyTable(title, accuracies(rows)));
  }
  const alone = ours(osicRows.filter(withOthers(0)));
  atMost('OSIC one at a time: MAPE', alone.mape, 4.2);
  atMost('OSIC one at a time: median', alone.median_ape, 2.3);
  atMost('OSIC one at a time: p90', alone.p90_ape, 8);
  const two = ours(osicRows.filter(withOthers(1)));
  const four = ours(osicRows.filter(withOthers(3)));
  atMost('OSIC 2 at a time: MAPE', two.mape, 24);
  atMost('OSIC 4 at a time: MAPE', four.mape, 42);
  mark('OSIC 2 at a time: the 90 % interval holds', two.coverage_90, 88, 92, ' %');
  mark('OSIC 4 at a time: the 90 % interval holds', four.coverage_90, 88, 92, ' %');
  for (const others of [1, 3]) {
    const parallel = accuracies(osicRows.filter(withOthers(others)));
    const [best] = [...parallel]
      .filter(([name]) => name !== wholeModel.name)
      .sort(([, a], [, b]) => a.pinball - b.pinball);
    console.log(
      `pinball loss, OSIC ${others + 1} at a time: ${[...parallel].map(([name, { pinball }]) => `${name} ${pinball.toFixed(2)}`).join(', ')} %`,
    );
    atMost(
      `OSIC ${others + 1} at a time: pinball loss (best other: ${best![0]})`,
      parallel.get(wholeModel.name)!.pinball,
      Number(best![1].pinball.toFixed(2)),
    );
  }
  for (const others of [1, 3]) {
    const hosts = new Map<string, { actual: number; predicted: number }>();
    for (const row of osicRows.filter((r) => r.candidate === wholeModel.name && withOthers(others)(r))) {
      const host = row.id.slice(0, row.id.lastIndexOf(':'));
      const sum = hosts.get(host) ?? { actual: 0, predicted: 0 };
      sum.actual += row.actual_seconds;
      sum.predicted += row.duration_seconds.mean;
      hosts.set(host, sum);
    }
    const errors = [...hosts.values()]
      .map(({ actual, predicted }) => 100 * Math.abs(predicted / actual - 1))
      .sort((a, b) => a - b);
    const within = (100 * errors.filter((error) => error <= 3).length) / errors.length;
    console.log(
      `the sum for a whole host, OSIC ${others + 1} at a time: ${errors.length} hosts, p90 of the error ${errors[Math.floor(0.9 * errors.length)]!.toFixed(1)} %, worst ${errors.at(-1)!.toFixed(1)} %, within 3 % ${within.toFixed(0)} %`,
    );
    atMost(`OSIC ${others + 1} at a time: the sum for a whole host, median error`, median(errors), 3);
  }
  atMost('OSIC, all of it: MAPE', ours(osicRows).mape, 13);
  intervalMarks('OSIC', osic, osicRows);

  console.log('\nOSIC, a flavour never seen: the median of the predictions against that of the durations');
  const sizeRows = protocol(osic, 'new-size');
  const sizeOf = (row: BacktestRow): string => {
    const { cluster, capabilities = [], concurrent_moves } = osicById.get(row.id)!;
    return `${row.origin}, ${cluster}${capabilities.length > 0 ? ' tunnelled' : ''}, ${concurrent_moves! + 1} at a time`;
  };
  const sizes = [...new Set(sizeRows.map(sizeOf))];
  // A line needs two other sizes moved in the same way: osic-a not tunnelled, osic-b tunnelled.
  const isJudged = (size: string): boolean => /osic-a, 1 |osic-b tunnelled/.test(size);
  const sizeErrors = (candidate: string): Map<string, number> =>
    new Map(
      sizes.map((size) => {
        const rows = sizeRows.filter((row) => row.candidate === candidate && sizeOf(row) === size);
        const predicted = median(rows.map((r) => r.duration_seconds.p50));
        return [size, 100 * Math.abs(predicted / median(rows.map((r) => r.actual_seconds)) - 1)];
      }),
    );
  for (const [size, error] of sizeErrors(wholeModel.name))
    console.log(
      `  ${size.padEnd(52)} ${error.toFixed(1).padStart(5)} %${isJudged(size) ? '' : '  (fewer than two other sizes)'}`,
    );
  const judged = (candidate: string): { mean: number; worst: number } => {
    const errors = [...sizeErrors(candidate)].filter(([size]) => isJudged(size)).map(([, error]) => error);
    return { mean: errors.reduce((sum, e) => sum + e, 0) / errors.length, worst: Math.max(...errors) };
  };
  console.log('  mean and worst of those that are judged:');
  for (const { name } of candidates) {
    const { mean, worst } = judged(name);
    console.log(`  ${name.padEnd(52)} ${mean.toFixed(1).padStart(5)} % ${worst.toFixed(1).padStart(5)} %`);
  }
  atMost('new size: mean error', judged(wholeModel.name).mean, 4);
  atMost('new size: worst error', judged(wholeModel.name).worst, 5.4);
}

/** Whether intervals hold: over all, in every group, and where something is new. */
function intervalMarks(title: string, records: readonly MoveRecord[], rows: readonly BacktestRow[]): void {
  const own = rows.filter((row) => row.candidate === wholeModel.name);
  const { coverage_80, coverage_90 } = ours(own);
  mark(`${title}: the 80 % interval holds`, coverage_80, 78.5, 81.5, ' %');
  mark(`${title}: the 90 % interval holds`, coverage_90, 88.5, 91.5, ' %');
  coverageMarks(title, records, own, atMost);
  basisMarks(title, records, SEED, atMost);
}

function labMarks(): void {
  const lab = read('qemu-lab');
  const labById = new Map(lab.map((record) => [record.id, record]));
  const labRows = protocol(lab, 'rolling');
  console.log(`\n${accuracyTable('QEMU lab', accuracies(labRows))}`);
  const isSingle = ({ cluster }: MoveRecord): boolean => cluster === 'lab-s101-single';
  const single = ours(labRows.filter((row) => isSingle(labById.get(row.id)!)));
  atMost('QEMU lab: MAPE', ours(labRows).mape, 26);
  atMost('QEMU lab: median', ours(labRows).median_ape, 17);
  atMost('QEMU lab, campaign s101 single: median', single.median_ape, 8);
  hindsight('QEMU lab, campaign s101 single', lab.filter(isSingle));
  intervalMarks('QEMU lab', lab, labRows);
}

/** What is left when nothing has to be foreseen: physics fitted to the very moves, and told what each of them sent. No mark. */
function hindsight(title: string, records: readonly MoveRecord[]): void {
  const constants = fitPhysics(records);
  const errors = (isSentTold: boolean): number[] =>
    records.filter(isCompleted).map((record) => {
      const inputs = inputsOfRecord(record);
      const physics = movePhysics(inputs, constants, newPhysicsResult());
      const sentMib = isSentTold ? sentOf(record, inputs) : NaN;
      const seconds = sentMib > 0 ? secondsWhenSent(physics, sentMib) : physics.seconds;
      return 100 * Math.abs(seconds / record.duration_seconds - 1);
    });
  console.log(
    `${title}: physics fitted afterwards to these very moves, median error ${median(errors(false)).toFixed(2)} %; told what each of them sent as well, ${median(errors(true)).toFixed(2)} %`,
  );
}

function syntheticMarks(): void {
  unseenMarks(SEED, atMost);
  precopyMarks(SEED, atMost);
}

function shiftMarks(): void {
  console.log('\nA bandwidth that drops by 20 % (measured moves of OSIC, durations altered)');
  const at = (others: number, records: readonly MoveRecord[]): MoveRecord[] =>
    records.filter((record) => record.concurrent_moves === others);
  const reactionMarks = (name: string, records: readonly MoveRecord[], cluster: string): ShiftReaction => {
    const reaction = shiftReaction(records, cluster);
    atMost(`shift, ${name}: noticed after`, reaction.noticedAfter ?? Infinity, 30, ' moves');
    atMost(`shift, ${name}: recovered after`, reaction.recoveredAfter ?? Infinity, 60, ' moves');
    return reaction;
  };
  const falseAlarmMark = (name: string, reactions: readonly ShiftReaction[]): void => {
    const alarms = reactions.reduce((sum, { falseAlarms }) => sum + falseAlarms, 0);
    const moves = reactions.reduce((sum, reaction) => sum + reaction.moves, 0);
    atMost(`${name}: false alarms in 1,000 moves`, (1000 * alarms) / moves, 1, '');
  };
  const alone = ['osic-a', 'osic-b', 'osic-c'].map((cluster) =>
    reactionMarks(`${cluster}, one at a time`, at(0, osic), cluster),
  );
  falseAlarmMark('one at a time', alone);
  // The only cluster that moves several at once: each way of moving on its own, and all its moves as they came.
  const inC = osic.filter(({ cluster }) => cluster === 'osic-c');
  for (const others of [1, 3]) reactionMarks(`osic-c, ${others + 1} at a time`, at(others, inC), 'osic-c');
  const all = reactionMarks('osic-c, all its moves', inC, 'osic-c');
  falseAlarmMark('all moves', [...alone.slice(0, 2), all]);
  const shifted = inC.slice(-all.shiftedMoves);
  console.log(
    `osic-c, all its moves: of the ${shifted.length} from the shift on ${at(3, shifted).length} go 4 at a time, of the ${inC.length - shifted.length} before it ${at(3, inC).length - at(3, shifted).length}`,
  );
  for (const others of [0, 1, 3]) {
    const scatters = [1, 4, 12].map((together) => {
      const sums = sumsOf(at(others, inC), together);
      return `${together}: ${standardDeviation(sums.map(Math.log)).toFixed(2)}`;
    });
    console.log(
      `osic-c, ${others + 1} at a time: standard deviation of log(seconds) of so many moves of a host together: ${scatters.join(', ')} (the shift is ${Math.log(SHIFT_FACTOR).toFixed(2)})`,
    );
  }
}

/** Seconds of each `together` moves that finished one after another on a host. */
function sumsOf(records: readonly MoveRecord[], together: number): number[] {
  const sums: number[] = [];
  const byHost = new Map<string, MoveRecord[]>();
  for (const record of [...records].sort((a, b) => finishMs(a) - finishMs(b))) {
    const moves = byHost.get(record.source_node) ?? [];
    byHost.set(record.source_node, moves);
    moves.push(record);
    if (moves.length < together) continue;
    sums.push(moves.reduce((sum, { duration_seconds }) => sum + duration_seconds, 0));
    moves.length = 0;
  }
  return sums;
}

function speedMarks(): void {
  console.log('\nSpeed, CPU time of one core');
  const many = Array.from({ length: 10_000 }, (_, i) => ({ ...osic[i % osic.length]!, id: `copy${i}` }));
  fitModel(osic, { name: 'warm', seed: SEED });
  let file = fitModel(osic, { name: 'warm', seed: SEED });
  atMost(
    'fitting 10,000 rows',
    cpuMs(() => (file = fitModel(many, { name: 'speed', seed: SEED }))) / 1000,
    5,
    ' s',
  );
  const child = spawnSync(process.execPath, ['scripts/run.mjs', 'test/bench/fitting.bench.ts'], {
    encoding: 'utf8',
  });
  const fitting = JSON.parse(child.stdout) as { cpu_seconds: number; peak_mib: number };
  atMost('fitting 100,000 rows', fitting.cpu_seconds, 60, ' s');
  atMost('fitting 100,000 rows: peak memory of its process', fitting.peak_mib, 512, ' MiB');
  const predictor = loadPredictor(JSON.parse(JSON.stringify(file)));
  const asked = osic
    .slice(0, 2000)
    .map(({ cluster, instance, source_node, target_node, operation, memory_mib, disk_mib }) => ({
      cluster,
      instance,
      source_node,
      target_node,
      operation,
      ...(memory_mib === undefined ? {} : { memory_mib }),
      ...(disk_mib === undefined ? {} : { disk_mib }),
    }));
  const nowMs = Date.parse('2026-01-01T00:00:00Z');
  const singles: number[] = [];
  for (let i = 0; i < 7; i++)
    singles.push(
      (1000 * cpuMs(() => asked.forEach((request) => predictor.predict(request, nowMs)))) / asked.length,
    );
  atMost('one prediction with intervals', median(singles), 30, ' us');
  const nodes = Array.from({ length: 20 }, (_, i) => `compute${i}`);
  const pairs: number[] = [];
  for (let i = 0; i < 7; i++)
    pairs.push(cpuMs(() => predictor.moveCosts(asked.slice(0, 500), nodes, 0.5, nowMs)));
  atMost('10,000 pairs, one quantile', median(pairs), 60, ' ms');
  const requests = asked
    .slice(0, 500)
    .flatMap((request) => nodes.map((target_node) => ({ ...request, target_node })));
  const whole: number[] = [];
  for (let i = 0; i < 7; i++) whole.push(cpuMs(() => predictor.durations(requests, nowMs)));
  console.log(`the same 10,000 with all quantiles and the mean, no mark: ${median(whole).toFixed(1)} ms`);
}
