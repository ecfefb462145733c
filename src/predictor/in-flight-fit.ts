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
    0.069, -0.137, 0.086, 0.493, -0.671, 0.613, -0.104, 0.627, -0.753, 0.115, -0.34, 0.149, 0.133, -0.029,
    -0.026,
  ],
  knots: [0.1, 0.3, 0.5, 0.7, 0.85, 0.95],
  errors: [
    [-1.289, -0.519, 0.013, 0.365, 0.468],
    [-0.817, -0.371, -0.005, 0.337, 0.437],
    [-0.655, -0.368, 0.016, 0.382, 0.507],
    [-0.86, -0.607, -0.007, 0.44, 0.591],
    [-0.747, -0.63, -0.077, 0.542, 0.758],
    [-0.702, -0.544, -0.002, 0.83, 1.259],
  ],
  chance_within_limit: [-0.272, 0.522, 1.669, -2.656],
  chance: [1.46, 0.399, 0, -2.579],
};
