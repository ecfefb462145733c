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
    0.076, -0.137, 0.066, 0.506, -0.681, 0.607, -0.095, 0.603, -0.686, 0.085, -0.322, 0.129, 0.103, -0.044,
    -0.067,
  ],
  knots: [0.1, 0.3, 0.5, 0.7, 0.85, 0.95],
  errors: [
    [-1.312, -0.532, 0.015, 0.339, 0.445],
    [-0.836, -0.401, -0.006, 0.316, 0.414],
    [-0.659, -0.412, 0.016, 0.348, 0.484],
    [-1.004, -0.682, -0.016, 0.409, 0.555],
    [-0.76, -0.6, -0.084, 0.488, 0.716],
    [-0.648, -0.532, 0.004, 0.737, 1.253],
  ],
  chance_within_limit: [-0.095, 0.502, 1.61, -2.488, 0],
  chance: [0.522, 0.534, 0, -3.075, -0.691],
};
