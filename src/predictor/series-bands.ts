import { probit } from 'simple-statistics';
import { QUANTILE_LEVELS } from '../domain/prediction.js';
import type { SeriesModel } from './series-model.js';

/**
 * How far a model's points were from what came, by how far ahead they were: the bands of a forecast are its own last
 * errors at that distance. While it is learning, the model is asked for 1, 2, 4, … 256 steps ahead, and each answer waits for
 * its bin. The middle of the errors mends a model that is always too high or too low.
 */

/** Distances 2^0 to 2^8 steps: at five minutes, almost a day. */
const DISTANCES = 9;
/** Last errors kept of each distance. */
const KEPT = 160;
/** Answers of one distance that wait at the same time. */
const WAITING = 16;
/** So many errors that were never made, spread as a normal curve of the series' own unrest, stand beside the first real ones. */
const IMAGINED = 6;
const STANDARD_ERRORS = Float64Array.from({ length: IMAGINED }, (_, i) => probit((i + 0.5) / IMAGINED));
/** Errors after which a distance needs none that were imagined. */
const REAL_ENOUGH = 40;
/** An answer may be scored by a bin so much later than its own, as a share of its distance: gaps are usual. */
const LATE_SHARE = 0.125;
/** The unrest of a series about which nothing is known, as a share of its level. */
const UNKNOWN_UNREST_SHARE = 0.3;
const UNREST_MEMORY = 0.98;
/** Errors grow about so much from one distance to the next, double one, where none were made yet. */
const GROWTH = 1.15;

const LEVELS = QUANTILE_LEVELS.length;
// State: last value, unrest, count, then for each distance: number of errors, errors, answers ever asked for, answers done
// with, last asked bin, and a ring of waiting answers (target bin, answer).
const LAST = 0;
const UNREST = 1;
const COUNT = 2;
const HEAD = 3;
const ERRORS = 1;
const ASKED = ERRORS + KEPT;
const DONE = ASKED + 1;
const LAST_ASKED = DONE + 1;
const RING = LAST_ASKED + 1;
const WIDTH = RING + 2 * WAITING;

export class SeriesBands {
  readonly state = new Float64Array(HEAD + DISTANCES * WIDTH);
  /** Quantiles of the errors of each distance, made anew when asked for after a change. */
  private readonly offsets = new Float64Array(DISTANCES * LEVELS);
  private readonly spreads = new Float64Array(DISTANCES);
  private readonly stale = new Uint8Array(DISTANCES).fill(1);
  private readonly sorted = new Float64Array(KEPT + IMAGINED);

  constructor(private readonly model: SeriesModel) {
    for (let d = 0; d < DISTANCES; d++) this.state[HEAD + d * WIDTH + LAST_ASKED] = NaN;
  }

  /** Judges what the model said of this bin. Call it before the model learns the value. */
  score(bin: number, value: number): void {
    const s = this.state;
    if (s[COUNT]! > 0) {
      const change = Math.abs(value - s[LAST]!);
      const weight = Math.max(1 - UNREST_MEMORY, 1 / s[COUNT]!);
      s[UNREST] = s[UNREST]! + weight * (change - s[UNREST]!);
    }
    s[LAST] = value;
    s[COUNT] = s[COUNT]! + 1;
    for (let d = 0; d < DISTANCES; d++) {
      const at = HEAD + d * WIDTH;
      // Answers were asked for in order, so that the oldest is due first.
      for (; s[at + DONE]! < s[at + ASKED]!; s[at + DONE] = s[at + DONE]! + 1) {
        const place = at + RING + 2 * (s[at + DONE]! % WAITING);
        const target = s[place]!;
        if (target > bin) break;
        if (bin - target > Math.floor(LATE_SHARE * 2 ** d)) continue;
        s[at + ERRORS + (s[at]! % KEPT)] = value - s[place + 1]!;
        s[at] = s[at]! + 1;
        this.stale.fill(1, d);
      }
    }
  }

  /** Asks the model about what is to come. Call it after the model has learnt the value of this bin. */
  ask(bin: number): void {
    const s = this.state;
    for (let d = 0; d < DISTANCES; d++) {
      const at = HEAD + d * WIDTH;
      if (bin - s[at + LAST_ASKED]! < Math.max(1, 2 ** d / WAITING)) continue;
      const place = at + RING + 2 * (s[at + ASKED]! % WAITING);
      s[place] = bin + 2 ** d;
      s[place + 1] = this.model.point(bin + 2 ** d);
      s[at + ASKED] = s[at + ASKED]! + 1;
      // The ring has come round: the oldest answer has been written over.
      if (s[at + ASKED]! - s[at + DONE]! > WAITING) s[at + DONE] = s[at + ASKED]! - WAITING;
      s[at + LAST_ASKED] = bin;
    }
  }

  /** Quantiles at QUANTILE_LEVELS of the value `steps` after the last learnt bin. O(1) between two learnt values. */
  quantiles(bin: number, steps: number, out: Float64Array): void {
    const point = this.model.point(bin);
    const x = Math.min(DISTANCES - 1, Math.log2(Math.max(1, steps)));
    const low = Math.floor(x);
    const high = Math.min(DISTANCES - 1, low + 1);
    this.refresh(low);
    this.refresh(high);
    for (let j = 0; j < LEVELS; j++) {
      const a = this.offsets[low * LEVELS + j]!;
      const b = this.offsets[high * LEVELS + j]!;
      out[j] = point + a + (x - low) * (b - a);
    }
  }

  /** The mean size of the last errors of so many steps ahead, with what bias there was taken off: smaller is better. */
  spread(steps: number): number {
    const d = Math.min(DISTANCES - 1, Math.round(Math.log2(Math.max(1, steps))));
    this.refresh(d);
    return this.spreads[d]!;
  }

  /** Forgets what was worked out from a state that has been replaced. */
  restored(): void {
    this.stale.fill(1);
  }

  private refresh(d: number): void {
    if (this.stale[d] === 0) return;
    this.stale[d] = 0;
    const s = this.state;
    // Where a distance has made no errors yet, those of the nearest shorter one stand for it, somewhat wider.
    let from = d;
    while (from > 0 && s[HEAD + from * WIDTH] === 0) from--;
    const at = HEAD + from * WIDTH;
    const growth = GROWTH ** (d - from);
    const real = Math.min(KEPT, s[at]!);
    for (let i = 0; i < real; i++) this.sorted[i] = growth * s[at + ERRORS + i]!;
    const unrest =
      growth * (s[COUNT]! > 1 ? s[UNREST]! : UNKNOWN_UNREST_SHARE * Math.abs(s[LAST]!)) || Number.MIN_VALUE;
    const imagined = real < REAL_ENOUGH ? IMAGINED : 0;
    for (let i = 0; i < imagined; i++) this.sorted[real + i] = unrest * STANDARD_ERRORS[i]!;
    const count = real + imagined;
    const part = this.sorted.subarray(0, count).sort();
    const middle = part[count >> 1]!;
    let sum = 0;
    for (let i = 0; i < count; i++) sum += Math.abs(part[i]! - middle);
    this.spreads[d] = sum / count;
    for (let j = 0; j < LEVELS; j++) {
      // The place of a level among count errors, so that a new one lies below it with that chance (as in split conformal prediction).
      const place = Math.max(0, Math.min(count - 1, QUANTILE_LEVELS[j]! * (count + 1) - 1));
      const below = Math.floor(place);
      const above = Math.min(count - 1, below + 1);
      this.offsets[d * LEVELS + j] = part[below]! + (place - below) * (part[above]! - part[below]!);
    }
  }
}
