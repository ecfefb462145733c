import type { GroupModel } from './group-model.js';
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

/**
 * One list schedule. `priority` is per move, higher first. Several moves of one instance keep their order. O(moves²) at
 * worst.
 */
export function orderMoves(
  start: GroupModel,
  timed: readonly TimedMove[],
  priority: Float64Array,
  ignoreSoftErrors: boolean,
): Order {
  const model = start.copy();
  const board = new ScoreBoard(model);
  const trial = new MoveTrial(board, { ignoreSoftErrors });
  const count = timed.length;
  const nodes = timed.map(({ move }) => nodesOfMove(move));
  const previous = previousOfInstance(timed);
  const started = new Uint8Array(count);
  let pending = Array.from(priority.keys()).sort((a, b) => priority[b]! - priority[a]! || a - b);
  const freeAt = new Float64Array(start.nodeCount);
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
  let now = 0;
  while (pending.length > 0) {
    const left: number[] = [];
    for (const c of pending) {
      const { move, seconds } = timed[c]!;
      const nodesOfC = nodes[c]!;
      let free = previous[c]! < 0 || started[previous[c]!] === 1;
      for (let j = 0; j < nodesOfC.length; j++) if (freeAt[nodesOfC[j]!]! > now) free = false;
      if (free) {
        trial.begin(move.instance);
        free = trial.allows(move.kind, move.target);
      }
      if (!free) {
        left.push(c);
        continue;
      }
      trial.measure();
      trial.settle();
      started[c] = 1;
      const at = order.sequence.length;
      order.sequence.push(c);
      order.moves.push(move);
      order.starts[at] = now;
      order.ends[at] = now + seconds;
      order.scores[at] = board.score;
      for (let j = 0; j < nodesOfC.length; j++) freeAt[nodesOfC[j]!] = now + seconds;
      if (order.ends[at]! > order.makespan) order.makespan = order.ends[at]!;
    }
    pending = left;
    if (pending.length === 0) break;
    let next = Infinity;
    for (const time of freeAt) if (time > now && time < next) next = time;
    if (next === Infinity) {
      order.stuck = pending;
      break;
    }
    now = next;
  }
  order.area = areaUnder(order, scoreBefore);
  return order;
}

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

/**
 * The best of several list schedules: least makespan, then, within 1 % of it, least area under the score. Priorities
 * are mixtures of how busy a move's nodes are, how long it is and chance.
 */
export function bestOrder(
  start: GroupModel,
  timed: readonly TimedMove[],
  { tries, random, ignoreSoftErrors }: { tries: number; random: Random; ignoreSoftErrors: boolean },
): Order {
  const count = timed.length;
  const busy = new Float64Array(start.nodeCount);
  const nodes = timed.map(({ move }) => nodesOfMove(move));
  let longest = 0;
  timed.forEach(({ seconds }, c) => {
    for (const node of nodes[c]!) busy[node]! += seconds;
    if (seconds > longest) longest = seconds;
  });
  const busiest = Math.max(...busy, 1e-9);
  const crowd = Float64Array.from(nodes, (list) => Math.max(...list.map((node) => busy[node]!)) / busiest);
  const length = Float64Array.from(timed, ({ seconds }) => seconds / Math.max(longest, 1e-9));
  const early = gainsPerSecond(start, timed, ignoreSoftErrors);
  const priority = new Float64Array(count);
  let best: Order | undefined;
  let least = Infinity;
  for (let round = 0; round < Math.max(1, tries); round++) {
    const crowdWeight = round === 0 ? 1 : random();
    const lengthWeight = round === 0 ? 0.5 : round % 3 === 0 ? -random() : random();
    const earlyWeight = round % 2 === 0 ? 0 : 2 * random();
    const noise = round === 0 ? 0 : random() * 0.5;
    for (let c = 0; c < count; c++)
      priority[c] =
        crowdWeight * crowd[c]! + lengthWeight * length[c]! + earlyWeight * early[c]! + noise * random();
    const order = orderMoves(start, timed, priority, ignoreSoftErrors);
    if (best === undefined || order.stuck.length < best.stuck.length) {
      best = order;
      least = order.makespan;
      continue;
    }
    if (order.stuck.length > best.stuck.length) continue;
    least = Math.min(least, order.makespan);
    const allowed = least * (1 + EARLY_GAIN_ALLOWANCE);
    if (
      best.makespan > allowed
        ? order.makespan <= allowed
        : order.makespan <= allowed && order.area < best.area
    )
      best = order;
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
