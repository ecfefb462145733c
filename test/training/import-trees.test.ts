import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { UserError } from '../../src/domain/errors.js';
import { startMs, type MoveRecord } from '../../src/domain/move-record.js';
import { parseMoveRequest, type MoveRequest } from '../../src/domain/move-request.js';
import { frameColumns } from '../../src/predictor/frame-columns.js';
import { NamedTrees, type TreeTarget } from '../../src/predictor/imported-trees.js';
import { durationModelOf, loadPredictor } from '../../src/predictor/load-predictor.js';
import { inputsOfRecord } from '../../src/predictor/move-inputs.js';
import { forestToOnnx } from '../../src/predictor/onnx-export.js';
import type { Predictor } from '../../src/predictor/predictor.js';
import { constantForest, predictRow, type Forest } from '../../src/predictor/trees.js';
import { backtest } from '../../training/backtest.js';
import { accuracyOf } from '../../training/accuracy.js';
import { trainForest } from '../../training/boosting.js';
import { servedModel } from '../../training/candidates/whole-model.js';
import { trainingDataset, type Dataset } from '../../training/dataset.js';
import { datasetFiles } from '../../training/dataset-table.js';
import { importTrees, type ErrorRow, type TreeImport } from '../../training/import-trees.js';
import { inventedMoves } from './invented-moves.js';

const moves = Object.freeze(inventedMoves(420));
const past = moves.slice(0, 300);
const dataset = trainingDataset({ records: past }, { seed: 1 });
const names = { frame: 'f.csv', model: 'f.model.json' };
const { schema } = datasetFiles(dataset, { format: 'csv', seed: 1, names });

/** Trees on a few columns of the frame, grown on the rows before `rows`. */
const COLUMNS = ['log_memory_mib', 'recent_config', 'effects', 'memory_mib'];
const place = (name: string): number => frameColumns.findIndex((column) => column.name === name);
function grown(target: TreeTarget, rows: number): Forest {
  const of = (i: number): number =>
    target === 'residual_log'
      ? dataset.residual[i]!
      : target === 'log_seconds'
        ? Math.log(past[i]!.duration_seconds)
        : past[i]!.duration_seconds;
  return trainForest(
    { columns: COLUMNS.map((name) => dataset.features[place(name)]!.slice(0, rows)), rows },
    Float64Array.from({ length: rows }, (_, i) => of(i)),
    { trees: 40, maxLeaves: 6, minChildWeight: 5 },
  );
}
const onnxOf = (forest: Forest, featureNames = COLUMNS): Uint8Array => forestToOnnx(forest, { featureNames });

function errorRows({ records, features }: Dataset, from: number): ErrorRow[] {
  return records.slice(from).map((record, k) => ({
    id: record.id,
    cluster: record.cluster!,
    operation: record.operation,
    concurrentMoves: record.concurrent_moves!,
    startMs: startMs(record),
    finishMs: startMs(record) + 1000 * record.duration_seconds,
    durationSeconds: record.duration_seconds,
    status: record.status ?? 'completed',
    features: Float64Array.from(features, (column) => column[from + k]!),
  }));
}

const given = (changes: Partial<TreeImport> = {}): TreeImport => ({
  name: 'elsewhere',
  path: 'trees.onnx',
  bytes: onnxOf(grown('residual_log', 150)),
  schema,
  base: dataset.model,
  target: 'residual_log',
  rows: errorRows(dataset, 150),
  ...changes,
});

/** Asked when all of the past has finished. */
const asked = moves.slice(310, 350);
const requestOf = (record: MoveRecord): MoveRequest => {
  const parsed = parseMoveRequest({ ...record, id: undefined, origin: undefined });
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
};
const served = (file: unknown): Predictor => loadPredictor(JSON.parse(JSON.stringify(file)));

describe('trees from elsewhere in service', () => {
  it.each<TreeTarget>(['residual_log', 'log_seconds', 'seconds'])(
    'answer as p50 what their library would for the row of a frame, with the target %s',
    (target) => {
      const forest = grown(target, 150);
      const predictor = served(importTrees(given({ bytes: onnxOf(forest), target })).file);
      const beneath = durationModelOf(dataset.model);
      const row = new Float64Array(frameColumns.length);
      for (const record of asked) {
        const inputs = inputsOfRecord(record);
        beneath.fillKnown(inputs);
        const physicsLog = beneath.frameRow(inputs, row);
        const answer = predictRow(
          forest,
          Float64Array.from(COLUMNS, (name) => row[place(name)]!),
          0,
        );
        const seconds =
          target === 'seconds' ? answer : Math.exp(target === 'log_seconds' ? answer : physicsLog + answer);
        expect(predictor.predict(requestOf(record), 0).duration_seconds.p50).toBe(seconds);
      }
    },
  );

  it('hold what their intervals promise, by the card and on later moves, and serve prices in columns', () => {
    const { file, accuracy, card } = importTrees(given());
    expect(accuracy!.moves).toBeGreaterThan(80);
    expect(Math.abs(accuracy!.coverage_80 - 80)).toBeLessThan(10);
    expect(card).toContain('They stand on 150 completed moves given at the import');
    expect(card).toContain(`| these trees | ${accuracy!.moves} |`);
    const rows = backtest({ records: moves }, [servedModel(file)], { protocol: 'rolling', seed: 1 });
    const later = accuracyOf(rows.slice(-110))!;
    expect(later.coverage_90).toBeGreaterThan(80);
    const predictor = served(file);
    const requests = asked.map(requestOf);
    const { p50, p95 } = predictor.durations(requests, 0);
    requests.forEach((request, i) => {
      const { duration_seconds: d, completion_probability } = predictor.predict(request, 0);
      expect([p50[i], p95[i]]).toEqual([d.p50, d.p95]);
      const values = [d.p05, d.p10, d.p50, d.p90, d.p95];
      expect(values.every((v, k) => v > 0 && (k === 0 || v >= values[k - 1]!))).toBe(true);
      expect(completion_probability).toBeGreaterThan(0.9);
    });
    const [{ target_node, ...instance }] = requests as [MoveRequest];
    const cost = predictor.moveCosts([instance], [target_node, instance.source_node], 0.5, 0);
    expect(cost[0]).toBeCloseTo(p50[0]!, 4);
    expect(cost[1]).toBeNaN();
  });

  it('without rows have wide intervals, say so on the card, and learn better from reported moves', () => {
    const { file, card, accuracy, remarks } = importTrees(given({ rows: undefined }));
    expect([accuracy, remarks]).toEqual([undefined, []]);
    expect(card).toContain('nothing is known of the errors: the 90 % interval goes from about a third');
    const predictor = served(file);
    const width = (): number => {
      const { p05, p95 } = predictor.predict(requestOf(moves[419]!), 0).duration_seconds;
      return p95 / p05;
    };
    expect(width()).toBeGreaterThan(9);
    for (const record of moves.slice(300, 400)) predictor.learn(record);
    expect(width()).toBeLessThan(3);
  });

  it('keep their own errors from reported moves on, not those of the model beneath', () => {
    expect(JSON.stringify(dataset.model.state.errors)).not.toBe('[]');
    const predictor = served(importTrees(given()).file);
    const { cluster } = moves[0]!;
    expect(predictor.pastErrors(cluster)).toBeUndefined();
    const made: number[] = [];
    for (const record of moves.slice(330, 390)) {
      const { p50, p90 } = predictor.predict(requestOf(record), 0).duration_seconds;
      const seconds = p50 * 1.1;
      predictor.learn({ ...record, status: 'completed', duration_seconds: seconds });
      made.push(Math.log(seconds / p50) / Math.log(p90 / p50));
    }
    const errors = predictor
      .pastErrors(cluster)!
      .hours.flat(2)
      .sort((x, y) => x - y);
    expect(errors).toHaveLength(60);
    made.sort((x, y) => x - y).forEach((error, k) => expect(errors[k]).toBeCloseTo(error, 2));
  });

  it('the same file, frame and rows give the same version', () => {
    const { version } = importTrees(given()).file;
    expect(version).toMatch(/^onnx-[0-9a-f]{12}$/);
    expect(importTrees(given()).file.version).toBe(version);
    expect(importTrees(given({ rows: undefined })).file.version).not.toBe(version);
  });

  it('that answer another question than the one named are noticed by their errors', () => {
    const { remarks, card } = importTrees(given({ target: 'log_seconds' }));
    expect(remarks.join()).toMatch(
      /off by a factor of \d+\.\d in the middle: is --target log_seconds what they answer\?/,
    );
    expect(card).toContain(remarks[0]!);
  });

  it('stay finite and positive whatever the trees answer', () => {
    for (const base of [-1e9, 0, 1e9]) {
      for (const target of ['residual_log', 'seconds'] as const) {
        const bytes = onnxOf(constantForest(1, base), ['memory_mib']);
        const { duration_seconds: d } = served(importTrees(given({ bytes, target })).file).predict(
          requestOf(asked[0]!),
          0,
        );
        for (const value of Object.values(d)) expect(value > 0 && Number.isFinite(value)).toBe(true);
      }
    }
  });
});

describe('an import that does not fit is refused with one sentence', () => {
  const wide = constantForest(3, 1);
  it.each<[string, Partial<TreeImport>, RegExp]>([
    [
      'a column that the frame lacks',
      { bytes: onnxOf(wide, ['memory_mib', 'phase_of_moon', 'effects']) },
      /trees\.onnx: its trees read a column "phase_of_moon", which the frame does not have/,
    ],
    [
      'a column known only afterwards',
      { bytes: onnxOf(wide, ['memory_mib', 'duration_seconds', 'effects']) },
      /read duration_seconds, which is known only after a move/,
    ],
    [
      'a key',
      { bytes: onnxOf(wide, ['memory_mib', 'origin_moves', 'effects']) },
      /read origin_moves, which is no feature/,
    ],
    [
      'a column twice',
      { bytes: onnxOf(wide, ['memory_mib', 'effects', 'effects']) },
      /read the column effects twice/,
    ],
    [
      'too many columns named',
      { bytes: onnxOf(wide), columns: COLUMNS },
      /its trees read 3 columns, but 4 are named/,
    ],
    ['no names at all', { bytes: forestToOnnx(wide) }, /does not name the columns.*--columns/],
    ['a damaged file', { bytes: onnxOf(wide).slice(0, 60) }, /trees\.onnx: this ONNX model/],
    [
      'no model',
      { bytes: new TextEncoder().encode('PK') },
      /trees\.onnx: this is no model that can be imported/,
    ],
  ])('%s', (_what, changes, sentence) => {
    const attempt = (): unknown => importTrees(given({ rows: undefined, ...changes }));
    expect(attempt).toThrow(sentence);
    expect(attempt).toThrow(UserError);
  });

  it('a model file whose trees were altered later', () => {
    const { file } = importTrees(given());
    const imported = { ...file.imported!, columns: ['memory_mib'] };
    expect(() => served({ ...file, imported })).toThrow('the trees read 4 columns, but 1 are named');
    expect(() => served({ ...file, imported: { ...file.imported!, frame_schema: 2 } })).toThrow(
      'the model file is damaged: imported.frame_schema',
    );
  });
});

describe('models of the real libraries, asked by the names of a frame, give their own answers', () => {
  const FIXTURES = join('test', 'fixtures', 'trees');
  const columns = ['memory_mib', 'dirty_rate_mib_s', 'link_mbps', 'used_share', 'concurrent_moves'];
  it.each([
    ['xgboost-squared.json', 'log_seconds', 1e-5],
    ['xgboost-monotone.json', 'log_seconds', 1e-5],
    ['xgboost-gamma.json', 'seconds', 1e-5],
    ['xgboost-aft.json', 'seconds', 1e-5],
    ['lightgbm-quantile.txt', 'log_seconds', 1e-12],
    ['lightgbm-gamma.txt', 'seconds', 1e-12],
    ['onnx-leq-float.onnx', 'log_seconds', 2e-6],
  ] as const)('%s as %s', (fixture, target, tolerance) => {
    const bytes = new Uint8Array(readFileSync(join(FIXTURES, fixture)));
    const { file } = importTrees(given({ bytes, target, columns, rows: undefined }));
    const trees = new NamedTrees(file.imported!);
    const { rows, answers } = JSON.parse(
      readFileSync(join(FIXTURES, fixture.replace(/\.\w+$/, '.rows.json')), 'utf8'),
    ) as { rows: (number | null)[][]; answers: number[] };
    const row = new Float64Array(frameColumns.length);
    const worst = rows.map((values, i) => {
      values.forEach((value, j) => (row[place(columns[j]!)] = value ?? NaN));
      const seconds = trees.seconds(row, NaN);
      const answer = target === 'seconds' ? seconds : Math.log(seconds);
      // A duration stays between a millisecond and the longest move that a record may have.
      const theirs = target === 'seconds' ? Math.min(100 * 86_400, Math.max(1e-3, answers[i]!)) : answers[i]!;
      return Math.abs(answer - theirs) / Math.max(1, Math.abs(theirs));
    });
    expect(rows.length).toBeGreaterThanOrEqual(60);
    expect(Math.max(...worst)).toBeLessThan(tolerance);
  });
});
