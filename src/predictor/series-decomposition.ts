import { binsPerDay, dayOfWeek, DAYS_PER_WEEK, slotOfDay, type SeriesModel } from './series-model.js';

/**
 * Level + season of the day + season of the week + what is left, in the manner of MSTL (Bandara, Hyndman and Bergmeir
 * 2021) but learnt value by value. Seasons are shrunk to nothing where they were seen seldom. What is left over is
 * carried forward by its own autocorrelation, measured at lags of 1, 2, 4, … steps up to a day: a link that is busier
 * than usual now is somewhat busier than usual in an hour.
 */

/** Quarters of an hour. */
const MOST_SLOTS = 96;
/** A season counts half once it rests on this many values. */
const SEASON_PRIOR = 4;
/** Values after which a season forgets: about three weeks of one a slot a day, in its own counting. */
const SEASON_WINDOW = 60;
/** A day of the week forgets over so many of its like. */
const WEEKS = 4;
/** Neighbouring slots share what they learn: a season is smooth. */
const NEIGHBOUR_SHARE = 0.5;
/** The level follows over about a day. */
const LEVEL_DAYS = 1;
/** What is left counts as at most so many times its usual size: an outlier by itself moves little. */
const CUT = 3.5;
/** Each further one on the same side counts as so many times more: outliers in a row are a change of level. */
const CUT_GROWTH = 2;
/** After so many in a row nothing is cut. */
const LONGEST_RUN = 8;
const SCALE_MEMORY = 0.99;
/** Lags 1, 2, 4, … 2^9 steps: at five minutes almost two days. */
const LAGS = 10;
const RING = 2 ** (LAGS - 1) + 1;
/** How slowly autocorrelation is forgotten. */
const CORRELATION_MEMORY = 0.998;
/** Products added before any: none of the autocorrelation is believed at first. */
const CORRELATION_PRIOR = 10;

const LAST_BIN = 0;
const COUNT = 1;
const LEVEL = 2;
const SCALE = 3;
const LEFT = 4; // what is left of the last value
const RUN = 5; // outliers in a row, below 0 for low ones
const HEAD = 6;

export class Decomposition implements SeriesModel {
  state: Float64Array;
  private readonly slots: number;
  private readonly levelSteps: number;
  private readonly daySum: number;
  private readonly weekSum: number;
  private readonly lagSum: number;
  private readonly ring: number;

  constructor(private readonly stepMs: number) {
    this.slots = Math.min(MOST_SLOTS, binsPerDay(stepMs));
    this.levelSteps = Math.max(4, LEVEL_DAYS * binsPerDay(stepMs));
    this.daySum = HEAD; // mean and weight of each slot
    this.weekSum = this.daySum + 2 * this.slots; // mean and weight of each day of the week
    this.lagSum = this.weekSum + 2 * DAYS_PER_WEEK; // products and squares of each lag
    this.ring = this.lagSum + 2 * LAGS; // what was left, by bin: the bin and the value
    this.state = new Float64Array(this.ring + 2 * RING);
    for (let i = 0; i < RING; i++) this.state[this.ring + 2 * i] = NaN;
  }

  /** Makes a part of a greater array this model's memory. */
  moveInto(state: Float64Array): void {
    state.set(this.state);
    this.state = state;
  }

  learn(bin: number, value: number): void {
    const s = this.state;
    if (s[COUNT] === 0) {
      s[LEVEL] = value;
      s[SCALE] = NaN;
    }
    const deviation = value - s[LEVEL]!;
    let left = deviation - this.season(bin);
    const size = Math.abs(left);
    if (Number.isNaN(s[SCALE]!)) {
      if (size > 0) s[SCALE] = size;
    } else {
      const run = s[RUN]! * left > 0 ? Math.abs(s[RUN]!) : 0;
      const cut = CUT * s[SCALE]! * CUT_GROWTH ** run;
      s[RUN] = size > CUT * s[SCALE]! ? Math.sign(left) * Math.min(LONGEST_RUN, run + 1) : 0;
      left = Math.max(-cut, Math.min(cut, left));
      s[SCALE] = SCALE_MEMORY * s[SCALE]! + (1 - SCALE_MEMORY) * Math.abs(left);
    }
    this.correlate(bin, left);
    s[LEFT] = left;
    s[LAST_BIN] = bin;
    const count = (s[COUNT] = s[COUNT]! + 1);
    s[LEVEL] = s[LEVEL]! + left / Math.min(count, this.levelSteps);
    this.learnSeason(bin, left);
  }

  point(bin: number): number {
    const s = this.state;
    if (s[COUNT] === 0) return NaN;
    return s[LEVEL]! + this.season(bin) + this.correlation(bin - s[LAST_BIN]!) * s[LEFT]!;
  }

  /** Where the series is without its seasons. */
  level(): number {
    return this.state[LEVEL]!;
  }

  /** What the time of day and the day of the week add to the level. */
  season(bin: number): number {
    const day = this.daySum + 2 * slotOfDay(bin, this.stepMs, this.slots);
    const week = this.weekSum + 2 * dayOfWeek(bin, this.stepMs);
    return this.shrunk(day, SEASON_PRIOR) + this.shrunk(week, this.levelSteps);
  }

  private learnSeason(bin: number, left: number): void {
    const slot = slotOfDay(bin, this.stepMs, this.slots);
    const day = this.daySum + 2 * slot;
    const week = this.weekSum + 2 * dayOfWeek(bin, this.stepMs);
    const weekly = left + this.shrunk(week, this.levelSteps);
    const daily = left + this.shrunk(day, SEASON_PRIOR);
    this.moveMean(day, daily, 1, SEASON_WINDOW);
    if (this.slots > 2) {
      this.moveMean(this.daySum + 2 * ((slot + 1) % this.slots), daily, NEIGHBOUR_SHARE, SEASON_WINDOW);
      this.moveMean(
        this.daySum + 2 * ((slot + this.slots - 1) % this.slots),
        daily,
        NEIGHBOUR_SHARE,
        SEASON_WINDOW,
      );
    }
    this.moveMean(week, weekly, 1, WEEKS * this.levelSteps);
  }

  /** Moves a mean towards what it should have been, as by a value of the given weight. */
  private moveMean(at: number, value: number, share: number, window: number): void {
    const weight = Math.min(window, this.state[at + 1]! + share);
    this.state[at + 1] = weight;
    this.state[at] = this.state[at]! + (share * (value - this.state[at]!)) / weight;
  }

  /** A season's mean, drawn to nothing while it rests on few values. */
  private shrunk(at: number, prior: number): number {
    const weight = this.state[at + 1]!;
    return (this.state[at]! * weight) / (weight + prior);
  }

  private correlate(bin: number, left: number): void {
    const s = this.state;
    for (let j = 0; j < LAGS; j++) {
      const before = bin - 2 ** j;
      const at = this.ring + 2 * (((before % RING) + RING) % RING);
      if (s[at] !== before) continue;
      const old = s[at + 1]!;
      const sum = this.lagSum + 2 * j;
      s[sum] = CORRELATION_MEMORY * s[sum]! + left * old;
      s[sum + 1] = CORRELATION_MEMORY * s[sum + 1]! + (left * left + old * old) / 2;
    }
    const at = this.ring + 2 * (((bin % RING) + RING) % RING);
    s[at] = bin;
    s[at + 1] = left;
  }

  /** Of what is left now, the share that is left so many steps later, 0 to 1: between the measured lags, linear in their logarithm. */
  private correlation(steps: number): number {
    const x = Math.log2(Math.max(1, steps));
    const j = Math.floor(x);
    if (j >= LAGS - 1) return j === LAGS - 1 ? this.correlationAt(LAGS - 1) : 0;
    const low = this.correlationAt(j);
    return low + (x - j) * (this.correlationAt(j + 1) - low);
  }

  private correlationAt(j: number): number {
    const sum = this.lagSum + 2 * j;
    const scale = this.state[SCALE]!;
    const squares = this.state[sum + 1]! + (scale > 0 ? CORRELATION_PRIOR * scale * scale : 0);
    return squares > 0 ? Math.max(0, Math.min(1, this.state[sum]! / squares)) : 0;
  }
}
