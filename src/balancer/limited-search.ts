import { mayFailOver, movableInstances, possibleKinds } from './candidates.js';
import type { GroupModel } from './group-model.js';
import { nodesOfMove } from './jobsets.js';
import { inOrder, type TimedMove } from './list-schedule.js';
import type { MovePrices } from './move-prices.js';
import { MoveTrial } from './move-trial.js';
import { FAILOVER, type Move } from './moves.js';
import { PlacementSearch, type ChosenMove } from './placement-search.js';
import { searchQueues } from './queue-search.js';
import { seededRandom, type Random } from './random.js';
import { ScoreBoard } from './score.js';
import type { SearchOptions } from './search-options.js';
import {
  MOST_MOVES,
  addMoves,
  busiestOfAll,
  lastEnd,
  noMoves,
  orderChosen,
  proposalsFor,
  replay,
  timedMove,
  timedSearch,
  type TimedPlan,
  type TimedResult,
} from './timed-search.js';

/** What a plan must gain beside its score, and how long is searched for it. */
export interface LimitedSettings {
  seed: number;
  /** Multiplies how long is searched; 1 is usual. */
  effort?: number;
  /** Least score gain per hour of moving; 0: any gain is worth any time. */
  gainPerHour?: number;
}

/**
 * Rungs of the ladder of times for each doubling: with four no limit is more than a fifth above a rung. Large groups, where
 * each takes long, have fewer.
 */
const MOST_RUNGS_AN_OCTAVE = 4;
/** Up to so many movable instances. */
const INSTANCES_OF_MOST_RUNGS = 500;
/** Beyond the time of the plan without a limit few moves gain: so many rungs, so many times apart. What is longer is open. */
const LATE_RUNGS = 3;
const LATE_STEP = 4;
/** No rung is lower than this, whatever moves cost. */
const LOWEST_RUNG_SECONDS = 0.1;
/** Proposals of a rung's runs, as a part of the usual: each goes on from the best below it, and low rungs have few moves to find. */
const MOST_PART = 1 / 3;
const LEAST_PART = 1 / 32;
/** Temperatures of runs from nothing, from the best below and after a repair, in units of the energy, to be divided by the nodes. */
const HOTTEST = 1;
const HOTTEST_ON = 0.3;
const HOTTEST_REPAIR = 0.03;
const COLDEST = 1e-3;
const BUSY_POWER = 8;
/** Runs that make up for what no order allows, or none in time; their proposals, as a part of the first run's. */
const REPAIRS = 3;
const REPAIR_PART = 0.5;
/** Least part of a time that nodes are asked to be busy for, so that the order of their moves ends in it. */
const LEAST_BUSY = 0.5;
/** Orders that are tried, as a part of the usual: queues are made better afterwards. */
const ORDERS_PART = 0.25;
/** Moves and nodes that the queues of a doubling's rungs may be read over: some seconds at most. */
const QUEUE_WORK = 5_000_000;
/** Of it, the part for times that are not short, where queues matter less. */
const LATE_FILL = 1 / 4;
/** The same for what a change of a queue costs beside its moves and nodes. */
const CHANGE_WORK = 20;
/** Candidates that may be looked at for further moves of a doubling. */
const OCTAVE_CANDIDATES = 1_000_000;

/** The first moves of a plan to end. */
interface Step {
  count: number;
  /** When the last of them ends. */
  seconds: number;
  /** What they are worth, the less the better. */
  cost: number;
}

/** Moves in their order, and the best of what has ended by each moment: every step is better than those before. */
interface Staircase {
  moves: readonly Move[];
  /** Indexes into the moves by when they end. */
  byEnd: number[];
  steps: Step[];
}

/**
 * The best plans within any time, of one cluster. The plan without a limit, and plans for the rungs of a ladder of times
 * that is the same for every limit, are made once: annealing for which moves to make, from nothing and from the best so
 * far, then for the queue that they fill the time with, then further moves while there is time. Of all that ends in time
 * the best is taken. So a plan is never worse than what fits of the plan without a limit, and for more time there is only
 * more to choose from.
 */
export class LimitedSearch {
  readonly #start: GroupModel;
  readonly #options: SearchOptions;
  readonly #prices: MovePrices;
  readonly #settings: Required<LimitedSettings>;
  readonly #random: Random;
  readonly #openRandom: Random;
  readonly #scoreBefore: number;
  readonly #mostMoves: number;
  readonly #movable: readonly number[];
  readonly #search: PlacementSearch;
  #whole: TimedResult | undefined;
  #stairsOfWhole: Staircase | undefined;
  /** By rung, from the lowest. */
  readonly #ladder: { seconds: number; stairs: Staircase[] }[] = [];
  #isLadderDone = false;
  readonly #lowestRung: number;
  readonly #rungsAnOctave: number;

  constructor(start: GroupModel, options: SearchOptions, prices: MovePrices, settings: LimitedSettings) {
    this.#start = start;
    this.#options = options;
    this.#prices = prices;
    this.#settings = { effort: 1, gainPerHour: 0, ...settings };
    this.#random = seededRandom(settings.seed);
    this.#openRandom = seededRandom(settings.seed + 1);
    this.#scoreBefore = new ScoreBoard(start).score;
    this.#mostMoves = options.maxLength > 0 ? options.maxLength : MOST_MOVES;
    this.#movable = movableInstances(start, options);
    this.#search = new PlacementSearch(start, options, prices);
    this.#rungsAnOctave = rungsAnOctave(this.#movable.length);
    this.#lowestRung = Math.max(LOWEST_RUNG_SECONDS, quickestMove(start, options, prices, this.#movable));
  }

  /** Of the plan without a limit; a scale. */
  get #usualSeconds(): number {
    return this.whole.seconds || busiestOfAll(this.#start, this.#movable, this.#prices);
  }

  /** The plan without a limit. */
  get whole(): TimedResult {
    const { seed, effort } = this.#settings;
    return (this.#whole ??= timedSearch(this.#start, this.#options, this.#prices, { seed, effort }));
  }

  /** The best plan whose moves end within so many seconds; Infinity: whenever. */
  within(maxSeconds: number): TimedPlan {
    const { optimum } = this.#start;
    const isBalanced = !(this.#scoreBefore - optimum >= this.#options.minScore);
    if (isBalanced || this.#movable.length === 0 || this.#options.maxLength === 0)
      return noMoves(this.#scoreBefore);
    return this.#bestPart([this.#wholeStairs(), ...this.#rungsUpTo(maxSeconds)], maxSeconds);
  }

  /** The best part of a plan that ends in time, where its moves end at other times than those of the prices. */
  partOf(moves: readonly Move[], ends: Float64Array, maxSeconds: number): TimedPlan {
    const stairs = this.#stairsOf(moves, { ends, byHbalsRules: true });
    const step = stairs.steps.findLast(({ seconds }) => seconds <= maxSeconds);
    return step === undefined ? noMoves(this.#scoreBefore) : this.#partTo(step, stairs);
  }

  /** Moves of a plan in an order that they can be made in → the same with its score and its time. */
  replay(moves: readonly Move[]): TimedPlan {
    return replay(this.#start, moves, this.#prices, this.#options);
  }

  /** True where one plan is better than another, by what it is worth and then by its time. */
  isBetter(a: TimedPlan, b: TimedPlan): boolean {
    const more = this.#costOf(a.score, a.movingSeconds) - this.#costOf(b.score, b.movingSeconds);
    return more < 0 || (more === 0 && a.seconds < b.seconds);
  }

  /** What a plan is worth, the less the better: its score, and the gain that its hours of moving have to bring. */
  #costOf(score: number, movingSeconds: number): number {
    const floor = this.#start.optimum + this.#options.minScore;
    return Math.max(score, floor) + (this.#settings.gainPerHour * movingSeconds) / SECONDS_AN_HOUR;
  }

  /** The best of the parts that end in time. */
  #bestPart(all: readonly Staircase[], maxSeconds: number): TimedPlan {
    const parts = all.flatMap((stairs) =>
      stairs.steps.filter(({ seconds }) => seconds <= maxSeconds).map((step) => ({ step, stairs })),
    );
    parts.sort(({ step: a }, { step: b }) => a.cost - b.cost || a.seconds - b.seconds);
    for (const { step, stairs } of parts) {
      const part = this.#partTo(step, stairs);
      // With several moves at once on a node, what is left may end later than it did beside the others.
      if (part.seconds <= maxSeconds) return part;
    }
    return noMoves(this.#scoreBefore);
  }

  /** The moves of a plan that have ended by a step: what each waits for is among them. */
  #partTo({ count }: Step, { moves, byEnd }: Staircase): TimedPlan {
    const isMade = new Set(byEnd.slice(0, count));
    return this.replay(moves.filter((_move, m) => isMade.has(m)));
  }

  /** `byHbalsRules`: the plan keeps to `-g` as hbal does already. */
  #stairsOf(
    moves: readonly Move[],
    {
      ends = this.#endsOf(moves),
      byHbalsRules = false,
    }: { ends?: Float64Array; byHbalsRules?: boolean } = {},
  ): Staircase {
    const { minGain, minGainLimit, ignoreSoftErrors } = this.#options;
    const byEnd = [...moves.keys()].sort((a, b) => ends[a]! - ends[b]! || a - b);
    const inTurn = byEnd.map((m) => moves[m]!);
    const scores = scoresOf(this.#start, inTurn, ignoreSoftErrors);
    const steps: Step[] = [];
    let least = this.#costOf(this.#scoreBefore, 0);
    let movingSeconds = 0;
    let last = { count: 0, score: this.#scoreBefore };
    scores.forEach((score, at) => {
      movingSeconds += timedMove(this.#start, this.#prices, inTurn[at]!).seconds;
      const count = at + 1;
      const cost = this.#costOf(score, movingSeconds);
      const gainsEnough =
        byHbalsRules || last.score > minGainLimit || last.score - score >= minGain * (count - last.count);
      if (!(cost < least) || !gainsEnough) return;
      least = cost;
      last = { count, score };
      steps.push({ count, seconds: ends[byEnd[at]!]!, cost });
    });
    return { moves, byEnd, steps };
  }

  /** When each move ends. */
  #endsOf(moves: readonly Move[]): Float64Array {
    const { ignoreSoftErrors, parallelPerNode = 1 } = this.#options;
    const timed = moves.map((move) => timedMove(this.#start, this.#prices, move));
    const ends = new Float64Array(moves.length);
    if (parallelPerNode === 1) lastEnd(this.#start, timed, ends);
    else {
      const order = inOrder(this.#start, timed, { ignoreSoftErrors, parallelPerNode });
      ends.fill(Infinity);
      order.sequence.forEach((m, t) => (ends[m] = order.ends[t]!));
    }
    return ends;
  }

  #wholeStairs(): Staircase {
    return (this.#stairsOfWhole ??= this.#stairsOf(this.whole.moves, { byHbalsRules: true }));
  }

  /** What is found for the rungs below a time and the first above it, and beyond the last one, where time is not short. */
  #rungsUpTo(maxSeconds: number): Staircase[] {
    if (!(maxSeconds >= this.#lowestRung) || this.#lowestRung === Infinity) return [];
    const ladder = this.#ladder;
    while (!this.#isLadderDone && !(this.#highestRung >= maxSeconds)) {
      const seconds = this.#nextRung();
      const stairs = this.#makeRung(seconds);
      const best = this.#bestPart([this.#wholeStairs(), ...this.#found(), ...stairs], seconds);
      ladder.push({ seconds, stairs });
      const isLast = seconds >= this.#usualSeconds * LATE_STEP ** (LATE_RUNGS - 1);
      this.#isLadderDone = isLast || (best.seconds < seconds / 2 && this.whole.seconds < seconds);
      if (this.#isLadderDone)
        stairs.push(this.#stairsOf(this.#goOn(best, Infinity).moves), ...this.#openRuns());
    }
    return this.#found(ladder.filter(({ seconds }) => seconds < maxSeconds).length + 1);
  }

  /** What is found for the lowest rungs. */
  #found(count = this.#ladder.length): Staircase[] {
    return this.#ladder.slice(0, count).flatMap(({ stairs }) => stairs);
  }

  get #highestRung(): number {
    return this.#ladder.at(-1)?.seconds ?? 0;
  }

  /** Seconds of the rung above the highest: the same for every limit. */
  #nextRung(): number {
    const highest = this.#highestRung;
    if (highest === 0) return this.#lowestRung;
    return highest * (highest < this.#usualSeconds ? 2 ** (1 / this.#rungsAnOctave) : LATE_STEP);
  }

  /** What is found for one rung. */
  #makeRung(seconds: number): Staircase[] {
    const rungs = this.#rungsAnOctave;
    const below = [this.#wholeStairs(), ...this.#found()];
    const best = this.#bestPart(below, seconds);
    // The less time, the fewer moves there are to choose.
    const share = Math.min(1, seconds / this.#usualSeconds);
    const most = Math.min(MOST_PART, 1 / rungs);
    const part = Math.max(LEAST_PART, share * most);
    const from = rungs > 1 ? [noMoves(this.#scoreBefore), best] : [best];
    const climbed = from.flatMap((plan) => this.#climb(seconds, plan, Math.sqrt(share) * most));
    const stairs = climbed.map((moves) => this.#stairsOf(moves));
    const known = [best.moves, this.whole.moves, ...climbed].flat();
    const filled = share < 1 ? part : part * LATE_FILL;
    for (const moves of climbed)
      stairs.push(...this.#fill(moves, known, seconds, filled / 2 / climbed.length));
    const fullest = this.#bestPart([...below, ...stairs], seconds);
    stairs.push(...this.#fill(fullest.moves, known, seconds, filled / 2));
    const soFar = this.#bestPart([...below, ...stairs], seconds);
    const longer = this.#goOn(soFar, seconds, OCTAVE_CANDIDATES / rungs);
    if (longer !== soFar) stairs.push(this.#stairsOf(longer.moves));
    return stairs;
  }

  /** Runs for any time draw from a stream of their own: they do not hang on how many rungs there were. */
  #randomFor(maxSeconds: number): Random {
    return maxSeconds === Infinity ? this.#openRandom : this.#random;
  }

  /** Plans that are over in time, and in less, from moves in their order; `known`: moves that are good in other plans. */
  #fill(moves: readonly Move[], known: readonly Move[], maxSeconds: number, part: number): Staircase[] {
    const { parallelPerNode = 1 } = this.#options;
    if (parallelPerNode > 1) return [];
    const timed = (move: Move): TimedMove => timedMove(this.#start, this.#prices, move);
    const work = QUEUE_WORK * Math.min(1, INSTANCES_OF_MOST_RUNGS / this.#movable.length);
    const proposals = (part * work) / (CHANGE_WORK + moves.length + this.#start.nodeCount);
    const plans = searchQueues(
      this.#start,
      this.#options,
      { maxSeconds, mostMoves: this.#mostMoves, costOf: (score, moving) => this.#costOf(score, moving) },
      {
        given: moves.map(timed),
        known: known.map(timed),
        proposals: Math.floor(this.#settings.effort * proposals),
        random: this.#randomFor(maxSeconds),
        timedMove: timed,
      },
    );
    return plans.map((plan) => this.#stairsOf(plan));
  }

  /** Runs for any time: from nothing, and from the plan without a limit. */
  #openRuns(): Staircase[] {
    const from = [noMoves(this.#scoreBefore), this.replay(this.whole.moves)];
    const climbed = from.flatMap((plan) =>
      this.#climb(Infinity, plan, 1).map((moves) => this.#stairsOf(moves)),
    );
    const all = [this.#wholeStairs(), ...climbed];
    all.push(...this.#fill(this.#bestPart(all, Infinity).moves, this.whole.moves, Infinity, LATE_FILL));
    const best = this.#bestPart(all, Infinity);
    return [...all, this.#stairsOf(this.#goOn(best, Infinity).moves)];
  }

  /**
   * Annealing for the best score within a time, from the moves of a plan. Where an order ends late, nodes are asked to
   * be less busy; moves that wait for each other in a circle are left out; and another run makes up for both.
   */
  #climb(maxSeconds: number, from: TimedPlan, part: number): Move[][] {
    const { effort, gainPerHour } = this.#settings;
    const perNode = Math.max(1, this.#start.onlineCount);
    const fixed = new Set<number>();
    const found: Move[][] = [];
    let busySeconds = maxSeconds;
    let chosen: readonly ChosenMove[] = this.#chosenOf(from);
    for (let run = 0; run <= REPAIRS; run++) {
      const { states } = this.#search.run(
        { targetScore: -Infinity, busySeconds, gainPerHour },
        {
          proposals: Math.floor((run === 0 ? 1 : REPAIR_PART) * part * proposalsFor(this.#movable, effort)),
          random: this.#randomFor(maxSeconds),
          from: chosen,
          fixed,
          hottest: (run > 0 ? HOTTEST_REPAIR : chosen.length > 0 ? HOTTEST_ON : HOTTEST) / perNode,
          coldest: COLDEST / perNode,
          busyPower: BUSY_POWER,
          timeScale: Math.max(1e-9, Math.min(maxSeconds, this.#usualSeconds)),
          scoreScale: Math.max(1e-9, this.#scoreBefore - this.#start.optimum),
          scorePenalty: 1,
          mostMoves: this.#mostMoves,
        },
      );
      const state = states[0]!;
      const order = orderChosen(this.#start, this.#options, this.#prices, state, effort * ORDERS_PART);
      found.push(order.moves);
      if (order.stuck.length === 0 && order.makespan <= maxSeconds) break;
      for (const c of order.stuck) fixed.add(state[c]!.instance);
      chosen = state.filter(({ instance }) => !fixed.has(instance));
      if (maxSeconds < Infinity)
        busySeconds = Math.max(
          LEAST_BUSY * maxSeconds,
          Math.min(busySeconds, (busySeconds * maxSeconds) / order.makespan),
        );
    }
    return found;
  }

  /** The moves of the instances that a plan moves once, which is all that annealing can begin with. */
  #chosenOf({ moves }: TimedPlan): ChosenMove[] {
    const times = new Int32Array(this.#start.instanceCount);
    for (const { instance } of moves) times[instance]! += 1;
    return moves
      .filter(({ instance }) => times[instance] === 1)
      .map(({ instance, kind, target }) => ({
        instance,
        kind,
        target,
        seconds: this.#prices.typical(instance, kind, target),
      }));
  }

  /** Further moves, one after another, while one gains enough and ends in time. */
  #goOn(plan: TimedPlan, maxSeconds: number, mostCandidates?: number): TimedPlan {
    const { minScore, minGain, minGainLimit } = this.#options;
    const freeAt = new Float64Array(this.#start.nodeCount);
    const ends = this.#endsOf(plan.moves);
    const hold = (move: Move, end: number): void => {
      for (const node of nodesOfMove(move)) freeAt[node] = Math.max(freeAt[node]!, end);
    };
    plan.moves.forEach((move, m) => hold(move, ends[m]!));
    const freeFor = (primary: number, secondary: number, target: number): number =>
      Math.max(freeAt[primary]!, freeAt[secondary] ?? 0, freeAt[target] ?? 0);
    const longer = addMoves(this.#start, this.#options, this.#prices, plan, {
      mostMoves: this.#mostMoves,
      mostCandidates,
      isWanted: (score) => score > this.#start.optimum + minScore,
      mayFollow: ({ primary, secondary }, i, kind, target) =>
        freeFor(primary[i]!, secondary[i]!, target) + this.#prices.typical(i, kind, target) <= maxSeconds,
      isWorth: (gain, seconds, score) =>
        (score > minGainLimit || gain >= minGain) &&
        gain > (this.#settings.gainPerHour * seconds) / SECONDS_AN_HOUR,
      onAdded: (move, seconds) =>
        hold(move, freeFor(move.fromPrimary, move.fromSecondary, move.target) + seconds),
    });
    return longer.seconds <= maxSeconds ? longer : plan;
  }
}

const SECONDS_AN_HOUR = 3600;

const rungsAnOctave = (instances: number): number =>
  Math.max(1, Math.floor(MOST_RUNGS_AN_OCTAVE * Math.min(1, INSTANCES_OF_MOST_RUNGS / instances)));

/**
 * The score after each move. It is computed whole so often only that this costs no more than the moves do: after each one
 * in small groups.
 */
function scoresOf(start: GroupModel, moves: readonly Move[], ignoreSoftErrors: boolean): number[] {
  const board = new ScoreBoard(start.copy());
  const trial = new MoveTrial(board, { ignoreSoftErrors });
  const refreshAfter = 1 + Math.floor(start.nodeCount / NODES_A_MOVE);
  return moves.map(({ instance, kind, target }, m) => {
    trial.begin(instance);
    trial.insist(kind, target);
    trial.measure();
    trial.settle();
    if ((m + 1) % refreshAfter === 0) board.refresh();
    return board.score;
  });
}

/** Nodes whose rows are read in the time that a move takes to be tried and made. */
const NODES_A_MOVE = 50;

/** Seconds of the quickest move that anyone may make; Infinity where nobody may. */
function quickestMove(
  start: GroupModel,
  options: SearchOptions,
  prices: MovePrices,
  movable: readonly number[],
): number {
  let least = Infinity;
  for (const i of movable) {
    const kinds = possibleKinds(start, i, options);
    if (mayFailOver(start, i, options)) least = Math.min(least, prices.typical(i, FAILOVER, -1));
    for (const kind of kinds) least = Math.min(least, prices.least(i, kind));
  }
  return least;
}
