import { UserError } from '../domain/errors.js';
import type { Plan } from '../domain/plan.js';
import { earlyReleases } from './early-release.js';
import type { GroupModel } from './group-model.js';
import { jobsetsOf, setBefore } from './jobsets.js';
import { inOrder } from './list-schedule.js';
import type { MoveCosts } from './move-costs.js';
import { MoveTrial } from './move-trial.js';
import { moveCommands, moveLetters, type Move } from './moves.js';
import { simulateSchedule, type SimulatedTimes } from './plan-simulation.js';
import { seededRandom } from './random.js';
import { movesBefore, movesEndedBefore } from './schedule.js';
import { METRIC_COUNT, METRICS, ScoreBoard } from './score.js';
import { askStepTimes, copiedMib, moveSeconds, type StepTimes } from './step-times.js';

/** Everything about a plan: the contract's document and the numbers it was made from. */
export interface BuiltPlan {
  document: Plan;
  moves: readonly Move[];
  before: number[][];
  times: StepTimes;
  simulated: SimulatedTimes;
}

export interface PlanBuilderOptions {
  ignoreSoftErrors?: boolean;
  /** Moves that a node takes part in at once. */
  parallelPerNode?: number | undefined;
  seed?: number;
  /** Sentences to add to the plan's own. */
  warnings?: readonly string[];
}

/** Draws of a schedule: enough for a p90 that is steady to about 1 %, fewer for very long plans. */
const DRAWS = 1000;
const MOST_DRAWN_MOVES = 400_000;

const drawsFor = (moves: readonly Move[]): number =>
  Math.max(100, Math.min(DRAWS, Math.floor(MOST_DRAWN_MOVES / Math.max(1, moves.length))));

const roundTo = (value: number, digits: number): number => Number(value.toFixed(digits));
const seconds = (value: number): number => roundTo(value, 3);
/** Not earlier than what was drawn: many plays may end at that very moment. */
const promised = (value: number): number => Math.ceil(value * 1000) / 1000;

/**
 * Moves in the order in which they are to be made, from the placement of `model` (which is left as it is) → a plan
 * with predicted times. A move that breaks a hard rule on the way is named in a warning.
 */
export async function buildPlan(
  model: GroupModel,
  given: readonly Move[],
  costs: MoveCosts,
  { ignoreSoftErrors = false, parallelPerNode = 1, seed = 1, warnings = [] }: PlanBuilderOptions = {},
): Promise<BuiltPlan> {
  const board = new ScoreBoard(model.copy());
  refuseNoScore(board);
  let moves = given;
  let times = await askStepTimes(model, moves, costs, parallelPerNode - 1);
  // With several moves at once on a node every node stays with a move to its end.
  const releases = parallelPerNode > 1 ? undefined : earlyReleases(model, moves);
  let before = movesBefore(moves, releases);
  if (parallelPerNode > 1) {
    const each = moveSeconds(times, times.p50);
    const timed = given.map((move, m) => ({ move, seconds: each[m]! }));
    const order = inOrder(model, timed, { ignoreSoftErrors, parallelPerNode });
    // Where a check never holds while others run, the moves keep their order, one at a time on each node.
    if (order.stuck.length === 0) {
      moves = order.moves;
      times = await askStepTimes(model, moves, costs, parallelPerNode - 1);
      before = movesEndedBefore(moves, order.starts, order.ends);
    }
  }
  const errors = await costs.pastErrors?.();
  const simulated = simulateSchedule(before, times, {
    draws: drawsFor(moves),
    errors,
    random: seededRandom(seed),
    releases,
  });
  const nameOf = (node: number): string => model.nodes[node]!.name;
  const placement = (primary: number, secondary: number): { primary: string; secondary?: string } =>
    secondary < 0 ? { primary: nameOf(primary) } : { primary: nameOf(primary), secondary: nameOf(secondary) };

  const trial = new MoveTrial(board, { ignoreSoftErrors });
  const scoreBefore = board.score;
  const said: string[] = [...warnings];
  if (model.nodeCount > 0 && model.onlineCount === 0)
    said.push('every node of the group is offline: no instance can be moved');
  let mib = 0;
  const planMoves: Plan['moves'] = moves.map((move, m) => {
    const { name } = model.instances[move.instance]!;
    trial.begin(move.instance);
    if (!trial.insist(move.kind, move.target))
      said.push(`move ${m} (${name}) breaks a hard rule where it stands in the plan`);
    trial.commit();
    const steps = [];
    for (let j = times.firstStep[m]!; j < times.firstStep[m + 1]!; j++) {
      const step = times.steps[j]!;
      mib += copiedMib(model, move.instance, step);
      steps.push({
        operation: step.operation,
        source_node: nameOf(step.source),
        target_node: nameOf(step.target),
        duration_seconds: {
          p10: seconds(times.p10[j]!),
          p50: seconds(times.p50[j]!),
          p90: seconds(times.p90[j]!),
        },
      });
    }
    return {
      index: m,
      instance: name,
      letters: moveLetters(move, nameOf),
      from: placement(move.fromPrimary, move.fromSecondary),
      to: placement(move.toPrimary, move.toSecondary),
      after: before[m]!,
      ...(releases === undefined || releases.node[m]! < 0
        ? {}
        : { releases_early: nameOf(releases.node[m]!) }),
      start_seconds: seconds(simulated.startP50[m]!),
      end_seconds: { p50: seconds(simulated.endP50[m]!), p90: promised(simulated.endP90[m]!) },
      score_after: board.score,
      steps,
      commands: moveCommands(model, move),
    };
  });
  said.push(...costs.warnings());
  const document: Plan = {
    score_before: scoreBefore,
    score_after: board.score,
    duration_seconds: { p50: seconds(simulated.doneP50), p90: promised(simulated.doneP90) },
    bytes_mib: mib,
    moves: planMoves,
    jobsets: jobsetsOf(moves),
    ...(costs.model === undefined ? {} : { model: costs.model }),
    ...(errors === undefined ? {} : { past_moves: errors.hours.flat(2).length }),
    ...(said.length === 0 ? {} : { warnings: said }),
  };
  return { document, moves, before, times, simulated };
}

/** Refuses a group whose score is no number, so that no placement is better than another, with the node at fault. */
function refuseNoScore({ model, score, values }: ScoreBoard): void {
  if (Number.isFinite(score)) return;
  const at = values.findIndex((value, v) => !Number.isFinite(value) && model.online[nodeOf(v)] === 1);
  const node =
    at < 0 ? '' : `; node ${model.nodes[nodeOf(at)]!.name} gives no ${METRICS[at % METRIC_COUNT]!.name}`;
  throw new UserError(
    'input-invalid',
    `the score is no number${node}: look at its memory, disk, CPUs, spindles and loads`,
  );
}

/** The node of one of a board's values. */
const nodeOf = (value: number): number => Math.floor(value / METRIC_COUNT);

/**
 * How long the moves take as hbal runs them: job set after job set, each as long as its slowest move. Drawn as the times
 * of a plan are, so that the two can be compared. Seconds.
 */
export async function jobsetDuration(
  model: GroupModel,
  moves: readonly Move[],
  costs: MoveCosts,
  seed = 1,
): Promise<Plan['duration_seconds']> {
  const { doneP50, doneP90 } = simulateSchedule(
    setBefore(jobsetsOf(moves), moves.length),
    await askStepTimes(model, moves, costs),
    { draws: drawsFor(moves), errors: await costs.pastErrors?.(), random: seededRandom(seed) },
  );
  return { p50: seconds(doneP50), p90: promised(doneP90) };
}
