import { isCompleted, finishMs, type MoveRecord } from '../domain/move-record.js';
import { QUANTILE_LEVELS } from '../domain/prediction.js';
import type { InstanceSample } from '../domain/samples.js';
import { KnownInputs } from './known-inputs.js';
import type { ModelFile } from './model-file.js';
import { inputsOfRecord, type MoveInputs } from './move-inputs.js';
import { Level, moveKeys } from './move-keys.js';
import { movePhysics, newPhysicsResult, type PhysicsConstants } from './move-physics.js';
import { PooledEffects, type EffectLevel, type EffectSum } from './pooled-effects.js';
import type { PrecopyResult } from './precopy.js';
import { ResidualQuantiles } from './residual-quantiles.js';

// Bound once: a lookup through the global object costs more than the function itself where it is not inlined.
const { abs, exp, log, max, min, sqrt } = Math;

/** Errors beyond so many standard deviations lose force in proportion: one absurd record moves nothing far. */
const CLIP_DEVIATIONS = 2.5;
/** The variance of a move around its effects, before any was seen (log scale), and what the seen must outweigh. */
const PRIOR_NOISE_VARIANCE = 0.04;
const NOISE_PRIOR_WEIGHT = 8;
/** The noise of a group is that of about its last 1/(1 − this) moves. */
const NOISE_KEPT = 0.99;
const LEAST_NOISE_VARIANCE = 1e-6;
/** Moves completed and broken off before any was seen: 97 in 100 complete. */
const PRIOR_COMPLETED = 9.7;
const PRIOR_BROKEN = 0.3;
/** Outcomes are forgotten a little with each new one. */
const OUTCOME_KEPT = 0.998;
/** log T is kept in the range of a duration between a millisecond and the longest move that a record may have. */
const LEAST_LOG = log(1e-3);
const MOST_LOG = log(100 * 86_400);

/** What is predicted of a move, before it is put into the words of the contract. Reused between calls. */
export interface DurationEstimate {
  /** Seconds at QUANTILE_LEVELS. */
  seconds: Float64Array;
  mean: number;
  completionProbability: number;
  /** Moves that the pair, the source or target, and the cluster have seen. */
  pairCount: number;
  nodeCount: number;
  clusterCount: number;
  transferredMib: number;
  downtimeSeconds: number;
}

export const newEstimate = (): DurationEstimate => ({
  seconds: new Float64Array(QUANTILE_LEVELS.length),
  mean: 0,
  completionProbability: 1,
  pairCount: 0,
  nodeCount: 0,
  clusterCount: 0,
  transferredMib: 0,
  downtimeSeconds: 0,
});

export interface DurationModelParts {
  physics: { global: PhysicsConstants; clusters: Readonly<Record<string, PhysicsConstants>> };
  levels: readonly EffectLevel[];
}

/** The model and all that it has learnt: physics, pooled effects, residual quantiles, known inputs, outcomes. */
export class DurationModel {
  private readonly effects: PooledEffects;
  private readonly noise = new Map<string, { variance: number; weight: number }>();
  private readonly residuals = new ResidualQuantiles();
  private readonly known = new KnownInputs();
  private readonly outcomes = new Map<string, { completed: number; broken: number }>();
  private readonly physics: PrecopyResult = newPhysicsResult();
  private readonly sum: EffectSum = { mean: 0, variance: 0 };
  private readonly standard = new Float64Array(QUANTILE_LEVELS.length);
  private readonly clusterConstants: Map<string, PhysicsConstants>;

  constructor(private readonly parts: DurationModelParts) {
    this.effects = new PooledEffects(parts.levels);
    this.clusterConstants = new Map(Object.entries(parts.physics.clusters));
  }

  private constantsFor(cluster: string): PhysicsConstants {
    return this.clusterConstants.get(cluster) ?? this.parts.physics.global;
  }

  /** Fills what history knows into `inputs`; gives the names of what was filled. */
  fill(inputs: MoveInputs): string[] {
    return this.known.fill(inputs);
  }

  /** `inputs` after `fill`. O(levels + ring). */
  estimate(inputs: MoveInputs, out: DurationEstimate): DurationEstimate {
    const keys = moveKeys(inputs);
    const logMean = this.logMean(inputs, keys);
    const scale = sqrt(this.sum.variance + this.noiseVariance(keys));
    const standard = this.residuals.quantiles(residualGroups(keys), QUANTILE_LEVELS, this.standard);
    let previous = 0;
    for (let j = 0; j < QUANTILE_LEVELS.length; j++) {
      const logSeconds = min(MOST_LOG, max(LEAST_LOG, logMean + scale * standard[j]!));
      const seconds = max(previous, exp(logSeconds));
      out.seconds[j] = seconds;
      previous = seconds;
    }
    out.mean = meanOfQuantiles(out.seconds);
    out.pairCount = this.effects.count(Level.pair, keys[Level.pair]!);
    out.nodeCount = max(
      this.effects.count(Level.source, keys[Level.source]!),
      this.effects.count(Level.target, keys[Level.target]!),
    );
    out.clusterCount = this.effects.count(Level.cluster, keys[Level.cluster]!);
    out.completionProbability = this.completion(keys);
    out.transferredMib = this.physics.transferredMib;
    out.downtimeSeconds = this.physics.downtimeSeconds;
    return out;
  }

  /** Log of the physics and the effects on it; leaves physics and variance in `this`. */
  private logMean(inputs: MoveInputs, keys: readonly string[]): number {
    const physics = movePhysics(inputs, this.constantsFor(inputs.cluster), this.physics);
    this.effects.sum(keys, inputs.startMs, this.sum);
    return log(physics.seconds) + this.sum.mean;
  }

  private noiseVariance(keys: readonly string[]): number {
    let variance = PRIOR_NOISE_VARIANCE;
    for (const key of noiseGroups(keys)) {
      const seen = this.noise.get(key);
      if (seen !== undefined)
        variance =
          (variance * NOISE_PRIOR_WEIGHT + seen.variance * seen.weight) / (NOISE_PRIOR_WEIGHT + seen.weight);
    }
    return max(LEAST_NOISE_VARIANCE, variance);
  }

  private completion(keys: readonly string[]): number {
    let completed = PRIOR_COMPLETED;
    let broken = PRIOR_BROKEN;
    for (const level of [Level.cluster, Level.family]) {
      const seen = this.outcomes.get(keys[level]!);
      if (seen === undefined) continue;
      const share = completed / (completed + broken);
      completed = share * 10 + seen.completed;
      broken = (1 - share) * 10 + seen.broken;
    }
    return completed / (completed + broken);
  }

  /** Takes in one finished or broken-off move. O(levels + ring). */
  learn(record: MoveRecord): void {
    const inputs = inputsOfRecord(record);
    this.known.fill(inputs);
    const keys = moveKeys(inputs);
    const completed = isCompleted(record);
    for (const level of [Level.cluster, Level.family]) {
      const key = keys[level]!;
      let seen = this.outcomes.get(key);
      if (seen === undefined) this.outcomes.set(key, (seen = { completed: 0, broken: 0 }));
      seen.completed = seen.completed * OUTCOME_KEPT + (completed ? 1 : 0);
      seen.broken = seen.broken * OUTCOME_KEPT + (completed ? 0 : 1);
    }
    const logMean = this.logMean(inputs, keys);
    const noise = this.noiseVariance(keys);
    const variance = this.sum.variance + noise;
    const scale = sqrt(variance);
    let error = log(record.duration_seconds) - logMean;
    if (!completed) {
      // It would have taken longer than it was let: the expected value beyond that point takes its place.
      error = expectedBeyond(error / scale) * scale;
    } else {
      this.residuals.learn(residualGroups(keys), error / scale);
      this.learnNoise(keys, error, variance, noise);
    }
    const deviations = abs(error) / scale;
    const weight = deviations > CLIP_DEVIATIONS ? CLIP_DEVIATIONS / deviations : 1;
    this.effects.learn(keys, max(inputs.startMs, finishMs(record)), error, noise, weight);
    this.known.learn(inputsOfRecord(record));
  }

  learnInstanceSample(cluster: string, sample: InstanceSample): void {
    this.known.learnSample(cluster, sample);
  }

  private learnNoise(keys: readonly string[], error: number, variance: number, noise: number): void {
    const limit = CLIP_DEVIATIONS * CLIP_DEVIATIONS * variance;
    // Of the squared error only the share that is noise, not the effects' own uncertainty.
    const own = (min(error * error, limit) * noise) / variance;
    for (const key of noiseGroups(keys)) {
      let seen = this.noise.get(key);
      if (seen === undefined) this.noise.set(key, (seen = { variance: own, weight: 0 }));
      seen.weight = seen.weight * NOISE_KEPT + 1;
      seen.variance += (own - seen.variance) / seen.weight;
    }
  }

  save(): ModelFile['state'] {
    return {
      effects: this.effects.save(),
      noise: [...this.noise].map(([key, n]) => [key, n.variance, n.weight]),
      residuals: this.residuals.save(),
      known: this.known.save(),
      outcomes: [...this.outcomes].map(([key, o]) => [key, o.completed, o.broken]),
    };
  }

  restore(state: ModelFile['state']): void {
    this.effects.restore(state.effects);
    for (const [key, variance, weight] of state.noise) this.noise.set(key, { variance, weight });
    this.residuals.restore(state.residuals);
    this.known.restore(state.known);
    for (const [key, completed, broken] of state.outcomes) this.outcomes.set(key, { completed, broken });
  }
}

/** From the whole to the particular: all moves, cluster and operation, how it is moved, sizes. */
const residualGroups = (keys: readonly string[]): string[] => [
  '',
  keys[Level.cluster]!,
  keys[Level.family]!,
  keys[Level.config]!,
];
const noiseGroups = (keys: readonly string[]): string[] => [
  keys[Level.cluster]!,
  keys[Level.family]!,
  keys[Level.config]!,
];

/** Mean of a distribution given by its five quantiles: the area under the piecewise linear quantile function. */
function meanOfQuantiles(q: Float64Array): number {
  return (
    0.05 * q[0]! +
    (0.05 * (q[0]! + q[1]!)) / 2 +
    (0.4 * (q[1]! + q[2]!)) / 2 +
    (0.4 * (q[2]! + q[3]!)) / 2 +
    (0.05 * (q[3]! + q[4]!)) / 2 +
    0.05 * q[4]!
  );
}

/** E[z | z > c] of the standard normal: φ(c) ÷ (1 − Φ(c)); past 6 by its asymptote. */
export function expectedBeyond(c: number): number {
  if (c > 6) return c + 1 / c;
  const density = exp((-c * c) / 2) / sqrt(2 * Math.PI);
  return density / max(1e-12, 1 - normalDistribution(c));
}

/** Φ, after Abramowitz and Stegun 26.2.17 (error below 7.5e-8). */
export function normalDistribution(x: number): number {
  const t = 1 / (1 + 0.2316419 * abs(x));
  const poly =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = (exp((-x * x) / 2) / sqrt(2 * Math.PI)) * poly;
  return x >= 0 ? 1 - tail : tail;
}
