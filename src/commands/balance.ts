import { Command, InvalidArgumentError } from 'commander';
import { blindSearch, type SearchResult } from '../balancer/blind-search.js';
import type { Cluster } from '../balancer/cluster.js';
import { ganttSvg, ganttText } from '../balancer/gantt.js';
import { GroupModel, type GroupModelOptions } from '../balancer/group-model.js';
import { ShortNames } from '../balancer/hbal-report.js';
import { jobsetsOf } from '../balancer/jobsets.js';
import type { MoveCosts } from '../balancer/move-costs.js';
import { buildPlan, type BuiltPlan } from '../balancer/plan-builder.js';
import { PlanSearch, type FoundPlan } from '../balancer/plan-search.js';
import { defaultSearchOptions, type SearchOptions } from '../balancer/search-options.js';
import { playMoves } from '../balancer/timed-search.js';
import { UserError } from '../domain/errors.js';
import type { Plan } from '../domain/plan.js';
import type { ExecutionSettings } from '../execution/execution-settings.js';
import { verdictOn } from '../watch/worth.js';
import { refuseExecution, type ExecutionOptions } from './execution-options.js';
import { refuseInputAsOutput, writeWhole } from './output-file.js';
import { chooseGroup, fullNames, isRapiAddress, readCluster, refuseTwoSources } from './cluster-input.js';
import {
  modelSettings,
  rapiOptions,
  refuseSenselessLimits,
  withClusterOptions,
  type ClusterOptions,
} from './cluster-options.js';
import { withCommonOptions, type Context } from './context.js';
import { HbalOutput } from './hbal-output.js';
import { HbalCommand, refuseHbalOptions, withHbalOptions, type HbalOptions } from './hbal-options.js';
import { LearningCosts } from './learning-costs.js';
import { integer, list, notNegative, number, positive, quantileLevel } from './option-values.js';
import { StepPredictions } from './step-predictions.js';
import { printCommands } from './plan-commands.js';
import { paretoText, planText, type ParetoPoint } from './plan-text.js';
import { TimeLimit, duration } from './time-limit.js';

/** Columns of time in the chart that `-v` prints. */
const GANTT_COLUMNS = 72;

interface Options extends ExecutionOptions, ClusterOptions, HbalOptions {
  blind?: boolean;
  textData?: string;
  master?: string;
  costs?: string;
  model?: string;
  service?: string;
  seed: number;
  quantile: number;
  maxTime?: number;
  finishBy?: string;
  maxGainCost?: number;
  pareto?: boolean;
  effort: number;
  parallelPerNode: number;
  svg?: string;
  maxLength: number;
  minScore: number;
  minGain: number;
  minGainLimit: number;
  diskMoves: boolean;
  instanceMoves: boolean;
  evacMode?: boolean;
  restrictedMigration?: boolean;
  selectInstances?: string[];
  excludeInstances?: string[];
  printCommands?: string;
  printNodes?: string;
  printInstances?: boolean;
  save?: string;
  verbose: number;
}

export function balanceCommand(context: Context): Command {
  const command = new HbalCommand('balance')
    .argument('[cluster]', 'a Ganeti htools text file (as hscan and hbal -S write it), or a RAPI URL')
    .option('--blind', "hbal's own search: time plays no part, output and exit codes as hbal's")
    .option('-t, --text-data <file>', 'the cluster, in place of the argument, as in hbal')
    .option('-m, --master <url>', "the cluster from Ganeti's remote API, as in hbal")
    .option('--costs <file>', 'durations from constants in a JSON file instead of a model')
    .option('--service <url>', 'durations from a running service; its token from MOVECAST_TOKEN')
    .option(
      '--model <model>',
      "NAME, NAME@VERSION or a model's folder (default: default); it learns what the store holds since its training",
    )
    .option(
      '--quantile <q>',
      'which predicted duration the search counts with, 0.1 to 0.9',
      quantileLevel,
      0.5,
    )
    .option('--max-time <duration>', 'the best balance reachable in that time, such as 30m or 2h', duration)
    .option('--finish-by <time>', 'the same until a time of day (06:00) or an RFC 3339 time', String)
    .option('--max-gain-cost <score>', 'least score gain per hour of moving', notNegative)
    .option('--pareto', 'plans for several times: score against time, to choose from')
    .option('--effort <x>', 'search so many times as long as usual', positive, 1)
    .option(
      '--parallel-per-node <n>',
      'moves that a node takes part in at once (Ganeti runs one)',
      parallelMoves,
      1,
    )
    .option('--svg <file>', 'draw the schedule as an SVG picture')
    .option('--seed <n>', 'of the search, and of the simulation that gives p50 and p90', integer, 1)
    .option('-l, --max-length <n>', 'stop after so many moves', integer, defaultSearchOptions.maxLength)
    .option(
      '-e, --min-score <x>',
      'balanced within so much of the least',
      number,
      defaultSearchOptions.minScore,
    )
    .option('-g, --min-gain <x>', 'least gain of a move', number, defaultSearchOptions.minGain)
    .option('--min-gain-limit <x>', 'score below which -g counts', number, defaultSearchOptions.minGainLimit)
    .option('--no-disk-moves', 'only moves that copy no disks')
    .option('--no-instance-moves', 'only new secondaries')
    .option('-E, --evac-mode', 'only instances on offline nodes')
    .option('--restricted-migration', 'migrate only off offline nodes, but for plain failovers')
    .option('--select-instances <names>', 'move only these (comma list)', list)
    .option('--exclude-instances <names>', 'never move these (comma list)', list)
    .option('-C, --print-commands [file]', 'print the Ganeti commands, or write them as a script (-CFILE)')
    .option('-p, --print-nodes [fields]', 'print the nodes before and after (-pFIELDS, -p+FIELDS)')
    .option('--print-instances', 'print the instances before and after')
    .option('-S, --save <file>', 'write FILE.original and FILE.balanced')
    .option('--execute', 'carry the plan out through the remote API; asks before the first change')
    .option('--yes', 'with --execute: do not ask')
    .option(
      '--min-plan-gain <score>',
      'with --execute: least gain of a whole plan, the first and each new one',
      notNegative,
    )
    .option('--audit <file>', 'with --execute: the audit log (default: beside the store)')
    .option('--cluster <name>', 'name of the cluster in records, as in collect --cluster')
    .option('-v, --verbose', 'say more (repeatable)', (_value, before: number) => before + 1, 0);
  withClusterOptions(command);
  withHbalOptions(command);
  withCommonOptions(command, context, {
    store: true,
    models: true,
    examples: [
      'movecast balance cluster.data',
      'movecast balance cluster.data --no-disk-moves -C',
      'movecast balance -t cluster.data --blind -v -v -C',
      'movecast balance cluster.data --costs costs.json --json > plan.json',
      'movecast balance -m master --credentials rapi.user --ca rapi.pem --execute --max-time 2h',
    ],
  });
  return command.action((path: string | undefined, options: Options) => {
    refuseHbalOptions(command, options);
    return run(path, options, context);
  });
}

async function run(path: string | undefined, options: Options, context: Context): Promise<void> {
  refuseTwoSources({
    '--costs': options.costs,
    '--service': options.service,
    '--model': options.model,
  });
  const refused = options.blind === true ? 'hbal-refused' : 'usage';
  refuseTwoSources({ CLUSTER: path, '-t': options.textData, '-m': options.master }, refused);
  const file = path ?? options.textData ?? masterUrl(options.master);
  if (file === undefined)
    throw new UserError(refused, 'no cluster given; name a Ganeti htools text file, such as hscan writes');
  if (options.blind !== true) refuseSenseless(options);
  if (options.execute === true && options.parallelPerNode > 1)
    throw new UserError(
      'usage',
      "--parallel-per-node: Ganeti's locks let a node take part in one move at a time; leave it out with --execute",
    );
  refuseExecution(file, options, context);
  const read = [file, ...(options.costs === undefined ? [] : [options.costs])];
  await refuseInputAsOutput('--svg', options.svg, read);
  await refuseInputAsOutput('-C', options.printCommands || undefined, read);
  for (const ending of ['original', 'balanced'])
    await refuseInputAsOutput('-S', options.save && `${options.save}.${ending}`, read);
  try {
    await balance(file, options, context);
  } catch (error) {
    if (options.blind === true && error instanceof UserError && error.code !== 'usage')
      throw new UserError('hbal-refused', error.message, error.field); // hbal ends every refusal with 1
    throw error;
  }
}

/** Refuses values that hbal takes without a word, as `--blind` does, though they mean nothing. */
function refuseSenseless({ maxLength, ...options }: Options): void {
  refuseSenselessLimits(options);
  if (maxLength < -1)
    throw new UserError(
      'usage',
      `-l ${maxLength}: give a number of moves, 0 or more; -1 is for as many as gain`,
    );
}

/** hbal takes a bare host name as well. */
const masterUrl = (master: string | undefined): string | undefined =>
  master === undefined || isRapiAddress(master) ? master : `https://${master}`;

async function balance(file: string, options: Options, context: Context): Promise<void> {
  const blind = options.blind === true;
  const asHbal = blind && options.json !== true;
  const hbal = new HbalOutput(options, asHbal, context);
  const limit = new TimeLimit(options, context.now);
  const remark = (line: string): void => void (options.quiet !== true && context.stderr.write(`${line}\n`));

  const { cluster, remarks } = await readCluster(
    file,
    blind ? 'later-wins' : 'refuse',
    options.staticKvmNodeMemory,
    rapiOptions(options),
  );
  const settings = await modelSettings(cluster, options);
  const search = searchOptions(cluster, options);
  for (const line of remarks) remark(`movecast: ${line}`);
  if (!hbal.loaded(cluster)) return;
  await hbal.saved('before', cluster);
  const group = chooseGroup(cluster, options.group, { emptyAllowed: blind });
  const model = new GroupModel(cluster, { ...settings, group });
  const start = model.copy();
  const names = new ShortNames(model);
  hbal.chosen(model, cluster.groups[group]?.name ?? '', names);

  // Only then: hbal's own search asks nobody, and starts at once.
  const costs = asHbal
    ? undefined
    : await (await import('./cost-source.js')).moveCostsOf(options, cluster, context);
  hbal.tables('Initial', model, names);
  const plans = blind || costs === undefined ? undefined : await planSearch(start, search, costs, options);
  const found = plans && (await planInTime(plans, limit));
  const result: SearchResult =
    found === undefined ? blindSearch(model, search) : playMoves(model, found.moves, search.ignoreSoftErrors);
  const moves = result.steps.map(({ move }) => move);
  hbal.found(result, start, names, options.minScore);
  const hbalStops = asHbal && result.alreadyBalanced;
  if (!hbalStops) {
    await hbal.saved('after', model.currentGroup());
    hbal.tables('Final', model, names);
  }
  const built =
    costs &&
    (found?.built ??
      (await buildPlan(start, moves, costs, {
        seed: options.seed,
        ignoreSoftErrors: search.ignoreSoftErrors,
        parallelPerNode: search.parallelPerNode,
      })));
  if (built !== undefined) {
    for (const line of built.document.warnings ?? []) remark(`movecast: ${line}`);
    await printPlan(built.document, plans, options, context);
  }
  if (options.printCommands !== undefined && !hbalStops)
    await printCommands(
      options.printCommands,
      start,
      moves,
      jobsetsOf(moves),
      { json: options.json === true, names: blind ? names : undefined },
      context,
    );
  if (options.execute === true && built !== undefined && costs !== undefined)
    await execute(
      file,
      { start, built, costs },
      { settings, search, limit, group: cluster.groups[group]!.uuid, options, context, remark },
    );
}

/** The plan, its picture and its chart, and with `--pareto` plans for less time (of `plans`). */
async function printPlan(
  plan: Plan,
  plans: PlanSearch | undefined,
  options: Options,
  { stdout }: Context,
): Promise<void> {
  if (options.svg !== undefined) await writeWhole(options.svg, ganttSvg(plan));
  const pareto = options.pareto === true && plans !== undefined ? await paretoPlans(plans, plan) : undefined;
  if (options.json === true) {
    if (options.execute === true) return; // what is carried out is printed then
    stdout.write(`${JSON.stringify(pareto === undefined ? plan : { ...plan, pareto })}\n`);
    return;
  }
  stdout.write(planText(plan));
  if (options.verbose > 0) stdout.write(`\n${ganttText(plan, GANTT_COLUMNS, stdout.columns)}`);
  if (pareto !== undefined) stdout.write(`\n${paretoText(pareto)}`);
}

const planSearch = (
  start: GroupModel,
  search: SearchOptions,
  costs: MoveCosts,
  { seed, effort, quantile, maxGainCost }: Options,
): Promise<PlanSearch> => PlanSearch.ask(start, search, costs, { seed, effort, quantile, maxGainCost });

/** Carries the plan out, with new plans by the same search where the cluster leaves it. */
async function execute(
  source: string,
  { start, built, costs }: { start: GroupModel; built: BuiltPlan; costs: MoveCosts },
  {
    settings,
    search,
    limit,
    group,
    options,
    context,
    remark,
  }: {
    settings: Omit<GroupModelOptions, 'group'>;
    search: SearchOptions;
    limit: TimeLimit;
    group: string;
    options: Options;
    context: Context;
    remark: (line: string) => void;
  },
): Promise<void> {
  const maxSeconds = limit.secondsLeft();
  const learning = new LearningCosts(costs, context.now);
  const predictions = new StepPredictions(learning, context.now, remark);
  const { ignoreSoftErrors } = search;
  const { document: plan } = built;
  const unworthyOf = unworthiness(options);
  const unworthy = plan.moves.length === 0 ? undefined : unworthyOf(plan);
  if (unworthy !== undefined) throw new UserError('not-carried-out', `${unworthy}; nothing was changed`);
  await predictions.ask(start, built);
  const settingsOfExecution: ExecutionSettings = {
    modelOf: (cluster) => new GroupModel(cluster, { ...settings, group: chooseGroup(cluster, group) }),
    staticKvmNodeMemory: options.staticKvmNodeMemory,
    ignoreSoftErrors,
    unworthyOf,
    predictionOf: (step) => predictions.of(step),
    deadlineMs: maxSeconds === undefined ? undefined : context.now() + maxSeconds * 1000,
    replan: async ({ start: now, excluded, made, remainingSeconds, ...news }) => {
      learning.learn(news);
      const left = search.maxLength < 0 ? search.maxLength : Math.max(0, search.maxLength - made);
      const excludedNow = new Set([...search.excluded, ...excluded]);
      const stillOpen = { ...search, maxLength: left, excluded: excludedNow };
      const plans = await planSearch(now, stillOpen, learning, options);
      const { built: next } = await plans.plan(remainingSeconds);
      await predictions.ask(now, next);
      return next.document;
    },
  };
  const { executePlan } = await import('./balance-execution.js'); // only then: a plan alone is computed at once
  await executePlan(source, plan, settingsOfExecution, options, context);
}

/** Why a plan is not worth its moves, by `--min-plan-gain` and then `--max-gain-cost` too. */
function unworthiness({ minPlanGain, maxGainCost }: Options): (plan: Plan) => string | undefined {
  if (minPlanGain === undefined) return () => undefined;
  return ({ moves, ...plan }) => {
    const verdict = verdictOn(
      { ...plan, moves: moves.length },
      { minGain: minPlanGain, gainPerHour: maxGainCost },
    );
    return verdict.isWorth ? undefined : verdict.words;
  };
}

/** Shares of the whole plan's time for which `--pareto` shows the best score. */
const PARETO_SHARES = [0.05, 0.1, 0.2, 0.4, 0.7];

async function paretoPlans(plans: PlanSearch, whole: Plan): Promise<ParetoPoint[]> {
  const points: ParetoPoint[] = [];
  for (const part of whole.moves.length === 0 ? [] : PARETO_SHARES) {
    const { document } = (await plans.plan(part * whole.duration_seconds.p50)).built;
    if (document.moves.length > 0) points.push(pointOf(document));
  }
  points.push(pointOf(whole));
  return points;
}

const pointOf = ({ duration_seconds, score_after, bytes_mib, moves }: Plan): ParetoPoint => ({
  duration_seconds,
  score_after,
  bytes_mib,
  moves: moves.length,
});

/** A plan within the limit; searching takes time too, so that `--finish-by` may leave less of it than there was before. */
async function planInTime(plans: PlanSearch, limit: TimeLimit): Promise<FoundPlan> {
  const found = await plans.plan(limit.secondsLeft());
  const left = limit.secondsLeft();
  // What was searched for is there: the second time takes moments.
  return left !== undefined && found.built.document.duration_seconds.p50 > left ? plans.plan(left) : found;
}

function searchOptions(cluster: Cluster, options: Options): SearchOptions {
  const all = cluster.instances.map(({ name }) => name);
  return {
    maxLength: options.maxLength,
    minScore: options.minScore,
    minGain: options.minGain,
    minGainLimit: options.minGainLimit,
    diskMoves: options.diskMoves,
    instanceMoves: options.instanceMoves,
    evacuate: options.evacMode === true,
    restrictedMigration: options.restrictedMigration === true,
    ignoreSoftErrors: options.ignoreSoftErrors === true,
    parallelPerNode: options.parallelPerNode,
    selected:
      options.selectInstances === undefined ? undefined : fullNames(options.selectInstances, all, 'instance'),
    excluded: fullNames(options.excludeInstances ?? [], all, 'instance'),
  };
}

/** More at once than any network card shares well. */
const MOST_PARALLEL_MOVES = 100;

function parallelMoves(text: string): number {
  const value = integer(text);
  if (value < 1 || value > MOST_PARALLEL_MOVES)
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${MOST_PARALLEL_MOVES}.`);
  return value;
}
