import { isCompleted, type MoveRecord } from '../src/domain/move-record.js';
import { inputsOfRecord } from '../src/predictor/move-inputs.js';
import {
  constantNames,
  movePhysics,
  newPhysicsResult,
  physicsConstants,
  priorConstants,
  type PhysicsConstants,
} from '../src/predictor/move-physics.js';

// Bound once: a lookup through the global object costs more than the function itself where it is not inlined.
const { abs, exp, log } = Math;

/** The fit looks at no more than so many of the last moves: constants are few, and time is bounded. */
const MOST_FIT_MOVES = 1500;
/** A cluster gets constants of its own from so many completed moves on. */
const OWN_CONSTANTS_FROM = 20;
/** Errors beyond this count linearly (Huber), in log units. */
const HUBER = 0.25;
/** A prior constant counts as much as so many moves against the data. */
const PRIOR_MOVES = 4;
/** No fit leaves the prior by more than so many spreads: poisoned history must not make the physics absurd. */
const MOST_SPREADS = 3;
/** Steps of the search on the logarithm of a constant, halved from the first to the last. */
const FIRST_STEP = 0.5;
const LAST_STEP = 0.01;

/**
 * Constants that make the physics fit the durations: maximum a posteriori under a Huber loss of log T, found by
 * coordinate search on the logarithms (no derivative needed, deterministic). O(moves · constants · passes).
 */
export function fitPhysics(
  records: readonly MoveRecord[],
  prior: PhysicsConstants = priorConstants(),
): PhysicsConstants {
  const completed = records.filter(isCompleted).slice(-MOST_FIT_MOVES);
  const inputs = completed.map(inputsOfRecord);
  const logSeconds = Float64Array.from(completed, (record) => log(record.duration_seconds));
  const best = { ...prior };
  if (completed.length === 0) return best;
  const result = newPhysicsResult();
  const cost = (constants: PhysicsConstants): number => {
    let sum = 0;
    for (let i = 0; i < inputs.length; i++)
      sum += huber(logSeconds[i]! - log(movePhysics(inputs[i]!, constants, result).seconds));
    for (const name of constantNames) {
      const away = log(constants[name] / prior[name]) / physicsConstants[name].spread;
      sum += PRIOR_MOVES * HUBER * HUBER * 0.5 * away * away;
    }
    return sum;
  };
  let bestCost = cost(best);
  for (let step = FIRST_STEP; step >= LAST_STEP; step /= 2) {
    for (let improved = true, passes = 0; improved && passes < 6; passes++) {
      improved = false;
      for (const name of constantNames) {
        const before = best[name];
        for (const factor of [exp(step), exp(-step)]) {
          const { prior: start, spread } = physicsConstants[name];
          if (abs(log((before * factor) / start)) > MOST_SPREADS * spread) continue;
          best[name] = before * factor;
          const tried = cost(best);
          if (tried < bestCost - 1e-9) {
            bestCost = tried;
            improved = true;
            break;
          }
          best[name] = before;
        }
      }
    }
  }
  return best;
}

/** Constants of all clusters together, and of each that has enough moves, pulled to those of all. */
export function fitPhysicsByCluster(records: readonly MoveRecord[]): {
  global: PhysicsConstants;
  clusters: Record<string, PhysicsConstants>;
} {
  const global = fitPhysics(records);
  const byCluster = new Map<string, MoveRecord[]>();
  for (const record of records) {
    const cluster = record.cluster ?? 'default';
    const rows = byCluster.get(cluster);
    if (rows === undefined) byCluster.set(cluster, [record]);
    else rows.push(record);
  }
  const clusters: Record<string, PhysicsConstants> = {};
  for (const [cluster, rows] of [...byCluster].sort(([a], [b]) => (a < b ? -1 : 1)))
    if (rows.filter(isCompleted).length >= OWN_CONSTANTS_FROM) clusters[cluster] = fitPhysics(rows, global);
  return { global, clusters };
}

const huber = (error: number): number => {
  const size = abs(error);
  return size <= HUBER ? 0.5 * size * size : HUBER * (size - 0.5 * HUBER);
};
