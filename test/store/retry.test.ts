import { describe, expect, it } from '@jest/globals';
import { UserError } from '../../src/domain/errors.js';
import {
  DEFAULT_RETRY,
  StoreUnreachableError,
  pauseAfter,
  retryAfterOf,
  retrying,
} from '../../src/store/retry.js';

/** A clock that only moves when somebody sleeps. */
function stillClock(): { now: () => number; sleep: (ms: number) => Promise<void>; slept: number[] } {
  let nowMs = 0;
  const slept: number[] = [];
  return {
    now: () => nowMs,
    sleep: async (ms) => {
      slept.push(ms);
      nowMs += ms;
    },
    slept,
  };
}

const policy = { ...DEFAULT_RETRY, firstPauseMs: 100, longestPauseMs: 1000, random: () => 1 };

describe('retrying', () => {
  it('tries again with pauses that double up to the longest, until it succeeds', async () => {
    const clock = stillClock();
    let calls = 0;
    const outcome = await retrying(
      async () => {
        calls += 1;
        if (calls < 7) throw new StoreUnreachableError('away');
        return 'done';
      },
      { ...policy, ...clock, deadlineMs: 60_000 },
    );
    expect(outcome).toBe('done');
    expect(clock.slept).toEqual([100, 200, 400, 800, 1000, 1000]);
  });

  it('gives the last error when the deadline would pass, and sleeps no longer than that', async () => {
    const clock = stillClock();
    let calls = 0;
    const failing = async (): Promise<never> => {
      calls += 1;
      throw new StoreUnreachableError(`away ${calls}`);
    };
    await expect(retrying(failing, { ...policy, ...clock, deadlineMs: 1000 })).rejects.toThrow('away 4');
    expect(clock.now()).toBe(700);
  });

  it('does not try again what would fail again', async () => {
    let calls = 0;
    const failing = async (): Promise<never> => {
      calls += 1;
      throw new UserError('store-unavailable', 'wrong password');
    };
    await expect(retrying(failing, { ...policy, ...stillClock() })).rejects.toThrow('wrong password');
    expect(calls).toBe(1);
  });

  it('leaves the server alone for as long as it asks', async () => {
    const clock = stillClock();
    let calls = 0;
    await retrying(
      async () => {
        calls += 1;
        if (calls === 1) throw new StoreUnreachableError('busy', 5000);
      },
      { ...policy, ...clock, deadlineMs: 60_000 },
    );
    expect(clock.slept).toEqual([5000]);
  });

  it('spreads the pauses: half of each is random', () => {
    expect(pauseAfter(2, undefined, { ...policy, random: () => 0 })).toBe(200);
    expect(pauseAfter(2, undefined, { ...policy, random: () => 0.5 })).toBe(300);
  });

  it('reads Retry-After in seconds and as a date', () => {
    const nowMs = Date.parse('2026-01-01T00:00:00Z');
    expect(retryAfterOf('7', nowMs)).toBe(7000);
    expect(retryAfterOf('Thu, 01 Jan 2026 00:00:09 GMT', nowMs)).toBe(9000);
    expect(retryAfterOf('Wed, 31 Dec 2025 00:00:00 GMT', nowMs)).toBe(0);
    expect(retryAfterOf('soon', nowMs)).toBeUndefined();
    expect(retryAfterOf(undefined, nowMs)).toBeUndefined();
  });
});
