import { DEFAULT_CLUSTER, isCompleted, type MoveRecord } from '../src/domain/move-record.js';
import { inputsOfRecord, type MoveInputs } from '../src/predictor/move-inputs.js';
import {
  constantNames,
  movePhysics,
  newPhysicsResult,
  physicsConstants,
  priorConstants,
  type PhysicsConstants,
} from '../src/predictor/move-physics.js';
import { solveLinear } from './linear-solver.js';

// Bound once: a lookup through the global object costs more than the function itself where it is not inlined.
const { abs, exp, floor, log, max, min } = Math;

/** The fit looks at no more than so many moves, evenly over the history: constants are few, and time is bounded. */
const MOST_FIT_MOVES = 600;
/** A cluster gets constants of its own from so many completed moves on. */
const OWN_CONSTANTS_FROM = 20;
/** Errors beyond this count linearly (Huber), in log units. */
const HUBER = 0.1;
/** Moves of one kind err together, so that many of them must not outweigh the priors: no less noise is believed. */
const LEAST_DEVIATION = 0.15;
/** A cluster's constants may leave those of all clusters by this share of what these may leave the priors. */
const CLUSTER_SPREAD = 0.6;
/** No fit leaves the prior by more than so many spreads: poisoned history must not make the physics absurd. */
const MOST_SPREADS = 3;
const MOST_STEPS = 25;
/** Length of the step of the numerical derivative by the logarithm of a constant. */
const DERIVATIVE_STEP = 1e-3;
/** A step that lowers the cost by less than this share ends the search. */
const LEAST_GAIN = 1e-4;
/** Levenberg and Marquardt's damping: at first, and its bounds. */
const FIRST_DAMPING = 0.1;
const LEAST_DAMPING = 1e-4;
const MOST_DAMPING = 1e6;

/**
 * Constants that make the physics fit the durations: maximum a posteriori under a Huber loss of log T and normal priors
 * on the logarithms, found by Levenberg and Marquardt's method with a numerical derivative. Deterministic.
 * O(steps · constants · moves), at most 25 · 23 · 600 evaluations of the physics.
 */
export function fitPhysics(
  records: readonly MoveRecord[],
  start: PhysicsConstants = priorConstants(),
  spreadShare = 1,
  inputsOf: (record: MoveRecord) => MoveInputs = inputsOfRecord,
): PhysicsConstants {
  const completed = evenly(records.filter(isCompleted), MOST_FIT_MOVES);
  const n = completed.length;
  if (n === 0) return { ...start };
  const inputs = completed.map(inputsOf);
  const truth = Float64Array.from(completed, (record) => log(record.duration_seconds));
  const m = constantNames.length;
  const origin = constantNames.map((name) => log(start[name]));
  const spread = constantNames.map((name) => physicsConstants[name].spread * spreadShare);
  const residual = new Float64Array(n);
  const trial = new Float64Array(n);
  const derivative = constantNames.map(() => new Float64Array(n));

  let theta = [...origin];
  residualsAt(theta, inputs, truth, residual);
  let damping = FIRST_DAMPING;
  for (let step = 0; step < MOST_STEPS; step++) {
    const deviation = max(LEAST_DEVIATION, middleOf(residual) / 0.6745);
    const precision = 1 / (deviation * deviation);
    const costOf = (errors: Float64Array, at: readonly number[]): number => {
      let cost = 0;
      for (let i = 0; i < n; i++) cost += huber(errors[i]!);
      cost *= precision;
      for (let j = 0; j < m; j++) cost += 0.5 * ((at[j]! - origin[j]!) / spread[j]!) ** 2;
      return cost;
    };
    const cost = costOf(residual, theta);
    for (let j = 0; j < m; j++) {
      const moved = [...theta];
      moved[j] = moved[j]! + DERIVATIVE_STEP;
      residualsAt(moved, inputs, truth, derivative[j]!);
      // Of the prediction, which is truth minus residual.
      for (let i = 0; i < n; i++) derivative[j]![i] = (residual[i]! - derivative[j]![i]!) / DERIVATIVE_STEP;
    }
    const normal = constantNames.map(() => new Float64Array(m + 1));
    for (let a = 0; a < m; a++) {
      const da = derivative[a]!;
      for (let i = 0; i < n; i++) {
        const e = residual[i]!;
        const weighted = da[i]! * precision * (abs(e) <= HUBER ? 1 : HUBER / abs(e));
        if (weighted === 0) continue;
        for (let b = 0; b <= a; b++) normal[a]![b]! += weighted * derivative[b]![i]!;
        normal[a]![m]! += weighted * e;
      }
      const prior = 1 / (spread[a]! * spread[a]!);
      normal[a]![a]! += prior;
      normal[a]![m]! += prior * (origin[a]! - theta[a]!);
    }
    for (let a = 0; a < m; a++) for (let b = a + 1; b < m; b++) normal[a]![b] = normal[b]![a]!;

    let gained = 0;
    while (damping <= MOST_DAMPING) {
      const damped = normal.map((row, j) => {
        const copy = row.slice();
        copy[j]! *= 1 + damping;
        return copy;
      });
      const change = solveLinear(damped);
      const next = theta.map((value, j) => bounded(value + change[j]!, j));
      residualsAt(next, inputs, truth, trial);
      gained = cost - costOf(trial, next);
      if (gained > 0) {
        theta = next;
        residual.set(trial);
        damping = max(LEAST_DAMPING, damping / 5);
        break;
      }
      damping *= 5;
    }
    if (!(gained > LEAST_GAIN * cost)) break;
  }
  return constantsOf(theta);
}

/** Constants of all clusters together, and of each that has enough moves, pulled to those of all. */
export function fitPhysicsByCluster(
  records: readonly MoveRecord[],
  inputsOf: (record: MoveRecord) => MoveInputs = inputsOfRecord,
): {
  global: PhysicsConstants;
  clusters: Record<string, PhysicsConstants>;
} {
  const global = fitPhysics(records, priorConstants(), 1, inputsOf);
  const byCluster = new Map<string, MoveRecord[]>();
  for (const record of records) {
    const cluster = record.cluster ?? DEFAULT_CLUSTER;
    const rows = byCluster.get(cluster);
    if (rows === undefined) byCluster.set(cluster, [record]);
    else rows.push(record);
  }
  const clusters: Record<string, PhysicsConstants> = {};
  for (const [cluster, rows] of [...byCluster].sort(([a], [b]) => (a < b ? -1 : 1)))
    if (rows.filter(isCompleted).length >= OWN_CONSTANTS_FROM)
      clusters[cluster] = fitPhysics(rows, global, CLUSTER_SPREAD, inputsOf);
  return { global, clusters };
}

function constantsOf(theta: readonly number[]): PhysicsConstants {
  const constants = priorConstants();
  constantNames.forEach((name, j) => (constants[name] = exp(theta[j]!)));
  return constants;
}

/** log T minus the logarithm of what physics says, into `out`. */
function residualsAt(
  theta: readonly number[],
  inputs: readonly MoveInputs[],
  truth: Float64Array,
  out: Float64Array,
): void {
  const constants = constantsOf(theta);
  for (let i = 0; i < inputs.length; i++)
    out[i] = truth[i]! - log(movePhysics(inputs[i]!, constants, scratch).seconds);
}

const scratch = newPhysicsResult();

/** The logarithm of constant `j`, kept within what its prior allows. */
function bounded(value: number, j: number): number {
  const { prior, spread } = physicsConstants[constantNames[j]!];
  const most = MOST_SPREADS * spread;
  return max(log(prior) - most, min(log(prior) + most, value));
}

/** Median of the absolute values. */
function middleOf(errors: Float64Array): number {
  const sizes = errors.map(abs).sort();
  return sizes[sizes.length >> 1]!;
}

/** At most `most` of `items`, evenly over their order, the last among them. */
function evenly<T>(items: readonly T[], most: number): readonly T[] {
  if (items.length <= most) return items;
  return Array.from({ length: most }, (_, i) => items[floor(((i + 1) * items.length) / most) - 1]!);
}

const huber = (error: number): number => {
  const size = abs(error);
  return size <= HUBER ? 0.5 * size * size : HUBER * (size - 0.5 * HUBER);
};
