import { describe, expect, it } from '@jest/globals';
import { inputsOfRequest } from '../../src/predictor/move-inputs.js';
import { physicsConstants, priorConstants } from '../../src/predictor/move-physics.js';
import { NewClusters, studentQuantiles, type NewClusterKnowledge } from '../../src/predictor/new-clusters.js';

const move = Object.freeze({ instance: 'vm', source_node: 'a', target_node: 'b', memory_mib: 8192 });
const inputs = inputsOfRequest(move, 0);
const spreadOf = (knowledge: NewClusterKnowledge, of = inputs): number =>
  Math.sqrt(new NewClusters(knowledge, priorConstants()).variance(of));
/** So many clusters, each so far from physics (log scale), that leave no doubt of the constants. */
const known = (clusters: number, deviation: number): NewClusterKnowledge => ({
  constantSpreads: {},
  operations: { live_migration: { clusters, squares: clusters * deviation ** 2 } },
});

describe('what is not known of a new cluster', () => {
  it('is not less for two clusters that agree, and is what the others say where they are many', () => {
    expect(spreadOf(known(2, 0))).toBeGreaterThan(0.7);
    expect(spreadOf(known(1, 0))).toBeGreaterThan(spreadOf(known(2, 0)));
    expect(spreadOf(known(1000, 0.3))).toBeCloseTo(0.3, 2);
    expect(spreadOf(known(1000, 1.2))).toBeCloseTo(1.2, 2);
  });

  it('is more where a constant that decides is known by its prior alone, and only there', () => {
    const spread = physicsConstants.diskMibS.spread;
    const knowledge = { ...known(1000, 0.3), constantSpreads: { diskMibS: spread } };
    const withDisk = inputsOfRequest({ ...move, disk_mib: 400_000, link_mbps: 100_000 }, 0);
    expect(spreadOf(knowledge)).toBeCloseTo(0.3, 2);
    expect(spreadOf(knowledge, withDisk)).toBeGreaterThan(0.9 * spread);
  });

  it('is a believed spread and the priors of all constants where nothing is known at all', () => {
    const constantSpreads = Object.fromEntries(
      Object.entries(physicsConstants).map(([name, { spread }]) => [name, spread]),
    );
    expect(spreadOf({ constantSpreads, operations: {} })).toBeGreaterThan(spreadOf(known(1, 0)));
  });

  it("has the tails of Student's t, of a normal distribution where clusters are many", () => {
    const ofFour = studentQuantiles(4);
    [-2.1318, -1.5332, 0, 1.5332, 2.1318].forEach((t, j) => expect(ofFour[j]! - t).toBeCloseTo(0, 1));
    const ofTwenty = studentQuantiles(20);
    [-1.7247, -1.3253, 0, 1.3253, 1.7247].forEach((t, j) => expect(ofTwenty[j]).toBeCloseTo(t, 3));
    expect(studentQuantiles(1e6)[4]).toBeCloseTo(1.6449, 4);
    const tails = (clusters: number): number =>
      new NewClusters(known(clusters, 0), priorConstants()).quantiles('live_migration')[4]!;
    expect(tails(1)).toBeGreaterThan(tails(3));
    expect(tails(3)).toBeGreaterThan(tails(30));
  });
});
