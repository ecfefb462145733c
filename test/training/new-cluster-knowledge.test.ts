import { describe, expect, it } from '@jest/globals';
import { inputsOfRecord } from '../../src/predictor/move-inputs.js';
import { physicsConstants, priorConstants } from '../../src/predictor/move-physics.js';
import { newClusterKnowledge } from '../../training/new-cluster-knowledge.js';
import { fitPhysics } from '../../training/physics-fit.js';
import { inventedMoves } from './invented-moves.js';

/** Two clusters, the second `factor` times as slow as the first. */
const twoClusters = (factor: number): ReturnType<typeof inventedMoves> => [
  ...inventedMoves(60),
  ...inventedMoves(60).map((move) => ({
    ...move,
    id: `d${move.id}`,
    cluster: 'd',
    duration_seconds: factor * move.duration_seconds,
  })),
];

describe('what known clusters say of a new one', () => {
  it('is that physics is the less sure the further they lie apart', () => {
    const squaresOf = (factor: number): number => {
      const moves = twoClusters(factor);
      return newClusterKnowledge(moves, fitPhysics(moves), inputsOfRecord).operations['live_migration']!
        .squares;
    };
    expect(squaresOf(1)).toBeLessThan(0.05);
    // The nearest that one point can lie to both is half-way.
    expect(squaresOf(4)).toBeGreaterThan(0.9 * 2 * (Math.log(4) / 2) ** 2);
  });

  it('counts a cluster once for each operation that completed, however many moves it has', () => {
    const moves = twoClusters(2);
    moves.push({ ...moves[0]!, id: 'f', cluster: 'e', operation: 'failover', status: 'failed' });
    moves.push({ ...moves[0]!, id: 'g', cluster: 'e', operation: 'failover' });
    const { operations } = newClusterKnowledge(moves, priorConstants(), inputsOfRecord);
    expect(operations['live_migration']!.clusters).toBe(2);
    expect(operations['failover']!.clusters).toBe(1);
  });

  it('leaves constants that no move depends on to their priors', () => {
    const moves = inventedMoves(60);
    const { constantSpreads } = newClusterKnowledge(moves, fitPhysics(moves), inputsOfRecord);
    expect(constantSpreads.diskMibS).toBeCloseTo(physicsConstants.diskMibS.spread, 9);
    expect(constantSpreads.failoverSeconds).toBeCloseTo(physicsConstants.failoverSeconds.spread, 9);
    expect(constantSpreads.hostMibS).toBeLessThan(0.2 * physicsConstants.hostMibS.spread);
    const nothing = newClusterKnowledge([], priorConstants(), inputsOfRecord);
    expect(nothing.constantSpreads.hostMibS).toBeCloseTo(physicsConstants.hostMibS.spread, 9);
    expect(nothing.operations).toEqual({});
  });
});
