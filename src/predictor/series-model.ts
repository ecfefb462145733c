import { MS_PER_DAY } from '../domain/units.js';

/**
 * One way to forecast a series. A series is a row of bins (bin = floor(epoch ms ÷ step)), any of which may be missing.
 * Values are the fourth root of what was measured (see `series-forecast.ts`), so that a burst is large but not endless.
 *
 * The whole memory of a model is one array of doubles: saving is copying it, and a model that was restored goes on to
 * the last digit as if it had never stopped.
 */
export interface SeriesModel {
  readonly state: Float64Array;
  /** Takes in the value of a bin later than all before. O(1). */
  learn(bin: number, value: number): void;
  /** The middle of what is expected in a bin later than all learnt ones; NaN before the first. O(1). */
  point(bin: number): number;
}

export const HOURS_PER_DAY = 24;
export const DAYS_PER_WEEK = 7;
/** Epoch day 0 was a Thursday: weeks are counted from Monday, four days later. */
const MONDAY_DAY = 4;

/** Which of `slots` equal parts of the UTC day a bin begins in, 0 to slots − 1. */
export function slotOfDay(bin: number, stepMs: number, slots: number): number {
  const inDay = (((bin * stepMs) % MS_PER_DAY) + MS_PER_DAY) % MS_PER_DAY;
  return Math.min(slots - 1, Math.floor((inDay * slots) / MS_PER_DAY));
}

/** Which day of the week a bin begins in, UTC: 0 is Monday, 6 is Sunday. */
export function dayOfWeek(bin: number, stepMs: number): number {
  const day = Math.floor((bin * stepMs) / MS_PER_DAY) - MONDAY_DAY;
  return ((day % DAYS_PER_WEEK) + DAYS_PER_WEEK) % DAYS_PER_WEEK;
}

/** How many bins make a day. Every step divides it. */
export const binsPerDay = (stepMs: number): number => Math.max(1, Math.round(MS_PER_DAY / stepMs));

/** The middle of the first `count` numbers of an array, which it sorts in place; NaN of none. O(count log count). */
export function medianInPlace(values: Float64Array, count: number): number {
  if (count === 0) return NaN;
  const part = values.subarray(0, count).sort();
  const half = count >> 1;
  return count % 2 === 1 ? part[half]! : (part[half - 1]! + part[half]!) / 2;
}
