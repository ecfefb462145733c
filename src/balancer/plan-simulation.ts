import { heldSeconds, type EarlyReleases } from './early-release.js';
import { normalFrom, type Random } from './random.js';
import { playOrder } from './schedule.js';
import type { StepTimes } from './step-times.js';

/** The standard normal's 90 % point: p10 and p90 lie this many standard deviations off the median. */
const Z90 = 1.2815515655446004;

/** When moves of a schedule start and end, over many draws of all durations at once. Seconds. */
export interface SimulatedTimes {
  /** Per move. */
  startP50: Float64Array;
  endP50: Float64Array;
  endP90: Float64Array;
  /** Of the last end. */
  doneP50: number;
  doneP90: number;
}

/** One duration out of a distribution given by three quantiles: log-normal halves that meet at the median. */
export const drawSeconds = (p10: number, p50: number, p90: number, normal: number): number =>
  normal < 0 ? p50 * (p50 / p10) ** (normal / Z90) : p50 * (p90 / p50) ** (normal / Z90);

/**
 * Plays a schedule `draws` times with durations drawn from the predicted distributions. `shared` (0 to 1) is the part
 * of a duration's deviation, in variance, that all steps have in common: one busy network slows all of them.
 * Quantiles of a chain are not sums of quantiles; that is why. O(draws × moves).
 */
export function simulateSchedule(
  before: readonly (readonly number[])[],
  times: StepTimes,
  {
    draws,
    shared,
    random,
    releases,
  }: { draws: number; shared: number; random: Random; releases?: EarlyReleases | undefined },
): SimulatedTimes {
  const count = before.length;
  const ends = new Float64Array(count);
  const seconds = new Float64Array(count);
  const stepSeconds = new Float64Array(times.p50.length);
  const allStarts = new Float64Array(count * draws);
  const allEnds = new Float64Array(count * draws);
  const done = new Float64Array(draws);
  const own = Math.sqrt(1 - shared);
  const common = Math.sqrt(shared);
  for (let d = 0; d < draws; d++) {
    const together = common * normalFrom(random);
    for (let m = 0; m < count; m++) {
      let sum = 0;
      for (let j = times.firstStep[m]!; j < times.firstStep[m + 1]!; j++)
        sum += stepSeconds[j] = drawSeconds(
          times.p10[j]!,
          times.p50[j]!,
          times.p90[j]!,
          together + own * normalFrom(random),
        );
      seconds[m] = sum;
    }
    done[d] = playOrder(
      before,
      seconds,
      ends,
      releases === undefined
        ? undefined
        : { letGo: releases.letGo, held: heldSeconds(releases, times, stepSeconds) },
    );
    for (let m = 0; m < count; m++) {
      allEnds[m * draws + d] = ends[m]!;
      allStarts[m * draws + d] = ends[m]! - seconds[m]!;
    }
  }
  const quantileOf = (values: Float64Array, m: number, level: number): number =>
    quantile(values.subarray(m * draws, (m + 1) * draws), level);
  const starts = Float64Array.from({ length: count }, (_, m) => quantileOf(allStarts, m, 0.5));
  const endP50 = Float64Array.from({ length: count }, (_, m) => quantileOf(allEnds, m, 0.5));
  const endP90 = Float64Array.from({ length: count }, (_, m) => quantileOf(allEnds, m, 0.9));
  return {
    startP50: starts,
    endP50,
    endP90,
    doneP50: count === 0 ? 0 : quantile(done, 0.5),
    doneP90: count === 0 ? 0 : quantile(done, 0.9),
  };
}

/** Quantile by linear interpolation between order statistics (type 7); sorts `values` in place. */
export function quantile(values: Float64Array, level: number): number {
  values.sort();
  const at = (values.length - 1) * level;
  const low = Math.floor(at);
  const high = Math.ceil(at);
  return values[low]! + (values[high]! - values[low]!) * (at - low);
}
