import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { QUANTILE_LEVELS } from '../../src/domain/prediction.js';
import { conditionedOn, probabilityBelow, valueAt } from '../../src/predictor/quantile-curve.js';

/** Five rising values. */
const curves = fc
  .tuple(
    fc.double({ min: -5, max: 5, noNaN: true }),
    fc.array(fc.double({ min: 0.01, max: 3, noNaN: true }), { minLength: 4, maxLength: 4 }),
  )
  .map(([first, steps]) => steps.reduce((values, step) => [...values, values.at(-1)! + step], [first]));

describe('a distribution given by five quantiles', () => {
  it('has its quantiles at its levels, and gives back each probability', () => {
    fc.assert(
      fc.property(curves, fc.double({ min: 0.001, max: 0.999, noNaN: true }), (values, p) => {
        values.forEach((value, j) =>
          expect(probabilityBelow(values, value)).toBeCloseTo(QUANTILE_LEVELS[j]!, 9),
        );
        expect(probabilityBelow(values, valueAt(values, p))).toBeCloseTo(p, 9);
      }),
    );
  });

  it('given that a value was passed, is above it, rising, and as counted from many draws', () => {
    fc.assert(
      fc.property(curves, fc.double({ min: 0.02, max: 0.9, noNaN: true }), (values, share) => {
        const passed = valueAt(values, share);
        const out = conditionedOn(values, passed, new Float64Array(5));
        // The slow twin: draws at evenly spread probabilities, those that passed, sorted.
        const draws = Array.from({ length: 20_000 }, (_, i) => valueAt(values, (i + 0.5) / 20_000)).filter(
          (x) => x > passed,
        );
        let below = passed;
        QUANTILE_LEVELS.forEach((p, j) => {
          expect(out[j]!).toBeGreaterThanOrEqual(below);
          below = out[j]!;
          const rank = draws.filter((x) => x <= out[j]!).length / draws.length;
          expect(Math.abs(rank - p)).toBeLessThan(0.002);
        });
      }),
      { numRuns: 25 },
    );
  });

  it('stays finite and rising however far beyond it a value was passed', () => {
    const out = conditionedOn([0, 1, 2, 3, 4], 1e6, new Float64Array(5));
    expect([...out].every((x) => Number.isFinite(x) && x >= 1e6)).toBe(true);
    expect([...out]).toEqual([...out].sort((a, b) => a - b));
  });
});
