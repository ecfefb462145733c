import { InvalidArgumentError } from 'commander';
import { LEAST_QUANTILE, MOST_QUANTILE } from '../balancer/move-prices.js';
import { fromIsoTime } from '../domain/units.js';

/** Values of options as commander hands them over: text → value, or a sentence that says what it must be. */

export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

export function positive(text: string): number {
  const value = number(text);
  if (!(value > 0 && value < Infinity)) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

/** As `positive`, but for limits, of which there may be none. */
export function aboveZero(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0)) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

/** Of what there must be at least one. */
export function count(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('It must be a whole number above 0.');
  return value;
}

export function integer(text: string): number {
  const value = number(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('It must be a whole number.');
  return value;
}

/** Of durations, of which no more is known than p10 and p90. */
export function quantileLevel(text: string): number {
  const value = number(text);
  if (!(value >= LEAST_QUANTILE && value <= MOST_QUANTILE))
    throw new InvalidArgumentError(`It must be from ${LEAST_QUANTILE} to ${MOST_QUANTILE}.`);
  return value;
}

export function notNegative(text: string): number {
  const value = number(text);
  if (!(value >= 0 && value < Infinity)) throw new InvalidArgumentError('It must be a number, 0 or more.');
  return value;
}

/** Epoch milliseconds; a day alone is its midnight in UTC. */
export function time(text: string): number {
  const ms = fromIsoTime(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  if (Number.isNaN(ms))
    throw new InvalidArgumentError('It must be a time such as 2026-11-22T10:56:05Z, or the day alone.');
  return ms;
}

/** Words parted by commas. */
export const list = (text: string): string[] => text.split(',').filter((word) => word !== '');

/** Of an option that may be given several times. */
export const collect = (value: string, before: string[]): string[] => [...before, value];
