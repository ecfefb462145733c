import { UserError } from '../domain/errors.js';

const UNIT_MS: Record<string, number> = {
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

/** Longest window: longer ones mean "all". */
const LONGEST_DAYS = 36_500;

/**
 * `90m`, `12h`, `7d`, `4w` → milliseconds; `all` → undefined.
 *
 * @throws UserError `usage`, naming `field`
 * @example
 * windowMs('7d', '--window') === 604_800_000
 */
export function windowMs(text: string, field: string): number | undefined {
  if (text === 'all') return undefined;
  const match = /^(\d{1,6})([mhdw])$/.exec(text);
  const ms = match === null ? NaN : Number(match[1]) * UNIT_MS[match[2]!]!;
  if (!(ms > 0) || ms > LONGEST_DAYS * 86_400_000)
    throw new UserError(
      'usage',
      `${field} ${JSON.stringify(text.slice(0, 40))} is not a span of time; give one such as 90m, 12h, 7d, 4w or all`,
      field,
    );
  return ms;
}
