import { mean, median } from 'simple-statistics';
import { describe, expect, it } from '@jest/globals';
import { accuracyOf, apeOf } from '../../training/accuracy.js';
import type { BacktestRow } from '../../training/backtest.js';
import { accuracyIntervals, pairedDifference } from '../../training/bootstrap.js';
import { seededRandom } from '../../training/seeded-random.js';

/** Rows of `instances` instances, each with an error of its own besides that of the move. */
function rowsOf(instances: number, each: number, seed: number): (BacktestRow & { instance: string })[] {
  const random = seededRandom(seed);
  const rows: (BacktestRow & { instance: string })[] = [];
  for (let i = 0; i < instances; i++) {
    const own = random() - 0.5;
    for (let k = 0; k < each; k++) {
      const p50 = 10 + 20 * random();
      rows.push({
        id: `${i}-${k}`,
        instance: `vm${i}`,
        candidate: 'c',
        origin: '',
        actual_seconds: p50 * Math.exp(own + 0.3 * (random() - 0.5)),
        status: 'completed',
        duration_seconds: {
          p05: p50 * 0.7,
          p10: p50 * 0.8,
          p50,
          p90: p50 * 1.25,
          p95: p50 * 1.4,
          mean: p50,
        },
        basis: 'cluster',
      });
    }
  }
  return rows;
}
const instanceOf = (row: BacktestRow): string => (row as BacktestRow & { instance: string }).instance;

describe('bootstrap intervals by instance', () => {
  it('agree with drawing whole instances by hand', () => {
    const rows = rowsOf(9, 7, 4);
    const replicates = 60;
    const random = seededRandom(11);
    const figures = Array.from({ length: replicates }, () => {
      const drawn: BacktestRow[] = [];
      for (let k = 0; k < 9; k++) {
        const chosen = `vm${Math.floor(random() * 9)}`;
        drawn.push(...rows.filter((row) => row.instance === chosen));
      }
      return { accuracy: accuracyOf(drawn)!, errors: drawn.map(apeOf).sort((a, b) => a - b) };
    });
    const between = (of: (figure: (typeof figures)[number]) => number): number[] => {
      const values = figures.map(of).sort((a, b) => a - b);
      return [values[Math.floor(0.025 * replicates)]!, values[Math.floor(0.975 * replicates)]!];
    };
    const intervals = accuracyIntervals(rows, instanceOf, 11, replicates)!;
    for (const name of ['mape', 'log_bias', 'coverage_80', 'coverage_90'] as const) {
      const [low, high] = between(({ accuracy }) => accuracy[name]);
      expect(intervals[name][0]).toBeCloseTo(low!, 9);
      expect(intervals[name][1]).toBeCloseTo(high!, 9);
    }
    const [low, high] = between(({ errors }) => errors[Math.ceil(0.9 * errors.length) - 1]!);
    expect(intervals.p90_ape).toEqual([low, high]);
  });

  it('are wider than the moves alone would say where moves of an instance are alike', () => {
    const rows = rowsOf(12, 40, 5);
    const byInstance = accuracyIntervals(rows, instanceOf, 1)!;
    const byMove = accuracyIntervals(rows, (row) => row.id, 1)!;
    const width = ([low, high]: readonly [number, number]): number => high - low;
    expect(width(byInstance.mape)).toBeGreaterThan(2 * width(byMove.mape));
  });

  it('hold the true mean in about 95 of 100 samples', () => {
    const truth = mean(rowsOf(2000, 5, 99).map(apeOf));
    let held = 0;
    for (let seed = 0; seed < 100; seed++) {
      const [low, high] = accuracyIntervals(rowsOf(40, 5, 1000 + seed), instanceOf, seed, 200)!.mape;
      if (truth >= low && truth <= high) held++;
    }
    expect(held).toBeGreaterThan(88);
    expect(held).toBeLessThan(100);
  });

  it('are the same for the same seed, and none for one instance alone', () => {
    const rows = rowsOf(6, 5, 2);
    expect(accuracyIntervals(rows, instanceOf, 3)).toEqual(accuracyIntervals(rows, instanceOf, 3));
    expect(accuracyIntervals(rows, () => 'one', 3)).toBeUndefined();
    expect(accuracyIntervals([], instanceOf, 3)).toBeUndefined();
  });
});

describe('the paired test of two forecasts', () => {
  /** Differences of loss that an instance's moves share, around a true mean. */
  function differences(truth: number, instances: number, seed: number): [number[], string[]] {
    const random = seededRandom(seed);
    const values: number[] = [];
    const names: string[] = [];
    const own = Array.from({ length: instances }, () => random() - 0.5);
    for (let k = 0; k < 6; k++)
      own.forEach((of, i) => {
        values.push(truth + of + 0.3 * (random() - 0.5));
        names.push(`vm${i}`);
      });
    return [values, names];
  }

  it.each([2, 5, 8, 12, 16])(
    'finds a difference between equals in no more than about 1 of 20 samples (%i instances, moves in turn)',
    (instances) => {
      let found = 0;
      for (let seed = 0; seed < 120; seed++) {
        const [values, names] = differences(0, instances, 7000 + seed);
        const test = pairedDifference(values, names, seed);
        expect(test.blocks).toBe('instances');
        if (test.p_value < 0.05) found++;
      }
      expect(found).toBeLessThanOrEqual(12); // 6 are expected; more than 12 come up in 1 of 120 runs
    },
  );

  it('cuts one instance alone into runs of moves', () => {
    const random = seededRandom(3);
    const values = Array.from({ length: 300 }, () => random() - 0.4);
    const test = pairedDifference(
      values,
      values.map(() => 'vm'),
      1,
    );
    expect(test.blocks).toBe('runs');
    expect(test.p_value).toBeLessThan(0.001);
  });

  it('finds a difference that is there, and says on which side', () => {
    const [values, names] = differences(0.5, 40, 1);
    const test = pairedDifference(values, names, 1);
    expect(test.p_value).toBeLessThan(0.001);
    expect(test.interval[0]).toBeGreaterThan(0);
    expect(median(values)).toBeGreaterThan(0);
    const mirrored = pairedDifference(
      values.map((value) => -value),
      names,
      1,
    );
    expect(mirrored.interval[1]).toBeLessThan(0);
  });

  it('says nothing against equals to the last digit', () => {
    const [, names] = differences(0, 20, 1);
    const test = pairedDifference(
      names.map(() => 0),
      names,
      1,
    );
    expect(test).toMatchObject({ mean: 0, interval: [0, 0], p_value: 1 });
  });
});
