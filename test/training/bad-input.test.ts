import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { LONGEST_MOVE_SECONDS } from '../../src/domain/fields.js';
import { parseMoveRecord, type MoveRecord } from '../../src/domain/move-record.js';
import { loadPredictor } from '../../src/predictor/load-predictor.js';
import { implausibility } from '../../src/predictor/plausibility.js';
import { absurdMoves } from './absurd-moves.js';
import { inventedMoves } from './invented-moves.js';
import { memoryPieces } from './memory-pieces.js';
import { fitModel } from '../../training/fit.js';
import { seededRandom } from '../../training/seeded-random.js';
import { trainModel, type TrainedModel } from '../../training/train-model.js';

/** The protocols of the card cost most of a training, and are not what is looked at here. */
const options = { name: 'default', seed: 7, protocols: [] };
const nowMs = Date.UTC(2026, 0, 3);
const asked = { instance: 'vm1', source_node: 'n0', target_node: 'n1', memory_mib: 4096, cluster: 'c' };

/** Of an instance that is known, of one that is not, of one of a size never seen, and of one of which nothing is said. */
const requests = [
  asked,
  { ...asked, instance: 'x', source_node: 'y', target_node: 'z', memory_mib: 1 },
  { ...asked, memory_mib: 2 ** 30 },
  { instance: 'x', source_node: 'y', target_node: 'z' },
];

/** Whatever was trained on: quantiles that are finite, rise, and are times that a move may take; more memory, longer. */
function expectSane(model: unknown): void {
  const predictor = loadPredictor(JSON.parse(JSON.stringify(model)));
  for (const request of requests) {
    const { duration_seconds: d, completion_probability } = predictor.predict(request, nowMs);
    const values = [d.p05, d.p10, d.p50, d.p90, d.p95];
    expect(values.every((v, i) => Number.isFinite(v) && v > 0 && (i === 0 || v >= values[i - 1]!))).toBe(
      true,
    );
    expect(d.p50).toBeLessThanOrEqual(LONGEST_MOVE_SECONDS);
    expect(Number.isFinite(d.mean) && d.mean > 0).toBe(true);
    expect(completion_probability).toBeGreaterThan(0);
    expect(completion_probability).toBeLessThanOrEqual(1);
  }
}

const median = (model: unknown): number =>
  loadPredictor(JSON.parse(JSON.stringify(model))).predict(asked, nowMs).duration_seconds.p50;

/** The section of the card that says what the data is like. */
const remarksOf = ({ card }: TrainedModel): string =>
  /## Remarks on the data\n\n((?:- .*\n)+)/.exec(card)?.[1] ?? '';

const bare = ({
  id,
  instance,
  source_node,
  target_node,
  operation,
  started_at,
  duration_seconds,
}: MoveRecord): MoveRecord => ({
  id,
  instance,
  source_node,
  target_node,
  operation,
  started_at,
  duration_seconds,
});

/** The first fit of a backtest knows a hundred; what comes after is what a model is judged by. */
const ENOUGH = 140;

interface Case {
  name: string;
  records: MoveRecord[];
  says: RegExp;
  promoted: boolean;
  because: RegExp;
}

const cases: Case[] = [
  {
    name: 'ten rows in all',
    records: inventedMoves(10),
    says: /Only 10 finished moves: predictions stand on physics/,
    promoted: false,
    because: /^10 finished moves say too little/,
  },
  {
    name: 'a single row',
    records: inventedMoves(1),
    says: /Only 1 finished move:/,
    promoted: false,
    because: /^1 finished moves say too little/,
  },
  {
    name: 'one link only',
    records: inventedMoves(ENOUGH, () => ({ source_node: 'a', target_node: 'b' })),
    says: /All moves went over one link/,
    promoted: true,
    because: /^it beats every naive mark/,
  },
  {
    name: 'all durations equal',
    records: inventedMoves(ENOUGH, () => ({ duration_seconds: 20 })),
    says: /All durations are 20 s/,
    promoted: false,
    because: /^every move took 20 s/,
  },
  {
    name: 'a constant feature',
    records: inventedMoves(ENOUGH, () => ({ vcpus: 2 })),
    says: /The same in every move, so that its effect cannot be learnt: vcpus \(2\), link_mbps \(10000\)/,
    promoted: true,
    because: /^it beats every naive mark/,
  },
  {
    name: 'durations over six orders of magnitude',
    // More: the longest have not finished when the last one starts.
    records: inventedMoves(210, (i) => ({ duration_seconds: 10 ** (((i * 5) % 7) - 1) })),
    says: /Durations span 6\.0 orders of magnitude, from 0\.1 to 100000 s/,
    promoted: false,
    because: /^the naive mark \S+ has a smaller pinball loss/,
  },
  {
    name: 'a cluster whose clock jumps',
    records: inventedMoves(ENOUGH, (i) => ({
      started_at: new Date(Date.UTC(2026, 0, 1) + ((i * 7919) % 20) * 10_000).toISOString(),
    })),
    says: /began before its move before had ended, such as m\d+: a clock that jumps/,
    promoted: true,
    because: /^it beats every naive mark/,
  },
  {
    name: '90 % missing',
    records: inventedMoves(ENOUGH).map((record, i) => (i % 10 === 0 ? record : bare(record))),
    says: /Mostly missing, so that history and physics fill it in: memory_mib \(in 90 % of the moves\), link_mbps/,
    promoted: true,
    because: /^it beats every naive mark/,
  },
  {
    name: 'only moves that were broken off',
    records: inventedMoves(120, () => ({ status: 'failed' })),
    says: /120 of 120 moves \(100 %\) were broken off/,
    promoted: false,
    because: /^0 finished moves say too little/,
  },
  {
    name: 'values at the edge of what a record may hold',
    records: inventedMoves(150, (i) => ({
      memory_mib: i % 2 ? 2 ** 40 : 0,
      link_mbps: i % 3 ? 1e9 : 0,
      dirty_rate_mib_s: 2 ** 40,
    })),
    says: /75 of 150 moves \(50 %\) had more memory than any host has, such as m1: nothing is learnt from them/,
    promoted: false,
    because: /^150 of 150 moves cannot be true/,
  },
];

describe('training on bad input', () => {
  it.each(cases)('$name: sane predictions, a remark on the card, promotion as it must be', (bad) => {
    const trained = trainModel({ records: bad.records }, options);
    expectSane(trained.file);
    expect(remarksOf(trained)).toMatch(bad.says);
    expect({ promoted: trained.verdict.promote, reason: trained.verdict.reason }).toEqual({
      promoted: bad.promoted,
      reason: expect.stringMatching(bad.because),
    });
    expect(trained.card).toContain(bad.promoted ? 'Promoted: ' : `Not promoted: ${trained.verdict.reason}`);
    expect(trained.card).not.toMatch(/NaN|undefined|Infinity/);
    expect(trained.report ?? '').not.toMatch(/NaN|undefined|Infinity/);
  });

  it('has nothing to remark on in moves without a fault', () => {
    const records = inventedMoves(ENOUGH, (i) => ({
      used_memory_mib: 1000 + (i % 7),
      vcpus: 1 + (i % 2),
      dirty_rate_mib_s: i % 9,
      disk_mib: i % 2,
      link_mbps: 1000 * (1 + (i % 2)),
      background_mbps: i % 11,
      max_bandwidth_mib_s: 100 + (i % 2),
      downtime_limit_ms: 300 + (i % 2),
      cpu_load: (i % 5) / 5,
    }));
    expect(remarksOf(trainModel({ records }, options))).toBe('');
  });

  describe('poison, a thousand absurd records among 300 real ones,', () => {
    const real = readFileSync('data/osic/records.jsonl', 'utf8')
      .split('\n', 300)
      .map((line) => {
        const parsed = parseMoveRecord(JSON.parse(line));
        if (!parsed.ok) throw new Error(parsed.reason);
        return parsed.value;
      });
    const data = { records: [...real, ...absurdMoves(1000, real)] };
    const pieces = memoryPieces();
    it.each([
      ['a first model', false],
      ['a model over the one in service', true],
    ])('is refused as %s, and predicts sanely all the same', (_what, hasChampion) => {
      const champion = hasChampion ? fitModel(real.slice(0, 200), options) : undefined;
      const trained = trainModel(data, { ...options, champion, pieces });
      expectSane(trained.file);
      expect(trained.verdict).toMatchObject({
        promote: false,
        reason: expect.stringMatching(/of 1300 moves cannot be true/),
      });
      expect(trained.card).toContain(`Not promoted: ${trained.verdict.reason}`);
      expect(remarksOf(trained)).toMatch(
        /had more memory than any host has, such as absurd-\d+: nothing is learnt/,
      );
      expect(remarksOf(trained)).toMatch(/over 100 times faster than their link allows, such as absurd-\d+/);
      expect(remarksOf(trained)).toMatch(/orders of magnitude/);
    });
  });

  it('records that could each be true, but not together, make no duration longer or shorter by far than any of them', () => {
    const random = seededRandom(5);
    const scattered = inventedMoves(400, (i) =>
      i < 100 ? {} : { memory_mib: undefined, duration_seconds: 10 ** (-2 + 7 * random()) },
    );
    const seconds = scattered.map(({ duration_seconds }) => duration_seconds);
    const predictor = loadPredictor(fitModel(scattered, options));
    for (const request of [asked, requests[1]!, requests[3]!]) {
      const { p05, p95 } = predictor.predict(request, nowMs).duration_seconds;
      expect(p05).toBeGreaterThanOrEqual(Math.min(...seconds) / 10.001);
      expect(p95).toBeLessThanOrEqual(Math.max(...seconds) * 10.001);
    }
  });

  it.each(['__proto__', 'constructor', 'toString'])('names such as %s are names like any other', (name) => {
    const ordinary = inventedMoves(200);
    const odd = ordinary.map((move) => ({ ...move, cluster: name }));
    const p50 = (moves: readonly MoveRecord[], cluster: string): number => {
      const file: unknown = JSON.parse(JSON.stringify(fitModel(moves, options)));
      expectSane(file);
      return loadPredictor(file).predict({ ...asked, cluster }, nowMs).duration_seconds.p50;
    };
    const usual = p50(ordinary, 'c');
    expect(p50(odd, name) / usual).toBeGreaterThan(0.8);
    expect(p50(odd, name) / usual).toBeLessThan(1.25);
    expect(p50(ordinary, name)).toBe(p50(ordinary, 'never seen'));
  });

  it('records that cannot be true leave no trace in a prediction, whoever they name', () => {
    const real = inventedMoves(400);
    const clean = median(fitModel(real, options));
    for (const seed of [1, 2, 3]) {
      const absurd = absurdMoves(100, real, seed).filter((record) => implausibility(record) !== undefined);
      expect(absurd.length).toBeGreaterThan(60);
      expect(median(fitModel([...real, ...absurd], options))).toBe(clean);
    }
  });

  it('nor do they in a model that learns them while it is in service', () => {
    const real = inventedMoves(200);
    const file = JSON.parse(JSON.stringify(fitModel(real, options))) as unknown;
    const predictor = loadPredictor(file);
    const before = predictor.predict(asked, nowMs).duration_seconds;
    for (const record of absurdMoves(200, real))
      if (implausibility(record) !== undefined)
        predictor.learn({ ...record, started_at: '2026-01-02T00:00:00.000Z' });
    expect(predictor.predict(asked, nowMs).duration_seconds).toEqual(before);
  });

  it.each(['osic', 'qemu-lab'])('every measured move of data/%s can be true', (set) => {
    const lines = readFileSync(`data/${set}/records.jsonl`, 'utf8').split('\n').filter(Boolean);
    expect(lines.length).toBeGreaterThan(400);
    for (const line of lines) expect(implausibility(JSON.parse(line) as MoveRecord)).toBeUndefined();
  });
});
