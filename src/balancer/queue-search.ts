import { mayFailOver, movableInstances, possibleKinds } from './candidates.js';
import type { GroupModel } from './group-model.js';
import { nodesOfMove } from './jobsets.js';
import type { TimedMove } from './list-schedule.js';
import { MoveTrial, UndoRecord } from './move-trial.js';
import { FAILOVER, moveFrom, type Move, type MoveKind } from './moves.js';
import type { Random } from './random.js';
import { ScoreBoard } from './score.js';
import type { SearchOptions } from './search-options.js';

/**
 * Queues of moves that fill a time. Whatever the queue, it is read as a plan: each move starts as soon as those before it
 * have left its nodes, and one that would end late, or breaks a rule when its turn comes, is passed over. So moves may be
 * put in, taken out and put elsewhere at will: every queue is a plan that keeps the rules and is over in time.
 */

/** What a queue is to be best at. */
export interface QueueGoal {
  /** Seconds that every move has to end within; Infinity: whenever. */
  maxSeconds: number;
  mostMoves: number;
  /** What a plan is worth, the less the better. */
  costOf: (score: number, movingSeconds: number) => number;
}

/** A move in a queue, and the nodes that it takes part on. */
interface QueuedMove extends TimedMove {
  nodes: number[];
}

/** Nodes of a move at most: both old ones and the target. */
const MOST_NODES = 3;

/** Reads queues as plans; one move at a time on a node. */
class QueueReader {
  readonly #goal: QueueGoal;
  readonly #model: GroupModel;
  readonly #board: ScoreBoard;
  readonly #trial: MoveTrial;
  readonly #freeAt: Float64Array;
  /** Nodes whose row the board has not read since it changed. */
  readonly #changed: Uint8Array;
  /** The moves that are made, and what each replaced. */
  readonly #made: QueuedMove[] = [];
  readonly #undo: UndoRecord[] = [];
  readonly #freeBefore: Float64Array[] = [];
  readonly #ends: number[] = [];

  constructor(start: GroupModel, goal: QueueGoal, { ignoreSoftErrors }: SearchOptions) {
    this.#goal = goal;
    this.#model = start.copy();
    this.#board = new ScoreBoard(this.#model);
    this.#trial = new MoveTrial(this.#board, { ignoreSoftErrors });
    this.#freeAt = new Float64Array(start.nodeCount);
    this.#changed = new Uint8Array(start.nodeCount);
  }

  /** What a queue is worth as a plan; `made` are its moves then. O(moves + nodes). */
  read(queue: readonly QueuedMove[]): number {
    const made = this.#made;
    let same = 0;
    while (same < made.length && same < queue.length && made[same] === queue[same]) same += 1;
    while (made.length > same) this.#takeBack();
    for (let at = same; at < queue.length && made.length < this.#goal.mostMoves; at++) this.#make(queue[at]!);
    const changed = this.#changed;
    for (let k = 0; k < changed.length; k++) if (changed[k] === 1) this.#board.takeNode(k);
    changed.fill(0);
    this.#board.refresh();
    let movingSeconds = 0;
    for (const { seconds } of made) movingSeconds += seconds;
    return this.#goal.costOf(this.#board.score, movingSeconds);
  }

  made(): QueuedMove[] {
    return [...this.#made];
  }

  /** Seconds until the last of them ends. */
  lastEnd(): number {
    let last = 0;
    for (let depth = 0; depth < this.#made.length; depth++) last = Math.max(last, this.#ends[depth]!);
    return last;
  }

  #make(queued: QueuedMove): void {
    const { move, seconds, nodes, released } = queued;
    const { instance, kind, target } = move;
    const model = this.#model;
    // Of an instance that moves twice, each move begins where the one before it has ended.
    if (model.primary[instance] !== move.fromPrimary || model.secondary[instance] !== move.fromSecondary)
      return;
    const freeAt = this.#freeAt;
    let from = 0;
    for (let j = 0; j < nodes.length; j++) if (freeAt[nodes[j]!]! > from) from = freeAt[nodes[j]!]!;
    if (from + seconds > this.#goal.maxSeconds) return;
    this.#trial.begin(instance);
    if (!this.#trial.allows(kind, target)) return;
    const depth = this.#made.length;
    this.#trial.place((this.#undo[depth] ??= new UndoRecord()));
    this.#ends[depth] = from + seconds;
    const before = (this.#freeBefore[depth] ??= new Float64Array(MOST_NODES));
    for (let j = 0; j < nodes.length; j++) {
      const node = nodes[j]!;
      before[j] = freeAt[node]!;
      freeAt[node] = from + (node === released?.node ? released.heldSeconds : seconds);
      this.#changed[node] = 1;
    }
    this.#made.push(queued);
  }

  #takeBack(): void {
    const { nodes } = this.#made.pop()!;
    const depth = this.#made.length;
    const before = this.#freeBefore[depth]!;
    this.#trial.takeBack(this.#undo[depth]!);
    for (let j = 0; j < nodes.length; j++) {
      this.#freeAt[nodes[j]!] = before[j]!;
      this.#changed[nodes[j]!] = 1;
    }
  }
}

/** Temperatures, as shares of the gain of the queue given: a move out and another in, but no new start. */
const HOTTEST = 0.01;
const COLDEST = 1e-4;
/** The best plans are kept by when they end: so many times for each doubling, down to half the time. */
const TIMES_AN_OCTAVE = 16;
const SHORTER_TIMES = TIMES_AN_OCTAVE + 1;
/** Of the moves put in, the part that comes from those known to be good together. */
const KNOWN = 0.5;
/** Moves that one change takes out and puts in at most, and how often one that was taken out is put elsewhere. */
const MOST_OUT = 2;
const MOST_IN = 2;
const PUT_BACK = 0.3;

export interface QueueSettings {
  /** Moves to begin with, in their order. */
  given: readonly TimedMove[];
  /** Moves that are good in other plans. */
  known: readonly TimedMove[];
  proposals: number;
  random: Random;
  /** A move with its seconds. */
  timedMove: (move: Move) => TimedMove;
}

/**
 * Simulated annealing over queues, one move at a time on a node. Returns the moves of the best plan, in an order in which
 * they can be made, after those of worse ones that end sooner. O(proposals × (moves + nodes)).
 */
export function searchQueues(
  start: GroupModel,
  options: SearchOptions,
  goal: QueueGoal,
  { given, known, proposals, random, timedMove }: QueueSettings,
): Move[][] {
  const reader = new QueueReader(start, goal, options);
  const movable = movableInstances(start, options);
  const online = [...start.online.keys()].filter((k) => start.online[k] === 1);
  const below = (n: number): number => Math.floor(random() * n);
  const queued = (timed: TimedMove): QueuedMove => ({ ...timed, nodes: nodesOfMove(timed.move) });
  const knownMoves = known.map(queued);
  let cost = reader.read(given.map(queued));
  let present = reader.made();
  /** The best plans by when they end: shorter and shorter times, undefined where none was found. */
  const best: ({ cost: number; made: QueuedMove[] } | undefined)[] = [];
  const keepBest = (found: number): void => {
    const shorter = goal.maxSeconds / Math.max(reader.lastEnd(), 1e-9);
    const at = Math.min(SHORTER_TIMES - 1, Math.floor(TIMES_AN_OCTAVE * Math.log2(shorter)));
    if (found < (best[at]?.cost ?? Infinity)) best[at] = { cost: found, made: reader.made() };
  };
  keepBest(cost);
  const gain = Math.max(1e-9, goal.costOf(new ScoreBoard(start).score, 0) - cost);
  let temperature = HOTTEST * gain;
  const cooling = (COLDEST / HOTTEST) ** (1 / Math.max(1, proposals));
  for (let step = 0; step < proposals; step++) {
    temperature *= cooling;
    const found = reader.read(changed());
    keepBest(found);
    if (found > cost && random() >= Math.exp((cost - found) / temperature)) continue;
    cost = found;
    present = reader.made();
  }
  let least = Infinity;
  return best.toReversed().flatMap((plan) => {
    if (plan === undefined || !(plan.cost < least)) return [];
    least = plan.cost;
    return [plan.made.map(({ move }) => move)];
  });

  function changed(): QueuedMove[] {
    const next = [...present];
    const out: QueuedMove[] = [];
    for (let count = below(MOST_OUT + 1); count > 0 && next.length > 0; count--)
      out.push(...next.splice(below(next.length), 1));
    const puts = out.length === 0 ? 1 + below(MOST_IN) : below(MOST_IN + 1);
    for (let count = puts; count > 0; count--) {
      const timed = out.length > 0 && random() < PUT_BACK ? out.pop() : drawMove();
      if (timed === undefined) continue;
      const { instance } = timed.move;
      if (timed.move.fromPrimary === start.primary[instance]) {
        const at = next.findIndex(({ move }) => move.instance === instance);
        if (at >= 0) next.splice(at, 1);
      }
      next.splice(below(next.length + 1), 0, timed);
    }
    return next;
  }

  function drawMove(): QueuedMove | undefined {
    if (known.length > 0 && random() < KNOWN) return knownMoves[below(knownMoves.length)]!;
    const instance = movable[below(movable.length)]!;
    const kinds: MoveKind[] = [...possibleKinds(start, instance, options)];
    if (mayFailOver(start, instance, options)) kinds.push(FAILOVER);
    if (kinds.length === 0) return undefined;
    const kind = kinds[below(kinds.length)]!;
    const target = kind === FAILOVER ? -1 : online[below(online.length)]!;
    if (target === start.primary[instance] || target === start.secondary[instance]) return undefined;
    const timed = timedMove(moveFrom(start, instance, kind, target));
    return timed.seconds < Infinity ? queued(timed) : undefined;
  }
}
