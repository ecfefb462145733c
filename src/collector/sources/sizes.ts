/**
 * Amounts as programs print them for people: `1.92 GiB`, `376292 kbytes`, `10,836 K`, `0 B`. All programs read here
 * count in powers of 1024, also where they print `KB` or `MB`.
 */

const BYTES_OF_PREFIX: Readonly<Record<string, number>> = {
  '': 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
  e: 2 ** 60,
};

/** `decimal`: a comma is a decimal point of another language; `thousands`: it groups digits. */
export type CommaMeaning = 'decimal' | 'thousands';

/**
 * A printed number, or NaN. No exponent, no sign: amounts are neither. O(length).
 *
 * @example
 * parseAmount('137,984', 'thousands') === 137984
 */
export function parseAmount(text: string, comma: CommaMeaning = 'thousands'): number {
  const plain = comma === 'thousands' ? text.replaceAll(',', '') : text.replace(',', '.');
  return /^\d{1,20}(?:\.\d{0,20})?$/.test(plain) ? Number(plain) : NaN;
}

/**
 * Bytes in one of a printed unit, or NaN for a word that is none: '', `B`, `K`, `KB`, `KiB`, `kbytes`, `M`, …
 *
 * @example
 * bytesOfUnit('kbytes') === 1024
 */
export function bytesOfUnit(unit: string): number {
  const match = /^([kmgtpe]?)(?:i?b|i?bytes?|i)?$/i.exec(unit.trim());
  return match === null ? NaN : BYTES_OF_PREFIX[match[1]!.toLowerCase()]!;
}

/**
 * A number with its unit → bytes, or NaN. Without a unit, `unitOfBare` holds.
 *
 * @example
 * parseBytes('4.0 GiB') === 4294967296
 */
export function parseBytes(text: string, comma: CommaMeaning = 'thousands', unitOfBare = ''): number {
  const match = /^\s*([\d.,]{1,40})\s*([A-Za-z]{0,8})\s*$/.exec(text);
  if (match === null) return NaN;
  return parseAmount(match[1]!, comma) * bytesOfUnit(match[2] === '' ? unitOfBare : match[2]!);
}

/** Bytes → MiB, to a thousandth: printed amounts carry no more; undefined when it is no amount. */
export function mibOf(bytes: number | undefined): number | undefined {
  return bytes !== undefined && Number.isFinite(bytes) && bytes >= 0
    ? roundTo(bytes / 2 ** 20, 3)
    : undefined;
}

/** To so many decimal places. */
export function roundTo(value: number, places: number): number {
  const factor = 10 ** places;
  return Math.round(value * factor) / factor;
}

const MS_OF_UNIT: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const WORDS_OF_UNIT: Readonly<Record<string, string>> = {
  nanoseconds: 'ns',
  microseconds: 'us',
  usec: 'us',
  milliseconds: 'ms',
  millisecond: 'ms',
  msec: 'ms',
  seconds: 's',
  second: 's',
  secs: 's',
  sec: 's',
  minutes: 'm',
  minute: 'm',
  min: 'm',
  hours: 'h',
  hour: 'h',
};

/**
 * A span with its unit → milliseconds, or NaN: `11619 milliseconds`, `44 ms`, `3 s`. A bare number is milliseconds.
 *
 * @example
 * parseMilliseconds('1603 ms') === 1603
 */
export function parseMilliseconds(text: string, comma: CommaMeaning = 'decimal'): number {
  const match = /^\s*([\d.,]{1,40})\s*([A-Za-zµ]{0,12})\s*$/.exec(text);
  if (match === null) return NaN;
  const word = match[2]!.toLowerCase().replace('µ', 'u');
  const unit = word === '' ? 'ms' : (WORDS_OF_UNIT[word] ?? word);
  return parseAmount(match[1]!, comma) * (MS_OF_UNIT[unit] ?? NaN);
}

/**
 * `1m 5s`, `2h 3m 4s`, `4m 2s`, `65s`, `1d 2h` → seconds, or NaN.
 *
 * @example
 * parseSpan('1m 5s') === 65
 */
export function parseSpan(text: string): number {
  const match = /^\s*(?:(\d{1,6})d)?\s*(?:(\d{1,7})h)?\s*(?:(\d{1,9})m)?\s*(?:([\d.]{1,12})s)?\s*$/.exec(
    text,
  );
  if (match === null || match[0].trim() === '') return NaN;
  const [days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0));
  return days! * 86_400 + hours! * 3600 + minutes! * 60 + seconds!;
}

/**
 * `00:00:18` or `304:53:21` (hours may pass 24) → seconds, or NaN.
 *
 * @example
 * parseClockSpan('304:53:21') === 1097601
 */
export function parseClockSpan(text: string): number {
  const match = /^\s*(\d{1,7}):([0-5]?\d):([0-5]?\d)\s*$/.exec(text);
  return match === null ? NaN : Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3]);
}
