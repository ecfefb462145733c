#!/usr/bin/env node
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { packageVersion, processContext, type Context } from './commands/context.js';
import { systemErrorSentence, UserError } from './domain/errors.js';

/** Every command by its name, loaded only when it is called, so that `movecast --help` and `predict` start at once. */
const commands: Record<string, { summary: string; load: () => Promise<(context: Context) => Command> }> = {
  collect: {
    summary: 'reads logs into the store',
    load: async () => (await import('./commands/collect.js')).collectCommand,
  },
  train: {
    summary: 'fits, backtests and registers a model',
    load: async () => (await import('./commands/train.js')).trainCommand,
  },
  backtest: {
    summary: 'accuracy of every candidate and baseline, without registering',
    load: async () => (await import('./commands/backtest.js')).backtestCommand,
  },
  'export-frame': {
    summary: 'the training frame as CSV or Parquet, for training elsewhere',
    load: async () => (await import('./commands/export-frame.js')).exportFrameCommand,
  },
  predict: {
    summary: 'predicted durations for move requests',
    load: async () => (await import('./commands/predict.js')).predictCommand,
  },
  forecast: {
    summary: 'what a link will carry and leave over in the coming hours',
    load: async () => (await import('./commands/forecast.js')).forecastCommand,
  },
  serve: {
    summary: 'the HTTP service and dashboard',
    load: async () => (await import('./commands/serve.js')).serveCommand,
  },
  balance: {
    summary: 'a plan that balances a Ganeti cluster soon',
    load: async () => (await import('./commands/balance.js')).balanceCommand,
  },
  watch: {
    summary: 'balances a cluster at set times within set windows',
    load: async () => (await import('./commands/watch.js')).watchCommand,
  },
  price: {
    summary: 'durations and schedule for a plan made by someone else',
    load: async () => (await import('./commands/price.js')).priceCommand,
  },
  simulate: {
    summary: 'plays a plan on a cluster whose true durations are given',
    load: async () => (await import('./commands/simulate.js')).simulateCommand,
  },
  accuracy: {
    summary: 'what was predicted against what happened',
    load: async () => (await import('./commands/accuracy.js')).accuracyCommand,
  },
  config: {
    summary: 'the settings of the service and where each comes from',
    load: async () => (await import('./commands/config.js')).configCommand,
  },
  models: {
    summary: 'the registry: list, show, promote, rollback, export, import',
    load: async () => (await import('./commands/models.js')).modelsCommand,
  },
  store: {
    summary: 'what is in the store; export, import, prune',
    load: async () => (await import('./commands/store.js')).storeCommand,
  },
};

/** Runs the program and gives its exit code: 0 done, 1 could not do it, 2 wrong usage or unreadable input. */
export async function main(args: readonly string[], context: Context): Promise<number> {
  const program = new Command('movecast')
    .description('Predicts how long virtual machine moves take, and plans rebalancing for time.')
    .version(packageVersion())
    .addHelpText(
      'after',
      '\nExamples:\n  $ movecast predict --instance web1 --source-node node1 --target-node node2 --memory-mib 4096\n  $ movecast serve',
    );
  const names = args.filter((arg) => !arg.startsWith('-'));
  const wanted = names[0] === 'help' ? names[1] : names[0];
  for (const [name, { summary, load }] of Object.entries(commands)) {
    if (name === wanted) program.addCommand((await load())(context).summary(summary));
    else program.command(name, { hidden: false }).summary(summary).allowUnknownOption();
  }
  const configure = (command: Command): void => {
    command.exitOverride().configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      outputError: (text, write) => write(oneSentence(text)),
    });
    for (const child of command.commands) configure(child);
  };
  configure(program);
  try {
    if (args.length === 0) {
      program.outputHelp();
      return 0;
    }
    if (names[0] === 'help' && wanted !== undefined && !Object.hasOwn(commands, wanted))
      throw new UserError('usage', `there is no command ${JSON.stringify(wanted)}; see movecast --help`);
    await program.parseAsync(args as string[], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const debug = args.includes('--debug');
    if (error instanceof UserError) {
      context.stderr.write(`movecast: ${error.message}\n`);
      if (debug) context.stderr.write(`${error.stack}\n`);
      return error.exitCode;
    }
    const words = error instanceof Error ? error.message : String(error);
    context.stderr.write(
      debug && error instanceof Error
        ? `${error.stack}\n`
        : `movecast: a fault of movecast itself: ${words} (--debug shows where)\n`,
    );
    return 1;
  }
}

/** commander's "error: unknown option '--x'" and its hints as one sentence. */
const oneSentence = (text: string): string =>
  `movecast: ${text
    .replace(/^error: /, '')
    .trim()
    .replace(/\s*\n\s*/g, ' ')}; see movecast --help\n`;

if (process.argv[1] !== undefined && isThisFile(process.argv[1])) {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0); // the reader, such as `head`, has seen enough
    process.stderr.write(`movecast: ${systemErrorSentence(error, 'standard output')}; send it elsewhere\n`);
    process.exit(1);
  });
  process.stderr.on('error', () => undefined); // remarks that nobody can read are no reason to leave work undone
  process.exitCode = await main(process.argv.slice(2), processContext());
}

function isThisFile(path: string): boolean {
  try {
    return realpathSync(path) === realpathSync(fileURLToPath(import.meta.url));
  } catch {
    return false;
  }
}
