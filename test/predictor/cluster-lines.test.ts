import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { MoveRecord } from '../../src/domain/move-record.js';
import { ClusterLines } from '../../src/predictor/cluster-lines.js';
import { durationModelOf, loadPredictor } from '../../src/predictor/load-predictor.js';
import { fitModel } from '../../training/fit.js';
import { inventedMoves } from '../training/invented-moves.js';

const NOISE = 0.05;
const x = fc.double({ min: -4, max: 10, noNaN: true });

/** Moves of a cluster, each of which took e^y seconds where physics said e^x; gives the line after them. */
function learnt(moves: readonly (readonly [x: number, y: number])[]): ClusterLines {
  const lines = new ClusterLines();
  for (const [at, y] of moves) {
    const error = y - at - lines.mean('new', at);
    lines.learn('new', at, error, 1, NOISE + lines.variance('new', at));
    lines.see('new', at);
  }
  return lines;
}

describe('the line of a cluster that nothing was fitted to', () => {
  it('is physics before a move was seen, and after moves of one size', () => {
    const lines = learnt([
      [2, 3],
      [2, 3],
    ]);
    for (const at of [0, 2, 5]) {
      expect(lines.mean('other', at)).toBe(0);
      expect(lines.mean('new', at)).toBe(0);
    }
    expect(lines.variance('new', 2)).toBe(0);
    expect(lines.variance('new', 5)).toBeGreaterThan(lines.variance('new', 3));
  });

  it('comes to durations that do not depend on the size', () => {
    const lines = learnt(Array.from({ length: 40 }, (_, i) => [i % 5, 2] as const));
    expect(lines.mean('new', 4) - lines.mean('new', 0)).toBeLessThan(-3.2);
    expect(lines.variance('new', 4)).toBeLessThan(0.02);
  });

  it('leaves longer what physics says is longer, whatever is seen, and is the same when read back', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(x, x), { maxLength: 12 }), x, x, (moves, a, b) => {
        const lines = learnt(moves);
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        expect(high + lines.mean('new', high)).toBeGreaterThanOrEqual(low + lines.mean('new', low) - 1e-9);
        const again = new ClusterLines();
        again.restore(JSON.parse(JSON.stringify(lines.save())) as ReturnType<ClusterLines['save']>);
        for (const cluster of ['new', 'other']) {
          expect(again.mean(cluster, a) - lines.mean(cluster, a)).toBeCloseTo(0, 12);
          expect(again.variance(cluster, a) - lines.variance(cluster, a)).toBeCloseTo(0, 12);
          expect(lines.variance(cluster, a)).toBeGreaterThanOrEqual(0);
        }
      }),
    );
  });

  it('turns around what was seen: the level there is left to the effects', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(x, x), { minLength: 1, maxLength: 12 }), x, x, (moves, at, y) => {
        const center = moves.reduce((sum, [seen]) => sum + seen, 0) / moves.length;
        const lines = learnt(moves);
        const before = lines.mean('new', center);
        lines.learn('new', at, y, 1, NOISE + lines.variance('new', at));
        expect(lines.mean('new', center)).toBeCloseTo(before, 9);
      }),
    );
  });
});

describe('a new cluster', () => {
  const file = fitModel(inventedMoves(200), { name: 'm', seed: 1 });
  const SIZES_MIB = [256, 1024, 4096, 512, 16_384, 2048];
  const fixed = (i: number): MoveRecord => ({
    ...inventedMoves(1)[0]!,
    id: `new${i}`,
    cluster: 'new',
    instance: `vm${i % SIZES_MIB.length}`,
    source_node: `n${i % 3}`,
    target_node: `n${(i + 1) % 3}`,
    started_at: new Date(Date.UTC(2026, 1, 1) + i * 60_000).toISOString(),
    memory_mib: SIZES_MIB[i % SIZES_MIB.length]!,
    concurrent_moves: 0,
    duration_seconds: 2 + ((i * 7) % 11) / 10,
  });
  const predictorAfter = (moves: number) => {
    const predictor = loadPredictor(file);
    for (let i = 0; i < moves; i++) predictor.learn(fixed(i));
    return (memory_mib: number) =>
      predictor.predict(
        {
          cluster: 'new',
          instance: 'web',
          source_node: 'n0',
          target_node: 'n2',
          memory_mib,
          link_mbps: 10_000,
        },
        Date.UTC(2026, 1, 2),
      ).duration_seconds;
  };

  it('whose moves all take about as long, whatever their size, is soon known for it', () => {
    const of = predictorAfter(20);
    for (const memoryMib of [256, 768, 3000, 16_384]) {
      const { p05, p50, p95 } = of(memoryMib);
      expect(p50).toBeGreaterThan(2.5 / 1.6);
      expect(p50).toBeLessThan(2.5 * 1.6);
      expect(p05).toBeLessThan(2);
      expect(p95).toBeGreaterThan(3);
      expect(p95 / p05).toBeLessThan(25);
    }
  });

  it('says nothing of the intervals of others by what its own miss or hold', () => {
    const model = durationModelOf(file);
    const coverage = () => new Map(model.save().coverage);
    const before = coverage();
    for (let i = 0; i < 30; i++) model.learn({ ...fixed(i), duration_seconds: 2 * 10 ** (i % 3) });
    for (const [group, widened] of before) expect(coverage().get(group)).toEqual(widened);
    expect(coverage().size).toBeGreaterThan(before.size);
  });

  it('is less known the further from what it has moved', () => {
    const of = predictorAfter(1); // of 256 MiB
    const width = (memoryMib: number): number => of(memoryMib).p95 / of(memoryMib).p05;
    expect(width(16_384)).toBeGreaterThan(1.2 * width(256));
  });
});
