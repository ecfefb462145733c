import { Command } from 'commander';
import { parseModelFile } from '../predictor/model-file.js';
import { ModelRegistry } from '../store/model-registry.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';

/** `models`: the registry. */
export function modelsCommand(context: Context): Command {
  const command = withCommonOptions(new Command('models'), context, {
    models: true,
    examples: [
      'movecast models',
      'movecast models show default',
      'movecast models promote default 1-0123456789ab',
      'movecast models rollback default',
      'movecast models export default ./backup/default/v1',
    ],
  });
  const add = (name: string, summary: string, examples: readonly string[]): Command =>
    withCommonOptions(command.command(name, { isDefault: name === 'list' }).summary(summary), context, {
      models: true,
      examples,
    });

  add('list', 'every model and version; * is in service', ['movecast models list --json']).action(
    async (_own: unknown, self: Command) => {
      const options = self.optsWithGlobals<CommonOptions>();
      const models = await new ModelRegistry(options.models).list();
      if (options.json === true) {
        for (const model of models) print(JSON.stringify(model));
        return;
      }
      if (models.length === 0) print(`no models in ${options.models}; movecast train makes one`);
      for (const model of models) print(`${model.current ? '*' : ' '} ${model.name}@${model.version}`);
    },
  );

  add('show', "a model's card (--json: its metrics)", ['movecast models show default'])
    .argument('<model>', "NAME, NAME@VERSION or a model's folder")
    .action(async (reference: string, _own: unknown, self: Command) => {
      const options = self.optsWithGlobals<CommonOptions>();
      const registry = new ModelRegistry(options.models);
      const model = await registry.resolve(reference);
      const files = await registry.read(model);
      print(
        options.json === true ? JSON.stringify({ ...model, metrics: files.metrics }) : files.card.trimEnd(),
      );
    });

  add('promote', 'puts a version in service', ['movecast models promote default 1-0123456789ab'])
    .argument('<name>')
    .argument('<version>')
    .action(async (name: string, version: string, _own: unknown, self: Command) => {
      const options = self.optsWithGlobals<CommonOptions>();
      const registry = new ModelRegistry(options.models);
      const model = await registry.resolve(`${name}@${version}`);
      parseModelFile((await registry.read(model)).model); // what can not be loaded never goes into service
      await registry.promote(name, version);
      done(options, { name, version, current: true }, `${name}@${version} is in service`);
    });

  add('rollback', 'puts the version before back in service', ['movecast models rollback default'])
    .argument('<name>')
    .action(async (name: string, _own: unknown, self: Command) => {
      const options = self.optsWithGlobals<CommonOptions>();
      const model = await new ModelRegistry(options.models).rollback(name);
      done(
        options,
        { name, version: model.version, current: true },
        `${name}@${model.version} is in service again`,
      );
    });

  add('export', 'copies a model into a new folder', ['movecast models export default ./backup/default/v1'])
    .argument('<model>')
    .argument('<folder>', 'a folder that is not there yet')
    .action(async (reference: string, folder: string, _own: unknown, self: Command) => {
      const options = self.optsWithGlobals<CommonOptions>();
      const registry = new ModelRegistry(options.models);
      const model = await registry.resolve(reference);
      await registry.export(model, folder);
      done(
        options,
        { name: model.name, version: model.version, folder },
        `${model.name}@${model.version} copied to ${folder}`,
      );
    });

  add('import', 'registers the model in a folder', [
    'movecast models import ./backup/default/v1 --name site-b',
  ])
    .argument('<folder>')
    .option('--name <name>', "the model's name here")
    .option('--as <version>', 'the version here')
    .action(async (folder: string, own: { name?: string; as?: string }, self: Command) => {
      const options = self.optsWithGlobals<CommonOptions>();
      const registry = new ModelRegistry(options.models);
      parseModelFile((await registry.read({ name: '', version: '', current: false, folder })).model);
      const model = await registry.import(folder, {
        ...(own.name === undefined ? {} : { name: own.name }),
        ...(own.as === undefined ? {} : { version: own.as }),
      });
      done(
        options,
        { name: model.name, version: model.version, folder: model.folder },
        `registered ${model.name}@${model.version}; movecast models promote puts it in service`,
      );
    });

  function print(line: string): void {
    context.stdout.write(`${line}\n`);
  }
  function done(options: CommonOptions, value: object, sentence: string): void {
    print(options.json === true ? JSON.stringify(value) : sentence);
  }
  return command;
}
