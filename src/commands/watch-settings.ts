import { z } from 'zod';
import { UserError } from '../domain/errors.js';
import { DEFAULT_STORE_URL } from '../store/store.js';
import { isTimeZone } from '../watch/time-zone.js';
import type { Timetable } from '../watch/timetable.js';
import {
  isInWindow,
  parseDuration,
  parseTimeOfDay,
  parseWeekdays,
  parseWindow,
} from '../watch/timetable-text.js';
import { DEFAULT_MODELS_FOLDER } from './context.js';
import { amount, setting, Settings, yesOrNo, type SettingsOf } from './settings.js';

/** A plan that gains less of score than this is noise of measuring, not a better cluster. */
const DEFAULT_MIN_GAIN = 0.1;
const DEFAULT_DAYS = 'mon-sun';
/** A timetable with less between two starts would plan all the time. */
const LEAST_EVERY_MS = 15 * 60_000;

const text = z.string().min(1);

/** A text that a parser understands, kept as it is written. */
const written = (isRight: (text: string) => boolean, error: string) =>
  z.string({ error }).refine(isRight, { error });

/** Items of a list in JSON, or with commas between them. */
const list = (isRight: (text: string) => boolean, error: string) =>
  z
    .union(
      [z.array(z.string()), z.string().transform((items) => items.split(',').map((item) => item.trim()))],
      {
        error,
      },
    )
    .refine((items) => items.length > 0 && items.every(isRight), { error });

/** What `watch` can be told, by file (its section `watch`), environment or flag. */
const table = {
  store: setting({
    flag: '--store <url>',
    help: 'where records are: sqlite:PATH or influx://USER:PASS@HOST:8086/DATABASE',
    value: text,
    ifNotGiven: () => DEFAULT_STORE_URL,
  }),
  models: setting({
    flag: '--models <dir>',
    help: "the registry's folder",
    value: text,
    ifNotGiven: () => DEFAULT_MODELS_FOLDER,
  }),
  master: setting({
    flag: '--master <url>',
    help: 'the cluster, in place of the argument',
    value: text.optional(),
    ifNotGiven: () => undefined,
  }),
  window: setting({
    flag: '--window <from-to>',
    help: 'when moves may run, such as 01:00-05:00; several with commas',
    value: list((item) => parseWindow(item) !== undefined, 'must be windows such as 01:00-05:00').optional(),
    ifNotGiven: () => undefined,
  }),
  at: setting({
    flag: '--at <time>',
    help: "when to start, such as 02:00; several with commas; without it at each window's start",
    value: list(
      (item) => parseTimeOfDay(item) !== undefined,
      'must be times of day such as 02:00',
    ).optional(),
    ifNotGiven: () => undefined,
  }),
  every: setting({
    flag: '--every <duration>',
    help: "start again and again from each window's start, such as 6h",
    value: written(
      (item) => (parseDuration(item) ?? 0) >= LEAST_EVERY_MS,
      'must be a time of 15m or more, such as 90m or 6h',
    ).optional(),
    ifNotGiven: () => undefined,
  }),
  days: setting({
    flag: '--days <days>',
    help: 'days of the week on which windows begin, such as mon-fri,sun',
    value: written((item) => parseWeekdays(item) !== undefined, 'must be days such as mon-fri,sun'),
    ifNotGiven: () => DEFAULT_DAYS,
  }),
  time_zone: setting({
    flag: '--time-zone <zone>',
    help: 'whose wall clock counts, such as Europe/Berlin',
    value: written(isTimeZone, 'must be a time zone such as Europe/Berlin or UTC'),
    ifNotGiven: () => 'UTC',
  }),
  min_gain: setting({
    flag: '--min-gain <score>',
    help: 'least gain of score for which a plan is carried out',
    value: amount(),
    ifNotGiven: () => DEFAULT_MIN_GAIN,
  }),
  max_gain_cost: setting({
    flag: '--max-gain-cost <score>',
    help: 'least gain of score an hour of moving, of each move and of the plan',
    value: amount().optional(),
    ifNotGiven: () => undefined,
  }),
  execute: setting({
    flag: '--execute',
    help: 'carry the plans out; without it they are only reported',
    value: yesOrNo,
    ifNotGiven: () => false,
  }),
  ca: setting({
    flag: '--ca <file>',
    help: "PEM of whom to trust, or Ganeti's own certificate",
    value: text.optional(),
    ifNotGiven: () => undefined,
  }),
  credentials: setting({
    flag: '--credentials <file>',
    help: 'user:password of the remote API in its first line',
    value: text.optional(),
    ifNotGiven: () => undefined,
  }),
  pin_sha256: setting({
    flag: '--pin-sha256 <hex>',
    help: "fingerprint of the server's certificate",
    value: text.optional(),
    ifNotGiven: () => undefined,
  }),
  balance_options: setting({
    flag: '--balance-options <words>',
    help: 'further options of movecast balance, such as "--no-disk-moves -l 20"',
    value: z.string().optional(),
    ifNotGiven: () => undefined,
  }),
  state: setting({
    flag: '--state <file>',
    help: 'where it is kept what was done; default beside the store',
    value: text.optional(),
    ifNotGiven: () => undefined,
  }),
};

export type WatchSettings = SettingsOf<typeof table>;
export const watchSettings = new Settings(table, { section: 'watch', shared: ['store', 'models'] });

/**
 * The timetable that the settings describe.
 *
 * @throws UserError `usage` when they do not fit together
 */
export function timetableOf({ window, at, every, days, time_zone: timeZone }: WatchSettings): Timetable {
  if (window === undefined)
    throw new UserError(
      'usage',
      'no window is given; say with --window when moves may run, such as --window 01:00-05:00',
    );
  if (at !== undefined && every !== undefined)
    throw new UserError('usage', '--at and --every exclude each other: give one');
  const windows = window.map((item) => parseWindow(item)!);
  const minutes = at?.map((item) => parseTimeOfDay(item)!);
  const outside = minutes?.findIndex((minute) => !windows.some((open) => isInWindow(minute, open))) ?? -1;
  if (outside >= 0)
    throw new UserError(
      'usage',
      `--at ${at![outside]} lies in no window (${window.join(', ')}), so nothing would start then; move the time or the window`,
    );
  return {
    timeZone,
    windows,
    weekdays: new Set(parseWeekdays(days)),
    starts:
      minutes !== undefined
        ? { at: minutes }
        : every !== undefined
          ? { everyMs: parseDuration(every)! }
          : 'window-start',
  };
}
