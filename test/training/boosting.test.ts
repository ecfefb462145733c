import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { predictBatch, predictRow, toJson, treeCount, type Forest } from '../../src/predictor/trees.js';
import { aftErrorQuantile, trainForest, type BoostingOptions } from '../../training/boosting.js';
import {
  fillGradients,
  logNormalSurvival,
  meanLoss,
  normalHazard,
  weightedQuantile,
  type LossOfRows,
} from '../../training/boosting-losses.js';
import { binFrame } from '../../training/histogram-bins.js';
import { seededRandom } from '../../training/seeded-random.js';
import { allCuts, twinPredictions, type TwinOptions } from './boosting-twin.js';

const normalFrom = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** Three columns (one rounded to few values), holes in two of them, a target with steps, slopes and noise. */
function smallData(
  seed: number,
  rows: number,
): { columns: Float64Array[]; target: Float64Array; weights: Float64Array } {
  const random = seededRandom(seed);
  const columns = [0, 1, 2].map(() => Float64Array.from({ length: rows }, () => normalFrom(random)));
  columns[2] = columns[2]!.map((x) => Math.round(2 * x) / 2);
  const target = Float64Array.from(
    { length: rows },
    (_, i) =>
      2 * columns[0]![i]! + (columns[1]![i]! > 0 ? 1 : 0) * columns[2]![i]! + 0.3 * normalFrom(random),
  );
  for (let i = 0; i < rows; i++) {
    if (random() < 0.2) columns[0]![i] = NaN;
    if (random() < 0.1) columns[2]![i] = NaN;
  }
  return { columns, target, weights: Float64Array.from({ length: rows }, () => 0.25 + 2 * random()) };
}

function predictions(forest: Forest, columns: readonly Float64Array[], rows: number): Float64Array {
  const rowMajor = new Float64Array(rows * columns.length);
  columns.forEach((column, f) => {
    for (let i = 0; i < rows; i++) rowMajor[i * columns.length + f] = column[i]!;
  });
  const out = new Float64Array(rows);
  predictBatch(forest, rowMajor, rows, out);
  return out;
}

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  let worst = 0;
  for (let i = 0; i < expected.length; i++) worst = Math.max(worst, Math.abs(actual[i]! - expected[i]!));
  expect(actual.length).toBe(expected.length);
  expect(worst).toBeLessThanOrEqual(tolerance);
}

const shared = { trees: 6, maxLeaves: 6, maxDepth: 4, learningRate: 0.3, l2: 0.7, minChildWeight: 3 };
const ROWS = 60;

/** The plain pinball quantile: sort, add weights until the level is reached. */
function plainQuantile(pairs: [number, number][], q: number): number {
  const sorted = pairs.filter(([, w]) => w > 0).sort((a, b) => a[0] - b[0]);
  const wanted = q * sorted.reduce((sum, [, w]) => sum + w, 0);
  let sum = 0;
  for (let i = 0; i < sorted.length; i++) {
    sum += sorted[i]![1];
    if (Math.abs(sum - wanted) < 1e-12 * wanted && i + 1 < sorted.length)
      return (sorted[i]![0] + sorted[i + 1]![0]) / 2;
    if (sum >= wanted) return sorted[i]![0];
  }
  return 0;
}

describe('boosting agrees with its slow, obvious twin', () => {
  const expectTwin = (
    seed: number,
    options: BoostingOptions,
    twin: (
      data: ReturnType<typeof smallData>,
      base: number,
    ) => Pick<TwinOptions, 'gradients'> & Partial<TwinOptions>,
    tolerance = 1e-9,
  ): void => {
    const data = smallData(seed, ROWS);
    const all: BoostingOptions = { ...shared, ...options };
    const forest = trainForest({ columns: data.columns, rows: ROWS }, data.target, all);
    const cuts = data.columns.map((column) => allCuts(column, ROWS));
    const slow = twinPredictions(data.columns, ROWS, cuts, {
      ...shared,
      base: forest.base,
      ...twin(data, forest.base),
    });
    expect(treeCount(forest)).toBeGreaterThan(0);
    expectClose(predictions(forest, data.columns, ROWS), slow, tolerance);
  };

  it('for squared loss with missing values', () => {
    for (let seed = 1; seed <= 8; seed++) {
      expectTwin(seed, {}, ({ target }) => ({
        gradients: (p) => ({ g: p.map((x, i) => x - target[i]!), h: p.map(() => 1) }),
      }));
    }
  });

  it('for weighted squared loss', () => {
    for (let seed = 1; seed <= 4; seed++) {
      expectTwin(seed, { weights: smallData(seed, ROWS).weights }, ({ target, weights }) => ({
        gradients: (p) => ({
          g: p.map((x, i) => weights[i]! * (x - target[i]!)),
          h: p.map((_, i) => weights[i]!),
        }),
      }));
    }
  });

  it('for squared loss under monotone constraints, rising and falling', () => {
    for (let seed = 1; seed <= 8; seed++) {
      expectTwin(seed, { monotone: Int8Array.of(-1, 1, 1) }, ({ target }) => ({
        gradients: (p) => ({ g: p.map((x, i) => x - target[i]!), h: p.map(() => 1) }),
        monotone: [-1, 1, 1],
      }));
    }
  });

  it('for the quantile loss, whose leaves are quantiles, with and without weights', () => {
    for (let seed = 1; seed <= 4; seed++) {
      for (const quantile of [0.1, 0.5, 0.9]) {
        for (const weights of [undefined, smallData(seed, ROWS).weights]) {
          expectTwin(seed, { loss: 'quantile', quantile, ...(weights && { weights }) }, ({ target }) => {
            const w = (i: number): number => weights?.[i] ?? 1;
            return {
              gradients: (p) => ({
                g: p.map((x, i) => w(i) * (target[i]! > x ? -quantile : target[i]! < x ? 1 - quantile : 0)),
                h: p.map((_, i) => w(i)),
              }),
              leafValue: (rows, p) => {
                const total = rows.reduce((sum, i) => sum + w(i), 0);
                const rest = rows.map((i): [number, number] => [target[i]! - p[i]!, w(i)]);
                return (plainQuantile(rest, quantile) * total) / (total + shared.l2);
              },
            };
          });
        }
      }
    }
  });

  it('for the censored losses, whose gradients are the measured slopes of the loss, cut at 15', () => {
    const censored = Uint8Array.from({ length: ROWS }, (_, i) => (i % 3 === 0 ? 1 : 0));
    const scale = 0.8;
    const step = 1e-4;
    for (const distribution of ['normal', 'logistic', 'extreme'] as const) {
      const options = {
        loss: 'aft',
        aftDistribution: distribution,
        aftScale: scale,
        censored,
        minChildWeight: 2.5,
      } as const;
      expectTwin(
        5,
        options,
        ({ target }) => {
          const of = lossOfRows('aft', target, { distribution, scale, censored });
          const loss = (x: number, i: number): number =>
            meanLoss(of, new Float64Array(i + 1).fill(x), i, i + 1);
          const slope = (x: number, i: number): number =>
            (loss(x + step, i) - loss(x - step, i)) / (2 * step);
          const bend = (x: number, i: number): number =>
            (loss(x + step, i) - 2 * loss(x, i) + loss(x - step, i)) / step ** 2;
          return {
            minChildWeight: 2.5, // no whole number: measured curvatures are 1 but for the last digits
            gradients: (p) => ({
              g: p.map((x, i) => scale ** 2 * Math.max(-15 / scale, slope(x, i))),
              h: p.map((x, i) => Math.min(15, scale ** 2 * bend(x, i))),
            }),
          };
        },
        1e-5,
      );
    }
  });
});

function lossOfRows(
  loss: LossOfRows['loss'],
  target: Float64Array,
  rest: Partial<LossOfRows> = {},
): LossOfRows {
  return {
    loss,
    target,
    weights: undefined,
    censored: undefined,
    quantile: 0.5,
    distribution: 'normal',
    scale: 1,
    ...rest,
  };
}

describe('trained forests', () => {
  const everyLoss: BoostingOptions[] = [
    { loss: 'squared' },
    { loss: 'l1' },
    { loss: 'quantile', quantile: 0.9 },
    { loss: 'aft', aftDistribution: 'normal' },
    { loss: 'aft', aftDistribution: 'logistic' },
    { loss: 'aft', aftDistribution: 'extreme' },
  ];
  const manyRows = 2000;
  const many = smallData(11, manyRows);
  const frame = { columns: many.columns, rows: manyRows };

  it('never break a monotone constraint, whatever the loss', () => {
    const random = seededRandom(3);
    for (const loss of everyLoss) {
      const forest = trainForest(frame, many.target, {
        ...loss,
        trees: 30,
        monotone: Int8Array.of(1, 0, -1),
      });
      expect(treeCount(forest)).toBeGreaterThan(5);
      let broken = 0;
      for (let trial = 0; trial < 300; trial++) {
        const row = Float64Array.from([0, 0, 0], () => 2 * normalFrom(random));
        const before = predictRow(forest, row, 0);
        const risen = predictRow(forest, Float64Array.of(row[0]! + 2 * random(), row[1]!, row[2]!), 0);
        const fallen = predictRow(forest, Float64Array.of(row[0]!, row[1]!, row[2]! + 2 * random()), 0);
        if (risen < before || fallen > before) broken++;
      }
      expect(broken).toBe(0);
    }
  });

  it('are the same to the last bit for the same rows, options and seed', () => {
    const options: BoostingOptions = { trees: 10, rowFraction: 0.5, featureFraction: 0.7, seed: 4 };
    const json = (seed: number): string =>
      JSON.stringify(toJson(trainForest(frame, many.target, { ...options, seed })));
    expect(json(4)).toBe(json(4));
    expect(json(4)).not.toBe(json(5));
  });

  it('leave the rows, targets and weights they were given untouched', () => {
    const copy = structuredClone(many);
    for (const loss of everyLoss)
      trainForest(frame, many.target, { ...loss, trees: 3, weights: many.weights });
    expect(many).toEqual(copy);
  });

  it('learn on which side a missing value belongs', () => {
    const rows = 400;
    const x = Float64Array.from({ length: rows }, (_, i) => (i % 4 === 0 ? NaN : i % 4));
    const missingLikeHigh = x.map((v) => (Number.isNaN(v) || v === 3 ? 10 : 0));
    const missingLikeLow = x.map((v) => (Number.isNaN(v) || v === 1 ? 10 : 0));
    const missingAlone = x.map((v) => (Number.isNaN(v) ? 10 : 0));
    const options: BoostingOptions = { trees: 1, maxLeaves: 2, learningRate: 1, l2: 0 };
    for (const target of [missingLikeHigh, missingLikeLow, missingAlone]) {
      const out = predictions(trainForest({ columns: [x], rows }, target, options), [x], rows);
      expectClose(out, target, 1e-9);
    }
  });

  it('send what was never missing in training with the heavier side', () => {
    const rows = 100;
    const x = Float64Array.from({ length: rows }, (_, i) => i);
    for (const [cut, missing] of [
      [30, 1],
      [70, 0],
    ] as const) {
      const target = x.map((v) => (v < cut ? 0 : 1));
      const forest = trainForest({ columns: [x], rows }, target, {
        trees: 1,
        maxLeaves: 2,
        learningRate: 1,
        l2: 0,
      });
      expect(predictRow(forest, Float64Array.of(NaN), 0)).toBeCloseTo(missing, 9);
    }
  });

  it('count a row of weight 3 as three rows', () => {
    const weights = Float64Array.from({ length: 300 }, (_, i) => 1 + (i % 3));
    const repeated = Array.from(weights).flatMap((w, i) => Array<number>(w).fill(i));
    const options: BoostingOptions = { trees: 8, maxLeaves: 6 };
    const part = many.columns.map((column) => column.slice(0, 300));
    const spread = many.columns.map((column) => Float64Array.from(repeated, (i) => column[i]!));
    for (const loss of everyLoss) {
      const weighted = trainForest({ columns: part, rows: 300 }, many.target, {
        ...options,
        ...loss,
        weights,
      });
      const target = Float64Array.from(repeated, (i) => many.target[i]!);
      const plain = trainForest({ columns: spread, rows: repeated.length }, target, { ...options, ...loss });
      expectClose(predictions(weighted, part, 300), predictions(plain, part, 300), 1e-6);
    }
  });

  it('of a quantile have about that share of new rows below them', () => {
    const train = smallData(21, 6000);
    const fresh = smallData(22, 6000);
    for (const quantile of [0.05, 0.5, 0.95]) {
      const options: BoostingOptions = { loss: 'quantile', quantile, trees: 120, maxLeaves: 8 };
      const forest = trainForest({ columns: train.columns, rows: 6000 }, train.target, options);
      const out = predictions(forest, fresh.columns, 6000);
      const below = fresh.target.filter((y, i) => y <= out[i]!).length / 6000;
      expect(Math.abs(below - quantile)).toBeLessThan(0.03);
    }
  });

  it('of the censored loss come nearer to the truth than those that drop or believe broken-off rows', () => {
    const rows = 4000;
    const random = seededRandom(5);
    const x = Float64Array.from({ length: rows }, () => 4 * random());
    const truth = x.map((v) => 1 + 0.5 * v);
    const full = truth.map((t) => t + 0.4 * normalFrom(random));
    const limit = 2.2; // a time-out: whatever would last longer is broken off there
    const censored = Uint8Array.from(full, (t) => (t > limit ? 1 : 0));
    const seen = full.map((t) => Math.min(t, limit));
    const options = { trees: 80, maxLeaves: 8, aftScale: 0.4 } as const;
    const error = (forest: Forest): number => {
      const out = predictions(forest, [x], rows);
      return Math.sqrt(out.reduce((sum, p, i) => sum + (p - truth[i]!) ** 2, 0) / rows);
    };
    const aft = error(trainForest({ columns: [x], rows }, seen, { ...options, loss: 'aft', censored }));
    const believed = error(trainForest({ columns: [x], rows }, seen, options));
    const dropped = error(
      trainForest({ columns: [x], rows }, seen, {
        ...options,
        weights: Float64Array.from(censored, (c) => 1 - c),
      }),
    );
    expect(aft).toBeLessThan(0.7 * believed);
    expect(aft).toBeLessThan(0.7 * dropped);
  });

  it('of the logistic loss answer the share of ones', () => {
    const rows = 5000;
    const random = seededRandom(6);
    const x = Float64Array.from({ length: rows }, () => Math.floor(4 * random()));
    const target = x.map((v) => (random() < 0.1 + 0.25 * v ? 1 : 0));
    const forest = trainForest({ columns: [x], rows }, target, { loss: 'logistic', trees: 60, maxLeaves: 4 });
    for (let v = 0; v < 4; v++) {
      expect(Math.abs(predictRow(forest, Float64Array.of(v), 0) - (0.1 + 0.25 * v))).toBeLessThan(0.04);
    }
  });
});

describe('early stopping', () => {
  const rows = 1500;
  const data = smallData(31, rows);
  const frame = { columns: data.columns, rows };
  const options: BoostingOptions = {
    trees: 400,
    minChildWeight: 2,
    validationFromRow: 1000,
    earlyStoppingRounds: 10,
  };

  it('keeps the number of trees that was best on the last rows', () => {
    const losses: number[] = [];
    const forest = trainForest(frame, data.target, {
      ...options,
      onRound: ({ trees, validationLoss }) => losses.push(validationLoss) === trees,
    });
    const best = losses.indexOf(Math.min(...losses)) + 1;
    expect(treeCount(forest)).toBe(best);
    expect(losses.length).toBe(best + 10);
    expect(losses.length).toBeLessThan(400);
  });

  it('learns nothing else from the last rows: cuts, trees and values are those of the first rows alone', () => {
    const stopped = trainForest(frame, data.target, options);
    const alone = trainForest(
      { columns: data.columns.map((column) => column.slice(0, 1000)), rows: 1000 },
      data.target,
      { ...options, validationFromRow: 1000, trees: treeCount(stopped) },
    );
    expect(toJson(stopped)).toEqual(toJson(alone));
  });

  it('watches the loss of the very forest that comes out, also for values missing only in the last rows', () => {
    const columns = data.columns.map((column) => column.slice());
    for (let i = 0; i < rows; i++) if (i % 3 === 0) columns[1]![i] = i < 1000 ? 0.25 : NaN;
    for (const rowFraction of [1, 0.6]) {
      const losses: number[] = [];
      const forest = trainForest({ columns, rows }, data.target, {
        ...options,
        rowFraction,
        loss: 'l1',
        onRound: ({ validationLoss }) => losses.push(validationLoss) > 0,
      });
      const out = predictions(forest, columns, rows);
      const mean = meanLoss(lossOfRows('l1', data.target), out, 1000, rows);
      expect(Math.abs(mean - Math.min(...losses))).toBeLessThan(1e-12);
    }
  });

  it('ends with the tree at which the caller has had enough', () => {
    const forest = trainForest(frame, data.target, { trees: 50, onRound: ({ trees }) => trees < 3 });
    expect(treeCount(forest)).toBe(3);
  });
});

describe('bad input', () => {
  const losses = ['squared', 'l1', 'quantile', 'aft', 'logistic'] as const;

  it('of one row, equal targets, or columns without a difference gives the constant', () => {
    for (const loss of losses) {
      const one = trainForest({ columns: [Float64Array.of(3)], rows: 1 }, Float64Array.of(0.5), { loss });
      expect(treeCount(one)).toBe(0);
      const x = Float64Array.from({ length: 100 }, (_, i) => i);
      const equal = trainForest({ columns: [x], rows: 100 }, new Float64Array(100).fill(0.5), { loss });
      expect(predictRow(equal, Float64Array.of(7), 0)).toBeCloseTo(0.5, 9);
      const flat = [new Float64Array(100).fill(4), new Float64Array(100).fill(NaN)];
      const forest = trainForest(
        { columns: flat, rows: 100 },
        x.map((v) => v % 2),
        { loss },
      );
      expect(Number.isFinite(predictRow(forest, Float64Array.of(NaN, 1), 0))).toBe(true);
      expect(treeCount(forest)).toBe(0);
    }
    expect(treeCount(trainForest({ columns: [], rows: 3 }, Float64Array.of(1, 2, 3)))).toBe(0);
  });

  it('of absurd size stays finite', () => {
    const rows = 200;
    const random = seededRandom(8);
    const x = Float64Array.from(
      { length: rows },
      (_, i) => [Infinity, -Infinity, 1e308, -1e308, NaN, random()][i % 6]!,
    );
    const target = Float64Array.from({ length: rows }, (_, i) => (i % 50 === 0 ? 1e6 : random()));
    for (const loss of losses.slice(0, 4)) {
      const forest = trainForest({ columns: [x], rows }, target, { loss, trees: 20, minChildWeight: 1 });
      expect(predictions(forest, [x], rows).every(Number.isFinite)).toBe(true);
    }
  });

  it('out of range is refused with a sentence that names it', () => {
    const x = Float64Array.of(1, 2, 3);
    const train = (target: number[], options: BoostingOptions): (() => unknown) => {
      return () => trainForest({ columns: [x], rows: 3 }, Float64Array.from(target), options);
    };
    expect(train([1, NaN, 2], {})).toThrow('the target of row 1 is not finite');
    expect(train([1, 2], {})).toThrow('2 targets for 3 rows');
    expect(train([1, 2, 3], { censored: Uint8Array.of(0, 1, 0) })).toThrow('censored rows need the loss aft');
    expect(train([1, 2, 3], { validationFromRow: 0 })).toThrow(
      'validationFromRow must be within 1 … 3, not 0',
    );
    expect(train([1, 2, 3], { weights: Float64Array.of(0, 0, 0) })).toThrow('all weights are 0');
    expect(train([1, 2, 3], { monotone: Int8Array.of(1, 1) })).toThrow('monotone needs one entry a column');
    expect(train([1, 2, 3], { learningRate: 0 })).toThrow('learningRate');
    expect(train([1, 2, 3], { maxLeaves: 1 })).toThrow('maxLeaves must be within 2 … 4096, not 1');
    expect(train([1, 2, 3], { quantile: 1 })).toThrow('quantile must be within (0, 1), not 1');
  });
});

describe('the parts', () => {
  it('weighted quantile is the plain one, for any values and weights with ties and zeros', () => {
    const pair = fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: 0, max: 3 }));
    fc.assert(
      fc.property(
        fc.array(pair, { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 19 }),
        (pairs, level) => {
          const values = Float64Array.from(pairs, ([v]) => v);
          const weights = Float64Array.from(pairs, ([, w]) => w);
          expect(weightedQuantile(values, weights, pairs.length, level / 20)).toBe(
            plainQuantile(pairs, level / 20),
          );
        },
      ),
      { seed: 1, numRuns: 2000 },
    );
  });

  it('normal tail agrees with scipy.stats.norm (1.10): hazard pdf/sf and logsf', () => {
    const reference: [number, number, number][] = [
      [-10, 7.69459862670642e-23, -7.619853024160473e-24],
      [-3, 0.004437839042125665, -0.001350809964748193],
      [0, 0.7978845608028654, -0.6931471805599453],
      [1, 1.525135276160981, -1.841021645009264],
      [2.4, 2.7318611959539796, -4.8039216668706715],
      [2.6, 2.9140573528825326, -5.3684849226242655],
      [6, 6.158482604544622, -20.73676894997471],
      [30, 30.033259667436372, -454.32124395634327],
    ];
    for (const [z, hazard, logSurvival] of reference) {
      expect(Math.abs(normalHazard(z) - hazard)).toBeLessThan(1e-10 * Math.max(1, hazard));
      expect(Math.abs(logNormalSurvival(z) - logSurvival)).toBeLessThan(1e-12 * Math.max(1, -logSurvival));
    }
  });

  it('error quantiles of the three distributions are where their distribution functions say', () => {
    expect(aftErrorQuantile('normal', 0.05)).toBeCloseTo(-1.6448536269514729, 8);
    expect(aftErrorQuantile('normal', 0.9)).toBeCloseTo(1.2815515655446004, 8);
    expect(aftErrorQuantile('normal', 0.001)).toBeCloseTo(-3.090232306167813, 8);
    const q = 0.3;
    expect(1 / (1 + Math.exp(-aftErrorQuantile('logistic', q)))).toBeCloseTo(q, 12);
    expect(1 - Math.exp(-Math.exp(aftErrorQuantile('extreme', q)))).toBeCloseTo(q, 12);
  });

  it('gradients at the best constant add up to nothing', () => {
    const { target } = smallData(2, 200);
    const censored = Uint8Array.from({ length: 200 }, (_, i) => (i % 4 === 0 ? 1 : 0));
    for (const distribution of ['normal', 'logistic', 'extreme'] as const) {
      const of = lossOfRows('aft', target, { distribution, censored });
      const g = new Float64Array(200);
      const h = new Float64Array(200);
      const forest = trainForest({ columns: [], rows: 200 }, target, {
        loss: 'aft',
        aftDistribution: distribution,
        censored,
      });
      fillGradients(of, new Float64Array(200).fill(forest.base), 0, 200, g, h);
      expect(Math.abs(g.reduce((sum, x) => sum + x, 0))).toBeLessThan(1e-6);
    }
  });

  it('bins hold about equal counts, one value is never torn apart, and missing values have their own', () => {
    const rows = 10_000;
    const random = seededRandom(9);
    const x = Float64Array.from({ length: rows }, () =>
      random() < 0.1 ? NaN : Math.round(1000 * normalFrom(random)),
    );
    const binned = binFrame({ columns: [x], rows }, rows, 64);
    expect(binned.edges[0]!.length).toBe(63);
    const counts = new Map<number, number>();
    const binOfValue = new Map<number, number>();
    for (let row = 0; row < rows; row++) {
      const bin = binned.byColumn[row]!;
      const value = x[row]!;
      counts.set(bin, (counts.get(bin) ?? 0) + 1);
      const one = (binOfValue.get(value) ?? bin) === bin && (bin === 64) === Number.isNaN(value);
      if (!one || binned.byRow[row * binned.stride] !== bin)
        throw new Error(`row ${row}, value ${value}, is in bin ${bin}`);
      binOfValue.set(value, bin);
    }
    counts.delete(64);
    expect(Math.max(...counts.values())).toBeLessThan(200);
    expect(Math.min(...counts.values())).toBeGreaterThan(90);
  });

  it('cuts are near the middle of two values, in as few digits as that takes', () => {
    const x = Float64Array.of(0.1, 0.7, 0.7000001, 1234.4, 1239.9, NaN);
    expect(Array.from(binFrame({ columns: [x], rows: 6 }, 6, 255).edges[0]!)).toEqual([
      0.4, 0.70000005, 600, 1237,
    ]);
  });

  it('more columns get fewer bins each, so that all bins together stay countable in 16 bits', () => {
    const random = seededRandom(1);
    const columns = Array.from({ length: 2000 }, () => Float64Array.from({ length: 50 }, random));
    const binned = binFrame({ columns, rows: 50 }, 50, 255);
    expect(binned.totalBins).toBeLessThanOrEqual(65_536);
    expect(binned.features).toBe(2000);
  });
});
