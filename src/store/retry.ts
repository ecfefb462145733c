import { setTimeout as pause } from 'node:timers/promises';
import { UserError } from '../domain/errors.js';

/** The store cannot be reached now, and the same call may succeed later. */
export class StoreUnreachableError extends UserError {
  constructor(
    sentence: string,
    /** How long the server asks to be left alone, where it says. */
    readonly retryAfterMs?: number,
  ) {
    super('store-unavailable', sentence);
  }
}

/** How long and how often a call is tried again. */
export interface RetryPolicy {
  /** No new attempt begins later than this after the first one. 0: a single attempt. */
  deadlineMs: number;
  /** Pause after the first failure; doubles with each further one. */
  firstPauseMs: number;
  longestPauseMs: number;
  /** [0, 1): spreads the attempts of many clients that lost the same server. */
  random: () => number;
  /** Milliseconds that only go forward. */
  now: () => number;
  sleep: (ms: number) => Promise<unknown>;
}

export const DEFAULT_RETRY: RetryPolicy = {
  deadlineMs: 30_000, // a restart of InfluxDB takes seconds; longer outages are the spool's
  firstPauseMs: 200,
  longestPauseMs: 10_000,
  random: Math.random,
  now: () => performance.now(),
  sleep: (ms) => pause(ms),
};

/**
 * Does `work`, again and again while it throws {@link StoreUnreachableError}: with pauses that double and of which a
 * half is random (or as long as the server asks for), until the deadline, then throws the last error. Any other error
 * is thrown at once: trying again would not help.
 */
export async function retrying<T>(work: () => Promise<T>, policy: RetryPolicy): Promise<T> {
  const startedMs = policy.now();
  for (let failures = 0; ; failures++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreUnreachableError)) throw error;
      const pauseMs = pauseAfter(failures, error.retryAfterMs, policy);
      if (policy.now() - startedMs + pauseMs >= policy.deadlineMs) throw error;
      await policy.sleep(pauseMs);
    }
  }
}

/** Milliseconds to wait after so many earlier failures. */
export function pauseAfter(
  failures: number,
  retryAfterMs: number | undefined,
  { firstPauseMs, longestPauseMs, random }: RetryPolicy,
): number {
  const fullMs = Math.min(longestPauseMs, firstPauseMs * 2 ** failures);
  return Math.max(retryAfterMs ?? 0, fullMs * (0.5 + 0.5 * random()));
}

/** The value of a Retry-After header (seconds, or an HTTP date) in milliseconds from `nowMs`; undefined when it is neither. */
export function retryAfterOf(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const ms = Date.parse(header);
  return Number.isNaN(ms) ? undefined : Math.max(0, ms - nowMs);
}
