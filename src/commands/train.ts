import { Command } from 'commander';
import { UserError } from '../domain/errors.js';
import { parseModelFile, type ModelFile } from '../predictor/model-file.js';
import { ModelRegistry } from '../store/model-registry.js';
import { trainModel } from '../../training/train-model.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { startProgress } from './progress.js';
import { seedOption, timeOf, trainingData, type TrainingDataOptions } from './training-data.js';

interface Options extends CommonOptions, TrainingDataOptions {
  name: string;
  seed: number;
}

/** `train`: fits, backtests, registers, and promotes what is not worse than the version in service. */
export function trainCommand(context: Context): Command {
  const command = new Command('train')
    .option('--name <name>', 'name of the model', 'default')
    .option('--from <time>', 'only moves that started at or after (RFC 3339)', timeOf)
    .option('--to <time>', 'only moves that started before (RFC 3339)', timeOf)
    .option('--records <file...>', 'move records (JSONL, CSV) instead of the store')
    .option('--link-samples <file...>', 'link samples instead of those of the store')
    .option('--instance-samples <file...>', 'instance samples instead of those of the store')
    .addOption(seedOption());
  withCommonOptions(command, context, {
    store: true,
    models: true,
    examples: ['movecast train', 'movecast train --records data/osic/records.jsonl --name osic --seed 7'],
  });
  command.addHelpText(
    'after',
    '\nmovecast export-frame writes what is learnt from as a table, for training elsewhere.',
  );
  return command.action((options: Options) => run(options, context));
}

async function run(options: Options, context: Context): Promise<void> {
  const data = await trainingData(options, context);
  if (data.records.length === 0)
    throw new UserError(
      'nothing-to-train-on',
      'there are no finished moves to train on; collect some first, or name files with --records',
    );
  const registry = new ModelRegistry(options.models);
  const current = await registry.currentVersion(options.name);
  const champion = current === undefined ? undefined : await loaded(registry, `${options.name}@${current}`);
  const progress = startProgress(context, 'Training', { quiet: options.quiet });
  const { file, card, metrics, verdict, backtest, report } = trainModel(data, {
    name: options.name,
    seed: options.seed,
    champion,
    onProgress: (done, total) => progress.update(done, total),
  });
  progress.finish();
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
