import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { UserError } from '../../src/domain/errors.js';
import type { MoveRequest } from '../../src/domain/move-request.js';
import { predictionSchema } from '../../src/domain/prediction.js';
import { meanOfQuantiles } from '../../src/predictor/duration-model.js';
import { loadPredictor } from '../../src/predictor/load-predictor.js';
import type { Predictor } from '../../src/predictor/predictor.js';
import { MODEL_FORMAT } from '../../src/predictor/model-file.js';
import { fitModel } from '../../training/fit.js';
import { inventedMoves } from '../training/invented-moves.js';

const moves = Object.freeze(inventedMoves(200));
const nowMs = Date.UTC(2026, 0, 2);
let model: unknown;
beforeAll(() => {
  model = JSON.parse(JSON.stringify(fitModel(moves, { name: 'default', seed: 1 })));
});
const asked: MoveRequest = Object.freeze({
  cluster: 'c',
  instance: 'vm1',
  source_node: 'n0',
  target_node: 'n1',
  memory_mib: 4096,
});

describe('a loaded predictor', () => {
  it('answers in the words of the contract', () => {
    const prediction = loadPredictor(model).predict({ ...asked, request_id: 'r1' }, nowMs);
    expect(predictionSchema.parse(prediction)).toEqual(prediction);
    expect(prediction.request_id).toBe('r1');
    expect(prediction.basis).toBe('link');
  });

  it('reads a model of before traffic at the target and moves beside were known, and predicts without them', () => {
    const older = structuredClone(model) as {
      physics: { global: Record<string, number>; clusters: Record<string, Record<string, number>> };
      state: { known: Record<string, unknown> };
    };
    delete older.state.known['beside'];
    for (const constants of [older.physics.global, ...Object.values(older.physics.clusters)])
      delete constants['targetWeight'];
    const predictor = loadPredictor(older);
    const at = (mbps: number): number =>
      predictor.predict({ ...asked, labels: { target_background_mbps: mbps } }, nowMs).duration_seconds.p50;
    expect(at(900)).toBe(at(0));
  });

  it('is a pure function of model and history: the same question twice has the same answer', () => {
    const predictor = loadPredictor(model);
    expect(predictor.predict(asked, nowMs)).toEqual(predictor.predict(asked, nowMs));
    expect(loadPredictor(model).predict(asked, nowMs)).toEqual(predictor.predict(asked, nowMs));
  });

  it('never crosses quantiles, never predicts zero or less, whatever is asked', () => {
    const predictor = loadPredictor(model);
    const number = fc.option(fc.double({ min: 0, max: 2 ** 40, noNaN: true }), { nil: undefined });
    fc.assert(
      fc.property(
        fc.record(
          {
            memory_mib: number,
            used_memory_mib: number,
            dirty_rate_mib_s: number,
            disk_mib: number,
            background_mbps: number,
            max_bandwidth_mib_s: number,
            cpu_load: number,
          },
          { requiredKeys: [] },
        ),
        fc.constantFrom('live_migration', 'failover', 'disk_replication'),
        fc.subarray([
          'auto-converge',
          'xbzrle',
          'multifd',
          'postcopy-ram',
          'compress',
          'tunnelled',
          'unheard-of',
        ]),
        (fields, operation, capabilities) => {
          const known = Object.fromEntries(Object.entries(fields).filter(([, v]) => v !== undefined));
          const { duration_seconds: d } = predictor.predict(
            { ...asked, ...known, operation, capabilities } as MoveRequest,
            nowMs,
          );
          const values = [d.p05, d.p10, d.p50, d.p90, d.p95];
          expect(
            values.every((v, i) => Number.isFinite(v) && v > 0 && (i === 0 || v >= values[i - 1]!)),
          ).toBe(true);
          expect(d.mean).toBeGreaterThan(0);
        },
      ),
    );
  });

  it('takes longer for more memory, also far outside of what it was trained on', () => {
    const predictor = loadPredictor(model);
    let last = 0;
    for (let mib = 64; mib <= 2 ** 30; mib *= 2) {
      const request = {
        instance: 'new',
        source_node: 'a',
        target_node: 'b',
        memory_mib: mib,
        link_mbps: 1000,
      };
      const { p50 } = predictor.predict(request, nowMs).duration_seconds;
      expect(p50).toBeGreaterThan(last);
      last = p50;
    }
  });

  it('warns of an input far outside of what it was trained on, and names it', () => {
    const { warnings } = loadPredictor(model).predict({ ...asked, memory_mib: 1 << 20 }, nowMs);
    expect(warnings.join()).toContain('memory_mib');
    expect(loadPredictor(model).predict(asked, nowMs).warnings).toEqual([]);
  });

  describe('of a guest that dirties memory faster than the link carries', () => {
    const diverging: MoveRequest = {
      ...asked,
      instance: 'busy',
      used_memory_mib: 4000,
      dirty_rate_mib_s: 2000,
      link_mbps: 1000,
      labels: {},
    };
    const isWarned = (request: MoveRequest, of: unknown = model): boolean =>
      loadPredictor(of)
        .predict(request, nowMs)
        .warnings.some((warning) => warning.includes('not to converge'));
    const chance = (request: MoveRequest, of: unknown = model): number =>
      loadPredictor(of).predict(request, nowMs).completion_probability;

    it('warns, with a downtime limit that would do, and with what is not yet used', () => {
      expect(isWarned(diverging)).toBe(true);
      const { warnings } = loadPredictor(model).predict(diverging, nowMs);
      const warning = warnings.find((w) => w.includes('not to converge'))!;
      const enough = Number(/downtime_limit_ms above (\d+)/.exec(warning)![1]);
      expect(isWarned({ ...diverging, downtime_limit_ms: enough })).toBe(false);
      expect(isWarned({ ...diverging, downtime_limit_ms: enough / 2 })).toBe(true);
      expect(warning).toContain('auto-converge');
      for (const capability of ['auto-converge', 'postcopy-ram'])
        expect(isWarned({ ...diverging, capabilities: [capability] })).toBe(false);
      expect(isWarned({ ...diverging, operation: 'failover' })).toBe(false);
    });

    it('is undecided whether it completes, where nothing like it was seen; a late time-out changes nothing', () => {
      expect(chance(diverging)).toBe(0.5);
      expect(chance({ ...diverging, labels: { timeout_seconds: 1e7 } })).toBe(0.5);
      expect(chance({ ...diverging, labels: { timeout_seconds: 20 } })).toBeLessThan(0.1);
      expect(chance({ ...diverging, capabilities: ['auto-converge'] })).toBeGreaterThan(0.9);
    });

    it('learns quickly how such moves end in this cluster, and keeps them apart from the others', () => {
      const after = (status: 'completed' | 'cancelled'): readonly number[] => {
        const predictor = loadPredictor(model);
        for (let i = 0; i < 5; i++) {
          const { link_mbps = 0, used_memory_mib = 0, dirty_rate_mib_s = 0 } = diverging;
          predictor.learn({
            ...moves[1]!,
            id: `busy-${i}`,
            instance: `busy-${i}`,
            started_at: new Date(nowMs - 7_200_000 + 1_000_000 * i).toISOString(),
            duration_seconds: 900,
            status,
            link_mbps,
            used_memory_mib,
            dirty_rate_mib_s,
          });
        }
        return [diverging, asked].map((request) => predictor.predict(request, nowMs).completion_probability);
      };
      const before = chance(asked);
      const [endedBadly, others] = after('cancelled');
      const [endedWell, othersToo] = after('completed');
      expect(endedBadly).toBeLessThan(0.2);
      expect(endedWell).toBeGreaterThan(0.8);
      expect(others).toBe(before);
      expect(othersToo).toBe(before);
    });

    it('of a running move believes what the poll shows', () => {
      const progress = {
        elapsed_seconds: 60,
        transferred_mib: 5000,
        remaining_mib: 500,
        dirty_sync_count: 3,
        throughput_mbps: 900,
      };
      expect(isWarned({ ...diverging, progress: { ...progress, dirty_rate_mib_s: 500 } })).toBe(true);
      expect(isWarned({ ...diverging, progress: { ...progress, dirty_rate_mib_s: 1 } })).toBe(false);
      expect(isWarned({ ...diverging, progress: { elapsed_seconds: 60 } })).toBe(true);
    });
  });

  it.each([
    [{ source_node: 'n1' }, /^source_node and target_node are both n1: /],
    [{ used_memory_mib: 9000 }, /^used_memory_mib 9000 is more than memory_mib 4096, /],
  ])('warns of a request that cannot be meant so: %j', (odd, warning) => {
    const predictor = loadPredictor(model);
    expect(predictor.predict(asked, nowMs).warnings).toEqual([]);
    const { warnings, duration_seconds } = predictor.predict({ ...asked, ...odd }, nowMs);
    expect(warnings).toEqual([expect.stringMatching(warning)]);
    expect(duration_seconds.p50).toBeGreaterThan(0);
  });

  it('of a move that ends in time, does not take for likely what was next to impossible before', () => {
    const predictor = loadPredictor(model);
    const { p05, p50 } = predictor.predict(asked, nowMs).duration_seconds;
    const inTime = predictor.predict({ ...asked, labels: { timeout_seconds: p50 } }, nowMs);
    expect(inTime.completion_probability).toBeCloseTo(0.5, 6);
    // p05 of the half that ends in time is p025 of all: a normal curve has it at 1.19 times the distance of p05.
    expect(Math.log(inTime.duration_seconds.p05 / p50) / Math.log(p05 / p50)).toBeLessThan(1.3);
    expect(inTime.duration_seconds.p95).toBeLessThan(p50);
  });

  it('fills in what history knows of the instance, and says so', () => {
    const predictor = loadPredictor(model);
    const { memory_mib: _, ...bare } = asked;
    const filled = predictor.predict(bare, nowMs);
    expect(filled.inputs_filled).toContain('memory_mib');
    expect(filled.duration_seconds.p50).toBeCloseTo(predictor.predict(asked, nowMs).duration_seconds.p50, 9);
  });

  it('is less sure of a move whose link it had to fill in, where links were not what they had been', () => {
    const predictorOf = (linkOf: (i: number) => number): Predictor => {
      const history = inventedMoves(200, (i) => ({
        link_mbps: linkOf(i),
        duration_seconds: 3 + (8.4 * 4096) / linkOf(i),
      }));
      return loadPredictor(fitModel(history, { name: 'm', seed: 1 }));
    };
    const width = (linkOf: (i: number) => number, link_mbps?: number): number => {
      const { p10, p90 } = predictorOf(linkOf).predict({ ...asked, link_mbps }, nowMs).duration_seconds;
      return Math.log(p90 / p10);
    };
    const changing = (i: number): number => [100, 300, 1000][((i * 7) % 11) % 3]!;
    expect(width(changing)).toBeGreaterThan(width(changing, 300) + 1);
    expect(width(() => 300)).toBe(width(() => 300, 300));
    const unsure = predictorOf(changing);
    const whole = unsure.predict(asked, nowMs).duration_seconds;
    const { p05, p10, p50, p90, p95, mean } = whole;
    expect(mean / meanOfQuantiles(Float64Array.of(p05, p10, p50, p90, p95))).toBeCloseTo(1, 9);
    const limit = (p50 + p90) / 2;
    const inTime = unsure.predict({ ...asked, labels: { timeout_seconds: limit } }, nowMs).duration_seconds;
    expect(inTime.p95).toBeLessThanOrEqual(limit);
    expect(inTime.mean).toBeLessThan(mean);
  });

  it('names the most specific history that a prediction stands on', () => {
    const predictor = loadPredictor(model);
    const basis = (changes: Partial<MoveRequest>) => predictor.predict({ ...asked, ...changes }, nowMs).basis;
    expect(basis({})).toBe('link');
    expect(basis({ target_node: 'unseen' })).toBe('node');
    expect(basis({ source_node: 'unseen', target_node: 'unseen2' })).toBe('cluster');
    expect(basis({ cluster: 'unseen' })).toBe('prior');
  });

  it('is less sure where it knows less', () => {
    const predictor = loadPredictor(model);
    const width = (changes: Partial<MoveRequest>): number => {
      const { p05, p50, p95 } = predictor.predict({ ...asked, ...changes }, nowMs).duration_seconds;
      return (p95 - p05) / p50;
    };
    expect(width({ cluster: 'unseen' })).toBeGreaterThan(2 * width({}));
  });

  it('learns from a reported move at once, and not twice from one it was trained on', () => {
    const predictor = loadPredictor(model);
    const before = predictor.predict(asked, nowMs).duration_seconds.p50;
    for (const move of moves) predictor.learn(move);
    expect(predictor.predict(asked, nowMs).duration_seconds.p50).toBe(before);
    for (let i = 0; i < 10; i++)
      predictor.learn({
        ...moves[1]!,
        ...asked,
        operation: 'live_migration',
        id: `later${i}`,
        started_at: new Date(nowMs + i * 60_000).toISOString(),
        duration_seconds: before * 2,
      });
    const after = predictor.predict(asked, nowMs + 3_600_000).duration_seconds.p50;
    expect(after).toBeGreaterThan(before * 1.5);
  });

  it('knows how the last moves of a cluster deviated from what it had predicted, and adds those it is told of', () => {
    const predictor = loadPredictor(model);
    const known = predictor.pastErrors('c')!;
    expect(known.hours.flat(2).length).toBeGreaterThanOrEqual(50);
    expect(predictor.pastErrors('elsewhere')).toBeUndefined();
    expect(predictor.pastErrors()).toBeUndefined();
    const last = moves.at(-1)!;
    const startedMs = Date.UTC(2026, 0, 3);
    const { p10, p50, p90 } = predictor.predict(
      { ...asked, start_at: new Date(startedMs).toISOString() },
      nowMs,
    ).duration_seconds;
    predictor.learn({
      ...last,
      ...asked,
      operation: 'live_migration',
      id: 'later',
      started_at: new Date(startedMs).toISOString(),
      duration_seconds: p90 * 1.5,
    });
    const error = predictor.pastErrors('c')!.hours.at(-1)!;
    expect(error).toHaveLength(1);
    expect(error[0]).toHaveLength(1);
    expect(error[0]![0]).toBeCloseTo(Math.log((p90 * 1.5) / p50) / Math.log(p90 / p50), 1);
    expect(p10).toBeLessThan(p50);
  });

  it('reads a model of before errors were kept, and then knows none', () => {
    const older = structuredClone(model) as { state: { errors?: unknown } };
    delete older.state.errors;
    const predictor = loadPredictor(older);
    expect(predictor.pastErrors('c')).toBeUndefined();
    expect(predictor.predict(asked, nowMs)).toEqual(loadPredictor(model).predict(asked, nowMs));
  });

  it('gives in columns and in a matrix what it gives one by one', () => {
    const predictor = loadPredictor(model);
    const nodes = ['n0', 'n1', 'n2', 'n3', 'unseen'];
    const instances = [0, 1, 2].map((i) => ({
      cluster: 'c',
      instance: `vm${i}`,
      source_node: `n${i}`,
      memory_mib: 2048 * (i + 1),
    }));
    const costs = predictor.moveCosts(instances, nodes, 0.5, nowMs);
    const requests = instances.flatMap((instance) =>
      nodes.map((target_node) => ({ ...instance, target_node })),
    );
    const columns = predictor.durations(requests, nowMs);
    requests.forEach((request, k) => {
      const { duration_seconds: d } = predictor.predict(request, nowMs);
      expect(columns.p50[k]).toBe(d.p50);
      expect(columns.p95[k]).toBe(d.p95);
      expect(columns.mean[k]).toBe(d.mean);
      expect(costs[k]).toBe(request.source_node === request.target_node ? NaN : Math.fround(d.p50));
    });
    expect(predictor.predictAll(requests, nowMs)).toEqual(
      requests.map((request) => predictor.predict(request, nowMs)),
    );
  });

  it('keeps nothing of what it was asked before a move was learnt', () => {
    const { target_node: _, ...instance } = asked;
    const targets = ['n1', 'n2', 'unseen'];
    const costs = (of: Predictor): Float32Array => of.moveCosts([instance], targets, 0.9, nowMs);
    const predictor = loadPredictor(model);
    const fresh = loadPredictor(model);
    const later = moves.slice(0, 20).map((move, i) => ({
      ...move,
      instance: 'vm1',
      id: `later${i}`,
      started_at: new Date(nowMs + i * 600_000).toISOString(),
    }));
    for (const move of later) {
      costs(predictor);
      predictor.learn(move);
      fresh.learn(move);
    }
    expect(costs(predictor)).toEqual(costs(fresh));
    expect(costs(predictor)).not.toEqual(costs(loadPredictor(model)));
  });

  it.each<[string, unknown]>([
    ['nothing', null],
    ['a text', 'model'],
    ['an object without a format', {}],
    ['a newer format', { format: MODEL_FORMAT + 1 }],
    ['a damaged model', { format: MODEL_FORMAT, name: 'x' }],
  ])('refuses %s with one sentence', (_what, value) => {
    let error: unknown;
    try {
      loadPredictor(value);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).code).toBe('model-unusable');
    expect((error as UserError).message).not.toContain('\n');
  });
});
