import { describe, expect, it } from '@jest/globals';
import { InstanceForecasts } from '../../src/predictor/instance-forecasts.js';
import { loadPredictor } from '../../src/predictor/load-predictor.js';
import { fitModel } from '../../training/fit.js';
import { inventedMoves } from '../training/invented-moves.js';

const MONDAY_MS = Date.UTC(2026, 0, 5);
const HOUR_MS = 3_600_000;
/** Busy by day, quiet by night. */
const dirtyAt = (hour: number): number => (hour % 24 >= 8 && hour % 24 < 18 ? 80 : 4) + (hour % 5) / 10;
const samples = (hours: number, from = 0) =>
  Array.from({ length: hours }, (_, i) => ({
    at: new Date(MONDAY_MS + (from + i) * HOUR_MS).toISOString(),
    cluster: 'c',
    instance: 'vm1',
    dirty_rate_mib_s: dirtyAt(from + i),
    used_memory_mib: 3000 + (i % 3),
  }));
const fitted = (list: ReturnType<typeof samples>): InstanceForecasts => {
  const forecasts = new InstanceForecasts();
  for (const sample of list) forecasts.learn(sample);
  return forecasts;
};
const at = (forecasts: InstanceForecasts, hour: number) =>
  forecasts.at('c', 'vm1', MONDAY_MS + hour * HOUR_MS);

describe('the load of an instance', () => {
  it('is its last value while it is young, and follows its day once that is known', () => {
    const young = at(fitted(samples(20)), 21)!;
    expect([young.class, young.model]).toEqual(['young', 'last-value']);
    expect(young.dirtyMibS![2]).toBeCloseTo(dirtyAt(19), 0);
    const known = fitted(samples(24 * 10 + 4)); // up to 3 in the morning
    expect(at(known, 24 * 10 + 4)!.dirtyMibS![2]).toBeLessThan(20);
    expect(at(known, 24 * 10 + 12)!.dirtyMibS![2]).toBeGreaterThan(40);
  });

  it('depends on no sample from after the moment', () => {
    const whole = fitted([
      ...samples(120),
      ...samples(40, 120).map((s) => ({ ...s, dirty_rate_mib_s: 9000 })),
    ]);
    expect(at(whole, 119.5)).toEqual(at(fitted(samples(120)), 119.5));
    expect(at(whole, 159)).toBeDefined();
    expect(at(whole, 119.5)).toBeUndefined();
    expect(whole.at('c', 'another', MONDAY_MS)).toBeUndefined();
  });
});

describe('predictions with instance samples', () => {
  const file = fitModel(
    inventedMoves(200, (i) => ({ dirty_rate_mib_s: 10 * (i % 9), used_memory_mib: 1500 })),
    {
      name: 'm',
      seed: 1,
    },
  );
  const request = (hour: number) => ({
    cluster: 'c',
    instance: 'vm1',
    source_node: 'n0',
    target_node: 'n1',
    memory_mib: 4096,
    link_mbps: 10_000,
    start_at: new Date(MONDAY_MS + hour * HOUR_MS).toISOString(),
  });

  it('are for the load of their start, named and wider; a given load is left alone', () => {
    const predictor = loadPredictor(file);
    for (const sample of samples(24 * 10 + 4)) predictor.learnInstanceSample(sample);
    const night = predictor.predict(request(24 * 10 + 4), MONDAY_MS);
    const day = predictor.predict(request(24 * 10 + 12), MONDAY_MS);
    for (const p of [night, day])
      expect(p.inputs_filled).toEqual(expect.arrayContaining(['dirty_rate_mib_s', 'used_memory_mib']));
    expect(new Set(day.inputs_filled).size).toBe(day.inputs_filled.length);
    expect(day.duration_seconds.p50).toBeGreaterThan(night.duration_seconds.p50);
    const given = { ...request(24 * 10 + 12), dirty_rate_mib_s: 0, used_memory_mib: 3000 };
    expect(predictor.predict(given, MONDAY_MS)).toEqual(loadPredictor(file).predict(given, MONDAY_MS));
  });

  it('stand on the last sample while an instance is young', () => {
    const predictor = loadPredictor(file);
    for (const sample of samples(20)) predictor.learnInstanceSample(sample);
    const given = { ...request(21), dirty_rate_mib_s: dirtyAt(19), used_memory_mib: 3000 + (19 % 3) };
    const { inputs_filled: filled, ...p } = predictor.predict(request(21), MONDAY_MS);
    expect(filled).toContain('dirty_rate_mib_s');
    expect(p.duration_seconds).toEqual(predictor.predict(given, MONDAY_MS).duration_seconds);
  });
});
