import { describe, expect, it } from '@jest/globals';
import { LONGEST_MOVE_SECONDS } from '../../src/domain/fields.js';
import { loadPredictor } from '../../src/predictor/load-predictor.js';
import { fitModel } from '../../training/fit.js';
import { trainModel } from '../../training/train-model.js';
import { inventedMoves } from './invented-moves.js';

const options = { name: 'default', seed: 7 };
/** Other protocols than the rolling one take no part in the judgement, and cost most of a training. */
const judgedOnly = { ...options, protocols: [] };
const asked = { instance: 'vm1', source_node: 'n0', target_node: 'n1', memory_mib: 4096, cluster: 'c' };
const nowMs = Date.UTC(2026, 0, 3);

function expectSane(model: unknown): void {
  const predictor = loadPredictor(JSON.parse(JSON.stringify(model)));
  for (const request of [asked, { instance: 'x', source_node: 'y', target_node: 'z' }]) {
    const { duration_seconds: d, completion_probability } = predictor.predict(request, nowMs);
    const values = [d.p05, d.p10, d.p50, d.p90, d.p95];
    expect(values.every((v, i) => Number.isFinite(v) && v > 0 && (i === 0 || v >= values[i - 1]!))).toBe(
      true,
    );
    expect(d.p50).toBeLessThanOrEqual(LONGEST_MOVE_SECONDS);
    expect(completion_probability).toBeGreaterThan(0);
    expect(completion_probability).toBeLessThanOrEqual(1);
  }
}

describe('training', () => {
  it('gives the same bytes and version for the same moves and seed, whatever their order', () => {
    const moves = inventedMoves(150);
    const first = JSON.stringify(fitModel(moves, options));
    expect(JSON.stringify(fitModel(moves.toReversed(), options))).toBe(first);
    expect(fitModel(moves.slice(1), options).version).not.toBe(fitModel(moves, options).version);
  });

  it('puts a first model in service when it beats the naive marks, and tells why on its card', () => {
    const { verdict, card, file } = trainModel({ records: inventedMoves(200) }, options);
    expect(verdict.promote).toBe(true);
    expect(card).toContain(`default@${file.version}`);
    expect(card).toContain('Promoted: it beats every naive mark');
    for (const protocol of ['new-instance', 'new-link', 'new-node', 'new-size', 'shift'])
      expect(card).toContain(`| ${protocol}: `);
    expect(card).toMatch(/a node is that was never seen: .* median error is \d/);
    expect(card).toMatch(/network .* is not used/);
  });

  it('refuses to promote what was trained on ten moves', () => {
    const { verdict, card } = trainModel({ records: inventedMoves(10) }, judgedOnly);
    expect(verdict.promote).toBe(false);
    expect(card).toContain('Not promoted: 10 finished moves say too little');
  });

  it('refuses to promote a model of poisoned records over the one in service', () => {
    const good = inventedMoves(150);
    const champion = fitModel(good, options);
    const poison = inventedMoves(150, (i) => ({
      id: `poison${i}`,
      started_at: new Date(Date.UTC(2026, 0, 5) + i * 1000).toISOString(),
      duration_seconds: 10 ** (((i * 7919) % 90) / 10 - 2),
    }));
    const { verdict, file } = trainModel({ records: [...good, ...poison] }, { ...judgedOnly, champion });
    expect(verdict.promote).toBe(false);
    expect(verdict.reason).toMatch(/of 300 moves cannot be true/);
    expectSane(file);
  });

  it('compares with the version in service on moves that are new to it, and promotes what is not worse', () => {
    const moves = inventedMoves(250);
    const champion = fitModel(moves.slice(0, 100), options);
    const { verdict } = trainModel({ records: moves }, { ...judgedOnly, champion });
    expect(verdict.compared?.moves).toBeGreaterThan(120);
    expect(verdict.promote).toBe(true);
  });
});
