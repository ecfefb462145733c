import type { MoveRecord, MoveStatus } from '../src/domain/move-record.js';
import { QUANTILE_NAMES, type Basis, type DurationQuantiles } from '../src/domain/prediction.js';
import type { InstanceSample, LinkSample } from '../src/domain/samples.js';
import { toIsoTime } from '../src/domain/units.js';
import { inputsOfRecord } from '../src/predictor/move-inputs.js';
import type { BacktestPieces } from './backtest-pieces.js';
import type { Candidate, Forecaster, History } from './forecaster.js';
import { moveTable, type MoveTable } from './move-table.js';

/** How a backtest divides the past from what is to be predicted. */
export const protocols = {
  rolling: 'in order of time, as in service',
  'new-instance': 'as rolling, on moves of instances that were left out whole',
  'new-link': 'as rolling, on moves between node pairs that were left out whole',
  'new-node': 'as rolling, on moves to nodes that were left out whole',
  'new-size': 'the largest size left out whole, and each other size in turn; leaves time aside',
  'cold-start': 'the first 0, 1, 3 and 10 moves of each cluster, when only others were known',
  shift: 'as rolling, with durations a quarter longer from the middle on (a bandwidth that drops by 20 %)',
} as const;
export type Protocol = keyof typeof protocols;

/** What a backtest is run on. */
export interface BacktestData {
  records: readonly MoveRecord[];
  linkSamples?: readonly LinkSample[];
  instanceSamples?: readonly InstanceSample[];
}

/** One predicted move: a line of `backtest --out`. */
export interface BacktestRow {
  id: string;
  candidate: string;
  /** The moment or the group for which the candidate was fitted. */
  origin: string;
  actual_seconds: number;
  status: MoveStatus;
  duration_seconds: DurationQuantiles;
  basis: Basis;
  completion_probability?: number;
}

/** The first origin comes when so many moves have finished. */
export const FIRST_ORIGIN_MOVES = 100;
/** See `BacktestOptions.originGrowth`. */
const ORIGIN_GROWTH = 1.1;
/** Left-out groups are dealt into so many folds, in the order in which they first appear. */
const FOLDS = 5;
/** A cold start is looked at for so many moves of a cluster. */
const COLD_MOVES = 30;
/** … and in no more clusters than these, the first to appear: each costs a fit. */
const COLD_CLUSTERS = 20;
const COLD_STAGES = [0, 1, 3, 10] as const;
/** A bandwidth 20 % lower: bytes take 1/0.8 of the time. */
export const SHIFT_FACTOR = 1 / 0.8;

export interface BacktestOptions {
  protocol: Protocol;
  seed: number;
  /** @default FIRST_ORIGIN_MOVES */
  firstOriginMoves?: number;
  /** A new origin comes whenever the history has grown by this factor since the last. @default ORIGIN_GROWTH */
  originGrowth?: number;
  onProgress?: (done: number, total: number) => void;
  /** What an earlier run with the same data, seed and program has finished is taken from here, and kept here. */
  pieces?: BacktestPieces | undefined;
}

/**
 * Predictions of every candidate for every move that the protocol asks for, by candidate, then in order of start. A
 * prediction depends on nothing but what had finished when its move started (`new-size` leaves time aside).
 */
export function backtest(
  data: BacktestData,
  candidates: readonly Candidate[],
  options: BacktestOptions,
): BacktestRow[] {
  const all: BacktestRow[] = [];
  for (const { rows } of backtestEach(data, candidates, options)) append(all, rows);
  return all;
}

/** The same, one candidate after the other: whoever needs less of the rows than all at once holds less memory. */
export function* backtestEach(
  data: BacktestData,
  candidates: readonly Candidate[],
  {
    protocol,
    seed,
    firstOriginMoves = FIRST_ORIGIN_MOVES,
    originGrowth = ORIGIN_GROWTH,
    onProgress = () => undefined,
    pieces,
  }: BacktestOptions,
): Generator<{ candidate: Candidate; rows: BacktestRow[] }> {
  const table = moveTable(data.records);
  const samples = {
    linkSamples: whenKnown([...(data.linkSamples ?? [])].sort(byTime)),
    instanceSamples: [...(data.instanceSamples ?? [])].sort(byTime),
  };
  for (const [c, candidate] of candidates.entries()) {
    const rows: BacktestRow[] = [];
    runProtocol(protocol, {
      table,
      samples,
      candidate,
      seed,
      firstOriginMoves,
      originGrowth,
      rows,
      pieces,
      name: `${protocol} ${originGrowth} ${candidate.name}`,
      step: (share) => onProgress(c + share, candidates.length),
    });
    yield { candidate, rows };
  }
}

function runProtocol(protocol: Protocol, run: Run): void {
  switch (protocol) {
    case 'rolling':
      return rolling(run, { inHistory: everything, isAsked: everything });
    case 'shift':
      return rolling({ ...run, table: shifted(run.table) }, { inHistory: everything, isAsked: everything });
    case 'new-instance':
      return folds(run, (record) => [`${record.cluster ?? ''} ${record.instance}`]);
    case 'new-link':
      return folds(run, (record) => [`${record.cluster ?? ''} ${record.source_node} ${record.target_node}`]);
    case 'new-node':
      return folds(run, (record) => [
        `${record.cluster ?? ''} ${record.target_node}`,
        `${record.cluster ?? ''} ${record.source_node}`,
      ]);
    case 'new-size':
      return newSize(run);
    case 'cold-start':
      return coldStart(run);
  }
}

interface Run {
  table: MoveTable;
  samples: Omit<History, 'moves'>;
  candidate: Candidate;
  seed: number;
  firstOriginMoves: number;
  originGrowth: number;
  rows: BacktestRow[];
  pieces: BacktestPieces | undefined;
  /** What tells its pieces from those of other candidates, protocols and folds. */
  name: string;
  step: (share: number) => void;
}

/** No sample is taken to stand for a longer time. */
const LONGEST_SAMPLE_MS = 600_000;

/**
 * A link sample may be the mean of the time after it (those of the laboratory are): it is known one gap of its link later. The
 * gap is the one before it, so that nothing depends on what comes after.
 */
function whenKnown(samples: readonly LinkSample[]): LinkSample[] {
  const lastMs = new Map<string, number>();
  const known = samples.map((sample) => {
    const key = `${sample.cluster ?? ''} ${sample.link}`;
    const atMs = Date.parse(sample.at);
    const gapMs = Math.min(LONGEST_SAMPLE_MS, atMs - (lastMs.get(key) ?? atMs - LONGEST_SAMPLE_MS));
    lastMs.set(key, atMs);
    return { ...sample, at: toIsoTime(atMs + gapMs) };
  });
  return known.sort(byTime);
}

const everything = (): boolean => true;
const byTime = (a: { at: string }, b: { at: string }): number => Date.parse(a.at) - Date.parse(b.at);

/**
 * Origins in time: fitted to what had finished, then learning move by move as they finish. What lies between two origins
 * depends on nothing from before but the history, so that it is a piece that may be kept and taken up again.
 * O(origins · fit).
 */
function rolling(
  run: Run,
  { inHistory, isAsked }: { inHistory: (i: number) => boolean; isAsked: (i: number) => boolean },
): void {
  const { table, samples, candidate, pieces, rows } = run;
  const { records, startMs, finishMs, byFinish } = table;
  const history: MoveRecord[] = [];
  const learnt = { link: 0, instance: 0 };
  let finished = 0;
  let fittedAt = 0;
  let origin = '';
  /** Undefined while the rows come from a kept piece. */
  let forecaster: Forecaster | undefined;
  let kept: BacktestRow[] | undefined;
  let firstRow = 0;
  const endPiece = (): void => {
    if (forecaster !== undefined) pieces?.keep(`${run.name} ${origin}`, rows.slice(firstRow));
  };
  for (let i = 0; i < records.length; i++) {
    const nowMs = startMs[i]!;
    while (finished < byFinish.length && finishMs[byFinish[finished]!]! <= nowMs) {
      const f = byFinish[finished++]!;
      if (!inHistory(f)) continue;
      if (forecaster !== undefined) learnSamples(run, forecaster, learnt, finishMs[f]!);
      forecaster?.learn(records[f]!);
      history.push(records[f]!);
    }
    if (!isAsked(i)) continue;
    if (history.length < run.firstOriginMoves) continue;
    const nextFit = Math.max(FIRST_ORIGIN_MOVES, fittedAt * run.originGrowth);
    if (origin === '' || history.length >= nextFit) {
      endPiece();
      fittedAt = history.length;
      origin = toIsoTime(nowMs);
      firstRow = rows.length;
      kept = pieces?.read(`${run.name} ${origin}`);
      learnt.link = countUntil(samples.linkSamples, nowMs);
      learnt.instance = countUntil(samples.instanceSamples, nowMs);
      forecaster =
        kept === undefined
          ? candidate.fit(
              {
                moves: history.slice(),
                linkSamples: samples.linkSamples.slice(0, learnt.link),
                instanceSamples: samples.instanceSamples.slice(0, learnt.instance),
              },
              run.seed,
            )
          : undefined;
    }
    if (forecaster === undefined) {
      const row = kept?.[rows.length - firstRow];
      if (row?.id !== records[i]!.id) throw new Error('a kept piece of a backtest is of other moves');
      rows.push(row);
    } else {
      learnSamples(run, forecaster, learnt, nowMs);
      rows.push(rowOf(candidate, origin, records[i]!, forecaster));
    }
    run.step(i / records.length);
  }
  endPiece();
}

/** Shows the forecaster the samples measured up to a moment; one that has no use for them is past them all the same. */
function learnSamples(
  { samples: { linkSamples, instanceSamples } }: Run,
  forecaster: Forecaster,
  learnt: { link: number; instance: number },
  untilMs: number,
): void {
  for (; isKnown(linkSamples[learnt.link], untilMs); learnt.link++)
    forecaster.learnLinkSample?.(linkSamples[learnt.link]!);
  for (; isKnown(instanceSamples[learnt.instance], untilMs); learnt.instance++)
    forecaster.learnInstanceSample?.(instanceSamples[learnt.instance]!);
}

const isKnown = (sample: { at: string } | undefined, untilMs: number): boolean =>
  sample !== undefined && Date.parse(sample.at) <= untilMs;

function countUntil(samples: readonly { at: string }[], untilMs: number): number {
  let low = 0;
  let high = samples.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Date.parse(samples[middle]!.at) <= untilMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Leaves groups out whole, a fold at a time. A move is asked for in the fold of its first group. */
function folds(run: Run, groupsOf: (record: MoveRecord) => string[]): void {
  const { records } = run.table;
  const foldOfGroup = new Map<string, number>();
  const foldsOf = records.map((record) =>
    groupsOf(record).map((group) => {
      let fold = foldOfGroup.get(group);
      if (fold === undefined) foldOfGroup.set(group, (fold = foldOfGroup.size % FOLDS));
      return fold;
    }),
  );
  const rows: BacktestRow[] = [];
  for (let fold = 0; fold < FOLDS; fold++) {
    rolling(
      {
        ...run,
        rows,
        name: `${run.name} ${fold}`,
        step: (share) => run.step((fold + share) / FOLDS),
      },
      {
        inHistory: (i) => !foldsOf[i]!.includes(fold),
        isAsked: (i) => foldsOf[i]![0] === fold,
      },
    );
  }
  const order = new Map(records.map((record, i) => [record.id, i]));
  append(
    run.rows,
    rows.sort((a, b) => order.get(a.id)! - order.get(b.id)!),
  );
}

/** Size classes are powers of two of the memory: each is left out in turn, where enough moves are left. Leaves time aside. */
function newSize(run: Run): void {
  const { records, byFinish } = run.table;
  const classOf = (record: MoveRecord): number => Math.round(Math.log2(record.memory_mib ?? 0));
  const classes = [...new Set(records.map(classOf).filter(Number.isFinite))].sort((a, b) => b - a);
  classes.forEach((size, k) => {
    const history = Array.from(byFinish, (i) => records[i]!).filter(
      (record) => Number.isFinite(classOf(record)) && classOf(record) !== size,
    );
    if (history.length < FIRST_ORIGIN_MOVES) return;
    const origin = `without ${2 ** size} MiB`;
    append(
      run.rows,
      pieceOf(run, origin, () => {
        const forecaster = run.candidate.fit({ moves: history, ...run.samples }, run.seed);
        return records
          .filter((record) => classOf(record) === size)
          .map((record) => rowOf(run.candidate, origin, record, forecaster));
      }),
    );
    run.step((k + 1) / classes.length);
  });
}

/** Each cluster is met by a model that knows only what others had finished, and learns it move by move. */
function coldStart(run: Run): void {
  const { records, startMs, finishMs, byFinish } = run.table;
  const clusters = [...new Set(records.map((record) => record.cluster ?? ''))].slice(0, COLD_CLUSTERS);
  clusters.forEach((cluster, c) => {
    const own = records.flatMap((record, i) => ((record.cluster ?? '') === cluster ? [i] : []));
    const firstMs = startMs[own[0]!]!;
    const history = Array.from(byFinish)
      .filter((i) => (records[i]!.cluster ?? '') !== cluster && finishMs[i]! <= firstMs)
      .map((i) => records[i]!);
    const known = {
      moves: history,
      linkSamples: run.samples.linkSamples.slice(0, countUntil(run.samples.linkSamples, firstMs)),
      instanceSamples: run.samples.instanceSamples.slice(0, countUntil(run.samples.instanceSamples, firstMs)),
    };
    append(
      run.rows,
      pieceOf(run, cluster, () => {
        const forecaster = run.candidate.fit(known, run.seed);
        const finishes = own.slice(0, COLD_MOVES).sort((a, b) => finishMs[a]! - finishMs[b]!);
        const learnt = { link: known.linkSamples.length, instance: known.instanceSamples.length };
        let finished = 0;
        return own.slice(0, COLD_MOVES).map((i) => {
          while (finished < finishes.length && finishMs[finishes[finished]!]! <= startMs[i]!) {
            const f = finishes[finished++]!;
            learnSamples(run, forecaster, learnt, finishMs[f]!);
            forecaster.learn(records[f]!);
          }
          learnSamples(run, forecaster, learnt, startMs[i]!);
          const stage = COLD_STAGES.findLast((n) => n <= finished)!;
          return rowOf(run.candidate, `after ${stage} moves`, records[i]!, forecaster);
        });
      }),
    );
    run.step((c + 1) / clusters.length);
  });
}

/** More rows than a call may have arguments. */
function append(rows: BacktestRow[], more: readonly BacktestRow[]): void {
  for (const row of more) rows.push(row);
}

/** The rows of a piece: as kept, else computed and kept. */
function pieceOf({ pieces, name }: Run, part: string, compute: () => BacktestRow[]): BacktestRow[] {
  const known = pieces?.read(`${name} ${part}`);
  if (known !== undefined) return known;
  const rows = compute();
  pieces?.keep(`${name} ${part}`, rows);
  return rows;
}

/** The same moves, with longer durations from the middle on: measured moves, altered to test the reaction. */
function shifted(table: MoveTable): MoveTable {
  const from = table.records.length >> 1;
  return moveTable(
    table.records.map((record, i) =>
      i < from ? record : { ...record, duration_seconds: record.duration_seconds * SHIFT_FACTOR },
    ),
  );
}

function rowOf(
  candidate: Candidate,
  origin: string,
  record: MoveRecord,
  forecaster: Forecaster,
): BacktestRow {
  const forecast = forecaster.predict(inputsOfRecord(record));
  const quantiles = { mean: forecast.mean } as DurationQuantiles;
  QUANTILE_NAMES.forEach((name, j) => (quantiles[name] = forecast.seconds[j]!));
  const { p05, p10, p50, p90, p95, mean } = quantiles;
  return {
    id: record.id,
    candidate: candidate.name,
    origin,
    actual_seconds: record.duration_seconds,
    status: record.status ?? 'completed',
    duration_seconds: { p05, p10, p50, p90, p95, mean },
    basis: forecast.basis,
    ...(forecast.completionProbability === undefined
      ? {}
      : { completion_probability: forecast.completionProbability }),
  };
}

/** Rows of moves that finished: the only ones whose duration is known. */
export const completedRows = (rows: readonly BacktestRow[]): BacktestRow[] =>
  rows.filter((row) => row.status === 'completed');
