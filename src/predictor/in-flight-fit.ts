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
  weights: [
    0.072, -0.135, 0.084, 0.5, -0.682, 0.598, -0.088, 0.602, -0.684, 0.109, -0.319, 0.124, 0.121, -0.046,
    -0.07,
  ],
  knots: [0.1, 0.3, 0.5, 0.7, 0.85, 0.95],
  errors: [
    [-1.414, -0.54, 0.01, 0.331, 0.444],
    [-0.826, -0.404, 0.001, 0.31, 0.412],
    [-0.656, -0.415, 0.01, 0.34, 0.479],
    [-1.022, -0.688, -0.016, 0.402, 0.544],
    [-0.771, -0.581, -0.082, 0.499, 0.702],
    [-0.661, -0.531, 0.008, 0.767, 1.296],
  ],
  chance_within_limit: [-0.144, 0.479, 1.668, -2.624, 0],
  chance: [0.774, 0.487, 0, -3.088, -0.605],
};
