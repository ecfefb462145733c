import { quantileSorted } from 'simple-statistics';
import { binomialBand, type ShareBand } from '../src/domain/binomial.js';
import { QUANTILE_LEVELS, QUANTILE_NAMES } from '../src/domain/prediction.js';
import { apeOf, pinballOf } from './accuracy.js';
import { completedRows, type BacktestRow } from './backtest.js';

/** Of moves promised to end within a quantile, so many did. */
export interface CalibrationPoint extends ShareBand {
  level: number;
  /** Share of moves that took no longer than the quantile. */
  share: number;
}

/** O(n). The band is what chance allows an honest forecast of so many moves that have nothing to do with each other. */
export function calibrationOf(rows: readonly BacktestRow[]): CalibrationPoint[] {
  const done = completedRows(rows);
  if (done.length === 0) return [];
  return QUANTILE_LEVELS.map((level, j) => {
    const name = QUANTILE_NAMES[j]!;
    const within = done.filter((row) => row.actual_seconds <= row.duration_seconds[name]).length;
    return { level, share: within / done.length, ...binomialBand(done.length, level) };
  });
}

/** Whether a share of moves inside of an interval is what the interval promises, as far as chance allows. */
export interface CoverageVerdict extends ShareBand {
  share: number;
  verdict: 'as promised' | 'too narrow' | 'too wide';
}

/** @param share inside, 0 to 1, of `moves`; @param promised 0.8 or 0.9 */
export function coverageVerdict(share: number, moves: number, promised: number): CoverageVerdict {
  const band = binomialBand(moves, promised);
  const verdict = share < band.low ? 'too narrow' : share > band.high ? 'too wide' : 'as promised';
  return { share, ...band, verdict };
}

/** log2(actual ÷ predicted median): 1 is a move that took twice as long as predicted. */
export const residualOf = (row: BacktestRow): number =>
  Math.log2(row.actual_seconds / row.duration_seconds.p50);

/** Quantiles of the residuals of the last moves, and the share of them inside of their 90 % interval. */
export interface ResidualWindow {
  /** Index of its newest move. */
  at: number;
  low: number;
  median: number;
  high: number;
  in_90: number;
}

/**
 * Windows of `width` moves that follow each other, each half over the one before. O(n log width).
 *
 * @param rows completed, in order of start
 */
export function residualWindows(rows: readonly BacktestRow[], width: number): ResidualWindow[] {
  const windows: ResidualWindow[] = [];
  for (let end = width; end <= rows.length; end += Math.max(1, width >> 2)) {
    const members = rows.slice(end - width, end);
    const residuals = members.map(residualOf).sort((a, b) => a - b);
    const inside = members.filter(isIn90).length;
    windows.push({
      at: end - 1,
      low: quantileSorted(residuals, 0.1),
      median: quantileSorted(residuals, 0.5),
      high: quantileSorted(residuals, 0.9),
      in_90: inside / width,
    });
  }
  return windows;
}

export const isIn90 = ({ actual_seconds: y, duration_seconds: d }: BacktestRow): boolean =>
  y >= d.p05 && y <= d.p95;

/** Errors of moves with so much history. */
export interface LearningStep {
  /** Median number of moves in the history. */
  history: number;
  moves: number;
  median_ape: number;
  /** Mean pinball loss ÷ the move's own duration, in percent. */
  pinball: number;
}

/**
 * Error against the number of moves in the history: moves in order of it, cut into `steps` of the same width on the log
 * scale. Steps with fewer than `least` moves are left out. O(n log n).
 */
export function learningCurve(
  rows: readonly BacktestRow[],
  historyOf: (row: BacktestRow) => number,
  { steps = 12, least = 8 }: { steps?: number; least?: number } = {},
): LearningStep[] {
  const known = completedRows(rows).map((row) => ({ row, history: historyOf(row) }));
  if (known.length === 0) return [];
  const scaled = known.map(({ history }) => Math.log1p(history));
  const low = scaled.reduce((a, b) => Math.min(a, b), Infinity);
  const high = scaled.reduce((a, b) => Math.max(a, b), -Infinity);
  const bins = Array.from({ length: steps }, (): typeof known => []);
  known.forEach((item, i) => {
    const share = high > low ? (scaled[i]! - low) / (high - low) : 0;
    bins[Math.min(steps - 1, Math.floor(share * steps))]!.push(item);
  });
  return bins
    .filter((bin) => bin.length >= least)
    .map((bin) => ({
      history: middle(bin.map((item) => item.history)),
      moves: bin.length,
      median_ape: middle(bin.map((item) => apeOf(item.row))),
      pinball:
        (100 * bin.reduce((sum, { row }) => sum + pinballOf(row) / row.actual_seconds, 0)) / bin.length,
    }));
}

const middle = (values: number[]): number =>
  quantileSorted(
    values.sort((a, b) => a - b),
    0.5,
  );

/**
 * How many moves of the same group had finished when each move started. O(n log n).
 *
 * @param finishMs of every move, and its group
 */
export function finishedBefore(
  moves: readonly { id: string; group: string; startMs: number; finishMs: number }[],
): Map<string, number> {
  const finishes = new Map<string, number[]>();
  for (const { group, finishMs } of moves) {
    const members = finishes.get(group);
    if (members === undefined) finishes.set(group, [finishMs]);
    else members.push(finishMs);
  }
  for (const members of finishes.values()) members.sort((a, b) => a - b);
  return new Map(moves.map(({ id, group, startMs }) => [id, countUntil(finishes.get(group)!, startMs)]));
}

function countUntil(sorted: readonly number[], most: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const at = (low + high) >> 1;
    if (sorted[at]! <= most) low = at + 1;
    else high = at;
  }
  return low;
}
