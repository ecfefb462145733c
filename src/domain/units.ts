/** The one place where units are converted. MiB = 2^20 bytes; Mbit/s = 10^6 bits a second. */

export const BYTES_PER_MIB = 1 << 20;
export const MS_PER_SECOND = 1000;
export const MS_PER_HOUR = 3_600_000;
export const MS_PER_DAY = 86_400_000;

/** 1 MiB/s in Mbit/s: 2^20 bytes × 8 bits ÷ 10^6. */
export const MBPS_PER_MIB_S = (BYTES_PER_MIB * 8) / 1e6;

/** Mbit/s → MiB/s. */
export const mbpsToMibPerSecond = (mbps: number): number => mbps / MBPS_PER_MIB_S;

/** MiB/s → Mbit/s. */
export const mibPerSecondToMbps = (mibPerSecond: number): number => mibPerSecond * MBPS_PER_MIB_S;

/** Epoch milliseconds → RFC 3339 in UTC with milliseconds, the form of every time at our borders. */
export const toIsoTime = (ms: number): string => new Date(ms).toISOString();

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:?\d\d)$/;

/**
 * RFC 3339 time → epoch milliseconds, or NaN when it is not one (no zone, no such day, not a time at all).
 *
 * @example
 * fromIsoTime('2026-11-22T11:00:00+01:00') === fromIsoTime('2026-11-22T10:00:00.000Z')
 */
export function fromIsoTime(text: string): number {
  const m = RFC3339.exec(text);
  if (m === null) return NaN;
  const year = Number(m[1]);
  const month = Number(m[2]);
  const day = Number(m[3]);
  const daysInMonth = new Date(Date.UTC(year, month, 0)).getUTCDate();
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth) return NaN;
  if (Number(m[4]) > 23 || Number(m[5]) > 59 || Number(m[6]) > 59) return NaN;
  const zone = m[8]!;
  let offsetMinutes = 0;
  if (zone !== 'Z' && zone !== 'z') {
    const hours = Number(zone.slice(1, 3));
    const minutes = Number(zone.slice(-2));
    if (hours > 23 || minutes > 59) return NaN;
    offsetMinutes = (zone[0] === '-' ? -1 : 1) * (hours * 60 + minutes);
  }
  const milliseconds = m[7] === undefined ? 0 : Math.floor(Number(m[7]) * 1000 + 1e-9);
  const utc = Date.UTC(year, month - 1, day, Number(m[4]), Number(m[5]), Number(m[6]), milliseconds);
  return utc - offsetMinutes * 60_000;
}
