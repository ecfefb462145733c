import { LONGEST_MOVE_SECONDS } from '../domain/fields.js';
import type { MoveProgress } from '../domain/move-progress.js';
import { QUANTILE_LEVELS } from '../domain/prediction.js';
import { mbpsToMibPerSecond } from '../domain/units.js';
import { IN_FLIGHT_FIT, type InFlightFit } from './in-flight-fit.js';
import { Capability, type MoveInputs } from './move-inputs.js';
import { DEFAULT_MEMORY_MIB } from './move-physics.js';
import { NORMAL_QUANTILES } from './normal-quantiles.js';
import { newPrecopyResult, precopy, type PrecopyInputs } from './precopy.js';
import { conditionedOn, probabilityBelow } from './quantile-curve.js';

// Bound once: a lookup through the global object costs more than the function itself where it is not inlined.
const { abs, exp, log, max, min } = Math;

/**
 * How long a running move will still take, from what was predicted before its start and what one poll shows of it:
 *
 * 1. the prediction, given that the move has lasted longer than what has elapsed;
 * 2. physics continued: the rounds still to come from the bytes that remain, at the observed rates;
 * 3. the logarithm of the second is corrected by a linear form of how far the first and two plainer readings lie from it,
 *    with weights that change on the way, and gets the quantiles of that form's past errors at this point of the way.
 *
 * Weights and errors (`in-flight-fit.ts`) were fitted to measured moves; they are ratios of times and of bytes, so that they
 * hold for a move of seconds and for one of hours. Nothing measured after the poll is used.
 *
 * A poll that shows nothing yet leaves the prediction as it is: a move that has sent nothing still has the whole to do, and
 * near the start, what the prediction did not know is still not known.
 */

/** What is known of a move before and while it runs. */
export interface InFlightQuestion {
  /** After `fillKnown`. */
  inputs: MoveInputs;
  progress: MoveProgress;
  /** What had been predicted for it: seconds at QUANTILE_LEVELS, the chance to complete, and bytes (median, 90 % quantile). */
  seconds: ArrayLike<number>;
  completionProbability: number;
  transferredMib: number;
  mostTransferredMib: number;
  /** What physics expects it to send, and how fast (`DurationModel.stream`). */
  stream: PrecopyInputs;
}

export interface InFlightEstimate {
  /** Seconds still to come at QUANTILE_LEVELS, rising, above 0. */
  remaining: Float64Array;
  completionProbability: number;
  /** As of `DurationEstimate`, by what the poll shows; undefined where it tells nothing of bytes. */
  divergingSeconds: number | undefined;
  /** Of the whole move: median and 90 % quantile. */
  transferredMib: number;
  mostTransferredMib: number;
  /** The poll says that not one byte was sent so far. */
  hasSentNothing: boolean;
}

export const newInFlightEstimate = (): InFlightEstimate => ({
  remaining: new Float64Array(LEVELS),
  completionProbability: 1,
  divergingSeconds: undefined,
  transferredMib: 0,
  mostTransferredMib: 0,
  hasSentNothing: false,
});

const LEVELS = QUANTILE_LEVELS.length;
const MIDDLE = LEVELS >> 1;
const P90 = QUANTILE_LEVELS.indexOf(0.9);

/** The columns of the linear form, in the order of its weights. `way` is the share of the way that seems to be behind. */
export const inFlightFeatures = [
  'one',
  'way',
  'way²',
  'prior',
  'prior · way',
  'prior · way²',
  'prior, if longer',
  'by bytes, first round',
  'by bytes · way, first round',
  'counted bytes, later rounds',
  'later round',
  'dirtied over sent',
  'dirtied over sent, later rounds',
  'before post-copy',
  'multifd',
] as const;
export const IN_FLIGHT_FEATURES = inFlightFeatures.length;

/** Readings further from physics than by this factor's logarithm say no more than that. */
const MOST_DISTANCE = 2.5;
/** More dirtied than this many times what is sent is no worse. */
const MOST_DIRTIED_OVER_SENT = 2;
/** Dirtied over sent at which each round is half of the one before: less than that ends by itself soon. */
const CONVERGING_SHARE = 0.5;
const MOST_DIVERGENCE = 2;
/** Managers count milliseconds: a move that has run for less has not started, as far as can be told. */
const LEAST_ELAPSED_SECONDS = 0.001;
/** A move that is running has at least so long to go: the shortest that a poll can tell from its end. */
export const LEAST_REMAINING_SECONDS = 0.02;
const LEAST_PHYSICS_SECONDS = 0.01;
/**
 * Rounds that do not converge go on for ever in physics, but a move that completes does not: physics sees at most so many times
 * the longer of the prediction and of what is left at the observed rate. Of 1.5, 3, 6 and 20 the first had the least pinball loss.
 */
const MOST_OVER_PLAIN = 1.5;
const LEAST_RATE_MIB_S = 0.05;
/** However much was sent already: of a round that is counted as running, this share of what is counted is still to come. */
const LEAST_COUNTED_SHARE = 0.05;
/** Where rounds are not counted: the first has sent less than so many times what was expected (0.8 to 1.1 were tried). */
const FIRST_ROUND_SHARE = 1.1;
/** What left the guest may still lie in sockets' buffers: 16 MiB at each end, as hosts on fast networks are tuned to. */
const BUFFERED_MIB = 32;
/** Nothing is more certain than this. */
const MOST_SURE = 0.995;

const clipped = (ratio: number): number => max(-MOST_DISTANCE, min(MOST_DISTANCE, log(ratio)));

const physics = newPrecopyResult();
const conditioned = new Float64Array(LEVELS);
const logSeconds = new Float64Array(LEVELS);
const features = new Float64Array(IN_FLIGHT_FEATURES);

/** Quantiles of the remaining seconds by the prediction alone, given that `elapsed` seconds have passed. */
export function remainingByPrior(
  seconds: ArrayLike<number>,
  elapsed: number,
  out: Float64Array,
): Float64Array {
  for (let j = 0; j < LEVELS; j++) logSeconds[j] = log(seconds[j]!);
  conditionedOn(logSeconds, log(elapsed), conditioned);
  for (let j = 0; j < LEVELS; j++) out[j] = max(LEAST_REMAINING_SECONDS, exp(conditioned[j]!) - elapsed);
  return out;
}

/**
 * The memory of the guest after a poll, MiB: `inputs.memoryMib` unless the poll counts more. Until the first round ends, what
 * was sent and what remains are pages of the guest that are counted once; whatever the round, no more can remain than it has.
 */
export function memoryShown(inputs: MoveInputs, progress: MoveProgress): number {
  const { memoryMib, usedMemoryMib, diskMib, operation } = inputs;
  const { transferred_mib: sentMib = 0, remaining_mib: remainingMib, dirty_sync_count: rounds } = progress;
  if (operation !== 'live_migration' || remainingMib === undefined) return memoryMib;
  const countedMib = remainingMib + (rounds !== undefined && rounds <= 1 ? sentMib : 0);
  const shownMib = countedMib - (diskMib > 0 ? diskMib : 0);
  const toldMib = memoryMib >= 0 ? memoryMib : usedMemoryMib >= 0 ? usedMemoryMib : DEFAULT_MEMORY_MIB;
  return shownMib > toldMib ? shownMib : memoryMib;
}

/** A stream that seems faster than its link is so only by what the buffers took, and the less so the longer it has run. */
function withinLink(seenMibS: number, elapsed: number, { linkMbps }: MoveInputs): number {
  if (!(linkMbps > 0)) return seenMibS;
  return max(min(seenMibS, mbpsToMibPerSecond(linkMbps)), seenMibS - BUFFERED_MIB / elapsed);
}

/** What a poll says, with what it leaves out put in from the prediction. MiB, seconds, MiB/s. */
interface Reading {
  isFirstRound: boolean;
  remainingMib: number;
  sentMib: number;
  sentMibS: number;
  dirtyMibS: number;
}

/** Undefined where the poll tells nothing of bytes. */
function readingOf(question: InFlightQuestion): Reading | undefined {
  const { progress, stream, inputs } = question;
  const { elapsed_seconds: elapsed, transferred_mib, remaining_mib, dirty_rate_mib_s: dirty } = progress;
  if (transferred_mib === undefined && remaining_mib === undefined) return undefined;
  if (sentNothing(question)) return undefined;
  const expectedMib = volumeOf(stream, inputs);
  const rounds = progress.dirty_sync_count;
  const isCounted = transferred_mib !== undefined && transferred_mib > 0;
  const sentMib = isCounted ? transferred_mib : max(0, expectedMib - (remaining_mib ?? expectedMib));
  const isFirstRound = rounds !== undefined ? rounds <= 1 : sentMib < FIRST_ROUND_SHARE * expectedMib;
  const polled = progress.throughput_mbps;
  const seenMibS =
    polled !== undefined && polled > 0
      ? mbpsToMibPerSecond(polled)
      : sentMib > 0
        ? sentMib / elapsed
        : stream.bandwidthMibS;
  return {
    isFirstRound,
    remainingMib: remaining_mib ?? max(0, expectedMib - sentMib),
    sentMib,
    sentMibS: max(LEAST_RATE_MIB_S, withinLink(seenMibS, elapsed, inputs)),
    // QEMU says 0 during the first round, because it has not looked yet.
    dirtyMibS: dirty === undefined || (isFirstRound && dirty === 0) ? stream.dirtyMibS : dirty,
  };
}

/** What the first pass over memory, and a disk that is copied along, is expected to send. */
const volumeOf = (stream: PrecopyInputs, inputs: MoveInputs): number =>
  stream.volumeMib + (inputs.diskMib > 0 ? inputs.diskMib : 0);

/**
 * Whether a poll says that not one byte was sent so far, so that the whole move is still to come. Where less remains than
 * there was, some were sent, and 0 only says that they are not counted.
 */
function sentNothing({ progress, stream, inputs }: InFlightQuestion): boolean {
  const { transferred_mib, remaining_mib, throughput_mbps = 0 } = progress;
  const wholeMib = inputs.operation === 'live_migration' ? stream.volumeMib : inputs.diskMib;
  return (
    transferred_mib === 0 &&
    throughput_mbps === 0 &&
    (remaining_mib === undefined || !(remaining_mib < wholeMib))
  );
}

const continued: PrecopyInputs = {
  volumeMib: 0,
  bandwidthMibS: 1,
  dirtyMibS: 0,
  workingSetMib: 0,
  downtimeLimitSeconds: 0,
  autoConverge: false,
  postcopy: false,
};

/** What `formOf` finds besides the features: seconds that physics still sees, the share of the way, and how it converges. */
export interface InFlightForm {
  features: Float64Array;
  physicsSeconds: number;
  sentMibS: number;
  toSendMib: number;
  way: number;
  /** 0 while rounds shrink or auto-converge or post-copy would end them; 1 when as much is dirtied as is sent. */
  divergence: number;
}

/**
 * The row of the linear form for one poll of a live migration; undefined where the poll tells nothing of bytes. The features
 * are valid until the next call.
 */
export function formOf(question: InFlightQuestion, priorSeconds: number): InFlightForm | undefined {
  const reading = readingOf(question);
  if (reading === undefined) return undefined;
  const { stream, inputs, progress } = question;
  const { isFirstRound, sentMib, sentMibS, dirtyMibS, remainingMib } = reading;
  const elapsed = progress.elapsed_seconds;
  const expectedMib = volumeOf(stream, inputs);
  // In the first round zero pages are counted as memory but hardly sent: what is expected to be sent is nearer the truth.
  const toSendMib = isFirstRound
    ? min(remainingMib, max(expectedMib - sentMib, LEAST_COUNTED_SHARE * remainingMib))
    : remainingMib;
  continued.volumeMib = stream.volumeMib;
  continued.bandwidthMibS = sentMibS;
  continued.dirtyMibS = dirtyMibS;
  continued.workingSetMib = stream.workingSetMib;
  continued.downtimeLimitSeconds = stream.downtimeLimitSeconds;
  continued.autoConverge = stream.autoConverge;
  continued.postcopy = stream.postcopy;
  precopy(continued, physics, toSendMib, isFirstRound ? elapsed : 0);
  const mostSeconds = MOST_OVER_PLAIN * max(priorSeconds, remainingMib / sentMibS);
  const physicsSeconds = max(LEAST_PHYSICS_SECONDS, min(physics.seconds, mostSeconds));
  const way = elapsed / (elapsed + physicsSeconds);
  const dirtied = min(MOST_DIRTIED_OVER_SENT, dirtyMibS / sentMibS);
  const prior = clipped(max(LEAST_PHYSICS_SECONDS, priorSeconds) / physicsSeconds);
  const first = isFirstRound ? 1 : 0;
  const byBytesMibS = withinLink(sentMib / elapsed, elapsed, inputs);
  const byBytes =
    first === 0 || !(sentMib > 0)
      ? 0
      : clipped(max(LEAST_PHYSICS_SECONDS, (expectedMib - sentMib) / byBytesMibS) / physicsSeconds);
  const counted =
    first === 1 ? 0 : clipped(max(LEAST_PHYSICS_SECONDS, remainingMib / sentMibS) / physicsSeconds);
  features[0] = 1;
  features[1] = way;
  features[2] = way * way;
  features[3] = prior;
  features[4] = prior * way;
  features[5] = prior * way * way;
  features[6] = max(0, prior);
  features[7] = byBytes;
  features[8] = byBytes * way;
  features[9] = counted;
  features[10] = 1 - first;
  features[11] = dirtied;
  features[12] = dirtied * (1 - first);
  features[13] = stream.postcopy ? 1 : 0;
  features[14] = (inputs.capabilities & Capability.multifd) !== 0 ? 1 : 0;
  return {
    features,
    physicsSeconds,
    sentMibS,
    toSendMib,
    way,
    divergence:
      isFirstRound || stream.autoConverge || stream.postcopy
        ? 0
        : max(0, min(MOST_DIVERGENCE, dirtied / CONVERGING_SHARE - 1)),
  };
}

/** Errors of the form at a point of the way, at one level: linear between the knots. */
function errorAt({ knots, errors }: InFlightFit, way: number, level: number): number {
  const last = knots.length - 1;
  if (way <= knots[0]!) return errors[0]![level]!;
  if (way >= knots[last]!) return errors[last]![level]!;
  let k = 1;
  while (way > knots[k]!) k++;
  const share = (way - knots[k - 1]!) / (knots[k]! - knots[k - 1]!);
  return errors[k - 1]![level]! + share * (errors[k]![level]! - errors[k - 1]![level]!);
}

export const dot = (weights: ArrayLike<number>, row: ArrayLike<number>): number => {
  let sum = 0;
  for (let j = 0; j < weights.length; j++) sum += weights[j]! * row[j]!;
  return sum;
};

/**
 * Remaining seconds with quantiles, and the chance that the move completes. O(rounds), at most 60. A copy of a disk goes on
 * at the observed rate; a failover shows nothing but time.
 */
export function estimateInFlight(
  question: InFlightQuestion,
  out: InFlightEstimate,
  fit: InFlightFit = IN_FLIGHT_FIT,
): InFlightEstimate {
  const { inputs, progress, seconds } = question;
  const { remaining } = out;
  const elapsed = progress.elapsed_seconds;
  out.divergingSeconds = undefined;
  out.transferredMib = question.transferredMib;
  out.mostTransferredMib = question.mostTransferredMib;
  out.hasSentNothing = false;
  if (elapsed < LEAST_ELAPSED_SECONDS) {
    remaining.set(seconds);
    out.completionProbability = question.completionProbability;
    return out;
  }
  remainingByPrior(seconds, elapsed, remaining);
  const priorSeconds = remaining[MIDDLE]!;
  let divergence = 0;
  let sending: Sending | undefined;
  out.hasSentNothing = sentNothing(question);
  if (out.hasSentNothing) for (let j = 0; j < LEVELS; j++) remaining[j] = max(remaining[j]!, seconds[j]!);
  else if (inputs.operation === 'live_migration') {
    const form = formOf(question, priorSeconds);
    if (form !== undefined) {
      sending = form;
      const { way } = form;
      ({ divergence } = form);
      out.divergingSeconds = physics.converged ? 0 : physics.downtimeSeconds;
      const middle = log(form.physicsSeconds) + dot(fit.weights, form.features);
      // Near the start, by the bytes and by the time that was predicted, the prediction still counts.
      const begun = max(way, elapsed / (elapsed + priorSeconds));
      const trust = min(1, begun / fit.knots[0]!);
      for (let j = 0; j < LEVELS; j++)
        remaining[j] = exp(trust * (middle + errorAt(fit, way, j)) + (1 - trust) * log(remaining[j]!));
    }
  } else if (inputs.operation === 'disk_replication') sending = diskInFlight(question, remaining);
  let below = LEAST_REMAINING_SECONDS;
  for (let j = 0; j < LEVELS; j++)
    below = remaining[j] = max(below, min(LONGEST_MOVE_SECONDS, remaining[j]!));
  const left = inputs.timeoutSeconds - elapsed;
  if (left > 0) for (let j = 0; j < LEVELS; j++) remaining[j] = min(left, remaining[j]!);
  if (sending !== undefined) bytesInFlight(question, sending, out);
  out.completionProbability = chanceInFlight(question, remaining[MIDDLE]!, divergence, fit);
  return out;
}

/** How far the rate of a disk copy may still change (log scale): what is left of the prediction's spread, at least this. */
const LEAST_DISK_SPREAD = 0.05;

/**
 * From the prediction towards what is left at the observed rate, in proportion to the way; it has one round only. In place;
 * undefined where the poll tells nothing of bytes.
 */
function diskInFlight({ inputs, progress }: InFlightQuestion, remaining: Float64Array): Sending | undefined {
  const { elapsed_seconds: elapsed, transferred_mib: sent, remaining_mib, throughput_mbps } = progress;
  const toSendMib =
    remaining_mib ?? (sent !== undefined && inputs.diskMib > 0 ? max(0, inputs.diskMib - sent) : undefined);
  const done =
    sent !== undefined && sent > 0
      ? sent
      : toSendMib !== undefined && inputs.diskMib > 0
        ? inputs.diskMib - toSendMib
        : undefined;
  const rate =
    throughput_mbps !== undefined && throughput_mbps > 0
      ? mbpsToMibPerSecond(throughput_mbps)
      : done !== undefined && done > 0
        ? done / elapsed
        : NaN;
  if (toSendMib === undefined || !(rate > 0)) return undefined;
  const sentMibS = max(LEAST_RATE_MIB_S, withinLink(rate, elapsed, inputs));
  const seconds = max(LEAST_REMAINING_SECONDS, toSendMib / sentMibS);
  const way = elapsed / (elapsed + seconds);
  const prior = remaining.map(log);
  const middle = (1 - way) * prior[MIDDLE]! + way * log(seconds);
  for (let j = 0; j < LEVELS; j++) {
    const spread = (1 - way) * (prior[j]! - prior[MIDDLE]!);
    const least = way * LEAST_DISK_SPREAD * NORMAL_QUANTILES[j]!;
    remaining[j] = exp(middle + (abs(spread) > abs(least) ? spread : least));
  }
  return { sentMibS, toSendMib };
}

/** The rate by which bytes go on, and the least that is still to send. */
interface Sending {
  sentMibS: number;
  toSendMib: number;
}

/**
 * What the whole move sends: from the prediction to what is sent in the time that remains at the observed rate, in proportion
 * to the way. The rate varies more than the bytes do, so that early on the prediction is the better guide. After `remaining`.
 */
function bytesInFlight(
  { progress }: InFlightQuestion,
  { sentMibS, toSendMib }: Sending,
  out: InFlightEstimate,
): void {
  const { elapsed_seconds: elapsed, transferred_mib: sentMib = 0 } = progress;
  if (!(sentMib > 0)) return; // what is not counted cannot be added to
  const way = elapsed / (elapsed + out.remaining[MIDDLE]!);
  const leastMib = sentMib + toSendMib;
  const between = (predictedMib: number, seconds: number): number =>
    max(
      leastMib,
      max(leastMib, predictedMib) ** (1 - way) * max(leastMib, sentMib + sentMibS * seconds) ** way,
    );
  out.transferredMib = between(out.transferredMib, out.remaining[MIDDLE]!);
  out.mostTransferredMib = between(out.mostTransferredMib, out.remaining[P90]!);
}

/** The columns of the chance to complete, in the order of its weights. */
export const chanceFeatures = [
  'one',
  'log odds, given what has elapsed',
  'log of time left over time needed',
  'divergence',
  'log of what is left of the way',
] as const;
const chance = new Float64Array(chanceFeatures.length);
/** Times left that are so many times (log) what is needed, or the other way round, say no more than that. */
const MOST_ROOM = 3;
/** Less of the way left than this is no nearer to the end. */
const LEAST_WAY_LEFT = 0.01;

/** The logarithm of the odds to complete: `before` and, by the weights, the row of the logistic form. */
export interface ChanceForm {
  /** Valid until the next call. */
  row: Float64Array;
  before: number;
}

/** Near the start the odds are as before, as far as the way is from the first knot of the form of the remaining time. */
export function chanceFormOf(
  { inputs, progress, seconds, completionProbability: before }: InFlightQuestion,
  remainingSeconds: number,
  divergence: number,
  { knots }: InFlightFit,
): ChanceForm {
  const elapsed = progress.elapsed_seconds;
  for (let j = 0; j < LEVELS; j++) logSeconds[j] = log(seconds[j]!);
  // Of those that complete, the share that would have by now is no longer among the possible (Bayes).
  const running = before * (1 - probabilityBelow(logSeconds, log(elapsed)));
  const given = min(MOST_SURE, max(1 - MOST_SURE, running / (running + 1 - before)));
  const odds = log(given / (1 - given));
  const left = inputs.timeoutSeconds - elapsed;
  const hasLimit = inputs.timeoutSeconds > 0;
  const wayLeft = remainingSeconds / (elapsed + remainingSeconds);
  chance[0] = 1;
  chance[1] = odds;
  chance[2] = hasLimit
    ? max(-MOST_ROOM, min(MOST_ROOM, log(max(LEAST_REMAINING_SECONDS, left) / remainingSeconds)))
    : 0;
  chance[3] = divergence;
  // What may break it off has less and less time for it.
  chance[4] = hasLimit ? 0 : log(max(LEAST_WAY_LEFT, wayLeft));
  const trust = min(1, (1 - wayLeft) / knots[0]!);
  for (let j = 0; j < chance.length; j++) chance[j]! *= trust;
  return { row: chance, before: (1 - trust) * odds };
}

function chanceInFlight(
  question: InFlightQuestion,
  remainingSeconds: number,
  divergence: number,
  fit: InFlightFit,
): number {
  const { row, before } = chanceFormOf(question, remainingSeconds, divergence, fit);
  const weights = question.inputs.timeoutSeconds > 0 ? fit.chance_within_limit : fit.chance;
  const p = 1 / (1 + exp(-before - dot(weights, row)));
  return min(MOST_SURE, max(1 - MOST_SURE, p));
}
