import { mayFailOver, movableInstances, possibleKinds } from './candidates.js';
import { MIRROR_SETUP_SECONDS, failsOverFirst, releasedNode } from './early-release.js';
import { FAILS_N1, ROW, type GroupModel } from './group-model.js';
import type { MovePrices } from './move-prices.js';
import { MoveTrial, UndoRecord } from './move-trial.js';
import {
  FAILOVER,
  FAILOVER_TO_ANY,
  REPLACE_AND_FAILOVER,
  REPLACE_SECONDARY,
  placementAfter,
  type MoveKind,
} from './moves.js';
import type { Random } from './random.js';
import { ScoreBoard } from './score.js';
import type { SearchOptions } from './search-options.js';

/** One move of one instance from where it stands at the start; each instance moves at most once. */
export interface ChosenMove {
  instance: number;
  kind: MoveKind;
  target: number;
  seconds: number;
}

/** What to reach: a score as fast as possible, or the best score within a time. */
export interface SearchGoal {
  /** Score that is good enough; -Infinity: as low as it goes. */
  targetScore: number;
  /** Seconds that no node is to be busy for longer than; Infinity: no limit. */
  busySeconds: number;
  /** Score that an hour of moving must gain; 0: any gain is worth any time. */
  gainPerHour: number;
}

export interface PlacementSearchOptions {
  proposals: number;
  random: Random;
  /** Moves to begin with. */
  from?: readonly ChosenMove[];
  /** Temperature at the start, in units of the energy; it falls to `COLDEST`. */
  hottest?: number;
  /** Seconds that stand for one unit of energy: what the time would be without a search. */
  timeScale: number;
  /** Score that stands for one unit of energy: the whole gain that is asked for. */
  scoreScale: number;
  /** Energy of missing that whole gain. */
  scorePenalty: number;
  mostMoves?: number;
}

/** The time that a set of moves keeps its busiest nodes, as a power mean: smooth, and near the largest. */
const BUSY_POWER = 8;
/** Energy of a node's excess over the time allowed, relative to it. */
const EXCESS_PENALTY = 4;
/** Weight of the time where the score alone is asked for: enough to choose the shorter of two equal ways. */
const TIME_BESIDE_SCORE = 0.02;
/** Part of the gain by which the search aims below the score asked for, so that it is reached and not nearly. */
const SCORE_MARGIN = 2e-5;
const HOTTEST = 0.3;
const COLDEST = 5e-4;
/** How often a proposal takes a chosen move back, when there is one. */
const TAKE_BACK = 0.15;
/** How often a proposal changes two instances at once: one against another leaves the counts that rule the score. */
const PAIRED = 0.7;
const TAKE_BACK_BESIDE = 0.35;
const SAME_KIND = 0.5;
const NEAR_TARGET = 0.7;
/** Kinds of move are drawn in proportion to their seconds to minus this power. */
const QUICK_FIRST = 0.7;
/** Energy by which a state that reaches the score goes before any that does not. */
const REACHED = 1e6;
/** Running sums are made anew after so many accepted changes. */
const REFRESH_AFTER = 400;

/**
 * Simulated annealing over which instances move where, each at most once: the score of the final placement against
 * the time that its moves keep nodes busy. Every state satisfies all checks as a placement; whether the moves can be
 * made one after another is for the order to find. Cost: O(1) a proposal.
 */
export class PlacementSearch {
  readonly #start: GroupModel;
  readonly #options: SearchOptions;
  readonly #prices: MovePrices;
  readonly #movable: number[];
  readonly #targets: Int32Array;

  constructor(start: GroupModel, options: SearchOptions, prices: MovePrices) {
    this.#start = start;
    this.#options = options;
    this.#prices = prices;
    this.#movable = movableInstances(start, options);
    this.#targets = Int32Array.from([...start.online.keys()].filter((k) => start.online[k] === 1));
  }

  run(goal: SearchGoal, settings: PlacementSearchOptions): { chosen: ChosenMove[]; score: number } {
    const walk = new Walk(this.#start, this.#options, this.#prices, goal, settings, {
      movable: this.#movable,
      targets: this.#targets,
      mayGo: (i, kind, x) => this.#mayGo(i, kind, x),
      kindsOf: (i) => this.#kindsOf(i),
    });
    const chosen = walk.run();
    return { chosen, score: scoreAfter(this.#start, chosen) };
  }

  /** The kinds that an instance may choose from. */
  #kindsOf(i: number): readonly MoveKind[] {
    return (this.#kindCache[i] ??= [
      ...(mayFailOver(this.#start, i, this.#options) ? [FAILOVER as MoveKind] : []),
      ...possibleKinds(this.#start, i, this.#options),
    ]);
  }

  readonly #kindCache: (readonly MoveKind[])[] = [];

  /** Migration tags on the way. */
  #mayGo(i: number, kind: MoveKind, x: number): boolean {
    const { migration, nodeCount, primary, secondary } = this.#start;
    if (migration.length === 0 || kind === REPLACE_SECONDARY) return true;
    const p = primary[i]!;
    const s = secondary[i]!;
    const may = (from: number, to: number): boolean => migration[from * nodeCount + to] === 1;
    if (kind === FAILOVER_TO_ANY || kind === REPLACE_AND_FAILOVER) return may(p, x);
    if (!may(p, s)) return false;
    return kind === FAILOVER || placementAfter(kind, p, s, x)[0] === s || may(s, x);
  }
}

interface Choices {
  movable: readonly number[];
  targets: Int32Array;
  mayGo: (i: number, kind: MoveKind, x: number) => boolean;
  kindsOf: (i: number) => readonly MoveKind[];
}

/** Change of one instance's move: kind -1 takes it back. */
interface Change {
  i: number;
  kind: number;
  target: number;
  seconds: number;
}

/** One annealing run: the state, a proposal, its undoing. */
class Walk {
  readonly #start: GroupModel;
  readonly #prices: MovePrices;
  readonly #goal: SearchGoal;
  readonly #settings: PlacementSearchOptions;
  readonly #parallelPerNode: number | undefined;
  readonly #choices: Choices;
  readonly #model: GroupModel;
  readonly #board: ScoreBoard;
  readonly #trial: MoveTrial;
  readonly #kinds: Int8Array;
  readonly #targets: Int32Array;
  readonly #seconds: Float64Array;
  readonly #busy: Busy;
  readonly #best: Best;
  /** Instances by each of their nodes at the start. */
  readonly #neighbours: readonly (readonly number[])[];
  readonly #firstUndo = new UndoRecord();
  readonly #secondUndo = new UndoRecord();
  /** How many chosen moves touch each node; and the N+1 flags of those that none touches. */
  readonly #touches: Int32Array;
  readonly #loadedFlags: Uint8Array;
  #moved = 0;
  #movingSeconds = 0;
  #energy = 0;

  constructor(
    start: GroupModel,
    options: SearchOptions,
    prices: MovePrices,
    goal: SearchGoal,
    settings: PlacementSearchOptions,
    choices: Choices,
  ) {
    this.#start = start;
    this.#prices = prices;
    this.#goal = goal;
    this.#settings = settings;
    this.#parallelPerNode = options.parallelPerNode;
    this.#choices = choices;
    this.#model = start.copy();
    this.#board = new ScoreBoard(this.#model);
    this.#trial = new MoveTrial(this.#board, options);
    this.#kinds = new Int8Array(start.instanceCount).fill(-1);
    this.#targets = new Int32Array(start.instanceCount).fill(-1);
    this.#seconds = new Float64Array(start.instanceCount);
    this.#busy = new Busy(start.nodeCount, settings.timeScale);
    this.#best = new Best(start.instanceCount);
    this.#touches = new Int32Array(start.nodeCount);
    this.#loadedFlags = Uint8Array.from(this.#touches, (_, k) => start.rows[k * ROW + FAILS_N1]!);
    const neighbours: number[][] = Array.from({ length: start.nodeCount }, () => []);
    for (const i of choices.movable) {
      neighbours[start.primary[i]!]!.push(i);
      if (start.secondary[i]! >= 0) neighbours[start.secondary[i]!]!.push(i);
    }
    this.#neighbours = neighbours;
  }

  run(): ChosenMove[] {
    const { random, proposals, from = [], hottest = HOTTEST } = this.#settings;
    for (const { instance, kind, target, seconds } of from)
      this.#make({ i: instance, kind, target, seconds }, this.#firstUndo);
    this.#board.refresh();
    this.#energy = this.#energyNow();
    this.#keepBest();
    const cooling = (COLDEST / hottest) ** (1 / Math.max(1, proposals));
    let temperature = hottest;
    let accepted = 0;
    if (this.#choices.movable.length === 0) return [];
    for (let step = 0; step < proposals; step++) {
      temperature *= cooling;
      const first = this.#propose(this.#drawInstance());
      if (first === undefined) continue;
      const firstBefore = this.#present(first.i);
      if (!this.#make(first, this.#firstUndo)) continue;
      let secondBefore: Change | undefined;
      if (random() < PAIRED) {
        const second = this.#proposeBeside(first, firstBefore);
        if (second !== undefined) {
          secondBefore = this.#present(second.i);
          if (!this.#make(second, this.#secondUndo)) secondBefore = undefined;
        }
      }
      const next = this.#energyNow();
      const change = next - this.#energy;
      if (change <= 0 || random() < Math.exp(-change / temperature)) {
        this.#energy = next;
        accepted += 1;
        if (accepted % REFRESH_AFTER === 0) {
          this.#board.refresh();
          this.#energy = this.#energyNow();
        }
        this.#keepBest();
        continue;
      }
      if (secondBefore !== undefined) this.#undo(secondBefore, this.#secondUndo);
      this.#undo(firstBefore, this.#firstUndo);
    }
    this.#best.give(this.#kinds, this.#targets, this.#seconds);
    const chosen: ChosenMove[] = [];
    for (let i = 0; i < this.#kinds.length; i++)
      if (this.#kinds[i]! >= 0)
        chosen.push({
          instance: i,
          kind: this.#kinds[i] as MoveKind,
          target: this.#targets[i]!,
          seconds: this.#seconds[i]!,
        });
    return chosen;
  }

  #energyNow(): number {
    const { targetScore, busySeconds, gainPerHour } = this.#goal;
    const { timeScale, scoreScale, scorePenalty } = this.#settings;
    const { score } = this.#board;
    const wanted =
      targetScore === -Infinity
        ? score / scoreScale
        : (scorePenalty * Math.max(0, score - targetScore + SCORE_MARGIN * scoreScale)) / scoreScale;
    const time =
      busySeconds === Infinity
        ? (targetScore === -Infinity ? TIME_BESIDE_SCORE : 1) * (this.#busy.mean() / timeScale)
        : EXCESS_PENALTY * this.#busy.excess(busySeconds);
    const worth = gainPerHour === 0 ? 0 : (gainPerHour * this.#movingSeconds) / 3600 / scoreScale;
    return wanted + time + worth;
  }

  #keepBest(): void {
    const { targetScore } = this.#goal;
    const reached = targetScore === -Infinity || this.#board.score <= targetScore;
    // Until the score is reached the least energy counts; from then on only states that reach it.
    const rank = reached ? this.#energy - REACHED : this.#energy;
    if (rank < this.#best.energy) this.#best.take(rank, this.#kinds, this.#targets, this.#seconds);
  }

  #drawInstance(): number {
    const { movable } = this.#choices;
    return movable[Math.floor(this.#settings.random() * movable.length)]!;
  }

  #typicalSeconds(i: number, kind: MoveKind): number {
    return this.#prices.typical(i, kind, this.#choices.targets[0] ?? -1);
  }

  /** A kind of move, quick ones more often than slow ones. */
  #drawKind(i: number): number {
    const kinds = this.#choices.kindsOf(i);
    if (kinds.length === 0) return -1;
    const shares = (this.#kindShares[i] ??= this.#sharesOf(i, kinds));
    const at = this.#settings.random() * shares[kinds.length - 1]!;
    let k = 0;
    while (k < kinds.length - 1 && at >= shares[k]!) k += 1;
    return kinds[k]!;
  }

  readonly #kindShares: Float64Array[] = [];

  /** Running sums of what each kind is worth being drawn. */
  #sharesOf(i: number, kinds: readonly MoveKind[]): Float64Array {
    let sum = 0;
    return Float64Array.from(kinds, (kind) => {
      const seconds = this.#typicalSeconds(i, kind);
      sum += seconds < Infinity && seconds > 0 ? seconds ** -QUICK_FIRST : 1e-9;
      return sum;
    });
  }

  #present(i: number): Change {
    return { i, kind: this.#kinds[i]!, target: this.#targets[i]!, seconds: this.#seconds[i]! };
  }

  #propose(i: number): Change | undefined {
    const { random } = this.#settings;
    if (this.#kinds[i]! >= 0 && random() < TAKE_BACK) return { i, kind: -1, target: -1, seconds: 0 };
    const kind = this.#drawKind(i);
    const { targets } = this.#choices;
    return this.#priced(i, kind, targets[Math.floor(random() * targets.length)]!);
  }

  /** A change near another: of an instance that shares a node with it, often with the same target. */
  #proposeBeside(first: Change, before: Change): Change | undefined {
    const { random } = this.#settings;
    const p = this.#start.primary[first.i]!;
    const s = this.#start.secondary[first.i]!;
    const nodes = [p, s, first.target, before.target].filter((node) => node >= 0);
    const neighbours = this.#neighbours[nodes[Math.floor(random() * nodes.length)]!]!;
    if (neighbours.length === 0) return undefined;
    const i = neighbours[Math.floor(random() * neighbours.length)]!;
    if (i === first.i) return undefined;
    if (this.#kinds[i]! >= 0 && random() < TAKE_BACK_BESIDE) return { i, kind: -1, target: -1, seconds: 0 };
    const same =
      before.kind >= 0 && random() < SAME_KIND && this.#choices.kindsOf(i).includes(before.kind as MoveKind);
    const kind = same ? before.kind : this.#drawKind(i);
    const { targets } = this.#choices;
    const target =
      random() < NEAR_TARGET
        ? nodes[Math.floor(random() * nodes.length)]!
        : targets[Math.floor(random() * targets.length)]!;
    return this.#priced(i, kind, target);
  }

  #priced(i: number, kind: number, x: number): Change | undefined {
    if (kind < 0) return undefined;
    const swap = kind === FAILOVER;
    const target = swap ? -1 : x;
    const { primary, secondary, online } = this.#start;
    if (!swap && (x === primary[i] || x === secondary[i] || online[x] === 0)) return undefined;
    const had = this.#kinds[i]!;
    if (kind === had && target === this.#targets[i]) return undefined;
    if (had < 0 && this.#moved >= (this.#settings.mostMoves ?? Infinity)) return undefined;
    if (!this.#choices.mayGo(i, kind as MoveKind, target)) return undefined;
    const seconds = this.#prices.of(i, kind as MoveKind, target);
    return seconds < Infinity ? { i, kind, target, seconds } : undefined;
  }

  /** Makes a change if the placement that it leads to passes the checks. O(1). */
  #make(change: Change, undo: UndoRecord): boolean {
    const { i, kind, target } = change;
    const { primary, secondary } = this.#start;
    let p = primary[i]!;
    let s = secondary[i]!;
    if (kind >= 0) [p, s] = placementAfter(kind as MoveKind, p, s, target);
    this.#trial.begin(i);
    if (!this.#trial.allowsPlacement(p, s)) return false;
    this.#record(change);
    this.#trial.keepLoadedFlags(this.#touches, this.#loadedFlags);
    this.#trial.measure();
    this.#trial.settle(undo);
    return true;
  }

  #undo(before: Change, undo: UndoRecord): void {
    this.#record(before);
    this.#trial.revert(undo);
  }

  #record({ i, kind, target, seconds }: Change): void {
    const had = this.#kinds[i]!;
    if (had >= 0) this.#load(i, had, this.#targets[i]!, this.#seconds[i]!, -1);
    if (kind >= 0) this.#load(i, kind, target, seconds, 1);
    this.#moved += (kind >= 0 ? 1 : 0) - (had >= 0 ? 1 : 0);
    this.#movingSeconds += (kind >= 0 ? seconds : 0) - (had >= 0 ? this.#seconds[i]! : 0);
    this.#kinds[i] = kind;
    this.#targets[i] = target;
    this.#seconds[i] = seconds;
  }

  #load(i: number, kind: number, target: number, seconds: number, sign: 1 | -1): void {
    const p = this.#start.primary[i]!;
    const s = this.#start.secondary[i]!;
    const released = this.#start.isDead(p) || this.#start.isDead(s) ? this.#releasedBy(kind, p, s) : -1;
    const held = released < 0 ? seconds : Math.min(seconds, this.#heldSeconds(i, kind));
    this.#busy.add(p, sign * (p === released ? held : seconds));
    this.#touches[p]! += sign;
    if (s >= 0) {
      this.#busy.add(s, sign * (s === released ? held : seconds));
      this.#touches[s]! += sign;
    }
    if (target >= 0) {
      this.#busy.add(target, sign * seconds);
      this.#touches[target]! += sign;
    }
  }

  /** An offline node that a move lets go early, where nodes take part in one move at a time; or -1. */
  #releasedBy(kind: number, fromPrimary: number, fromSecondary: number): number {
    if ((this.#parallelPerNode ?? 1) > 1) return -1;
    return releasedNode(this.#start, { kind: kind as MoveKind, fromPrimary, fromSecondary });
  }

  #heldSeconds(i: number, kind: number): number {
    const failover = failsOverFirst(kind as MoveKind) ? this.#prices.typical(i, FAILOVER, -1) : 0;
    return failover + MIRROR_SETUP_SECONDS;
  }
}

/** The score of the placement that a set of moves leads to, computed from nothing. */
export function scoreAfter(start: GroupModel, chosen: readonly ChosenMove[]): number {
  const model = start.copy();
  const board = new ScoreBoard(model);
  const trial = new MoveTrial(board);
  for (const { instance, kind, target } of chosen) {
    trial.begin(instance);
    trial.insist(kind, target);
    trial.approximateScore();
    trial.settle();
  }
  board.refresh();
  return board.score;
}

/** Seconds that each node is busy, with their power mean in a tree of sums: no rounding is left behind. */
class Busy {
  readonly seconds: Float64Array;
  readonly #unit: number;
  readonly #leaves: number;
  /** Sums of (seconds / unit)^8: the root at 1, the children of j at 2j and 2j + 1. */
  readonly #tree: Float64Array;

  constructor(nodes: number, unit: number) {
    this.seconds = new Float64Array(nodes);
    this.#unit = unit;
    this.#leaves = 2 ** Math.ceil(Math.log2(Math.max(2, nodes)));
    this.#tree = new Float64Array(2 * this.#leaves);
  }

  /** O(log nodes). */
  add(node: number, seconds: number): void {
    const after = Math.max(0, this.seconds[node]! + seconds);
    this.seconds[node] = after;
    const tree = this.#tree;
    const share = after / this.#unit;
    const square = share * share;
    const fourth = square * square;
    let j = this.#leaves + node;
    tree[j] = fourth * fourth;
    for (j >>= 1; j > 0; j >>= 1) tree[j] = tree[2 * j]! + tree[2 * j + 1]!;
  }

  /** (Σ busy^8)^(1/8): a little above the busiest node. */
  mean(): number {
    return this.#unit * this.#tree[1]! ** (1 / BUSY_POWER);
  }

  /** Sum of what nodes are busy beyond a limit, relative to it. */
  excess(limit: number): number {
    let sum = 0;
    for (const seconds of this.seconds) if (seconds > limit) sum += seconds / limit - 1;
    return sum;
  }
}

/** The best state seen. */
class Best {
  energy = Infinity;
  readonly #kinds: Int8Array;
  readonly #targets: Int32Array;
  readonly #seconds: Float64Array;

  constructor(instances: number) {
    this.#kinds = new Int8Array(instances);
    this.#targets = new Int32Array(instances);
    this.#seconds = new Float64Array(instances);
  }

  take(energy: number, kinds: Int8Array, targets: Int32Array, seconds: Float64Array): void {
    this.energy = energy;
    this.#kinds.set(kinds);
    this.#targets.set(targets);
    this.#seconds.set(seconds);
  }

  give(kinds: Int8Array, targets: Int32Array, seconds: Float64Array): void {
    kinds.set(this.#kinds);
    targets.set(this.#targets);
    seconds.set(this.#seconds);
  }
}
