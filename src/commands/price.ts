import type { Command } from 'commander';
import { parseForeignPlan } from '../balancer/foreign-plan.js';
import { ganttSvg } from '../balancer/gantt.js';
import { GroupModel } from '../balancer/group-model.js';
import { jobsetsAsGiven } from '../balancer/jobsets.js';
import { MovePrices } from '../balancer/move-prices.js';
import { buildPlan, jobsetDuration } from '../balancer/plan-builder.js';
import { defaultSearchOptions } from '../balancer/search-options.js';
import { reorderMoves } from '../balancer/timed-search.js';
import { chooseGroup, readCluster, refuseTwoSources } from './cluster-input.js';
import {
  modelSettings,
  rapiOptions,
  refuseSenselessLimits,
  withClusterOptions,
  type ClusterOptions,
} from './cluster-options.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { moveCostsOf } from './cost-source.js';
import { readTextFile } from './file-input.js';
import { GetoptCommand } from './hbal-options.js';
import { integer } from './option-values.js';
import { refuseInputAsOutput, writeWhole } from './output-file.js';
import { printCommands } from './plan-commands.js';
import { durationText, planText } from './plan-text.js';

interface Options extends CommonOptions, ClusterOptions {
  costs?: string;
  model?: string;
  service?: string;
  cluster?: string;
  seed: number;
  keepOrder?: boolean;
  printCommands?: string;
  svg?: string;
}

export function priceCommand(context: Context): Command {
  const command = new GetoptCommand('price')
    .argument('<cluster>', 'a Ganeti htools text file, or a RAPI URL')
    .argument('<plan>', "hbal's printed solution, its -C commands, or a plan in JSON")
    .option('--costs <file>', 'durations from constants in a JSON file instead of a model')
    .option('--service <url>', 'durations from a running service; its token from MOVECAST_TOKEN')
    .option(
      '--model <model>',
      "NAME, NAME@VERSION or a model's folder (default: default); it learns what the store holds since its training",
    )
    .option('--cluster <name>', 'name of the cluster in records, as in collect --cluster')
    .option('--keep-order', 'price the moves in the order given, rather than in a better one')
    .option('-C, --print-commands [file]', 'print the Ganeti commands, or write them as a script (-CFILE)')
    .option('--svg <file>', 'draw the schedule as an SVG picture')
    .option('--seed <n>', 'of the simulation that gives p50 and p90', integer, 1);
  withClusterOptions(command);
  withCommonOptions(command, context, {
    store: true,
    models: true,
    examples: [
      'hbal -t cluster.data -C > plan.txt; movecast price cluster.data plan.txt',
      'hbal -t cluster.data -O node3 -C > plan.txt; movecast price cluster.data plan.txt -O node3',
    ],
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
  refuseSenselessLimits(options);
  const read = [clusterFile, planFile, ...(options.costs === undefined ? [] : [options.costs])];
  await refuseInputAsOutput('--svg', options.svg, read);
  await refuseInputAsOutput('-C', options.printCommands || undefined, read);
  const { cluster, remarks } = await readCluster(
    clusterFile,
    'later-wins',
    options.staticKvmNodeMemory,
    rapiOptions(options),
  );
  const settings = await modelSettings(cluster, options);
  const model = new GroupModel(cluster, { ...settings, group: chooseGroup(cluster, options.group) });
  const given = parseForeignPlan(await readTextFile(planFile), model, planFile);
  const costs = await moveCostsOf(options, cluster, context);
  const prices = await MovePrices.ask(model, costs, 0.5);
  const ignoreSoftErrors = options.ignoreSoftErrors === true;
  const search = { ...defaultSearchOptions, ignoreSoftErrors };
  const moves = options.keepOrder === true ? given : reorderMoves(model, given, prices, search);
  const built = await buildPlan(model, moves, costs, { seed: options.seed, ignoreSoftErrors });
  const asGiven = await jobsetDuration(model, given, costs, options.seed);
  const inOrder = await jobsetDuration(model, moves, costs, options.seed);
  // Sets each wait for their slowest move: what is sooner move by move can be later set after set.
  const staysGrouped = inOrder.p50 > asGiven.p50;
  const jobsets = staysGrouped ? jobsetsAsGiven(given, moves) : built.document.jobsets;
  const document = { ...built.document, jobsets };
  for (const line of [...remarks, ...(document.warnings ?? [])])
    if (options.quiet !== true) context.stderr.write(`movecast: ${line}\n`);
  if (options.svg !== undefined) await writeWhole(options.svg, ganttSvg(document));
  const json = options.json === true;
  context.stdout.write(
    json
      ? `${JSON.stringify({ ...document, jobsets_seconds: asGiven.p50, jobsets_p90_seconds: asGiven.p90 })}\n`
      : `${planText(document)}As given, job set after job set, done in ${durationText(asGiven.p50)} (nine times of ten in ${durationText(asGiven.p90)}).\n`,
  );
  if (staysGrouped && !json)
    context.stdout.write(
      `The job sets stay as given: those of the order above take no less, ${durationText(inOrder.p50)}.\n`,
    );
  if (options.printCommands !== undefined)
    await printCommands(options.printCommands, model, moves, jobsets, { json }, context);
}
