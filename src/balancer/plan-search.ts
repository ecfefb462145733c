import type { GroupModel } from './group-model.js';
import { LimitedSearch } from './limited-search.js';
import type { MoveCosts } from './move-costs.js';
import { MovePrices } from './move-prices.js';
import type { Move } from './moves.js';
import { buildPlan, type BuiltPlan } from './plan-builder.js';
import type { SearchOptions } from './search-options.js';
import type { TimedPlan } from './timed-search.js';
import { whyNothing } from './why-nothing.js';

export interface PlanSearchSettings {
  seed: number;
  /** Multiplies how long is searched; 1 is usual. */
  effort: number;
  /** Which predicted duration is counted with, 0.1 to 0.9. */
  quantile: number;
  /** Least score gain per hour of moving; undefined: the plan goes for hbal's score, whatever it takes. */
  maxGainCost?: number | undefined;
}

/** Moves as they were found, and the plan that is made of them. */
export interface FoundPlan {
  moves: readonly Move[];
  built: BuiltPlan;
}

/** Plans are searched for so many times at most until one fills the time given and no more. */
const TRIES = 4;
/** A plan whose median ends within so much of the limit fills it. */
const NEAR = 0.02;

/**
 * Plans from one placement, without a limit or within times, by the durations of `costs`. What is searched for one of
 * them is there for the next one.
 */
export class PlanSearch {
  readonly #start: GroupModel;
  readonly #options: SearchOptions;
  readonly #costs: MoveCosts;
  readonly #prices: MovePrices;
  readonly #settings: PlanSearchSettings;
  readonly #search: LimitedSearch;

  private constructor(
    start: GroupModel,
    options: SearchOptions,
    costs: MoveCosts,
    prices: MovePrices,
    settings: PlanSearchSettings,
  ) {
    this.#start = start;
    this.#options = options;
    this.#costs = costs;
    this.#prices = prices;
    this.#settings = settings;
    const { seed, effort, maxGainCost: gainPerHour = 0 } = settings;
    this.#search = new LimitedSearch(start, options, prices, { seed, effort, gainPerHour });
  }

  /** Asks for the durations of all moves; `start` is left as it is. */
  static async ask(
    start: GroupModel,
    options: SearchOptions,
    costs: MoveCosts,
    settings: PlanSearchSettings,
  ): Promise<PlanSearch> {
    const others = (options.parallelPerNode ?? 1) - 1;
    const prices = await MovePrices.ask(start, costs, settings.quantile, others);
    return new PlanSearch(start, options, costs, prices, settings);
  }

  /** A plan whose median ends within so many seconds, always; undefined: whenever. */
  async plan(maxSeconds: number | undefined): Promise<FoundPlan> {
    const { maxGainCost: gainPerHour } = this.#settings;
    const search = this.#search;
    const moves =
      maxSeconds !== undefined
        ? (await this.#within(maxSeconds)).moves
        : gainPerHour === undefined
          ? search.whole.moves
          : search.within(Infinity).moves;
    const remarks = maxSeconds === undefined && gainPerHour === undefined ? search.whole.remarks : [];
    const why =
      moves.length > 0
        ? undefined
        : whyNothing(this.#start, this.#options, this.#prices, { maxSeconds, gainPerHour });
    return { moves, built: await this.#build(moves, why === undefined ? remarks : [...remarks, why]) };
  }

  /**
   * The best plan whose median ends in time. A median of the last end is another figure than the sum of durations on
   * the longest way that the search counts with, mostly a later one: it is asked for less time, or more, by their ratio.
   */
  async #within(maxSeconds: number): Promise<TimedPlan> {
    const search = this.#search;
    let best = search.within(0);
    /** Counts a plan in, or what of it ends in time. The seconds to ask for by what its median says. */
    const consider = async (plan: TimedPlan): Promise<number> => {
      const built = await this.#build(plan.moves);
      const fitting = await this.#partInTime(plan, built, maxSeconds);
      if (search.isBetter(fitting, best)) best = fitting;
      const { p50 } = built.document.duration_seconds;
      const seconds = p50 > 0 ? (maxSeconds * plan.seconds) / p50 : maxSeconds;
      // Who counts with late durations wants these in time as well.
      return this.#settings.quantile > 0.5 ? Math.min(maxSeconds, seconds) : seconds;
    };
    let seconds = await consider(search.replay(search.whole.moves));
    for (let tries = 0; tries < TRIES; tries++) {
      const next = await consider(search.within(seconds));
      if (Math.abs(next / seconds - 1) < NEAR) break;
      seconds = next;
    }
    return best;
  }

  /** A plan, without what keeps its median, or the durations that are counted with, beyond a time. */
  async #partInTime(plan: TimedPlan, built: BuiltPlan, maxSeconds: number): Promise<TimedPlan> {
    const isLate = (seconds: number): boolean => this.#settings.quantile > 0.5 && seconds > maxSeconds;
    let [part, { document, moves }] = [plan, built];
    let least = maxSeconds;
    while (document.duration_seconds.p50 > maxSeconds || isLate(part.seconds)) {
      const ends = Float64Array.from(document.moves, ({ end_seconds }) => end_seconds.p50);
      // The median of the last end lies beyond each one's median; at least the last move goes.
      const last = ends.reduce((a, b) => Math.max(a, b), 0);
      const over = Math.max(document.duration_seconds.p50, isLate(part.seconds) ? part.seconds : 0);
      least = Math.min((least * maxSeconds) / over, last * (1 - 1e-9));
      part = this.#search.partOf(moves, ends, least);
      ({ document, moves } = await this.#build(part.moves));
    }
    return part;
  }

  #build(moves: readonly Move[], warnings: readonly string[] = []): Promise<BuiltPlan> {
    const { ignoreSoftErrors, parallelPerNode } = this.#options;
    const { seed } = this.#settings;
    return buildPlan(this.#start, moves, this.#costs, { seed, ignoreSoftErrors, parallelPerNode, warnings });
  }
}
