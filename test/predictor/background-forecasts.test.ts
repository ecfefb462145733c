import { describe, expect, it } from '@jest/globals';
import type { MoveRecord } from '../../src/domain/move-record.js';
import type { LinkSample } from '../../src/domain/samples.js';
import { BackgroundForecasts } from '../../src/predictor/background-forecasts.js';
import { loadPredictor } from '../../src/predictor/load-predictor.js';
import { inputsOfRecord } from '../../src/predictor/move-inputs.js';
import { fitModel } from '../../training/fit.js';
import { inventedMoves } from '../training/invented-moves.js';

const T0 = Date.UTC(2026, 0, 2);
const iso = (minute: number): string => new Date(T0 + minute * 60_000).toISOString();
const sample = (minute: number, mbps: number, link = 'n0:egress'): LinkSample => ({
  at: iso(minute),
  cluster: 'c',
  link,
  throughput_mbps: mbps,
});
const move = (minute: number, more: Partial<MoveRecord> = {}): MoveRecord => ({
  id: `at${minute}`,
  cluster: 'c',
  instance: 'vm1',
  source_node: 'n0',
  target_node: 'n1',
  operation: 'live_migration',
  started_at: iso(minute),
  duration_seconds: 60,
  ...more,
});
const expectedAt = (forecasts: BackgroundForecasts, minute: number, more: Partial<MoveRecord> = {}) =>
  forecasts.expected(inputsOfRecord(move(minute, more)));

/** Five minutes apart, from minute 0. */
const steady = (count: number, mbps = 400): LinkSample[] =>
  Array.from({ length: count }, (_, i) => sample(5 * i, mbps + (i % 3)));

describe('the traffic that is expected beside a move', () => {
  it('stands on the link, else its source node, else its cluster, else nothing', () => {
    const forecasts = new BackgroundForecasts();
    for (let i = 0; i < 30; i++)
      for (const [link, mbps] of [
        ['n0>n1', 100],
        ['n0>n2', 300],
        ['n5>n6', 900],
      ] as const)
        forecasts.learnSample(sample(5 * i, mbps, link));
    expect(expectedAt(forecasts, 150)!.p50).toBeCloseTo(100, -1);
    const byNode = expectedAt(forecasts, 150, { target_node: 'n9' })!;
    expect(byNode.p10).toBeGreaterThan(50);
    expect(byNode.p90).toBeLessThan(500);
    expect(expectedAt(forecasts, 150, { source_node: 'n8' })).toBeDefined();
    expect(expectedAt(forecasts, 150, { cluster: 'elsewhere' })).toBeUndefined();
  });

  it('depends on no sample from after the start, however they come', () => {
    const whole = new BackgroundForecasts();
    const cut = new BackgroundForecasts();
    for (const s of steady(40)) {
      whole.learnSample(s);
      if (s.at <= iso(100)) cut.learnSample(s);
    }
    for (let i = 40; i < 60; i++) whole.learnSample(sample(5 * i, 9000));
    expect(expectedAt(whole, 100)).toEqual(expectedAt(cut, 100));
    // Once later samples were needed for a later question, the past is not answered from its future.
    expect(expectedAt(whole, 300)).toBeDefined();
    expect(expectedAt(whole, 100)).toBeUndefined();
  });

  it('is not the traffic of moves that have finished', () => {
    const quiet = new BackgroundForecasts();
    const moved = new BackgroundForecasts();
    for (let i = 0; i < 40; i++) {
      quiet.learnSample(sample(5 * i, 50 + (i % 3)));
      const isDuring = i % 4 === 3;
      moved.learnSample(sample(5 * i, isDuring ? 5000 : 50 + (i % 3)));
      if (isDuring) moved.learnMove(move(5 * i - 1, { duration_seconds: 120 }));
    }
    expect(expectedAt(moved, 200)!.p90).toBeLessThan(2 * expectedAt(quiet, 200)!.p90);
    expect(expectedAt(moved, 200)!.p50).toBeCloseTo(expectedAt(quiet, 200)!.p50, -1);
  });

  it('leaves out what a sample says twice, and series by moves', () => {
    const forecasts = new BackgroundForecasts();
    forecasts.learnSample(sample(0, 700, 'n0>n1:moves'));
    expect(forecasts.isEmpty).toBe(true);
    for (const s of steady(20)) forecasts.learnSample(s);
    for (const s of steady(20, 9000)) forecasts.learnSample(s);
    expect(expectedAt(forecasts, 100)!.p50).toBeCloseTo(400, -1);
  });
});

describe('predictions with link samples', () => {
  const measured = fitModel(
    inventedMoves(200, (i) => ({ background_mbps: 1000 * (i % 9), link_mbps: 10_000 })),
    { name: 'm', seed: 1 },
  );
  const unmeasured = fitModel(inventedMoves(200), { name: 'm', seed: 1 });
  const request = {
    cluster: 'c',
    instance: 'vm1',
    source_node: 'n0',
    target_node: 'n1',
    memory_mib: 8192,
    link_mbps: 10_000,
    start_at: iso(200),
  };
  const withSamples = (file: unknown, mbps: (i: number) => number) => {
    const predictor = loadPredictor(file);
    for (let i = 0; i < 40; i++) predictor.learnLinkSample(sample(5 * i, mbps(i)));
    return predictor;
  };

  it('fill the background where the request leaves it out, name it, and leave a given one alone', () => {
    const busy = withSamples(measured, (i) => 8000 + (i % 2));
    const p = busy.predict(request, T0);
    expect(p.inputs_filled).toContain('background_mbps');
    const plain = loadPredictor(measured);
    const given = { ...request, background_mbps: 8000 };
    expect(p.duration_seconds.p50).toBeCloseTo(plain.predict(given, T0).duration_seconds.p50, 1);
    expect(busy.predict(given, T0)).toEqual(plain.predict(given, T0));
    expect(plain.predict(request, T0).inputs_filled).not.toContain('background_mbps');
  });

  it('are wider the less is known of the traffic, and never cross', () => {
    const slowed = fitModel(
      inventedMoves(200, (i) => ({
        background_mbps: 1000 * (i % 9),
        duration_seconds: 3 + (8.4 * [2048, 4096, 8192][i % 3]!) / (10_000 - 1000 * (i % 9)),
      })),
      { name: 'm', seed: 1 },
    );
    const width = (mbps: (i: number) => number): number => {
      const q = withSamples(slowed, mbps).predict(request, T0).duration_seconds;
      expect([q.p05, q.p10, q.p50, q.p90, q.p95]).toEqual(
        [q.p05, q.p10, q.p50, q.p90, q.p95].sort((a, b) => a - b),
      );
      return Math.log(q.p95 / q.p05);
    };
    expect(width((i) => [500, 9500, 6000, 2000, 8000][i % 5]!)).toBeGreaterThan(
      2 * width((i) => 5000 + (i % 2)),
    );
  });

  it('do not fill it for a cluster whose moves were never measured so: it is in their durations already', () => {
    const p = withSamples(unmeasured, () => 8000).predict(request, T0);
    expect(p.inputs_filled).not.toContain('background_mbps');
    expect(p.duration_seconds).toEqual(loadPredictor(unmeasured).predict(request, T0).duration_seconds);
  });

  it('fill it for a cluster that has not moved anything yet', () => {
    const predictor = loadPredictor(unmeasured);
    for (let i = 0; i < 40; i++)
      predictor.learnLinkSample({ ...sample(5 * i, 8000 + (i % 2)), cluster: 'new' });
    const asked = { ...request, cluster: 'new' };
    const p = predictor.predict(asked, T0);
    expect(p.inputs_filled).toContain('background_mbps');
    const given = predictor.predict({ ...asked, background_mbps: 8000 }, T0);
    expect(p.duration_seconds.p50).toBeCloseTo(given.duration_seconds.p50, 1);
  });

  it('are the same by column and as a matrix', () => {
    const predictor = withSamples(measured, (i) => 3000 + 1000 * (i % 3));
    const { duration_seconds: row } = predictor.predict(request, T0);
    const columns = predictor.durations([request], T0);
    expect([columns.p05[0], columns.p50[0], columns.p95[0]]).toEqual([row.p05, row.p50, row.p95]);
    const { target_node: target, ...instance } = request;
    for (const [quantile, seconds] of [
      [0.5, row.p50],
      [0.9, row.p90],
    ] as const)
      expect(predictor.moveCosts([instance], [target], quantile, T0)[0]).toBeCloseTo(seconds, 3);
  });
});
