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
    0.072, -0.134, 0.083, 0.501, -0.681, 0.597, -0.089, 0.601, -0.684, 0.107, -0.319, 0.125, 0.122, -0.047,
    -0.069,
  ],
  knots: [0.1, 0.3, 0.5, 0.7, 0.85, 0.95],
  errors: [
    [-1.412, -0.539, 0.011, 0.331, 0.444],
    [-0.827, -0.402, 0.001, 0.309, 0.415],
    [-0.659, -0.416, 0.011, 0.344, 0.479],
    [-1.023, -0.688, -0.015, 0.406, 0.543],
    [-0.763, -0.583, -0.082, 0.501, 0.7],
    [-0.655, -0.531, 0.006, 0.766, 1.295],
  ],
  chance_within_limit: [-0.079, 0.506, 1.643, -2.495, 0],
  chance: [0.774, 0.487, 0, -3.087, -0.605],
};
