import { createHash } from 'node:crypto';

/** One entry of a calendar file. Times in epoch milliseconds. */
export interface CalendarEvent {
  /** What makes the entry this one: the same key gives the same entry, so that a calendar replaces it. */
  key: string;
  startMs: number;
  endMs: number;
  summary: string;
  description: string;
}

/** Octets of a line before it is folded, as RFC 5545 section 3.1 has it. */
const LINE_OCTETS = 75;

/** Entries → an iCalendar file (RFC 5545), lines folded and ended by CRLF. */
export function calendarFile(events: readonly CalendarEvent[], nowMs: number): string {
  const lines = ['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//Movecast//Windows//EN', 'METHOD:PUBLISH'];
  for (const { key, startMs, endMs, summary, description } of events)
    lines.push(
      'BEGIN:VEVENT',
      `UID:${createHash('sha256').update(key).digest('hex').slice(0, 32)}@movecast`,
      `DTSTAMP:${utc(nowMs)}`,
      `DTSTART:${utc(startMs)}`,
      `DTEND:${utc(endMs)}`,
      `SUMMARY:${text(summary)}`,
      `DESCRIPTION:${text(description)}`,
      'TRANSP:TRANSPARENT',
      'END:VEVENT',
    );
  lines.push('END:VCALENDAR');
  return lines.map((line) => `${folded(line)}\r\n`).join('');
}

/** `20261123T100000Z` */
const utc = (ms: number): string => new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, '');

/** Escaped so that nothing in a name ends its line. */
const text = (value: string): string =>
  value
    .replace(/[\\;,]/g, (character) => `\\${character}`)
    .replace(/\r\n|[\r\n]/g, '\\n')
    // eslint-disable-next-line no-control-regex
    .replace(/[\u0000-\u001f\u007f]/g, ' ');

/** Long lines go on in the next after a space; no character is cut in two. */
function folded(line: string): string {
  let out = '';
  let octets = 0;
  for (const character of line) {
    const size = Buffer.byteLength(character);
    if (octets + size > LINE_OCTETS) {
      out += '\r\n ';
      octets = 1;
    }
    out += character;
    octets += size;
  }
  return out;
}
