/**
 * Wall clocks of time zones, by the zone data that JavaScript brings. A wall clock time is counted in minutes since
 * 1970-01-01 00:00 on that wall, so that it can be reckoned with; an instant is epoch milliseconds.
 */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** No zone is further from UTC than 14 h, and none ever left out more than a day (Samoa, 2011-12-30). */
const FURTHEST_MS = 39 * HOUR_MS;

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-u-ca-gregory-nu-latn', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
    });
    formats.set(timeZone, format);
  }
  return format;
}

/** True for a name such as Europe/Berlin or UTC that this machine knows. */
export function isTimeZone(name: string): boolean {
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

/**
 * What the wall clock shows at an instant, in whole minutes.
 *
 * @example
 * wallMinutes(Date.UTC(2026, 2, 29, 1, 0), 'Europe/Berlin') === wallMinutesOf('2026-03-29') + 3 * 60
 */
export function wallMinutes(instantMs: number, timeZone: string): number {
  const part = { year: 0, month: 0, day: 0, hour: 0, minute: 0 };
  for (const { type, value } of formatOf(timeZone).formatToParts(instantMs))
    if (type in part) part[type as keyof typeof part] = Number(value);
  return Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute) / MINUTE_MS;
}

/** Midnight of a day such as 2026-03-29 on the wall. */
export const wallMinutesOf = (date: string): number => Date.parse(`${date}T00:00:00Z`) / MINUTE_MS;

/** The day on the wall, such as 2026-03-29. */
export const dateOf = (minutes: number): string =>
  new Date(Math.floor(minutes / 1440) * 1440 * MINUTE_MS).toISOString().slice(0, 10);

/** Day of the week on the wall: 0 is Sunday, as everywhere in JavaScript. */
export const weekdayOf = (minutes: number): number => new Date(minutes * MINUTE_MS).getUTCDay();

/**
 * The instants at which a wall clock shows a time: one; two where the clock is set back over it; none where it is set
 * forward over it. In order.
 */
export function instantsOf(minutes: number, timeZone: string): number[] {
  const asUtc = minutes * MINUTE_MS;
  const offsets = [asUtc - FURTHEST_MS, asUtc, asUtc + FURTHEST_MS].map(
    (instant) => wallMinutes(instant, timeZone) * MINUTE_MS - instant,
  );
  return [...new Set(offsets.map((offset) => asUtc - offset))]
    .filter((instant) => wallMinutes(instant, timeZone) === minutes)
    .sort((a, b) => a - b);
}

/** The first instant at which the wall clock shows this time or, where it leaves that out, a later one. O(log) steps. */
export function instantFrom(minutes: number, timeZone: string): number {
  const [exact] = instantsOf(minutes, timeZone);
  if (exact !== undefined) return exact;
  let before = minutes * MINUTE_MS - FURTHEST_MS;
  let after = minutes * MINUTE_MS + FURTHEST_MS;
  while (after - before > MINUTE_MS) {
    const middle = before + Math.floor((after - before) / (2 * MINUTE_MS)) * MINUTE_MS;
    if (wallMinutes(middle, timeZone) < minutes) before = middle;
    else after = middle;
  }
  return after;
}
