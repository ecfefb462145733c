import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { MoveProgress } from '../../src/domain/move-progress.js';
import type { MoveRequest } from '../../src/domain/move-request.js';
import { QUANTILE_NAMES } from '../../src/domain/prediction.js';
import { loadPredictor } from '../../src/predictor/load-predictor.js';
import { newPrecopyResult, precopy, type PrecopyInputs } from '../../src/predictor/precopy.js';
import { fitModel } from '../../training/fit.js';
import { inventedMoves } from '../training/invented-moves.js';

const predictor = loadPredictor(fitModel(inventedMoves(200), { name: 'm', seed: 1 }));
const NOW = Date.UTC(2026, 0, 3);
const move: MoveRequest = {
  cluster: 'c',
  instance: 'vm1',
  source_node: 'n0',
  target_node: 'n1',
  memory_mib: 4096,
};
const running = (progress: MoveProgress, more: Partial<MoveRequest> = {}): MoveRequest => ({
  ...move,
  ...more,
  progress,
});
const amount = (max: number) => fc.double({ min: 0, max, noNaN: true });

const progresses: fc.Arbitrary<MoveProgress> = fc.record(
  {
    elapsed_seconds: fc.double({ min: 0.001, max: 1e6, noNaN: true }),
    transferred_mib: amount(1e7),
    remaining_mib: amount(1e7),
    dirty_rate_mib_s: amount(1e5),
    throughput_mbps: amount(1e6),
    dirty_sync_count: fc.nat(1000),
  },
  { requiredKeys: ['elapsed_seconds'] },
);

describe('physics of a move under way', () => {
  const stream: PrecopyInputs = {
    volumeMib: 4000,
    bandwidthMibS: 100,
    dirtyMibS: 40,
    workingSetMib: 900,
    downtimeLimitSeconds: 0.3,
    autoConverge: false,
    postcopy: false,
  };

  it('at the start is the whole move', () => {
    expect(precopy(stream, newPrecopyResult(), stream.volumeMib, 0)).toEqual(
      precopy(stream, newPrecopyResult()),
    );
  });

  it('within the first round is what is left of the whole, wherever it is looked at', () => {
    const whole = precopy(stream, newPrecopyResult());
    for (const elapsed of [1, 10, 25, 39]) {
      const rest = precopy(stream, newPrecopyResult(), stream.volumeMib - 100 * elapsed, elapsed);
      expect(elapsed + rest.seconds).toBeCloseTo(whole.seconds, 9);
      expect(rest.rounds).toBe(whole.rounds);
    }
  });
});

describe('a running move', () => {
  it('has quantiles that rise, are finite and lie above what has elapsed, whatever it shows', () => {
    fc.assert(
      fc.property(
        progresses,
        fc.constantFrom('live_migration', 'failover', 'disk_replication'),
        (progress, operation) => {
          const p = predictor.predict(running(progress, { operation, disk_mib: 1000 }), NOW);
          let below = 0;
          for (const name of QUANTILE_NAMES) {
            const left = p.remaining_seconds![name];
            expect(Number.isFinite(left)).toBe(true);
            expect(left).toBeGreaterThan(0);
            expect(left).toBeGreaterThanOrEqual(below);
            below = left;
            expect(p.duration_seconds[name]).toBe(progress.elapsed_seconds + left);
          }
          expect(p.completion_probability).toBeGreaterThan(0);
          expect(p.completion_probability).toBeLessThan(1);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('has less to go the less remains, and is known more sharply', () => {
    const at = (share: number) =>
      predictor.predict(
        running({
          elapsed_seconds: 40 * share,
          transferred_mib: 3000 * share,
          remaining_mib: 4096 * (1 - share),
          dirty_sync_count: 1,
        }),
        NOW,
      );
    const seen = [0.1, 0.4, 0.7, 0.9].map(at);
    const left = seen.map((p) => p.remaining_seconds!.p50);
    expect(left).toEqual([...left].sort((a, b) => b - a));
    const widths = seen.map(
      (p) => (p.duration_seconds.p90 - p.duration_seconds.p10) / p.duration_seconds.p50,
    );
    expect(widths).toEqual([...widths].sort((a, b) => b - a));
  });

  it('is slower when the stream shows to be slow', () => {
    const at = (mbps: number) =>
      predictor.predict(
        running({
          elapsed_seconds: 10,
          transferred_mib: (mbps / 8.39) * 10,
          remaining_mib: 3000,
          throughput_mbps: mbps,
          dirty_sync_count: 1,
        }),
        NOW,
      ).remaining_seconds!.p50;
    expect(at(200)).toBeGreaterThan(2 * at(800));
  });

  it('is less likely to complete when it dirties as fast as it sends and nothing ends that', () => {
    const progress = {
      elapsed_seconds: 60,
      transferred_mib: 6000,
      remaining_mib: 500,
      dirty_rate_mib_s: 110,
      throughput_mbps: 840,
      dirty_sync_count: 9,
    };
    const chance = (capabilities: string[]) =>
      predictor.predict(running(progress, { capabilities }), NOW).completion_probability;
    expect(chance([])).toBeLessThan(0.7);
    expect(chance([])).toBeLessThan(chance(['auto-converge']));
    expect(chance([])).toBeLessThan(chance(['postcopy-ram']));
  });

  it('that goes as predicted is ever surer to complete, where nothing is known to wait for it', () => {
    const seconds = predictor.predict(move, NOW).duration_seconds.p50;
    const chances = [0.1, 0.3, 0.5, 0.7, 0.9, 0.95].map(
      (share) =>
        predictor.predict(
          running({
            elapsed_seconds: share * seconds,
            transferred_mib: share * 4096,
            remaining_mib: (1 - share) * 4096,
            dirty_rate_mib_s: 1,
            dirty_sync_count: 1,
          }),
          NOW,
        ).completion_probability,
    );
    expect(chances).toEqual([...chances].sort((a, b) => a - b));
    expect(chances.at(-1)).toBeGreaterThan(chances[0]!);
  });

  it('never lasts longer than its manager waits', () => {
    const p = predictor.predict(
      running(
        { elapsed_seconds: 50, transferred_mib: 100, remaining_mib: 4000 },
        { labels: { timeout_seconds: 60 } },
      ),
      NOW,
    );
    expect(p.duration_seconds.p95).toBeLessThanOrEqual(60);
    expect(p.completion_probability).toBeLessThan(0.5);
  });

  it('of a disk comes ever nearer to what is left at the observed rate', () => {
    const p = predictor.predict(
      running(
        { elapsed_seconds: 990, transferred_mib: 99_000, remaining_mib: 1000, throughput_mbps: 838.8608 },
        { operation: 'disk_replication', disk_mib: 100_000 },
      ),
      NOW,
    );
    expect(p.remaining_seconds!.p50).toBeGreaterThan(9);
    expect(p.remaining_seconds!.p50).toBeLessThan(11);
  });

  it('started so long ago as has elapsed, where its start is not said', () => {
    const progress = { elapsed_seconds: 30, transferred_mib: 2000, remaining_mib: 2096 };
    const started = new Date(NOW - 30_000).toISOString();
    expect(predictor.predict(running(progress), NOW)).toEqual(
      predictor.predict(running(progress, { start_at: started }), NOW),
    );
  });

  it('is the same by column', () => {
    const progress = { elapsed_seconds: 30, transferred_mib: 2000, remaining_mib: 2096 };
    const columns = predictor.durations([move, running(progress), move], NOW);
    const rows = predictor.predictAll([move, running(progress), move], NOW);
    rows.forEach((row, i) => {
      for (const name of QUANTILE_NAMES) expect(columns[name][i]).toBe(row.duration_seconds[name]);
    });
    expect(columns.mean[1]).toBeCloseTo(rows[1]!.duration_seconds.mean, 9);
    expect(rows[0]).toEqual(rows[2]);
    expect(rows[0]!.remaining_seconds).toBeUndefined();
  });
});
