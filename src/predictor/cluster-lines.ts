import type { Saved } from './saved.js';

const { max, min } = Math;

/**
 * Variance of the slopes of clusters around 0. Where a cluster's durations are all copying, as physics says, the slope is 0,
 * where they are all set-up it is −1: four deviations off, no more, since small guests and fast links make such clusters.
 */
const SLOPE_VARIANCE = 0.25 ** 2;
/** Slopes wander by so much variance a move. */
const DRIFT_VARIANCE = 1e-6;
/** A slope above −1 keeps what is longer by physics longer. */
const LEAST_SLOPE = -0.95;

interface Line {
  slope: number;
  variance: number;
  /** Its value at x = 0. */
  offset: number;
  /** Mean of the x that were seen, and their number. */
  center: number;
  count: number;
}

/**
 * How durations of a cluster that nothing was fitted to grow with physics: log T = x + (offset + slope · x) + effects, where
 * x = log T by physics. The effects (`PooledEffects`) find the level; the slope turns around the mean of what was seen, so that
 * it leaves the level alone, and is learnt beside them as one more term of the same Kalman filter with a diagonal covariance.
 * A move is the less sure the further it lies from all that its cluster has moved.
 */
export class ClusterLines {
  private readonly lines = new Map<string, Line>();
  /** Of the centers of all clusters; NaN while not worked out. */
  private middle = NaN;

  /** What is to be added to log T by physics at `x`. */
  mean(cluster: string, x: number): number {
    const line = this.lines.get(cluster);
    return line === undefined ? 0 : line.offset + line.slope * x;
  }

  /** Variance of that from not knowing the slope. A cluster without a move is taken to turn where the others do. */
  variance(cluster: string, x: number): number {
    const line = this.lines.get(cluster);
    if (line !== undefined) return line.variance * (x - line.center) ** 2;
    return this.lines.size === 0 ? 0 : SLOPE_VARIANCE * (x - this.middleOfAll()) ** 2;
  }

  /** A move of a cluster, with a calibration or without. */
  see(cluster: string, x: number): void {
    let line = this.lines.get(cluster);
    if (line === undefined)
      this.lines.set(
        cluster,
        (line = { slope: 0, variance: SLOPE_VARIANCE, offset: 0, center: 0, count: 0 }),
      );
    line.count++;
    line.center += (x - line.center) / line.count;
    this.middle = NaN;
  }

  private middleOfAll(): number {
    if (Number.isNaN(this.middle)) {
      let sum = 0;
      for (const { center } of this.lines.values()) sum += center;
      this.middle = sum / this.lines.size;
    }
    return this.middle;
  }

  /**
   * Takes in what was left of log T of a move, before `see`. `total` is the variance of the whole sum that the line is a part
   * of, as it was before; `weight` in (0, 1] keeps one odd move from tilting the line. The first move of a cluster tells
   * nothing of its slope: what was not known for want of it is now known of the level.
   */
  learn(cluster: string, x: number, error: number, weight: number, total: number): void {
    const line = this.lines.get(cluster);
    if (line === undefined) {
      const offset = (this.variance(cluster, x) / total) * error;
      this.lines.set(cluster, { slope: 0, variance: SLOPE_VARIANCE, offset, center: 0, count: 0 });
      return;
    }
    const leverage = x - line.center;
    const gain = (line.variance * leverage) / total;
    const slope = max(LEAST_SLOPE, line.slope + gain * weight * error);
    line.offset -= (slope - line.slope) * line.center;
    line.slope = slope;
    line.variance = min(SLOPE_VARIANCE, line.variance * (1 - gain * leverage) + DRIFT_VARIANCE);
  }

  save(): Saved<[number, number, number, number, number]> {
    return [...this.lines].map(([key, l]) => [key, [l.slope, l.variance, l.offset, l.center, l.count]]);
  }

  restore(saved: Saved<[number, number, number, number, number]>): void {
    this.middle = NaN;
    for (const [key, [slope, variance, offset, center, count]] of saved)
      this.lines.set(key, { slope, variance, offset, center, count });
  }
}
