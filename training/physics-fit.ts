import { DEFAULT_CLUSTER, isCompleted, type MoveRecord } from '../src/domain/move-record.js';
import { Level, moveKeys } from '../src/predictor/move-keys.js';
import { NodeSpeeds } from '../src/predictor/node-speeds.js';
import { inputsOfRecord, type MoveInputs } from '../src/predictor/move-inputs.js';
import {
  constantNames,
  bandwidthSlope,
  movePhysics,
  newPhysicsResult,
  physicsConstants,
  priorConstants,
  secondsWhenSent,
  sentOf,
  type PhysicsConstants,
} from '../src/predictor/move-physics.js';
import { dictionary } from './dictionary.js';
import { solveLinear } from './linear-solver.js';

// Bound once: a lookup through the global object costs more than the function itself where it is not inlined.
const { abs, exp, floor, log, max, min, sqrt } = Math;

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
/** Nodes of a cluster differ in speed by this variance (log scale) unless its moves say otherwise; worth so many nodes. */
const PRIOR_SPEED_VARIANCE = 0.01;
const PRIOR_SPEED_NODES = 4;
/** Speeds of nodes and constants are fitted in turn so many times: a third changed nothing. */
const SPEED_ROUNDS = 2;
/** Errors of a move beyond so many deviations count as that many when speeds are learnt from it. */
const SPEED_CLIP_DEVIATIONS = 2;
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
 * Constants that make the physics fit the durations, and what was sent where records tell: either alone can not tell much
 * memory from a slow stream. Maximum a posteriori under a Huber loss of their logarithms and normal priors
 * on those of the constants, found by Levenberg and Marquardt's method with a numerical derivative, which
 * begins at `from`; the priors stand around `start`. Deterministic.
 * O(steps · constants · moves), at most 25 · 24 · 600 evaluations of the physics.
 */
export function fitPhysics(
  records: readonly MoveRecord[],
  start: PhysicsConstants = priorConstants(),
  spreadShare = 1,
  inputsOf: (record: MoveRecord) => MoveInputs = inputsOfRecord,
  from: PhysicsConstants = start,
): PhysicsConstants {
  const completed = evenly(records.filter(isCompleted), MOST_FIT_MOVES);
  const moves = completed.length;
  if (moves === 0) return { ...start };
  const inputs = completed.map(inputsOf);
  const truth = Float64Array.from(completed, (record) => log(record.duration_seconds));
  const sent = Float64Array.from(completed, (record, i) => sentOf(record, inputs[i]!));
  const n = 2 * moves;
  const m = constantNames.length;
  const origin = constantNames.map((name) => log(start[name]));
  const spread = constantNames.map((name) => physicsConstants[name].spread * spreadShare);
  const residual = new Float64Array(n);
  const trial = new Float64Array(n);
  const derivative = constantNames.map(() => new Float64Array(n));

  let theta = constantNames.map((name) => log(from[name]));
  residualsAt(theta, inputs, truth, sent, residual);
  let damping = FIRST_DAMPING;
  for (let step = 0; step < MOST_STEPS; step++) {
    const deviation = max(LEAST_DEVIATION, middleOf(residual.subarray(0, moves)) / 0.6745);
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
      residualsAt(moved, inputs, truth, sent, derivative[j]!);
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
      residualsAt(next, inputs, truth, sent, trial);
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

/**
 * σ of the logarithm of each constant given the moves that it was fitted to and all the others: its prior's where no move
 * depends on it. O(constants · moves).
 */
export function constantSpreads(
  records: readonly MoveRecord[],
  constants: PhysicsConstants,
  inputsOf: (record: MoveRecord) => MoveInputs = inputsOfRecord,
): PhysicsConstants {
  const completed = evenly(records.filter(isCompleted), MOST_FIT_MOVES);
  const inputs = completed.map(inputsOf);
  const truth = Float64Array.from(completed, (record) => log(record.duration_seconds));
  const sent = Float64Array.from(completed, (record, i) => sentOf(record, inputs[i]!));
  const residual = new Float64Array(2 * completed.length);
  const moved = new Float64Array(2 * completed.length);
  const theta = constantNames.map((name) => log(constants[name]));
  residualsAt(theta, inputs, truth, sent, residual);
  const spreads = { ...constants };
  constantNames.forEach((name, j) => {
    residualsAt(theta.with(j, theta[j]! + DERIVATIVE_STEP), inputs, truth, sent, moved);
    let squares = 0;
    for (let i = 0; i < moved.length; i++) squares += ((moved[i]! - residual[i]!) / DERIVATIVE_STEP) ** 2;
    spreads[name] = 1 / sqrt(1 / physicsConstants[name].spread ** 2 + squares / LEAST_DEVIATION ** 2);
  });
  return spreads;
}

/** What is fitted: constants, and how fast nodes are. */
export interface FittedPhysics {
  global: PhysicsConstants;
  clusters: Record<string, PhysicsConstants>;
  speedSpread: { global: number; clusters: Record<string, number> };
  /** Logarithms of the nodes' speeds by key of node (see `moveKeys`). */
  speeds: ReadonlyMap<string, number>;
}

/**
 * Constants of all clusters together, and of each that has enough moves, pulled to those of all; there the speeds of the
 * nodes and the constants are fitted in turn.
 */
export function fitPhysicsByCluster(
  records: readonly MoveRecord[],
  inputsOf: (record: MoveRecord) => MoveInputs = inputsOfRecord,
): FittedPhysics {
  const global = fitPhysics(records, priorConstants(), 1, inputsOf);
  const byCluster = new Map<string, MoveRecord[]>();
  for (const record of records) {
    const cluster = record.cluster ?? DEFAULT_CLUSTER;
    const rows = byCluster.get(cluster);
    if (rows === undefined) byCluster.set(cluster, [record]);
    else rows.push(record);
  }
  const clusters = dictionary<PhysicsConstants>();
  const speedSpread = { global: PRIOR_SPEED_VARIANCE, clusters: dictionary<number>() };
  const speeds = new Map<string, number>();
  for (const [cluster, rows] of [...byCluster].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (rows.filter(isCompleted).length < OWN_CONSTANTS_FROM) continue;
    let constants = fitPhysics(rows, global, CLUSTER_SPREAD, inputsOf);
    for (let round = 0; round < SPEED_ROUNDS; round++) {
      const fitted = fitSpeeds(cluster, rows, constants, inputsOf, speedSpread.clusters[cluster]);
      speedSpread.clusters[cluster] = fitted.variance;
      for (const [node, { mean }] of fitted.speeds) speeds.set(node, mean);
      constants = fitPhysics(rows, global, CLUSTER_SPREAD, withSpeeds(speeds, inputsOf), constants);
    }
    clusters[cluster] = constants;
  }
  return { global, clusters, speedSpread, speeds };
}

/** The inputs of a move with the fitted speeds of its nodes, in place. */
export const withSpeeds =
  (speeds: ReadonlyMap<string, number>, inputsOf: (record: MoveRecord) => MoveInputs) =>
  (record: MoveRecord): MoveInputs => {
    const inputs = inputsOf(record);
    const keys = moveKeys(inputs);
    inputs.sourceSpeed = speeds.get(keys[Level.source]!) ?? 0;
    inputs.targetSpeed = speeds.get(keys[Level.target]!) ?? 0;
    return inputs;
  };

/**
 * The speeds of a cluster's nodes from one pass over its moves, and the variance that makes them likeliest: one step of EM.
 * O(moves).
 */
function fitSpeeds(
  cluster: string,
  records: readonly MoveRecord[],
  constants: PhysicsConstants,
  inputsOf: (record: MoveRecord) => MoveInputs,
  variance = PRIOR_SPEED_VARIANCE,
): { speeds: NodeSpeeds; variance: number } {
  const speeds = new NodeSpeeds({ global: variance, clusters: {} });
  const nodes = new Set<string>();
  for (const record of records) {
    if (!isCompleted(record)) continue;
    const inputs = inputsOf(record);
    const keys = moveKeys(inputs);
    const [source, target] = [keys[Level.source]!, keys[Level.target]!];
    inputs.sourceSpeed = speeds.mean(source);
    inputs.targetSpeed = speeds.mean(target);
    const result = movePhysics(inputs, constants, scratch);
    if (result.sourceLimits === 0) continue;
    nodes.add(source).add(target);
    const known = sentOf(record, inputs);
    const sentMib = known > 0 ? known : result.transferredMib;
    const seconds = secondsWhenSent(result, sentMib);
    const slope = bandwidthSlope(result, sentMib, seconds);
    const sourceSlope = slope * result.sourceLimits;
    const targetSlope = slope * result.targetLimits;
    const total =
      LEAST_DEVIATION ** 2 +
      sourceSlope ** 2 * speeds.variance(cluster, source) +
      targetSlope ** 2 * speeds.variance(cluster, target);
    const most = SPEED_CLIP_DEVIATIONS * sqrt(total);
    const error = max(-most, min(most, log(record.duration_seconds / seconds)));
    speeds.learn(cluster, source, error, sourceSlope, total);
    speeds.learn(cluster, target, error, targetSlope, total);
  }
  let sum = PRIOR_SPEED_NODES * PRIOR_SPEED_VARIANCE;
  for (const node of nodes) sum += speeds.mean(node) ** 2 + speeds.variance(cluster, node);
  return { speeds, variance: sum / (PRIOR_SPEED_NODES + nodes.size) };
}

function constantsOf(theta: readonly number[]): PhysicsConstants {
  const constants = priorConstants();
  constantNames.forEach((name, j) => (constants[name] = exp(theta[j]!)));
  return constants;
}

/**
 * Into `out`: of each move log T minus the logarithm of what physics says, then of each the same of what was sent, 0 where
 * no record tells.
 */
function residualsAt(
  theta: readonly number[],
  inputs: readonly MoveInputs[],
  truth: Float64Array,
  sent: Float64Array,
  out: Float64Array,
): void {
  const constants = constantsOf(theta);
  const n = inputs.length;
  for (let i = 0; i < n; i++) {
    movePhysics(inputs[i]!, constants, scratch);
    out[i] = truth[i]! - log(scratch.seconds);
    out[n + i] = sent[i]! > 0 ? log(sent[i]! / scratch.transferredMib) : 0;
  }
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
