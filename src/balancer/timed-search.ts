import { blindSearch, countCandidates, type SearchResult } from './blind-search.js';
import { mayFailOver, movableInstances, possibleKinds } from './candidates.js';
import { MIRROR_SETUP_SECONDS, earlyReleases, failsOverFirst, releasedNode } from './early-release.js';
import type { GroupModel } from './group-model.js';
import { bestOrder, inOrder, type Order, type TimedMove } from './list-schedule.js';
import { refineOrder } from './order-refinement.js';
import type { MovePrices } from './move-prices.js';
import { MoveBound } from './move-bound.js';
import { MoveTrial } from './move-trial.js';
import { FAILOVER, FAILOVER_TO_ANY, moveFrom, type Move, type MoveKind } from './moves.js';
import { PlacementSearch, type ChosenMove } from './placement-search.js';
import { seededRandom } from './random.js';
import { movesBefore, playOrder } from './schedule.js';
import { ScoreBoard } from './score.js';
import type { SearchOptions } from './search-options.js';

export interface TimedSettings {
  seed: number;
  /** A plan to be no worse than; undefined: hbal's own, where that can be found out soon enough. */
  reference?: readonly Move[];
  /** Multiplies how long is searched; 1 is usual. */
  effort?: number;
}

export interface TimedResult {
  moves: Move[];
  scoreBefore: number;
  scoreAfter: number;
  /** Score that was to be reached, where there was one. */
  targetScore: number | undefined;
  /** Predicted seconds until the last move ends, at the quantile of the prices. */
  seconds: number;
  /** Sentences for the plan's warnings. */
  remarks: string[];
}

/**
 * Candidates that hbal's search may look at for the score to reach: half a minute to a minute of computing at most,
 * enough for a group of 150 nodes and 1,500 instances.
 */
const MOST_BLIND_CANDIDATES = 600_000_000;
/** Share of them that are looked at where a plan is wanted soon. */
const LEAST_BLIND_SHARE = 0.25;
/** Steps that hbal takes per movable instance, from its runs on clusters of 20 to 100 nodes: 0.2 to 0.3. */
const STEPS_PER_INSTANCE = 0.25;
/** Candidates that may be looked at to reach the score after an annealing run that nearly did: some seconds at most. */
const MOST_FINISH_CANDIDATES = 8_000_000;
/** Proposals of one annealing run: per movable instance, at least and at most. */
const PROPOSALS_PER_INSTANCE = 2000;
const LEAST_PROPOSALS = 400_000;
const MOST_PROPOSALS = 600_000;
interface Round {
  /** Temperatures at the start and at the end. */
  hottest: number;
  coldest: number;
  busyPower: number;
  /** How many times the usual proposals. */
  part: number;
}

/**
 * Annealing runs towards a score: one long one from nothing, then colder ones from the best moves so far, nearer to the
 * busiest node. Temperatures are shares of the present time, to be divided by the nodes: the more of them, the less one
 * change does.
 */
const ROUNDS: readonly Round[] = [
  { hottest: 0.4, coldest: 6e-3, busyPower: 8, part: 5 },
  { hottest: 0.1, coldest: 4e-3, busyPower: 8, part: 2 },
  { hottest: 0.03, coldest: 3e-3, busyPower: 16, part: 1.5 },
  { hottest: 0.01, coldest: 2e-3, busyPower: 32, part: 1 },
];
/** A run from the moves that could be ordered, with those that could not left out. */
const REPAIR: Round = { hottest: 0.01, coldest: 4e-3, busyPower: 16, part: 0.3 };
const REPAIRS = 3;
/** The one run where the score is to be as low as it goes; its temperatures are in units of the energy, to be divided by the nodes. */
const OPEN_ROUNDS: readonly Round[] = [{ hottest: 6, coldest: 0.01, busyPower: 8, part: 1 }];
/** Energy of missing the whole gain, where one unit is the time to beat: where a search towards a score begins. */
const SCORE_PENALTY = 60;
/** The same where the score alone counts. */
const OPEN_SCORE_PENALTY = 30;
/** Orders draw from a stream of their own, so that the search does not hang on how many were tried. */
const ORDER_SEED = 1;
/** Orders that are tried for the moves of a run, fewer for very many moves. */
const ORDERS = 120;
const MOST_ORDERED_MOVES = 12_000;
/** Changes of the final order that are tried, fewer for very many moves: some seconds at most. */
const REFINEMENTS = 3000;
const MOST_REFINED_MOVES = 450_000;
/** Moves of a plan where no other limit is given: a larger group is balanced in several plans. */
export const MOST_MOVES = 2000;

/**
 * A plan for time: which instances to move where, and in which order, so that the score is no worse than hbal's and the
 * last move ends as early as may be. `start` is left as it is.
 */
export function timedSearch(
  start: GroupModel,
  options: SearchOptions,
  prices: MovePrices,
  settings: TimedSettings,
): TimedResult {
  const { seed, effort = 1 } = settings;
  const random = seededRandom(seed);
  const scoreBefore = new ScoreBoard(start).score;
  const nothing = noMoves(scoreBefore);
  const result = (plan: TimedPlan, target: number | undefined, remarks: string[] = []): TimedResult => ({
    moves: plan.moves,
    scoreBefore,
    scoreAfter: plan.score,
    targetScore: target,
    seconds: plan.seconds,
    remarks,
  });
  const movable = movableInstances(start, options);
  const balanced = !(scoreBefore - start.optimum >= options.minScore);
  if (balanced || movable.length === 0 || options.maxLength === 0) return result(nothing, undefined);

  const reference = settings.reference ?? hbalsMoves(start, options, effort);
  const known =
    reference === undefined
      ? undefined
      : reorder(start, replay(start, reference, prices, options), prices, options, effort);
  const target = known?.score;
  if (known?.moves.length === 0) return result(nothing, target);

  const search = new PlacementSearch(start, options, prices);
  const proposals = proposalsFor(movable, effort);
  const scoreScale = Math.max(1e-9, scoreBefore - (target ?? start.optimum));
  const mostMoves = options.maxLength > 0 ? options.maxLength : MOST_MOVES;
  let best = known;
  let bestChosen: readonly ChosenMove[] = [];
  const usual = known?.seconds ?? busiestOfAll(start, movable, prices);
  let scorePenalty = target === undefined ? OPEN_SCORE_PENALTY : SCORE_PENALTY;
  const anneal = (
    { hottest, coldest, busyPower, part }: Round,
    from: readonly ChosenMove[],
    fixed?: ReadonlySet<number>,
  ): ChosenMove[][] => {
    const perNode = Math.max(1, start.onlineCount);
    const found = search.run(
      { targetScore: target ?? -Infinity, busySeconds: Infinity, gainPerHour: 0 },
      {
        proposals: Math.floor(part * proposals),
        random,
        from,
        ...(fixed === undefined ? {} : { fixed }),
        hottest: hottest / perNode,
        coldest: coldest / perNode,
        busyPower,
        timeScale: Math.max(1e-9, Math.min(usual, best?.seconds ?? Infinity)),
        scoreScale,
        scorePenalty,
        mostMoves,
      },
    );
    scorePenalty = found.scorePenalty;
    return found.states;
  };
  /** Chosen moves as a plan; what no order allows is left out and made up for. */
  const planOf = (state: readonly ChosenMove[]): { plan: TimedPlan; chosen: readonly ChosenMove[] } => {
    // An open search may be of very many moves: one order is enough to see which of them cannot be made.
    const firstEffort = target === undefined ? 0 : effort;
    let chosen = state;
    let order = orderChosen(start, options, prices, chosen, firstEffort);
    const fixed = new Set<number>();
    // Moves that wait for each other in a circle: the others, and some more, have to do.
    for (let repair = 0; repair < REPAIRS && order.stuck.length > 0; repair++) {
      for (const c of order.stuck) fixed.add(chosen[c]!.instance);
      const free = chosen.filter(({ instance }) => !fixed.has(instance));
      chosen = anneal(REPAIR, free, fixed)[0]!;
      order = orderChosen(start, options, prices, chosen, firstEffort);
    }
    if (target === undefined) order = orderChosen(start, options, prices, chosen, effort);
    const ordered = replay(start, order.moves, prices, options);
    return { plan: finish(start, options, prices, ordered, { target, mostMoves }), chosen };
  };
  for (const round of target === undefined ? OPEN_ROUNDS : ROUNDS) {
    for (const state of anneal(round, bestChosen)) {
      const { plan, chosen } = planOf(state);
      if (best !== undefined && !isBetter(plan, best, target)) continue;
      best = plan;
      bestChosen = chosen;
    }
  }
  const remarks =
    target !== undefined && best!.score > target + SAME_SCORE
      ? [
          `no way was found to the score ${target.toFixed(8)} within the rules; the plan ends at ${best!.score.toFixed(8)}`,
        ]
      : [];
  const plan = target === undefined ? best! : refine(start, best!, prices, options, effort);
  return result(plan, target, remarks);
}

/** Scores nearer than this are the same to the 8 decimals that hbal prints. */
const SAME_SCORE = 5e-9;

/** Moves in their order, with what comes of them. */
export interface TimedPlan {
  moves: Move[];
  seconds: number;
  /** Of all moves together. */
  movingSeconds: number;
  score: number;
}

export const noMoves = (score: number): TimedPlan => ({ moves: [], seconds: 0, movingSeconds: 0, score });

/** Proposals of one usual annealing run. */
export const proposalsFor = (movable: readonly number[], effort: number): number =>
  effort * Math.min(MOST_PROPOSALS, Math.max(LEAST_PROPOSALS, PROPOSALS_PER_INSTANCE * movable.length));

function isBetter(a: TimedPlan, b: TimedPlan, target: number | undefined): boolean {
  if (target === undefined) return a.score < b.score;
  const aReaches = a.score <= target + SAME_SCORE;
  const bReaches = b.score <= target + SAME_SCORE;
  if (aReaches !== bReaches) return aReaches;
  if (!aReaches) return a.score < b.score;
  return a.seconds < b.seconds || (a.seconds === b.seconds && a.movingSeconds < b.movingSeconds);
}

const ordersToTry = (moves: number, effort: number): number =>
  Math.max(1, Math.floor(Math.min(1, effort) * Math.min(ORDERS, MOST_ORDERED_MOVES / Math.max(1, moves))));

/** Chosen moves in the best order that is found. */
export function orderChosen(
  start: GroupModel,
  { ignoreSoftErrors, parallelPerNode }: SearchOptions,
  prices: MovePrices,
  chosen: readonly ChosenMove[],
  effort: number,
): Order {
  const timed = chosen.map(({ instance, kind, target, seconds }) =>
    timedMove(start, prices, moveFrom(start, instance, kind, target), seconds),
  );
  return bestOrder(start, timed, {
    tries: ordersToTry(chosen.length, effort),
    random: seededRandom(ORDER_SEED),
    ignoreSoftErrors,
    parallelPerNode,
  });
}

/** Adds the moves with the best gain per time to a plan until its target is reached or no move helps. */
function finish(
  start: GroupModel,
  options: SearchOptions,
  prices: MovePrices,
  plan: TimedPlan,
  { target, mostMoves }: { target: number | undefined; mostMoves: number },
): TimedPlan {
  if (target === undefined || plan.score <= target) return plan;
  return addMoves(start, options, prices, plan, { mostMoves, isWanted: (score) => score > target });
}

/** Which moves are added to a plan. */
export interface AdditionRules {
  /** Of the whole plan. */
  mostMoves: number;
  /** That may be looked at. Undefined: some seconds' worth. */
  mostCandidates?: number | undefined;
  /** True while a score is not good enough. */
  isWanted: (score: number) => boolean;
  /** False for what may not be made next from the placement that is reached. Undefined: anything may. */
  mayFollow?: (model: GroupModel, instance: number, kind: MoveKind, target: number) => boolean;
  /** False for what gains too little. Undefined: any gain will do. */
  isWorth?: (gain: number, seconds: number, score: number) => boolean;
  /** Told of each move that is added. */
  onAdded?: (move: Move, seconds: number) => void;
}

/** Adds the moves with the best gain per time to a plan until its score is good enough or no move helps. */
export function addMoves(
  start: GroupModel,
  options: SearchOptions,
  prices: MovePrices,
  plan: TimedPlan,
  rules: AdditionRules,
): TimedPlan {
  const model = start.copy();
  const board = new ScoreBoard(model);
  const trial = new MoveTrial(board, options);
  const bound = new MoveBound(board, trial);
  for (const move of plan.moves) make(trial, move);
  board.refresh();
  const moves = [...plan.moves];
  const step = (): boolean => {
    const found = bestGain(model, board, trial, bound, options, prices, rules);
    if (found === undefined) return false;
    trial.begin(found.instance);
    trial.allows(found.kind, found.target);
    const move = trial.commit();
    moves.push(move);
    rules.onAdded?.(move, found.seconds);
    return true;
  };
  // A plan that is far from its target is given up: another run, or hbal's own moves, will do.
  const { mostCandidates = MOST_FINISH_CANDIDATES } = rules;
  const mostSteps = Math.floor(mostCandidates / countCandidates(start, options));
  const most = Math.min(rules.mostMoves, plan.moves.length + mostSteps);
  while (rules.isWanted(board.score) && moves.length < most && step()) continue;
  return moves.length === plan.moves.length ? plan : replay(start, moves, prices, options);
}

/** Gains are divided by seconds to this power: 1 would never touch a long move, 0 is hbal. */
const TIME_POWER = 0.5;
/** A gain below this is rounding. */
export const LEAST_GAIN = 1e-7;

function bestGain(
  model: GroupModel,
  board: ScoreBoard,
  trial: MoveTrial,
  bound: MoveBound,
  options: SearchOptions,
  prices: MovePrices,
  { mayFollow, isWorth }: AdditionRules,
): ChosenMove | undefined {
  const present = board.score;
  let most = 0;
  let found: ChosenMove | undefined;
  let bounded = -1;
  const consider = (instance: number, kind: MoveKind, target: number): void => {
    const seconds = prices.typical(instance, kind, target);
    const power = seconds ** TIME_POWER;
    const leastGain = Math.max(LEAST_GAIN, most * power);
    if (instance !== bounded) bound.begin(instance);
    bounded = instance;
    if (bound.least(kind, target, present - leastGain) > present - leastGain) return;
    if (mayFollow?.(model, instance, kind, target) === false || !trial.allows(kind, target)) return;
    const gain = present - trial.approximateScore(present - leastGain);
    if (!(gain >= LEAST_GAIN) || isWorth?.(gain, seconds, present) === false) return;
    const worth = gain / power;
    if (worth > most) {
      most = worth;
      found = { instance, kind, target, seconds };
    }
  };
  forEachCandidate(model, trial, options, consider);
  return found;
}

/** Every move that the options offer from a placement; the trial has begun with its instance. */
export function forEachCandidate(
  model: GroupModel,
  trial: MoveTrial,
  options: SearchOptions,
  consider: (instance: number, kind: MoveKind, target: number) => void,
): void {
  for (const i of movableInstances(model, options)) {
    trial.begin(i);
    if (mayFailOver(model, i, options)) consider(i, FAILOVER, -1);
    const kinds = possibleKinds(model, i, options);
    if (kinds.length === 0) continue;
    for (let x = 0; x < model.nodeCount; x++) {
      if (x === model.primary[i] || x === model.secondary[i] || model.online[x] === 0) continue;
      for (let k = 0; k < kinds.length; k++) consider(i, kinds[k]!, x);
    }
  }
}

/** What hbal would do, or undefined when finding that out takes too long. */
function hbalsMoves(start: GroupModel, options: SearchOptions, effort: number): Move[] | undefined {
  const usual = STEPS_PER_INSTANCE * movableInstances(start, options).length;
  const expected = options.maxLength > 0 ? Math.min(usual, options.maxLength) : usual;
  const mostCandidates = MOST_BLIND_CANDIDATES * Math.max(LEAST_BLIND_SHARE, Math.min(1, effort));
  if (expected * countCandidates(start, options) > mostCandidates) return undefined;
  const { steps, complete } = blindSearch(start.copy(), options, mostCandidates);
  return complete ? steps.map(({ move }) => move) : undefined;
}

/** Moves of a plan in the best order that is found, each keeping its checks. */
export function reorderMoves(
  start: GroupModel,
  moves: readonly Move[],
  prices: MovePrices,
  options: SearchOptions,
): Move[] {
  const ordered = reorder(start, replay(start, moves, prices, options), prices, options, 1);
  return refine(start, ordered, prices, options, 1).moves;
}

/** The same moves in an order made better by changing it: no later done, and with more of the gain early. */
function refine(
  start: GroupModel,
  plan: TimedPlan,
  prices: MovePrices,
  options: SearchOptions,
  effort: number,
): TimedPlan {
  const { ignoreSoftErrors, parallelPerNode = 1 } = options;
  if (plan.moves.length < 2 || parallelPerNode > 1) return plan;
  const timed = plan.moves.map((move) => timedMove(start, prices, move));
  const { sequence } = refineOrder(start, timed, [...timed.keys()], {
    tries: Math.floor(Math.min(1, effort) * Math.min(REFINEMENTS, MOST_REFINED_MOVES / timed.length)),
    random: seededRandom(ORDER_SEED),
    ignoreSoftErrors,
  });
  const moves = sequence.map((c) => plan.moves[c]!);
  const refined = replay(start, moves, prices, options);
  return refined.seconds <= plan.seconds ? refined : plan;
}

/** The same moves in the best order that is found. */
function reorder(
  start: GroupModel,
  plan: TimedPlan,
  prices: MovePrices,
  options: SearchOptions,
  effort: number,
): TimedPlan {
  const { ignoreSoftErrors, parallelPerNode } = options;
  if (plan.moves.length === 0) return plan;
  const timed = plan.moves.map((move) => timedMove(start, prices, move));
  const tries = ordersToTry(timed.length, effort);
  const order = bestOrder(start, timed, {
    tries,
    random: seededRandom(ORDER_SEED),
    ignoreSoftErrors,
    parallelPerNode,
  });
  if (order.stuck.length > 0 || order.makespan > plan.seconds) return plan;
  if (order.makespan === plan.seconds) {
    const given = inOrder(start, timed, { ignoreSoftErrors, parallelPerNode });
    if (given.stuck.length === 0 && given.makespan <= plan.seconds && given.area <= order.area) return plan;
  }
  return replay(start, order.moves, prices, options);
}

/** Score and time of moves in their order. */
export function replay(
  start: GroupModel,
  given: readonly Move[],
  prices: MovePrices,
  { parallelPerNode = 1, ignoreSoftErrors }: SearchOptions,
): TimedPlan {
  const moves = [...given];
  const model = start.copy();
  const board = new ScoreBoard(model);
  const trial = new MoveTrial(board);
  for (const move of moves) make(trial, move);
  board.refresh();
  const timed = moves.map((move) => timedMove(start, prices, move));
  const movingSeconds = timed.reduce((sum, { seconds }) => sum + seconds, 0);
  const plan = { moves, score: board.score, movingSeconds };
  if (parallelPerNode === 1) return { ...plan, seconds: lastEnd(start, timed) };
  const { stuck, makespan } = inOrder(start, timed, { ignoreSoftErrors, parallelPerNode });
  return { ...plan, seconds: stuck.length > 0 ? Infinity : makespan };
}

/** A move with its seconds, and how long it holds an offline node that it lets go early. */
export function timedMove(
  start: GroupModel,
  prices: MovePrices,
  move: Move,
  seconds = prices.typical(move.instance, move.kind, move.target),
): TimedMove {
  const node = releasedNode(start, move);
  if (node < 0) return { move, seconds };
  const failover = failsOverFirst(move.kind) ? prices.typical(move.instance, FAILOVER, -1) : 0;
  return {
    move,
    seconds,
    released: { node, heldSeconds: Math.min(seconds, failover + MIRROR_SETUP_SECONDS) },
  };
}

/** When the last of the moves ends, each as early as those before it allow. `ends` takes when each does. */
export function lastEnd(
  start: GroupModel,
  timed: readonly TimedMove[],
  ends = new Float64Array(timed.length),
): number {
  const moves = timed.map(({ move }) => move);
  const releases = earlyReleases(start, moves);
  return playOrder(
    movesBefore(moves, releases),
    timed.map(({ seconds }) => seconds),
    ends,
    releases && { letGo: releases.letGo, held: timed.map(({ released }) => released?.heldSeconds ?? 0) },
  );
}

/** Makes moves in their order, with the score after each; `model` moves along. */
export function playMoves(
  model: GroupModel,
  moves: readonly Move[],
  ignoreSoftErrors: boolean,
): SearchResult {
  const board = new ScoreBoard(model);
  const trial = new MoveTrial(board, { ignoreSoftErrors });
  const scoreBefore = board.score;
  const componentsBefore = board.components.slice();
  const steps = moves.map((move) => {
    trial.begin(move.instance);
    trial.insist(move.kind, move.target);
    trial.commit();
    return { move, score: board.score };
  });
  return {
    scoreBefore,
    scoreAfter: board.score,
    componentsBefore,
    componentsAfter: board.components.slice(),
    alreadyBalanced: false,
    steps,
    complete: true,
  };
}

function make(trial: MoveTrial, move: Move): void {
  trial.begin(move.instance);
  trial.insist(move.kind, move.target);
  trial.measure();
  trial.settle();
}

/** Seconds of the busiest node if every instance made its first kind of move: a scale, no prediction. */
export function busiestOfAll(start: GroupModel, movable: readonly number[], prices: MovePrices): number {
  const busy = new Float64Array(start.nodeCount);
  for (const i of movable) {
    const kind: MoveKind = start.secondary[i]! >= 0 ? FAILOVER : FAILOVER_TO_ANY;
    const seconds = prices.typical(i, kind, start.primary[i] === 0 ? 1 : 0);
    if (seconds < Infinity) busy[start.primary[i]!]! += seconds;
  }
  return Math.max(...busy);
}
