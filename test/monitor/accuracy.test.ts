import { describe, expect, it } from '@jest/globals';
import {
  accuracyBy,
  accuracyOf,
  calibrationOf,
  sizeClass,
  sortedQuantile,
} from '../../src/monitor/accuracy.js';
import { binomialBand } from '../../src/domain/binomial.js';
import type { Score } from '../../src/monitor/score.js';
import { windowMs } from '../../src/monitor/window.js';

const score = (actual: number, p50: number, rest: Partial<Score> = {}): Score =>
  Object.freeze({
    id: `${actual}-${p50}`,
    cluster: 'default',
    instance: 'vm1',
    link: 'a>b',
    source_node: 'a',
    target_node: 'b',
    operation: 'live_migration',
    memory_mib: 4096,
    size_mib: 4096,
    started_ms: 0,
    finished_ms: actual * 1000,
    completed: true,
    actual_seconds: actual,
    p05: p50 * 0.8,
    p10: p50 * 0.9,
    p50,
    p90: p50 * 1.1,
    p95: p50 * 1.2,
    basis: 'link',
    model: 'default@1',
    how: 'asked_before',
    ...rest,
  });

describe('accuracyOf', () => {
  it('gives the figures that a calculation by hand gives', () => {
    // Errors 10, 20, 50 and 0 percent of the actual duration.
    const figures = accuracyOf([score(10, 11), score(10, 8), score(10, 15), score(10, 10)])!;
    expect(figures.moves).toBe(4);
    expect(figures.mape_percent).toBeCloseTo(20, 10);
    expect(figures.median_ape_percent).toBeCloseTo(15, 10);
    expect(figures.p90_ape_percent).toBeCloseTo(41, 10);
    expect(figures.worse_than_25_percent_share).toBe(0.25);
    expect(figures.bias_percent).toBeCloseTo(100 * ((1.1 * 0.8 * 1.5 * 1) ** (1 / 4) - 1), 10);
    // 10 lies in [9.9, 12.1], not in [7.2, 8.8], not in [13.5, 16.5], in [9, 11].
    expect(figures.coverage.map(({ level, share }) => [level, share])).toEqual([
      [0.8, 0.5],
      [0.9, 0.5],
    ]);
  });

  it('leaves broken-off moves out of every figure and counts them', () => {
    const figures = accuracyOf([score(10, 10), score(10, 500, { completed: false })])!;
    expect(figures).toMatchObject({ moves: 1, broken_off: 1, mape_percent: 0 });
  });

  it('says nothing when there is nothing to say', () => {
    expect(accuracyOf([])).toBeUndefined();
    expect(accuracyOf([score(10, 10, { completed: false })])).toBeUndefined();
  });

  it('calls an interval too narrow only beyond what chance allows', () => {
    const inside = Array.from({ length: 75 }, () => score(10, 10));
    const outside = Array.from({ length: 25 }, () => score(10, 100));
    expect(accuracyOf([...inside, ...outside])!.coverage.map(({ verdict }) => verdict)).toEqual([
      'as promised',
      'too narrow',
    ]);
  });
});

describe('accuracyBy', () => {
  it('counts a move for both of its nodes and puts the busiest group first', () => {
    const groups = accuracyBy([score(10, 10), score(10, 12, { target_node: 'c', link: 'a>c' })], 'node');
    expect(groups.map(({ key, figures }) => [key, figures.moves])).toEqual([
      ['a', 2],
      ['b', 1],
      ['c', 1],
    ]);
  });

  it('names sizes by their range', () => {
    expect([undefined, 512, 1024, 4096, 16384, 65536].map(sizeClass)).toEqual([
      'unknown',
      'under 1 GiB',
      '1 to 4 GiB',
      '4 to 16 GiB',
      '16 to 64 GiB',
      '64 GiB and more',
    ]);
  });
});

describe('calibrationOf', () => {
  it('gives the share at or below each quantile', () => {
    const points = calibrationOf([score(10, 10), score(8.5, 10), score(11.5, 10), score(30, 10)]);
    expect(points.map(({ level, share }) => [level, share])).toEqual([
      [0.05, 0],
      [0.1, 0.25],
      [0.5, 0.5],
      [0.9, 0.5],
      [0.95, 0.75],
    ]);
  });
});

describe('sortedQuantile', () => {
  it('is type 7 of R and numpy: numpy.quantile([1, 2, 4, 8], [0, .3, .5, .9, 1])', () => {
    const sorted = Float64Array.of(1, 2, 4, 8);
    const expected = [1, 1.9, 3, 6.8, 8];
    for (const [i, p] of [0, 0.3, 0.5, 0.9, 1].entries())
      expect(sortedQuantile(sorted, p)).toBeCloseTo(expected[i]!, 12);
  });
});

describe('binomialBand', () => {
  it('holds the quantiles of scipy.stats.binom.ppf([.025, .975], n, p)', () => {
    expect(binomialBand(10, 0.8)).toEqual({ low: 0.5, high: 1 });
    expect(binomialBand(100, 0.9)).toEqual({ low: 0.84, high: 0.95 });
    expect(binomialBand(1, 0.5)).toEqual({ low: 0, high: 1 });
  });

  it('stays right where the mass of the first count is below what a double holds', () => {
    const { low, high } = binomialBand(20_000, 0.9);
    const normal = 1.96 * Math.sqrt((0.9 * 0.1) / 20_000);
    expect(low).toBeCloseTo(0.9 - normal, 3);
    expect(high).toBeCloseTo(0.9 + normal, 3);
  });
});

describe('windowMs', () => {
  it('reads spans and refuses everything else in one sentence that names the field', () => {
    expect(windowMs('90m', 'window')).toBe(5_400_000);
    expect(windowMs('7d', 'window')).toBe(604_800_000);
    expect(windowMs('all', 'window')).toBeUndefined();
    for (const wrong of ['', '7', 'd', '-1d', '0d', '1y', '7d;x', '99999999d'])
      expect(() => windowMs(wrong, '--window')).toThrow(/--window .* give one such as/);
  });
});
