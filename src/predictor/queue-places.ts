import type { Saved } from './saved.js';

/**
 * Where a manager works through moves asked for together one by one, a move's duration contains its waiting: it
 * clusters at 1×, 2×, … k× of a single one, and which place a move gets can not be known before. This keeps the last
 * residuals (log actual − log level) of each group of parallel moves, finds out whether they fall into such places,
 * and gives their distribution as it is, places and all.
 */

const { abs, exp, floor } = Math;

/**
 * So many last moves of a group: about ten batches. Chosen on the parallel moves of the OSIC data (96 against 128 and
 * 256), the only ones of this kind there are.
 */
const RING_LENGTH = 96;
/** Fewer moves do not show places. */
const LEAST_MOVES = 24;
/** More moves at a time than this do not show places any more. */
const MOST_PLACES = 8;
/**
 * Of a normal distribution cut into k parts of equal probability, the share of the variance that is left within the
 * parts, for k = 2 … 8 (numerical integration): what a group without places shows.
 */
const NORMAL_WITHIN = [0.3634, 0.2068, 0.1394, 0.103, 0.0806, 0.0656, 0.055];
/** A group has places when less than this share of that is left. */
const PLACES_SHARE = 0.75;
/** The instance's own past moves count this much at most, against those of the whole group. */
const OWN_WEIGHT = 0.6;
const OWN_PRIOR_MOVES = 8;

interface Distribution {
  quantiles: Float64Array;
  factor: number;
}

export class QueuePlaces {
  private readonly rings = new Map<string, number[]>();
  /** What was worked out since the last move was learnt. */
  private readonly placesOf = new Map<string, number[] | undefined>();
  /** By group, and there by instance, '' for those without moves of their own: a guest may be asked about in two sizes. */
  private readonly distributionOf = new Map<string, Map<string, Distribution>>();
  private readonly values: number[] = [];
  private readonly weights: number[] = [];

  /** Takes in the residual of a parallel move, for its group and for its instance in that group. */
  learn(group: string, instance: string, residual: number): void {
    this.placesOf.clear();
    this.distributionOf.clear();
    for (const key of [group, instance]) {
      let ring = this.rings.get(key);
      if (ring === undefined) this.rings.set(key, (ring = []));
      ring.push(residual);
      if (ring.length > RING_LENGTH) ring.shift();
    }
  }

  /**
   * Offsets of the places of `count` moves at a time around their mean (log scale), rising; undefined when the group
   * does not show any. O(1) until the next move is learnt, then O(ring · log ring).
   */
  places(group: string, count: number): number[] | undefined {
    if (this.placesOf.has(group)) return this.placesOf.get(group);
    const places = this.findPlaces(group, count);
    this.placesOf.set(group, places);
    return places;
  }

  private findPlaces(group: string, count: number): number[] | undefined {
    const ring = this.rings.get(group);
    if (ring === undefined || count < 2 || count > MOST_PLACES || ring.length < LEAST_MOVES) return undefined;
    const sorted = [...ring].sort((a, b) => a - b);
    const n = sorted.length;
    const mean = sorted.reduce((sum, value) => sum + value, 0) / n;
    let within = 0;
    let total = 0;
    const places: number[] = [];
    for (let c = 0; c < count; c++) {
      const part = sorted.slice(floor((c * n) / count), floor(((c + 1) * n) / count));
      const middle = part.reduce((sum, value) => sum + value, 0) / part.length;
      for (const value of part) {
        within += (value - middle) ** 2;
        total += (value - mean) ** 2;
      }
      places.push(middle);
    }
    if (!(within < PLACES_SHARE * NORMAL_WITHIN[count - 2]! * total)) return undefined;
    const center = places.reduce((sum, place) => sum + place, 0) / count;
    return places.map((place) => place - center);
  }

  /** The offset of the place that a residual is nearest to. */
  static nearest(places: readonly number[], residual: number): number {
    let best = places[0]!;
    for (const place of places) if (abs(place - residual) < abs(best - residual)) best = place;
    return best;
  }

  /**
   * Quantiles of the residual at `levels` into `out`, and its mean on the scale of durations as factor (E[e^r]): the
   * group's residuals and the instance's own among them, mixed. O(1) until the next move is learnt.
   */
  distribution(group: string, instance: string, levels: readonly number[], out: Float64Array): number {
    let ofGroup = this.distributionOf.get(group);
    if (ofGroup === undefined) this.distributionOf.set(group, (ofGroup = new Map()));
    const key = this.rings.has(instance) ? instance : '';
    const cached = ofGroup.get(key);
    if (cached !== undefined) {
      out.set(cached.quantiles);
      return cached.factor;
    }
    const factor = this.mix(group, instance, levels, out);
    ofGroup.set(key, { quantiles: out.slice(), factor });
    return factor;
  }

  private mix(group: string, instance: string, levels: readonly number[], out: Float64Array): number {
    const ring = this.rings.get(group)!;
    const own = this.rings.get(instance) ?? [];
    const ownShare = (OWN_WEIGHT * own.length) / (own.length + OWN_PRIOR_MOVES);
    const n = ring.length + own.length;
    const order = Array.from({ length: n }, (_, i) => i);
    const { values, weights } = this;
    for (let i = 0; i < ring.length; i++) {
      values[i] = ring[i]!;
      weights[i] = (1 - ownShare) / ring.length;
    }
    for (let i = 0; i < own.length; i++) {
      values[ring.length + i] = own[i]!;
      weights[ring.length + i] = ownShare / own.length;
    }
    order.sort((a, b) => values[a]! - values[b]! || a - b);
    let factor = 0;
    for (let i = 0; i < n; i++) factor += weights[i]! * exp(values[i]!);
    const at = (level: number): number => {
      let sum = 0;
      for (const i of order) if ((sum += weights[i]!) >= level) return values[i]!;
      return values[order[n - 1]!]!;
    };
    for (let j = 0; j < levels.length; j++) out[j] = at(levels[j]!);
    return factor;
  }

  save(): Saved<number[]> {
    return [...this.rings].map(([key, ring]) => [key, [...ring]]);
  }

  restore(saved: Saved<number[]>): void {
    for (const [key, ring] of saved) this.rings.set(key, [...ring]);
  }
}
