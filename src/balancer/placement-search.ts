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
  primaryAfter,
  secondaryAfter,
  type MoveKind,
} from './moves.js';
import type { Random } from './random.js';
import { NodeChanges, ScoreBoard } from './score.js';
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
  /** Instances that stay where they are. */
  fixed?: ReadonlySet<number>;
  /**
   * Temperature at the start and at the end: in units of the energy, and where a score is to be reached, as a share of
   * the present energy of the time.
   */
  hottest: number;
  coldest: number;
  /** Power of the mean over nodes of how long they are busy: 8, 16, 32 … The higher, the nearer to the busiest. */
  busyPower: number;
  /** Seconds that stand for one unit of energy: what the time would be without a search. */
  timeScale: number;
  /** Score that stands for one unit of energy: the whole gain that is asked for. */
  scoreScale: number;
  /** Energy of missing that whole gain, to begin with; it is tuned where a score is to be reached. */
  scorePenalty: number;
  mostMoves?: number;
}

export interface FoundPlacements {
  /** The best state of the run, then the best of each stretch of its end that reaches the score: near it, and different. */
  states: ChosenMove[][];
  /** The energy of missing the whole gain that a next run may begin with. */
  scorePenalty: number;
}

/** Energy of a node's excess over the time allowed, relative to it. */
const EXCESS_PENALTY = 4;
/** Weight of the time where the score alone is asked for: enough to choose the shorter of two equal ways. */
const TIME_BESIDE_SCORE = 0.02;
/** Part of the gain by which the search aims below the score asked for, so that it is reached and not nearly. */
const SCORE_MARGIN = 2e-5;
/** How often a proposal takes a chosen move back, when there is one. */
const TAKE_BACK = 0.15;
/** How often a proposal changes two instances at once: one against another leaves the counts that rule the score. */
const PAIRED = 0.7;
const TAKE_BACK_BESIDE = 0.35;
const SAME_KIND = 0.5;
const NEAR_TARGET = 0.7;
/** Kinds of move are drawn in proportion to their seconds to minus this power. */
const QUICK_FIRST = 0.7;
/**
 * Where a score is to be reached, missing it is made dearer while less than half of the states reach it, and cheaper
 * while more do: dear enough, and no dearer, for then the walk is free to pass through states that miss it. So often in
 * a run at most; not before every instance was proposed so often; by which power of e at most; and how fast the
 * temperature follows the time of the states.
 */
const TUNINGS = 1000;
const SWEEPS_BETWEEN_TUNINGS = 4;
const TUNING_STEP = 0.1;
const FOLLOWING = 0.1;
/** Least share of the scale of the time that the temperature follows, while nothing has moved yet. */
const LEAST_TIME = 0.01;
/** Weight of all moves' seconds, a node, beside the busiest nodes: of equal times the one of fewer and shorter moves. */
const ALL_MOVES_WEIGHT = 0.3;
/** Energy by which a state that reaches the score goes before any that does not. */
const REACHED = 1e6;
/** The end of a run, as a part of it, and the stretches of it whose best states are all given back. */
const END_PART = 0.4;
const STRETCHES = 5;
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

  run(goal: SearchGoal, settings: PlacementSearchOptions): FoundPlacements {
    const { fixed } = settings;
    const walk = new Walk(this.#start, this.#options, this.#prices, goal, settings, {
      movable: fixed === undefined ? this.#movable : this.#movable.filter((i) => !fixed.has(i)),
      targets: this.#targets,
      mayGo: (i, kind, x) => this.#mayGo(i, kind, x),
      kindsOf: (i) => this.#kindsOf(i),
    });
    return walk.run();
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
    return kind === FAILOVER || primaryAfter(kind, p, s, x) === s || may(s, x);
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

const noChange = (): Change => ({ i: -1, kind: -1, target: -1, seconds: 0 });

/**
 * One annealing run. A change is weighed before it is made: by the time that it adds, which needs no placement, then by
 * the checks, then by the score; most fall at the first.
 */
class Walk {
  readonly #start: GroupModel;
  readonly #prices: MovePrices;
  readonly #goal: SearchGoal;
  readonly #settings: PlacementSearchOptions;
  /** Offline nodes are let go early where nodes take part in one move at a time. */
  readonly #releasesEarly: boolean;
  readonly #choices: Choices;
  readonly #board: ScoreBoard;
  readonly #trial: MoveTrial;
  readonly #kinds: Int8Array;
  readonly #targets: Int32Array;
  readonly #seconds: Float64Array;
  readonly #busy: BusyNodes;
  readonly #best: Best;
  /** The best of each stretch of the run's end. */
  readonly #stretches: Best[] = [];
  /** Instances by each of their nodes at the start. */
  readonly #neighbours: readonly (readonly number[])[];
  readonly #first = noChange();
  readonly #second = noChange();
  readonly #undo = new UndoRecord();
  readonly #changes = new NodeChanges();
  /** How many chosen moves touch each node; and the N+1 flags of those that none touches. */
  readonly #touches: Int32Array;
  readonly #loadedFlags: Uint8Array;
  /** How many chosen moves bring something new to each node: a new instance, or one with another role or other node. */
  readonly #arrivals: Int32Array;
  #moved = 0;
  #movingSeconds = 0;
  #energy = 0;
  #penalty: number;
  #score = 0;

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
    this.#releasesEarly = (options.parallelPerNode ?? 1) === 1;
    this.#choices = choices;
    this.#penalty = settings.scorePenalty;
    this.#board = new ScoreBoard(start.copy());
    this.#trial = new MoveTrial(this.#board, options);
    this.#kinds = new Int8Array(start.instanceCount).fill(-1);
    this.#targets = new Int32Array(start.instanceCount).fill(-1);
    this.#seconds = new Float64Array(start.instanceCount);
    this.#busy = new BusyNodes(start.nodeCount, settings.timeScale, settings.busyPower);
    this.#best = new Best(start.instanceCount);
    this.#touches = new Int32Array(start.nodeCount);
    this.#arrivals = new Int32Array(start.nodeCount);
    this.#loadedFlags = Uint8Array.from(this.#touches, (_, k) => start.rows[k * ROW + FAILS_N1]!);
    const neighbours: number[][] = Array.from({ length: start.nodeCount }, () => []);
    for (const i of choices.movable) {
      neighbours[start.primary[i]!]!.push(i);
      if (start.secondary[i]! >= 0) neighbours[start.secondary[i]!]!.push(i);
    }
    this.#neighbours = neighbours;
  }

  run(): FoundPlacements {
    const { random, proposals, from = [], hottest, coldest } = this.#settings;
    const { movable } = this.#choices;
    const { targetScore } = this.#goal;
    if (movable.length === 0) return { states: [[]], scorePenalty: this.#penalty };
    let left = from.map(({ instance, kind, target, seconds }) => ({ i: instance, kind, target, seconds }));
    // One may fit only when another has made room.
    for (let before = Infinity; left.length > 0 && left.length < before;) {
      before = left.length;
      left = left.filter((change) => !this.#makeIfWithin(change, undefined, Infinity));
    }
    this.#refresh();
    this.#keepBest();
    const cooling = (coldest / hottest) ** (1 / Math.max(1, proposals));
    const tuned = targetScore !== -Infinity;
    const tuneEvery = Math.max(Math.ceil(proposals / TUNINGS), SWEEPS_BETWEEN_TUNINGS * movable.length);
    const stretch = Math.ceil((proposals * END_PART) / STRETCHES);
    let temperature = hottest;
    let unit = tuned && from.length > 0 ? this.#timeNow() : 1;
    let reached = 0;
    let accepted = 0;
    for (let step = 1; step <= proposals; step++) {
      temperature *= cooling;
      if (tuned && step % stretch === 0 && step >= proposals * (1 - END_PART))
        this.#stretches.push(new Best(this.#start.instanceCount));
      if (tuned && this.#score <= targetScore) reached += 1;
      if (tuned && step % tuneEvery === 0) {
        this.#penalty *= Math.exp(TUNING_STEP * (1 - (2 * reached) / tuneEvery));
        reached = 0;
        this.#refresh();
        unit += FOLLOWING * (Math.max(this.#timeNow(), LEAST_TIME) - unit);
      }
      if (!this.#propose(this.#drawInstance())) continue;
      const second = random() < PAIRED && this.#proposeBeside() ? this.#second : undefined;
      // The energy that an accepted state may have: Metropolis' rule with its chance drawn first.
      const limit = this.#energy - temperature * unit * Math.log(1 - random());
      if (!this.#makeIfWithin(this.#first, second, limit)) continue;
      accepted += 1;
      if (accepted % REFRESH_AFTER === 0) this.#refresh();
      this.#keepBest();
    }
    const ends = this.#stretches.filter(({ rank }) => rank < this.#best.rank + REACHED / 2);
    return { states: [this.#best, ...ends].map((best) => best.chosen()), scorePenalty: this.#penalty };
  }

  /** Sums and energy from the placement as it is. O(nodes). */
  #refresh(): void {
    this.#board.refresh();
    this.#score = this.#board.score;
    this.#energy = this.#timeNow() + this.#scoreEnergy(this.#score);
  }

  /** What is missing of the score. */
  #scoreEnergy(score: number): number {
    const { targetScore } = this.#goal;
    const { scoreScale } = this.#settings;
    if (targetScore === -Infinity) return score / scoreScale;
    return (this.#penalty * Math.max(0, score - targetScore + SCORE_MARGIN * scoreScale)) / scoreScale;
  }

  /** The largest score of that energy. */
  #scoreOfEnergy(energy: number): number {
    const { targetScore } = this.#goal;
    const { scoreScale } = this.#settings;
    if (targetScore === -Infinity) return energy * scoreScale;
    return targetScore - SCORE_MARGIN * scoreScale + (energy * scoreScale) / this.#penalty;
  }

  /** How long nodes are kept busy, with what is staged; `movingSeconds`: of all moves together. */
  #timeEnergy(movingSeconds: number): number {
    const { targetScore, busySeconds, gainPerHour } = this.#goal;
    const { timeScale, scoreScale } = this.#settings;
    const worth = gainPerHour === 0 ? 0 : (gainPerHour * movingSeconds) / 3600 / scoreScale;
    if (busySeconds !== Infinity) return EXCESS_PENALTY * this.#busy.excess(busySeconds) + worth;
    const busiest = this.#busy.mean() / timeScale;
    if (targetScore === -Infinity) return TIME_BESIDE_SCORE * busiest + worth;
    return busiest + (ALL_MOVES_WEIGHT * movingSeconds) / this.#start.nodeCount / timeScale + worth;
  }

  #timeNow(): number {
    return this.#timeEnergy(this.#movingSeconds);
  }

  #keepBest(): void {
    const { targetScore } = this.#goal;
    const reached = targetScore === -Infinity || this.#score <= targetScore;
    // Until the score is reached the least score counts; from then on the least time.
    const rank = targetScore === -Infinity ? this.#energy : reached ? this.#timeNow() - REACHED : this.#score;
    if (rank < this.#best.rank) this.#best.take(rank, this.#kinds, this.#targets, this.#seconds);
    const stretch = this.#stretches.at(-1);
    if (stretch !== undefined && rank < stretch.rank)
      stretch.take(rank, this.#kinds, this.#targets, this.#seconds);
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

  /** Writes a change of an instance into the first one. */
  #propose(i: number): boolean {
    const { random } = this.#settings;
    if (this.#kinds[i]! >= 0 && random() < TAKE_BACK) return takeBack(this.#first, i);
    const kind = this.#drawKind(i);
    const { targets } = this.#choices;
    return this.#price(this.#first, i, kind, targets[Math.floor(random() * targets.length)]!, this.#moved);
  }

  /** Writes a change near the first one into the second: of an instance that shares a node with it, often its target. */
  #proposeBeside(): boolean {
    const { random } = this.#settings;
    const first = this.#first;
    const kindBefore = this.#kinds[first.i]!;
    const nodes = this.#near;
    let count = 0;
    const add = (node: number): void => {
      if (node >= 0) nodes[count++] = node;
    };
    add(this.#start.primary[first.i]!);
    add(this.#start.secondary[first.i]!);
    add(first.target);
    add(this.#targets[first.i]!);
    const neighbours = this.#neighbours[nodes[Math.floor(random() * count)]!]!;
    if (neighbours.length === 0) return false;
    const i = neighbours[Math.floor(random() * neighbours.length)]!;
    if (i === first.i) return false;
    if (this.#kinds[i]! >= 0 && random() < TAKE_BACK_BESIDE) return takeBack(this.#second, i);
    const same =
      kindBefore >= 0 && random() < SAME_KIND && this.#choices.kindsOf(i).includes(kindBefore as MoveKind);
    const kind = same ? kindBefore : this.#drawKind(i);
    const { targets } = this.#choices;
    const target =
      random() < NEAR_TARGET
        ? nodes[Math.floor(random() * count)]!
        : targets[Math.floor(random() * targets.length)]!;
    const moved = this.#moved + (first.kind >= 0 ? 1 : 0) - (kindBefore >= 0 ? 1 : 0);
    return this.#price(this.#second, i, kind, target, moved);
  }

  readonly #near = new Int32Array(4);

  #price(into: Change, i: number, kind: number, x: number, moved: number): boolean {
    if (kind < 0) return false;
    const swap = kind === FAILOVER;
    const target = swap ? -1 : x;
    const { primary, secondary, online } = this.#start;
    if (!swap && (x === primary[i] || x === secondary[i] || online[x] === 0)) return false;
    const had = this.#kinds[i]!;
    if (kind === had && target === this.#targets[i]) return false;
    if (had < 0 && moved >= (this.#settings.mostMoves ?? Infinity)) return false;
    if (!this.#choices.mayGo(i, kind as MoveKind, target)) return false;
    const seconds = this.#prices.of(i, kind as MoveKind, target);
    if (!(seconds < Infinity)) return false;
    into.i = i;
    into.kind = kind;
    into.target = target;
    into.seconds = seconds;
    return true;
  }

  /**
   * Makes a change, or two at once, if the placement that they lead to passes the checks and its energy is not above
   * `limit`; where the second fails its checks, the first alone is weighed. O(1).
   */
  #makeIfWithin(first: Change, second: Change | undefined, limit: number): boolean {
    const busy = this.#busy;
    let moving = this.#movingSeconds + this.#stage(first) + (second === undefined ? 0 : this.#stage(second));
    let time = this.#timeEnergy(moving);
    if (time > limit) {
      busy.drop();
      return false;
    }
    const changes = this.#changes;
    const trial = this.#trial;
    changes.clear();
    if (!this.#allows(first)) {
      busy.drop();
      return false;
    }
    trial.measureInto(changes);
    let both = false;
    if (second !== undefined) {
      trial.place(this.#undo);
      both = this.#allows(second);
      if (both) trial.measureInto(changes);
      else {
        busy.drop();
        moving = this.#movingSeconds + this.#stage(first);
        time = this.#timeEnergy(moving);
      }
    }
    const { nodes, count, metrics, pairChange } = changes;
    const score =
      time > limit
        ? Infinity
        : this.#board.approximateWith(nodes, count, metrics, pairChange, this.#scoreOfEnergy(limit - time));
    const energy = time + this.#scoreEnergy(score);
    if (!(energy <= limit)) {
      busy.drop();
      if (both) this.#touch(second!, -1);
      if (second !== undefined) trial.takeBack(this.#undo);
      this.#touch(first, -1);
      return false;
    }
    if (second === undefined || both) trial.place(this.#undo);
    this.#board.shift(nodes, count, metrics, pairChange);
    busy.keep();
    this.#record(first);
    if (both) this.#record(second!);
    this.#movingSeconds = moving;
    this.#score = score;
    this.#energy = energy;
    return true;
  }

  /**
   * True if the placement of a change passes the checks: its rows are ready then, and its nodes counted as touched. A
   * node that was broken at the start and only loses instances needs no check: whoever stands there may stay.
   */
  #allows(change: Change): boolean {
    const { i, kind, target } = change;
    const p = this.#start.primary[i]!;
    const s = this.#start.secondary[i]!;
    const still = kind < 0;
    const primary = still ? p : primaryAfter(kind as MoveKind, p, s, target);
    const secondary = still ? s : secondaryAfter(kind as MoveKind, p, s, target);
    this.#countArrivals(i, this.#kinds[i]!, this.#targets[i]!, -1);
    const keepsPrimary = primary === p && this.#arrivals[p] === 0;
    const keepsSecondary = still && s >= 0 && this.#arrivals[s] === 0;
    this.#countArrivals(i, this.#kinds[i]!, this.#targets[i]!, 1);
    this.#trial.begin(i);
    if (!this.#trial.allowsPlacement(primary, secondary, keepsPrimary, keepsSecondary)) return false;
    this.#touch(change, 1);
    this.#trial.keepLoadedFlags(this.#touches, this.#loadedFlags);
    return true;
  }

  /** Counts what a move brings to its new nodes; -1: takes that back. A primary that stays is nothing new. */
  #countArrivals(i: number, kind: number, target: number, sign: 1 | -1): void {
    if (kind < 0) return;
    const p = this.#start.primary[i]!;
    const s = this.#start.secondary[i]!;
    const primary = primaryAfter(kind as MoveKind, p, s, target);
    const secondary = secondaryAfter(kind as MoveKind, p, s, target);
    if (primary !== p) this.#arrivals[primary]! += sign;
    if (secondary >= 0) this.#arrivals[secondary]! += sign;
  }

  /** The time that a change adds to each node, staged. Returns what it adds to the seconds of all moves. */
  #stage({ i, kind, target, seconds }: Change): number {
    const had = this.#seconds[i]!;
    const more = seconds - had;
    const hadKind = this.#kinds[i]!;
    const p = this.#start.primary[i]!;
    const s = this.#start.secondary[i]!;
    const before = this.#targets[i]!;
    const busy = this.#busy;
    busy.stage(p, this.#secondsOn(p, i, kind, seconds) - this.#secondsOn(p, i, hadKind, had));
    if (s >= 0) busy.stage(s, this.#secondsOn(s, i, kind, seconds) - this.#secondsOn(s, i, hadKind, had));
    if (target === before) {
      if (target >= 0) busy.stage(target, more);
    } else {
      if (before >= 0) busy.stage(before, -had);
      if (target >= 0) busy.stage(target, seconds);
    }
    return more;
  }

  /** Counts the nodes of a change as touched, and those of the move that it replaces not; -1: the other way round. */
  #touch({ i, kind, target }: Change, sign: 1 | -1): void {
    const p = this.#start.primary[i]!;
    const s = this.#start.secondary[i]!;
    const before = this.#targets[i]!;
    const more = sign * ((kind >= 0 ? 1 : 0) - (this.#kinds[i]! >= 0 ? 1 : 0));
    this.#touches[p]! += more;
    if (s >= 0) this.#touches[s]! += more;
    if (before >= 0) this.#touches[before]! -= sign;
    if (target >= 0) this.#touches[target]! += sign;
    this.#countArrivals(i, this.#kinds[i]!, before, -sign as 1 | -1);
    this.#countArrivals(i, kind, target, sign);
  }

  #record({ i, kind, target, seconds }: Change): void {
    this.#moved += (kind >= 0 ? 1 : 0) - (this.#kinds[i]! >= 0 ? 1 : 0);
    this.#kinds[i] = kind;
    this.#targets[i] = target;
    this.#seconds[i] = seconds;
  }

  /** Seconds that a move keeps one of its two old nodes: an offline one may be let go before the end. */
  #secondsOn(node: number, i: number, kind: number, seconds: number): number {
    if (kind < 0 || !this.#releasesEarly || !this.#start.isDead(node)) return seconds;
    const from = { fromPrimary: this.#start.primary[i]!, fromSecondary: this.#start.secondary[i]! };
    if (releasedNode(this.#start, { kind: kind as MoveKind, ...from }) !== node) return seconds;
    const failover = failsOverFirst(kind as MoveKind) ? this.#prices.typical(i, FAILOVER, -1) : 0;
    return Math.min(seconds, failover + MIRROR_SETUP_SECONDS);
  }
}

/** Writes into a change that an instance stays where it is. */
function takeBack(change: Change, i: number): true {
  change.i = i;
  change.kind = -1;
  change.target = -1;
  change.seconds = 0;
  return true;
}

/**
 * Seconds that each node is busy, with their power mean in a tree of sums: no rounding is left behind. Changes are
 * staged, looked at, and then kept or dropped.
 */
export class BusyNodes {
  readonly #seconds: Float64Array;
  readonly #unit: number;
  readonly #leaves: number;
  readonly #power: number;
  /** How often a number is squared to be taken to the power. */
  readonly #squarings: number;
  /** Sums of (seconds / unit)^power: the root at 1, the children of j at 2j and 2j + 1. */
  readonly #tree: Float64Array;
  /** Nodes of staged changes, what they were busy before, and their leaves with the changes. */
  readonly #stagedNodes = new Int32Array(MOST_STAGED);
  readonly #secondsBefore = new Float64Array(MOST_STAGED);
  #staged = 0;

  constructor(nodes: number, unit: number, power: number) {
    this.#power = power;
    this.#squarings = Math.log2(power);
    this.#seconds = new Float64Array(nodes);
    this.#unit = unit;
    this.#leaves = 2 ** Math.ceil(Math.log2(Math.max(2, nodes)));
    this.#tree = new Float64Array(2 * this.#leaves);
  }

  /** Stages a change of a node's seconds, on top of what is staged already. O(1). */
  stage(node: number, seconds: number): void {
    let t = 0;
    while (t < this.#staged && this.#stagedNodes[t] !== node) t += 1;
    if (t === this.#staged) {
      this.#stagedNodes[t] = node;
      this.#secondsBefore[t] = this.#seconds[node]!;
      this.#staged += 1;
    }
    this.#seconds[node] = Math.max(0, this.#seconds[node]! + seconds);
  }

  /** O(log nodes). */
  keep(): void {
    const tree = this.#tree;
    for (let t = 0; t < this.#staged; t++) {
      const node = this.#stagedNodes[t]!;
      let j = this.#leaves + node;
      tree[j] = this.#leaf(node);
      for (j >>= 1; j > 0; j >>= 1) tree[j] = tree[2 * j]! + tree[2 * j + 1]!;
    }
    this.#staged = 0;
  }

  drop(): void {
    for (let t = 0; t < this.#staged; t++) this.#seconds[this.#stagedNodes[t]!] = this.#secondsBefore[t]!;
    this.#staged = 0;
  }

  /** (Σ busy^power)^(1/power): a little above the busiest node. With what is staged. */
  mean(): number {
    const tree = this.#tree;
    let sum = tree[1]!;
    for (let t = 0; t < this.#staged; t++) {
      const node = this.#stagedNodes[t]!;
      sum += this.#leaf(node) - tree[this.#leaves + node]!;
    }
    return this.#unit * Math.max(0, sum) ** (1 / this.#power);
  }

  #leaf(node: number): number {
    let value = this.#seconds[node]! / this.#unit;
    for (let j = 0; j < this.#squarings; j++) value *= value;
    return value;
  }

  /** Sum of what nodes are busy beyond a limit, relative to it. With what is staged. */
  excess(limit: number): number {
    let sum = 0;
    for (const seconds of this.#seconds) if (seconds > limit) sum += seconds / limit - 1;
    return sum;
  }
}

/** Nodes that two changes keep busy at most: both nodes, the old and the new target of each. */
const MOST_STAGED = 8;

/** The best state seen. */
class Best {
  rank = Infinity;
  readonly #kinds: Int8Array;
  readonly #targets: Int32Array;
  readonly #seconds: Float64Array;

  constructor(instances: number) {
    this.#kinds = new Int8Array(instances).fill(-1);
    this.#targets = new Int32Array(instances);
    this.#seconds = new Float64Array(instances);
  }

  take(rank: number, kinds: Int8Array, targets: Int32Array, seconds: Float64Array): void {
    this.rank = rank;
    this.#kinds.set(kinds);
    this.#targets.set(targets);
    this.#seconds.set(seconds);
  }

  chosen(): ChosenMove[] {
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
}
