import type { Saved } from './saved.js';

/** An error is that of about the last 1/(1 − this) measurements. */
const KEPT = 0.9;
/** So many measurements' worth of its pool stand behind what is known of a key. */
const PRIOR_MEASUREMENTS = 2;
/** No error (log scale) counts for more. */
const MOST_ERROR = Math.log(100);

/** Sum of squared errors and their number, both forgotten. */
type Squares = [sum: number, weight: number];

/**
 * How far off what is filled in for an input has been: whenever a measurement comes, what would have stood in its place
 * is compared with it. The variance (log scale) of a key is pulled to that of its pool, all keys of a cluster that are filled in the same way.
 */
export class FilledErrors {
  private readonly squares = new Map<string, Squares>();

  /** `filled` is what would have been filled in, NaN where nothing was known. */
  learn(pool: string, key: string, filled: number, measured: number): void {
    const error = Math.min(MOST_ERROR, Math.abs(Math.log(measured / filled)));
    if (Number.isNaN(error)) return;
    for (const group of [pool, key]) {
      const [sum, weight] = this.squares.get(group) ?? [0, 0];
      this.squares.set(group, [sum * KEPT + error * error, weight * KEPT + 1]);
    }
  }

  /** 0 where nothing is known. */
  variance(pool: string, key: string): number {
    const ofPool = this.squares.get(pool);
    if (ofPool === undefined) return 0;
    const expected = ofPool[0] / ofPool[1];
    const [sum, weight] = this.squares.get(key) ?? [0, 0];
    return (PRIOR_MEASUREMENTS * expected + sum) / (PRIOR_MEASUREMENTS + weight);
  }

  save(): Saved<Squares> {
    return [...this.squares].map(([key, [sum, weight]]) => [key, [sum, weight]]);
  }

  restore(saved: Saved<Squares>): void {
    for (const [key, [sum, weight]] of saved) this.squares.set(key, [sum, weight]);
  }
}
