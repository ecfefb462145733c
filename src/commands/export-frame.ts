import { existsSync } from 'node:fs';
import { basename, extname, join, dirname } from 'node:path';
import { Command } from 'commander';
import { trainingDataset } from '../../training/dataset.js';
import {
  datasetFiles,
  datasetSchema,
  type DatasetFormat,
  type DatasetSchema,
} from '../../training/dataset-table.js';
import { UserError } from '../domain/errors.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { readJsonFile } from './file-input.js';
import { refuseInputAsOutput, writeWhole } from './output-file.js';
import { startProgress } from './progress.js';
import { time } from './option-values.js';
import { seedOption, trainingData, type TrainingDataOptions } from './training-data.js';

interface Options extends CommonOptions, TrainingDataOptions {
  out: string;
  seed: number;
}

const formats: Readonly<Record<string, DatasetFormat>> = { '.csv': 'csv', '.parquet': 'parquet' };

/** `export-frame`: the training frame as a table, for those who train elsewhere. */
export function exportFrameCommand(context: Context): Command {
  const command = new Command('export-frame')
    .requiredOption('--out <file>', 'the frame: FILE.csv or FILE.parquet; its schema and model go beside it')
    .option('--from <time>', 'only moves that started at or after (RFC 3339)', time)
    .option('--to <time>', 'only moves that started before (RFC 3339)', time)
    .option('--records <file...>', 'move records (JSONL, CSV) instead of the store')
    .option('--link-samples <file...>', 'link samples instead of those of the store')
    .option('--instance-samples <file...>', 'instance samples instead of those of the store')
    .addOption(seedOption());
  withCommonOptions(command, context, {
    store: true,
    examples: [
      'movecast export-frame --out frame.csv',
      'movecast export-frame --records data/osic/records.jsonl --out osic.parquet',
    ],
  });
  command.addHelpText(
    'after',
    `
Writes three files: the frame (one row a move: what was known at its start, and what became of it),
FILE.schema.json (schema version, columns with units and meaning, hashes) and FILE.model.json (what computes
the same columns for moves to come). FILE.csv and FILE.parquet of the same moves share the two.
docs/python.md goes from here to a model of your own in service.`,
  );
  return command.action((options: Options) => run(options, context));
}

async function run(options: Options, context: Context): Promise<void> {
  const { out, seed } = options;
  const format = formats[extname(out)];
  if (format === undefined)
    throw new UserError('usage', `--out ${out}: the name must end in .csv or .parquet, in small letters`);
  const stem = join(dirname(out), basename(out, extname(out)));
  const schemaPath = `${stem}.schema.json`;
  const modelPath = `${stem}.model.json`;
  const inputs = [options.records, options.linkSamples, options.instanceSamples].flatMap((f) => f ?? []);
  for (const path of [out, schemaPath, modelPath]) await refuseInputAsOutput('--out', path, inputs);
  const data = await trainingData(options, context);
  if (data.records.length === 0)
    throw new UserError(
      'nothing-to-train-on',
      'there are no finished moves to make a frame of; collect some first, or name files with --records',
    );
  const progress = startProgress(context, 'Frame', { quiet: options.quiet });
  const dataset = trainingDataset(data, { seed, onProgress: (done, total) => progress.update(done, total) });
  progress.finish();
  const names = { frame: basename(out), model: basename(modelPath) };
  const { frame, schema } = datasetFiles(dataset, { format, names, seed });
  await refuseFrameOfOtherMoves(`${stem}.${format === 'csv' ? 'parquet' : 'csv'}`, schemaPath, schema);
  await writeWhole(modelPath, `${JSON.stringify(dataset.model)}\n`);
  await writeWhole(schemaPath, `${JSON.stringify(schema, null, 2)}\n`);
  await writeWhole(out, frame);
  const { rows, data_sha256, schema_version } = schema;
  const columns = schema.columns.length;
  if (options.json === true) {
    const value = { out, schema: schemaPath, model: modelPath, rows, columns, schema_version, data_sha256 };
    context.stdout.write(`${JSON.stringify(value)}\n`);
    return;
  }
  context.stdout.write(
    `${out}: ${rows} moves, ${columns} columns, schema version ${schema_version}\n` +
      `sha256 of the table as CSV: ${data_sha256}\n` +
      `beside it: ${schemaPath} (columns, units, hashes), ${modelPath} (computes the columns for moves to come)\n`,
  );
}

/**
 * A frame in the other format shares schema and model: refuses to write these anew when it was made of other moves, as
 * they would no longer say how.
 *
 * @throws UserError `usage`
 */
async function refuseFrameOfOtherMoves(
  other: string,
  schemaPath: string,
  schema: DatasetSchema,
): Promise<void> {
  if (!existsSync(other) || !existsSync(schemaPath)) return;
  const there = datasetSchema.safeParse(await readJsonFile(schemaPath)).data;
  if (there?.data_sha256 === schema.data_sha256 && there.model.version === schema.model.version) return;
  throw new UserError(
    'usage',
    `${schemaPath}: describes ${other} too, which was not made of these moves and this seed; give --out another name, or remove ${other}`,
  );
}
