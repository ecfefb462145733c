import { z } from 'zod';
import { fromIsoTime } from './units.js';

/** Shared field types of records, requests and samples: the limits of what the outside may hand us. */

/** Moves before this were not logged by anything that we read; a date in 1970 is a clock that was never set. */
export const EARLIEST_TIME = '2000-01-01T00:00:00.000Z';
const EARLIEST_MS = Date.parse(EARLIEST_TIME);
const LATEST_MS = Date.parse('2200-01-01T00:00:00.000Z');

/** No real move lasts longer; a longer one is a broken clock. (The longest seen in public: 3 days, over a WAN.) */
export const LONGEST_MOVE_SECONDS = 100 * 86_400;

/** 2^40 MiB is an exbibyte: a larger amount is an error of units. */
const LARGEST_MIB = 2 ** 40;
const LARGEST_MBPS = 1e9;

// eslint-disable-next-line no-control-regex
const NO_CONTROL = /^[^\u0000-\u001f\u007f\u0080-\u009f\u2028\u2029]*$/;

/** A name out of a log: never empty, no control characters (a newline in it could write another line elsewhere). */
export const name = z.string().min(1).max(255).regex(NO_CONTROL, 'must not contain control characters');

/** An identifier: as a name, longer. */
export const identifier = z.string().min(1).max(512).regex(NO_CONTROL, 'must not contain control characters');

/** RFC 3339 with a zone. */
export const time = z
  .string()
  .max(40)
  .refine(
    (text) => !Number.isNaN(fromIsoTime(text)),
    'must be an RFC 3339 time with a zone, such as 2026-11-22T10:56:05.208Z',
  )
  .refine(
    (text) => {
      const ms = fromIsoTime(text);
      return Number.isNaN(ms) || (ms >= EARLIEST_MS && ms <= LATEST_MS);
    },
    `must lie between ${EARLIEST_TIME.slice(0, 4)} and 2200`,
  )
  .meta({ format: 'date-time' });

export const mib = z.number().nonnegative().max(LARGEST_MIB);
export const mibPerSecond = z.number().nonnegative().max(LARGEST_MIB);
export const mbps = z.number().nonnegative().max(LARGEST_MBPS);
export const milliseconds = z
  .number()
  .nonnegative()
  .max(LONGEST_MOVE_SECONDS * 1000);
export const count = z.int().nonnegative().max(1_000_000_000);
export const durationSeconds = z.number().positive().max(LONGEST_MOVE_SECONDS);
export const elapsedSeconds = z.number().nonnegative().max(LONGEST_MOVE_SECONDS);

export const scalar = z.union([z.string(), z.number(), z.boolean()]);
export const labels = z.record(z.string(), scalar);

/** Names of the capabilities of a migration stream; unknown ones are kept. */
export const capabilities = z.array(z.string().min(1).max(64).regex(NO_CONTROL)).max(64);

/** What zod found first, as `field` and one short clause that goes on after the field's name. */
export function firstIssue(error: z.ZodError): { field: string; message: string } {
  const issue = error.issues[0];
  if (issue === undefined) return { field: '', message: 'is not valid' };
  let field = '';
  for (const part of issue.path)
    field += typeof part === 'number' ? `[${part}]` : field === '' ? String(part) : `.${String(part)}`;
  return { field, message: issueClause(issue) };
}

function issueClause(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.message.endsWith('received undefined')) return 'is missing';
      return `must be ${issue.expected === 'int' ? 'a whole number' : withArticle(issue.expected)}`;
    case 'too_small':
      if (issue.origin !== 'number' && issue.origin !== 'int')
        return Number(issue.minimum) === 1 ? 'is empty' : `is too short: at least ${issue.minimum}`;
      return issue.inclusive === true
        ? `must be at least ${issue.minimum}`
        : `must be greater than ${issue.minimum}`;
    case 'too_big':
      if (issue.origin !== 'number' && issue.origin !== 'int') return `is too long: at most ${issue.maximum}`;
      return `must be at most ${issue.maximum}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'unrecognized_keys':
      return `has an unknown field ${issue.keys[0]}`;
    default:
      return issue.message.charAt(0).toLowerCase() + issue.message.slice(1);
  }
}

/** `a node`, `an instance`. */
export const withArticle = (type: string): string => `${/^[aeiou]/.test(type) ? 'an' : 'a'} ${type}`;
