import { describe, expect, it } from '@jest/globals';
import { PooledEffects, type EffectLevel } from '../../src/predictor/pooled-effects.js';

const levels: readonly EffectLevel[] = Object.freeze([
  { priorVariance: 0.1, driftVariance: 1e-6, memoryHours: 1e6 },
  { priorVariance: 0.05, driftVariance: 1e-6, memoryHours: 1e6 },
  { priorVariance: 0.02, driftVariance: 1e-3, memoryHours: 2 },
]);
const atMs = Date.parse('2026-01-01T00:00:00Z');
const keys = Object.freeze(['all', 'a', 'now']);

/** Shows `n` moves whose residual is always `value`. */
function teach(effects: PooledEffects, value: number, n: number): void {
  const sum = { mean: 0, variance: 0 };
  for (let i = 0; i < n; i++) {
    effects.sum(keys, atMs, sum);
    effects.learn(keys, atMs, value - sum.mean, 0.01, 1);
  }
}

describe('pooled effects', () => {
  it('say nothing, and are as unsure as their priors, before anything was seen', () => {
    expect(new PooledEffects(levels).sum(keys, atMs, { mean: 1, variance: 1 })).toEqual({
      mean: 0,
      variance: 0.1 + 0.05 + 0.02,
    });
  });

  it('come to what is always seen, and grow surer', () => {
    const effects = new PooledEffects(levels);
    teach(effects, 0.4, 200);
    const sum = effects.sum(keys, atMs, { mean: 0, variance: 0 });
    expect(sum.mean).toBeCloseTo(0.4, 2);
    expect(sum.variance).toBeLessThan(0.02);
  });

  it('lend an unseen key what the levels above it have learnt, with a wider variance', () => {
    const effects = new PooledEffects(levels);
    teach(effects, 0.4, 50);
    const seen = effects.sum(keys, atMs, { mean: 0, variance: 0 });
    const unseen = effects.sum(['all', 'b', 'other'], atMs, { mean: 0, variance: 0 });
    expect(unseen.mean).toBeGreaterThan(0.1);
    expect(unseen.mean).toBeLessThan(seen.mean);
    expect(unseen.variance).toBeGreaterThan(seen.variance);
  });

  it('go back to zero after a pause, by the memory of their level', () => {
    const effects = new PooledEffects([levels[2]!]);
    const sum = { mean: 0, variance: 0 };
    for (let i = 0; i < 20; i++)
      effects.learn(['x'], atMs, 0.3 - effects.sum(['x'], atMs, sum).mean, 0.01, 1);
    const now = effects.sum(['x'], atMs, { mean: 0, variance: 0 });
    const later = effects.sum(['x'], atMs + 2 * 3_600_000, { mean: 0, variance: 0 });
    expect(later.mean).toBeCloseTo(now.mean / Math.E, 10);
    expect(later.variance).toBeGreaterThan(now.variance);
  });

  it('are the same after saving and restoring, to the last bit', () => {
    const effects = new PooledEffects(levels);
    teach(effects, 0.123, 17);
    const copy = new PooledEffects(levels);
    copy.restore(JSON.parse(JSON.stringify(effects.save())));
    teach(effects, -0.1, 3);
    teach(copy, -0.1, 3);
    expect(copy.save()).toEqual(effects.save());
  });

  it('do not follow one absurd move as far as an honest one, by its weight', () => {
    const whole = new PooledEffects(levels);
    const light = new PooledEffects(levels);
    whole.learn(keys, atMs, 5, 0.01, 1);
    light.learn(keys, atMs, 5, 0.01, 0.01);
    const of = (effects: PooledEffects) => effects.sum(keys, atMs, { mean: 0, variance: 0 }).mean;
    expect(of(light)).toBeLessThan(of(whole) / 4);
  });
});
