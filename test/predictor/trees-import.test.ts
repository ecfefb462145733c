import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../src/domain/errors.js';
import { forestProblem, predictBatch, predictRow, treeCount } from '../../src/predictor/trees.js';
import { forestFromAnyFormat } from '../../src/predictor/tree-import/any-format.js';
import type { ImportedForest } from '../../src/predictor/tree-import/imported-forest.js';
import { importLimits } from '../../src/predictor/tree-import/imported-forest.js';
import { forestFromLightgbm } from '../../src/predictor/tree-import/lightgbm-text.js';
import { GRAPH, MODEL, VALUE } from '../../src/predictor/tree-import/onnx-format.js';
import { forestFromOnnx } from '../../src/predictor/tree-import/onnx-trees.js';
import { wireFields, WireWriter } from '../../src/predictor/tree-import/protobuf.js';
import {
  greatestDoubleBelowFloat,
  greatestDoubleUpToFloat,
  greatestFloatUpTo,
  nextFloatUp,
} from '../../src/predictor/tree-import/single-precision.js';
import { forestFromXgboost } from '../../src/predictor/tree-import/xgboost-json.js';

const FIXTURES = join('test', 'fixtures', 'trees');
const text = (file: string): string => readFileSync(join(FIXTURES, file), 'utf8');
const bytes = (file: string): Uint8Array => new Uint8Array(readFileSync(join(FIXTURES, file)));
const fixtures = (start: string, end: string): string[] =>
  readdirSync(FIXTURES).filter(
    (file) => file.startsWith(start) && file.endsWith(end) && !file.endsWith('.rows.json'),
  );

const NAMES = ['memory_mib', 'dirty_mib_s', 'bandwidth_mbps', 'used_share', 'parallel'];

/** The library's own answers must come out of the forest: `relative` to the greater of 1 and the answer. */
function expectSameAnswers(model: string, imported: ImportedForest, relative: number): void {
  const { rows, answers } = JSON.parse(text(`${model}.rows.json`)) as {
    rows: (number | null)[][];
    answers: number[];
  };
  expect(forestProblem(imported.forest)).toBeUndefined();
  expect(rows.length).toBeGreaterThanOrEqual(60);
  const out = new Float64Array(rows.length);
  predictBatch(
    imported.forest,
    Float64Array.from(rows.flat(), (x) => x ?? NaN),
    rows.length,
    out,
  );
  const worst = answers.map((answer, i) => Math.abs(out[i]! - answer) / Math.max(1, Math.abs(answer)));
  expect(Math.max(...worst)).toBeLessThan(relative);
}

describe('models of the real libraries give their own answers, also a rounding beside a threshold and for missing values', () => {
  const xgboost = fixtures('xgboost', '.json');
  const lightgbm = fixtures('lightgbm', '.txt');
  const onnx = fixtures('onnx', '.onnx');

  it('are there', () => {
    expect([xgboost.length, lightgbm.length, onnx.length]).toEqual([9, 8, 6]);
  });
  for (const file of xgboost) {
    it(`XGBoost 1.7.4: ${file}`, () => {
      const imported = forestFromXgboost(text(file));
      // Theirs adds up in single precision, and the exponential of such a sum is no better.
      expectSameAnswers(file.replace('.json', ''), imported, 1e-5);
      expect(imported.featureNames).toEqual(NAMES);
      expect(treeCount(imported.forest)).toBe(file === 'xgboost-parallel.json' ? 18 : 12);
    });
  }
  it('XGBoost 1.7.4: the first two rounds of three trees each', () => {
    const imported = forestFromXgboost(text('xgboost-parallel.json'), { rounds: 2 });
    expectSameAnswers('xgboost-parallel-two-rounds', imported, 1e-5);
    expect(treeCount(imported.forest)).toBe(6);
  });
  for (const file of lightgbm) {
    it(`LightGBM 4.7.0: ${file}`, () => {
      const imported = forestFromLightgbm(text(file));
      expectSameAnswers(file.replace('.txt', ''), imported, 1e-14);
      expect(imported.featureNames).toEqual(NAMES);
    });
  }
  for (const file of onnx) {
    it(`ONNX as onnxruntime 1.30.0 answers it: ${file}`, () => {
      expectSameAnswers(file.replace('.onnx', ''), forestFromOnnx(bytes(file)), 2e-6);
    });
  }
});

describe('XGBoost import', () => {
  /** The committed model with something changed. */
  const changed = (change: (model: XgboostJson) => void): string => {
    const model = JSON.parse(text('xgboost-squared.json')) as XgboostJson;
    change(model);
    return JSON.stringify(model);
  };
  const trees = (model: XgboostJson): XgboostTree[] => model.learner.gradient_booster.model.trees;

  it('reads the base score as version 3 writes it', () => {
    const plain = forestFromXgboost(changed((m) => (m.learner.learner_model_param.base_score = '2.5E-1')));
    const listed = forestFromXgboost(changed((m) => (m.learner.learner_model_param.base_score = '[2.5E-1]')));
    expect(plain.forest.base).toBe(0.25);
    expect(listed.forest.base).toBe(0.25);
  });

  it('says where early stopping found fewer rounds better, and takes as many as told', () => {
    const stopped = changed((m) => (m.learner.attributes = { best_iteration: '4', best_score: '0.1' }));
    expect(forestFromXgboost(stopped).remarks).toEqual([
      'early stopping found 5 rounds best; all 12 were taken, as Booster.predict does',
    ]);
    expect(treeCount(forestFromXgboost(stopped, { rounds: 5 }).forest)).toBe(5);
  });

  it('counts rounds, not trees, where several are grown at once', () => {
    const parallel = text('xgboost-parallel.json');
    expect(forestFromXgboost(parallel).remarks).toEqual([
      'early stopping found 4 rounds best; all 6 were taken, as Booster.predict does',
    ]);
    // Before version 1.6 only the number of the best trees says how many a round has.
    const old = parallel.replace('"num_parallel_tree":"3",', '');
    expect(old).not.toBe(parallel);
    expect(forestFromXgboost(old, { rounds: 2 })).toEqual(forestFromXgboost(parallel, { rounds: 2 }));
    // Since version 2 the rounds' trees stand in the file.
    const recent = parallel.replace('"trees":[', '"iteration_indptr":[0,4,10,18],"trees":[');
    expect(treeCount(forestFromXgboost(recent, { rounds: 2 }).forest)).toBe(10);
    expect(forestFromXgboost(recent).remarks).toEqual([]);
  });

  /** The committed model with one number of the first list after `start` written otherwise. */
  const changedText = (start: string, place: number, written: string): string => {
    const whole = text('xgboost-squared.json');
    const from = whole.indexOf(start) + start.length;
    const numbers = whole.slice(from, whole.indexOf(']', from)).split(',');
    return (
      whole.slice(0, from) + numbers.with(place, written).join(',') + whole.slice(whole.indexOf(']', from))
    );
  };

  it('leaves words within names alone where it reads NaN', () => {
    const named = text('xgboost-squared.json')
      .replace('"memory_mib"', '"[NaN, \\"Infinity"')
      .replace('"loss_changes":[', '"loss_changes":[NaN,-Infinity,');
    expect(forestFromXgboost(named).featureNames![0]).toBe('[NaN, "Infinity');
  });

  it('refuses rounds that cannot be told, or are not there', () => {
    const parallel = text('xgboost-parallel.json');
    expectRefusal(
      () => forestFromXgboost(parallel, { rounds: 7 }),
      /has 6 rounds, so that 7 cannot be taken/,
    );
    for (const count of ['"5"', '"0"', '"1e-9"', '"x"', '"2.5"']) {
      const unclear = parallel.replace('"num_parallel_tree":"3"', `"num_parallel_tree":${count}`);
      expectRefusal(() => forestFromXgboost(unclear, { rounds: 2 }), /which of its trees are of one round/);
      expect(treeCount(forestFromXgboost(unclear).forest)).toBe(18);
    }
  });

  const refusals: [string, () => string, RegExp][] = [
    ['text that is no JSON', () => 'booster[0]:', /not JSON; save the XGBoost model/],
    ['JSON of something else', () => '{"a": 1}', /not as save_model writes it: learner/],
    ['a linear booster', () => text('refused-xgboost-linear.json'), /kind "gblinear"; only gbtree and dart/],
    ['several classes', () => text('refused-xgboost-classes.json'), /several classes/],
    [
      'several targets',
      () => changed((m) => (m.learner.learner_model_param.num_target = '2')),
      /several targets/,
    ],
    [
      'an unknown objective',
      () => changed((m) => (m.learner.objective.name = 'my\nloss')),
      /objective "my\\nloss", which is none/,
    ],
    ['categorical splits', () => text('refused-xgboost-categories.json'), /by categories/],
    ['a leaf that is no number', () => changedText('"split_conditions":[', -1, 'NaN'), /not a finite number/],
    ['a cut that is no number', () => changedText('"split_conditions":[', 0, 'NaN'), /threshold in node 0/],
    ['an infinite cut', () => changedText('"split_conditions":[', 0, '-Infinity'), /threshold in node 0/],
    ['a cycle', () => changed((m) => (trees(m)[3]!.left_children[1] = 0)), /tree 3 reaches node 0 twice/],
    [
      'two parents',
      () => changed((m) => (trees(m)[0]!.left_children[1] = 2)),
      /tree 0 reaches node \d+ twice/,
    ],
    [
      'a child that does not exist',
      () => changed((m) => (trees(m)[0]!.left_children[0] = 999)),
      /points in node 0 to node 999/,
    ],
    [
      'a child that is no whole number',
      () => changed((m) => (trees(m)[0]!.left_children[0] = 1.5)),
      /node 1.5/,
    ],
    [
      'a column that is not there',
      () => changed((m) => (trees(m)[0]!.split_indices[0] = 5)),
      /column 5, but a row has 5/,
    ],
    [
      'columns of different length',
      () => changed((m) => trees(m)[2]!.default_left.pop()),
      /columns of tree 2 differ/,
    ],
    [
      'an infinite leaf',
      () => changed((m) => trees(m)[0]!.split_conditions.fill(3e39)),
      /not a finite number/,
    ],
    [
      'vector leaves',
      () => changed((m) => (trees(m)[0]!.tree_param.size_leaf_vector = '3')),
      /leaves of several numbers/,
    ],
    [
      'a base score of nonsense',
      () => changed((m) => (m.learner.learner_model_param.base_score = 'x')),
      /base score/,
    ],
    [
      'a feature count of nonsense',
      () => changed((m) => (m.learner.learner_model_param.num_feature = 'x')),
      /how many features/,
    ],
    [
      'too many features',
      () => changed((m) => (m.learner.learner_model_param.num_feature = '10001')),
      /over a limit: features 10001, at most 10000/,
    ],
    [
      'a tree too deep',
      () => changed((m) => (trees(m)[0] = chain(importLimits.depth + 1))),
      /over a limit: depth 257/,
    ],
    [
      'too many trees',
      () => changed((m) => (m.learner.gradient_booster.model.trees = Array(20_001).fill(chain(0)))),
      /trees 20001/,
    ],
  ];
  for (const [what, model, sentence] of refusals) {
    it(`refuses ${what} with one sentence`, () => expectRefusal(() => forestFromXgboost(model()), sentence));
  }

  it('takes a tree as deep as the limit', () => {
    const deep = changed((m) => (m.learner.gradient_booster.model.trees = [chain(importLimits.depth)]));
    expect(predictRow(forestFromXgboost(deep).forest, new Float64Array(5), 0)).toBeCloseTo(
      0.5 + importLimits.depth,
      9,
    );
  });

  it('never fails but with a UserError, whatever is damaged', () => {
    const whole = text('xgboost-l1.json');
    fc.assert(
      fc.property(fc.nat(whole.length), fc.string({ maxLength: 4 }), fc.nat(8), (at, inserted, cut) => {
        expectAnswerOrRefusal(() => forestFromXgboost(whole.slice(0, at) + inserted + whole.slice(at + cut)));
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});

describe('LightGBM import', () => {
  const whole = text('lightgbm-squared.txt');

  it('takes as many rounds as told', () => {
    expect(treeCount(forestFromLightgbm(whole, { rounds: 3 }).forest)).toBe(3);
  });

  it('says so where the file names no objective', () => {
    const imported = forestFromLightgbm(whole.replace('objective=regression\n', ''));
    expect(imported.remarks).toEqual([
      'the file names no objective, so that the answer is the plain sum of its trees',
    ]);
  });

  it('reads lines ended by carriage return and line feed', () => {
    expect(forestFromLightgbm(whole.replaceAll('\n', '\r\n'))).toEqual(forestFromLightgbm(whole));
  });

  const refusals: [string, () => string, RegExp][] = [
    ['text of something else', () => 'name,age\nx,1\n', /not the text of a LightGBM model/],
    ['an empty file', () => '', /not the text of a LightGBM model/],
    ['a file cut off', () => whole.slice(0, whole.indexOf('Tree=5')), /cut off: the line "end of trees"/],
    ['categorical splits', () => text('refused-lightgbm-categories.txt'), /by categories/],
    ['zeros that are missing', () => text('refused-lightgbm-zero-as-missing.txt'), /with zero_as_missing/],
    ['linear leaves', () => text('refused-lightgbm-linear.txt'), /linear leaves/],
    ['several classes', () => whole.replace('num_class=1', 'num_class=3'), /several classes/],
    [
      'an unknown objective',
      () => whole.replace('objective=regression', 'objective=custom'),
      /"custom", which is none of/,
    ],
    [
      'the square root of the target',
      () => whole.replace('objective=regression', 'objective=regression sqrt'),
      /reg_sqrt/,
    ],
    [
      'a column too short',
      () => whole.replace(/leaf_value=\S+ /, 'leaf_value='),
      /tree 0 has 9 entries in leaf_value, not 10/,
    ],
    ['a cycle', () => whole.replace(/left_child=1 /, 'left_child=0 '), /tree 0 reaches node 0 twice/],
    [
      'a leaf that does not exist',
      () => whole.replace(/left_child=1 /, 'left_child=-50 '),
      /points in node 0 to node/,
    ],
    ['a feature that is not there', () => whole.replace(/split_feature=2 /, 'split_feature=7 '), /column 7/],
    [
      'a leaf that is no number',
      () => whole.replace(/leaf_value=\S+ /, 'leaf_value=nan '),
      /not a finite number/,
    ],
    ['a number of leaves of nonsense', () => whole.replace('num_leaves=10', 'num_leaves=1e9'), /num_leaves/],
  ];
  for (const [what, model, sentence] of refusals) {
    it(`refuses ${what} with one sentence`, () => expectRefusal(() => forestFromLightgbm(model()), sentence));
  }

  it('never fails but with a UserError, whatever is damaged', () => {
    fc.assert(
      fc.property(fc.nat(whole.length), fc.string({ maxLength: 4 }), fc.nat(8), (at, inserted, cut) => {
        expectAnswerOrRefusal(() =>
          forestFromLightgbm(whole.slice(0, at) + inserted + whole.slice(at + cut)),
        );
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});

describe('ONNX import', () => {
  const refusals: [string, string, RegExp][] = [
    ['short floats before its trees', 'float16-before', /casts to something else than floats and doubles/],
    ['whole numbers before its trees', 'whole-numbers-before', /casts to something else/],
    ['whole numbers as its input', 'whole-numbers-taken', /takes neither floats nor doubles/],
    ['whole numbers of its answer', 'int64-after', /casts to something else/],
    ['a yes or no of its answer', 'bool-after', /casts to something else/],
    ['short floats of its answer', 'float16-after', /casts to something else/],
  ];
  for (const [what, model, sentence] of refusals) {
    it(`refuses a model that makes ${what}`, () =>
      expectRefusal(() => forestFromOnnx(bytes(`refused-onnx-${model}.onnx`)), sentence));
  }

  it('walks from the output of the graph to its trees, and refuses where it cannot', () => {
    const [graph] = [...wireFields(bytes('onnx-two-ways.onnx'))].filter(({ field }) => field === MODEL.graph);
    const withOutputs = (...names: string[]): Uint8Array => {
      const changed = new WireWriter();
      for (const { field, bytes: part } of wireFields(graph!.bytes))
        if (field !== GRAPH.output) changed.blob(field, part);
      for (const name of names) changed.message(GRAPH.output, new WireWriter().text(VALUE.name, name));
      return new WireWriter().integer(MODEL.irVersion, 7).message(MODEL.graph, changed).finish();
    };
    expect(forestFromOnnx(withOutputs('Y')).forest.link).toBe('exp');
    expect(forestFromOnnx(withOutputs('nowhere')).forest.link).toBe('logistic');
    expect(forestFromOnnx(withOutputs('sum')).forest.link).toBe('identity');
    expectRefusal(() => forestFromOnnx(withOutputs('Y', 'sum')), /has 2 outputs/);
    expectRefusal(() => forestFromOnnx(withOutputs('X')), /does not lead from its trees to its output/);
    expectRefusal(() => forestFromOnnx(withOutputs()), /does not lead from its trees to its output/);
  });

  it('refuses trees that add to another target than the first', () => {
    const whole = Buffer.from(bytes('onnx-two-ways.onnx')).toString('latin1');
    const ids = '\n\ntarget_ids@\0@\0'; // an attribute of two whole numbers
    expect(whole.split(ids)).toHaveLength(2);
    const second = Buffer.from(whole.replace(ids, ids.slice(0, -1) + '\u0001'), 'latin1');
    expectRefusal(() => forestFromOnnx(second), /several targets/);
  });

  it('refuses what is not ONNX', () => {
    expectRefusal(() => forestFromOnnx(new Uint8Array(0)), /not an ONNX model: it holds no graph/);
    expectRefusal(() => forestFromOnnx(new TextEncoder().encode('{"learner": {}}')), /ONNX/);
  });

  it('never fails but with a UserError, whatever is damaged', () => {
    const whole = bytes('onnx-mixed-float.onnx');
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.boolean(), (at, byte, cut) => {
        const damaged = cut ? whole.slice(0, at) : whole.slice();
        if (!cut) damaged[at] = byte;
        expectAnswerOrRefusal(() => forestFromOnnx(damaged));
      }),
      { seed: 1, numRuns: 2000 },
    );
  });
});

describe('a model file of any kind', () => {
  it('is known by its content', () => {
    for (const file of [
      ...fixtures('xgboost', '.json'),
      ...fixtures('lightgbm', '.txt'),
      ...fixtures('onnx', '.onnx'),
    ]) {
      const imported = forestFromAnyFormat(bytes(file));
      expect(imported.format.split('-')[0]).toBe(file.split('-')[0]);
      expect(treeCount(imported.forest)).toBeGreaterThan(0);
    }
  });

  it('is refused with one sentence where it is none of them', () => {
    const encoded = (words: string): Uint8Array => new TextEncoder().encode(words);
    expectRefusal(
      () => forestFromAnyFormat(encoded('booster[0]:\n0:[f0<1]')),
      /no model that can be imported/,
    );
    expectRefusal(() => forestFromAnyFormat(new Uint8Array(0)), /no model that can be imported/);
    expectRefusal(() => forestFromAnyFormat(encoded('{L\0\0\0')), /binary form of an XGBoost model/);
    expectRefusal(() => forestFromAnyFormat(encoded('binf\0\0')), /save it as model.json/);
  });
});

describe('single precision', () => {
  const anyFloat = fc.float({ noNaN: true });
  const near = fc.integer({ min: -3, max: 3 });

  it('"rounds to less than t" is "at most greatestDoubleBelowFloat(t)", and so for "at most t"', () => {
    fc.assert(
      fc.property(anyFloat, fc.double({ noNaN: true }), near, (t, any, steps) => {
        const half = (t + nextFloatUp(t)) / 2;
        const around = half + steps * Math.abs(half) * 2 ** -52;
        for (const x of [any, t, around, -t, t * (1 + steps * 2 ** -25), Infinity, -Infinity]) {
          if (Number.isNaN(x)) continue;
          expect(x <= greatestDoubleBelowFloat(t)).toBe(Math.fround(x) < t);
          expect(x <= greatestDoubleUpToFloat(t)).toBe(Math.fround(x) <= t);
        }
      }),
      { seed: 1, numRuns: 5000 },
    );
  });

  it('the greatest float up to a double separates floats as the double does', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, min: -1e38, max: 1e38 }), near, (cut, steps) => {
        const float = greatestFloatUpTo(cut);
        for (const x of [Math.fround(cut), nextFloatUp(float), Math.fround(cut * (1 + steps * 2 ** -23))]) {
          expect(x <= float).toBe(x <= cut);
        }
      }),
      { seed: 2, numRuns: 5000 },
    );
  });
});

interface XgboostTree {
  left_children: number[];
  right_children: number[];
  split_indices: number[];
  split_conditions: number[];
  split_type: number[];
  default_left: number[];
  tree_param: { size_leaf_vector: string };
}
interface XgboostJson {
  learner: {
    attributes: Record<string, string>;
    gradient_booster: { model: { trees: XgboostTree[] } };
    learner_model_param: { base_score: string; num_target: string; num_feature: string };
    objective: { name: string };
  };
}

/** A tree that goes on to the left `depth` times; its last leaf holds `depth`. */
function chain(depth: number): XgboostTree {
  const size = 2 * depth + 1;
  const column = (of: (node: number) => number): number[] =>
    Array.from({ length: size }, (_, node) => of(node));
  const inner = (node: number): boolean => node % 2 === 0 && node < size - 1;
  return {
    left_children: column((node) => (inner(node) ? node + 2 : -1)),
    right_children: column((node) => (inner(node) ? node + 1 : -1)),
    split_indices: column(() => 0),
    split_conditions: column((node) => (inner(node) ? 1 : node === size - 1 ? depth : -1)),
    split_type: column(() => 0),
    default_left: column(() => 0),
    tree_param: { size_leaf_vector: '0' },
  };
}

function refusalOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

function expectRefusal(run: () => unknown, sentence: RegExp): void {
  const error = refusalOf(run);
  expect(error).toBeInstanceOf(UserError);
  const message = (error as UserError).message;
  expect(message).toMatch(sentence);
  expect(message).not.toContain('\n');
  expect(message.length).toBeLessThan(400);
}

function expectAnswerOrRefusal(run: () => ImportedForest): void {
  const error = refusalOf(() => {
    const { forest } = run();
    if (forestProblem(forest) !== undefined) throw new Error(`imported, but ${forestProblem(forest)}`);
    if (Number.isNaN(predictRow(forest, new Float64Array(forest.features), 0)))
      throw new Error('imported, but answers NaN');
  });
  expect(error instanceof UserError ? undefined : error).toBeUndefined();
}
