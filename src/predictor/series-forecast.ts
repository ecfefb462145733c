import { QUANTILE_LEVELS } from '../domain/prediction.js';
import { SeriesBands } from './series-bands.js';
import { pointModels } from './series-candidates.js';
import { CHOICE } from './series-choice.js';
import { SeriesClassifier, type SeriesClass } from './series-class.js';
import type { SeriesModel } from './series-model.js';
import { SeriesNetwork, type NetworkWeights } from './series-network.js';

/** One sample of a series. */
export interface SeriesSample {
  /** Epoch milliseconds. */
  atMs: number;
  /** What was measured, 0 or more, in any unit; the forecast is in the same. */
  value: number;
}

/** Every way to forecast that a backtest compares. A mixture is the weighted mean of the quantiles of MIXED. */
export const seriesCandidates = [
  'last-value',
  'seasonal-naive',
  'hour-of-week',
  'holt-winters',
  'decomposition',
  'network',
  'mixture',
  'mixture-with-network',
] as const;
export type SeriesCandidateName = (typeof seriesCandidates)[number];

/** What the mixtures are means of: models that err differently. */
const MIXED = {
  mixture: ['last-value', 'hour-of-week', 'holt-winters', 'decomposition'],
  'mixture-with-network': ['last-value', 'hour-of-week', 'holt-winters', 'decomposition', 'network'],
} as const;
const isMixture = (name: SeriesCandidateName): name is keyof typeof MIXED => name in MIXED;
/** A model weighs in the mixture as the inverse of its last errors' mean size, to this power: half the errors, sixteen times the say. */
const MIXTURE_SHARPNESS = 4;
/** In fourth roots; keeps the weight of a model that never erred finite. */
const SMALLEST_SPREAD = 1e-9;

/** Lengths of a bin, each dividing a day. A series takes the longest that is no longer than its usual gap. */
const STEPS_MS = [10, 30, 60, 120, 300, 600, 900, 1800, 3600].map((seconds) => seconds * 1000);
/** The first samples wait until the usual gap between them is known. */
const SAMPLES_TO_TELL_THE_STEP = 24;
/** A quantile lies at most so far above the highest value ever seen. */
const MOST_OVER_HIGHEST = 1.5;

const LEVELS = QUANTILE_LEVELS.length;

/** A series forecast as plain JSON; NaN stands as null. */
export interface SavedSeriesForecast {
  step_ms: number;
  waiting: [number, number][];
  last_bin: number | null;
  highest: number;
  states: (number | null)[][];
}

export interface SeriesForecastOptions {
  /** Which candidates to run and of them which answers for which class. @default what the backtest chose */
  choice?: Readonly<Record<SeriesClass, SeriesCandidateName>>;
  /** Weights of the network, where the choice names it. */
  network?: NetworkWeights | undefined;
}

interface Member {
  name: Exclude<SeriesCandidateName, keyof typeof MIXED>;
  model: SeriesModel;
  bands: SeriesBands;
}

/**
 * The forecast of one series of non-negative values from irregular, gappy samples: learns value by value in O(1),
 * answers any time to come with quantiles in O(1), from its first sample on finite, ordered and not negative. Samples are
 * learnt in order of time: one from the far future would shut out all before it, so whoever feeds a clock that jumps drops it.
 *
 * Values are forecast as their fourth roots: traffic is skewed and bursts by orders of magnitude; the fourth root tames
 * it nearly as the logarithm does, and knows 0. Quantiles pass through such a change of scale unharmed.
 *
 * Several samples within one bin count as the first of them: the bins are as long as the usual gap.
 *
 * @example
 * const forecast = SeriesForecast.fit([{ atMs: 0, value: 5 }, { atMs: 300_000, value: 7 }]);
 * forecast.quantiles(600_000); // Float64Array of 5, at QUANTILE_LEVELS
 */
export class SeriesForecast {
  private stepMs = NaN;
  private waiting: [number, number][] = [];
  /** Answers while samples wait; made when it is asked for. */
  private provisional: SeriesForecast | undefined;
  private lastBin = NaN;
  private highest = 0;
  private readonly choice: Readonly<Record<SeriesClass, SeriesCandidateName>>;
  private readonly network: NetworkWeights | undefined;
  private members: Member[] = [];
  private classifier: SeriesClassifier | undefined;
  private readonly part = new Float64Array(LEVELS);

  constructor({ choice = CHOICE, network }: SeriesForecastOptions = {}) {
    this.choice = choice;
    this.network = network;
  }

  /** Learns samples in order of time, whatever order they come in. O(n log n). */
  static fit(samples: readonly SeriesSample[], options: SeriesForecastOptions = {}): SeriesForecast {
    const forecast = new SeriesForecast(options);
    const sorted = [...samples].sort((a, b) => a.atMs - b.atMs || a.value - b.value);
    for (const { atMs, value } of sorted) forecast.learn(atMs, value);
    return forecast;
  }

  /** Number of milliseconds in a bin; NaN while that is not known. */
  get step(): number {
    return this.stepMs;
  }

  /** The time of the last learnt sample's bin; NaN before the first. */
  get lastMs(): number {
    return Number.isNaN(this.stepMs) ? (this.waiting.at(-1)?.[0] ?? NaN) : this.lastBin * this.stepMs;
  }

  class(): SeriesClass {
    return this.classifier?.class() ?? 'young';
  }

  /** The candidate that answers for the class that the series has now. */
  answering(): SeriesCandidateName {
    return this.choice[this.class()];
  }

  /** Takes in one sample; what is not finite or negative, or in a bin already learnt or before it, is left out. */
  learn(atMs: number, value: number): void {
    if (!Number.isFinite(atMs) || !Number.isFinite(value) || value < 0) return;
    if (!Number.isNaN(this.stepMs)) {
      this.learnBin(Math.floor(atMs / this.stepMs), value);
      return;
    }
    const last = this.waiting.at(-1);
    if (last !== undefined && atMs <= last[0]) return;
    this.waiting.push([atMs, value]);
    this.provisional = undefined;
    if (this.waiting.length >= SAMPLES_TO_TELL_THE_STEP) this.settle();
  }

  /**
   * Quantiles at QUANTILE_LEVELS of the value at a time; a time not after the last sample counts as the next bin.
   * All NaN before the first sample.
   */
  quantiles(atMs: number, out: Float64Array = new Float64Array(LEVELS)): Float64Array {
    if (Number.isNaN(this.stepMs)) return this.early(atMs, out);
    const bin = Math.max(this.lastBin + 1, Math.floor(atMs / this.stepMs));
    this.ofCandidate(this.answering(), bin, out);
    return this.inMeasuredUnits(out);
  }

  private ofCandidate(name: SeriesCandidateName, bin: number, out: Float64Array): void {
    const steps = bin - this.lastBin;
    if (!isMixture(name)) {
      this.members.find((member) => member.name === name)!.bands.quantiles(bin, steps, out);
      return;
    }
    const mixed: readonly Member['name'][] = MIXED[name];
    out.fill(0);
    let total = 0;
    for (const { name: part, bands } of this.members) {
      if (!mixed.includes(part)) continue;
      const weight = Math.max(SMALLEST_SPREAD, bands.spread(steps)) ** -MIXTURE_SHARPNESS;
      bands.quantiles(bin, steps, this.part);
      total += weight;
      for (let j = 0; j < LEVELS; j++) out[j] = out[j]! + weight * this.part[j]!;
    }
    for (let j = 0; j < LEVELS; j++) out[j] = out[j]! / total;
  }

  /** Fourth roots → what is measured, ordered and within what can be believed. */
  private inMeasuredUnits(out: Float64Array): Float64Array {
    const most = MOST_OVER_HIGHEST * this.highest;
    let below = 0;
    for (let j = 0; j < LEVELS; j++) {
      const value = Math.min(most, Math.max(0, out[j]!) ** 4);
      below = out[j] = Number.isNaN(value) ? below : Math.max(below, value);
    }
    return out;
  }

  /** While the first samples wait, a forecast made of them answers. O(1): there are few. */
  private early(atMs: number, out: Float64Array): Float64Array {
    if (this.waiting.length === 0) return out.fill(NaN);
    if (this.provisional === undefined) {
      this.provisional = new SeriesForecast({ choice: this.choice, network: this.network });
      this.provisional.waiting = [...this.waiting];
      this.provisional.settle();
    }
    return this.provisional.quantiles(atMs, out);
  }

  private settle(): void {
    const { waiting } = this;
    this.begin(usualStepMs(waiting.map(([atMs]) => atMs)));
    this.waiting = [];
    for (const [atMs, value] of waiting) this.learnBin(Math.floor(atMs / this.stepMs), value);
  }

  private begin(stepMs: number): void {
    this.stepMs = stepMs;
    this.classifier = new SeriesClassifier(stepMs);
    const names = Object.values(this.choice).flatMap((name): readonly Member['name'][] =>
      isMixture(name) ? MIXED[name] : [name],
    );
    this.members = [...new Set(names)].map((name) => {
      const model = this.newModel(name);
      return { name, model, bands: new SeriesBands(model) };
    });
  }

  private newModel(name: Member['name']): SeriesModel {
    if (name !== 'network') return pointModels[name](this.stepMs);
    if (this.network === undefined)
      throw new Error('the choice names the network, but no weights were given');
    return new SeriesNetwork(this.network, this.stepMs);
  }

  private learnBin(bin: number, value: number): void {
    if (bin <= this.lastBin) return;
    const root = Math.sqrt(Math.sqrt(value));
    this.classifier!.learn(bin, root);
    for (const { model, bands } of this.members) {
      bands.score(bin, root);
      model.learn(bin, root);
      bands.ask(bin);
    }
    this.lastBin = bin;
    if (value > this.highest) this.highest = value;
  }

  private states(): Float64Array[] {
    if (this.classifier === undefined) return [];
    return [
      this.classifier.state,
      ...this.classifier.parts.map(({ state }) => state),
      ...this.members.flatMap(({ model, bands }) => [model.state, bands.state]),
    ];
  }

  /** Everything learnt, as plain JSON. */
  save(): SavedSeriesForecast {
    return {
      step_ms: Number.isNaN(this.stepMs) ? 0 : this.stepMs,
      waiting: this.waiting.map(([atMs, value]) => [atMs, value]),
      last_bin: Number.isNaN(this.lastBin) ? null : this.lastBin,
      highest: this.highest,
      states: this.states().map((state) => Array.from(state, (x) => (Number.isNaN(x) ? null : x))),
    };
  }

  /** What `save` gave, under the same choice. @throws Error when the state is of another choice or layout. */
  static restore(saved: SavedSeriesForecast, options: SeriesForecastOptions = {}): SeriesForecast {
    const forecast = new SeriesForecast(options);
    forecast.waiting = saved.waiting.map(([atMs, value]) => [atMs, value]);
    forecast.highest = saved.highest;
    if (saved.step_ms > 0) {
      forecast.begin(saved.step_ms);
      forecast.lastBin = saved.last_bin ?? NaN;
      const states = forecast.states();
      if (
        states.length !== saved.states.length ||
        states.some((state, i) => state.length !== saved.states[i]!.length)
      )
        throw new Error('the saved series forecast has another layout');
      states.forEach((state, i) => state.set(saved.states[i]!.map((x) => x ?? NaN)));
      for (const { bands } of forecast.members) bands.restored();
    }
    return forecast;
  }
}

/** The longest step that is no longer than the median gap between times in rising order. */
export function usualStepMs(timesMs: readonly number[]): number {
  const gaps: number[] = [];
  for (let i = 1; i < timesMs.length; i++) gaps.push(timesMs[i]! - timesMs[i - 1]!);
  gaps.sort((a, b) => a - b);
  const usual = gaps[gaps.length >> 1] ?? STEPS_MS[0]!;
  let step = STEPS_MS[0]!;
  for (const candidate of STEPS_MS) if (candidate <= usual * 1.05) step = candidate;
  return step;
}
