import { MS_PER_HOUR } from '../domain/units.js';

// Bound once: a lookup through the global object costs more than the function itself where it is not inlined.
const { exp, max } = Math;

/**
 * log(actual ÷ physics) as a sum of effects, one a level (operation, cluster, …, instance, pair), each pulled to zero
 * until its own history speaks, and forgotten slowly: a Kalman filter whose covariance is kept diagonal. An effect
 * that was never seen has its level's prior variance, so that an unknown instance widens the interval by itself.
 */
export interface EffectLevel {
  /** Variance of the effects of this level around zero (log scale). */
  priorVariance: number;
  /** The same where no calibration took the offset of the key away already. @default priorVariance */
  uncalibratedVariance?: number | undefined;
  /** Variance that a move adds: how fast the effect wanders. */
  driftVariance: number;
  /** After so many hours without a move the effect has gone back to zero by 1/e. */
  memoryHours: number;
}

interface Effect {
  mean: number;
  variance: number;
  updatedMs: number;
  count: number;
}

/** Mean and variance of the sum of effects, and how many moves its most specific levels stand on. */
export interface EffectSum {
  mean: number;
  variance: number;
}

/** [key, mean, variance, time of the last move in epoch ms, moves] */
export type SavedEffect = [string, number, number, number, number];

export class PooledEffects {
  private readonly effects: Map<string, Effect>[];

  /** `isCalibrated` says of a key whether its offset was taken away before. */
  constructor(
    private readonly levels: readonly EffectLevel[],
    private readonly isCalibrated: (key: string) => boolean = () => true,
  ) {
    this.effects = levels.map(() => new Map());
  }

  private priorOf(level: EffectLevel, key: string): number {
    const { priorVariance, uncalibratedVariance } = level;
    return uncalibratedVariance === undefined || this.isCalibrated(key)
      ? priorVariance
      : uncalibratedVariance;
  }

  /** O(levels). `keys` in the order of the levels; `atMs` the start of the move asked for. */
  sum(keys: readonly string[], atMs: number, out: EffectSum): EffectSum {
    out.mean = 0;
    out.variance = 0;
    return this.add(keys, atMs, 0, this.levels.length, out);
  }

  /** Adds the effects of the levels from `first` to before `end` to a sum. O(levels). */
  add(keys: readonly string[], atMs: number, first: number, end: number, out: EffectSum): EffectSum {
    let { mean, variance } = out;
    for (let i = first; i < end; i++) {
      const level = this.levels[i]!;
      const effect = this.effects[i]!.get(keys[i]!);
      if (effect === undefined) {
        variance += this.priorOf(level, keys[i]!);
        continue;
      }
      const kept = keptShare(level, effect, atMs);
      mean += effect.mean * kept;
      variance += aged(this.priorOf(level, keys[i]!), effect, kept);
    }
    out.mean = mean;
    out.variance = variance;
    return out;
  }

  /** What of a sum a calibration would have taken away, of the keys that have none. O(levels). */
  uncalibratedMean(keys: readonly string[], atMs: number): number {
    let mean = 0;
    for (let i = 0; i < this.levels.length; i++) {
      const level = this.levels[i]!;
      if (level.uncalibratedVariance === undefined || this.isCalibrated(keys[i]!)) continue;
      const effect = this.effects[i]!.get(keys[i]!);
      if (effect !== undefined) mean += effect.mean * keptShare(level, effect, atMs);
    }
    return mean;
  }

  /**
   * Takes in one observed residual. `noiseVariance` is that of one move around its effects; `weight` in (0, 1]
   * takes the force out of outliers; `otherVariance` is that of what else the residual is made of. Gives the variance of the whole. O(levels).
   */
  learn(
    keys: readonly string[],
    atMs: number,
    error: number,
    noiseVariance: number,
    weight: number,
    otherVariance = 0,
  ): number {
    let total = noiseVariance / weight + otherVariance;
    const n = this.levels.length;
    const variances = new Array<number>(n);
    const means = new Array<number>(n);
    for (let i = 0; i < n; i++) {
      const level = this.levels[i]!;
      const effect = this.effects[i]!.get(keys[i]!);
      if (effect === undefined) {
        variances[i] = this.priorOf(level, keys[i]!);
        means[i] = 0;
      } else {
        const kept = keptShare(level, effect, atMs);
        means[i] = effect.mean * kept;
        variances[i] = aged(this.priorOf(level, keys[i]!), effect, kept);
      }
      total += variances[i]!;
    }
    for (let i = 0; i < n; i++) {
      const level = this.levels[i]!;
      const gain = variances[i]! / total;
      const key = keys[i]!;
      let effect = this.effects[i]!.get(key);
      if (effect === undefined) {
        effect = { mean: 0, variance: 0, updatedMs: atMs, count: 0 };
        this.effects[i]!.set(key, effect);
      }
      effect.mean = means[i]! + gain * error;
      effect.variance = variances[i]! * (1 - gain) + level.driftVariance;
      const most = max(this.priorOf(level, key), variances[i]!);
      if (effect.variance > most) effect.variance = most;
      effect.updatedMs = max(effect.updatedMs, atMs);
      effect.count++;
    }
    return total;
  }

  /** Makes the effects of some levels unsure again, so that they follow what comes next: after a shift. */
  loosen(keys: readonly string[], levels: readonly number[], variance: number): void {
    for (const level of levels) {
      const effect = this.effects[level]!.get(keys[level]!);
      if (effect !== undefined) effect.variance = max(effect.variance, variance);
    }
  }

  /** How many moves an effect stands on. */
  count(level: number, key: string): number {
    return this.effects[level]!.get(key)?.count ?? 0;
  }

  save(): SavedEffect[][] {
    return this.effects.map((map) =>
      [...map].map(([key, e]): SavedEffect => [key, e.mean, e.variance, e.updatedMs, e.count]),
    );
  }

  restore(saved: readonly (readonly SavedEffect[])[]): void {
    saved.forEach((entries, i) => {
      const map = this.effects[i];
      if (map === undefined) return;
      for (const [key, mean, variance, updatedMs, count] of entries)
        map.set(key, { mean, variance, updatedMs, count });
    });
  }
}

/** What is left of an effect after a pause. */
function keptShare(level: EffectLevel, effect: Effect, atMs: number): number {
  const pauseHours = (atMs - effect.updatedMs) / MS_PER_HOUR;
  return pauseHours > 0 ? exp(-pauseHours / level.memoryHours) : 1;
}

/** The variance goes back to the prior as the mean goes back to zero. */
const aged = (priorVariance: number, effect: Effect, kept: number): number =>
  effect.variance * kept * kept + priorVariance * (1 - kept * kept);
