import type { GroupModel } from './group-model.js';
import { HeldResources } from './held-resources.js';
import { nodesOfMove } from './jobsets.js';
import { MoveTrial } from './move-trial.js';
import type { Move } from './moves.js';
import type { Random } from './random.js';
import { ScoreBoard } from './score.js';

/**
 * Puts moves in an order in which each keeps every hard rule when it starts, so that the last one ends early. A move
 * starts when all its nodes are free and its checks hold; among those that could, the one of the highest priority.
 */

/** A move to be put in order, with its predicted seconds. */
export interface TimedMove {
  move: Move;
  seconds: number;
  /** An offline node that is let go before the end, and the seconds from the start until then. */
  released?: { node: number; heldSeconds: number } | undefined;
}

export interface Order {
  /** Indexes into the given moves, by start. */
  sequence: number[];
  moves: Move[];
  /** Seconds, in the order of `sequence`. */
  starts: Float64Array;
  ends: Float64Array;
  /** Score after each move's end would be `scores`, taken in order of start. */
  scores: Float64Array;
  makespan: number;
  /** ∫ score above the final one over time, up to the makespan. */
  area: number;
  /** Moves whose checks never held. */
  stuck: number[];
}

export interface OrderRules {
  ignoreSoftErrors: boolean;
  /** Moves that a node takes part in at once; 1, as Ganeti's locks enforce, unless given. */
  parallelPerNode?: number | undefined;
  /**
   * What a move's gain in score per second, as a share of the best one that could start at the moment, adds to its
   * priority; 0: nothing is asked.
   */
  gainWeight?: number;
}

/**
 * One list schedule. `priority` is per move, higher first. Several moves of one instance keep their order. O(moves²) at
 * worst.
 */
export function orderMoves(
  start: GroupModel,
  timed: readonly TimedMove[],
  priority: Float64Array,
  { ignoreSoftErrors, parallelPerNode = 1, gainWeight = 0 }: OrderRules,
): Order {
  const model = start.copy();
  const board = new ScoreBoard(model);
  const trial = new MoveTrial(board, { ignoreSoftErrors });
  const held = parallelPerNode > 1 ? new HeldResources(model) : undefined;
  const count = timed.length;
  const nodes = timed.map(({ move }) => nodesOfMove(move));
  const previous = previousOfInstance(timed);
  const endOf = new Float64Array(count).fill(Infinity);
  let pending = Array.from(priority.keys()).sort((a, b) => priority[b]! - priority[a]! || a - b);
  const running: number[] = [];
  /** When each move that runs lets its offline node go; Infinity: with its end, or it has let it go. */
  const letGoAt = new Float64Array(count).fill(Infinity);
  const taken = new Int32Array(start.nodeCount);
  const order: Order = {
    sequence: [],
    moves: [],
    starts: new Float64Array(count),
    ends: new Float64Array(count),
    scores: new Float64Array(count),
    makespan: 0,
    area: 0,
    stuck: [],
  };
  const scoreBefore = board.score;
  const worth = new Float64Array(count);
  let now = 0;
  const nodesFree = (c: number): boolean => {
    if (previous[c]! >= 0 && !(endOf[previous[c]!]! <= now)) return false;
    const nodesOfC = nodes[c]!;
    for (let j = 0; j < nodesOfC.length; j++) if (taken[nodesOfC[j]!]! >= parallelPerNode) return false;
    return true;
  };
  const mayStart = (c: number): boolean => {
    const { instance, kind, target } = timed[c]!.move;
    trial.begin(instance);
    if (!trial.allows(kind, target)) return false;
    if (held === undefined || !held.any(nodes[c]!)) return true;
    // What runs on these nodes has not yet left its old place there.
    const whole = held.impose(nodes[c]!);
    trial.begin(instance);
    const may = whole && trial.allows(kind, target);
    held.lift(nodes[c]!);
    if (!may) return false;
    trial.begin(instance);
    return trial.allows(kind, target);
  };
  while (pending.length > 0) {
    if (gainWeight !== 0) pending = byGain(pending);
    const left: number[] = [];
    for (const c of pending) {
      if (nodesFree(c) && mayStart(c)) begin(c);
      else left.push(c);
    }
    pending = left;
    if (pending.length === 0) break;
    let next = Infinity;
    for (const c of running) next = Math.min(next, endOf[c]!, letGoAt[c]!);
    if (next === Infinity) {
      order.stuck = pending;
      break;
    }
    now = next;
    freeNodes();
  }
  order.area = areaUnder(order, scoreBefore);
  return order;

  /** Right after `mayStart`. */
  function begin(c: number): void {
    const { move, seconds, released } = timed[c]!;
    held?.hold(c, move);
    trial.measure();
    trial.settle();
    const at = order.sequence.length;
    order.sequence.push(c);
    order.moves.push(move);
    order.starts[at] = now;
    order.ends[at] = now + seconds;
    order.scores[at] = board.score;
    endOf[c] = now + seconds;
    running.push(c);
    if (released !== undefined && held === undefined) letGoAt[c] = now + released.heldSeconds;
    for (const node of nodes[c]!) taken[node]! += 1;
    if (order.ends[at]! > order.makespan) order.makespan = order.ends[at]!;
  }

  /** Moves that have ended, or let their offline node go, take no part of it any more. */
  function freeNodes(): void {
    for (let r = running.length - 1; r >= 0; r--) {
      const c = running[r]!;
      const { move, released } = timed[c]!;
      if (letGoAt[c]! <= now) {
        letGoAt[c] = Infinity;
        taken[released!.node]! -= 1;
        nodes[c] = nodes[c]!.filter((node) => node !== released!.node);
      }
      if (endOf[c]! > now) continue;
      running.splice(r, 1);
      held?.release(c, move);
      for (const node of nodes[c]!) taken[node]! -= 1;
    }
  }

  /** Those that could start now first, by their priority and what they gain a second. */
  function byGain(waiting: readonly number[]): number[] {
    const ready: number[] = [];
    const others: number[] = [];
    let most = 1e-12;
    for (const c of waiting) {
      if (!nodesFree(c) || !mayStart(c)) {
        others.push(c);
        continue;
      }
      worth[c] = Math.max(0, board.score - trial.approximateScore()) / Math.max(timed[c]!.seconds, 1e-9);
      if (worth[c]! > most) most = worth[c]!;
      ready.push(c);
    }
    const value = (c: number): number => priority[c]! + (gainWeight * worth[c]!) / most;
    ready.sort((a, b) => value(b) - value(a) || a - b);
    return [...ready, ...others];
  }
}

/** Moves as they stand, each as early as its nodes and checks allow; of two that could start, the earlier one. */
export const inOrder = (start: GroupModel, timed: readonly TimedMove[], rules: OrderRules): Order =>
  orderMoves(
    start,
    timed,
    Float64Array.from(timed, (_, m) => -m),
    rules,
  );

/** For each move, the one before it of the same instance, or -1. */
function previousOfInstance(timed: readonly TimedMove[]): Int32Array {
  const last = new Map<number, number>();
  return Int32Array.from(timed, ({ move }, c) => {
    const before = last.get(move.instance) ?? -1;
    last.set(move.instance, c);
    return before;
  });
}

/** What each move takes off the score counts from its end; taken in order of start, which is near enough. */
function areaUnder(order: Order, scoreBefore: number): number {
  const count = order.sequence.length;
  let area = 0;
  for (let t = 0; t < count; t++) {
    const before = t === 0 ? scoreBefore : order.scores[t - 1]!;
    area += order.ends[t]! * (before - order.scores[t]!);
  }
  return area;
}

/** Share of the makespan that is given for moves which help most to come first. */
const EARLY_GAIN_ALLOWANCE = 0.01;
/** Priority of a move that lets an offline node go early, beside crowds and lengths of at most 1. */
const REST_WEIGHT = 1;
/** Of the tries, the part that changes the best order so far instead of starting anew. */
const CHANGED_PART = 0.6;
/** Moves of an order that a change gives another priority, and by how much at most. */
const CHANGED_MOVES = 4;
const LARGEST_CHANGE = 0.6;

/**
 * The best of several list schedules: least makespan, then, within 1 % of it, least area under the score. Priorities
 * are mixtures of how busy a move's nodes are, how long it is, what it gains and chance; then changes of the best.
 */
export function bestOrder(
  start: GroupModel,
  timed: readonly TimedMove[],
  { tries, random, ...rules }: OrderRules & { tries: number; random: Random },
): Order {
  const count = timed.length;
  const busy = new Float64Array(start.nodeCount);
  const nodes = timed.map(({ move }) => nodesOfMove(move));
  let longest = 0;
  timed.forEach(({ seconds, released }, c) => {
    for (const node of nodes[c]!) busy[node]! += node === released?.node ? released.heldSeconds : seconds;
    if (seconds > longest) longest = seconds;
  });
  const busiest = Math.max(...busy, 1e-9);
  const crowd = Float64Array.from(nodes, (list) => Math.max(...list.map((node) => busy[node]!)) / busiest);
  const length = Float64Array.from(timed, ({ seconds }) => seconds / Math.max(longest, 1e-9));
  // Who lets a node go early goes first there, the longest rest first (Jackson's rule for heads and tails).
  const rest = Float64Array.from(timed, ({ seconds, released }) =>
    released === undefined
      ? 0
      : REST_WEIGHT * (1 + (seconds - released.heldSeconds) / Math.max(longest, 1e-9)),
  );
  const early = gainsPerSecond(start, timed, rules.ignoreSoftErrors);
  let best: Order | undefined;
  let bestPriority = new Float64Array(count);
  let bestGainWeight = 0;
  let least = Infinity;
  const isBetter = (order: Order): boolean => {
    if (best === undefined || order.stuck.length < best.stuck.length) return true;
    if (order.stuck.length > best.stuck.length) return false;
    const allowed = Math.min(least, order.makespan) * (1 + EARLY_GAIN_ALLOWANCE);
    return best.makespan > allowed
      ? order.makespan < best.makespan
      : order.makespan <= allowed && order.area < best.area;
  };
  const rounds = Math.max(1, tries);
  for (let round = 0; round < rounds; round++) {
    const priority = new Float64Array(count);
    let gainWeight: number;
    if (round < rounds * (1 - CHANGED_PART)) {
      const crowdWeight = round === 0 ? 1 : random();
      const lengthWeight = round === 0 ? 0.5 : round % 3 === 0 ? -random() : random();
      const earlyWeight = round % 4 === 1 ? 2 * random() : 0;
      gainWeight = round % 4 >= 2 ? 2 * random() : 0;
      const noise = round === 0 ? 0 : random() * 0.5;
      for (let c = 0; c < count; c++)
        priority[c] =
          crowdWeight * crowd[c]! +
          lengthWeight * length[c]! +
          rest[c]! +
          earlyWeight * early[c]! +
          noise * random();
    } else {
      priority.set(bestPriority);
      gainWeight = bestGainWeight * (0.5 + random());
      for (let change = 0; change < CHANGED_MOVES; change++)
        priority[Math.floor(random() * count)]! += LARGEST_CHANGE * (2 * random() - 1);
    }
    const order = orderMoves(start, timed, priority, { ...rules, gainWeight });
    const better = isBetter(order);
    if (best === undefined || order.stuck.length < best.stuck.length) least = order.makespan;
    else if (order.stuck.length === best.stuck.length) least = Math.min(least, order.makespan);
    if (!better) continue;
    best = order;
    bestPriority = priority;
    bestGainWeight = gainWeight;
  }
  return best!;
}

/** What each move takes off the score by itself, per second, as a share of the most; 0 where it helps only with others. */
function gainsPerSecond(
  start: GroupModel,
  timed: readonly TimedMove[],
  ignoreSoftErrors: boolean,
): Float64Array {
  const board = new ScoreBoard(start);
  const trial = new MoveTrial(board, { ignoreSoftErrors });
  const gains = Float64Array.from(timed, ({ move, seconds }) => {
    if (start.primary[move.instance] !== move.fromPrimary) return 0;
    trial.begin(move.instance);
    if (!trial.allows(move.kind, move.target)) return 0;
    return Math.max(0, board.score - trial.approximateScore()) / Math.max(seconds, 1e-9);
  });
  const most = Math.max(...gains, 1e-12);
  return gains.map((gain) => gain / most);
}
