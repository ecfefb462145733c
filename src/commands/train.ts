import { Command } from 'commander';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { finishMs, type MoveRecord } from '../domain/move-record.js';
import { parseModelFile, type ModelFile } from '../predictor/model-file.js';
import type { ModelRegistry } from '../store/model-registry.js';
import type { BacktestData } from '../../training/backtest.js';
import { PiecesFolder, trainingKey } from '../../training/backtest-pieces.js';
import { trainModel } from '../../training/train-model.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { boundHeapGrowth } from './heap-growth.js';
import { registryIn, sayIfBegun } from './models-folder.js';
import { MOST_SAMPLES } from './newest-samples.js';
import { startProgress } from './progress.js';
import { aboveZero, count, time } from './option-values.js';
import { seedOption, trainingData, type TrainingDataOptions } from './training-data.js';

interface Options extends CommonOptions, TrainingDataOptions {
  name: string;
  seed: number;
  maxMinutes?: number;
  maxMoves: number;
}

/**
 * What bounds a training's memory, most of which are the predictions of every candidate: so many moves stay below 400 MiB
 * (docs/models.md). Older ones teach little about what a cluster is like now.
 */
const DEFAULT_MOST_MOVES = 50_000;
const MS_PER_MINUTE = 60_000;

/** `train`: fits, backtests, registers, and promotes what beats the version in service. */
export function trainCommand(context: Context): Command {
  const command = new Command('train')
    .option('--name <name>', 'name of the model', 'default')
    .option('--from <time>', 'only moves that started at or after (RFC 3339)', time)
    .option('--to <time>', 'only moves that started before (RFC 3339)', time)
    .option('--records <file...>', 'move records (JSONL, CSV) instead of the store')
    .option('--link-samples <file...>', 'link samples instead of those of the store')
    .option('--instance-samples <file...>', 'instance samples instead of those of the store')
    .option('--max-minutes <n>', 'stop after so long; the same command goes on from there', aboveZero)
    .option('--max-moves <n>', 'train on the newest so many moves', count, DEFAULT_MOST_MOVES)
    .addOption(seedOption());
  withCommonOptions(command, context, {
    store: true,
    models: true,
    examples: [
      'movecast train',
      'movecast train --records data/osic/records.jsonl --name osic --seed 7',
      'movecast train --max-minutes 30',
    ],
  });
  command.addHelpText(
    'after',
    '\nmovecast export-frame writes what is learnt from as a table, for training elsewhere.',
  );
  return command.action((options: Options) => run(options, context));
}

async function run(options: Options, context: Context): Promise<void> {
  boundHeapGrowth();
  const data: BacktestData = await trainingData(options, context, MOST_SAMPLES);
  if (data.records.length === 0)
    throw new UserError(
      'nothing-to-train-on',
      'there are no finished moves to train on; collect some first, or name files with --records',
    );
  const remark = (sentence: string): void => {
    if (options.quiet !== true) context.stderr.write(`movecast: ${sentence}\n`);
  };
  const registry = registryIn(options.models);
  const rootBefore = registry.root;
  await registry.checkPlace(options.name);
  sayIfBegun(registry, rootBefore, remark);
  const current = await registry.currentVersion(options.name);
  const champion = current === undefined ? undefined : await loaded(registry, `${options.name}@${current}`);
  const found = data.records.length;
  data.records = newest(data.records, options.maxMoves);
  const leftOut = found - data.records.length;
  if (leftOut > 0) remark(`${leftOut} older moves are left out; --max-moves says how many are taken`);
  const pieces = new PiecesFolder(options.models, trainingKey(data, options.seed));
  if (pieces.isBegun) remark('goes on from a training of the same data that was broken off');
  const startedMs = context.now();
  const { maxMinutes = Infinity } = options;
  const progress = startProgress(context, 'Training', { quiet: options.quiet });
  const { file, card, metrics, verdict, backtest, report } = trainModel(data, {
    name: options.name,
    seed: options.seed,
    champion,
    leftOut,
    pieces,
    onProgress: (done, total) => {
      if (context.now() - startedMs > maxMinutes * MS_PER_MINUTE) {
        progress.finish();
        throw new UserError(
          'out-of-time',
          `training stopped after ${maxMinutes} minutes with ${Math.floor((100 * done) / total)} % done, and nothing was registered; the same command goes on from there`,
        );
      }
      progress.update(done, total);
    },
  });
  progress.finish();
  if (pieces.failure !== undefined)
    remark(
      `${systemErrorSentence(pieces.failure, pieces.folder)}; had this training been broken off, it would have begun anew`,
    );
  const { version } = file;
  const isKnown = (await registry.list()).some((m) => m.name === options.name && m.version === version);
  if (!isKnown)
    await registry.register(options.name, version, {
      model: file,
      card,
      metrics,
      backtest,
      ...(report === undefined ? {} : { report }),
    });
  const promoted = verdict.promote && current !== version;
  if (promoted) await registry.promote(options.name, version);
  pieces.remove(context.now());
  const inService = promoted || current === version;
  const accuracy = metrics.candidates['movecast'];
  if (options.json === true) {
    const moves = file.trained_on.moves;
    context.stdout.write(
      `${JSON.stringify({ name: options.name, version, moves, new: !isKnown, promoted, in_service: inService, reason: verdict.reason, accuracy })}\n`,
    );
    return;
  }
  const said = [
    `${options.name}@${version}: trained on ${file.trained_on.moves} moves${isKnown ? '; the same version is registered already' : ''}`,
  ];
  if (accuracy !== undefined)
    said.push(
      `rolling backtest: MAPE ${accuracy.mape.toFixed(1)} %, median ${accuracy.median_ape.toFixed(1)} %, 90 % interval holds ${accuracy.coverage_90.toFixed(1)} %`,
    );
  said.push(
    inService
      ? `in service${promoted ? `: ${verdict.reason}` : ''}`
      : `not promoted: ${verdict.reason} (movecast models promote ${options.name} ${version} does it all the same)`,
  );
  context.stdout.write(`${said.join('\n')}\n`);
}

/** The version in service, when it can be loaded: an unreadable one does not stop the training of its successor. */
async function loaded(registry: ModelRegistry, reference: string): Promise<ModelFile | undefined> {
  try {
    return parseModelFile((await registry.read(await registry.resolve(reference))).model);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/** The moves that ended last. O(n log n). */
const newest = (records: readonly MoveRecord[], most: number): readonly MoveRecord[] =>
  records.length <= most
    ? records
    : records.toSorted((a, b) => finishMs(a) - finishMs(b) || (a.id < b.id ? -1 : 1)).slice(-most);
