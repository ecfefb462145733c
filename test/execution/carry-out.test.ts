import { describe, expect, it } from '@jest/globals';
import { endOf, harnesses } from './harness.js';

const onto = harnesses();

describe('carrying out a plan', () => {
  it('ends where the plan ends, with every move made once and every rule kept on the way', async () => {
    const h = await onto();
    const plan = await h.plan();
    expect(plan.moves.length).toBeGreaterThan(3);
    const wanted = endOf(h.cluster, plan);
    const report = await h.run(plan);
    expect(report).toMatchObject({ outcome: 'done', done: plan.moves.length, failed: 0, left: 0 });
    expect(h.cluster.placement()).toEqual(wanted);
    expect(h.repeated()).toEqual([]);
    expect([...h.broken]).toEqual([]);
    expect(report.score).toBeCloseTo(plan.score_after, 6);
  });
});
