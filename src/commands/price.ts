import { Command, InvalidArgumentError } from 'commander';
import { parseForeignPlan } from '../balancer/foreign-plan.js';
import { GroupModel } from '../balancer/group-model.js';
import { buildPlan } from '../balancer/plan-builder.js';
import { chooseGroup, readCluster, readTextFile } from './cluster-input.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { moveCostsOf, refuseTwoSources } from './cost-source.js';
import { planText } from './plan-text.js';

interface Options extends CommonOptions {
  costs?: string;
  model?: string;
  group?: string;
  seed: number;
}

export function priceCommand(context: Context): Command {
  const command = new Command('price')
    .argument('<cluster>', 'a Ganeti htools text file')
    .argument('<plan>', "hbal's printed solution, its -C commands, or a plan in JSON")
    .option('--costs <file>', 'durations from constants in a JSON file instead of a model')
    .option('--model <model>', "NAME, NAME@VERSION or a model's folder (default: default)")
    .option('-G, --group <group>', 'node group, by name or uuid')
    .option('--seed <n>', 'of the simulation that gives p50 and p90', wholeNumber, 1);
  withCommonOptions(command, context, {
    models: true,
    examples: ['hbal -t cluster.data -C > plan.txt; movecast price cluster.data plan.txt'],
  });
  return command.action((cluster: string, plan: string, options: Options) =>
    run(cluster, plan, options, context),
  );
}

async function run(clusterFile: string, planFile: string, options: Options, context: Context): Promise<void> {
  refuseTwoSources({ '--costs': options.costs, '--model': options.model });
  const { cluster, remarks } = await readCluster(clusterFile, 'later-wins');
  const model = new GroupModel(cluster, { group: chooseGroup(cluster, options.group) });
  const moves = parseForeignPlan(await readTextFile(planFile), model, planFile);
  const { document } = await buildPlan(model, moves, await moveCostsOf(options, context), {
    seed: options.seed,
  });
  for (const line of [...remarks, ...(document.warnings ?? [])])
    if (options.quiet !== true) context.stderr.write(`movecast: ${line}\n`);
  context.stdout.write(options.json === true ? `${JSON.stringify(document)}\n` : planText(document));
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('It must be a whole number.');
  return value;
}
