import { dateOf, instantFrom, instantsOf, wallMinutes, wallMinutesOf, weekdayOf } from './time-zone.js';

const DAY_MINUTES = 1440;
/** So many days ahead the next slot is looked for: a window on one day of the week, left out once by a change of clocks. */
const DAYS_AHEAD = 15;

/** A stretch of the day on the wall clock, in minutes from midnight. Where it ends at or before its start, it ends a day later. */
export interface DailyWindow {
  fromMinute: number;
  toMinute: number;
}

/** When balancing may run and when it is to start, on the wall clock of a time zone. */
export interface Timetable {
  timeZone: string;
  windows: readonly DailyWindow[];
  /** Days of the week, 0 is Sunday, on which windows begin. */
  weekdays: ReadonlySet<number>;
  /** Minutes of the day at which to start, `every` so many milliseconds from each window's start, or at its start alone. */
  starts: { at: readonly number[] } | { everyMs: number } | 'window-start';
}

/** One window on one day. It holds the instants from `startMs` until before `endMs`. */
export interface Occurrence {
  /** Such as `2026-03-29T01:00`: when it begins on the wall. */
  name: string;
  startMs: number;
  endMs: number;
}

/** One time to balance: at `startMs`, or later while its window lasts. Its name is the same however often it is reckoned. */
export interface Slot {
  id: string;
  startMs: number;
  /** End of the window. */
  untilMs: number;
}

/**
 * Windows that begin on the days from `firstDay` to `lastDay` (minutes of their midnights on the wall). By the wall
 * clock nothing of them lies outside: where the clock is set back over a start, the second time counts, over an end
 * the first after the start. A window that the clock is set forward over is left out.
 */
export function occurrences(timetable: Timetable, firstDay: number, lastDay: number): Occurrence[] {
  const { timeZone, windows, weekdays } = timetable;
  const found: Occurrence[] = [];
  for (let day = firstDay; day <= lastDay; day += DAY_MINUTES) {
    if (!weekdays.has(weekdayOf(day))) continue;
    for (const { fromMinute, toMinute } of windows) {
      const from = day + fromMinute;
      const to = day + toMinute + (toMinute <= fromMinute ? DAY_MINUTES : 0);
      const startMs = instantsOf(from, timeZone).at(-1) ?? instantFrom(from, timeZone);
      const endMs = instantsOf(to, timeZone).find((end) => end > startMs) ?? instantFrom(to, timeZone);
      if (endMs > startMs) found.push({ name: wallText(from), startMs, endMs });
    }
  }
  return found.sort((a, b) => a.startMs - b.startMs || a.endMs - b.endMs);
}

/** Slots of the last days that were asked for; a watch asks every minute for those of the same day. */
const reckoned = new WeakMap<Timetable, Map<number, readonly Slot[]>>();
const MOST_RECKONED = 4;

/** Slots that start in windows of the days around an instant, in order. */
export function slotsAround(timetable: Timetable, nowMs: number, daysAhead = 1): readonly Slot[] {
  const today = wallMinutesOf(dateOf(wallMinutes(nowMs, timetable.timeZone)));
  let known = reckoned.get(timetable);
  if (known === undefined || known.size >= MOST_RECKONED) reckoned.set(timetable, (known = new Map()));
  const key = today + daysAhead; // today is a whole number of days in minutes
  let slots = known.get(key);
  if (slots === undefined)
    known.set(key, (slots = slotsOf(timetable, today - 2 * DAY_MINUTES, today + daysAhead * DAY_MINUTES)));
  return slots;
}

function slotsOf(timetable: Timetable, first: number, last: number): Slot[] {
  const { timeZone, starts } = timetable;
  const open = occurrences(timetable, first, last);
  const slots = new Map<string, Slot>();
  const add = (id: string, startMs: number, { endMs }: Occurrence): void => {
    const known = slots.get(id);
    if (known === undefined || endMs > known.untilMs) slots.set(id, { id, startMs, untilMs: endMs });
  };
  if (starts === 'window-start') for (const window of open) add(window.name, window.startMs, window);
  else if ('everyMs' in starts)
    for (const window of open)
      for (let k = 0; window.startMs + k * starts.everyMs < window.endMs; k++)
        add(`${window.name}+${k}`, window.startMs + k * starts.everyMs, window);
  else
    for (let day = first; day <= last + DAY_MINUTES; day += DAY_MINUTES)
      for (const minute of starts.at) {
        const instants = instantsOf(day + minute, timeZone);
        if (instants.length === 0) instants.push(instantFrom(day + minute, timeZone));
        const inside = (instant: number): Occurrence[] =>
          open.filter(({ startMs, endMs }) => startMs <= instant && instant < endMs);
        const instant = instants.find((candidate) => inside(candidate).length > 0);
        if (instant !== undefined)
          for (const window of inside(instant)) add(wallText(day + minute), instant, window);
      }
  return [...slots.values()].sort((a, b) => a.startMs - b.startMs || a.untilMs - b.untilMs);
}

/** The latest slot whose time has come and whose window is open, unless it was had; and earlier ones, which it stands for. */
export function dueSlot(
  timetable: Timetable,
  nowMs: number,
  had: ReadonlySet<string>,
): { slot: Slot; passedOver: Slot[] } | undefined {
  const due = slotsAround(timetable, nowMs).filter(
    ({ startMs, untilMs }) => startMs <= nowMs && nowMs < untilMs,
  );
  const slot = due.at(-1);
  if (slot === undefined || had.has(slot.id)) return undefined;
  return { slot, passedOver: due.slice(0, -1).filter(({ id }) => !had.has(id)) };
}

/** The first slot to come, if there is one within two weeks. */
export function nextSlot(timetable: Timetable, nowMs: number, had: ReadonlySet<string>): Slot | undefined {
  for (const days of [1, DAYS_AHEAD]) {
    const slot = slotsAround(timetable, nowMs, days).find(
      ({ id, startMs }) => startMs > nowMs && !had.has(id),
    );
    if (slot !== undefined) return slot;
  }
  return undefined;
}

/** Minutes on the wall → `2026-03-29T01:00`. */
const wallText = (minutes: number): string => new Date(minutes * 60_000).toISOString().slice(0, 16);
