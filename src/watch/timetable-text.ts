import type { DailyWindow } from './timetable.js';

/** How times, windows and days are written. Each parser gives undefined for what is written otherwise. */

const DAY_MINUTES = 1440;
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** `02:00` → 120. */
export function parseTimeOfDay(text: string): number | undefined {
  const match = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text.trim());
  return match === null ? undefined : Number(match[1]) * 60 + Number(match[2]);
}

/** `01:00-05:00`, over midnight too, and until `24:00`. */
export function parseWindow(text: string): DailyWindow | undefined {
  const [from, to, ...more] = text.split('-');
  if (from === undefined || to === undefined || more.length > 0) return undefined;
  const fromMinute = parseTimeOfDay(from);
  const toMinute = to.trim() === '24:00' ? DAY_MINUTES : parseTimeOfDay(to);
  if (fromMinute === undefined || toMinute === undefined) return undefined;
  return { fromMinute, toMinute };
}

/** `mon-fri,sun` → days of the week, 0 is Sunday. A range may go over the week's end. */
export function parseWeekdays(text: string): number[] | undefined {
  const days = new Set<number>();
  for (const part of text.toLowerCase().split(',')) {
    const [from, to = from, ...more] = part.trim().split('-');
    const first = DAYS.indexOf(from!.trim());
    const last = DAYS.indexOf(to!.trim());
    if (first < 0 || last < 0 || more.length > 0) return undefined;
    for (let day = first; ; day = (day + 1) % 7) {
      days.add(day);
      if (day === last) break;
    }
  }
  return [...days].sort((a, b) => a - b);
}

/** `90s`, `30m`, `6h`, `1d` → milliseconds. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,6}(?:\.\d{1,6})?)\s*(s|m|min|h|d)$/.exec(text.trim());
  if (match === null) return undefined;
  const seconds: Record<string, number> = { s: 1, m: 60, min: 60, h: 3600, d: 86_400 };
  return Number(match[1]) * seconds[match[2]!]! * 1000;
}

/** True when a time of day lies in a window. */
export const isInWindow = (minute: number, { fromMinute, toMinute }: DailyWindow): boolean =>
  toMinute > fromMinute
    ? fromMinute <= minute && minute < toMinute
    : minute >= fromMinute || minute < toMinute;
