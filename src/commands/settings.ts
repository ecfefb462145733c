import { readFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { z } from 'zod';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { firstIssue } from '../domain/fields.js';
import { parseJson } from '../domain/json.js';
import { redactUrl } from '../store/open-store.js';
import type { Context } from './context.js';

const DEFAULT_FILE = 'movecast.json';
/** Sections of the file that belong to one command each; everything beside them is for all. */
const SECTIONS = ['watch'] as const;

export interface Setting<Value extends z.ZodType = z.ZodType> {
  flag: string;
  help: string;
  value: Value;
  /** Undefined: nothing. */
  ifNotGiven: () => z.output<Value> | undefined;
}

export type SettingsTable = Readonly<Record<string, Setting>>;
export type SettingsOf<Table extends SettingsTable> = {
  [K in keyof Table]: z.output<Table[K]['value']>;
};

/** Where a setting's value comes from. */
export interface SettingOrigin<Key extends string = string> {
  key: Key;
  value: unknown;
  /** Such as `--port`, `MOVECAST_PORT`, the file's path, or `default`. */
  from: string;
}

/** A setting whose type is that of its schema. */
export const setting = <Value extends z.ZodType>(one: Setting<Value>): Setting<Value> => one;

/** A whole number, from text too: flags and the environment carry text. */
export const whole = (least: number, most: number) => {
  const error = `must be a whole number from ${least} to ${most}`;
  const text = z
    .string()
    .regex(/^\d{1,9}$/)
    .transform(Number);
  return z
    .union([z.number(), text], { error })
    .refine((value) => Number.isInteger(value) && value >= least && value <= most, { error });
};

/** A number that is not below 0, from text too. */
export const amount = () => {
  const error = 'must be a number from 0 up';
  const text = z
    .string()
    .regex(/^\d{1,9}(\.\d{1,9})?$/)
    .transform(Number);
  return z
    .union([z.number(), text], { error })
    .refine((value) => Number.isFinite(value) && value >= 0, { error });
};

export const yesOrNo = z.union(
  [
    z.boolean(),
    z.enum(['1', 'true', 'yes', '0', 'false', 'no']).transform((text) => ['1', 'true', 'yes'].includes(text)),
  ],
  { error: 'must be true or false' },
);

/**
 * The settings of a command: a flag wins over the environment, the environment over the file, the file over the default.
 * `section` is where the command's own settings stand in the file, and part of the names of their variables; those in
 * `shared` stand beside it, for all commands.
 */
export class Settings<Table extends SettingsTable> {
  readonly keys: readonly (keyof Table & string)[];
  readonly #table: Table;
  readonly #section: (typeof SECTIONS)[number] | undefined;
  readonly #shared: ReadonlySet<string>;

  constructor(
    table: Table,
    { section, shared = [] }: { section?: (typeof SECTIONS)[number]; shared?: readonly string[] } = {},
  ) {
    this.keys = Object.keys(table);
    this.#table = table;
    this.#section = section;
    this.#shared = new Set(shared);
  }

  /** `log_level` → `MOVECAST_LOG_LEVEL`, or of a section `MOVECAST_WATCH_AT`. */
  environmentName(key: keyof Table & string): string {
    return `MOVECAST_${this.#own(key) ? `${this.#section}_${key}` : key}`.toUpperCase();
  }

  /** Adds a flag for every setting, and `--config`. */
  addTo(command: Command): Command {
    for (const key of this.keys) {
      const { flag, help, ifNotGiven } = this.#table[key]!;
      const otherwise = ifNotGiven();
      const shown = otherwise === undefined || otherwise === false ? '' : `; default ${String(otherwise)}`;
      command.addOption(new Option(flag, `${help} (or ${this.environmentName(key)}${shown})`));
    }
    return command.option(
      '--config <file>',
      `JSON with settings by name (or MOVECAST_CONFIG; default ${DEFAULT_FILE} where there is one)`,
    );
  }

  /** @throws UserError `usage` or `input-invalid`, naming the flag, the variable or the file's field */
  async read(
    flags: Readonly<Record<string, unknown>>,
    context: Context,
  ): Promise<{ settings: SettingsOf<Table>; origins: SettingOrigin<keyof Table & string>[] }> {
    const given = typeof flags['config'] === 'string' ? flags['config'] : context.env['MOVECAST_CONFIG'];
    const file = await this.#readFile(given ?? DEFAULT_FILE, given !== undefined);
    const origins = this.keys.map((key): SettingOrigin<keyof Table & string> => {
      const { flag, ifNotGiven } = this.#table[key]!;
      const fromFlag = flags[new Option(flag).attributeName()];
      if (fromFlag !== undefined) return this.#origin(key, fromFlag, flag.split(' ')[0]!);
      const variable = context.env[this.environmentName(key)];
      if (variable !== undefined && variable !== '')
        return this.#origin(key, variable, this.environmentName(key));
      const fromFile = file.values[key];
      if (fromFile !== undefined) return this.#origin(key, fromFile, file.path);
      return { key, value: ifNotGiven(), from: 'default' };
    });
    const settings = Object.fromEntries(origins.map(({ key, value }) => [key, value])) as SettingsOf<Table>;
    return { settings, origins };
  }

  #own(key: string): boolean {
    return this.#section !== undefined && !this.#shared.has(key);
  }

  #origin(key: keyof Table & string, raw: unknown, from: string): SettingOrigin<keyof Table & string> {
    const result = this.#table[key]!.value.safeParse(raw);
    if (result.success) return { key, value: result.data, from };
    const isCalled = from.startsWith('--') || from.startsWith('MOVECAST_');
    const inFile = this.#own(key) ? `${this.#section}.${key}` : key;
    throw new UserError(
      isCalled ? 'usage' : 'input-invalid',
      `${isCalled ? from : `${from}: ${inFile}`} ${firstIssue(result.error).message}`,
      key,
    );
  }

  async #readFile(
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
    const values = parseJson(text, path);
    if (!isObject(values)) throw new UserError('input-invalid', `${path}: must be a JSON object of settings`);
    if (this.#section === undefined) {
      const general = Object.entries(values).filter(
        ([key]) => !(SECTIONS as readonly string[]).includes(key),
      );
      return { path, values: this.#known(path, '', Object.fromEntries(general), this.keys) };
    }
    const own = values[this.#section] ?? {};
    if (!isObject(own))
      throw new UserError('input-invalid', `${path}: ${this.#section} must be a JSON object of settings`);
    const ownKeys = this.keys.filter((key) => this.#own(key));
    const shared = Object.fromEntries(Object.entries(values).filter(([key]) => this.#shared.has(key)));
    return { path, values: { ...shared, ...this.#known(path, `${this.#section}.`, own, ownKeys) } };
  }

  #known(
    path: string,
    before: string,
    values: Record<string, unknown>,
    keys: readonly string[],
  ): Record<string, unknown> {
    const unknown = Object.keys(values).find((key) => !keys.includes(key));
    if (unknown !== undefined)
      throw new UserError(
        'input-invalid',
        `${path}: ${JSON.stringify((before + unknown).slice(0, 60))} is no setting; there is: ${keys.join(', ')}`,
        unknown,
      );
    return values;
  }
}

/** The value as it may be shown: without passwords. */
export const shownValue = ({ key, value }: SettingOrigin): string =>
  value === undefined
    ? ''
    : key === 'store' || key === 'master'
      ? redactUrl(String(value))
      : Array.isArray(value)
        ? value.join(',')
        : String(value);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
