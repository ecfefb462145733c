import { QUANTILE_LEVELS } from '../domain/prediction.js';

const { exp, log, max } = Math;

/**
 * A distribution given by its values at QUANTILE_LEVELS: its distribution function is linear between them, and falls off
 * exponentially beyond the outer two, so that no value is impossible. For durations, the values are logarithms.
 */

const LAST = QUANTILE_LEVELS.length - 1;
const MIDDLE = LAST >> 1;
const LOWEST = QUANTILE_LEVELS[0];
const NARROWEST = 1e-9;
/** Beyond an outer level the tail falls by e over a third of that level's distance from the median, as a normal curve's nearly does. */
const TAIL_SHARE = 1 / 3;

const tailWidth = (values: ArrayLike<number>, outer: number): number =>
  TAIL_SHARE * max(NARROWEST, outer === 0 ? values[MIDDLE]! - values[0]! : values[LAST]! - values[MIDDLE]!);

/** P(x ≤ value), above 0 and below 1. */
export function probabilityBelow(values: ArrayLike<number>, value: number): number {
  if (value <= values[0]!) return LOWEST * exp((value - values[0]!) / tailWidth(values, 0));
  if (value >= values[LAST]!) return 1 - LOWEST * exp((values[LAST]! - value) / tailWidth(values, LAST));
  let j = 1;
  while (value > values[j]!) j++;
  const low = QUANTILE_LEVELS[j - 1]!;
  const width = max(NARROWEST, values[j]! - values[j - 1]!);
  return low + ((QUANTILE_LEVELS[j]! - low) * (value - values[j - 1]!)) / width;
}

/** The value with P(x ≤ value) = p, 0 < p < 1: the inverse of `probabilityBelow`. */
export function valueAt(values: ArrayLike<number>, p: number): number {
  if (p <= LOWEST) return values[0]! + log(p / LOWEST) * tailWidth(values, 0);
  if (p >= 1 - LOWEST) return values[LAST]! - log((1 - p) / LOWEST) * tailWidth(values, LAST);
  let j = 1;
  while (p > QUANTILE_LEVELS[j]!) j++;
  const low = QUANTILE_LEVELS[j - 1]!;
  return values[j - 1]! + ((p - low) / (QUANTILE_LEVELS[j]! - low)) * (values[j]! - values[j - 1]!);
}

/** The largest share of a distribution that can have passed: beyond it only rounding is left. */
const MOST_PASSED = 1 - 1e-12;

/** Quantiles at QUANTILE_LEVELS given that x > `passed`, into `out`: each is above `passed`. */
export function conditionedOn(values: ArrayLike<number>, passed: number, out: Float64Array): Float64Array {
  const below = probabilityBelow(values, passed);
  if (below >= MOST_PASSED) {
    // An exponential tail forgets: what is left of it looks as it did at its beginning.
    const width = tailWidth(values, LAST);
    for (let j = 0; j <= LAST; j++) out[j] = passed - log(1 - QUANTILE_LEVELS[j]!) * width;
    return out;
  }
  for (let j = 0; j <= LAST; j++)
    out[j] = max(passed, valueAt(values, below + QUANTILE_LEVELS[j]! * (1 - below)));
  return out;
}
