import type { GroupModel } from './group-model.js';
import { nodesOfMove } from './jobsets.js';
import type { TimedMove } from './list-schedule.js';
import { MoveTrial } from './move-trial.js';
import type { Random } from './random.js';
import { ScoreBoard } from './score.js';

/**
 * An order of moves made better by changing it: of two moves that share a node one takes the other's place, again and
 * again, by simulated annealing. What counts is when the last move ends; then how early the score falls: the area under
 * it, and when most of the gain is there.
 */

/** What an order is worth. Seconds. */
export interface OrderWorth {
  makespan: number;
  /** ∫ (score − final score) over time, the score being that of the placement that the ended moves have made. */
  area: number;
  /** ∫ |score − final score| over time: the same where the score never falls below the final one. */
  swing: number;
  /** When `EARLY_SHARE` of the gain is there for the first time. */
  early: number;
}

/** Of the whole gain, the part that most of a plan's use lies in. */
export const EARLY_SHARE = 0.95;
/** Running sums of the score are off by less. */
const ROUNDING = 1e-7;

/** Plays moves in one sequence after another; one move at a time on a node. */
export class OrderPlayer {
  readonly #start: GroupModel;
  readonly #timed: readonly TimedMove[];
  readonly #ignoreSoftErrors: boolean;
  readonly #nodes: readonly number[][];
  readonly #free: Float64Array;
  readonly #scores: Float64Array;
  /** Of the sequence last played: by index into the moves, seconds. */
  readonly starts: Float64Array;
  readonly ends: Float64Array;

  constructor(
    start: GroupModel,
    timed: readonly TimedMove[],
    { ignoreSoftErrors }: { ignoreSoftErrors: boolean },
  ) {
    this.#start = start;
    this.#timed = timed;
    this.#ignoreSoftErrors = ignoreSoftErrors;
    this.#nodes = timed.map(({ move }) => nodesOfMove(move));
    this.#free = new Float64Array(start.nodeCount);
    this.#scores = new Float64Array(timed.length);
    this.starts = new Float64Array(timed.length);
    this.ends = new Float64Array(timed.length);
  }

  /** When each move of a sequence (indexes into the moves) starts and ends; returns the last end. O(moves). */
  time(sequence: ArrayLike<number>): number {
    const free = this.#free.fill(0);
    let makespan = 0;
    for (let t = 0; t < sequence.length; t++) {
      const c = sequence[t]!;
      const nodes = this.#nodes[c]!;
      const { seconds, released } = this.#timed[c]!;
      let from = 0;
      for (let j = 0; j < nodes.length; j++) if (free[nodes[j]!]! > from) from = free[nodes[j]!]!;
      for (let j = 0; j < nodes.length; j++)
        free[nodes[j]!] =
          from + (released !== undefined && nodes[j] === released.node ? released.heldSeconds : seconds);
      this.starts[c] = from;
      this.ends[c] = from + seconds;
      if (this.ends[c]! > makespan) makespan = this.ends[c]!;
    }
    return makespan;
  }

  /** What a sequence is worth; undefined where a move breaks a hard rule when its turn comes, or cannot be made from where its instance is. O(moves × log moves). */
  play(sequence: readonly number[]): OrderWorth | undefined {
    const makespan = this.time(sequence);
    const { ends } = this;
    const scores = this.#scores;
    // Moves that share a node end as they follow each other there: the checks are those of the sequence.
    const byEnd = [...sequence].sort((a, b) => ends[a]! - ends[b]!);
    const placement = this.#start.copy();
    const board = new ScoreBoard(placement);
    const trial = new MoveTrial(board, { ignoreSoftErrors: this.#ignoreSoftErrors });
    const scoreBefore = board.score;
    let moment = 0;
    let above = 0;
    for (let t = 0; t < byEnd.length; t++) {
      const c = byEnd[t]!;
      above += (ends[c]! - moment) * board.score;
      moment = ends[c]!;
      const { instance, kind, target, fromPrimary, fromSecondary } = this.#timed[c]!.move;
      // Of an instance that moves twice, each move begins where the one before it has ended.
      if (placement.primary[instance] !== fromPrimary || placement.secondary[instance] !== fromSecondary)
        return undefined;
      trial.begin(instance);
      if (!trial.allows(kind, target)) return undefined;
      trial.measure();
      trial.settle();
      scores[t] = board.score;
    }
    board.refresh();
    const wanted = scoreBefore - EARLY_SHARE * (scoreBefore - board.score) + ROUNDING;
    const enough = scores.findIndex((score) => score <= wanted);
    const early = enough < 0 ? makespan : ends[byEnd[enough]!]!;
    let swing = 0;
    byEnd.forEach((c, t) => {
      const [score, since] = t === 0 ? [scoreBefore, 0] : [scores[t - 1]!, ends[byEnd[t - 1]!]!];
      swing += (ends[c]! - since) * Math.abs(score - board.score);
    });
    return { makespan, area: above - makespan * board.score, swing, early };
  }
}

/** The whole makespan counts as much as so many times area and early gain: it comes first. */
const MAKESPAN_WEIGHT = 100;
/** Energy by which the makespan alone may be worse for the score to be looked at. */
const HOPELESS = 0.3;
/** Temperatures; area and time of the early gain are 1 each at the start. */
const HOTTEST = 3e-3;
const COLDEST = 3e-5;

/**
 * The best order found in so many tries, as indexes into `timed` by start; the given sequence has to keep every rule
 * and comes back where nothing better is found. O(tries × moves × log moves).
 */
export function refineOrder(
  start: GroupModel,
  timed: readonly TimedMove[],
  given: readonly number[],
  { tries, random, ignoreSoftErrors }: { tries: number; random: Random; ignoreSoftErrors: boolean },
): { sequence: number[]; worth: OrderWorth | undefined } {
  const player = new OrderPlayer(start, timed, { ignoreSoftErrors });
  const first = player.play(given);
  if (first === undefined || first.makespan <= 0 || given.length < 2)
    return { sequence: [...given], worth: first };
  const nodes = timed.map(({ move }) => nodesOfMove(move));
  const onNode = new Map<number, number[]>();
  nodes.forEach((list, c) => {
    for (const node of list) onNode.set(node, [...(onNode.get(node) ?? []), c]);
  });
  // Of a plan that gains next to nothing, or passes better scores on its way, the area is near 0 or below it.
  const areaUnit = Math.max(first.swing, ROUNDING * first.makespan);
  const ofMakespan = (makespan: number): number => (MAKESPAN_WEIGHT * makespan) / first.makespan;
  const energyOf = ({ makespan, area, early }: OrderWorth): number =>
    ofMakespan(makespan) + area / areaUnit + early / first.early;
  let best = [...given];
  let bestWorth = first;
  anneal(tries);
  player.time(best);
  const turn = new Int32Array(timed.length);
  best.forEach((c, t) => (turn[c] = t));
  const { starts } = player;
  best.sort((a, b) => starts[a]! - starts[b]! || turn[a]! - turn[b]!);
  return { sequence: best, worth: bestWorth };

  function anneal(steps: number): void {
    let present = best;
    let worth = bestWorth;
    let temperature = HOTTEST;
    const cooling = (COLDEST / HOTTEST) ** (1 / Math.max(1, steps));
    for (let step = 0; step < steps; step++) {
      temperature *= cooling;
      const next = changed(present);
      if (next === undefined) continue;
      if (ofMakespan(player.time(next)) - ofMakespan(worth.makespan) > HOPELESS) continue;
      const found = player.play(next);
      if (found === undefined) continue;
      const change = energyOf(found) - energyOf(worth);
      if (change > 0 && random() >= Math.exp(-change / temperature)) continue;
      present = next;
      worth = found;
      if (energyOf(worth) < energyOf(bestWorth)) {
        best = present;
        bestWorth = worth;
      }
    }
  }

  /** A move takes the place of another on one of its nodes: before it where that was earlier, after it where it was later. */
  function changed(sequence: readonly number[]): number[] | undefined {
    const c = Math.floor(random() * timed.length);
    const others = onNode.get(nodes[c]![Math.floor(random() * nodes[c]!.length)]!)!;
    const d = others[Math.floor(random() * others.length)]!;
    const at = sequence.indexOf(d);
    const next = sequence.filter((move) => move !== c);
    next.splice(at, 0, c);
    return next;
  }
}
