/**
 * The marks of docs/balancer-marks.md, printed: npm run marks:balancer [-- CLUSTER… | parity | time | promise | computing | large]
 * `-- choice`, which is no mark and has to be asked for: what a choice among plans by how late they may be could win.
 *
 * Every time is from one run with both sides in it. The plans are made with plain durations (docs/balancer.md); the
 * truth deviates from them as real moves deviated from what the model had predicted (measured-errors.ts).
 */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { blindSearch } from '../../src/balancer/blind-search.js';
import { movableInstances } from '../../src/balancer/candidates.js';
import { ConstantMoveCosts } from '../../src/balancer/constant-move-costs.js';
import { earlyReleases, heldSeconds } from '../../src/balancer/early-release.js';
import { GroupModel } from '../../src/balancer/group-model.js';
import { showFixed } from '../../src/balancer/haskell-numbers.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import { jobsetsOf, nodesOfMove } from '../../src/balancer/jobsets.js';
import type { MoveCosts } from '../../src/balancer/move-costs.js';
import { MovePrices } from '../../src/balancer/move-prices.js';
import { moveSteps, type Move } from '../../src/balancer/moves.js';
import { buildPlan } from '../../src/balancer/plan-builder.js';
import { sharedByHour } from '../../src/balancer/plan-simulation.js';
import { movesBefore, playJobsets, playOrder } from '../../src/balancer/schedule.js';
import { defaultSearchOptions, type SearchOptions } from '../../src/balancer/search-options.js';
import { askStepTimes, copiedMib, moveSeconds } from '../../src/balancer/step-times.js';
import { playMoves, reorderMoves, timedSearch } from '../../src/balancer/timed-search.js';
import { generateCluster } from '../balancer/cluster-generator.js';
import { optionsOf, type HbalRun } from '../balancer/hbal-options.js';
import {
  PredictedDurations,
  TrueDurations,
  laterErrors,
  measuredErrors,
  type MeasuredErrors,
} from './measured-errors.js';

const SHARED = join('..', 'shared', 'peers', 'hbal');
const HBAL = '/usr/lib/ganeti/3.0/usr/bin/hbal';
const TRUTHS = 5;
/** Truths of each stretch of the later half of the errors, in as many stretches. */
const PROMISE_TRUTHS = 50;
const PROMISE_STRETCHES = 4;
/** Plans to choose from, one of each seed; truths to judge them by, and as many others to choose the best by. */
const CHOICE_SEEDS = 3;
const CHOICE_TRUTHS = 100;
/** Runs that are measured at once; no figure but the CPU seconds hangs on the clock. */
const RUNS_AT_ONCE = 3;
/** Instances on which hbal's cost of a whole step is measured. */
const SELECTED_INSTANCES = 8;

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

/** A plan of ours played with given durations: when its moves end, and for how long its busiest node is held. */
interface Played {
  ends: Float64Array;
  last: number;
  busiest: number;
}

async function playOurs(start: GroupModel, moves: readonly Move[], costs: MoveCosts): Promise<Played> {
  const times = await askStepTimes(start, moves, costs);
  const seconds = moveSeconds(times, times.p50);
  const releases = earlyReleases(start, moves);
  const held = releases === undefined ? seconds : heldSeconds(releases, times, times.p50);
  const locks = releases === undefined ? undefined : { letGo: releases.letGo, held };
  const ends = new Float64Array(moves.length);
  const last = playOrder(movesBefore(moves, releases), seconds, ends, locks);
  const busy = new Map<number, number>();
  moves.forEach((move, m) => {
    for (const node of nodesOfMove(move))
      busy.set(node, (busy.get(node) ?? 0) + (releases?.node[m] === node ? held[m]! : seconds[m]!));
  });
  return { ends, last, busiest: Math.max(...busy.values()) };
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

/** What a plan knows of the errors: nothing, those of the moves before, or (which none can) those to come. */
const knowledge = ['nothing', 'past', 'own'] as const;
type Kept = Record<(typeof knowledge)[number], number>;

/** The marks of one run; `cut`: hbal was stopped after so many moves. */
interface Row {
  name: string;
  /** hbal's and ours. */
  moves: string;
  scores: string;
  /** Seconds that our plan took to make. */
  cpu: number;
  time: number;
  early: number;
  alone: number;
  bound: number;
  /** What our moves copy by what hbal's do. */
  mib: number;
  /** Against a plan made with the true durations; and against these moves in the order found with them. */
  regret: number;
  regretOfOrder: number;
  /** The plan against the one made with the true durations, both played with the predicted ones. */
  asPredicted: number;
  cut: boolean;
}

const columns = (row: readonly string[]): string => {
  const widths = [26, 15, 24, 11, 9, 14, 13, 10, 15, 12, 5];
  return row
    .map((cell, c) => (c === 0 || c === 2 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!)))
    .join(' | ');
};
const percent = (share: number): string => (100 * share).toFixed(1);
const sortedMedian = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1]!;

function describe({ name, moves, episodes, low, high, deviation }: MeasuredErrors): void {
  const inside = deviation.filter((d) => d >= -1 && d <= 1).length;
  print(
    `errors of ${name}: ${moves} real moves one at a time in ${episodes.length} hours of a host; promised p10 / p50 / p90 ` +
      `${sortedMedian(low).toFixed(3)} / 1 / ${sortedMedian(high).toFixed(3)} (median), which held ${percent(inside / moves)} %`,
  );
}

/** Geometric means of ratios; a plain mean of bytes, of which a plan may copy none. */
function figuresOf(rows: readonly Row[], digits = 3): string[] {
  const ratio = (of: (row: Row) => number): string => geometricMean(rows.map(of)).toFixed(digits);
  return [
    ratio((row) => row.time),
    ratio((row) => row.early),
    ratio((row) => row.alone),
    ratio((row) => row.bound),
    (rows.reduce((sum, { mib }) => sum + mib, 0) / rows.length).toFixed(digits),
    `${ratio((row) => row.regret)} / ${ratio((row) => row.regretOfOrder)}`,
    ratio((row) => row.asPredicted),
  ];
}

/** Of each kind of errors, by what a plan knows of them: mean shares of truths in which the promise held, in percent. */
const keptFigures = (rows: readonly Kept[][]): string[] =>
  knowledge.map((what) =>
    rows[0]!.map((_, e) => percent(meanKept(rows.map((row) => row[e]!))[what])).join(' / '),
  );

/** How often the promised p90 held, with the later half of the errors as truth; a row for each stretch of them. */
async function promiseKept(
  start: GroupModel,
  moves: readonly Move[],
  errors: MeasuredErrors,
): Promise<Kept[]> {
  const stretches: Kept[] = [];
  for (const { truth, past, own } of laterErrors(errors, PROMISE_STRETCHES)) {
    const promised: Kept = { nothing: 0, past: 0, own: 0 };
    for (const [what, known] of [
      ['nothing', undefined],
      ['past', past],
      ['own', own],
    ] as const) {
      const { document } = await buildPlan(start, moves, new PredictedDurations(truth, known));
      promised[what] = document.duration_seconds.p90;
    }
    const kept: Kept = { nothing: 0, past: 0, own: 0 };
    for (let t = 1; t <= PROMISE_TRUTHS; t++) {
      const { last } = await playOurs(start, moves, new TrueDurations(truth, 1000 + t));
      for (const what of knowledge) if (last <= promised[what]) kept[what] += 1 / PROMISE_TRUTHS;
    }
    stretches.push(kept);
  }
  return stretches;
}

const meanKept = (all: readonly Kept[]): Kept => {
  const mean = (what: keyof Kept): number => all.reduce((sum, kept) => sum + kept[what], 0) / all.length;
  return { nothing: mean('nothing'), past: mean('past'), own: mean('own') };
};

/** How often the promise of the plans that the marks of time are about holds. */
async function promiseMarks(all: readonly Case[]): Promise<void> {
  const errors = realErrors();
  for (const kind of errors)
    laterErrors(kind, PROMISE_STRETCHES).forEach(({ truth, past }, k) => {
      print(
        `later half of ${kind.name}, part ${k + 1}: ${truth.moves} moves in ${truth.episodes.length} hours of a host; known before: ` +
          `${past.hours.flat(2).length} moves in ${past.hours.flat().length} hours of a host, which share ${percent(sharedByHour(past.hours))} % with others of the hour`,
      );
    });
  const line = (cells: readonly string[]): void =>
    print(cells.map((cell, c) => (c === 0 ? cell.padEnd(26) : cell.padStart(13))).join(' | '));
  line(['cluster and options', 'p90 kept, %', 'past known', 'own known']);
  const rows: { kept: Kept[]; cut: boolean }[] = [];
  const stretches: Kept[][][] = errors.map(() => []);
  for (const { name, start, search } of all) {
    const { ours } = await planOf(start, search);
    const kept: Kept[] = [];
    for (const [e, kind] of errors.entries()) {
      const ofKind = await promiseKept(start, ours.moves, kind);
      stretches[e]!.push(ofKind);
      kept.push(meanKept(ofKind));
    }
    rows.push({ kept, cut: search.maxLength > 0 });
    line([name, ...keptFigures([kept])]);
  }
  const means = (title: string, some: readonly { kept: Kept[] }[]): void => {
    if (some.length > 0) line([title, ...keptFigures(some.map(({ kept }) => kept))]);
  };
  means('mean', rows);
  means(
    'mean of whole runs',
    rows.filter(({ cut }) => !cut),
  );
  for (const [e, kind] of errors.entries()) {
    const parts = Array.from({ length: PROMISE_STRETCHES }, (_, k) =>
      percent(meanKept(stretches[e]!.map((ofRun) => ofRun[k]!)).past),
    );
    print(`${kind.name}, past known, part by part: ${parts.join(' / ')}`);
  }
}

/** hbal's moves, and our plan with plain durations and the CPU seconds that it took. */
async function planOf(start: GroupModel, search: SearchOptions, seed = 1) {
  const hbal = blindSearch(start.copy(), search);
  const hbalMoves = hbal.steps.map(({ move }) => move);
  const ownOptions = { ...search, maxLength: -1 };
  const cpuBefore = cpuSeconds();
  const prices = await MovePrices.ask(start, new ConstantMoveCosts({}), 0.5);
  const ours = timedSearch(start, ownOptions, prices, { seed, reference: hbalMoves });
  return { hbal, hbalMoves, ownOptions, prices, ours, cpu: cpuSeconds() - cpuBefore };
}

/** Mean logarithm of when a plan ends in `CHOICE_TRUTHS` truths from number `first` on. */
async function meanLogEnd(
  start: GroupModel,
  moves: readonly Move[],
  errors: MeasuredErrors,
  first: number,
): Promise<number> {
  let sum = 0;
  for (let t = first; t < first + CHOICE_TRUTHS; t++)
    sum += Math.log((await playOurs(start, moves, new TrueDurations(errors, t))).last);
  return sum / CHOICE_TRUTHS;
}

/**
 * Of the plans of several seeds: the one that ends first as predicted, which is what a plan is made for; the one that does
 * in the median of ends played with the errors of moves before; and, which no plan can know, the one that is first on the
 * average of some truths. All are judged by the average of other truths, against the first.
 */
async function choiceMarks(all: readonly Case[]): Promise<void> {
  const { truth, past } = laterErrors(realErrors()[0]!, 1)[0]!;
  const known = new PredictedDurations(truth, past);
  const line = (cells: readonly string[]): void =>
    print(cells.map((cell, c) => (c === 0 ? cell.padEnd(26) : cell.padStart(17))).join(' | '));
  line(['cluster and options', 'truth / predicted', 'by played ends', 'by other truths']);
  const rows: { ratios: number[]; cut: boolean }[] = [];
  for (const { name, start, search } of all) {
    const plans: { predicted: number; played: number; chosenBy: number; judgedBy: number }[] = [];
    for (let seed = 1; seed <= CHOICE_SEEDS; seed++) {
      const { ours } = await planOf(start, search, seed);
      const { document } = await buildPlan(start, ours.moves, known);
      plans.push({
        predicted: ours.seconds,
        played: document.duration_seconds.p50,
        chosenBy: await meanLogEnd(start, ours.moves, truth, 1001),
        judgedBy: await meanLogEnd(start, ours.moves, truth, 2001),
      });
    }
    const least = (of: 'predicted' | 'played' | 'chosenBy') =>
      plans.reduce((best, plan) => (plan[of] < best[of] ? plan : best));
    const first = least('predicted');
    const ratios = [
      Math.exp(first.judgedBy) / first.predicted,
      Math.exp(least('played').judgedBy - first.judgedBy),
      Math.exp(least('chosenBy').judgedBy - first.judgedBy),
    ];
    rows.push({ ratios, cut: search.maxLength > 0 });
    line([name, ...ratios.map((ratio) => ratio.toFixed(3))]);
  }
  const means = (title: string, some: readonly { ratios: number[] }[]): void => {
    if (some.length === 0) return;
    const mean = (column: number): number => geometricMean(some.map(({ ratios }) => ratios[column]!));
    line([title, ...[0, 1, 2].map((column) => mean(column).toFixed(4))]);
  };
  means('geometric mean', rows);
  means(
    'mean of whole runs',
    rows.filter(({ cut }) => !cut),
  );
}

/** What moves copy over the network, disks and memory. MiB. */
function mibOf(start: GroupModel, moves: readonly Move[]): number {
  let mib = 0;
  for (const move of moves)
    for (const step of moveSteps(start, move)) mib += copiedMib(start, move.instance, step);
  return mib;
}

/** All figures of one run of hbal. */
async function marksOf({ name, start, search }: Case, errors: readonly MeasuredErrors[]): Promise<Row> {
  const { hbal, hbalMoves, ownOptions, prices, ours, cpu } = await planOf(start, search);
  const alonePlan = reorderMoves(start, hbalMoves, prices, search);
  const gain = hbal.scoreBefore - hbal.scoreAfter;
  const row = {
    time: [] as number[],
    early: [] as number[],
    alone: [] as number[],
    bound: [] as number[],
  };
  for (let t = 1; t <= TRUTHS; t++) {
    const truth = new TrueDurations(errors[0]!, t);
    const hbalSeconds = await secondsOf(start, hbalMoves, truth);
    const hbalTime = playJobsets(jobsetsOf(hbalMoves), hbalSeconds);
    const { ends, last, busiest } = await playOurs(start, ours.moves, truth);
    row.time.push(last / hbalTime);
    row.alone.push((await playOurs(start, alonePlan, truth)).last / hbalTime);
    row.bound.push(last / busiest);
    row.early.push(
      secondsToShare(start, ours.moves, ends, 0.95 * gain) /
        secondsToShare(start, hbalMoves, jobsetEnds(hbalMoves, hbalSeconds), 0.95 * gain),
    );
  }
  // With the first kind of errors also what knowing them beforehand would be worth.
  const knownTruth = new TrueDurations(errors[0]!, 1);
  const knowing = await MovePrices.ask(start, knownTruth, 0.5);
  const ownEnd = (await playOurs(start, ours.moves, knownTruth)).last;
  const regretOf = async (moves: readonly Move[]): Promise<number> =>
    ownEnd / (await playOurs(start, moves, knownTruth)).last;
  const perfect = timedSearch(start, ownOptions, knowing, { seed: 1, reference: hbalMoves });
  const regret = await regretOf(perfect.moves);
  const regretOfOrder = await regretOf(reorderMoves(start, ours.moves, knowing, ownOptions));
  const plain = new ConstantMoveCosts({});
  const asPredicted =
    (await playOurs(start, ours.moves, plain)).last / (await playOurs(start, perfect.moves, plain)).last;
  return {
    name,
    moves: `${hbalMoves.length} / ${ours.moves.length}`,
    scores: `${hbal.scoreAfter.toFixed(4)} -> ${ours.scoreAfter.toFixed(4)}`,
    cpu,
    time: geometricMean(row.time),
    early: geometricMean(row.early),
    alone: geometricMean(row.alone),
    bound: geometricMean(row.bound),
    mib: mibOf(start, ours.moves) / mibOf(start, hbalMoves),
    regret,
    regretOfOrder,
    asPredicted,
    cut: search.maxLength > 0,
  };
}

/** A run in a process of its own: its CPU seconds are counted apart, and several go on at once. */
async function rowOfChild(number: number, errorsFile: string): Promise<Row> {
  const args = [fileURLToPath(import.meta.url), ...process.argv.slice(2), 'row', String(number), errorsFile];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 24 });
  return JSON.parse(stdout) as Row;
}

const realErrors = (): MeasuredErrors[] => [
  measuredErrors('OSIC', join('data', 'osic', 'records.jsonl')),
  measuredErrors('the QEMU lab', join('data', 'qemu-lab', 'records.jsonl')),
];

async function timeMarks(all: readonly Case[]): Promise<void> {
  const errors = realErrors();
  errors.forEach(describe);
  const rows: Row[] = [];
  print(
    columns([
      'cluster and options',
      'moves hbal/ours',
      'score hbal -> ours',
      'time / hbal',
      '95 % gain',
      'schedule alone',
      '/ lower bound',
      'MiB / hbal',
      'regret, order',
      'as predicted',
      'CPU s',
    ]),
  );
  const folder = mkdtempSync(join(tmpdir(), 'movecast-marks-'));
  const errorsFile = join(folder, 'errors.json');
  writeFileSync(errorsFile, JSON.stringify(errors));
  const waiting = [...all.keys()];
  const made = new Map<number, Row>();
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      made.set(next, await rowOfChild(next, errorsFile));
  };
  const workers = Array.from({ length: RUNS_AT_ONCE }, work);
  await Promise.all(workers);
  rmSync(folder, { recursive: true });
  for (const k of all.keys()) {
    const row = made.get(k)!;
    rows.push(row);
    print(columns([row.name, row.moves, row.scores, ...figuresOf([row]), row.cpu.toFixed(1)]));
  }
  const means = (title: string, pick: (row: Row) => boolean): void => {
    const some = rows.filter(pick);
    if (some.length > 0) print(columns([title, '', '', ...figuresOf(some, 4), '']));
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
  wholeStep(
    all.find((one) => one.name.startsWith('l01 ')),
    folder,
  );
  rmSync(folder, { recursive: true });
}

/**
 * One step over all instances of a group of 500 nodes would take hbal an hour or more. Its cost is in proportion to the
 * candidates, so that it is measured on a few selected instances, less what the program takes without any, and
 * multiplied; ours takes the whole step.
 */
function wholeStep(found: Case | undefined, folder: string): void {
  if (found === undefined) return;
  const movable = movableInstances(found.start, defaultSearchOptions);
  const stride = Math.floor(movable.length / SELECTED_INSTANCES);
  const some = movable.filter((_, k) => k % stride === 0).slice(0, SELECTED_INSTANCES);
  const file = join(folder, 'whole.data');
  writeFileSync(file, found.text);
  const select = (instances: readonly number[]): string[] => [
    `--select-instances=${instances.map((i) => found.start.instances[i]!.name).join(',')}`,
    '-l',
    '1',
  ];
  const one = childCpu(HBAL, ['-t', file, ...select(some.slice(0, 1))]);
  const several = childCpu(HBAL, ['-t', file, ...select(some)]);
  const each = (several - one) / (some.length - 1);
  const hbal = one + (movable.length - 1) * each;
  const ours = childCpu(process.execPath, [
    join('dist', 'src', 'main.js'),
    'balance',
    '-t',
    file,
    '--blind',
    '-l',
    '1',
  ]);
  print(
    `${`${found.start.nodeCount} / ${found.start.instanceCount}`.padEnd(17)} | -l 1, all instances | ${hbal.toFixed(0)} (from ${some.length} instances: ${several.toFixed(2)}, from 1: ${one.toFixed(2)}; ${movable.length} may move) | ${ours.toFixed(2)} | ${(ours / hbal).toFixed(5)}`,
  );
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

const parts = ['parity', 'time', 'promise', 'computing', 'large', 'choice'];
const words = process.argv.slice(2);
const rowAt = words.indexOf('row');
if (rowAt >= 0) {
  const [number, errorsFile] = words.slice(rowAt + 1);
  const one = cases(words.slice(0, rowAt).filter((word) => !parts.includes(word)))[Number(number)]!;
  print(JSON.stringify(await marksOf(one, JSON.parse(read(errorsFile!)) as MeasuredErrors[])));
} else await printMarks();

async function printMarks(): Promise<void> {
  const chosen = words.filter((word) => parts.includes(word));
  const wanted = (part: string): boolean => chosen.length === 0 || chosen.includes(part);
  const all = cases(words.filter((word) => !parts.includes(word)));
  print(`${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}`);
  if (all.length === 0) print('the shared clusters are not here: only the large group is measured');
  if (all.length > 0 && wanted('parity')) parity();
  if (all.length > 0 && wanted('time')) await timeMarks(all);
  if (all.length > 0 && wanted('promise')) await promiseMarks(all);
  if (all.length > 0 && chosen.includes('choice')) await choiceMarks(all);
  if (all.length > 0 && wanted('computing')) computingTime(all);
  if (wanted('large')) await largeGroup();
}
