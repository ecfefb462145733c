import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { conformalQuantile, ResidualQuantiles } from '../../src/predictor/residual-quantiles.js';

const levels = [0.05, 0.1, 0.5, 0.9, 0.95];

describe('residual quantiles', () => {
  it('are those of the normal distribution before anything was seen', () => {
    const out = new ResidualQuantiles().quantiles([''], levels, new Float64Array(5));
    expect([...out]).toEqual([-1.6449, -1.2816, 0, 1.2816, 1.6449]);
  });

  it('rise, whatever was seen', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -9, max: 9, noNaN: true }), { maxLength: 400 }), (errors) => {
        const residuals = new ResidualQuantiles();
        errors.forEach((error, i) => residuals.learn(i % 2 === 0 ? ['', 'a'] : ['', 'b'], error));
        const out = residuals.quantiles(['', 'a'], levels, new Float64Array(5));
        for (let j = 1; j < 5; j++) expect(out[j]).toBeGreaterThanOrEqual(out[j - 1]!);
      }),
    );
  });

  it('keep the last 256 errors: the ring in order of size is the slow sort of them', () => {
    const residuals = new ResidualQuantiles();
    const errors = Array.from({ length: 700 }, (_, i) => Math.sin(i * 12.9898) * 4);
    for (const error of errors) residuals.learn(['g'], error);
    const [[, kept]] = residuals.save() as [[string, number[]]];
    expect(kept).toEqual(errors.slice(-256));
    const copy = new ResidualQuantiles();
    copy.restore(residuals.save());
    expect([...copy.quantiles(['g'], levels, new Float64Array(5))]).toEqual([
      ...residuals.quantiles(['g'], levels, new Float64Array(5)),
    ]);
  });

  it('follow a group to what it does, when it is unlike the others', () => {
    const residuals = new ResidualQuantiles();
    for (let i = 0; i < 300; i++) residuals.learn(['', 'steady'], ((i * 7919) % 101) / 1010);
    for (let i = 0; i < 300; i++) residuals.learn(['', 'wild'], (((i * 7919) % 101) - 50) / 10);
    const width = (group: string): number => {
      const out = residuals.quantiles(['', group], levels, new Float64Array(5));
      return out[3]! - out[1]!;
    };
    expect(width('wild')).toBeGreaterThan(5 * width('steady'));
  });

  it('take the finite-sample rank p(n + 1)', () => {
    expect(conformalQuantile([1, 2, 3, 4], 0.5)).toBe(2.5);
    expect(conformalQuantile([1, 2, 3, 4, 5, 6, 7, 8, 9], 0.9)).toBe(9);
    expect(conformalQuantile([1], 0.95)).toBe(1);
  });
});
