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
 * Errors of past moves: every node that moves leave lives through what one host lived through in one hour, and each step
 * errs as a move of that host did. Bias, tails, and what moves of one host and hour have in common are thereby those of
 * the past. (A block bootstrap: Davison and Hinkley, Bootstrap Methods and their Application, 1997, chapter 8.) Whether
 * hosts of one hour err together is looked up in the past as well (`sharedByHour`).
 *
 * The past is but a sample of what can happen. Each play therefore draws a past of its own out of it, hosts' hours and
 * in them moves, with replacement; and since an hour to come is worse than all `n` known ones once in `n + 1` times, it
 * is the worst of them as often.
 */
class PastDeviations implements Deviations {
  readonly mostFactor: number;
  readonly #random: Random;
  readonly #hours: PastErrors['hours'];
  /** Hosts' hours, of all hours. */
  readonly #hosts: PastErrors['hours'][number];
  /** Of each move of the past, the number of its hour: one with many moves is what a plan is likely to meet. */
  readonly #hourOfMove: Int32Array;
  readonly #sharedByHour: number;
  readonly #worst: readonly number[];
  /** Of each move of the past, the number of its host's hour. */
  readonly #hostOfAll: Int32Array;
  /** What this play draws from, of each of its moves the host's hour, and what that became in this play. */
  #pool: PastErrors['hours'][number] = [];
  #hostOfMove: Int32Array;
  readonly #drawn = new Map<number, readonly number[]>();
  readonly #errorsOfNode = new Map<number, readonly number[]>();

  constructor({ hours, most_factor }: PastErrors, random: Random) {
    this.mostFactor = most_factor;
    this.#random = random;
    this.#hours = hours;
    this.#hosts = hours.flat();
    this.#hourOfMove = numberOfMove(hours.map((hosts) => hosts.flat()));
    this.#hostOfMove = this.#hostOfAll = numberOfMove(this.#hosts);
    this.#sharedByHour = sharedByHour(hours);
    // Of a host with few moves in an hour little is known: its mean is pulled towards 0 by as many as most have.
    const usual = this.#hourOfMove.length / this.#hosts.length;
    const lateness = (errors: readonly number[]): number => sum(errors) / (errors.length + usual);
    this.#worst = this.#hosts.reduce((worst, errors) =>
      lateness(errors) > lateness(worst) ? errors : worst,
    );
  }

  begin(): void {
    this.#errorsOfNode.clear();
    this.#drawn.clear();
    const together = this.#random() < this.#sharedByHour;
    this.#pool = together ? this.#hours[this.#oneOf(this.#hourOfMove)]! : this.#hosts;
    this.#hostOfMove = together ? numberOfMove(this.#pool) : this.#hostOfAll;
  }

  next(source: number): number {
    let errors = this.#errorsOfNode.get(source);
    if (errors === undefined) this.#errorsOfNode.set(source, (errors = this.#drawHost()));
    return this.#oneOf(errors);
  }

  /** A host's hour of this play's past, in proportion to its moves. */
  #drawHost(): readonly number[] {
    const host = this.#oneOf(this.#hostOfMove);
    let errors = this.#drawn.get(host);
    if (errors === undefined) {
      const worst = this.#random() * (this.#hosts.length + 1) < 1;
      const like = worst ? this.#worst : this.#pool[this.#oneOf(this.#hostOfMove)]!;
      errors = like.map(() => this.#oneOf(like));
      this.#drawn.set(host, errors);
    }
    return errors;
  }

  #oneOf(values: ArrayLike<number>): number {
    return values[Math.floor(this.#random() * values.length)]!;
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Of each move the number of the group that it stands in. */
const numberOfMove = (groups: readonly (readonly number[])[]): Int32Array =>
  Int32Array.from(groups.flatMap((errors, g) => errors.map(() => g)));

/** A correlation this small tells nothing: where there is no larger one, half of it counts as common. */
const NO_CORRELATION = 0.05;

/**
 * How much of what moves of one host and hour have in common is common to all hosts of the hour, 0 to 1: the correlation
 * of pairs on two hosts over that of pairs on one, of the side of the median error that they lie on. Where no hour
 * has two hosts nothing is known of it, and all of it counts as common.
 */
export function sharedByHour(hours: PastErrors['hours']): number {
  const sorted = Float64Array.from(hours.flat(2)).sort();
  const median = sorted[sorted.length >> 1]!;
  const side = (error: number): number => Math.sign(error - median);
  const sides = hours.flat(2).map(side);
  const mean = sum(sides) / sides.length;
  const variance = sum(sides.map((one) => (one - mean) ** 2)) / sides.length;
  if (variance === 0) return 1;
  let [one, onePairs, two, twoPairs] = [0, 0, 0, 0];
  for (const hosts of hours) {
    let [hour, moves] = [0, 0];
    for (const errors of hosts) {
      const deviations = errors.map((error) => side(error) - mean);
      const host = sum(deviations);
      one += host ** 2 - sum(deviations.map((deviation) => deviation ** 2));
      onePairs += errors.length * (errors.length - 1);
      two += 2 * hour * host;
      twoPairs += 2 * moves * errors.length;
      hour += host;
      moves += errors.length;
    }
  }
  if (twoPairs === 0) return 1;
  const ofOne = onePairs === 0 ? 0 : Math.max(0, one / onePairs / variance);
  const ofTwo = two / twoPairs / variance;
  return Math.max(0, Math.min(1, (ofTwo + NO_CORRELATION) / (ofOne + 2 * NO_CORRELATION)));
}

/** Quantile by linear interpolation between order statistics (type 7); sorts `values` in place. */
export function quantile(values: Float64Array, level: number): number {
  values.sort();
  const at = (values.length - 1) * level;
  const low = Math.floor(at);
  const high = Math.ceil(at);
  return values[low]! + (values[high]! - values[low]!) * (at - low);
}
