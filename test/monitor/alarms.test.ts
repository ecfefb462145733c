import { describe, expect, it } from '@jest/globals';
import { alarmsOf } from '../../src/monitor/alarms.js';
import { driftOf } from '../../src/monitor/drift.js';
import type { Score } from '../../src/monitor/score.js';

/** Seeded normal numbers (Box and Muller over a linear congruential generator), so that every run sees the same. */
function normals(seed: number): () => number {
  let state = seed;
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Moves predicted at 10 s with a spread of 10 %, that really took 10 s times `factor`, spread alike. */
function moves(
  count: number,
  seed: number,
  factor: (i: number) => number = () => 1,
  rest: Partial<Score> = {},
): Score[] {
  const normal = normals(seed);
  const sigma = 0.1;
  const quantile = (z: number): number => 10 * Math.exp(sigma * z);
  return Array.from({ length: count }, (_, i) => {
    const actual = 10 * factor(i) * Math.exp(sigma * normal());
    return {
      id: `m${i}`,
      cluster: 'default',
      instance: 'vm',
      link: 'a>b',
      source_node: 'a',
      target_node: 'b',
      operation: 'live_migration' as const,
      memory_mib: 1024,
      size_mib: 1024,
      started_ms: i * 60_000,
      finished_ms: i * 60_000 + actual * 1000,
      completed: true,
      actual_seconds: actual,
      p05: quantile(-1.645),
      p10: quantile(-1.2816),
      p50: 10,
      p90: quantile(1.2816),
      p95: quantile(1.645),
      basis: 'link' as const,
      model: 'default@1',
      how: 'asked_before' as const,
      ...rest,
    };
  });
}

describe('driftOf', () => {
  it('raises at most one false alarm in 20 runs of 1,000 honest forecasts', () => {
    let alarms = 0;
    for (let seed = 1; seed <= 20; seed += 1) {
      const honest = moves(1000, seed);
      for (let end = 50; end <= 1000; end += 50)
        if (driftOf(honest.slice(0, end)) !== undefined) {
          alarms += 1;
          break;
        }
    }
    expect(alarms).toBeLessThanOrEqual(1);
  });

  it('notices moves that take a quarter longer within 30 moves, says since when and by how much', () => {
    const shifted = moves(230, 7, (i) => (i < 200 ? 1 : 1.25));
    const drift = driftOf(shifted)!;
    expect(drift.direction).toBe('slower');
    expect(drift.ratio).toBeGreaterThan(1.15);
    expect(drift.ratio).toBeLessThan(1.35);
    expect(Math.abs(drift.since_ms / 60_000 - 200)).toBeLessThanOrEqual(10);
    expect(driftOf(shifted.slice(0, 200))).toBeUndefined();
  });

  it('notices the other direction too, and is over soon after forecasts are right again', () => {
    const faster = moves(230, 9, (i) => (i < 200 ? 1 : 0.8));
    expect(driftOf(faster)?.direction).toBe('faster');
    const recovered = moves(300, 9, (i) => (i < 200 || i >= 230 ? 1 : 0.8));
    expect(driftOf(recovered)).toBeUndefined();
  });

  it('is not moved by a single absurd move or by moves broken off', () => {
    expect(driftOf(moves(100, 3, (i) => (i === 99 ? 1000 : 1)))).toBeUndefined();
    expect(driftOf(moves(100, 3, () => 3, { completed: false }))).toBeUndefined();
    expect(driftOf([])).toBeUndefined();
  });
});

describe('alarmsOf', () => {
  it('says what happened and what to do, once for all links when all drift', () => {
    const alarms = alarmsOf(moves(60, 5, (i) => (i < 30 ? 1 : 1.5)));
    expect(alarms.map(({ kind, scope }) => [kind, scope])).toContainEqual(['drift', 'all']);
    expect(alarms[0]!.reason).toMatch(/^the last \d+ moves took \d+ % longer than predicted$/);
    expect(alarms[0]!.what_to_do).toContain('movecast train');
  });

  it('names the one link that drifts among many that do not', () => {
    const fine = moves(400, 11, () => 1, { link: 'a>c' });
    const slow = moves(15, 12, () => 1.5, { link: 'a>b' }).map((score) => ({
      ...score,
      finished_ms: score.finished_ms + 200 * 60_000,
    }));
    const mixed = [...fine, ...slow].sort((x, y) => x.finished_ms - y.finished_ms);
    expect(alarmsOf(mixed).map(({ scope }) => scope)).toEqual(['a>b']);
  });

  it('calls intervals too narrow when they hold far less than they promise, and not before there is enough to judge', () => {
    const wild = moves(200, 13).map((score, i) => ({ ...score, actual_seconds: i % 2 === 0 ? 6 : 16 }));
    expect(alarmsOf(wild).map(({ kind }) => kind)).toContain('coverage');
    expect(alarmsOf(wild.slice(0, 40)).map(({ kind }) => kind)).not.toContain('coverage');
  });

  it('says nothing of a backtest: it is not now', () => {
    expect(alarmsOf(moves(200, 5, () => 3, { how: 'backtest' }))).toEqual([]);
  });
});
