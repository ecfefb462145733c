import { describe, expect, it } from '@jest/globals';
import { brierScore, calibrationError, reliability } from '../../training/reliability.js';

const stated = (p: number, came: number, of: number) =>
  Array.from({ length: of }, (_, i) => ({ p, outcome: i < came, weight: 1 }));

describe('reliability of stated chances', () => {
  it('scores the mean squared distance to what came', () => {
    expect(brierScore([...stated(1, 3, 3), ...stated(0, 0, 2)])).toBe(0);
    expect(brierScore(stated(0.5, 1, 2))).toBe(0.25);
    expect(brierScore(stated(0.9, 8, 10))).toBeCloseTo(0.8 * 0.01 + 0.2 * 0.81, 12);
  });

  it('sees no error where what was stated came as often, and the distance where it did not', () => {
    expect(calibrationError([...stated(0.75, 75, 100), ...stated(0.4, 4, 10)])).toBeCloseTo(0, 12);
    expect(calibrationError([...stated(0.75, 50, 100), ...stated(0.4, 40, 100)])).toBeCloseTo(0.125, 12);
  });

  it('puts each chance into one bin, 0 and 1 too, and counts by weight', () => {
    const chances = [0, 0.5, 0.699, 0.98, 1].map((p) => ({ p, outcome: true, weight: 2 }));
    const bins = reliability(chances);
    expect(bins.reduce((sum, { weight }) => sum + weight, 0)).toBe(10);
    expect(bins.map(({ from }) => from)).toEqual([0, 0.5, 0.98]);
  });
});
