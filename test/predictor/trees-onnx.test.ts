import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forestToOnnx, type OnnxPrecision } from '../../src/predictor/onnx-export.js';
import { forestFromOnnx } from '../../src/predictor/tree-import/onnx-trees.js';
import {
  appendIntegers,
  appendReals,
  wireFields,
  WireWriter,
} from '../../src/predictor/tree-import/protobuf.js';
import { nextFloatUp } from '../../src/predictor/tree-import/single-precision.js';
import { forestFromXgboost } from '../../src/predictor/tree-import/xgboost-json.js';
import { constantForest, LEAF, predictBatch, type Forest } from '../../src/predictor/trees.js';
import { trainForest, type BoostingOptions } from '../../training/boosting.js';
import { seededRandom } from '../../training/seeded-random.js';

const NAMES = ['memory', 'dirty rate', 'share "free"'];
const ROWS = 500;

function data(): { columns: Float64Array[]; target: Float64Array; rowMajor: Float64Array } {
  const random = seededRandom(4);
  const columns = NAMES.map(() =>
    Float64Array.from({ length: ROWS }, () => (random() < 0.1 ? NaN : 10 * random() - 3)),
  );
  const target = Float64Array.from(
    { length: ROWS },
    (_, i) => Math.sin(columns[0]![i] || 0) + (columns[1]![i]! > 0 ? 1 : 0),
  );
  const rowMajor = new Float64Array(ROWS * 3);
  columns.forEach((column, f) => column.forEach((x, i) => (rowMajor[3 * i + f] = x)));
  return { columns, target, rowMajor };
}

const { columns, target, rowMajor } = data();
const trained = (options: BoostingOptions): Forest =>
  trainForest({ columns, rows: ROWS }, target, { trees: 25, maxLeaves: 12, minChildWeight: 3, ...options });

const forests: Record<string, Forest> = {
  squared: trained({}),
  quantile: trained({ loss: 'quantile', quantile: 0.9 }),
  logistic: trainForest(
    { columns, rows: ROWS },
    target.map((y) => (y > 0.5 ? 1 : 0)),
    { loss: 'logistic', trees: 20 },
  ),
  exp: { ...trained({ loss: 'l1' }), link: 'exp' },
  'no trees': constantForest(3, 1.25),
};
const precisions: OnnxPrecision[] = ['double', 'float'];

function answers(forest: Forest, rows: Float64Array): Float64Array {
  const out = new Float64Array(rows.length / forest.features);
  predictBatch(forest, rows, out.length, out);
  return out;
}

function expectNear(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    worst = Math.max(worst, Math.abs(actual[i]! - expected[i]!) / Math.max(1, Math.abs(expected[i]!)));
  }
  expect(worst).toBeLessThan(tolerance);
}

describe('a forest written as ONNX and read again', () => {
  it('is the same in double precision, to the last bit of every answer', () => {
    for (const forest of Object.values(forests)) {
      const back = forestFromOnnx(forestToOnnx(forest, { featureNames: NAMES }));
      expect(back.featureNames).toEqual(NAMES);
      expect(back.forest.link).toBe(forest.link);
      expect(answers(back.forest, rowMajor)).toEqual(answers(forest, rowMajor));
    }
  });

  it('agrees to 1e-5 in single precision for rows of floats', () => {
    const rows = rowMajor.map(Math.fround);
    for (const forest of Object.values(forests)) {
      const back = forestFromOnnx(forestToOnnx(forest, { precision: 'float' }));
      expect(back.featureNames).toBeUndefined();
      expectNear(answers(back.forest, rows), answers(forest, rows), 1e-5);
    }
  });

  it('decides as ours in single precision for the floats beside each cut, wherever the cut lies between them', () => {
    const cuts = [0.1, 0.3, -0.1, 1 / 3, 1e-50, -1e-50, 0.5, 16_777_217, 0];
    for (const cut of cuts) {
      const stump: Forest = {
        ...constantForest(1, 0),
        treeStart: Int32Array.of(0, 3),
        feature: Int32Array.of(0, LEAF, LEAF),
        threshold: Float64Array.of(cut, 0, 0),
        left: Int32Array.of(1, 0, 0),
        defaultLeft: Uint8Array.of(0, 0, 0),
        value: Float64Array.of(0, -1, 1),
      };
      const back = forestFromOnnx(forestToOnnx(stump, { precision: 'float' }));
      const near = Math.fround(cut);
      const rows = Float64Array.of(near, nextFloatUp(near), -nextFloatUp(-near));
      expect(answers(back.forest, rows)).toEqual(answers(stump, rows));
    }
  });

  it('keeps giving the bytes of the golden file', () => {
    const forest = forestFromXgboost(
      readFileSync(join('test', 'fixtures', 'trees', 'xgboost-l1.json'), 'utf8'),
    ).forest;
    const golden = readFileSync(join('test', 'fixtures', 'trees', 'exported-xgboost-l1.onnx'));
    expect(Buffer.from(forestToOnnx(forest)).equals(golden)).toBe(true);
  });
});

const PYTHON = process.env['MOVECAST_PYTHON'] ?? '/usr/bin/python3';

const hasLibrary = (name: string): boolean => spawnSync(PYTHON, ['-c', `import ${name}`]).status === 0;

/** Runs a script of Python with the models in a folder. */
function python(script: string, folder: string): string {
  const run = spawnSync(PYTHON, ['-c', script, folder], { encoding: 'utf8' });
  if (run.status !== 0) throw run.error ?? new Error(run.stderr);
  return run.stdout;
}

function withModels(use: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'trees-onnx-'));
  try {
    for (const [name, forest] of Object.entries(forests)) {
      for (const precision of precisions) {
        writeFileSync(
          join(folder, `${name}.${precision}.onnx`),
          forestToOnnx(forest, { precision, featureNames: NAMES }),
        );
      }
    }
    writeFileSync(join(folder, 'rows.f64'), rowMajor);
    use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a library answers to the rows, by the name of the model's file, is what we answer. */
function expectOurAnswers(out: string): void {
  const theirs = JSON.parse(out) as Record<string, number[]>;
  expect(Object.keys(theirs).length).toBe(10);
  for (const [name, forest] of Object.entries(forests)) {
    expectNear(theirs[`${name}.double.onnx`]!, answers(forest, rowMajor), 1e-5);
    expectNear(theirs[`${name}.float.onnx`]!, answers(forest, rowMajor.map(Math.fround)), 1e-5);
  }
}

const hasOnnx = hasLibrary('onnx');
if (!hasOnnx && process.env['MOVECAST_REQUIRE_ALL'] === '1')
  throw new Error('python3-onnx is needed but not installed');
(hasOnnx ? describe : describe.skip)('python3-onnx takes our ONNX', () => {
  it('onnx.checker finds every exported model well-formed', () => {
    withModels((folder) => {
      const script = `
import glob, onnx, sys
files = glob.glob(sys.argv[1] + '/*.onnx')
for file in files: onnx.checker.check_model(onnx.load(file), full_check=False)
print(len(files))`;
      expect(Number(python(script, folder))).toBe(10);
    });
  });

  it('a plain evaluator on what onnx reads answers as we do: to 1e-5', () => {
    withModels((folder) => {
      expectOurAnswers(python(readFileSync(join('test', 'reference', 'onnx_trees.py'), 'utf8'), folder));
    });
  });
});

// Not in Debian: pip install onnxruntime, and MOVECAST_PYTHON=that python. Never demanded.
if (hasLibrary('onnxruntime')) {
  it('onnxruntime answers as we do: to 1e-5, for any doubles in double precision and for floats in single', () => {
    withModels((folder) => {
      const script = `
import glob, json, numpy, onnxruntime, os, sys
rows = numpy.fromfile(sys.argv[1] + '/rows.f64').reshape(-1, 3)
answers = {}
for file in glob.glob(sys.argv[1] + '/*.onnx'):
    session = onnxruntime.InferenceSession(file, providers=['CPUExecutionProvider'])
    taken = rows.astype('float64' if '.double.' in file else 'float32')
    answers[os.path.basename(file)] = session.run(['prediction'], {'features': taken})[0].ravel().tolist()
print(json.dumps(answers))`;
      expectOurAnswers(python(script, folder));
    });
  });
} else {
  process.stderr.write('left out: what onnxruntime answers to our ONNX, which needs onnxruntime\n');
}

describe('protocol buffers', () => {
  it('read back what was written, small and large', () => {
    const values = [0, 1, 127, 128, 300, 2 ** 31, 2 ** 40 + 5, Number.MAX_SAFE_INTEGER];
    const written = new WireWriter()
      .integers(1, values)
      .text(2, 'größer')
      .doubles(3, [0.1, -Infinity])
      .floats(4, [0.5]);
    for (const value of values) written.integer(5, value);
    const ints: number[] = [];
    const reals: number[] = [];
    const again: number[] = [];
    let word = '';
    for (const field of wireFields(written.finish())) {
      if (field.field === 1) appendIntegers(field, ints);
      if (field.field === 2) word = new TextDecoder().decode(field.bytes);
      if (field.field === 3) appendReals(field, 8, reals);
      if (field.field === 4) appendReals(field, 4, reals);
      if (field.field === 5) appendIntegers(field, again);
    }
    expect([ints, again, word, reals]).toEqual([values, values, 'größer', [0.1, -Infinity, 0.5]]);
  });

  it('read the ten bytes of a negative number, and refuse numbers that never end', () => {
    const minusOne = Uint8Array.of(8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1);
    expect([...wireFields(minusOne)][0]!.number).toBe(-1);
    expect(() => [...wireFields(new Uint8Array(12).fill(255))]).toThrow('ten bytes');
    expect(() => [...wireFields(Uint8Array.of(8, 255))]).toThrow('end within a number');
    expect(() => [...wireFields(Uint8Array.of(10, 5, 1))]).toThrow('end within a field');
    expect(() => [...wireFields(Uint8Array.of(11))]).toThrow('unknown wire type 3');
  });
});
