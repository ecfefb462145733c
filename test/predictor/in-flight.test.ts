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
    elapsed_seconds: amount(1e6),
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

const p50Of = (progress: MoveProgress, more: Partial<MoveRequest> = {}): number =>
  predictor.predict(running(progress, more), NOW).remaining_seconds!.p50;
/** A cluster that nothing is known of, so that memory and link are what the request says. */
const elsewhere = { cluster: 'elsewhere', link_mbps: 1000 };

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

  it('has so much memory as its first round counts, whatever is said or guessed of it', () => {
    const progress = {
      elapsed_seconds: 20,
      transferred_mib: 2300,
      remaining_mib: 60_000,
      dirty_sync_count: 1,
    };
    const told = p50Of(progress, { ...elsewhere, memory_mib: 62_300 });
    expect(told).toBeGreaterThan(200);
    expect(p50Of(progress, { ...elsewhere, memory_mib: 4096 })).toBe(told);
    expect(p50Of(progress, { ...elsewhere, memory_mib: undefined })).toBe(told);
    const { transferred_mib } = predictor.predict(running(progress, elsewhere), NOW);
    expect(transferred_mib!.p50).toBeGreaterThan(20_000);
  });

  it('has not more memory for what it sent again in later rounds', () => {
    const progress = { elapsed_seconds: 90, transferred_mib: 9000, remaining_mib: 500 };
    for (const more of [{ dirty_sync_count: 4 }, {}])
      expect(predictor.predict(running({ ...progress, ...more }), NOW).warnings).toEqual([]);
  });

  it('is warned about when it counts far more than the memory that was said', () => {
    const warnings = (remaining_mib: number, memory_mib?: number): string[] =>
      predictor
        .predict(
          running(
            { elapsed_seconds: 10, transferred_mib: 100, remaining_mib, dirty_sync_count: 1 },
            { ...elsewhere, memory_mib },
          ),
          NOW,
        )
        .warnings.filter((warning) => warning.includes('counts'));
    expect(warnings(8000, 4096)).toContainEqual(expect.stringMatching(/counts 8100 MiB .* says 4096/));
    // Video memory and firmware are counted, too.
    expect(warnings(4030, 4096)).toEqual([]);
    expect(warnings(8000)).toEqual([]);
  });

  it('that has sent nothing has the whole still to come', () => {
    const before = predictor.predict(move, NOW);
    const waited = before.duration_seconds.p50 / 2;
    for (const elapsed_seconds of [2, waited, 20 * waited]) {
      const p = predictor.predict(running({ elapsed_seconds, transferred_mib: 0, remaining_mib: 4096 }), NOW);
      for (const name of QUANTILE_NAMES)
        expect(p.remaining_seconds![name]).toBeGreaterThan(0.999 * before.duration_seconds[name]);
      expect(p.transferred_mib).toEqual(before.transferred_mib);
    }
  });

  it('that does not count what it sent goes by what remains', () => {
    const uncounted = { elapsed_seconds: 60, transferred_mib: 0, remaining_mib: 300 };
    const { remaining_mib, elapsed_seconds } = uncounted;
    for (const more of [{}, { operation: 'disk_replication', disk_mib: 6000 }] as Partial<MoveRequest>[])
      expect(predictor.predict(running(uncounted, more), NOW).remaining_seconds).toEqual(
        predictor.predict(running({ elapsed_seconds, remaining_mib }, more), NOW).remaining_seconds,
      );
  });

  it('sends at least what remains of it', () => {
    const progress = { elapsed_seconds: 60, transferred_mib: 4000, remaining_mib: 900, dirty_sync_count: 2 };
    const { transferred_mib } = predictor.predict(
      running({ ...progress, throughput_mbps: 0.001, dirty_rate_mib_s: 0 }),
      NOW,
    );
    expect(transferred_mib!.p50).toBeGreaterThanOrEqual(4900);
    expect(transferred_mib!.p90).toBeGreaterThanOrEqual(transferred_mib!.p50!);
  });

  it('early on sends about what was expected before: how fast it goes is less sure than how much it sends', () => {
    const before = predictor.predict({ ...move, ...elsewhere }, NOW).transferred_mib!;
    for (const transferred_mib of [60, 120, 240]) {
      const { transferred_mib: sent } = predictor.predict(
        running({ elapsed_seconds: 2, transferred_mib, remaining_mib: 4096 - transferred_mib }, elsewhere),
        NOW,
      );
      for (const name of ['p50', 'p90'] as const) {
        expect(sent![name]! / before[name]!).toBeGreaterThan(0.85);
        expect(sent![name]! / before[name]!).toBeLessThan(1.15);
      }
    }
  });

  it('is warned about when nothing moves, once it has had the time to set up', () => {
    const isWarned = (progress: MoveProgress, operation: MoveRequest['operation'] = 'live_migration') =>
      predictor
        .predict(running(progress, { operation, disk_mib: 4096 }), NOW)
        .warnings.some((warning) => warning.includes('waits or hangs'));
    const still = { elapsed_seconds: 60, transferred_mib: 0, remaining_mib: 4096 };
    expect(isWarned(still)).toBe(true);
    expect(isWarned(still, 'disk_replication')).toBe(true);
    expect(isWarned({ ...still, transferred_mib: 1000, throughput_mbps: 0 })).toBe(true);
    expect(isWarned({ ...still, elapsed_seconds: 1 })).toBe(false);
    expect(isWarned({ ...still, throughput_mbps: 500 })).toBe(false);
    expect(isWarned({ ...still, transferred_mib: 1000 })).toBe(false);
    expect(isWarned({ ...still, transferred_mib: 4096, remaining_mib: 0, throughput_mbps: 0 })).toBe(false);
    expect(isWarned({ ...still, remaining_mib: 300 })).toBe(false);
    expect(isWarned({ elapsed_seconds: 60 })).toBe(false);
  });

  it('of 0 seconds is one that has not started', () => {
    const before = predictor.predict(move, NOW);
    for (const more of [{}, { transferred_mib: 0, remaining_mib: 4096 }, { transferred_mib: 5 }]) {
      const { remaining_seconds, ...p } = predictor.predict(running({ elapsed_seconds: 0, ...more }), NOW);
      expect(p).toEqual(before);
      expect(remaining_seconds).toEqual(before.duration_seconds);
    }
  });

  it('that has only just started is known no better than before, however fast its first bytes went', () => {
    const before = predictor.predict({ ...move, ...elsewhere }, NOW).duration_seconds;
    for (const [elapsed_seconds, transferred_mib] of [
      [0.001, 5],
      [0.05, 20],
      [0.05, 1],
    ] as const) {
      const { remaining_seconds } = predictor.predict(
        running({ elapsed_seconds, transferred_mib, remaining_mib: 4096 - transferred_mib }, elsewhere),
        NOW,
      );
      for (const name of QUANTILE_NAMES) {
        expect(remaining_seconds![name] / before[name]).toBeGreaterThan(0.8);
        expect(remaining_seconds![name] / before[name]).toBeLessThan(1.25);
      }
    }
  });

  it('begins where the prediction before its start ends', () => {
    // Polls of a first millisecond, of moves that take a second or longer.
    const first = fc.record({
      operation: fc.constantFrom('live_migration', 'failover', 'disk_replication') as fc.Arbitrary<
        MoveRequest['operation']
      >,
      sizeMib: fc.double({ min: 1024, max: 1e6, noNaN: true }),
      cluster: fc.constantFrom('c', 'elsewhere'),
      sentMib: fc.double({ min: 0, max: 10, noNaN: true }),
      tellsBytes: fc.boolean(),
      more: fc.record(
        { dirty_rate_mib_s: amount(1000), throughput_mbps: amount(1e4), dirty_sync_count: fc.constant(1) },
        { requiredKeys: [] },
      ),
      timeout: fc.constantFrom(undefined, 30, 1e6),
    });
    fc.assert(
      fc.property(first, ({ operation, sizeMib, cluster, sentMib, tellsBytes, more, timeout }) => {
        const asked: MoveRequest = {
          ...move,
          cluster,
          operation,
          memory_mib: sizeMib,
          ...(operation === 'live_migration' ? {} : { disk_mib: sizeMib }),
          link_mbps: 1000,
          ...(timeout === undefined ? {} : { labels: { timeout_seconds: timeout } }),
        };
        const bytes = { transferred_mib: sentMib, remaining_mib: sizeMib - sentMib };
        const progress = { elapsed_seconds: 0.001, ...(tellsBytes ? { ...bytes, ...more } : {}) };
        const before = predictor.predict(asked, NOW);
        const after = predictor.predict({ ...asked, progress }, NOW);
        for (const name of QUANTILE_NAMES) {
          const whole = before.duration_seconds[name];
          expect(Math.abs(after.remaining_seconds![name] - whole)).toBeLessThan(0.03 * whole + 0.02);
        }
        expect(Math.abs(after.completion_probability - before.completion_probability)).toBeLessThan(0.005);
        for (const name of ['p50', 'p90'] as const) {
          const whole = before.transferred_mib![name]!;
          expect(Math.abs(after.transferred_mib![name]! - whole)).toBeLessThan(0.03 * whole + 10);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('goes no faster than its link while buffers can explain it, and as fast as it does where they cannot', () => {
    const small = { ...elsewhere, memory_mib: 256 };
    const at = (elapsed_seconds: number, transferred_mib: number, more: Partial<MoveRequest>): number =>
      p50Of({ elapsed_seconds, transferred_mib, remaining_mib: 200, dirty_sync_count: 1 }, more);
    // 119 MiB/s in 0.1 s, and as much again in buffers.
    expect(at(0.1, 24, small) / at(0.1, 12, small)).toBeGreaterThan(0.8);
    const large = { ...elsewhere, memory_mib: 65_536 };
    const late = { elapsed_seconds: 10, transferred_mib: 10_000, remaining_mib: 55_536, dirty_sync_count: 1 };
    expect(p50Of(late, large)).toBeLessThan(0.2 * p50Of({ ...late, transferred_mib: 1000 }, large));
  });

  it.each<[string, MoveProgress]>([
    ['as it runs', { elapsed_seconds: 30, transferred_mib: 2000, remaining_mib: 2096 }],
    ['with more memory than was said', { elapsed_seconds: 30, transferred_mib: 2000, remaining_mib: 9000 }],
    ['at its start', { elapsed_seconds: 0, transferred_mib: 0, remaining_mib: 9000 }],
  ])('is the same by column %s', (_, progress) => {
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
