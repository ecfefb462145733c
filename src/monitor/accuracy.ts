import { binomialBand } from '../domain/binomial.js';
import type { Score } from './score.js';

/** A forecast that is further off than this is called badly wrong. */
const BADLY_WRONG_PERCENT = 25;

/** An interval's nominal share, the share of moves that fell inside, and where that share should lie by chance. */
export interface Coverage {
  /** 0.8 or 0.9. */
  level: number;
  /** Share of completed moves whose duration lay inside the interval. */
  share: number;
  /** 95 % binomial band of the share for an honest interval. */
  low: number;
  high: number;
  verdict: 'as promised' | 'too narrow' | 'too wide';
}

/** How good forecasts were for a set of moves. Errors in percent of the actual duration. */
export interface AccuracyFigures {
  /** Completed moves with a prediction. */
  moves: number;
  /** Moves broken off: they say only "longer than", and enter no figure here. */
  broken_off: number;
  mape_percent: number;
  median_ape_percent: number;
  p90_ape_percent: number;
  /** Above 0: predictions are too long. exp(mean of log(predicted / actual)) − 1. */
  bias_percent: number;
  /** Share of moves whose error was above 25 %. */
  worse_than_25_percent_share: number;
  coverage: Coverage[];
  median_seconds: number;
  /** Median of what had to be copied over the duration; null where no size is known. */
  median_speed_mib_s: number | null;
}

/** Absolute percentage error of the predicted median. */
export const apePercent = (score: Score): number =>
  (100 * Math.abs(score.p50 - score.actual_seconds)) / score.actual_seconds;

/** Quantile by linear interpolation between order statistics (type 7 of R and numpy) of sorted values. */
export function sortedQuantile(sorted: Float64Array, p: number): number {
  const at = (sorted.length - 1) * p;
  const below = Math.floor(at);
  const above = Math.min(sorted.length - 1, below + 1);
  return sorted[below]! + (at - below) * (sorted[above]! - sorted[below]!);
}

/** Figures of a set of scores; undefined when no completed move is among them. O(n log n). */
export function accuracyOf(scores: readonly Score[]): AccuracyFigures | undefined {
  const errors = new Float64Array(scores.length);
  const seconds = new Float64Array(scores.length);
  const speeds = new Float64Array(scores.length);
  let n = 0;
  let sized = 0;
  let sum = 0;
  let logRatio = 0;
  let badlyWrong = 0;
  let inside80 = 0;
  let inside90 = 0;
  for (const score of scores) {
    if (!score.completed) continue;
    const { actual_seconds: actual, size_mib: size } = score;
    const error = apePercent(score);
    errors[n] = error;
    seconds[n] = actual;
    n += 1;
    if (size !== undefined) {
      speeds[sized] = size / actual;
      sized += 1;
    }
    sum += error;
    logRatio += Math.log(score.p50 / actual);
    if (error > BADLY_WRONG_PERCENT) badlyWrong += 1;
    if (actual >= score.p10 && actual <= score.p90) inside80 += 1;
    if (actual >= score.p05 && actual <= score.p95) inside90 += 1;
  }
  if (n === 0) return undefined;
  const sorted = errors.subarray(0, n).sort();
  return {
    moves: n,
    broken_off: scores.length - n,
    mape_percent: sum / n,
    median_ape_percent: sortedQuantile(sorted, 0.5),
    p90_ape_percent: sortedQuantile(sorted, 0.9),
    bias_percent: 100 * Math.expm1(logRatio / n),
    worse_than_25_percent_share: badlyWrong / n,
    coverage: [coverage(0.8, inside80, n), coverage(0.9, inside90, n)],
    median_seconds: sortedQuantile(seconds.subarray(0, n).sort(), 0.5),
    median_speed_mib_s: sized === 0 ? null : sortedQuantile(speeds.subarray(0, sized).sort(), 0.5),
  };
}

function coverage(level: number, inside: number, n: number): Coverage {
  const share = inside / n;
  const { low, high } = binomialBand(n, level);
  return {
    level,
    share,
    low,
    high,
    verdict: share < low ? 'too narrow' : share > high ? 'too wide' : 'as promised',
  };
}

/** What accuracy can be broken down by. */
export const accuracyDimensions = [
  'link',
  'node',
  'operation',
  'model',
  'size',
  'basis',
  'instance',
  'cluster',
] as const;
export type AccuracyDimension = (typeof accuracyDimensions)[number];

export interface AccuracyGroup {
  key: string;
  figures: AccuracyFigures;
}

/** Groups in a breakdown; what is beyond is the least used and is left out. */
const MOST_GROUPS = 2_000;

/** Figures by group, the group with most moves first. A move counts for its source node and for its target node. O(n log n). */
export function accuracyBy(scores: readonly Score[], dimension: AccuracyDimension): AccuracyGroup[] {
  const groups = new Map<string, Score[]>();
  const add = (key: string, score: Score): void => {
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [score]);
    else group.push(score);
  };
  for (const score of scores) {
    if (dimension === 'node') {
      add(score.source_node, score);
      if (score.target_node !== score.source_node) add(score.target_node, score);
    } else if (dimension === 'size') add(sizeClass(score.memory_mib), score);
    else add(score[dimension], score);
  }
  return [...groups]
    .map(([key, members]) => ({ key, figures: accuracyOf(members) }))
    .filter((group): group is AccuracyGroup => group.figures !== undefined)
    .sort((a, b) => b.figures.moves - a.figures.moves || (a.key < b.key ? -1 : 1))
    .slice(0, MOST_GROUPS);
}

/** Class of configured memory, by powers of four from 1 GiB: flavours of one family differ by about that much. */
export function sizeClass(memoryMib: number | undefined): string {
  if (memoryMib === undefined) return 'unknown';
  const edgesGib = [1, 4, 16, 64];
  const gib = memoryMib / 1024;
  let lower = 0;
  for (const edge of edgesGib) {
    if (gib < edge) return lower === 0 ? `under ${edge} GiB` : `${lower} to ${edge} GiB`;
    lower = edge;
  }
  return `${lower} GiB and more`;
}

/** One point of a calibration plot: of an honest forecast, `share` of moves stay below the `level` quantile. */
export interface CalibrationPoint {
  level: number;
  share: number;
  low: number;
  high: number;
}

/** Share of completed moves at or below each predicted quantile, with its 95 % binomial band. */
export function calibrationOf(scores: readonly Score[]): CalibrationPoint[] {
  const levels = [
    ['p05', 0.05],
    ['p10', 0.1],
    ['p50', 0.5],
    ['p90', 0.9],
    ['p95', 0.95],
  ] as const;
  const below = levels.map(() => 0);
  let n = 0;
  for (const score of scores) {
    if (!score.completed) continue;
    n += 1;
    for (const [i, [name]] of levels.entries()) if (score.actual_seconds <= score[name]) below[i]! += 1;
  }
  return n === 0
    ? []
    : levels.map(([, level], i) => ({ level, share: below[i]! / n, ...binomialBand(n, level) }));
}

/** How many completed moves were predicted from each kind of history. */
export function countsBy(scores: readonly Score[], key: (score: Score) => string): Record<string, number> {
  const counts = new Map<string, number>();
  for (const score of scores) counts.set(key(score), (counts.get(key(score)) ?? 0) + 1);
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1]));
}
