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
    0.069, -0.153, 0.12, 0.507, -0.713, 0.628, -0.104, 0.602, -0.68, 0.097, -0.322, 0.141, 0.107, -0.04,
    -0.061,
  ],
  knots: [0.1, 0.3, 0.5, 0.7, 0.85, 0.95],
  errors: [
    [-1.308, -0.523, 0.014, 0.349, 0.459],
    [-0.84, -0.391, -0.005, 0.321, 0.42],
    [-0.658, -0.403, 0.014, 0.364, 0.485],
    [-0.989, -0.688, -0.024, 0.414, 0.574],
    [-0.765, -0.594, -0.079, 0.5, 0.701],
    [-0.652, -0.528, 0.014, 0.726, 1.29],
  ],
  chance_within_limit: [-0.281, 0.518, 1.66, -2.629],
  chance: [1.359, 0.434, 0, -2.498],
};
