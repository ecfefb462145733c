import { UserError } from '../domain/errors.js';

/**
 * InfluxDB's line protocol: `measurement,tag=value field=value,field="text" nanoseconds`. One line is one point, so a
 * newline that slips into a name would write a point of its own: control characters are refused here whatever stands
 * before.
 */

const CONTROL = /[\p{Cc}\u2028\u2029]/u;
// What has to be looked at in a tag and in a text; most names have none of it. Without the u flag, at half the time.
// oxlint-disable-next-line no-control-regex
const TAG_NOTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029,= \\%]/;
// oxlint-disable-next-line no-control-regex
const TEXT_NOTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029"\\]/;
/** No log line that is read is longer; an InfluxDB takes requests of 25 MB. */
const LONGEST_TEXT = 1 << 22;
const TAG_SPECIAL = /[,= ]/g;
const TAG_ENCODED = /[\\%]/g;
const TEXT_SPECIAL = /["\\]/g;

/**
 * A tag's value. The protocol has no way to write a backslash before a separator, so `\` is kept as `%5C` and `%` as
 * `%25` in tags (only there: fields hold the text itself).
 *
 * @throws UserError `input-invalid` for a control character or an empty value.
 */
export function tagValue(text: string): string {
  if (text === '' || CONTROL.test(text)) throw refused(text);
  return text.replace(TAG_ENCODED, (character) => (character === '%' ? '%25' : '%5C'));
}

/** The text that {@link tagValue} has made a tag's value of. */
export function tagText(value: string): string {
  return value.replaceAll('%5C', '\\').replaceAll('%25', '%');
}

/** `,key=value` for a line; `key` is ours and needs no escape. */
export function tag(key: string, text: string): string {
  if (text !== '' && !TAG_NOTABLE.test(text)) return `,${key}=${text}`;
  return `,${key}=${tagValue(text).replace(TAG_SPECIAL, '\\$&')}`;
}

/** `key="text"` for a line. */
export function textField(key: string, text: string): string {
  if (text.length > LONGEST_TEXT)
    throw new UserError(
      'input-invalid',
      `${key} is longer than ${LONGEST_TEXT} characters and is not stored`,
      key,
    );
  if (!TEXT_NOTABLE.test(text)) return `${key}="${text}"`;
  if (CONTROL.test(text)) throw refused(text);
  return `${key}="${text.replace(TEXT_SPECIAL, '\\$&')}"`;
}

/**
 * `key=number` for a line, always a float.
 *
 * @throws UserError `input-invalid` for NaN and infinities, which the protocol cannot carry.
 */
export function numberField(key: string, value: number): string {
  if (!Number.isFinite(value))
    throw new UserError('input-invalid', `${key} is ${value}; InfluxDB stores finite numbers only`, key);
  return `${key}=${value}`;
}

/**
 * A point's time: epoch milliseconds and nanoseconds within that millisecond. A JavaScript number is too short for
 * epoch nanoseconds, so the two are written side by side.
 */
export function nanoTime(ms: number, nanoseconds: number): string {
  return `${ms}${String(nanoseconds).padStart(6, '0')}`;
}

const NANO_TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/;

/** InfluxDB's RFC 3339 time with up to nine decimals → epoch milliseconds and nanoseconds within the millisecond. */
export function fromNanoTime(text: string): { ms: number; nanoseconds: number } {
  const match = NANO_TIME.exec(text);
  if (match === null) throw new UserError('store-format', `InfluxDB sent ${text.slice(0, 50)} as a time`);
  const decimals = (match[2] ?? '').padEnd(9, '0');
  return {
    ms: Date.parse(`${match[1]}.${decimals.slice(0, 3)}Z`),
    nanoseconds: Number(decimals.slice(3)),
  };
}

/** Nanoseconds in a millisecond: how many moves of one node pair can start in the same millisecond. */
export const NANOSECONDS_PER_MS = 1_000_000;

/** A place within the millisecond that depends on the text alone: FNV-1a, 32 bits, over UTF-16 units. */
export function placeInMillisecond(text: string): number {
  return hash32(text) % NANOSECONDS_PER_MS;
}

/** FNV-1a of the UTF-16 units of a text, 32 bits. O(length). */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

function refused(text: string): UserError {
  const shown = text.slice(0, 60).replace(new RegExp(CONTROL.source, 'gu'), '?');
  return new UserError(
    'input-invalid',
    text === ''
      ? 'an empty name cannot be stored'
      : `"${shown}" contains control characters and is not stored`,
  );
}
