/**
 * Weights and errors of the in-flight forecast, fitted to the polls of the laboratory's moves (data/qemu-lab/progress.jsonl)
 * by `npm run marks:inflight -- --write`, which also prints how good a fit to earlier moves was for later ones.
 */
export interface InFlightFit {
  /** Of `inFlightFeatures`. */
  weights: readonly number[];
  /** Points of the way at which errors are known, rising. */
  knots: readonly number[];
  /** For each knot the quantiles at QUANTILE_LEVELS of log(actual ÷ form), rising. */
  errors: readonly (readonly number[])[];
  /** Of `chanceFeatures`, where the manager's time-out is known, and where it is not. */
  chance_within_limit: readonly number[];
  chance: readonly number[];
}

export const IN_FLIGHT_FIT: InFlightFit = {
  weights: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  knots: [0.5],
  errors: [[-0.5, -0.4, 0, 0.4, 0.5]],
  chance_within_limit: [0, 1, 0, 0],
  chance: [0, 1, 0, 0],
};
