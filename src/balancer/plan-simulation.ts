import type { PastErrors } from '../domain/past-errors.js';
import { heldSeconds, type EarlyReleases } from './early-release.js';
import { normalFrom, type Random } from './random.js';
import { playOrder } from './schedule.js';
import type { StepTimes } from './step-times.js';

/** The standard normal's 90 % point: p10 and p90 lie this many standard deviations off the median. */
const Z90 = 1.2815515655446004;

/** Where no past errors are known: the part of a deviation's variance that all steps of a plan have in common. */
const SHARED_DEVIATION = 0.2;

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

/**
 * One duration out of a distribution given by three quantiles and a standardised error: -1 is p10, 0 is p50, 1 is p90.
 * Beyond those it is off the median by no more than `mostFactor`: an error that is far for a narrow band is not as many
 * times as far for a wide one.
 */
export function secondsAt(p10: number, p50: number, p90: number, error: number, mostFactor: number): number {
  const width = error < 0 ? p50 / p10 : p90 / p50;
  const factor = Math.min(width ** Math.abs(error), Math.max(width, mostFactor));
  return error < 0 ? p50 / factor : p50 * factor;
}

/**
 * Plays a schedule `draws` times with durations that deviate from the predicted ones as past moves did; where no past is
 * known, as a normal distribution would. Quantiles of a chain are not sums of quantiles; that is why.
 * O(draws × moves).
 */
export function simulateSchedule(
  before: readonly (readonly number[])[],
  times: StepTimes,
  {
    draws,
    errors,
    random,
    releases,
  }: {
    draws: number;
    errors: PastErrors | undefined;
    random: Random;
    releases?: EarlyReleases | undefined;
  },
): SimulatedTimes {
  const count = before.length;
  const ends = new Float64Array(count);
  const seconds = new Float64Array(count);
  const stepSeconds = new Float64Array(times.p50.length);
  const allStarts = new Float64Array(count * draws);
  const allEnds = new Float64Array(count * draws);
  const done = new Float64Array(draws);
  const deviations = errors === undefined ? new NormalDeviations(random) : new PastDeviations(errors, random);
  for (let d = 0; d < draws; d++) {
    deviations.begin();
    for (let m = 0; m < count; m++) {
      let sum = 0;
      for (let j = times.firstStep[m]!; j < times.firstStep[m + 1]!; j++) {
        const error = deviations.next(times.steps[j]!.source);
        sum += stepSeconds[j] = secondsAt(
          times.p10[j]!,
          times.p50[j]!,
          times.p90[j]!,
          error,
          deviations.mostFactor,
        );
      }
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

/** Standardised errors of the steps of one play after another. */
interface Deviations {
  /** Beyond its band no duration is off its median by a larger factor. */
  readonly mostFactor: number;
  /** The next play begins. */
  begin(): void;
  /** Error of the next step, which leaves the node `source`. */
  next(source: number): number;
}

/** Log-normal halves that meet at the median, with a part that all steps share: one busy network slows all of them. */
class NormalDeviations implements Deviations {
  readonly mostFactor = Infinity;
  readonly #random: Random;
  #together = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  begin(): void {
    this.#together = Math.sqrt(SHARED_DEVIATION) * normalFrom(this.#random);
  }

  next(): number {
    return (this.#together + Math.sqrt(1 - SHARED_DEVIATION) * normalFrom(this.#random)) / Z90;
  }
}

/**
 * Errors of past moves. One play takes place in one hour of the past: every node that moves leave lives through what one
 * host lived through in it, and each step errs as a move of that host did. Bias, tails, and what moves of one host and
 * one time have in common are thereby those of the past; nothing is fitted. (A block bootstrap: Davison and Hinkley,
 * Bootstrap Methods and their Application, 1997, chapter 8.)
 */
class PastDeviations implements Deviations {
  readonly mostFactor: number;
  readonly #random: Random;
  readonly #hours: PastErrors['hours'];
  /** Of each move of the past, the number of its hour: one with many moves is what a plan is likely to meet. */
  readonly #hourOfMove: Int32Array;
  #hour: PastErrors['hours'][number] = [];
  readonly #hosts = new Map<number, readonly number[]>();

  constructor({ hours, most_factor }: PastErrors, random: Random) {
    this.mostFactor = most_factor;
    this.#random = random;
    this.#hours = hours;
    this.#hourOfMove = Int32Array.from(hours.flatMap((hosts, h) => hosts.flat().map(() => h)));
  }

  begin(): void {
    this.#hosts.clear();
    this.#hour = this.#hours[this.#oneOf(this.#hourOfMove)]!;
  }

  next(source: number): number {
    let errors = this.#hosts.get(source);
    if (errors === undefined) this.#hosts.set(source, (errors = this.#drawHost()));
    return this.#oneOf(errors);
  }

  /** A host of the hour, in proportion to its moves. */
  #drawHost(): readonly number[] {
    let left = Math.floor(this.#random() * this.#hour.reduce((moves, errors) => moves + errors.length, 0));
    return this.#hour.find((errors) => (left -= errors.length) < 0)!;
  }

  #oneOf(values: ArrayLike<number>): number {
    return values[Math.floor(this.#random() * values.length)]!;
  }
}

/** Quantile by linear interpolation between order statistics (type 7); sorts `values` in place. */
export function quantile(values: Float64Array, level: number): number {
  values.sort();
  const at = (values.length - 1) * level;
  const low = Math.floor(at);
  const high = Math.ceil(at);
  return values[low]! + (values[high]! - values[low]!) * (at - low);
}
