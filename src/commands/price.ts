import { Command, InvalidArgumentError } from 'commander';
import { parseForeignPlan } from '../balancer/foreign-plan.js';
import { GroupModel } from '../balancer/group-model.js';
import { jobsetsOf } from '../balancer/jobsets.js';
import type { MoveCosts } from '../balancer/move-costs.js';
import { MovePrices } from '../balancer/move-prices.js';
import type { Move } from '../balancer/moves.js';
import { buildPlan } from '../balancer/plan-builder.js';
import { playJobsets } from '../balancer/schedule.js';
import { defaultSearchOptions } from '../balancer/search-options.js';
import { askStepTimes, moveSeconds } from '../balancer/step-times.js';
import { reorderMoves } from '../balancer/timed-search.js';
import { chooseGroup, readCluster, refuseTwoSources } from './cluster-input.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { moveCostsOf } from './cost-source.js';
import { durationText, planText } from './plan-text.js';
import { readTextFile } from './file-input.js';

interface Options extends CommonOptions {
  costs?: string;
  model?: string;
  service?: string;
  group?: string;
  seed: number;
  keepOrder?: boolean;
}

export function priceCommand(context: Context): Command {
  const command = new Command('price')
    .argument('<cluster>', 'a Ganeti htools text file')
    .argument('<plan>', "hbal's printed solution, its -C commands, or a plan in JSON")
    .option('--costs <file>', 'durations from constants in a JSON file instead of a model')
    .option('--service <url>', 'durations from a running service; its token from MOVECAST_TOKEN')
    .option('--model <model>', "NAME, NAME@VERSION or a model's folder (default: default)")
    .option('-G, --group <group>', 'node group, by name or uuid')
    .option('--keep-order', 'price the moves in the order given, rather than in a better one')
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
  refuseTwoSources({
    '--costs': options.costs,
    '--service': options.service,
    '--model': options.model,
  });
  const { cluster, remarks } = await readCluster(clusterFile, 'later-wins');
  const model = new GroupModel(cluster, { group: chooseGroup(cluster, options.group) });
  const given = parseForeignPlan(await readTextFile(planFile), model, planFile);
  const costs = await moveCostsOf(options, context);
  const prices = await MovePrices.ask(model, costs, 0.5);
  const moves = options.keepOrder === true ? given : reorderMoves(model, given, prices, defaultSearchOptions);
  const { document } = await buildPlan(model, moves, costs, { seed: options.seed });
  const asGiven = await jobsetSeconds(model, given, costs);
  for (const line of [...remarks, ...(document.warnings ?? [])])
    if (options.quiet !== true) context.stderr.write(`movecast: ${line}\n`);
  if (options.json === true) {
    context.stdout.write(`${JSON.stringify({ ...document, jobsets_seconds: asGiven })}\n`);
    return;
  }
  context.stdout.write(planText(document));
  context.stdout.write(
    `As given, job set after job set, the moves would take ${durationText(asGiven)} (p50).\n`,
  );
}

/** What the moves take as hbal runs them: set after set, each as long as its slowest move. p50, seconds. */
async function jobsetSeconds(model: GroupModel, moves: readonly Move[], costs: MoveCosts): Promise<number> {
  const times = await askStepTimes(model, moves, costs);
  return playJobsets(jobsetsOf(moves), moveSeconds(times, times.p50));
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('It must be a whole number.');
  return value;
}
