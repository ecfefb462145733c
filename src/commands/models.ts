import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { treesAsOnnx, treeTargetOf } from '../predictor/model-onnx.js';
import { treeTargetNames, treeTargets } from '../predictor/imported-trees.js';
import type { ImportedTrees } from '../../training/import-trees.js';
import { parseModelFile } from '../predictor/model-file.js';
import { MODEL_FILE, type ModelRegistry, type RegisteredModel } from '../store/model-registry.js';
import { refuseUnknownCommands, withCommonOptions, type CommonOptions, type Context } from './context.js';
import { writeWhole } from './output-file.js';
import { refuseTreeOptions, treesFromFile, type TreeImportOptions } from './import-trees.js';
import { registryIn, sayIfBegun } from './models-folder.js';
import { count, time } from './option-values.js';

/** `models`: the registry. */
export function modelsCommand(context: Context): Command {
  const command = withCommonOptions(refuseUnknownCommands(new Command('models')), context, {
    models: true,
    examples: [
      'movecast models',
      'movecast models show default',
      'movecast models promote default 1-0123456789ab',
      'movecast models rollback default',
      'movecast models history default',
      'movecast models export default ./backup/default/v1',
    ],
  });
  const add = (name: string, summary: string, examples: readonly string[]): Command =>
    withCommonOptions(command.command(name, { isDefault: name === 'list' }).summary(summary), context, {
      models: true,
      examples,
    });

  add('list', 'every model and version; * is in service', ['movecast models list --json']).action(
    (_own: unknown, self: Command) => list(self.optsWithGlobals(), context),
  );

  add('show', "a model's card (--json: its metrics)", ['movecast models show default'])
    .argument('<model>', "NAME, NAME@VERSION or a model's folder")
    .action((reference: string, _own: unknown, self: Command) =>
      show(reference, self.optsWithGlobals(), context),
    );

  add('promote', 'puts a version in service', ['movecast models promote default 1-0123456789ab'])
    .argument('<name>')
    .argument('<version>')
    .action((name: string, version: string, _own: unknown, self: Command) =>
      promote(name, version, self.optsWithGlobals(), context),
    );

  add('rollback', 'puts the version before back in service', ['movecast models rollback default'])
    .argument('<name>')
    .action((name: string, _own: unknown, self: Command) => rollback(name, self.optsWithGlobals(), context));

  add('history', 'what was put in service when, oldest first', ['movecast models history default --json'])
    .argument('<name>')
    .action((name: string, _own: unknown, self: Command) => history(name, self.optsWithGlobals(), context));

  add('export', 'copies a model into a new folder, or writes its trees as ONNX', [
    'movecast models export default ./backup/default/v1',
    'movecast models export default trees.onnx',
  ])
    .argument('<model>', "NAME, NAME@VERSION or a model's folder")
    .argument('<path>', 'a folder that is not there yet, or FILE.onnx for the trees alone')
    .option('--float', 'of ONNX: in single precision, for runtimes without doubles in trees')
    .action((reference: string, path: string, _own: unknown, self: Command) =>
      exportModel(reference, path, self.optsWithGlobals(), context),
    );

  add('import', 'registers the model in a folder, or trees from XGBoost, LightGBM or ONNX', [
    'movecast models import ./backup/default/v1 --name site-b',
    'movecast models import trees.json --schema frame.schema.json --target residual_log --rows frame.csv --rows-from 2026-06-01T00:00:00Z',
  ])
    .argument('<path>', "a model's folder, or a file of trees (XGBoost JSON, LightGBM text, ONNX)")
    .option('--name <name>', "the model's name here; of trees, without it, the file's")
    .option('--as <version>', 'the version here')
    .option('--schema <file>', 'of trees: FRAME.schema.json, with FRAME.model.json beside it')
    .addOption(new Option('--target <what>', 'of trees: what they answer').choices(treeTargetNames))
    .option('--rows <file>', 'of trees: rows of the frame that they were not grown on, for the intervals')
    .option('--rows-from <time>', 'only rows that started at or after (RFC 3339)', time)
    .option('--columns <names>', 'of trees whose file names no columns: the names, joined by commas')
    .option('--rounds <n>', 'only the first n rounds of the training, as early stopping found best', count)
    .addHelpText(
      'after',
      `\nTargets:\n${Object.entries(treeTargets)
        .map(([name, formula]) => `  ${name.padEnd(14)}${formula}`)
        .join(
          '\n',
        )}\n\ndocs/python.md shows the whole way, from movecast export-frame to a model in service.`,
    )
    .action((path: string, own: TreeImportOptions, self: Command) =>
      importModel(path, own, self.optsWithGlobals(), context),
    );

  return command;
}

async function list(options: CommonOptions, context: Context): Promise<void> {
  const registry = registryIn(options.models);
  const models = await registry.list();
  if (options.json === true) {
    for (const model of models) print(context, JSON.stringify(model));
    return;
  }
  if (models.length === 0) print(context, `no models in ${registry.root}; movecast train makes one`);
  for (const model of models) print(context, `${model.current ? '*' : ' '} ${model.name}@${model.version}`);
}

async function show(reference: string, options: CommonOptions, context: Context): Promise<void> {
  const registry = registryIn(options.models);
  const model = await registry.resolve(reference);
  const files = await registry.read(model);
  print(
    context,
    options.json === true ? JSON.stringify({ ...model, metrics: files.metrics }) : files.card.trimEnd(),
  );
}

async function promote(
  name: string,
  version: string,
  options: CommonOptions,
  context: Context,
): Promise<void> {
  const registry = registryIn(options.models);
  const model = await registry.resolve(`${name}@${version}`);
  parseModelFile((await registry.read(model)).model); // what can not be loaded never goes into service
  await registry.promote(name, version);
  done(context, options, { name, version, current: true }, `${name}@${version} is in service`);
}

async function rollback(name: string, options: CommonOptions, context: Context): Promise<void> {
  const model = await registryIn(options.models).rollback(name);
  done(
    context,
    options,
    { name, version: model.version, current: true },
    `${name}@${model.version} is in service again`,
  );
}

async function history(name: string, options: CommonOptions, context: Context): Promise<void> {
  const registry = registryIn(options.models);
  if (!(await registry.list()).some((model) => model.name === name)) await registry.resolve(name); // throws
  const changes = await registry.history(name);
  for (const change of changes) {
    const after = change.before === undefined ? '' : `, after ${change.before}`;
    print(
      context,
      options.json === true
        ? JSON.stringify(change)
        : `${change.at}  ${change.action.padEnd(11)}  ${change.version}${after}`,
    );
  }
  if (changes.length === 0 && options.json !== true)
    print(context, `nothing is known of when a version of ${name} was put in service`);
}

async function exportModel(
  reference: string,
  path: string,
  options: CommonOptions & { float?: boolean },
  context: Context,
): Promise<void> {
  const registry = registryIn(options.models);
  const model = await registry.resolve(reference);
  const { name, version } = model;
  if (path.toLowerCase().endsWith('.onnx')) {
    const file = parseModelFile((await registry.read(model)).model);
    const { trees, columns, bytes } = treesAsOnnx(file, options.float === true ? 'float' : 'double');
    await writeWhole(path, bytes);
    done(
      context,
      options,
      { name, version, file: path, trees, columns },
      `${trees} trees of ${name}@${version} written to ${path}: they answer ${treeTargetOf(file)} from ${columns.length} columns of a frame, named in the file`,
    );
    return;
  }
  await registry.export(model, path);
  done(context, options, { name, version, folder: path }, `${name}@${version} copied to ${path}`);
}

async function importModel(
  path: string,
  own: TreeImportOptions,
  options: CommonOptions,
  context: Context,
): Promise<void> {
  const registry = registryIn(options.models);
  const rootBefore = registry.root;
  const remark = (sentence: string): void => {
    if (options.quiet !== true) context.stderr.write(`movecast: ${sentence}\n`);
  };
  const there = await stat(path).catch((error: unknown) => {
    const sentence = `${systemErrorSentence(error, path)}; give a model's folder, or a file of trees`;
    throw new UserError('input-unreadable', sentence);
  });
  const imported: ImportedModel = there.isFile()
    ? await registerTrees(path, { ...own, quiet: options.quiet === true }, registry, context)
    : { model: await registerFolder(path, own, registry) };
  const { model, found, remarks, accuracy } = imported;
  sayIfBegun(registry, rootBefore, remark);
  remarks?.forEach(remark);
  const { name, version, folder } = model;
  const said = `registered ${name}@${version}; movecast models promote puts it in service`;
  done(
    context,
    options,
    { name, version, folder, remarks, accuracy },
    found === undefined ? said : `${said}\n${found}`,
  );
}

function print(context: Context, line: string): void {
  context.stdout.write(`${line}\n`);
}

function done(context: Context, options: CommonOptions, value: object, sentence: string): void {
  print(context, options.json === true ? JSON.stringify(value) : sentence);
}

const isFile = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isFile() === true;

/** Of trees also what is to be said of them, and how near they come (`found`, in words). */
interface ImportedModel extends Partial<Pick<ImportedTrees, 'remarks' | 'accuracy'>> {
  model: Omit<RegisteredModel, 'current'>;
  found?: string;
}

async function registerTrees(
  path: string,
  own: TreeImportOptions,
  registry: ModelRegistry,
  context: Context,
): Promise<ImportedModel> {
  const { file, card, metrics, remarks, accuracy } = await treesFromFile(path, own, context);
  const { name, version } = file;
  const { folder } = await registry.register(name, version, { model: file, card, metrics });
  const found =
    accuracy === undefined
      ? 'nothing is known of its errors yet: its intervals are wide'
      : `on ${accuracy.moves} of the rows: MAPE ${accuracy.mape.toFixed(1)} %, median ${accuracy.median_ape.toFixed(1)} %, 80 % interval holds ${accuracy.coverage_80.toFixed(1)} %, 90 % interval ${accuracy.coverage_90.toFixed(1)} %`;
  return { model: { name, version, folder }, found, remarks, accuracy };
}

/** A model as `models export` copies it. */
async function registerFolder(
  path: string,
  own: TreeImportOptions,
  registry: ModelRegistry,
): Promise<RegisteredModel> {
  refuseTreeOptions(own, path);
  if (!(await isFile(join(path, MODEL_FILE))))
    throw new UserError(
      'input-unreadable',
      `${path}: holds no ${MODEL_FILE}; give a model's folder, as movecast models export makes one`,
    );
  parseModelFile((await registry.read({ name: '', version: '', current: false, folder: path })).model);
  return registry.import(path, {
    ...(own.name === undefined ? {} : { name: own.name }),
    ...(own.as === undefined ? {} : { version: own.as }),
  });
}
