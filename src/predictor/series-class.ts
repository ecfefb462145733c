import { MS_PER_HOUR } from '../domain/units.js';
import { HOURS_PER_DAY, binsPerDay, type SeriesModel } from './series-model.js';
import { Decomposition } from './series-decomposition.js';

/**
 * What kind of series it is, as far as has been seen: the backtest chooses a model for each class.
 * - `young`: less than two days, so that no season can be known;
 * - `bursty`: half of the changes are small beside a few great ones, as of a link that idles between transfers;
 * - `seasonal`: the time of day tells a good part of what the level does not;
 * - `steady`: the others.
 */
export const seriesClasses = ['young', 'bursty', 'seasonal', 'steady'] as const;
export type SeriesClass = (typeof seriesClasses)[number];

/** Two of every hour: the least from which a daily season can be told from chance. */
const YOUNG_HOURS = 2 * HOURS_PER_DAY;
/** Mean over median size of a change, in fourth roots: 1.2 of a normal curve, 1.44 of a Laplace curve. */
const BURSTY_RATIO = 2;
/** The share of the distance from the level that the season must explain. */
const SEASONAL_SHARE = 0.1;
/** The measures follow over about three days, never faster than over so many values. */
const MEMORY_DAYS = 3;
const SHORTEST_MEMORY = 64;

// State: first bin, last value, count, mean size of a change, its median, mean size about the level, mean size about level and season, level.
const FIRST = 0;
const LAST = 1;
const COUNT = 2;
const MEAN_CHANGE = 3;
const MEDIAN_CHANGE = 4;
const ABOUT_LEVEL = 5;
const ABOUT_SEASON = 6;
const LAST_BIN = 7;
const HEAD = 8;

/** Sees the values of a series and says its class. O(1) a value. */
export class SeriesClassifier {
  readonly state: Float64Array;
  private readonly season: Decomposition;
  private readonly memory: number;

  constructor(private readonly stepMs: number) {
    this.season = new Decomposition(stepMs);
    this.state = new Float64Array(HEAD);
    this.memory = Math.max(SHORTEST_MEMORY, MEMORY_DAYS * binsPerDay(stepMs));
  }

  /** The models whose state belongs to this one's. */
  get parts(): readonly SeriesModel[] {
    return [this.season];
  }

  learn(bin: number, value: number): void {
    const s = this.state;
    if (s[COUNT] === 0) s[FIRST] = bin;
    else {
      const share = 1 / Math.min(this.memory, s[COUNT]!);
      const change = Math.abs(value - s[LAST]!);
      s[MEAN_CHANGE] = s[MEAN_CHANGE]! + share * (change - s[MEAN_CHANGE]!);
      // A median that walks: a step up when a change is greater, a step down when it is smaller.
      const walk = 4 * share * s[MEAN_CHANGE]!;
      s[MEDIAN_CHANGE] = Math.max(
        0,
        s[MEDIAN_CHANGE]! +
          (change > s[MEDIAN_CHANGE]! ? walk / 2 : change < s[MEDIAN_CHANGE]! ? -walk / 2 : 0),
      );
      const level = this.season.level();
      const seasonal = this.season.season(bin);
      s[ABOUT_LEVEL] = s[ABOUT_LEVEL]! + share * (Math.abs(value - level) - s[ABOUT_LEVEL]!);
      s[ABOUT_SEASON] = s[ABOUT_SEASON]! + share * (Math.abs(value - level - seasonal) - s[ABOUT_SEASON]!);
    }
    s[LAST] = value;
    s[LAST_BIN] = bin;
    s[COUNT] = s[COUNT]! + 1;
    this.season.learn(bin, value);
  }

  class(): SeriesClass {
    const s = this.state;
    if (((s[LAST_BIN]! - s[FIRST]!) * this.stepMs) / MS_PER_HOUR < YOUNG_HOURS) return 'young';
    if (s[MEAN_CHANGE]! > BURSTY_RATIO * s[MEDIAN_CHANGE]!) return 'bursty';
    if (s[ABOUT_SEASON]! < (1 - SEASONAL_SHARE) * s[ABOUT_LEVEL]!) return 'seasonal';
    return 'steady';
  }
}
