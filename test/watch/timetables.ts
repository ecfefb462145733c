import fc from 'fast-check';
import type { Timetable } from '../../src/watch/timetable.js';

/** Zones with odd changes of their clocks: half an hour, at midnight, over the date line, in Ramadan, none. */
export const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe',
  'America/Sao_Paulo',
  'Pacific/Apia',
  'Africa/Casablanca',
  'Asia/Kathmandu',
  'America/St_Johns',
];

export const utc = (text: string): number => Date.parse(`${text}:00Z`);
export const weekdays = (...days: number[]): ReadonlySet<number> => new Set(days);

const minute = fc.integer({ min: 0, max: 1439 });

export const anyTimetable = (): fc.Arbitrary<Timetable> =>
  fc.record({
    timeZone: fc.constantFrom(...ZONES),
    windows: fc.array(fc.record({ fromMinute: minute, toMinute: fc.integer({ min: 0, max: 1440 }) }), {
      minLength: 1,
      maxLength: 3,
    }),
    weekdays: fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { minLength: 1 }).map((days) => new Set(days)),
    starts: fc.oneof(
      fc.record({ at: fc.array(minute, { minLength: 1, maxLength: 4 }) }),
      fc.record({ everyMs: fc.integer({ min: 15, max: 2000 }).map((minutes) => minutes * 60_000) }),
      fc.constant('window-start' as const),
    ),
  });

const names = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

/** The slow twin: whether the clock on the wall shows, at an instant, a time inside a window of a day that is meant. */
export function isInside({ timeZone, windows, weekdays: days }: Timetable, instantMs: number): boolean {
  const text = new Intl.DateTimeFormat('en-US', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hour12: false,
  }).format(instantMs);
  const [, day, hour, minutes] = /^(\w+),? (\d+):(\d+)$/.exec(text)!;
  const today = names.indexOf(day!);
  const now = (Number(hour) % 24) * 60 + Number(minutes);
  const yesterday = (today + 6) % 7;
  return windows.some(({ fromMinute, toMinute }) =>
    toMinute > fromMinute
      ? days.has(today) && fromMinute <= now && now < toMinute
      : (days.has(today) && fromMinute <= now) || (days.has(yesterday) && now < toMinute),
  );
}
