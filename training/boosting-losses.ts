/**
 * What boosting minimises: for each loss its value, its gradient and its curvature at every row, the best constant, and
 * (for the losses of ranks, L1 and quantile) the exact best value of a leaf.
 *
 * Accelerated failure time (AFT): target = prediction + scale · error, error normal, logistic or extreme (Gumbel of the
 * smallest value: a Weibull time). The target is a logarithm of time; a censored row says "at least this".
 * Likelihoods as in Barnwal, Cho, Hocking, "Survival regression with accelerated failure time model in XGBoost" (2022).
 * Ours are multiplied by scale², so that a row's curvature is about 1 and `l2` and `minChildWeight` count rows.
 */

export const boostingLosses = ['squared', 'l1', 'quantile', 'aft', 'logistic'] as const;
export type BoostingLoss = (typeof boostingLosses)[number];

export const aftDistributions = ['normal', 'logistic', 'extreme'] as const;
export type AftDistribution = (typeof aftDistributions)[number];

/** A row's pull is cut here (in units of `scale`), as in XGBoost: an absurd record may pull, but not without bound. */
const AFT_MOST_GRADIENT = 15;
const AFT_MOST_CURVATURE = 15;
const AFT_LEAST_CURVATURE = 1e-16;

export interface LossOfRows {
  readonly loss: BoostingLoss;
  readonly target: Float64Array;
  readonly weights: Float64Array | undefined;
  readonly censored: Uint8Array | undefined;
  /** Level of the quantile loss; 0.5 for L1. */
  readonly quantile: number;
  readonly distribution: AftDistribution;
  readonly scale: number;
}

/** True where leaves are set to a quantile of what is left over in them, instead of a gradient step. */
export const leavesAreQuantiles = (loss: BoostingLoss): boolean => loss === 'l1' || loss === 'quantile';

/** Writes gradient and curvature of rows `from … to - 1`, times their weights. O(rows). */
export function fillGradients(
  of: LossOfRows,
  prediction: Float64Array,
  from: number,
  to: number,
  gradient: Float64Array,
  curvature: Float64Array,
): void {
  const { target, weights } = of;
  switch (of.loss) {
    case 'squared':
      for (let row = from; row < to; row++) {
        gradient[row] = prediction[row]! - target[row]!;
        curvature[row] = 1;
      }
      break;
    case 'l1':
    case 'quantile':
      for (let row = from; row < to; row++) {
        const rest = target[row]! - prediction[row]!;
        gradient[row] = rest > 0 ? -of.quantile : rest < 0 ? 1 - of.quantile : 0;
        curvature[row] = 1;
      }
      break;
    case 'logistic':
      for (let row = from; row < to; row++) {
        const p = 1 / (1 + Math.exp(-prediction[row]!));
        gradient[row] = p - target[row]!;
        curvature[row] = Math.max(p * (1 - p), AFT_LEAST_CURVATURE);
      }
      break;
    case 'aft':
      fillAftGradients(of, prediction, from, to, gradient, curvature);
      break;
  }
  if (weights === undefined) return;
  for (let row = from; row < to; row++) {
    gradient[row] = gradient[row]! * weights[row]!;
    curvature[row] = curvature[row]! * weights[row]!;
  }
}

function fillAftGradients(
  of: LossOfRows,
  prediction: Float64Array,
  from: number,
  to: number,
  gradient: Float64Array,
  curvature: Float64Array,
): void {
  const { target, censored, distribution, scale } = of;
  for (let row = from; row < to; row++) {
    const z = (target[row]! - prediction[row]!) / scale;
    const open = censored !== undefined && censored[row] === 1;
    let slope: number; // d(-log likelihood) / dz
    let bend: number; // the second derivative
    if (distribution === 'normal') {
      slope = open ? normalHazard(z) : z;
      bend = open ? slope * (slope - z) : 1;
    } else if (distribution === 'logistic') {
      const s = 1 / (1 + Math.exp(-z));
      slope = open ? s : 2 * s - 1;
      bend = (open ? 1 : 2) * s * (1 - s);
    } else {
      const e = Math.exp(Math.min(z, Math.log(AFT_MOST_GRADIENT) + 1));
      slope = open ? e : e - 1;
      bend = e;
    }
    gradient[row] = -scale * Math.max(-AFT_MOST_GRADIENT, Math.min(AFT_MOST_GRADIENT, slope));
    curvature[row] = Math.max(AFT_LEAST_CURVATURE, Math.min(AFT_MOST_CURVATURE, bend));
  }
}

/** Weighted mean loss of rows `from … to - 1`; 0 for no rows. O(rows). */
export function meanLoss(of: LossOfRows, prediction: Float64Array, from: number, to: number): number {
  let sum = 0;
  let total = 0;
  for (let row = from; row < to; row++) {
    const weight = of.weights === undefined ? 1 : of.weights[row]!;
    sum += weight * lossOf(of, row, prediction[row]!);
    total += weight;
  }
  return total > 0 ? sum / total : 0;
}

function lossOf(of: LossOfRows, row: number, prediction: number): number {
  const rest = of.target[row]! - prediction;
  switch (of.loss) {
    case 'squared':
      return rest * rest;
    case 'l1':
      return Math.abs(rest);
    case 'quantile':
      return rest >= 0 ? of.quantile * rest : (of.quantile - 1) * rest;
    case 'logistic':
      return softplus(prediction) - of.target[row]! * prediction;
    case 'aft': {
      const z = rest / of.scale;
      const open = of.censored !== undefined && of.censored[row] === 1;
      if (of.distribution === 'normal') {
        return open ? -logNormalSurvival(z) : z * z * 0.5 + Math.log(of.scale) + HALF_LOG_2PI;
      }
      if (of.distribution === 'logistic') {
        return open ? softplus(z) : 2 * softplus(z) - z + Math.log(of.scale);
      }
      return open ? Math.exp(z) : Math.exp(z) - z + Math.log(of.scale);
    }
  }
}

/** log(1 + e^x) without overflow. */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** The constant from which boosting starts: the one of least loss on rows `0 … rows - 1`. O(rows). */
export function bestConstant(of: LossOfRows, rows: number): number {
  if (of.loss === 'squared') return weightedMean(of, rows);
  if (of.loss === 'logistic') {
    const p = Math.min(Math.max(weightedMean(of, rows), 1e-6), 1 - 1e-6);
    return Math.log(p / (1 - p));
  }
  const weights = new Float64Array(rows).fill(1);
  if (of.weights !== undefined) weights.set(of.weights.subarray(0, rows));
  const middle = weightedQuantile(of.target.slice(0, rows), weights, rows, of.quantile);
  return of.loss === 'aft' ? newtonConstant(of, rows, middle) : middle;
}

function weightedMean(of: LossOfRows, rows: number): number {
  let mean = 0;
  let total = 0;
  for (let row = 0; row < rows; row++) {
    const weight = of.weights === undefined ? 1 : of.weights[row]!;
    if (weight === 0) continue;
    total += weight;
    mean += (weight / total) * (of.target[row]! - mean);
  }
  return mean;
}

/** A convex loss of one number: Newton's steps from the median settle in a few; 50 are far more than any data needs. */
const NEWTON_STEPS = 50;
/** Steps are kept within this many scales, so that a far start cannot overshoot. */
const NEWTON_MOST_SCALES = 2;

function newtonConstant(of: LossOfRows, rows: number, start: number): number {
  const prediction = new Float64Array(rows);
  const gradient = new Float64Array(rows);
  const curvature = new Float64Array(rows);
  const most = NEWTON_MOST_SCALES * of.scale;
  let constant = start;
  for (let round = 0; round < NEWTON_STEPS; round++) {
    prediction.fill(constant);
    fillGradients(of, prediction, 0, rows, gradient, curvature);
    let g = 0;
    let h = 0;
    for (let row = 0; row < rows; row++) {
      g += gradient[row]!;
      h += curvature[row]!;
    }
    const step = h > 0 ? Math.max(-most, Math.min(most, -g / h)) : 0;
    constant += step;
    if (Math.abs(step) <= 1e-9 * of.scale) break;
  }
  return constant;
}

/**
 * The q-quantile of `values[0 … n - 1]` by weight: the least value with at least q of all weight at or below it, or the
 * middle of two where exactly q is reached (so that the median of an even number is the usual one). It minimises the
 * pinball loss. Reorders both arrays. O(n) on average; 0 for n = 0 or no weight.
 *
 * @example
 * weightedQuantile(Float64Array.of(4, 1, 3, 2), Float64Array.of(1, 1, 1, 1), 4, 0.5) === 2.5
 */
export function weightedQuantile(values: Float64Array, weights: Float64Array, n: number, q: number): number {
  let total = 0;
  for (let i = 0; i < n; i++) total += weights[i]!;
  if (n === 0 || !(total > 0)) return 0;
  const wanted = q * total;
  const exact = total * 1e-12; // sums of weights are only so exact
  let low = 0;
  let high = n - 1;
  let below = 0; // weight of everything left of `low`
  for (;;) {
    const pivot = middleOfThree(values[low]!, values[(low + high) >> 1]!, values[high]!);
    let smaller = low; // values[low … smaller - 1] < pivot
    let i = low;
    let greater = high; // values[greater + 1 … high] > pivot
    let weightSmaller = 0;
    let weightEqual = 0;
    while (i <= greater) {
      const v = values[i]!;
      const w = weights[i]!;
      if (v < pivot) {
        values[i] = values[smaller]!;
        weights[i] = weights[smaller]!;
        values[smaller] = v;
        weights[smaller] = w;
        weightSmaller += w;
        smaller++;
        i++;
      } else if (v > pivot) {
        values[i] = values[greater]!;
        weights[i] = weights[greater]!;
        values[greater] = v;
        weights[greater] = w;
        greater--;
      } else {
        weightEqual += w;
        i++;
      }
    }
    if (smaller > low && below + weightSmaller >= wanted - exact) {
      if (Math.abs(below + weightSmaller - wanted) <= exact) {
        return (
          (greatestWithWeight(values, weights, low, smaller, pivot) +
            leastWithWeight(values, weights, smaller, n, pivot)) /
          2
        );
      }
      high = smaller - 1;
    } else if (below + weightSmaller + weightEqual >= wanted - exact || greater === high) {
      const at = below + weightSmaller + weightEqual;
      if (weightEqual > 0 && Math.abs(at - wanted) <= exact && greater < n - 1) {
        return (pivot + leastWithWeight(values, weights, greater + 1, n, pivot)) / 2;
      }
      return pivot;
    } else {
      below += weightSmaller + weightEqual;
      low = greater + 1;
    }
  }
}

const middleOfThree = (a: number, b: number, c: number): number =>
  Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));

function leastWithWeight(v: Float64Array, w: Float64Array, from: number, to: number, none: number): number {
  let least = Infinity;
  for (let i = from; i < to; i++) if (w[i]! > 0 && v[i]! < least) least = v[i]!;
  return least === Infinity ? none : least;
}

function greatestWithWeight(
  v: Float64Array,
  w: Float64Array,
  from: number,
  to: number,
  none: number,
): number {
  let greatest = -Infinity;
  for (let i = from; i < to; i++) if (w[i]! > 0 && v[i]! > greatest) greatest = v[i]!;
  return greatest === -Infinity ? none : greatest;
}

const HALF_LOG_2PI = Math.log(2 * Math.PI) / 2;

/** Below this the tail of the normal comes from its series, above from its continued fraction; both are exact there. */
const TAIL_FROM = 2.5;
/** Left of this all but 1e-15 of the mass lies to the right. */
const ALL_FROM = -8;

/** Density over tail of the standard normal: what a censored row pulls with. About z for large z, never negative. */
export function normalHazard(z: number): number {
  if (z < TAIL_FROM) return Math.exp(-0.5 * z * z - HALF_LOG_2PI) / lowerTailComplement(z);
  return 1 / millsRatio(z);
}

/** log P(Z > z) of the standard normal. */
export function logNormalSurvival(z: number): number {
  if (z < TAIL_FROM) return Math.log(lowerTailComplement(z));
  return -0.5 * z * z - HALF_LOG_2PI + Math.log(millsRatio(z));
}

/** P(Z > z) for z < 2.5 by the series of Marsaglia: 1/2 - density · (z + z³/3 + z⁵/15 + …). */
function lowerTailComplement(z: number): number {
  if (z < ALL_FROM) return 1;
  let term = z;
  let sum = z;
  for (let k = 3; Math.abs(term) > 1e-17 * Math.abs(sum); k += 2) {
    term *= (z * z) / k;
    sum += term;
  }
  return 0.5 - Math.exp(-0.5 * z * z - HALF_LOG_2PI) * sum;
}

/** Tail over density for z >= 2.5, by Laplace's continued fraction 1/(z + 1/(z + 2/(z + 3/(z + …)))). */
function millsRatio(z: number): number {
  let rest = z;
  for (let k = 60; k >= 1; k--) rest = z + k / rest;
  return 1 / rest;
}
