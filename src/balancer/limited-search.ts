import { mayFailOver, movableInstances, possibleKinds } from './candidates.js';
import type { GroupModel } from './group-model.js';
import { nodesOfMove } from './jobsets.js';
import { inOrder } from './list-schedule.js';
import type { MovePrices } from './move-prices.js';
import { FAILOVER, type Move } from './moves.js';
import { PlacementSearch, type ChosenMove } from './placement-search.js';
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
  playMoves,
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
const INSTANCES_OF_MOST_RUNGS = 1000;
/** Proposals of the annealing runs of a doubling, as a part of the usual: each goes on from the best below it. */
const OCTAVE_PART = 1;
/** Candidates that may be looked at for further moves of a doubling. */
const OCTAVE_CANDIDATES = 4_000_000;
/** Temperatures of such a run, in units of the energy, to be divided by the nodes. */
const HOTTEST = 1;
const COLDEST = 0.01;
const BUSY_POWER = 8;

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
 * The best plans within any time, of one cluster. The plan without a limit, and plans of annealing for the rungs of a
 * ladder of times that is the same for every limit, are made once, each rung from the best so far and going on with further
 * moves while there is time; of all that ends in time the best is taken. So a plan is never worse than what fits of the
 * plan without a limit, and for more time there is only more to choose from.
 */
export class LimitedSearch {
  readonly #start: GroupModel;
  readonly #options: SearchOptions;
  readonly #prices: MovePrices;
  readonly #settings: Required<LimitedSettings>;
  readonly #random: Random;
  readonly #scoreBefore: number;
  readonly #mostMoves: number;
  readonly #movable: readonly number[];
  readonly #search: PlacementSearch;
  #whole: TimedResult | undefined;
  #stairsOfWhole: Staircase | undefined;
  /** By rung, from the lowest. */
  readonly #ladder: Staircase[][] = [];
  #isLadderDone = false;
  readonly #lowestRung: number;
  readonly #rungsAnOctave: number;
  #open: Staircase[] | undefined;

  constructor(start: GroupModel, options: SearchOptions, prices: MovePrices, settings: LimitedSettings) {
    this.#start = start;
    this.#options = options;
    this.#prices = prices;
    this.#settings = { effort: 1, gainPerHour: 0, ...settings };
    this.#random = seededRandom(settings.seed);
    this.#scoreBefore = new ScoreBoard(start).score;
    this.#mostMoves = options.maxLength > 0 ? options.maxLength : MOST_MOVES;
    this.#movable = movableInstances(start, options);
    this.#search = new PlacementSearch(start, options, prices);
    this.#rungsAnOctave = rungsAnOctave(this.#movable.length);
    this.#lowestRung = quickestMove(start, options, prices, this.#movable);
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
    const found = maxSeconds === Infinity ? this.#openRuns() : this.#rungsUpTo(maxSeconds);
    return this.#bestPart([this.#wholeStairs(), ...found], maxSeconds);
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
    const played = playMoves(this.#start.copy(), inTurn, ignoreSoftErrors);
    const steps: Step[] = [];
    let least = this.#costOf(this.#scoreBefore, 0);
    let movingSeconds = 0;
    let last = { count: 0, score: this.#scoreBefore };
    played.steps.forEach(({ move, score }, at) => {
      movingSeconds += timedMove(this.#start, this.#prices, move).seconds;
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
    const rungs = this.#rungsAnOctave;
    const needed = Math.max(0, 1 + Math.ceil(rungs * Math.log2(maxSeconds / this.#lowestRung)));
    const ladder = this.#ladder;
    while (ladder.length < needed && !this.#isLadderDone) {
      const seconds = this.#lowestRung * 2 ** (ladder.length / rungs);
      const below = [this.#wholeStairs(), ...ladder.flat()];
      const climbed = this.#climb(seconds, this.#bestPart(below, seconds), OCTAVE_PART / rungs);
      const best = this.#bestPart([...below, climbed], seconds);
      const rung = [climbed, this.#stairsOf(this.#goOn(best, seconds, OCTAVE_CANDIDATES / rungs).moves)];
      ladder.push(rung);
      this.#isLadderDone = best.seconds < seconds / 2 && this.whole.seconds < seconds;
      if (this.#isLadderDone) rung.push(this.#stairsOf(this.#goOn(best, Infinity).moves));
    }
    return ladder.slice(0, needed).flat();
  }

  /** Runs for any time: from nothing, and from the plan without a limit. */
  #openRuns(): Staircase[] {
    if (this.#open === undefined) {
      const from = [noMoves(this.#scoreBefore), this.replay(this.whole.moves)];
      const climbed = from.map((plan) => this.#climb(Infinity, plan, 1));
      const best = this.#bestPart([this.#wholeStairs(), ...climbed], Infinity);
      this.#open = [...climbed, this.#stairsOf(this.#goOn(best, Infinity).moves)];
    }
    return this.#open;
  }

  /** Annealing for the best score within a time, from the moves of a plan. */
  #climb(busySeconds: number, from: TimedPlan, part: number): Staircase {
    const { effort, gainPerHour } = this.#settings;
    const perNode = Math.max(1, this.#start.onlineCount);
    const usual = this.whole.seconds || busiestOfAll(this.#start, this.#movable, this.#prices);
    const { states } = this.#search.run(
      { targetScore: -Infinity, busySeconds, gainPerHour },
      {
        proposals: Math.floor(part * proposalsFor(this.#movable, effort)),
        random: this.#random,
        from: this.#chosenOf(from),
        hottest: HOTTEST / perNode,
        coldest: COLDEST / perNode,
        busyPower: BUSY_POWER,
        timeScale: Math.max(1e-9, Math.min(busySeconds, usual)),
        scoreScale: Math.max(1e-9, this.#scoreBefore - this.#start.optimum),
        scorePenalty: 1,
        mostMoves: this.#mostMoves,
      },
    );
    const order = orderChosen(this.#start, this.#options, this.#prices, states[0]!, effort);
    return this.#stairsOf(order.moves);
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
    for (const target of start.nodes.keys())
      for (const kind of kinds) least = Math.min(least, prices.of(i, kind, target));
  }
  return least;
}
