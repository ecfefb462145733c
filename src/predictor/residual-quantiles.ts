import { NORMAL_QUANTILES } from './normal-quantiles.js';

// Bound once: a lookup through the global object costs more than the function itself where it is not inlined.
const { floor } = Math;

/**
 * Conformal intervals that follow the times: for each group of moves the last standardised errors
 * (log actual − log predicted) ÷ scale, whose empirical quantiles, of the group and of the groups above it, are what
 * the next prediction is widened by. Because the errors were made before their moves were learnt, they are honest.
 */

/** So many last errors of a group count; older ones belong to another time. */
const RING_LENGTH = 256;
/** A group's own quantiles count n/(n + this) against those of the group above it. */
const PARENT_WEIGHT = 24;

class Ring {
  /** In order of time. */
  readonly errors: number[] = [];
  /** The same in order of size. */
  readonly sorted: number[] = [];
  private next = 0;

  add(error: number): void {
    if (this.errors.length < RING_LENGTH) this.errors.push(error);
    else {
      const old = this.errors[this.next]!;
      this.sorted.splice(lowerBound(this.sorted, old), 1);
      this.errors[this.next] = error;
      this.next = (this.next + 1) % RING_LENGTH;
    }
    this.sorted.splice(lowerBound(this.sorted, error), 0, error);
  }

  inOrder(): number[] {
    return [...this.errors.slice(this.next), ...this.errors.slice(0, this.next)];
  }
}

export type SavedRings = [string, number[]][];

export class ResidualQuantiles {
  private readonly rings = new Map<string, Ring>();

  /** `groups` from the whole to the particular. O(ring). */
  learn(groups: readonly string[], error: number): void {
    for (const group of groups) {
      let ring = this.rings.get(group);
      if (ring === undefined) this.rings.set(group, (ring = new Ring()));
      ring.add(error);
    }
  }

  /** Standardised quantiles at `levels` into `out`: groups blended from the whole to the particular. */
  quantiles(groups: readonly string[], levels: readonly number[], out: Float64Array): Float64Array {
    // What stands where nothing was seen.
    for (let j = 0; j < levels.length; j++) out[j] = NORMAL_QUANTILES[j]!;
    for (const group of groups) {
      const ring = this.rings.get(group);
      if (ring === undefined) continue;
      const n = ring.sorted.length;
      const own = n / (n + PARENT_WEIGHT);
      for (let j = 0; j < levels.length; j++)
        out[j] = out[j]! * (1 - own) + conformalQuantile(ring.sorted, levels[j]!) * own;
    }
    return out;
  }

  count(group: string): number {
    return this.rings.get(group)?.errors.length ?? 0;
  }

  save(): SavedRings {
    return [...this.rings].map(([key, ring]) => [key, ring.inOrder()]);
  }

  restore(saved: SavedRings): void {
    for (const [key, errors] of saved) {
      const ring = new Ring();
      for (const error of errors) ring.add(error);
      this.rings.set(key, ring);
    }
  }
}

/**
 * Quantile of sorted errors at rank p·(n+1), the finite-sample rank of conformal prediction, between neighbours
 * linear; past the ends the end itself.
 */
export function conformalQuantile(sorted: readonly number[], p: number): number {
  const n = sorted.length;
  const rank = p * (n + 1) - 1;
  if (rank <= 0) return sorted[0]!;
  if (rank >= n - 1) return sorted[n - 1]!;
  const low = floor(rank);
  return sorted[low]! + (rank - low) * (sorted[low + 1]! - sorted[low]!);
}

function lowerBound(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
