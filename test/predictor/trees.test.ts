import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  constantForest,
  FOREST_FORMAT,
  forestProblem,
  fromJson,
  LEAF,
  nextDown,
  nextUp,
  predictBatch,
  predictRow,
  toJson,
  type Forest,
  type ForestLink,
} from '../../src/predictor/trees.js';

/** The walk as one would tell it. */
function plainPrediction(forest: Forest, row: readonly number[]): number {
  let sum = 0;
  for (let tree = 0; tree + 1 < forest.treeStart.length; tree++) {
    let node = forest.treeStart[tree]!;
    while (forest.feature[node] !== LEAF) {
      const x = row[forest.feature[node]!]!;
      const goesLeft = Number.isNaN(x) ? forest.defaultLeft[node] === 1 : x <= forest.threshold[node]!;
      node = forest.left[node]! + (goesLeft ? 0 : 1);
    }
    sum += forest.value[node]!;
  }
  const answer = forest.base + sum;
  return forest.link === 'exp'
    ? Math.exp(answer)
    : forest.link === 'logistic'
      ? 1 / (1 + Math.exp(-answer))
      : answer;
}

/** Values that tests, rows and thresholds share, so that rows fall on thresholds often. */
const special = [
  -Infinity,
  -Number.MAX_VALUE,
  -1.5,
  -Number.MIN_VALUE,
  -0,
  0,
  Number.MIN_VALUE,
  0.1,
  1,
  1 + 2 ** -52,
  7,
  Number.MAX_VALUE,
  Infinity,
];
const threshold = fc.constantFrom(...special.filter((x) => x !== -Infinity));
const cell = fc.constantFrom(...special, NaN);

/** Forests of 0 to 9 trees, each grown by splitting a leaf at random. */
const anyForest: fc.Arbitrary<Forest> = fc
  .record({
    link: fc.constantFrom<ForestLink>('identity', 'exp', 'logistic'),
    base: fc.double({ min: -2, max: 2, noNaN: true }),
    trees: fc.array(
      fc.array(
        fc.record({
          which: fc.nat(),
          feature: fc.nat(2),
          threshold,
          defaultLeft: fc.nat(1),
          value: fc.double({ min: -1, max: 1, noNaN: true }),
        }),
        { maxLength: 12 },
      ),
      { maxLength: 9 },
    ),
  })
  .map(({ link, base, trees }) => {
    const feature: number[] = [];
    const thresholds: number[] = [];
    const left: number[] = [];
    const defaultLeft: number[] = [];
    const value: number[] = [];
    const treeStart = [0];
    const newLeaf = (v: number): number => {
      thresholds.push(0);
      left.push(0);
      defaultLeft.push(0);
      value.push(v + 0);
      return feature.push(LEAF) - 1;
    };
    for (const splits of trees) {
      const leaves = [newLeaf(0.25)];
      for (const split of splits) {
        // Only leaves after which children can follow: any, as children are put at the end.
        const node = leaves.splice(split.which % leaves.length, 1)[0]!;
        feature[node] = split.feature;
        thresholds[node] = split.threshold + 0;
        defaultLeft[node] = split.defaultLeft;
        const child = newLeaf(split.value);
        left[node] = child;
        leaves.push(child, newLeaf(-split.value / 3));
      }
      treeStart.push(feature.length);
    }
    return {
      format: FOREST_FORMAT,
      link,
      features: 3,
      base: base + 0,
      treeStart: Int32Array.from(treeStart),
      feature: Int32Array.from(feature),
      threshold: Float64Array.from(thresholds),
      left: Int32Array.from(left),
      defaultLeft: Uint8Array.from(defaultLeft),
      value: Float64Array.from(value),
    };
  });

const anyRows = fc.array(fc.tuple(cell, cell, cell), { maxLength: 11 });

describe('a forest', () => {
  it('answers every row as the plain walk does, one by one and in batch, with NaN, infinities and ties', () => {
    fc.assert(
      fc.property(anyForest, anyRows, (forest, rows) => {
        const rowMajor = Float64Array.from(rows.flat());
        const frozen = rowMajor.slice();
        const out = new Float64Array(rows.length);
        predictBatch(forest, rowMajor, rows.length, out);
        rows.forEach((row, i) => {
          expect(Math.abs(out[i]! - plainPrediction(forest, row))).toBeLessThan(
            1e-12 * Math.max(1, Math.abs(out[i]!)),
          );
          expect(predictRow(forest, rowMajor, 3 * i)).toBe(out[i]);
        });
        expect(rowMajor).toEqual(frozen);
      }),
      { seed: 1, numRuns: 3000 },
    );
  });

  it('comes back from JSON text exactly as it was', () => {
    fc.assert(
      fc.property(anyForest, (forest) => {
        expect(forestProblem(forest)).toBeUndefined();
        expect(fromJson(JSON.parse(JSON.stringify(toJson(forest))))).toEqual(forest);
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  it('of no trees answers its base through its link', () => {
    expect(predictRow(constantForest(2, 1.5), Float64Array.of(NaN, 7), 0)).toBe(1.5);
    expect(predictRow(constantForest(0, 2, 'exp'), new Float64Array(0), 0)).toBe(Math.exp(2));
    expect(predictRow(constantForest(1, 0, 'logistic'), Float64Array.of(1), 0)).toBe(0.5);
  });

  it('steps to the next double both ways', () => {
    for (const x of [-1.5, -Number.MIN_VALUE, 0, Number.MIN_VALUE, 1, 1e300]) {
      expect(nextUp(x)).toBeGreaterThan(x);
      expect(nextDown(nextUp(x)) === x).toBe(true);
    }
    expect(nextUp(1)).toBe(1 + 2 ** -52);
    expect(nextUp(Number.MAX_VALUE)).toBe(Infinity);
    expect(nextUp(-Infinity)).toBe(-Number.MAX_VALUE);
    expect(nextUp(Infinity)).toBe(Infinity);
    expect(nextUp(NaN)).toBeNaN();
  });
});

describe('a saved forest that is damaged is refused, and the sentence says where', () => {
  const refused: [string, (json: ReturnType<typeof toJson>) => void, RegExp][] = [
    ['another format', (j) => Object.assign(j, { format: 2 }), /format/],
    ['a column too short', (j) => j.left.pop(), /columns differ in length/],
    ['a child before its parent', (j) => (j.left[0] = 0), /points outside of its tree/],
    ['a child beyond the tree', (j) => (j.left[0] = 2), /points outside of its tree/],
    ['a feature the row has not', (j) => (j.feature[0] = 2), /asks for column 2/],
    ['a threshold that is no number', (j) => Object.assign(j.threshold, [null]), /threshold/],
    ['a value that is no number', (j) => Object.assign(j.value, ['NaN']), /value/],
    ['trees that leave nodes over', (j) => (j.tree_start[1] = 2), /do not cover its nodes/],
    ['an empty tree', (j) => (j.tree_start = [0, 0, 3]), /tree 0 has no nodes/],
    ['a node nobody points to', (j) => (j.feature[0] = LEAF), /node 1 of tree 0 has no parent/],
    ['an unknown field', (j) => Object.assign(j, { extra: 1 }), /extra/],
    ['an infinite base', (j) => Object.assign(j, { base: Infinity }), /base/],
  ];
  for (const [what, damage, sentence] of refused) {
    it(`${what}`, () => {
      const json = toJson(stump());
      damage(json);
      expect(() => fromJson(json)).toThrow(sentence);
    });
  }

  it('two parents for one node', () => {
    const json = toJson({
      ...stump(),
      treeStart: Int32Array.of(0, 5),
      feature: Int32Array.of(0, 0, 0, LEAF, LEAF),
      threshold: new Float64Array(5),
      left: Int32Array.of(1, 3, 3, 0, 0),
      defaultLeft: new Uint8Array(5),
      value: new Float64Array(5),
    });
    expect(() => fromJson(json)).toThrow('node 3 has two parents');
  });
});

function stump(): Forest {
  return {
    format: FOREST_FORMAT,
    link: 'identity',
    features: 2,
    base: 1,
    treeStart: Int32Array.of(0, 3),
    feature: Int32Array.of(1, LEAF, LEAF),
    threshold: Float64Array.of(0.5, 0, 0),
    left: Int32Array.of(1, 0, 0),
    defaultLeft: Uint8Array.of(1, 0, 0),
    value: Float64Array.of(12, -1, 1),
  };
}
