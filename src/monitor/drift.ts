import type { Score } from './score.js';

/**
 * A shift smaller than this is not looked for, in standard deviations of a forecast: online learning takes it up, and
 * a bias of that size stays well inside the intervals.
 */
const SLACK = 0.25;
/**
 * Height at which a shift is called drift. Without any shift one side reaches it once in about 15,000 moves (Siegmund's
 * approximation of the run length for slack 0.25: (e^(2·0.25·(h+1.166)) − 1 − 2·0.25·(h+1.166)) / (2·0.25²)).
 */
const HEIGHT = 14;
/** The sum is held here, so that drift is over soon after forecasts are right again: after about 30 moves. */
const CEILING = 1.5 * HEIGHT;
/** One absurd move counts no more than this, in standard deviations. */
const CLIP = 3;
/** Between the 10 and the 90 % quantile of a normal distribution lie so many standard deviations. */
const DEVIATIONS_80 = 2.563;
const LEAST_DEVIATION = 1e-3;

/** Forecasts have been off to one side since a moment. */
export interface Drift {
  direction: 'slower' | 'faster';
  /** Start of the first move of the shift, epoch milliseconds. */
  since_ms: number;
  /** Completed moves since then. */
  moves: number;
  /** Geometric mean of actual over predicted since then: 1.2 says that moves take 20 % longer than predicted. */
  ratio: number;
}

/**
 * Two one-sided cumulative sums (Page 1954) over log(actual / predicted median), in standard deviations that the
 * forecast's own 80 % interval implies, so that uncertain forecasts count less. O(n).
 *
 * @param scores in order of finish
 */
export function driftOf(scores: readonly Score[]): Drift | undefined {
  const slower = new OneSided();
  const faster = new OneSided();
  const completed = scores.filter((score) => score.completed);
  for (const [index, score] of completed.entries()) {
    const deviation = Math.max(LEAST_DEVIATION, Math.log(score.p90 / score.p10) / DEVIATIONS_80);
    const z = Math.log(score.actual_seconds / score.p50) / deviation;
    const clipped = Math.max(-CLIP, Math.min(CLIP, z));
    slower.add(clipped, index);
    faster.add(-clipped, index);
  }
  const found = slower.sum >= faster.sum ? slower : faster;
  if (found.sum < HEIGHT) return undefined;
  const since = completed.slice(found.startedAt);
  const logRatio = since.reduce((sum, { actual_seconds, p50 }) => sum + Math.log(actual_seconds / p50), 0);
  return {
    direction: found === slower ? 'slower' : 'faster',
    since_ms: since[0]!.started_ms,
    moves: since.length,
    ratio: Math.exp(logRatio / since.length),
  };
}

class OneSided {
  sum = 0;
  /** Index of the first item after the sum was last zero: where the shift began. */
  startedAt = 0;

  add(z: number, index: number): void {
    if (this.sum === 0) this.startedAt = index;
    this.sum = Math.min(CEILING, Math.max(0, this.sum + z - SLACK));
  }
}
