import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Option, type Command } from 'commander';
import { UserError } from '../domain/errors.js';
import type { Clock } from '../ganeti/clock.js';
import { DEFAULT_STORE_URL } from '../store/store.js';

/** What a command is given of the world, so that a test can hand it another one. */
export interface Context {
  stdin: NodeJS.ReadableStream;
  stdout: NodeJS.WritableStream & { columns?: number };
  stderr: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  env: Readonly<Record<string, string | undefined>>;
  /** Epoch milliseconds. */
  now: () => number;
  /** What an execution waits by. @default the time on the wall */
  clock?: Clock;
}

export const processContext = (): Context => ({
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  now: Date.now,
});

/** Options that every command has. */
export interface CommonOptions {
  json?: boolean;
  quiet?: boolean;
  debug?: boolean;
  store: string;
  models: string;
}

/** Adds `--json --quiet --debug` and, where asked for, `--store` and `--models`, and the examples to the help. */
export function withCommonOptions(
  command: Command,
  context: Context,
  {
    store = false,
    models = false,
    examples,
  }: { store?: boolean; models?: boolean; examples: readonly string[] },
): Command {
  if (store) {
    const fromEnvironment = context.env['MOVECAST_STORE'] || undefined;
    const option = new Option(
      '--store <url>',
      'where records are: sqlite:PATH or influx://USER:PASS@HOST:8086/DATABASE (or MOVECAST_STORE)',
    );
    // The help must not show the password in a URL of the environment.
    command.addOption(
      fromEnvironment === undefined
        ? option.default(DEFAULT_STORE_URL)
        : option.default(fromEnvironment, 'what MOVECAST_STORE says'),
    );
  }
  if (models)
    command.option(
      '--models <dir>',
      "the registry's folder (or MOVECAST_MODELS)",
      context.env['MOVECAST_MODELS'] || DEFAULT_MODELS_FOLDER,
    );
  return command
    .option('--json', 'print JSON for programs')
    .option('--quiet', 'print no progress and no remarks')
    .option('--debug', 'show the stack of an error')
    .addHelpText('after', `\nExamples:\n${examples.map((line) => `  $ ${line}`).join('\n')}`);
}

/** Of a command that stands for one of its own when none is named: a slip is no argument of that one. */
export function refuseUnknownCommands(command: Command): Command {
  return command.hook('preSubcommand', ({ args: [word], commands }) => {
    if (word === undefined || word.startsWith('-') || commands.some((one) => one.name() === word)) return;
    const names = commands.map((one) => one.name()).join(', ');
    throw new UserError(
      'usage',
      `there is no command ${JSON.stringify(word)} of ${command.name()}; give one of ${names}`,
    );
  });
}

/** The registry's folder where none is named. */
export const DEFAULT_MODELS_FOLDER = 'models';

/** A folder of the package itself, wherever it is installed. */
export function packageFolder(name: string): string {
  let url = new URL('.', import.meta.url);
  while (!existsSync(new URL('package.json', url))) {
    const up = new URL('..', url);
    if (up.href === url.href) return name;
    url = up;
  }
  return fileURLToPath(new URL(name, url));
}

/** The version in package.json. */
export const packageVersion = (): string =>
  (JSON.parse(readFileSync(packageFolder('package.json'), 'utf8')) as { version: string }).version;
