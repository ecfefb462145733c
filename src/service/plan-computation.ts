import { commandLines, commandScript } from '../balancer/hbal-report.js';
import { GroupModel } from '../balancer/group-model.js';
import { parseHtoolsText } from '../balancer/htools-text.js';
import { jobsetsOf } from '../balancer/jobsets.js';
import type { MoveCosts } from '../balancer/move-costs.js';
import { PlanSearch } from '../balancer/plan-search.js';
import { defaultSearchOptions } from '../balancer/search-options.js';
import { UserError } from '../domain/errors.js';
import type { Plan } from '../domain/plan.js';

/** A plan asked for. */
export interface PlanRequest {
  /** Ganeti's htools text. */
  cluster: string;
  /** Name or uuid of the node group; not needed where only one has nodes. */
  group?: string | undefined;
  quantile?: number | undefined;
  max_moves?: number | undefined;
  max_seconds?: number | undefined;
  disk_moves?: boolean | undefined;
  pareto?: boolean | undefined;
  /** How long is searched, as a share of what `movecast balance` does. */
  effort?: number | undefined;
  seed?: number | undefined;
}

/** The best that was found within a time. */
export interface ParetoPoint {
  duration_seconds: Plan['duration_seconds'];
  score_after: number;
  moves: number;
}

export interface PlanAnswer extends Plan {
  pareto?: ParetoPoint[];
  /** A shell script with the Ganeti commands. */
  script: string;
}

/** Shares of the whole plan's time for which the best score is shown, too. */
const PARETO_SHARES = [0.1, 0.25, 0.5];
/** Somebody waits for the answer: a fifth of the search finds nearly the same. */
const DEFAULT_EFFORT = 0.2;
const DEFAULT_SEED = 1;
const DEFAULT_QUANTILE = 0.5;

/** Text of a cluster → a plan for time. Takes seconds of computing for large clusters: not for the event loop. */
export async function computePlan(request: PlanRequest, costs: MoveCosts): Promise<PlanAnswer> {
  const { cluster, remarks } = parseHtoolsText(request.cluster, { file: 'cluster', duplicates: 'refuse' });
  const used = new Set(cluster.nodes.map((node) => node.group));
  const filled = [...used].map((g) => cluster.groups[g]!);
  const group =
    request.group === undefined
      ? filled.length === 1
        ? filled[0]
        : undefined
      : filled.find(({ name, uuid }) => name === request.group || uuid === request.group);
  if (group === undefined)
    throw new UserError(
      'input-invalid',
      `choose one of the node groups that have nodes: ${filled.map(({ name }) => name).join(', ')}`,
      'group',
    );
  const model = new GroupModel(cluster, { group: cluster.groups.indexOf(group) });
  const search = {
    ...defaultSearchOptions,
    maxLength: request.max_moves ?? defaultSearchOptions.maxLength,
    diskMoves: request.disk_moves ?? defaultSearchOptions.diskMoves,
  };
  const plans = await PlanSearch.ask(model, search, costs, {
    seed: request.seed ?? DEFAULT_SEED,
    effort: request.effort ?? DEFAULT_EFFORT,
    quantile: request.quantile ?? DEFAULT_QUANTILE,
  });
  const { moves, built } = await plans.plan(request.max_seconds);
  const warnings = [...remarks, ...(built.document.warnings ?? [])];
  const document: Plan = { ...built.document, ...(warnings.length === 0 ? {} : { warnings }) };
  const script = commandScript(
    commandLines(model, moves, jobsetsOf(moves), { checks: true, names: undefined }),
  );
  if (request.pareto !== true || moves.length === 0) return { ...document, script };
  const pareto: ParetoPoint[] = [];
  for (const share of PARETO_SHARES) {
    const { built: within } = await plans.plan(share * document.duration_seconds.p50);
    if (within.moves.length > 0) pareto.push(pointOf(within.document));
  }
  pareto.push(pointOf(document));
  return { ...document, script, pareto: notDominated(pareto) };
}

/** Points, soonest first, without those that another reaches sooner with a score as good. */
function notDominated(points: readonly ParetoPoint[]): ParetoPoint[] {
  const kept: ParetoPoint[] = [];
  for (const point of points.toSorted((a, b) => a.duration_seconds.p50 - b.duration_seconds.p50))
    if (kept.length === 0 || point.score_after < kept.at(-1)!.score_after) kept.push(point);
  return kept;
}

const pointOf = ({ duration_seconds, score_after, moves }: Plan): ParetoPoint => ({
  duration_seconds,
  score_after,
  moves: moves.length,
});
