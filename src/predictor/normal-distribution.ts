const { abs, exp, max, PI, sqrt } = Math;

/** Φ, after Abramowitz and Stegun 26.2.17 (error below 7.5e-8). */
export function normalDistribution(x: number): number {
  const t = 1 / (1 + 0.2316419 * abs(x));
  const poly =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = (exp((-x * x) / 2) / sqrt(2 * PI)) * poly;
  return x >= 0 ? 1 - tail : tail;
}

/** E[z | z > c] of the standard normal: φ(c) ÷ (1 − Φ(c)); past 6 by its asymptote. */
export function expectedBeyond(c: number): number {
  if (c > 6) return c + 1 / c;
  const density = exp((-c * c) / 2) / sqrt(2 * PI);
  return density / max(1e-12, 1 - normalDistribution(c));
}
