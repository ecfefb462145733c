import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Clock } from '../../src/ganeti/clock.js';
import type { Timetable } from '../../src/watch/timetable.js';
import { emptyState, type WatchState } from '../../src/watch/watch-state.js';
import { LEAST_LEFT_MS, watch, type Balancer, type Failure } from '../../src/watch/watcher.js';
import type { PlanSummary, Threshold } from '../../src/watch/worth.js';
import { anyTimetable, isInside, utc, weekdays } from './timetables.js';

/** A clock that moves when someone sleeps, and may be set meanwhile; it ends the watch after a while. */
class SetClock implements Clock {
  sleeps = 0;
  slept = 0;
  constructor(
    public nowMs: number,
    private readonly stop: AbortController,
    private readonly until: (clock: SetClock) => boolean,
    private readonly jumps: ReadonlyMap<number, number> = new Map(),
  ) {}
  now(): number {
    return this.nowMs;
  }
  async sleep(milliseconds: number): Promise<void> {
    this.pass(milliseconds);
  }
  pass(milliseconds: number): void {
    this.slept += milliseconds;
    this.nowMs += milliseconds + (this.jumps.get(++this.sleeps) ?? 0);
    if (this.until(this)) this.stop.abort();
  }
  deadline(): never {
    throw new Error('not used here');
  }
}

const GOOD: PlanSummary = {
  score_before: 10,
  score_after: 2,
  duration_seconds: { p50: 600, p90: 900 },
  moves: 5,
};
const AWAY: Failure = { words: 'https://master:5080: does not answer', isPassing: true };

interface World {
  timetable: Timetable;
  from: number;
  until: (clock: SetClock) => boolean;
  jumps?: ReadonlyMap<number, number>;
  plans?: (attempt: number) => PlanSummary | Failure;
  planningMs?: number;
  executingMs?: number;
  threshold?: Threshold;
  execute?: boolean;
  state?: WatchState;
  keep?: (state: WatchState) => Promise<void>;
}

interface Started {
  slot: string;
  atMs: number;
}

async function live({
  timetable,
  from,
  until,
  jumps,
  plans = () => GOOD,
  planningMs = 0,
  executingMs = 0,
  threshold = { minGain: 0.1, gainPerHour: undefined },
  execute = true,
  state = emptyState('cluster', 0),
  keep,
}: World): Promise<{
  events: string[];
  details: Record<string, unknown>[];
  started: Started[];
  kept: WatchState[];
}> {
  const stop = new AbortController();
  const clock = new SetClock(from, stop, until, jumps);
  const kept: WatchState[] = [];
  const events: string[] = [];
  const details: Record<string, unknown>[] = [];
  const started: Started[] = [];
  let attempts = 0;
  const balancer: Balancer = {
    plan: async () => {
      clock.pass(planningMs);
      return plans(attempts++);
    },
    execute: async () => {
      started.push({ slot: String(details.at(-1)!['slot']), atMs: clock.now() });
      clock.pass(executingMs);
      return { isComplete: true, words: '', scoreAfter: 2 };
    },
  };
  await watch({
    timetable,
    threshold,
    execute,
    clock,
    balancer,
    state,
    keep: async (next) => {
      await keep?.(next);
      kept.push(next);
    },
    tell: (event, more = {}) => {
      events.push(event);
      details.push(more);
    },
    signal: stop.signal,
  });
  return { events, details, started, kept };
}

const nightly: Timetable = {
  timeZone: 'UTC',
  windows: [{ fromMinute: 60, toMinute: 5 * 60 }],
  weekdays: weekdays(0, 1, 2, 3, 4, 5, 6),
  starts: { at: [2 * 60] },
};
const before = (text: string) => (clock: SetClock) => clock.now() >= utc(text);
const times = (started: readonly Started[]): string[] =>
  started.map(({ atMs }) => new Date(atMs).toISOString().slice(0, 16));

describe('a watch', () => {
  it('balances once each night at its time', async () => {
    const { started, events } = await live({
      timetable: nightly,
      from: utc('2026-07-01T00:00'),
      until: before('2026-07-04T00:00'),
    });
    expect(times(started)).toEqual(['2026-07-01T02:00', '2026-07-02T02:00', '2026-07-03T02:00']);
    expect(events.slice(0, 6)).toEqual([
      'waiting',
      'slot-due',
      'plan',
      'execution-started',
      'execution-ended',
      'waiting',
    ]);
  });

  it('moves nothing unless it is told to', async () => {
    const { started, events } = await live({
      timetable: nightly,
      from: utc('2026-07-01T00:00'),
      until: before('2026-07-02T00:00'),
      execute: false,
    });
    expect(started).toEqual([]);
    expect(events).toContain('would-execute');
  });

  it.each<[string, PlanSummary, Threshold, string]>([
    [
      'gains too little',
      { ...GOOD, score_after: 9.95 },
      { minGain: 0.1, gainPerHour: undefined },
      'little-gain',
    ],
    ['gains too little an hour', GOOD, { minGain: 0.1, gainPerHour: 48.1 }, 'too-slow'],
    ['has no moves', { ...GOOD, moves: 0 }, { minGain: 0, gainPerHour: undefined }, 'balanced'],
  ])('leaves a plan alone that %s', async (_case, plan, threshold, reason) => {
    const { started, details, kept } = await live({
      timetable: nightly,
      from: utc('2026-07-01T00:00'),
      until: before('2026-07-01T06:00'),
      plans: () => plan,
      threshold,
    });
    expect(started).toEqual([]);
    expect(details.filter((detail) => 'words' in detail)).toEqual([expect.objectContaining({ reason })]);
    expect(kept.at(-1)!.last).toMatchObject({ outcome: 'skipped', slot: '2026-07-01T02:00' });
  });

  it('asks again, ever later, while the cluster is away, and balances when it is back', async () => {
    const { started, details, events } = await live({
      timetable: nightly,
      from: utc('2026-07-01T00:00'),
      until: before('2026-07-02T00:00'),
      plans: (attempt) => (attempt < 6 ? AWAY : GOOD),
    });
    expect(times(started)).toEqual(['2026-07-01T02:45']); // 1 + 2 + 4 + 8 + 15 + 15 minutes later
    expect(events.filter((event) => event === 'retry')).toHaveLength(6);
    expect(details.find(({ reason }) => reason === AWAY.words)).toMatchObject({
      at: '2026-07-01T02:01:00.000Z',
    });
  });

  it('lets a night pass in which the cluster stays away, and tries the next', async () => {
    const { started, events } = await live({
      timetable: nightly,
      from: utc('2026-07-01T00:00'),
      until: before('2026-07-03T00:00'),
      plans: (attempt) => (attempt < 15 ? AWAY : GOOD),
    });
    expect(events).toContain('window-over');
    expect(times(started)).toEqual(['2026-07-02T02:00']);
  });

  it('does not try again what only a person can put right', async () => {
    const { events } = await live({
      timetable: nightly,
      from: utc('2026-07-01T00:00'),
      until: before('2026-07-02T00:00'),
      plans: () => ({ words: 'no node group x', isPassing: false }),
    });
    expect(events.filter((event) => event === 'slot-failed')).toHaveLength(1);
    expect(events).not.toContain('retry');
  });

  it('begins nothing when planning has lasted until the window ends', async () => {
    const { started, events } = await live({
      timetable: nightly,
      from: utc('2026-07-01T00:00'),
      until: before('2026-07-01T12:00'),
      planningMs: 3 * 3600_000 - LEAST_LEFT_MS,
    });
    expect(started).toEqual([]);
    expect(events).toContain('window-over');
  });

  it('has a slot before its first move, so that a crash amid the moves does not begin it anew', async () => {
    const { kept } = await live({
      timetable: nightly,
      from: utc('2026-07-01T00:00'),
      until: before('2026-07-01T02:30'),
    });
    const crashed = kept.find(({ phase }) => phase === 'executing')!;
    expect(crashed).toMatchObject({ had: ['2026-07-01T02:00'], last: { outcome: 'started' } });
    const again = await live({
      timetable: nightly,
      from: utc('2026-07-01T02:10'),
      until: before('2026-07-02T03:00'),
      state: crashed,
    });
    expect(times(again.started)).toEqual(['2026-07-02T02:00']);
  });

  it('moves nothing when it cannot note that it does', async () => {
    const { started, events } = await live({
      timetable: nightly,
      from: utc('2026-07-01T00:00'),
      until: before('2026-07-01T12:00'),
      keep: () => Promise.reject(new Error('watch.json: the disk is full')),
    });
    expect(started).toEqual([]);
    expect(events).toContain('retry');
    expect(events.at(-1)).toBe('state-not-kept');
  });

  it('says when the clock is set', async () => {
    const { details, events } = await live({
      timetable: nightly,
      from: utc('2026-07-01T06:00'),
      until: before('2026-07-01T12:00'),
      jumps: new Map([
        [3, -2 * 3600_000],
        [30, 3600_000],
      ]),
    });
    const told = details.filter((_detail, index) => events[index] === 'clock-jumped');
    expect(told).toEqual([{ seconds: -7200 }, { seconds: 3600 }]);
  });

  it('stops at once when it is told to, also amid a wait for a cluster that is away', async () => {
    let asked = 0;
    const { kept, started } = await live({
      timetable: nightly,
      from: utc('2026-07-01T00:00'),
      until: () => asked === 2,
      plans: () => (asked++, AWAY),
    });
    expect(asked).toBe(2);
    expect(started).toEqual([]);
    expect(kept.at(-1)).toMatchObject({ phase: 'ended', had: [] });
  });

  it('never starts outside a window and never twice for one slot, however the clock is set', async () => {
    const jump = fc.oneof(
      fc.integer({ min: -90_000, max: 90_000 }),
      fc.integer({ min: -30 * 3600_000, max: 30 * 3600_000 }),
      fc.integer({ min: -400 * 86400_000, max: 400 * 86400_000 }),
    );
    await fc.assert(
      fc.asyncProperty(
        anyTimetable(),
        fc.integer({ min: utc('2001-01-01T00:00'), max: utc('2038-01-01T00:00') }),
        fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 80 }), jump), {
          selector: ([sleep]) => sleep,
          maxLength: 12,
        }),
        fc.array(fc.boolean(), { maxLength: 12 }),
        fc.integer({ min: 0, max: 7200_000 }),
        fc.integer({ min: 0, max: 7200_000 }),
        async (timetable, from, jumps, isAway, planningMs, executingMs) => {
          const { started } = await live({
            timetable,
            from,
            until: ({ sleeps }) => sleeps >= 100,
            jumps: new Map(jumps),
            plans: (attempt) => (isAway[attempt] === true ? AWAY : GOOD),
            planningMs,
            executingMs,
          });
          for (const { atMs } of started) expect(isInside(timetable, atMs)).toBe(true);
          expect(new Set(started.map(({ slot }) => slot)).size).toBe(started.length);
        },
      ),
      { numRuns: 40 },
    );
  });
});
