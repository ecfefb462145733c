import { writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { accuracyBy, type Accuracy } from '../../training/accuracy.js';
import { accuracyTable } from '../../training/accuracy-table.js';
import { backtest, FIRST_ORIGIN_MOVES, protocols, type Protocol } from '../../training/backtest.js';
import { candidates } from '../../training/candidates/candidates.js';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { refuseInputAsOutput } from './output-file.js';
import { startProgress } from './progress.js';
import { seedOption, trainingData, type TrainingDataOptions } from './training-data.js';

interface Options extends CommonOptions, TrainingDataOptions {
  protocol: Protocol;
  candidates?: string[];
  out?: string;
  seed: number;
}

/** `backtest`: the accuracy of every candidate and every naive mark, without registering anything. */
export function backtestCommand(context: Context): Command {
  const command = new Command('backtest')
    .option('--records <file...>', 'move records (JSONL, CSV) instead of the store')
    .option('--link-samples <file...>', 'link samples instead of those of the store')
    .option('--instance-samples <file...>', 'instance samples instead of those of the store')
    .addOption(
      new Option('--protocol <name>', 'what is left out, and how')
        .choices(Object.keys(protocols))
        .default('rolling'),
    )
    .option('--candidates <name...>', 'only these')
    .option('--out <file>', 'write a line a predicted move and candidate (JSONL)')
    .addOption(seedOption());
  withCommonOptions(command, context, {
    store: true,
    examples: [
      'movecast backtest --records data/osic/records.jsonl',
      'movecast backtest --records data/osic/records.jsonl --protocol new-size --out predictions.jsonl',
    ],
  });
  const lines = Object.entries(protocols).map(([name, what]) => `  ${name.padEnd(14)}${what}`);
  command.addHelpText('after', `\nProtocols:\n${lines.join('\n')}`);
  return command.action((options: Options) => run(options, context));
}

async function run(options: Options, context: Context): Promise<void> {
  await refuseInputAsOutput(
    '--out',
    options.out,
    [options.records, options.linkSamples, options.instanceSamples].flatMap((files) => files ?? []),
  );
  const data = await trainingData(options, context);
  const wanted = options.candidates;
  const unknown = wanted?.find((name) => !candidates.some((candidate) => candidate.name === name));
  if (unknown !== undefined)
    throw new UserError(
      'usage',
      `there is no candidate ${unknown}; there is: ${candidates.map((candidate) => candidate.name).join(', ')}`,
    );
  const chosen = candidates.filter((candidate) => wanted?.includes(candidate.name) ?? true);
  const progress = startProgress(context, 'Backtest', { quiet: options.quiet });
  const rows = backtest(data, chosen, {
    protocol: options.protocol,
    seed: options.seed,
    onProgress: (done, total) => progress.update(done, total),
  });
  progress.finish();
  if (rows.length === 0)
    throw new UserError(
      'nothing-to-train-on',
      `the protocol ${options.protocol} finds nothing to predict in ${data.records.length} moves: a first fit needs ${FIRST_ORIGIN_MOVES} finished ones`,
    );
  if (options.out !== undefined) {
    try {
      await writeFile(options.out, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    } catch (error) {
      throw new UserError('cannot-write', systemErrorSentence(error, options.out));
    }
  }
  const byCandidate = accuracyBy(rows, (row) => row.candidate);
  const last = chosen.at(-1)!.name;
  const parts = accuracyBy(
    rows.filter((row) => row.candidate === last),
    groupsOfRows(options.protocol, data.records),
  );
  if (options.json === true) {
    const value = {
      protocol: options.protocol,
      candidates: asObject(byCandidate),
      groups: { [last]: asObject(parts) },
    };
    context.stdout.write(`${JSON.stringify(value)}\n`);
    return;
  }
  context.stdout.write(`${options.protocol}: ${protocols[options.protocol]}\n\n`);
  context.stdout.write(accuracyTable('candidate', byCandidate));
  context.stdout.write(`\n${accuracyTable(`${last}, of which`, parts)}`);
  if (options.quiet !== true)
    context.stderr.write(
      'figures in percent, bias in log(predicted/actual); moves that were broken off are not scored\n',
    );
}

const asObject = (accuracies: ReadonlyMap<string, Accuracy>): Record<string, Accuracy> =>
  Object.fromEntries(accuracies);

/** How the moves of the last candidate are divided for the second table. */
function groupsOfRows(
  protocol: Protocol,
  records: readonly { id: string; cluster?: string | undefined; concurrent_moves?: number | undefined }[],
): (row: { id: string; origin: string }) => string {
  if (protocol === 'new-size' || protocol === 'cold-start') return (row) => row.origin;
  const groups = new Map(
    records.map((record) => [
      record.id,
      `${record.cluster ?? 'default'}, ${(record.concurrent_moves ?? 0) > 0 ? 'in parallel' : 'alone'}`,
    ]),
  );
  return (row) => groups.get(row.id) ?? '';
}
