import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { pastErrorsSchema } from '../../src/domain/past-errors.js';
import { MS_PER_HOUR } from '../../src/domain/units.js';
import { ErrorHistory } from '../../src/predictor/error-history.js';

const startMs = Date.UTC(2026, 0, 1);
const BELOW = 0.2;
const ABOVE = 0.4;

/** So many moves, `eachHour` an hour, on two hosts in turn. */
function history(moves: number, eachHour = 10): ErrorHistory {
  const errors = new ErrorHistory();
  for (let m = 0; m < moves; m++)
    errors.learn(
      { cluster: 'c', host: `n${m % 2}`, startMs: startMs + Math.floor(m / eachHour) * MS_PER_HOUR },
      m / 1000,
      BELOW,
      ABOVE,
    );
  return errors;
}

describe('the history of errors', () => {
  it('keeps errors in widths of their band, those of one hour and host together', () => {
    const errors = history(60, 20);
    errors.learn({ cluster: 'c', host: 'n7', startMs: startMs + 2.5 * MS_PER_HOUR }, -0.5, BELOW, ABOVE);
    const { hours, most_factor } = errors.of('c')!;
    expect(hours.map((hosts) => hosts.map(({ length }) => length))).toEqual([
      [10, 10],
      [10, 10],
      [10, 10, 1],
    ]);
    expect(hours[0]![1]!.slice(0, 2)).toEqual([0.003, 0.008]); // 0.001 and 0.003 of a width of 0.4
    expect(hours[2]![2]).toEqual([-2.5]);
    expect(most_factor).toBeCloseTo(Math.exp(0.5), 12);
  });

  it('says nothing of a cluster of which too few moves are known, and nothing of one by another', () => {
    const errors = history(49);
    expect([errors.of('c'), errors.of('d')]).toEqual([undefined, undefined]);
    errors.learn({ cluster: 'c', host: 'n0', startMs }, 0.1, BELOW, ABOVE);
    expect(errors.of('c')).toBeDefined();
    expect(errors.of('d')).toBeUndefined();
  });

  it('forgets whole hours, the oldest first, and keeps at least the last 512 errors', () => {
    fc.assert(
      fc.property(fc.integer({ min: 600, max: 1500 }), fc.integer({ min: 1, max: 40 }), (moves, eachHour) => {
        const kept = history(moves, eachHour).of('c')!.hours.flat(2);
        expect(kept.length).toBeGreaterThanOrEqual(512);
        expect(kept.length).toBeLessThan(512 + eachHour);
        expect(Math.max(...kept)).toBeCloseTo((moves - 1) / 1000 / ABOVE, 2);
        expect(Math.min(...kept)).toBeCloseTo((moves - kept.length) / 1000 / ABOVE, 2);
      }),
      { numRuns: 20 },
    );
  });

  it('goes on from what was saved as if it had not been', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            host: fc.constantFrom('a', 'b', '__proto__'),
            hour: fc.nat(5),
            error: fc.double({ min: -3, max: 3, noNaN: true }),
          }),
          { minLength: 60, maxLength: 120 },
        ),
        fc.nat(59),
        (moves, cut) => {
          const whole = new ErrorHistory();
          const first = new ErrorHistory();
          const second = new ErrorHistory();
          moves.forEach(({ host, hour, error }, m) => {
            if (m === cut) second.restore(JSON.parse(JSON.stringify(first.save())));
            for (const errors of [whole, m < cut ? first : second])
              errors.learn(
                { cluster: 'c', host, startMs: startMs + hour * MS_PER_HOUR },
                error,
                BELOW,
                ABOVE,
              );
          });
          expect(second.of('c')).toEqual(whole.of('c'));
          expect(pastErrorsSchema.safeParse(whole.of('c')).success).toBe(true);
        },
      ),
    );
  });

  it('leaves out what no band was promised for, so that every error is finite', () => {
    const errors = history(60);
    const before = errors.of('c');
    errors.learn({ cluster: 'c', host: 'n0', startMs }, 0.3, BELOW, 0);
    errors.learn({ cluster: 'c', host: 'n0', startMs }, NaN, BELOW, ABOVE);
    expect(errors.of('c')).toEqual(before);
  });
});
