import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { quantile, secondsAt, simulateSchedule } from '../../src/balancer/plan-simulation.js';
import { seededRandom } from '../../src/balancer/random.js';
import type { StepTimes } from '../../src/balancer/step-times.js';
import type { PastErrors } from '../../src/domain/past-errors.js';

interface Step {
  source: number;
  p10: number;
  p50: number;
  p90: number;
}

/** Moves of one step each. */
function timesOf(steps: readonly Step[]): StepTimes {
  return {
    steps: steps.map(({ source }) => ({ operation: 'live_migration', source, target: source + 1000 })),
    firstStep: Int32Array.from({ length: steps.length + 1 }, (_, m) => m),
    p10: Float64Array.from(steps, ({ p10 }) => p10),
    p50: Float64Array.from(steps, ({ p50 }) => p50),
    p90: Float64Array.from(steps, ({ p90 }) => p90),
  };
}
const step = (source: number, p50 = 100): Step => ({ source, p10: p50 / 2, p50, p90: p50 * 2 });
const play = (
  steps: readonly Step[],
  errors: PastErrors | undefined,
  { before = steps.map((): number[] => []), draws = 4000, seed = 1 } = {},
): ReturnType<typeof simulateSchedule> =>
  simulateSchedule(before, timesOf(steps), { draws, errors, random: seededRandom(seed) });
/** Each after the one before. */
const chain = (count: number): number[][] =>
  Array.from({ length: count }, (_, m): number[] => (m === 0 ? [] : [m - 1]));

/** The slow, obvious twin for one step: every error of the past is as likely as any other. */
const expected = ({ p10, p50, p90 }: Step, { hours, most_factor }: PastErrors, level: number): number =>
  quantile(
    Float64Array.from(hours.flat(2), (error) => secondsAt(p10, p50, p90, error, most_factor)),
    level,
  );

const pastErrors = fc.record({
  hours: fc.array(
    fc.array(fc.array(fc.double({ min: -8, max: 8, noNaN: true }), { minLength: 1, maxLength: 5 }), {
      minLength: 1,
      maxLength: 3,
    }),
    { minLength: 1, maxLength: 5 },
  ),
  most_factor: fc.double({ min: 1, max: 30, noNaN: true }),
});

describe('a duration at a standardised error', () => {
  it('is p10 at -1, p50 at 0, p90 at 1, and rises between and beyond', () => {
    expect([-1, 0, 1].map((error) => secondsAt(8, 10, 20, error, 100))).toEqual([8, 10, 20]);
    fc.assert(
      fc.property(
        fc.double({ min: -5, max: 5, noNaN: true }),
        fc.double({ min: 0, max: 5, noNaN: true }),
        (a, d) => {
          expect(secondsAt(8, 10, 20, a + d, 1e9)).toBeGreaterThanOrEqual(secondsAt(8, 10, 20, a, 1e9));
        },
      ),
    );
  });

  it('lies beyond its band by no more than any past move was off, and never within it for that reason', () => {
    expect(secondsAt(8, 10, 20, 5, 3)).toBe(30);
    expect(secondsAt(5, 10, 20, -5, 3)).toBeCloseTo(10 / 3, 12);
    expect(secondsAt(8, 10, 20, 5, 1.1)).toBe(20);
    expect(secondsAt(8, 10, 20, 0.5, 1.1)).toBeCloseTo(10 * Math.SQRT2, 12);
  });
});

describe('a plan played with past errors', () => {
  it('of one step ends as the past moves would have, each as likely as any other', () => {
    const errors: PastErrors = {
      hours: [
        [
          [-1, 0, 0.5],
          [1, 1.5],
        ],
        [[0.2]],
        [[-0.3, 2, 3, 0.1, -2]],
      ],
      most_factor: 100,
    };
    const { doneP50, doneP90 } = play([step(0)], errors, { draws: 40_000 });
    expect(doneP50).toBe(expected(step(0), errors, 0.5));
    expect(doneP90).toBe(expected(step(0), errors, 0.9));
  });

  it('stays between its fastest and its slowest past, ends in order, and is the same for the same seed', () => {
    fc.assert(
      fc.property(pastErrors, fc.integer({ min: 1, max: 6 }), fc.integer(), (errors, count, seed) => {
        const steps = Array.from({ length: count }, (_, m) => step(m % 2, 10 + m));
        const settings = { before: chain(count), draws: 50, seed };
        const played = play(steps, errors, settings);
        const all = errors.hours.flat(2);
        const sumAt = (error: number): number =>
          steps.reduce(
            (sum, { p10, p50, p90 }) => sum + secondsAt(p10, p50, p90, error, errors.most_factor),
            0,
          );
        expect(played.doneP50).toBeGreaterThanOrEqual(sumAt(Math.min(...all)) * (1 - 1e-9));
        expect(played.doneP90).toBeLessThanOrEqual(sumAt(Math.max(...all)) * (1 + 1e-9));
        expect(played.doneP50).toBeLessThanOrEqual(played.doneP90);
        expect(play(steps, errors, settings)).toEqual(played);
      }),
    );
  });

  it('promises later where past moves had been far too late now and then, though their bands held as often', () => {
    const even = Array.from({ length: 100 }, (_, k) => (k - 49.5) / 45);
    const tailed = even.map((error, k) => (k % 25 === 24 ? 5 : error));
    const steps = Array.from({ length: 20 }, (_, m) => step(m));
    const ends = [even, tailed].map(
      (errors) => play(steps, { hours: [[errors]], most_factor: 100 }, { before: chain(20) }).doneP90,
    );
    expect(ends[1]).toBeGreaterThan(1.2 * ends[0]!);
  });

  it('keeps together what one host and one hour had in common', () => {
    // Every error occurs once in four, whatever hangs together.
    const apart: PastErrors = { hours: [[[-1, 1, -1, 1]]], most_factor: 100 };
    const hosts: PastErrors = {
      hours: [
        [
          [-1, -1],
          [1, 1],
        ],
      ],
      most_factor: 100,
    };
    const hours: PastErrors = { hours: [[[-1, -1]], [[1, 1]]], most_factor: 100 };
    const onOneHost = Array.from({ length: 16 }, () => step(0));
    const onTwoHosts = Array.from({ length: 16 }, (_, m) => step(m % 2));
    const width = (steps: readonly Step[], errors: PastErrors): number => {
      const { doneP50, doneP90 } = play(steps, errors, { before: chain(16) });
      return doneP90 / doneP50;
    };
    // All late together half of the time: p90 is all late.
    expect(play(onOneHost, hosts, { before: chain(16) }).doneP90).toBe(16 * 200);
    expect(play(onTwoHosts, hours, { before: chain(16) }).doneP90).toBe(16 * 200);
    expect(width(onOneHost, apart)).toBeLessThan(1.4);
    // Two hosts of one hour need not be alike: both are late in one play of four.
    const bothLate = play(onTwoHosts, hosts, { before: chain(16), draws: 20_000 });
    expect(bothLate.doneP50).toBe(8 * 200 + 8 * 50);
    expect(bothLate.doneP90).toBe(16 * 200);
  });

  it('draws hosts and hours in proportion to their moves', () => {
    // 9 of 10 moves were on time: a plan of one host is late in one play of ten.
    const errors: PastErrors = {
      hours: [
        [
          [0, 0, 0],
          [0, 0, 0, 0],
        ],
        [[0, 0], [1]],
      ],
      most_factor: 100,
    };
    const draws = 20_000;
    const { endP50 } = play([step(0)], errors, { draws });
    expect(endP50[0]).toBe(100);
    const late = Array.from(
      { length: draws },
      (_, d) => play([step(0)], errors, { draws: 1, seed: d }).doneP50,
    ).filter((end) => end === 200).length;
    expect(late / draws).toBeGreaterThan(0.09);
    expect(late / draws).toBeLessThan(0.11);
  });
});

describe('a plan of which no past errors are known', () => {
  it('has the predicted quantiles for one step, and in a chain narrower ones, but not as narrow as without a common part', () => {
    const one = play([step(0)], undefined, { draws: 40_000 });
    expect(one.doneP50 / 100).toBeCloseTo(1, 1);
    expect(one.doneP90 / 200).toBeCloseTo(1, 1);
    const count = 64;
    const steps = Array.from({ length: count }, () => step(0));
    const { doneP50, doneP90 } = play(steps, undefined, { before: chain(count) });
    expect(doneP90 / doneP50).toBeLessThan(1.6);
    expect(doneP90 / doneP50).toBeGreaterThan(1.2);
  });
});
