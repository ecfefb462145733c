import type { Saved } from './saved.js';

/**
 * Keeps intervals at their word over time (adaptive conformal inference, Gibbs and Candès 2021): each miss widens the
 * next interval of its group a little, each hit narrows it by less, so that in the long run the promised share is hit.
 */

const { exp, max, min } = Math;

/** How far one miss widens at each of the levels of groups (log of the width, times the promised share). */
const STEP = 0.04;
/** No wider or narrower than by this factor's logarithm. */
const MOST = 0.7;

/** The band between the 80 and the 90 % interval keeps this share of its width at least, where one of them narrows by more. */
const LEAST_BAND = 0.25;

/** For each group the logarithms by which the 80 and the 90 % interval are widened; those of all its groups add up. */
export class CoverageControl {
  private readonly groups = new Map<string, [number, number]>();

  /** Widens the standardised quantiles p05, p10, p50, p90, p95 in place, around the median. */
  widen(groups: readonly string[], quantiles: Float64Array): void {
    let by80 = 0;
    let by90 = 0;
    for (const group of groups) {
      const seen = this.groups.get(group);
      if (seen === undefined) continue;
      by80 += seen[0];
      by90 += seen[1];
    }
    if (by80 === 0 && by90 === 0) return;
    const middle = quantiles[2]!;
    const wide80 = exp(by80);
    const wide90 = exp(by90);
    const band = LEAST_BAND * min(wide80, wide90);
    const below = band * (quantiles[1]! - quantiles[0]!);
    const above = band * (quantiles[4]! - quantiles[3]!);
    quantiles[1] = middle + (quantiles[1]! - middle) * wide80;
    quantiles[3] = middle + (quantiles[3]! - middle) * wide80;
    quantiles[0] = min(quantiles[1]! - below, middle + (quantiles[0]! - middle) * wide90);
    quantiles[4] = max(quantiles[3]! + above, middle + (quantiles[4]! - middle) * wide90);
  }

  /** `quantiles` as they were given out, `truth` on the same scale. */
  learn(groups: readonly string[], quantiles: Float64Array, truth: number): void {
    const missed80 = truth < quantiles[1]! || truth > quantiles[3]! ? 1 : 0;
    const missed90 = truth < quantiles[0]! || truth > quantiles[4]! ? 1 : 0;
    for (const group of groups) {
      let seen = this.groups.get(group);
      if (seen === undefined) this.groups.set(group, (seen = [0, 0]));
      seen[0] = max(-MOST, min(MOST, seen[0] + STEP * (missed80 - 0.2)));
      seen[1] = max(-MOST, min(MOST, seen[1] + STEP * (missed90 - 0.1)));
    }
  }

  save(): Saved<[number, number]> {
    return [...this.groups].map(([key, [a, b]]) => [key, [a, b]]);
  }

  restore(saved: Saved<[number, number]>): void {
    for (const [key, [a, b]] of saved) this.groups.set(key, [a, b]);
  }
}
