import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { FakeCluster } from '../ganeti/fake-cluster.js';
import { crookedCluster } from '../ganeti/small-cluster.js';
import { endOf, Harness } from './harness.js';

jest.setTimeout(60_000); // many requests, on a machine that may be busy

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});
const onto = async (cluster: FakeCluster = crookedCluster()): Promise<Harness> => {
  harness = await Harness.of(cluster);
  return harness;
};

describe('carrying out a plan', () => {
  it('ends where the plan ends, with every move made once and every rule kept on the way', async () => {
    const h = await onto();
    const plan = await h.plan();
    expect(plan.moves.length).toBeGreaterThan(3);
    const wanted = endOf(h.cluster, plan);
    const report = await h.run(plan);
    expect(report).toMatchObject({ outcome: 'done', done: plan.moves.length, failed: 0, left: 0 });
    expect(h.cluster.placement()).toEqual(wanted);
    expect([...h.made().values()].every((times) => times === 1)).toBe(true);
    expect([...h.broken]).toEqual([]);
    expect(report.score).toBeCloseTo(plan.score_after, 6);
  });
});
