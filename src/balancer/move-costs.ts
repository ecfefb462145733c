import type { ModelReference, Prediction } from '../domain/prediction.js';
import type { MoveRequest } from '../domain/move-request.js';
import type { PastErrors } from '../domain/past-errors.js';

/**
 * Predicted durations of n requests as columns, in seconds, in the order of the requests: positive and finite, p10 ≤ p50
 * ≤ p90. Only moves that can be made are asked for, so that a NaN is refused.
 */
export interface CostColumns {
  p10: Float64Array;
  p50: Float64Array;
  p90: Float64Array;
}

/**
 * What the balancer asks for the price of moves, in bulk. In-process, over HTTP or constants from a file: the
 * balancer does not know which.
 */
export interface MoveCosts {
  /** What answers, for the plan's `model` field; undefined for constants. */
  readonly model: ModelReference | undefined;
  /** Durations of all requests in one call. */
  durations(requests: readonly MoveRequest[]): Promise<CostColumns>;
  /**
   * Whole predictions, to be kept and scored; absent where there are only durations. Undefined in place of one that
   * cannot be made. @throws UserError where whoever predicts does not answer
   */
  predictions?(requests: readonly MoveRequest[]): Promise<readonly (Prediction | undefined)[]>;
  /** How past moves deviated from such durations, for the promise of a plan; undefined where that is not known. */
  pastErrors?(): Promise<PastErrors | undefined>;
  /** Sentences for the plan's warnings, such as that a fallback was used. */
  warnings(): readonly string[];
}

/** The same requests, of a cluster by its name in records; as they are where it is not named. */
export const ofCluster = (
  requests: readonly MoveRequest[],
  cluster: string | undefined,
): readonly MoveRequest[] =>
  cluster === undefined ? requests : requests.map((request) => ({ ...request, cluster }));
