import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Committee } from '../../src/predictor/committee.js';

const groups = ['warm', 'warm a'];
const even = { warm: [0.1, 0.1, 0.1] };

const decide = (committee: Committee, of: readonly string[], answers: readonly number[]): number =>
  committee.decide(committee.trust(of, new Float64Array(answers.length)), answers);

describe('a committee', () => {
  it('answers within what its members answer, and with one of them when he is alone', () => {
    const committee = new Committee(even);
    const answer = fc.double({ min: -3, max: 3, noNaN: true });
    fc.assert(
      fc.property(fc.tuple(answer, answer, answer), (answers) => {
        const decided = decide(committee, groups, answers);
        expect(decided).toBeGreaterThanOrEqual(Math.min(...answers) - 1e-12);
        expect(decided).toBeLessThanOrEqual(Math.max(...answers) + 1e-12);
      }),
    );
    expect(decide(committee, groups, [NaN, 0.25, NaN])).toBe(0.25);
  });

  it('takes the middle of equally trusted members', () => {
    expect(decide(new Committee(even), groups, [1, -1, 0.2])).toBeCloseTo(0.2, 12);
  });

  it('comes to follow the member that is near, in the group where it is near', () => {
    const committee = new Committee(even);
    for (let i = 0; i < 200; i++) {
      const truth = Math.sin(i);
      committee.learn(groups, [truth + 0.01, truth + 0.4, truth - 0.5], truth);
      committee.learn(['warm', 'warm b'], [truth + 0.5, truth - 0.01, truth - 0.5], truth);
    }
    // The group above, where it is not near, keeps the say of one move among ten.
    expect(Math.abs(decide(committee, groups, [0, 1, 2]))).toBeLessThan(0.15);
    expect(Math.abs(decide(committee, ['warm', 'warm b'], [1, 0, 2]))).toBeLessThan(0.15);
  });

  it('says how far its members disagree, those who are trusted more than others', () => {
    const committee = new Committee(even);
    decide(committee, groups, [0.3, 0.3, NaN]);
    expect(committee.spread).toBe(0);
    decide(committee, groups, [0, 0.2, 0.4]);
    const before = committee.spread;
    expect(before).toBeCloseTo(0.08 / 3, 12);
    for (let i = 0; i < 50; i++) committee.learn(groups, [0.4, 0.01, 0.01], 0);
    decide(committee, groups, [0.4, 0, 0]);
    expect(committee.spread).toBeLessThan(0.01);
    expect(decide(committee, groups, [NaN, NaN, NaN])).toBeNaN();
    expect(committee.spread).toBe(0);
  });

  it('begins anew in the groups that it is told to forget', () => {
    const committee = new Committee(even);
    for (let i = 0; i < 50; i++) committee.learn(groups, [0.5, 0, 0.5], 0);
    expect(decide(committee, groups, [-1, 0.3, 0])).toBeGreaterThan(0.2);
    committee.forget(groups);
    expect(decide(committee, groups, [-1, 0.3, 0])).toBe(decide(new Committee(even), groups, [-1, 0.3, 0]));
  });

  it('takes a member that what was saved does not know for one that was never seen', () => {
    const older = new Committee({ warm: [0.1, 0.1] });
    for (let i = 0; i < 20; i++) older.learn(groups, [0.1, 0.3], 0.1);
    const committee = new Committee(even);
    committee.restore(JSON.parse(JSON.stringify(older.save())));
    expect(decide(committee, groups, [0, 1, NaN])).toBe(decide(older, groups, [0, 1]));
    expect(decide(committee, groups, [NaN, NaN, 0.7])).toBe(0.7);
    committee.learn(groups, [0, 0.2, 0.1], 0.1);
    expect(decide(committee, groups, [0, 1, 0.5])).toBeGreaterThanOrEqual(0);
  });

  it('is the same after saving and restoring', () => {
    const committee = new Committee(even);
    for (let i = 0; i < 20; i++) committee.learn(groups, [0.1, 0.2, NaN], 0.12 + i / 1000);
    const copy = new Committee(even);
    copy.restore(JSON.parse(JSON.stringify(committee.save())));
    expect(decide(copy, groups, [0, 1, 2])).toBe(decide(committee, groups, [0, 1, 2]));
  });
});
