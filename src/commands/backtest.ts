import { Command, Option } from 'commander';
import { accuracyBy, type Accuracy } from '../../training/accuracy.js';
import { accuracyTable } from '../../training/accuracy-table.js';
import {
  backtest,
  FIRST_ORIGIN_MOVES,
  protocols,
  type BacktestRow,
  type Protocol,
} from '../../training/backtest.js';
import { backtestReport } from '../../training/backtest-report.js';
import { accuracyIntervals, type AccuracyIntervals } from '../../training/bootstrap.js';
import { candidates } from '../../training/candidates/candidates.js';
import { servedModel, wholeModel } from '../../training/candidates/whole-model.js';
import { mainGroups, moveGroups } from '../../training/move-groups.js';
import { freshIds } from '../../training/promotion.js';
import { shiftReactions, shiftTable, type ShiftReaction } from '../../training/shift-test.js';
import { UserError } from '../domain/errors.js';
import type { MoveRecord } from '../domain/move-record.js';
import { parseModelFile, type ModelFile } from '../predictor/model-file.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { boundHeapGrowth } from './heap-growth.js';
import { registryIn } from './models-folder.js';
import { refuseInputAsOutput, writeWhole } from './output-file.js';
import { startProgress } from './progress.js';
import { seedOption, trainingData, type TrainingDataOptions } from './training-data.js';

interface Options extends CommonOptions, TrainingDataOptions {
  protocol: Protocol;
  candidates?: string[];
  model?: string;
  out?: string;
  report?: string;
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
    .option(
      '--model <name>',
      'also this registered model (NAME, NAME@VERSION or a folder), on moves later than its own',
    )
    .option('--out <file>', 'write a line a predicted move and candidate (JSONL)')
    .option('--report <file>', 'write the plots and tables as one HTML file that needs no network')
    .addOption(seedOption());
  withCommonOptions(command, context, {
    store: true,
    models: true,
    examples: [
      'movecast backtest --records data/osic/records.jsonl',
      'movecast backtest --records moves.csv --model xgboost',
      'movecast backtest --records data/osic/records.jsonl --protocol new-size --out predictions.jsonl',
      'movecast backtest --records moves.csv --report backtest.html',
    ],
  });
  const lines = Object.entries(protocols).map(([name, what]) => `  ${name.padEnd(14)}${what}`);
  command.addHelpText('after', `\nProtocols:\n${lines.join('\n')}`);
  return command.action((options: Options) => run(options, context));
}

async function run(options: Options, context: Context): Promise<void> {
  const read = [options.records, options.linkSamples, options.instanceSamples].flatMap(
    (files) => files ?? [],
  );
  await refuseInputAsOutput('--out', options.out, read);
  await refuseInputAsOutput('--report', options.report, read);
  if (options.report !== undefined && options.report === options.out)
    throw new UserError('usage', `--out and --report both name ${options.out}; name two files`);
  boundHeapGrowth();
  const data = await trainingData(options, context);
  const wanted = options.candidates;
  const unknown = wanted?.find((name) => !candidates.some((candidate) => candidate.name === name));
  if (unknown !== undefined)
    throw new UserError(
      'usage',
      `there is no candidate ${unknown}; there is: ${candidates.map((candidate) => candidate.name).join(', ')}`,
    );
  const served = options.model === undefined ? undefined : await registered(options.model, options);
  const chosen = candidates.filter((candidate) => wanted?.includes(candidate.name) ?? true);
  if (served !== undefined) chosen.push(servedModel(served));
  const progress = startProgress(context, 'Backtest', { quiet: options.quiet });
  const all = backtest(data, chosen, {
    protocol: options.protocol,
    seed: options.seed,
    onProgress: (done, total) => progress.update(done, total),
  });
  progress.finish();
  const rows = served === undefined ? all : laterThan(served, all, data.records);
  if (rows.length === 0)
    throw new UserError(
      'nothing-to-train-on',
      `the protocol ${options.protocol} finds nothing to predict in ${data.records.length} moves: a first fit needs ${FIRST_ORIGIN_MOVES} finished ones${leavesOut(options.protocol) ? ' beside those that it leaves out' : ''}`,
    );
  if (options.out !== undefined)
    await writeWhole(options.out, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const { protocol, seed } = options;
  const groups = moveGroups(data.records);
  const intervalsOf = (members: readonly BacktestRow[]): AccuracyIntervals | undefined =>
    accuracyIntervals(members, groups.instance, seed);
  const byCandidate = accuracyBy(rows, (row) => row.candidate, intervalsOf);
  const rowsOf = (name: string): BacktestRow[] => rows.filter((row) => row.candidate === name);
  if (options.report !== undefined)
    await writeWhole(
      options.report,
      backtestReport({
        rowsOf,
        accuracies: byCandidate,
        records: data.records,
        protocol,
        seed,
        candidates: chosen,
      }),
    );
  const last = chosen.at(-1)!.name;
  const parts = accuracyBy(rowsOf(last), mainGroups(protocol, groups), intervalsOf);
  const reactions =
    protocol === 'shift' && chosen.includes(wholeModel) ? shiftReactions(data.records) : undefined;
  if (options.json === true) {
    const value = {
      protocol: options.protocol,
      candidates: asObject(byCandidate),
      groups: { [last]: asObject(parts) },
      ...(reactions === undefined ? {} : { reactions: reactions.map(reactionJson) }),
    };
    context.stdout.write(`${JSON.stringify(value)}\n`);
    return;
  }
  context.stdout.write(`${options.protocol}: ${protocols[options.protocol]}\n\n`);
  context.stdout.write(accuracyTable('candidate', byCandidate));
  context.stdout.write(`\n${accuracyTable(`${last}, of which`, parts)}`);
  if (reactions !== undefined)
    context.stdout.write(
      reactions.length === 0
        ? `\nNo cluster has the ${FIRST_ORIGIN_MOVES} finished moves that counting its moves until a shift is noticed needs.\n`
        : `\nHow soon ${wholeModel.name} reacts, fitted to the first third of a cluster's finished moves, to durations a quarter longer from the second third's end on:\n\n${shiftTable(reactions)}`,
    );
  if (options.quiet !== true)
    context.stderr.write(
      'figures in percent, bias in log(predicted/actual), intervals by bootstrap over instances; moves that were broken off are not scored\n',
    );
}

/** A registered model, which is judged in order of time alone: of groups left out it may have seen the rest. */
async function registered(reference: string, { models, protocol }: Options): Promise<ModelFile> {
  if (protocol !== 'rolling')
    throw new UserError(
      'usage',
      `--model is judged by the protocol rolling, not by ${protocol}; leave one away`,
    );
  const registry = registryIn(models);
  return parseModelFile((await registry.read(await registry.resolve(reference))).model);
}

const leavesOut = (protocol: Protocol): boolean => protocol.startsWith('new-');

/** Rows of moves that started after all that the model was trained on. */
function laterThan(
  model: ModelFile,
  rows: readonly BacktestRow[],
  records: readonly MoveRecord[],
): BacktestRow[] {
  const fresh = freshIds(records, model);
  const later = rows.filter(({ id }) => fresh.has(id));
  if (later.length === 0)
    throw new UserError(
      'nothing-to-train-on',
      `${model.name}@${model.version} knows all of these moves, so that nothing is left to judge it by; give later moves beside them`,
    );
  return later;
}

const asObject = (accuracies: ReadonlyMap<string, Accuracy>): Record<string, Accuracy> =>
  Object.fromEntries(accuracies);

/** Null: never. */
const reactionJson = (reaction: ShiftReaction) => ({
  cluster: reaction.cluster,
  noticed_after_moves: reaction.noticedAfter ?? null,
  recovered_after_moves: reaction.recoveredAfter ?? null,
  shifted_moves: reaction.shiftedMoves,
  false_alarms: reaction.falseAlarms,
  unshifted_moves: reaction.moves,
});
