/**
 * XGBoost and most ONNX models see a row in single precision: they round each value to a float first and compare then.
 * Which way a double goes can still be said by one double threshold, exactly, because rounding never changes the order.
 */
import { nextDown } from '../trees.js';

/** From here on a double rounds to an infinite float: halfway between the greatest float and 2^128. */
const ROUNDS_TO_INFINITY = 2 ** 128 - 2 ** 103;

const oneFloat = new Float32Array(1);
const itsBits = new Int32Array(oneFloat.buffer);

/** The smallest float above the float `x`. */
export function nextFloatUp(x: number): number {
  if (!(x < Infinity)) return x;
  oneFloat[0] = x;
  if (oneFloat[0] === 0) itsBits[0] = 1;
  else itsBits[0] = itsBits[0]! + (oneFloat[0] > 0 ? 1 : -1);
  return oneFloat[0];
}

/**
 * The greatest double x for which float(x) < `float`: "value < t in single precision" is "value <= this" for doubles.
 *
 * @example
 * greatestDoubleBelowFloat(0.5) < 0.5 && Math.fround(greatestDoubleBelowFloat(0.5)) < 0.5
 */
export function greatestDoubleBelowFloat(float: number): number {
  const t = Math.fround(float);
  if (Number.isNaN(t) || t === -Infinity) return NaN; // nothing is below
  const before = -nextFloatUp(-t);
  const low = before === -Infinity ? -ROUNDS_TO_INFINITY : before;
  if (low === -ROUNDS_TO_INFINITY) return low; // only what rounds to -Infinity lies below the lowest float
  const high = t === Infinity ? ROUNDS_TO_INFINITY : t;
  const middle = t === Infinity ? high : low / 2 + high / 2;
  return Math.fround(middle) < t ? middle : nextDown(middle);
}

/** The greatest double x for which float(x) <= `float`. */
export function greatestDoubleUpToFloat(float: number): number {
  const t = Math.fround(float);
  return t === Infinity ? Infinity : greatestDoubleBelowFloat(nextFloatUp(t));
}

/** The greatest float that is <= `x`: for floats, "value <= x" and "value <= this" say the same. */
export function greatestFloatUpTo(x: number): number {
  const f = Math.fround(x);
  return f <= x ? f : -nextFloatUp(-f);
}
