import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { z } from 'zod';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { firstIssue } from '../domain/fields.js';
import { defaultServiceOptions } from '../service/options.js';
import { redactUrl } from '../store/open-store.js';
import { DEFAULT_STORE_URL } from '../store/store.js';
import { defaultModelsFolder, type Context } from './context.js';

const MIB = 2 ** 20;

/** A whole number, from text too: flags and the environment carry text. */
const whole = (least: number, most: number) => {
  const error = `must be a whole number from ${least} to ${most}`;
  const text = z
    .string()
    .regex(/^\d{1,9}$/)
    .transform(Number);
  return z
    .union([z.number(), text], { error })
    .refine((value) => Number.isInteger(value) && value >= least && value <= most, { error });
};

const yesOrNo = z.union(
  [
    z.boolean(),
    z.enum(['1', 'true', 'yes', '0', 'false', 'no']).transform((text) => ['1', 'true', 'yes'].includes(text)),
  ],
  { error: 'must be true or false' },
);

/** What the service can be told, by file, environment or flag. */
const shape = {
  store: z.string().min(1),
  models: z.string().min(1),
  host: z.string().min(1),
  port: whole(0, 65_535),
  model: z.string().min(1),
  tokens: z.string().min(1).optional(),
  insecure: yesOrNo,
  log_level: z.enum(['silent', 'error', 'warn', 'info']),
  body_limit_mib: whole(1, 1024),
  requests_per_second: whole(1, 1_000_000),
  concurrent_requests: whole(1, 100_000),
  timeout_seconds: whole(1, 3600),
} as const;

export type ServiceSettings = { [K in keyof typeof shape]: z.output<(typeof shape)[K]> };
type Key = keyof ServiceSettings;

interface Setting {
  flag: string;
  help: string;
  /** Undefined: nothing. */
  ifNotGiven: () => ServiceSettings[Key];
}

const known: { readonly [K in Key]: Setting } = {
  store: {
    flag: '--store <url>',
    help: 'where records are: sqlite:PATH or influx://USER:PASS@HOST:8086/DATABASE',
    ifNotGiven: () => DEFAULT_STORE_URL,
  },
  models: { flag: '--models <dir>', help: "the registry's folder", ifNotGiven: defaultModelsFolder },
  host: { flag: '--host <host>', help: 'address to listen on', ifNotGiven: () => '127.0.0.1' },
  port: { flag: '--port <port>', help: 'port to listen on; 0 takes a free one', ifNotGiven: () => 8080 },
  model: {
    flag: '--model <name>',
    help: 'name of the registered model to serve',
    ifNotGiven: () => 'default',
  },
  tokens: {
    flag: '--tokens <file>',
    help: 'who may call: one NAME ROLE[,ROLE] sha256:HEX a line',
    ifNotGiven: () => undefined,
  },
  insecure: {
    flag: '--insecure',
    help: 'listen beyond this machine although everyone who reaches it may then do everything',
    ifNotGiven: () => false,
  },
  log_level: {
    flag: '--log-level <level>',
    help: 'silent, error, warn or info: what is logged, as JSON lines on standard error',
    ifNotGiven: () => 'warn',
  },
  body_limit_mib: {
    flag: '--body-limit-mib <n>',
    help: 'largest body after decompression',
    ifNotGiven: () => defaultServiceOptions.bodyLimitBytes / MIB,
  },
  requests_per_second: {
    flag: '--requests-per-second <n>',
    help: 'for each client address',
    ifNotGiven: () => defaultServiceOptions.requestsPerSecond,
  },
  concurrent_requests: {
    flag: '--concurrent-requests <n>',
    help: 'answered at the same time',
    ifNotGiven: () => defaultServiceOptions.concurrentRequests,
  },
  timeout_seconds: {
    flag: '--timeout-seconds <n>',
    help: 'longest time for one request',
    ifNotGiven: () => defaultServiceOptions.timeoutMs / 1000,
  },
};

export const settingKeys = Object.keys(known) as Key[];

/** `log_level` → `MOVECAST_LOG_LEVEL`. */
export const environmentName = (key: Key): string => `MOVECAST_${key.toUpperCase()}`;

const DEFAULT_FILE = 'movecast.json';

/** Where a setting's value comes from. */
export interface SettingOrigin {
  key: Key;
  value: ServiceSettings[Key];
  /** Such as `--port`, `MOVECAST_PORT`, the file's path, or `default`. */
  from: string;
}

export interface SettingsRead {
  settings: ServiceSettings;
  origins: SettingOrigin[];
}

/** Adds a flag for every setting, and `--config`. */
export function withSettings(command: Command): Command {
  for (const key of settingKeys) {
    const { flag, help, ifNotGiven } = known[key];
    const otherwise = ifNotGiven();
    const shown = otherwise === undefined || otherwise === false ? '' : `; default ${otherwise}`;
    command.addOption(new Option(flag, `${help} (or ${environmentName(key)}${shown})`));
  }
  return command.option(
    '--config <file>',
    `JSON with settings by name (or MOVECAST_CONFIG; default ${DEFAULT_FILE} where there is one)`,
  );
}

/**
 * The settings: a flag wins over the environment, the environment over the file, the file over the default.
 *
 * @throws UserError `usage` or `input-invalid`, naming the flag, the variable or the file's field
 */
export async function readSettings(
  flags: Readonly<Record<string, unknown>>,
  context: Context,
): Promise<SettingsRead> {
  const given = typeof flags['config'] === 'string' ? flags['config'] : context.env['MOVECAST_CONFIG'];
  const file = await readConfigFile(given ?? DEFAULT_FILE, given !== undefined);
  const origins = settingKeys.map((key): SettingOrigin => {
    const flag = flags[optionName(key)];
    if (flag !== undefined) return origin(key, flag, known[key].flag.split(' ')[0]!);
    const variable = context.env[environmentName(key)];
    if (variable !== undefined && variable !== '') return origin(key, variable, environmentName(key));
    if (file.values[key] !== undefined) return origin(key, file.values[key], file.path);
    return { key, value: known[key].ifNotGiven(), from: 'default' };
  });
  const settings = Object.fromEntries(
    origins.map(({ key, value }) => [key, value]),
  ) as unknown as ServiceSettings;
  return { settings, origins };
}

/** The value as it may be shown: without passwords. */
export const shownValue = ({ key, value }: SettingOrigin): string =>
  value === undefined ? '' : key === 'store' ? redactUrl(String(value)) : String(value);

function origin(key: Key, raw: unknown, from: string): SettingOrigin {
  const result = shape[key].safeParse(raw);
  if (!result.success) {
    const code = from.startsWith('--') || from.startsWith('MOVECAST_') ? 'usage' : 'input-invalid';
    const where = from.startsWith('--') || from.startsWith('MOVECAST_') ? from : `${from}: ${key}`;
    throw new UserError(code, `${where} ${firstIssue(result.error).message}`, key);
  }
  return { key, value: result.data, from };
}

/** commander's name of an option: `log_level` → `logLevel`. */
const optionName = (key: Key): string =>
  key.replace(/_(\w)/g, (_match, letter: string) => letter.toUpperCase());

async function readConfigFile(
  path: string,
  mustBeThere: boolean,
): Promise<{ path: string; values: Record<string, unknown> }> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (!mustBeThere && (error as NodeJS.ErrnoException).code === 'ENOENT') return { path, values: {} };
    throw new UserError('input-unreadable', systemErrorSentence(error, path));
  }
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch {
    throw new UserError('input-unreadable', `${path}: is not JSON`);
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values))
    throw new UserError('input-invalid', `${path}: must be a JSON object of settings`);
  const unknown = Object.keys(values).find((key) => !(settingKeys as string[]).includes(key));
  if (unknown !== undefined)
    throw new UserError(
      'input-invalid',
      `${path}: ${JSON.stringify(unknown.slice(0, 60))} is no setting; there is: ${settingKeys.join(', ')}`,
      unknown,
    );
  return { path, values: values as Record<string, unknown> };
}
