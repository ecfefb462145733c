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
    0.071, -0.128, 0.06, 0.465, -0.695, 0.656, -0.087, 0.653, -0.758, 0.102, -0.341, 0.166, 0.165, -0.043,
    -0.013,
  ],
  knots: [0.1, 0.3, 0.5, 0.7, 0.85, 0.95],
  errors: [
    [-1.305, -0.54, 0.005, 0.365, 0.46],
    [-0.84, -0.403, -0.004, 0.335, 0.425],
    [-0.72, -0.448, 0.01, 0.366, 0.516],
    [-0.893, -0.614, 0.005, 0.438, 0.589],
    [-0.738, -0.617, -0.095, 0.524, 0.72],
    [-0.703, -0.549, -0.002, 0.791, 1.272],
  ],
  chance_within_limit: [-0.28, 0.418, 1.941, -2.599],
  chance: [1.584, 0.362, 0, -2.594],
};
