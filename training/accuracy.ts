import { mean, median, quantileSorted } from 'simple-statistics';
import { QUANTILE_LEVELS, QUANTILE_NAMES } from '../src/domain/prediction.js';
import type { BacktestRow } from './backtest.js';
import type { AccuracyIntervals } from './bootstrap.js';

/** How good predictions were, on moves that finished. Shares and errors in percent, but for the bias. */
export interface Accuracy {
  moves: number;
  mape: number;
  median_ape: number;
  p90_ape: number;
  /** Mean of log(predicted ÷ actual): above zero means predicted too long. */
  log_bias: number;
  /** Share of moves whose prediction was more than 25 % off. */
  worse_than_25: number;
  /** Mean pinball loss over the five levels ÷ the median duration, in percent. */
  pinball: number;
  /** Share of moves inside p10…p90 and p05…p95. */
  coverage_80: number;
  coverage_90: number;
  /** Median of (p90 − p10) ÷ p50 and (p95 − p05) ÷ p50. */
  width_80: number;
  width_90: number;
  /** Where each figure lies in 95 of 100 samples of instances like these. */
  intervals_95?: AccuracyIntervals;
}

/** O(n log n). Undefined when no move finished. */
export function accuracyOf(rows: readonly BacktestRow[]): Accuracy | undefined {
  const done = rows.filter((row) => row.status === 'completed');
  if (done.length === 0) return undefined;
  const errors = done.map((row) => apeOf(row)).sort((a, b) => a - b);
  const inside = (low: 'p05' | 'p10', high: 'p90' | 'p95'): number =>
    (100 * done.filter(({ actual_seconds: y, duration_seconds: d }) => y >= d[low] && y <= d[high]).length) /
    done.length;
  const width = (low: 'p05' | 'p10', high: 'p90' | 'p95'): number =>
    100 * median(done.map(({ duration_seconds: d }) => (d[high] - d[low]) / d.p50));
  return {
    moves: done.length,
    mape: mean(errors),
    median_ape: quantileSorted(errors, 0.5),
    p90_ape: quantileSorted(errors, 0.9),
    log_bias: mean(done.map((row) => Math.log(row.duration_seconds.p50 / row.actual_seconds))),
    worse_than_25: (100 * errors.filter((e) => e > 25).length) / done.length,
    pinball: (100 * mean(done.map(pinballOf))) / median(done.map((row) => row.actual_seconds)),
    coverage_80: inside('p10', 'p90'),
    coverage_90: inside('p05', 'p95'),
    width_80: width('p10', 'p90'),
    width_90: width('p05', 'p95'),
  };
}

/** Absolute percentage error of the median prediction. */
export const apeOf = (row: BacktestRow): number =>
  100 * Math.abs(row.duration_seconds.p50 / row.actual_seconds - 1);

/** Mean pinball loss over the five levels, in seconds. */
export function pinballOf(row: BacktestRow): number {
  let sum = 0;
  QUANTILE_LEVELS.forEach((level, j) => {
    const error = row.actual_seconds - row.duration_seconds[QUANTILE_NAMES[j]!];
    sum += error >= 0 ? level * error : (level - 1) * error;
  });
  return sum / QUANTILE_LEVELS.length;
}

/** Accuracy by group, in order of first appearance; with intervals where it is said how they are made. */
export function accuracyBy(
  rows: readonly BacktestRow[],
  groupOf: (row: BacktestRow) => string,
  intervalsOf: (rows: readonly BacktestRow[]) => AccuracyIntervals | undefined = () => undefined,
): Map<string, Accuracy> {
  const groups = new Map<string, BacktestRow[]>();
  for (const row of rows) {
    const group = groupOf(row);
    const members = groups.get(group);
    if (members === undefined) groups.set(group, [row]);
    else members.push(row);
  }
  const accuracies = new Map<string, Accuracy>();
  for (const [group, members] of groups) {
    const accuracy = accuracyOf(members);
    if (accuracy === undefined) continue;
    const intervals = intervalsOf(members);
    accuracies.set(group, intervals === undefined ? accuracy : { ...accuracy, intervals_95: intervals });
  }
  return accuracies;
}
