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
    0.072, -0.135, 0.084, 0.504, -0.685, 0.601, -0.093, 0.601, -0.683, 0.108, -0.318, 0.126, 0.122, -0.047,
    -0.068,
  ],
  knots: [0.1, 0.3, 0.5, 0.7, 0.85, 0.95],
  errors: [
    [-1.412, -0.533, 0.011, 0.331, 0.444],
    [-0.829, -0.402, 0.001, 0.31, 0.413],
    [-0.66, -0.416, 0.011, 0.345, 0.479],
    [-1.021, -0.689, -0.015, 0.406, 0.544],
    [-0.771, -0.585, -0.081, 0.502, 0.7],
    [-0.651, -0.53, 0.007, 0.766, 1.295],
  ],
  chance_within_limit: [-0.081, 0.508, 1.645, -2.493, 0],
  chance: [0.769, 0.488, 0, -3.084, -0.605],
};
