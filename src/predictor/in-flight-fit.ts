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
    0.07, -0.12, 0.053, 0.504, -0.676, 0.607, -0.101, 0.6, -0.687, 0.085, -0.32, 0.129, 0.108, -0.044, -0.072,
  ],
  knots: [0.1, 0.3, 0.5, 0.7, 0.85, 0.95],
  errors: [
    [-1.406, -0.535, 0.012, 0.338, 0.448],
    [-0.836, -0.396, -0.004, 0.317, 0.416],
    [-0.658, -0.414, 0.013, 0.347, 0.484],
    [-1.003, -0.682, -0.015, 0.408, 0.557],
    [-0.755, -0.595, -0.084, 0.495, 0.715],
    [-0.651, -0.535, 0.003, 0.739, 1.252],
  ],
  chance_within_limit: [-0.121, 0.498, 1.649, -2.509, 0],
  chance: [0.521, 0.534, 0, -3.079, -0.693],
};
