import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { quantile, secondsAt, sharedByHour, simulateSchedule } from '../../src/balancer/plan-simulation.js';
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

/** The slow, obvious twin for one step: each error as often as it is likely. */
const expected = (
  { p10, p50, p90 }: Step,
  likely: readonly { error: number; often: number }[],
  mostFactor: number,
  level: number,
): number =>
  quantile(
    Float64Array.from(
      likely.flatMap(({ error, often }) =>
        new Array<number>(often).fill(secondsAt(p10, p50, p90, error, mostFactor)),
      ),
    ),
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
  it('of one step ends as the past moves would have, all equally likely, and the worst host once more', () => {
    const worst = [1, 1.5];
    const others = [-1, 0, 0.5, 0.2, -0.3, 2, 3, 0.1, -2];
    const errors: PastErrors = {
      hours: [[[-1, 0, 0.5], worst], [[0.2]], [[-0.3, 2, 3, 0.1, -2]]],
      most_factor: 100,
    };
    const { doneP50, doneP90 } = play([step(0)], errors, { draws: 40_000 });
    // Of 11 moves on 4 hosts' hours: 4/5 · 1/11 each, and 1/5 · 1/2 more for the two of the worst host.
    const likely = [
      ...others.map((error) => ({ error, often: 8 })),
      ...worst.map((error) => ({ error, often: 8 + 11 })),
    ];
    expect(doneP50).toBe(expected(step(0), likely, 100, 0.5));
    expect(doneP90).toBe(expected(step(0), likely, 100, 0.9));
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

  /** So many hours, one in five of them as the second kind. */
  const hoursOf = (usual: PastErrors['hours'][number], fifth: PastErrors['hours'][number]): PastErrors => ({
    hours: Array.from({ length: 50 }, (_, h) => (h % 5 === 4 ? fifth : usual)),
    most_factor: 100,
  });
  const early = [-1, -1, -1, -1];
  const late = [1, 1, 1, 1];

  it('keeps together what one host had in common, and what one hour had if hosts shared it', () => {
    // Every error occurs once in five, whatever hangs together.
    const apart = hoursOf([[-1, -1, -1, -1, 1]], [[-1, -1, -1, -1, 1]]);
    const hosts = hoursOf([early, early, early, early, late], [late, early, early, early, early]);
    const hours = hoursOf([early, early], [late, late]);
    const onOneHost = Array.from({ length: 16 }, () => step(0));
    const onTwoHosts = Array.from({ length: 16 }, (_, m) => step(m % 2));
    const p90 = (steps: readonly Step[], errors: PastErrors): number =>
      play(steps, errors, { before: chain(16), draws: 20_000 }).doneP90;
    expect(p90(onOneHost, apart)).toBeLessThan(0.7 * 16 * 200);
    expect(p90(onOneHost, hosts)).toBe(16 * 200);
    // All late together in a fifth of the hours; but both of two hosts that share nothing in one of 25 plays.
    expect(p90(onTwoHosts, hours)).toBe(16 * 200);
    expect(p90(onTwoHosts, hosts)).toBe(8 * 200 + 8 * 50);
  });

  it('looks up in the past how much hosts of one hour share; where no hour had two, all of it', () => {
    expect(sharedByHour(hoursOf([early, early], [late, late]).hours)).toBeGreaterThan(0.9);
    expect(sharedByHour(hoursOf([early, late], [late, early]).hours)).toBe(0);
    expect(sharedByHour(hoursOf([early], [late]).hours)).toBe(1);
    // Neither hosts nor hours have anything in common.
    const mixed = [-1, 1, -1, 1, -1, 1, -1, 1];
    expect(sharedByHour(hoursOf([mixed, mixed], [mixed, mixed]).hours)).toBeCloseTo(0.5, 12);
    // In four hours of five.
    const most = sharedByHour([
      [early, early],
      [late, late],
      [early, early],
      [late, late],
      [early, late],
    ]);
    expect(most).toBeGreaterThan(0.5);
    expect(most).toBeLessThan(0.9);
  });

  it('draws hosts and hours in proportion to their moves', () => {
    // 9 of 10 moves were on time: a plan of one host is late in one play of ten.
    const errors = hoursOf([[0, 0, 0, 0, 0], [0, 0, 0, 0], [1]], [[0, 0, 0], [0, 0, 0, 0], [0, 0], [1]]);
    const draws = 2000;
    const lates = Array.from(
      { length: draws },
      (_, d) => play([step(0)], errors, { draws: 1, seed: d }).doneP50,
    ).filter((end) => end === 200).length;
    expect(lates / draws).toBeGreaterThan(0.08);
    expect(lates / draws).toBeLessThan(0.13);
  });

  it('promises later where the same errors are known from fewer hours', () => {
    const hours = [[[-0.5, 0, 0.5, 0]], [[0, 0.2, 2, -1]], [[0.1, -0.2, 0, 1]]];
    const steps = Array.from({ length: 20 }, () => step(0));
    const [few, many] = [1, 20].map(
      (times) =>
        play(
          steps,
          { hours: Array.from({ length: times }, () => hours).flat(), most_factor: 100 },
          { before: chain(20), draws: 20_000 },
        ).doneP90,
    );
    expect(few).toBeGreaterThan(many!);
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
