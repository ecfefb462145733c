/** Where a share of `n` should lie by chance, when each item is inside with probability `p`. */
export interface ShareBand {
  low: number;
  high: number;
}

/** Chance left outside the band on each side: a 95 % band. */
const TAIL = 0.025;

/**
 * Central band of a binomial share: from the `tail` to the 1 − `tail` quantile of Binomial(n, p), divided by n. Exact, by the recurrence P(k+1) = P(k) · (n−k)/(k+1) · p/(1−p) on logarithms. O(n).
 *
 * @param n how many, at least 1
 * @param p probability, between 0 and 1, both excluded
 * @example
 * binomialBand(10, 0.8) // { low: 0.5, high: 1 }
 */
export function binomialBand(n: number, p: number, tail = TAIL): ShareBand {
  const logOdds = Math.log(p) - Math.log1p(-p);
  let logMass = n * Math.log1p(-p);
  let cumulated = Math.exp(logMass);
  let low = cumulated >= tail ? 0 : -1;
  for (let k = 1; k <= n; k += 1) {
    if (low >= 0 && cumulated >= 1 - tail) return { low: low / n, high: (k - 1) / n };
    logMass += Math.log(n - k + 1) - Math.log(k) + logOdds;
    cumulated += Math.exp(logMass);
    if (low < 0 && cumulated >= tail) low = k;
  }
  return { low: Math.max(0, low) / n, high: 1 };
}
