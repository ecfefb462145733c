import { apeOf, pinballOf } from './accuracy.js';
import type { BacktestRow } from './backtest.js';
import { seededRandom } from './seeded-random.js';

/** An interval that holds the true figure in 95 of 100 samples like this one. */
export type Interval = readonly [low: number, high: number];

/** How far chance alone moves each figure of an accuracy, in the figure's own unit. */
export interface AccuracyIntervals {
  mape: Interval;
  median_ape: Interval;
  p90_ape: Interval;
  log_bias: Interval;
  pinball: Interval;
  coverage_80: Interval;
  coverage_90: Interval;
}

/** Enough for two digits of a 95 % interval. */
const REPLICATES = 500;
/** Chance left outside on each side. */
const TAIL = 0.025;

/**
 * Percentile bootstrap of the figures of `accuracyOf`, by whole blocks: moves of one instance are alike, so instances
 * are drawn with replacement, and each draw brings all moves of that instance (Field and Welsh, "Bootstrapping clustered
 * data", J. R. Stat. Soc. B 69, 2007). Moves that were broken off are left out, as they are in the figures.
 *
 * O(replicates · moves). Undefined below two blocks: they say nothing about others.
 *
 * @param blockOf the instance of a row
 */
export function accuracyIntervals(
  rows: readonly BacktestRow[],
  blockOf: (row: BacktestRow) => string,
  seed: number,
  replicates = REPLICATES,
): AccuracyIntervals | undefined {
  const done = rows.filter((row) => row.status === 'completed');
  const numbers = new Map<string, number>();
  const errors = Float64Array.from(done, apeOf);
  const actual = Float64Array.from(done, (row) => row.actual_seconds);
  const byError = sortedIndex(errors);
  const byActual = sortedIndex(actual);
  const block = new Int32Array(done.length);
  done.forEach((row, i) => {
    const name = blockOf(row);
    let number = numbers.get(name);
    if (number === undefined) numbers.set(name, (number = numbers.size));
    block[i] = number;
  });
  const blocks = numbers.size;
  if (blocks < 2) return undefined;
  // Sums of a block are all that the means need.
  const sums = {
    count: new Float64Array(blocks),
    error: new Float64Array(blocks),
    bias: new Float64Array(blocks),
    pinball: new Float64Array(blocks),
    in80: new Float64Array(blocks),
    in90: new Float64Array(blocks),
  };
  done.forEach((row, i) => {
    const b = block[i]!;
    const { p05, p10, p50, p90, p95 } = row.duration_seconds;
    const y = row.actual_seconds;
    sums.count[b]! += 1;
    sums.error[b]! += errors[i]!;
    sums.bias[b]! += Math.log(p50 / y);
    sums.pinball[b]! += pinballOf(row);
    if (y >= p10 && y <= p90) sums.in80[b]! += 1;
    if (y >= p05 && y <= p95) sums.in90[b]! += 1;
  });
  const random = seededRandom(seed);
  const drawn = new Float64Array(blocks);
  const total = (of: Float64Array): number => {
    let sum = 0;
    for (let b = 0; b < blocks; b++) sum += drawn[b]! * of[b]!;
    return sum;
  };
  const found: Record<keyof AccuracyIntervals, Float64Array> = {
    mape: new Float64Array(replicates),
    median_ape: new Float64Array(replicates),
    p90_ape: new Float64Array(replicates),
    log_bias: new Float64Array(replicates),
    pinball: new Float64Array(replicates),
    coverage_80: new Float64Array(replicates),
    coverage_90: new Float64Array(replicates),
  };
  for (let r = 0; r < replicates; r++) {
    drawn.fill(0);
    for (let k = 0; k < blocks; k++) drawn[Math.floor(random() * blocks)]! += 1;
    const count = total(sums.count);
    found.mape[r] = total(sums.error) / count;
    found.log_bias[r] = total(sums.bias) / count;
    found.coverage_80[r] = (100 * total(sums.in80)) / count;
    found.coverage_90[r] = (100 * total(sums.in90)) / count;
    found.median_ape[r] = drawnQuantile(errors, byError, block, drawn, 0.5 * count);
    found.p90_ape[r] = drawnQuantile(errors, byError, block, drawn, 0.9 * count);
    const median = drawnQuantile(actual, byActual, block, drawn, 0.5 * count);
    found.pinball[r] = (100 * total(sums.pinball)) / count / median;
  }
  const intervals = Object.entries(found).map(([name, values]) => [name, percentiles(values)] as const);
  return Object.fromEntries(intervals) as unknown as AccuracyIntervals;
}

/** What a challenger loses less or more than a champion on the same moves. */
export interface PairedDifference {
  /** Mean of (challenger − champion). */
  mean: number;
  interval: Interval;
  /** Chance that equals would differ at least as much, two-sided. */
  p_value: number;
  /** What was drawn as a whole: all moves of an instance, or moves that follow each other. */
  blocks: 'instances' | 'runs';
}

/** So many signs are drawn, and so many samples for the interval. */
const PAIRED_REPLICATES = 2000;
/** With so few blocks every combination of signs is tried: 2^12 are 4,096. */
const FEW_BLOCKS = 12;

/**
 * Whether two forecasts differ on the same moves, by the differences of their losses (Diebold and Mariano, "Comparing
 * predictive accuracy", J. Bus. Econ. Stat. 13, 1995). Moves of an instance are alike, so instances count as wholes:
 *
 * - p-value: were the forecasts equally good, the sum of an instance's differences could as well have the other sign. It
 *   is the share of sign changes by which the mean lies as far out as it does (Canay, Romano and Shaikh, "Randomization
 *   tests under an approximate symmetry assumption", Econometrica 85, 2017: valid for few instances too).
 * - interval: percentile bootstrap of whole instances, as in `accuracyIntervals`.
 *
 * One instance alone is cut into runs of n^(1/3) moves that follow each other (Künsch, Ann. Stat. 17, 1989).
 * O(replicates · blocks).
 *
 * @param differences challenger's loss − champion's loss of each move, in order of start
 * @param instances of the same moves
 */
export function pairedDifference(
  differences: ArrayLike<number>,
  instances: readonly string[],
  seed: number,
): PairedDifference {
  const n = differences.length;
  const numbers = new Map<string, number>();
  for (const instance of instances) if (!numbers.has(instance)) numbers.set(instance, numbers.size);
  const byInstance = numbers.size > 1;
  const runLength = Math.max(1, Math.round(Math.cbrt(n)));
  const blocks = byInstance ? numbers.size : Math.ceil(n / runLength);
  const sum = new Float64Array(blocks);
  const count = new Float64Array(blocks);
  let total = 0;
  for (let i = 0; i < n; i++) {
    const b = byInstance ? numbers.get(instances[i]!)! : Math.floor(i / runLength);
    sum[b]! += differences[i]!;
    count[b]! += 1;
    total += differences[i]!;
  }
  const random = seededRandom(seed);
  const means = new Float64Array(PAIRED_REPLICATES);
  for (let r = 0; r < PAIRED_REPLICATES; r++) {
    let drawnSum = 0;
    let drawnCount = 0;
    for (let k = 0; k < blocks; k++) {
      const b = Math.floor(random() * blocks);
      drawnSum += sum[b]!;
      drawnCount += count[b]!;
    }
    means[r] = drawnSum / drawnCount;
  }
  return {
    mean: total / n,
    interval: percentiles(means),
    p_value: signChanges(sum, random),
    blocks: byInstance ? 'instances' : 'runs',
  };
}

/** Share of sign changes of `sums` whose total is as far from 0 as the one at hand, which counts too. */
function signChanges(sums: Float64Array, random: () => number): number {
  const blocks = sums.length;
  let size = 0;
  let total = 0;
  for (const sum of sums) {
    total += sum;
    size += Math.abs(sum);
  }
  // Sums of the same numbers in another order differ in their last digits.
  const asFarAs = Math.abs(total) - size * 1e-12;
  let asFar = 0;
  if (blocks <= FEW_BLOCKS) {
    for (let signs = 0; signs < 2 ** blocks; signs++) {
      let changed = 0;
      for (let b = 0; b < blocks; b++) changed += (signs >> b) & 1 ? -sums[b]! : sums[b]!;
      if (Math.abs(changed) >= asFarAs) asFar++;
    }
    return asFar / 2 ** blocks;
  }
  for (let r = 0; r < PAIRED_REPLICATES; r++) {
    let changed = 0;
    for (let b = 0; b < blocks; b++) changed += random() < 0.5 ? -sums[b]! : sums[b]!;
    if (Math.abs(changed) >= asFarAs) asFar++;
  }
  return (asFar + 1) / (PAIRED_REPLICATES + 1);
}

const sortedIndex = (values: Float64Array): Int32Array =>
  Int32Array.from(values.keys()).sort((a, b) => values[a]! - values[b]!);

/** The value below which `weight` of the drawn moves lie. O(n). */
function drawnQuantile(
  values: Float64Array,
  order: Int32Array,
  block: Int32Array,
  drawn: Float64Array,
  weight: number,
): number {
  let below = 0;
  for (let k = 0; k < order.length; k++) {
    const i = order[k]!;
    below += drawn[block[i]!]!;
    if (below >= weight) return values[i]!;
  }
  return values[order[order.length - 1]!]!;
}

function percentiles(values: Float64Array): Interval {
  values.sort();
  const at = (p: number): number => values[Math.min(values.length - 1, Math.floor(p * values.length))]!;
  return [at(TAIL), at(1 - TAIL)];
}
