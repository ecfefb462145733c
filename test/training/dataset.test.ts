import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parseCsvRow } from '../../src/collector/csv.js';
import { startMs, type MoveRecord } from '../../src/domain/move-record.js';
import { parseMoveRequest } from '../../src/domain/move-request.js';
import type { InstanceSample } from '../../src/domain/samples.js';
import { frameColumns } from '../../src/predictor/frame-columns.js';
import { durationModelOf } from '../../src/predictor/load-predictor.js';
import { moveFeatures } from '../../src/predictor/move-features.js';
import { inputsOfRequest } from '../../src/predictor/move-inputs.js';
import { openParquetTable } from '../../src/store/parquet-table.js';
import { trainingDataset, type Dataset } from '../../training/dataset.js';
import { datasetFiles, parseDatasetSchema, type DatasetFormat } from '../../training/dataset-table.js';
import { fitModel } from '../../training/fit.js';
import { trainModel } from '../../training/train-model.js';
import { moveTable } from '../../training/move-table.js';
import { alteredFuture } from './altered-future.js';
import { fullyToldMoves } from './invented-moves.js';

const SEED = 3;
const moves = Object.freeze(fullyToldMoves(230));
const samples: readonly InstanceSample[] = Array.from({ length: 60 }, (_, i) => ({
  at: new Date(Date.UTC(2026, 0, 1) + i * 22_000).toISOString(),
  cluster: 'c',
  instance: `vm${i % 15}`,
  dirty_rate_mib_s: 3 + i,
}));
const dataset = trainingDataset({ records: moves, instanceSamples: samples }, { seed: SEED });

const rowOf = ({ features }: Dataset, i: number): number[] => features.map((column) => column[i]!);
const asked = [0, 1, 60, 101, 130, 177, 229];

/** What could have been asked before the move. */
function requestOf(record: MoveRecord) {
  const parsed = parseMoveRequest({ ...record, id: undefined, origin: undefined });
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

describe('the training frame', () => {
  it.each(asked)('row %i holds what the predictor of that moment computes for the same request', (i) => {
    const { records, finishMs: finish, byFinish } = moveTable(moves);
    const atMs = startMs(records[i]!);
    const finished = Array.from(byFinish).filter((j) => finish[j]! <= atMs);
    const trainedOn = finished.slice(0, dataset.originMoves[i]);
    const model = durationModelOf(
      fitModel(
        trainedOn.map((j) => records[j]!),
        {
          name: 'then',
          seed: SEED,
          instanceSamples: samples.filter(({ at }) => Date.parse(at) <= Date.parse(dataset.origin[i]!)),
        },
      ),
    );
    const shown = [
      ...finished
        .slice(trainedOn.length)
        .map((j) => ({ ms: finish[j]!, show: () => model.learn(records[j]!) })),
      ...samples
        .filter(({ at }) => Date.parse(at) <= atMs)
        .map((s) => ({ ms: Date.parse(s.at), show: () => model.learnInstanceSample('c', s) })),
    ];
    for (const { show } of shown.sort((a, b) => a.ms - b.ms)) show();
    const inputs = inputsOfRequest(requestOf(records[i]!), 0);
    model.fillKnown(inputs);
    const row = new Float64Array(frameColumns.length);
    const physicsLog = model.frameRow(inputs, row);
    expect(rowOf(dataset, i)).toEqual([...row]);
    expect(dataset.residual[i]).toBe(Math.log(records[i]!.duration_seconds) - physicsLog);
  });

  it.each(asked)(
    'row %i stays the same when all that had not finished at its start is altered or cut off',
    (i) => {
      const atMs = startMs(dataset.records[i]!);
      const cut = trainingDataset(
        {
          records: alteredFuture(moves, atMs),
          instanceSamples: samples.filter(({ at }) => Date.parse(at) <= atMs),
        },
        { seed: SEED },
      );
      expect(rowOf(cut, i)).toEqual(rowOf(dataset, i));
    },
  );

  it('holds what was forecast of a link, from samples up to the start alone', () => {
    const linkSamples = Array.from({ length: 300 }, (_, k) => ({
      at: new Date(Date.UTC(2026, 0, 1) + k * 5000).toISOString(),
      cluster: 'c',
      link: `n${k % 10}:egress`,
      throughput_mbps: 1000 + 100 * (k % 10),
      capacity_mbps: 10_000,
    }));
    // Forecasts fill the background of a cluster whose moves usually come with it.
    const records = moves.map((record, i) => ({
      ...record,
      background_mbps: i % 3 === 0 ? undefined : 1500 + i,
    }));
    const whole = trainingDataset({ records, linkSamples }, { seed: SEED });
    const background = frameColumns.findIndex(({ name }) => name === 'background_mbps');
    const filled = records.flatMap((record, i) =>
      record.background_mbps === undefined && whole.features[background]![i]! > 0 ? [i] : [],
    );
    expect(filled.length).toBeGreaterThan(20);
    for (const i of [filled[5]!, filled.at(-1)!]) {
      const atMs = startMs(records[i]!);
      const cut = trainingDataset(
        {
          records: records.filter((record) => startMs(record) <= atMs),
          linkSamples: linkSamples.filter(({ at }) => Date.parse(at) <= atMs),
        },
        { seed: SEED },
      );
      expect(rowOf(cut, i)).toEqual(rowOf(whole, i));
    }
  });

  it('ends with the model that train would register', () => {
    const records = moves.slice(0, 120);
    const { file } = trainModel({ records }, { name: 'default', seed: SEED, protocols: [] });
    expect(trainingDataset({ records }, { seed: SEED }).model.version).toBe(file.version);
  });

  it('has every move once, in order of start, with the weight that our own trees give it', () => {
    expect(dataset.records.map(({ id }) => id)).toEqual(moves.map(({ id }) => id));
    expect(dataset.rows).toBe(moves.length);
    const failed = moves.flatMap((record, i) => (record.status === 'failed' ? [dataset.weight[i]] : []));
    expect(new Set(failed)).toEqual(new Set([0]));
    expect(dataset.weight.reduce((sum, w) => sum + w, 0)).toBeGreaterThan(150);
    expect([...new Set(dataset.originMoves)].slice(0, 2)).toEqual([0, 100]);
  });

  it('begins with the features of our own trees, all with a unit and a meaning', () => {
    expect(frameColumns.slice(0, moveFeatures.length).map(({ name }) => name)).toEqual(
      moveFeatures.map(({ name }) => name),
    );
    expect(new Set(frameColumns.map(({ name }) => name)).size).toBe(frameColumns.length);
    for (const { name, unit, meaning } of frameColumns)
      expect([name, unit !== '' && meaning !== '']).toEqual([name, true]);
  });
});

const files = (format: DatasetFormat) =>
  datasetFiles(dataset, { format, seed: SEED, names: { frame: `f.${format}`, model: 'f.model.json' } });

describe('the files of a frame', () => {
  it('CSV: the header is that of the schema, missing is empty, numbers read back to the last bit', () => {
    const { frame, schema } = files('csv');
    const lines = new TextDecoder().decode(frame).trimEnd().split('\n');
    const cells = lines.map((line) => {
      const row = parseCsvRow(line, ',');
      return row.kind === 'fields' ? row.fields : [];
    });
    expect(cells[0]).toEqual(schema.columns.map(({ name }) => name));
    expect(cells.length).toBe(1 + moves.length);
    frameColumns.forEach(({ name }, j) => {
      const at = cells[0]!.indexOf(name);
      expect(cells.slice(1).map((row) => (row[at] === '' ? NaN : Number(row[at])))).toEqual([
        ...dataset.features[j]!,
      ]);
    });
    expect(dataset.features.some((column) => column.includes(NaN))).toBe(true);
    const sha256 = createHash('sha256').update(frame).digest('hex');
    expect([schema.data_sha256, schema.file.sha256]).toEqual([sha256, sha256]);
  });

  it('Parquet: the same values and the same hash of the table, missing is null', async () => {
    const { frame, schema } = files('parquet');
    expect(schema.data_sha256).toBe(files('csv').schema.data_sha256);
    const folder = mkdtempSync(join(tmpdir(), 'frame-'));
    try {
      const path = join(folder, 'f.parquet');
      writeFileSync(path, frame);
      const { columns, rows } = await openParquetTable(path);
      expect([...columns]).toEqual(schema.columns.map(({ name }) => name));
      let i = 0;
      for await (const row of rows()) {
        expect(frameColumns.map(({ name }) => (row[name] as number | undefined) ?? NaN)).toEqual(
          rowOf(dataset, i),
        );
        expect(row['started_at']).toBe(moves[i]!.started_at);
        i++;
      }
      expect(i).toBe(moves.length);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('the same data and seed give the same bytes, other data another hash', () => {
    const again = trainingDataset({ records: moves.toReversed(), instanceSamples: samples }, { seed: SEED });
    const names = { frame: 'f.csv', model: 'f.model.json' };
    const twice = datasetFiles(again, { format: 'csv', seed: SEED, names });
    expect(twice.schema).toEqual(files('csv').schema);
    const fewer = trainingDataset({ records: moves.slice(1) }, { seed: SEED });
    expect(datasetFiles(fewer, { format: 'csv', seed: SEED, names }).schema.data_sha256).not.toBe(
      twice.schema.data_sha256,
    );
  });

  it('a schema of another version, or something else, is refused with one sentence', () => {
    const { schema } = files('csv');
    expect(parseDatasetSchema(JSON.parse(JSON.stringify(schema)), 'f')).toEqual(schema);
    expect(() => parseDatasetSchema({ ...schema, schema_version: 2 }, 'f.schema.json')).toThrow(
      'f.schema.json: describes a frame of schema version 2, this program makes and serves version 1',
    );
    expect(() => parseDatasetSchema({ a: 1 }, 'f.schema.json')).toThrow('is not the schema');
  });
});
