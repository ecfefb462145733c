import type { MoveRecord } from '../domain/move-record.js';
import type { PastErrors } from '../domain/past-errors.js';
import type { MoveRequest } from '../domain/move-request.js';
import type { ModelReference, Prediction } from '../domain/prediction.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';

/**
 * A loaded model with the history it has been shown: a pure function of both. No clock, no files, no randomness;
 * requests without `start_at` are answered for `nowMs`.
 */
export interface Predictor {
  readonly model: ModelReference;

  /** One move. O(1) in the length of the history. With `progress` it is a running one, and its remaining time is given too. */
  predict(request: MoveRequest, nowMs: number): Prediction;

  /** Many moves, in order. */
  predictAll(requests: readonly MoveRequest[], nowMs: number): Prediction[];

  /**
   * Durations only, as columns; of a running move what has elapsed is in them: for callers that ask for thousands at once.
   * Each array has `requests.length` entries, in seconds.
   */
  durations(requests: readonly MoveRequest[], nowMs: number): DurationColumns;

  /**
   * Durations of every instance going to every node: row-major instances × nodes, seconds at `quantile` (0.05 to 0.95,
   * interpolated between the model's levels); NaN where the target is the instance's source.
   */
  moveCosts(
    instances: readonly Omit<MoveRequest, 'target_node'>[],
    targetNodes: readonly string[],
    quantile: number,
    nowMs: number,
  ): Float32Array;

  /**
   * How the last moves of a cluster (that of requests which name none, when absent) deviated from what had been
   * predicted; undefined where too few are known.
   */
  pastErrors(cluster?: string): PastErrors | undefined;

  /** Takes in one finished move. Callers feed moves in order of their finish. Learns at once, O(1). */
  learn(record: MoveRecord): void;
  /** Traffic of a link: fills `background_mbps` of moves that start at or after it and do not say it. In order of time. */
  learnLinkSample(sample: LinkSample): void;
  learnInstanceSample(sample: InstanceSample): void;
}

export interface DurationColumns {
  p05: Float64Array;
  p10: Float64Array;
  p50: Float64Array;
  p90: Float64Array;
  p95: Float64Array;
  mean: Float64Array;
}
