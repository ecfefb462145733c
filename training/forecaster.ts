import { isCompleted, type MoveRecord } from '../src/domain/move-record.js';
import { QUANTILE_LEVELS, type Basis } from '../src/domain/prediction.js';
import type { InstanceSample, LinkSample } from '../src/domain/samples.js';
import { inputsOfRecord, type MoveInputs } from '../src/predictor/move-inputs.js';
import { ResidualQuantiles } from '../src/predictor/residual-quantiles.js';

/** One predicted move: seconds at QUANTILE_LEVELS, rising. */
export interface Forecast {
  seconds: Float64Array;
  mean: number;
  /** The chance to complete, from those who say one. */
  completionProbability?: number;
  basis: Basis;
}

/** A fitted candidate that goes on learning: what is judged in a backtest. */
export interface Forecaster {
  /** `inputs` as of the start; a forecaster may change them (fill in what it knows). */
  predict(inputs: MoveInputs): Forecast;
  /** Takes in one finished or broken-off move, in order of finish. */
  learn(record: MoveRecord): void;
  learnLinkSample?(sample: LinkSample): void;
  learnInstanceSample?(sample: InstanceSample): void;
}

/** All that is known at the moment of a fit. */
export interface History {
  /** Finished and broken-off moves, in order of finish. */
  moves: readonly MoveRecord[];
  /** In order of time. */
  linkSamples: readonly LinkSample[];
  instanceSamples: readonly InstanceSample[];
}

/** A history of moves alone. */
export const historyOf = (moves: readonly MoveRecord[]): History => ({
  moves,
  linkSamples: [],
  instanceSamples: [],
});

/** What a candidate is: a naive mark, one layer on its own, or the whole. */
export type CandidateKind = 'naive' | 'layer' | 'whole';

/** A way to predict durations, before it has seen any. */
export interface Candidate {
  readonly name: string;
  readonly kind: CandidateKind;
  /** What it does, in a few words for the table. */
  readonly summary: string;
  /** The same history and seed give the same forecaster. */
  fit(history: History, seed: number): Forecaster;
}

/** A rule that gives one number of seconds for a move; NaN when it knows nothing. */
export interface PointRule {
  seconds(inputs: MoveInputs): number;
  learn(record: MoveRecord, inputs: MoveInputs): void;
}

/** One group: all moves. */
const ALL = [''];
/** The scale of a naive rule's errors before it has made any (log scale). */
const PRIOR_SCALE = 0.5;
/** What a rule that knows nothing answers with, in seconds. */
const UNKNOWN_SECONDS = 30;

/**
 * Makes a rule that knows one number into a forecaster: its intervals are the quantiles of its own last errors, so that
 * naive marks are compared with intervals too.
 */
export function forecasterOf(rule: PointRule, history: History): Forecaster {
  const residuals = new ResidualQuantiles();
  const standard = new Float64Array(QUANTILE_LEVELS.length);
  let lastSeconds = UNKNOWN_SECONDS;
  const pointOf = (inputs: MoveInputs): number => {
    const seconds = rule.seconds(inputs);
    return seconds > 0 && Number.isFinite(seconds) ? seconds : lastSeconds;
  };
  const forecaster: Forecaster = {
    predict(inputs) {
      const point = pointOf(inputs);
      residuals.quantiles(ALL, QUANTILE_LEVELS, standard);
      // A mark is judged by what it says: its own number is its median.
      const middle = standard[2]!;
      const seconds = Float64Array.from(standard, (u) => point * Math.exp(PRIOR_SCALE * (u - middle)));
      return { seconds, mean: point, basis: 'cluster' };
    },
    learn(record) {
      const inputs = inputsOfRecord(record);
      if (isCompleted(record)) {
        residuals.learn(ALL, Math.log(record.duration_seconds / pointOf(inputs)) / PRIOR_SCALE);
        lastSeconds = record.duration_seconds;
      }
      rule.learn(record, inputs);
    },
  };
  for (const record of history.moves) forecaster.learn(record);
  return forecaster;
}
