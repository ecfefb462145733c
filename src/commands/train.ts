import { Command, InvalidArgumentError } from 'commander';
import { UserError } from '../domain/errors.js';
import { startMs, type MoveRecord } from '../domain/move-record.js';
import { fromIsoTime } from '../domain/units.js';
import { ModelRegistry } from '../store/model-registry.js';
import { openStore } from '../store/open-store.js';
import { fitModel } from '../../training/fit.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { readRecords, remarkRejected, type Rejected } from './table-input.js';

interface Options extends CommonOptions {
  name: string;
  from?: number;
  to?: number;
  records?: string[];
  seed: number;
}

/** `train`: fits, backtests, registers, promotes when better. */
export function trainCommand(context: Context): Command {
  const command = new Command('train')
    .option('--name <name>', 'name of the model', 'default')
    .option('--from <time>', 'only moves that started at or after (RFC 3339)', timeOf)
    .option('--to <time>', 'only moves that started before (RFC 3339)', timeOf)
    .option('--records <file...>', 'move records (JSONL, CSV) instead of the store')
    .option('--link-samples <file...>', 'link samples instead of those of the store')
    .option('--instance-samples <file...>', 'instance samples instead of those of the store')
    .option('--seed <n>', 'the same seed and data give the same bytes', seedOf, 1);
  withCommonOptions(command, context, {
    store: true,
    models: true,
    examples: ['movecast train', 'movecast train --records data/osic/records.jsonl --name osic --seed 7'],
  });
  return command.action((options: Options) => run(options, context));
}

async function run(options: Options, context: Context): Promise<void> {
  const rejected: Rejected = { count: 0, first: undefined };
  let records: MoveRecord[];
  if (options.records !== undefined) records = await readRecords(options.records, context, rejected);
  else {
    records = [];
    const store = await openStore(options.store);
    try {
      for await (const record of store.moves()) records.push(record);
    } finally {
      await store.close();
    }
  }
  remarkRejected(rejected, context, options.quiet);
  const { from = -Infinity, to = Infinity } = options;
  records = records.filter((record) => startMs(record) >= from && startMs(record) < to);
  if (records.length === 0)
    throw new UserError(
      'nothing-to-train-on',
      'there are no finished moves to train on; collect some first, or name files with --records',
    );
  const file = fitModel(records, { name: options.name, seed: options.seed });
  const registry = new ModelRegistry(options.models);
  const known = (await registry.list()).some((m) => m.name === options.name && m.version === file.version);
  const card = `# ${file.name}@${file.version}\n\n${file.trained_on.moves} moves, data ${file.trained_on.data_hash}, seed ${file.trained_on.seed}.\n`;
  if (!known) await registry.register(options.name, file.version, { model: file, card, metrics: {} });
  await registry.promote(options.name, file.version);
  const result = { name: options.name, version: file.version, moves: file.trained_on.moves, promoted: true };
  context.stdout.write(
    options.json === true
      ? `${JSON.stringify(result)}\n`
      : `${result.name}@${result.version}: trained on ${result.moves} moves, in service\n`,
  );
}

function timeOf(text: string): number {
  const ms = fromIsoTime(text);
  if (Number.isNaN(ms))
    throw new InvalidArgumentError('It must be an RFC 3339 time, such as 2026-11-22T00:00:00Z.');
  return ms;
}

function seedOf(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('It must be a whole number.');
  return value;
}
