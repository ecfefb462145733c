import { QUANTILE_LEVELS } from '../domain/prediction.js';
import { Decomposition } from './series-decomposition.js';
import { slotOfDay, type SeriesModel } from './series-model.js';
import { SeasonalNaive } from './series-seasonal-naive.js';

/** One dense layer: `kernel` is row-major inputs × outputs, as TensorFlow.js keeps it. */
export interface DenseLayer {
  inputs: number;
  outputs: number;
  kernel: readonly number[];
  bias: readonly number[];
}

/** A network of dense layers, all but the last with a rectifier: from SERIES_FEATURES inputs to one output a quantile. */
export interface NetworkWeights {
  layers: readonly DenseLayer[];
}

/** Last values that the network sees one by one. */
const WINDOW = 12;
/** Halving times of the running means beside them, in steps. */
const HALVINGS = [8, 32, 128] as const;
/** Steps after which the usual distance from the level is half forgotten. */
const SCALE_HALVING = 256;
const SMALLEST_SCALE = 1e-6;
/** Inputs lie within so many scales: one absurd value must not drive a network that has never seen its like. */
const MOST_SCALES = 6;
/** The distance ahead enters as its logarithm over this one's: a day of five-minute steps. */
const FAR_STEPS = 288;
const DAY_SLOTS = 288;

/** Length of the network's input. */
export const SERIES_FEATURES = WINDOW + HALVINGS.length + 3 + 3;

// State: count, last bin, scale, running means, ring of the last values.
const COUNT = 0;
const LAST_BIN = 1;
const SCALE = 2;
const MEANS = 3;
const RING = MEANS + HALVINGS.length;
const HEAD = RING + WINDOW;

/**
 * A small network across series, run by plain loops over typed arrays; TensorFlow.js trains it and is never loaded here.
 * It sees the last values, running means, what decomposition and the day before say of the target, the time of day and
 * the distance, all relative to the series' own level and scale, and says quantiles relative to decomposition's point. The
 * middle one is its point; in a forecast its bands are its own last errors, as every model's, since those that it was
 * trained to say hold too little on series it has never seen.
 */
export class SeriesNetwork implements SeriesModel {
  readonly state: Float64Array;
  private readonly decomposition: Decomposition;
  private readonly dayBefore: SeasonalNaive;
  private readonly layers: { kernel: Float32Array; bias: Float32Array; out: Float32Array }[];
  private readonly inputs = new Float32Array(SERIES_FEATURES);
  private readonly spread = new Float64Array(QUANTILE_LEVELS.length);

  constructor(
    weights: NetworkWeights,
    private readonly stepMs: number,
  ) {
    const decomposition = new Decomposition(stepMs);
    const dayBefore = new SeasonalNaive(stepMs);
    const a = decomposition.state.length;
    const b = dayBefore.state.length;
    this.state = new Float64Array(HEAD + a + b);
    // The parts live inside this state, so that it is saved and restored as one.
    decomposition.moveInto(this.state.subarray(HEAD, HEAD + a));
    dayBefore.moveInto(this.state.subarray(HEAD + a));
    this.decomposition = decomposition;
    this.dayBefore = dayBefore;
    this.layers = weights.layers.map(({ kernel, bias, outputs }) => ({
      kernel: Float32Array.from(kernel),
      bias: Float32Array.from(bias),
      out: new Float32Array(outputs),
    }));
  }

  learn(bin: number, value: number): void {
    const s = this.state;
    const count = s[COUNT]!;
    if (count === 0) s.fill(value, MEANS, HEAD);
    const longest = MEANS + HALVINGS.length - 1;
    const share = Math.max(1 - 0.5 ** (1 / SCALE_HALVING), 1 / (count + 1));
    s[SCALE] = s[SCALE]! + share * (Math.abs(value - s[longest]!) - s[SCALE]!);
    for (let k = 0; k < HALVINGS.length; k++) {
      const step = Math.max(1 - 0.5 ** (1 / HALVINGS[k]!), 1 / (count + 1));
      s[MEANS + k] = s[MEANS + k]! + step * (value - s[MEANS + k]!);
    }
    s[RING + (count % WINDOW)] = value;
    s[COUNT] = count + 1;
    s[LAST_BIN] = bin;
    this.decomposition.learn(bin, value);
    this.dayBefore.learn(bin, value);
  }

  point(bin: number): number {
    if (this.state[COUNT] === 0) return NaN;
    this.quantiles(bin, this.spread);
    return this.spread[QUANTILE_LEVELS.indexOf(0.5)]!;
  }

  /** Quantiles at QUANTILE_LEVELS, in order, of a bin later than all learnt ones. */
  quantiles(bin: number, out: Float64Array): void {
    this.features(bin, this.inputs);
    const raw = forwardPass(this.layers, this.inputs);
    const base = this.base(bin);
    const scale = this.scale();
    for (let j = 0; j < out.length; j++) out[j] = base + scale * raw[j]!;
    out.sort();
  }

  /** What the network's outputs are relative to: decomposition's point. */
  base(bin: number): number {
    return this.decomposition.point(bin);
  }

  /** What the network's outputs are multiples of: the usual distance from the level. */
  scale(): number {
    return Math.max(SMALLEST_SCALE, this.state[SCALE]!);
  }

  /** Fills the network's input for a target bin: SERIES_FEATURES numbers. */
  features(bin: number, out: Float32Array): void {
    const s = this.state;
    const count = s[COUNT]!;
    const level = s[MEANS + HALVINGS.length - 1]!;
    const scale = this.scale();
    let at = 0;
    for (let k = 1; k <= WINDOW; k++)
      out[at++] = relative(s[RING + ((((count - k) % WINDOW) + WINDOW) % WINDOW)]!, level, scale);
    for (let k = 0; k < HALVINGS.length; k++) out[at++] = relative(s[MEANS + k]!, level, scale);
    out[at++] = relative(this.base(bin), level, scale);
    out[at++] = relative(this.dayBefore.point(bin), level, scale);
    out[at++] = relative(this.decomposition.level() + this.decomposition.season(bin), level, scale);
    const angle = (2 * Math.PI * slotOfDay(bin, this.stepMs, DAY_SLOTS)) / DAY_SLOTS;
    out[at++] = Math.sin(angle);
    out[at++] = Math.cos(angle);
    out[at++] = Math.log(Math.max(1, bin - s[LAST_BIN]!)) / Math.log(FAR_STEPS);
  }
}

const relative = (value: number, level: number, scale: number): number =>
  Math.max(-MOST_SCALES, Math.min(MOST_SCALES, (value - level) / scale));

/** Dense layers, each but the last with a rectifier. O(weights); the answer lives until the next call. */
export function forwardPass(
  layers: readonly { kernel: Float32Array; bias: Float32Array; out: Float32Array }[],
  inputs: Float32Array,
): Float32Array {
  let x = inputs;
  for (let k = 0; k < layers.length; k++) {
    const { kernel, bias, out } = layers[k]!;
    const width = out.length;
    const isLast = k === layers.length - 1;
    for (let j = 0; j < width; j++) {
      let sum = bias[j]!;
      for (let i = 0, w = j; i < x.length; i++, w += width) sum += x[i]! * kernel[w]!;
      out[j] = isLast || sum > 0 ? sum : 0;
    }
    x = out;
  }
  return x;
}
