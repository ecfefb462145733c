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
    0.071, -0.146, 0.089, 0.506, -0.709, 0.632, -0.11, 0.601, -0.704, 0.113, -0.31, 0.131, 0.124, -0.047,
    -0.053,
  ],
  knots: [0.1, 0.3, 0.5, 0.7, 0.85, 0.95],
  errors: [
    [-1.287, -0.513, 0.013, 0.346, 0.479],
    [-0.807, -0.403, -0.004, 0.318, 0.44],
    [-0.736, -0.424, 0.008, 0.376, 0.497],
    [-0.956, -0.641, -0.016, 0.42, 0.57],
    [-0.73, -0.603, -0.091, 0.545, 0.735],
    [-0.663, -0.536, 0.012, 0.781, 1.312],
  ],
  chance_within_limit: [-0.264, 0.503, 1.732, -2.624],
  chance: [1.423, 0.414, 0, -2.542],
};
