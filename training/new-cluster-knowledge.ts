import { median } from 'simple-statistics';
import { isCompleted, type MoveRecord } from '../src/domain/move-record.js';
import type { MoveInputs } from '../src/predictor/move-inputs.js';
import { movePhysics, newPhysicsResult, type PhysicsConstants } from '../src/predictor/move-physics.js';
import type { NewClusterKnowledge } from '../src/predictor/new-clusters.js';
import { dictionary } from './dictionary.js';
import { constantSpreads } from './physics-fit.js';

/**
 * What the known clusters say of one that is not: how well the constants of all clusters are known, and how far the moves of
 * each cluster (their median) lie from physics with these. O(moves log moves).
 */
export function newClusterKnowledge(
  records: readonly MoveRecord[],
  global: PhysicsConstants,
  inputsOf: (record: MoveRecord) => MoveInputs,
): NewClusterKnowledge {
  const result = newPhysicsResult();
  const errors = new Map<string, Map<string, number[]>>();
  for (const record of records) {
    if (!isCompleted(record)) continue;
    const inputs = inputsOf(record);
    const error = Math.log(record.duration_seconds / movePhysics(inputs, global, result).seconds);
    let clusters = errors.get(inputs.operation);
    if (clusters === undefined) errors.set(inputs.operation, (clusters = new Map<string, number[]>()));
    const ofCluster = clusters.get(inputs.cluster);
    if (ofCluster === undefined) clusters.set(inputs.cluster, [error]);
    else ofCluster.push(error);
  }
  const operations = dictionary<{ clusters: number; squares: number }>();
  for (const [operation, clusters] of errors) {
    let squares = 0;
    for (const ofCluster of clusters.values()) squares += median(ofCluster) ** 2;
    operations[operation] = { clusters: clusters.size, squares };
  }
  return { constantSpreads: constantSpreads(records, global, inputsOf), operations };
}
