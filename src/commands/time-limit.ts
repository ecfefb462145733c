import { InvalidArgumentError } from 'commander';
import { UserError } from '../domain/errors.js';
import { fromIsoTime } from '../domain/units.js';

/**
 * What `--max-time` and `--finish-by` leave, the shorter of both; read once, so that a time of day that passes meanwhile
 * is not tomorrow's.
 */
export class TimeLimit {
  readonly #maxSeconds: number | undefined;
  readonly #finishMs: number | undefined;
  readonly #now: () => number;

  /** @param now epoch milliseconds */
  constructor({ maxTime, finishBy }: { maxTime?: number; finishBy?: string }, now: () => number) {
    const nowMs = now();
    this.#maxSeconds = maxTime;
    this.#finishMs = finishBy === undefined ? undefined : nowMs + secondsUntil(finishBy, nowMs) * 1000;
    this.#now = now;
  }

  /** As of now, 0 or more; undefined without a limit. */
  secondsLeft(): number | undefined {
    if (this.#finishMs === undefined) return this.#maxSeconds;
    return Math.min(this.#maxSeconds ?? Infinity, Math.max(0, (this.#finishMs - this.#now()) / 1000));
  }
}

/** `90`, `90s`, `30m`, `2h` → seconds. */
export function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(s|m|min|h|d)?$/.exec(text.trim());
  const units: Record<string, number> = { s: 1, m: 60, min: 60, h: 3600, d: 86_400 };
  const seconds = match === null ? NaN : Number(match[1]) * units[match[2] ?? 's']!;
  if (!(seconds > 0)) throw new InvalidArgumentError('It must be a time such as 90s, 30m or 2h.');
  return seconds;
}

/** Seconds from `nowMs` until a time of day, today or tomorrow by the machine's clock, or until an RFC 3339 time. */
export function secondsUntil(text: string, nowMs: number): number {
  const clock = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text);
  let untilMs = fromIsoTime(text);
  if (clock !== null) {
    const time = new Date(nowMs);
    time.setHours(Number(clock[1]), Number(clock[2]), 0, 0);
    if (time.getTime() <= nowMs) time.setDate(time.getDate() + 1);
    untilMs = time.getTime();
  }
  if (!(untilMs > nowMs))
    throw new UserError(
      'usage',
      `--finish-by ${text} is not a time to come; give a time of day such as 06:00 or an RFC 3339 time`,
    );
  return (untilMs - nowMs) / 1000;
}
