import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { dueSlot, nextSlot, occurrences, slotsAround, type Timetable } from '../../src/watch/timetable.js';
import {
  instantFrom,
  instantsOf,
  isTimeZone,
  wallMinutes,
  wallMinutesOf,
} from '../../src/watch/time-zone.js';
import { anyTimetable, isInside, utc, weekdays, ZONES } from './timetables.js';

const nightly: Timetable = {
  timeZone: 'Europe/Berlin',
  windows: [{ fromMinute: 60, toMinute: 5 * 60 }],
  weekdays: weekdays(0, 1, 2, 3, 4, 5, 6),
  starts: { at: [2 * 60] },
};
const NONE: ReadonlySet<string> = new Set();
const starting = (table: Timetable, day: string): string[] =>
  occurrences(table, wallMinutesOf(day), wallMinutesOf(day)).map(
    ({ startMs, endMs }) => `${new Date(startMs).toISOString()}/${new Date(endMs).toISOString()}`,
  );

describe('a wall clock', () => {
  it('shows a time twice when it is set back over it, never when it is set forward over it', () => {
    const at = (text: string): number =>
      wallMinutesOf(text.slice(0, 10)) + Number(text.slice(11, 13)) * 60 + 30;
    expect(instantsOf(at('2026-10-25T02'), 'Europe/Berlin')).toEqual([
      utc('2026-10-25T00:30'),
      utc('2026-10-25T01:30'),
    ]);
    expect(instantsOf(at('2026-03-29T02'), 'Europe/Berlin')).toEqual([]);
    expect(instantFrom(at('2026-03-29T02'), 'Europe/Berlin')).toBe(utc('2026-03-29T01:00'));
    expect(instantsOf(at('2026-07-01T02'), 'Europe/Berlin')).toEqual([utc('2026-07-01T00:30')]);
  });

  it('left out a whole day on Samoa', () => {
    expect(instantsOf(wallMinutesOf('2011-12-30') + 720, 'Pacific/Apia')).toEqual([]);
    expect(instantFrom(wallMinutesOf('2011-12-30') + 720, 'Pacific/Apia')).toBe(utc('2011-12-30T10:00'));
  });

  it('is found again from any instant, in any zone', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...ZONES),
        fc.integer({ min: utc('2000-01-01T00:00') / 60_000, max: utc('2040-01-01T00:00') / 60_000 }),
        (zone, minute) => {
          const instants = instantsOf(wallMinutes(minute * 60_000, zone), zone);
          expect(instants).toContain(minute * 60_000);
          expect(instants.length).toBeLessThanOrEqual(2);
        },
      ),
    );
  });

  it('has a name that is checked', () => {
    expect(isTimeZone('Europe/Berlin')).toBe(true);
    expect(isTimeZone('Europe/Nowhere')).toBe(false);
  });
});

describe('windows', () => {
  it('lie on the wall clock, summer and winter', () => {
    expect(starting(nightly, '2026-07-01')).toEqual(['2026-06-30T23:00:00.000Z/2026-07-01T03:00:00.000Z']);
    expect(starting(nightly, '2026-12-01')).toEqual(['2026-12-01T00:00:00.000Z/2026-12-01T04:00:00.000Z']);
  });

  it('last an hour less and an hour more on the nights on which clocks are set', () => {
    expect(starting(nightly, '2026-03-29')).toEqual(['2026-03-29T00:00:00.000Z/2026-03-29T03:00:00.000Z']);
    expect(starting(nightly, '2026-10-25')).toEqual(['2026-10-24T23:00:00.000Z/2026-10-25T04:00:00.000Z']);
  });

  it('that the clock is set forward over are left out; over which it is set back, come once', () => {
    const short = { ...nightly, windows: [{ fromMinute: 2 * 60 + 10, toMinute: 2 * 60 + 50 }] };
    expect(starting(short, '2026-03-29')).toEqual([]);
    expect(starting(short, '2026-10-25')).toEqual(['2026-10-25T01:10:00.000Z/2026-10-25T01:50:00.000Z']);
  });

  it('go over midnight, on the day on which they begin', () => {
    const late = { ...nightly, windows: [{ fromMinute: 22 * 60, toMinute: 2 * 60 }], weekdays: weekdays(5) };
    expect(starting(late, '2026-07-03')).toEqual(['2026-07-03T20:00:00.000Z/2026-07-04T00:00:00.000Z']);
    expect(starting(late, '2026-07-04')).toEqual([]);
  });

  it('hold nothing that the wall clock shows outside of them, in any zone, on any day', () => {
    fc.assert(
      fc.property(
        anyTimetable(),
        fc.integer({ min: 0, max: 365 * 40 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (table, day, share) => {
          const from = wallMinutesOf('2000-01-01') + day * 1440;
          for (const { startMs, endMs } of occurrences(table, from, from + 1440)) {
            expect(endMs).toBeGreaterThan(startMs);
            for (const instant of [startMs, startMs + Math.floor(share * (endMs - startMs)), endMs - 1])
              expect(isInside(table, instant)).toBe(true);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('slots', () => {
  it('come once a night, also when the clock shows their time twice or not at all', () => {
    const half = { ...nightly, starts: { at: [2 * 60 + 30] } };
    const of = (day: string): string[] =>
      slotsAround(half, utc(`${day}T00:30`))
        .filter(({ id }) => id.startsWith(day))
        .map(({ id, startMs }) => `${id} ${new Date(startMs).toISOString()}`);
    expect(of('2026-03-29')).toEqual(['2026-03-29T02:30 2026-03-29T01:00:00.000Z']);
    expect(of('2026-10-25')).toEqual(['2026-10-25T02:30 2026-10-25T00:30:00.000Z']);
  });

  it('come every so many hours from the start of each window', () => {
    const often: Timetable = { ...nightly, starts: { everyMs: 90 * 60_000 } };
    const slots = slotsAround(often, utc('2026-07-01T00:30')).filter(({ id }) => id.startsWith('2026-07-01'));
    expect(slots.map(({ id }) => id)).toEqual([
      '2026-07-01T01:00+0',
      '2026-07-01T01:00+1',
      '2026-07-01T01:00+2',
    ]);
    expect(slots.every(({ untilMs }) => untilMs === utc('2026-07-01T03:00'))).toBe(true);
  });

  it('are due from their time until their window ends; the latest stands for earlier ones', () => {
    const twice: Timetable = { ...nightly, starts: { at: [2 * 60, 3 * 60] } };
    expect(dueSlot(twice, utc('2026-06-30T23:59'), NONE)).toBeUndefined();
    expect(dueSlot(twice, utc('2026-07-01T00:00'), NONE)?.slot.id).toBe('2026-07-01T02:00');
    const late = dueSlot(twice, utc('2026-07-01T02:30'), NONE)!;
    expect([late.slot.id, ...late.passedOver.map(({ id }) => id)]).toEqual([
      '2026-07-01T03:00',
      '2026-07-01T02:00',
    ]);
    expect(dueSlot(twice, utc('2026-07-01T02:30'), new Set([late.slot.id]))).toBeUndefined();
    expect(dueSlot(twice, utc('2026-07-01T03:00'), NONE)).toBeUndefined();
  });

  it('to come are found a week ahead, over a day that the clock leaves out', () => {
    const weekly: Timetable = {
      ...nightly,
      windows: [{ fromMinute: 2 * 60, toMinute: 3 * 60 }],
      weekdays: weekdays(0),
    };
    expect(nextSlot(weekly, utc('2026-03-23T00:00'), NONE)?.id).toBe('2026-04-05T02:00');
  });

  it('start inside a window and keep their names, whenever they are reckoned', () => {
    fc.assert(
      fc.property(
        anyTimetable(),
        fc.integer({ min: utc('2000-01-01T00:00'), max: utc('2040-01-01T00:00') }),
        fc.integer({ min: 0, max: 24 * 3600_000 }),
        (table, nowMs, laterMs) => {
          const slots = slotsAround(table, nowMs);
          expect(new Set(slots.map(({ id }) => id)).size).toBe(slots.length);
          for (const slot of slots) {
            expect(isInside(table, slot.startMs)).toBe(true);
            expect(isInside(table, slot.untilMs - 1)).toBe(true);
          }
          // Around the ends of the days looked at, not all windows are known; of now they are.
          const now = slots.filter(({ startMs }) => Math.abs(startMs - nowMs) < 3600_000);
          const later = slotsAround(table, nowMs + laterMs);
          expect(now.map(({ id }) => later.find((slot) => slot.id === id))).toEqual(now);
        },
      ),
      { numRuns: 150 },
    );
  });
});
