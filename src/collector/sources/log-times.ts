import type { SourceContext } from './source.js';

/** What a clock needs of a source's context. */
export type ClockContext = Pick<SourceContext, 'nowMs' | 'timeZone' | 'timeZoneOffsetMinutes'>;

/** A time read off the start of a line. */
export interface LeadingTime {
  /** Epoch milliseconds. */
  ms: number;
  /** True when the text itself named its zone. */
  hasZone: boolean;
  /** What follows the time. */
  rest: string;
}

const MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const ISO =
  /^\[?(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?:\s?(Z|UTC|GMT|[+-]\d\d:?\d\d))?\]?(?=\s|$|[,;|:])[,;|:]?\s*/;
const DATE_WORDS =
  /^\[?(?:(mon|tue|wed|thu|fri|sat|sun)[a-z]*,? )?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]* {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?: (UTC|GMT|[A-Z]{2,5}|[+-]\d{4})(?= (?:19|20)\d\d\b))?(?: ((?:19|20)\d\d)(?=\]|\s|$))?\]?\s*/i;

/** A year is guessed for at most so far back: long enough to meet a 29th of February again. */
const MOST_YEARS_BACK = 8;
/** A clock that is a little ahead of ours must not throw a line a year back. */
const AHEAD_MS = 86_400_000;
const QUARTER_MS = 900_000;
/**
 * So much a line may be earlier than the one before it: threads write out of order, and a stamp in whole seconds stands
 * before a finer one of the same moment.
 */
const DISORDER_MS = 120_000;
/** A quarter of a year of quarters of an hour. */
const MOST_QUARTERS = 10_000;

/**
 * Reads times as logs write them: RFC 3339 with or without a zone, syslog (`May 02 10:57:01`, no year), ctime
 * (`Mon Sep  9 19:50:24 2013`). Times without a zone are in the context's zone. A time without a year gets the latest
 * one that is not after the text was written. When clocks are set back, a time that happened twice is taken to be the
 * first that does not run backwards, but for a little disorder.
 */
export class LogClock {
  private readonly format: Intl.DateTimeFormat | undefined;
  private readonly offsetMs: number;
  private readonly offsets = new Map<number, number>();
  private readonly nowMs: number;
  /** The last time read, in epoch milliseconds: to be saved with a parser's state. */
  lastMs: number;

  constructor(context: ClockContext, lastMs: unknown = undefined) {
    this.offsetMs = (context.timeZoneOffsetMinutes ?? 0) * 60_000;
    this.nowMs = context.nowMs;
    this.lastMs = typeof lastMs === 'number' ? lastMs : Number.NEGATIVE_INFINITY;
    this.format = context.timeZone === undefined ? undefined : formatOf(context.timeZone);
  }

  /** The time at the start of a line, or undefined. O(1). */
  read(line: string): LeadingTime | undefined {
    const first = line.charCodeAt(line.charCodeAt(0) === 0x5b /* [ */ ? 1 : 0);
    const isDigit = first >= 0x30 && first <= 0x39;
    const found = isDigit ? this.readIso(line) : this.readDateWords(line);
    if (found !== undefined && Number.isFinite(found.ms)) {
      this.lastMs = found.ms;
      return found;
    }
    return undefined;
  }

  private readIso(line: string): LeadingTime | undefined {
    const m = ISO.exec(line);
    if (m === null) return undefined;
    const wallMs = wallClock(Number(m[1]), Number(m[2]) - 1, m[3]!, m[4]!, m[5]!, m[6]!, m[7]);
    const zone = m[8];
    const ms = zone === undefined ? this.fromWall(wallMs) : wallMs - zoneMs(zone);
    return { ms, hasZone: zone !== undefined, rest: line.slice(m[0].length) };
  }

  private readDateWords(line: string): LeadingTime | undefined {
    const m = DATE_WORDS.exec(line);
    if (m === null) return undefined;
    const month = MONTHS.indexOf(m[2]!.toLowerCase());
    const zone = m[8] === undefined ? undefined : zoneMs(m[8]);
    const at = (year: number): number => {
      const wallMs = wallClock(year, month, m[3]!, m[4]!, m[5]!, m[6]!, m[7]);
      return zone === undefined || Number.isNaN(zone) ? this.fromWall(wallMs) : wallMs - zone;
    };
    const rest = line.slice(m[0].length);
    const hasZone = zone !== undefined && !Number.isNaN(zone);
    if (m[9] !== undefined) return { ms: at(Number(m[9])), hasZone, rest };
    const thisYear = new Date(this.nowMs).getUTCFullYear();
    for (let back = -1; back <= MOST_YEARS_BACK; back += 1) {
      const ms = at(thisYear - back);
      if (ms <= this.nowMs + AHEAD_MS) return { ms, hasZone, rest };
    }
    return undefined;
  }

  /** Wall clock in the context's zone → epoch milliseconds. */
  fromWall(wallMs: number): number {
    if (this.format === undefined || Number.isNaN(wallMs)) return wallMs - this.offsetMs;
    // Around a change two offsets are possible: that of a day before and that of a day after.
    const earlier = wallMs - this.zoneOffsetAt(wallMs - AHEAD_MS);
    const later = wallMs - this.zoneOffsetAt(wallMs + AHEAD_MS);
    const fitsEarlier = earlier + this.zoneOffsetAt(earlier) === wallMs;
    const fitsLater = later + this.zoneOffsetAt(later) === wallMs;
    if (fitsEarlier && fitsLater) {
      const [first, second] = earlier < later ? [earlier, later] : [later, earlier];
      return first >= this.lastMs - DISORDER_MS ? first : second;
    }
    return fitsLater && !fitsEarlier ? later : earlier; // a time that the clocks skipped: as if they had not
  }

  /** Clocks change on quarters of an hour only: each quarter is asked for once. */
  private zoneOffsetAt(ms: number): number {
    const quarter = Math.floor(ms / QUARTER_MS);
    let offset = this.offsets.get(quarter);
    if (offset === undefined) {
      if (this.offsets.size >= MOST_QUARTERS) this.offsets.clear();
      offset = this.askOffset(ms);
      this.offsets.set(quarter, offset);
    }
    return offset;
  }

  private askOffset(ms: number): number {
    const parts = this.format!.formatToParts(ms);
    let offset = 0;
    for (const part of parts) {
      if (part.type !== 'timeZoneName') continue;
      const m = /^GMT([+-])(\d\d):(\d\d)(?::(\d\d))?$/.exec(part.value);
      if (m !== null)
        offset =
          (m[1] === '-' ? -1 : 1) * (Number(m[2]) * 3600 + Number(m[3]) * 60 + Number(m[4] ?? 0)) * 1000;
    }
    return offset;
  }
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat | undefined {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
    formats.set(timeZone, format);
  }
  return format;
}

/** Date and time of a wall clock, as if it stood in UTC; NaN when there is no such day or hour. */
function wallClock(
  year: number,
  month: number,
  day: string,
  hours: string,
  minutes: string,
  seconds: string,
  fraction: string | undefined,
): number {
  const d = Number(day);
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 60) return NaN;
  if (month < 0 || month > 11 || d < 1) return NaN;
  const milliseconds = fraction === undefined ? 0 : Math.floor(Number(`0.${fraction}`) * 1000 + 1e-9);
  const ms = Date.UTC(year, month, d, Number(hours), Number(minutes), Number(seconds), milliseconds);
  return new Date(Date.UTC(year, month, d)).getUTCDate() === d ? ms : NaN;
}

/** Offset east of UTC in milliseconds; NaN for an abbreviation, which does not tell (CST is three zones). */
function zoneMs(zone: string): number {
  if (zone === 'Z' || zone === 'UTC' || zone === 'GMT') return 0;
  const m = /^([+-])(\d\d):?(\d\d)$/.exec(zone);
  return m === null ? NaN : (m[1] === '-' ? -1 : 1) * (Number(m[2]) * 60 + Number(m[3])) * 60_000;
}
