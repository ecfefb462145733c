import { describe, expect, it } from '@jest/globals';
import { RecentResiduals } from '../../src/predictor/recent-residuals.js';

describe('recent residuals', () => {
  it('have the median of the last of each key, from two on', () => {
    const residuals = new RecentResiduals(3);
    expect(residuals.median('a')).toBeNaN();
    residuals.learn('a', 'kind', 9);
    expect(residuals.median('a')).toBeNaN();
    residuals.learn('a', 'kind', 1);
    expect(residuals.median('a')).toBe(5);
    residuals.learn('a', 'kind', 2);
    residuals.learn('a', 'kind', 3);
    expect(residuals.median('a')).toBe(2);
    expect(residuals.median('b')).toBeNaN();
  });

  it('of a kind that has shifted are forgotten, those of others are not', () => {
    const residuals = new RecentResiduals(5);
    for (const [key, kind] of [
      ['a', 'large'],
      ['b', 'small'],
      ['c', 'large'],
      // Was large, and is small now.
      ['d', 'large'],
      ['d', 'small'],
    ] as const) {
      residuals.learn(key, kind, 1);
      residuals.learn(key, kind, 1);
    }
    residuals.forget('large');
    expect(['a', 'b', 'c', 'd'].map((key) => residuals.median(key))).toEqual([NaN, 1, NaN, 1]);
  });

  it('are the same after saving and restoring, and can be forgotten then', () => {
    const residuals = new RecentResiduals(5);
    for (let i = 0; i < 9; i++) residuals.learn(i % 2 === 0 ? 'a' : 'b', i % 2 === 0 ? 'x' : 'y', i);
    const copy = new RecentResiduals(5);
    copy.restore(JSON.parse(JSON.stringify(residuals.save())));
    expect(copy.save()).toEqual(residuals.save());
    expect(copy.median('a')).toBe(residuals.median('a'));
    copy.forget('x');
    expect(copy.median('a')).toBeNaN();
    expect(copy.median('b')).toBe(residuals.median('b'));
  });

  it('that were saved before kinds were kept are answered from until something new is learnt', () => {
    const residuals = new RecentResiduals(5);
    residuals.restore([['a', [1, 2, 3]]]);
    residuals.forget('x');
    expect(residuals.median('a')).toBe(2);
    residuals.learn('a', 'x', 4);
    residuals.forget('x');
    expect(residuals.median('a')).toBeNaN();
  });
});
