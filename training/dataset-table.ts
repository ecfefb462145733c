import { createHash } from 'node:crypto';
import { z } from 'zod';
import { UserError } from '../src/domain/errors.js';
import { firstIssue } from '../src/domain/fields.js';
import { isCompleted, type MoveRecord } from '../src/domain/move-record.js';
import { FRAME_SCHEMA, frameColumns } from '../src/predictor/frame-columns.js';
import { csvField } from '../src/store/csv-table.js';
import { parquetOfColumns, type ParquetColumn } from '../src/store/parquet-table.js';
import type { Dataset } from './dataset.js';

/** What a column is for: to name the move, to learn from, or known only after the move. */
const roles = ['key', 'feature', 'outcome'] as const;
type Role = (typeof roles)[number];

interface TableColumn {
  name: string;
  role: Role;
  type: 'string' | 'time' | 'number';
  unit: string;
  meaning: string;
  /** NaN and undefined are missing. */
  values: (dataset: Dataset) => readonly (string | number | undefined)[] | Float64Array;
}

const ofRecord =
  (of: (record: MoveRecord) => string | number | undefined) =>
  ({ records }: Dataset): (string | number | undefined)[] =>
    records.map(of);

const keyColumns: readonly TableColumn[] = [
  text('id', 'the move', (record) => record.id),
  text('cluster', '', (record) => record.cluster ?? 'default'),
  text('instance', 'the virtual machine', (record) => record.instance),
  text('source_node', '', (record) => record.source_node),
  text('target_node', '', (record) => record.target_node),
  text('operation', 'live_migration, failover or disk_replication', (record) => record.operation),
  {
    name: 'started_at',
    role: 'key',
    type: 'time',
    unit: 'UTC',
    meaning: 'rows are in its order; split by it, never at random',
    values: ofRecord((record) => record.started_at),
  },
  {
    name: 'origin',
    role: 'key',
    type: 'time',
    unit: 'UTC',
    meaning: 'when the model that computed the features was fitted',
    values: ({ origin }) => origin,
  },
  {
    name: 'origin_moves',
    role: 'key',
    type: 'number',
    unit: 'count',
    meaning: 'finished moves that it was fitted to; below 100: constants are priors',
    values: ({ originMoves }) => Array.from(originMoves),
  },
];

function text(name: string, meaning: string, of: (record: MoveRecord) => string): TableColumn {
  return { name, role: 'key', type: 'string', unit: '', meaning, values: ofRecord(of) };
}

const featureColumns: readonly TableColumn[] = frameColumns.map(({ name, unit, meaning }, j) => ({
  name,
  role: 'feature',
  type: 'number',
  unit,
  meaning,
  values: ({ features }) => features[j]!,
}));

const outcomeColumns: readonly TableColumn[] = [
  {
    name: 'duration_seconds',
    role: 'outcome',
    type: 'number',
    unit: 's',
    meaning: 'until it finished; broken off: until then',
    values: ofRecord((record) => record.duration_seconds),
  },
  {
    name: 'status',
    role: 'outcome',
    type: 'string',
    unit: '',
    meaning: 'completed, failed or cancelled',
    values: ofRecord((record) => record.status ?? 'completed'),
  },
  {
    name: 'censored',
    role: 'outcome',
    type: 'number',
    unit: '0 or 1',
    meaning: '1: broken off, so that its duration is a lower bound',
    values: ofRecord((record) => (isCompleted(record) ? 0 : 1)),
  },
  {
    name: 'residual_log',
    role: 'outcome',
    type: 'number',
    unit: 'log ratio',
    meaning: 'log(duration_seconds) - log_physics_seconds: what our own trees are grown on',
    values: ({ residual }) => residual,
  },
  {
    name: 'weight',
    role: 'outcome',
    type: 'number',
    unit: '0 or 1',
    meaning: '1: our own trees learn from it; 0: broken off, or its place in a queue hides what it took',
    values: ({ weight }) => weight,
  },
];

const tableColumns: readonly TableColumn[] = [...keyColumns, ...featureColumns, ...outcomeColumns];

const HOW_MADE = [
  'Rows in order of start. A feature is what the model would have been told at started_at, and nothing later:',
  'the model of the row was fitted to the moves that had finished at origin, and had learnt one by one those that',
  'finished between origin and started_at. A new origin comes at 100 finished moves and whenever there is a tenth',
  'more. Inputs that a record leaves out are filled from what history last said of the instance or the link, and from',
  'forecasts where samples of them had come by then.',
  'Missing is empty in CSV and null in Parquet. The model file beside this one was fitted to all of the moves:',
  'it computes the same features for moves to come, and goes into the service with trees that are imported.',
].join(' ');

/** What stands beside a frame: its columns, its hash, how it was made. */
export const datasetSchema = z.object({
  schema_version: z.literal(FRAME_SCHEMA),
  file: z.object({ name: z.string(), format: z.enum(['csv', 'parquet']), sha256: z.string() }),
  /** Of the table as CSV and as Parquet, whichever of them was written: one schema goes with both. */
  data_sha256: z.string(),
  parquet_sha256: z.string().optional(),
  rows: z.int().nonnegative(),
  /** First and last start. */
  from: z.string().optional(),
  to: z.string().optional(),
  records_hash: z.string(),
  seed: z.int(),
  model: z.object({ file: z.string(), version: z.string() }),
  how_made: z.string(),
  columns: z.array(
    z.object({
      name: z.string(),
      role: z.enum(roles),
      type: z.enum(['string', 'time', 'number']),
      unit: z.string(),
      meaning: z.string(),
    }),
  ),
});
export type DatasetSchema = z.infer<typeof datasetSchema>;

/** The parsed JSON of a schema file. @throws UserError `input-invalid` in a sentence that begins with `path`. */
export function parseDatasetSchema(value: unknown, path: string): DatasetSchema {
  const version = (value as { schema_version?: unknown } | null)?.schema_version;
  if (typeof version === 'number' && version !== FRAME_SCHEMA)
    throw new UserError(
      'input-invalid',
      `${path}: describes a frame of schema version ${version}, this program makes and serves version ${FRAME_SCHEMA}; export the frame again and train on it`,
    );
  const parsed = datasetSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { field, message } = firstIssue(parsed.error);
  throw new UserError(
    'input-invalid',
    `${path}: is not the schema that movecast export-frame writes beside a frame: ${field} ${message}`,
  );
}

export type DatasetFormat = DatasetSchema['file']['format'];

/** A frame as the bytes of its files. */
export interface DatasetFiles {
  frame: Uint8Array;
  schema: DatasetSchema;
}

/** The table and what describes it. `names` are those of the files, without folders. */
export function datasetFiles(
  dataset: Dataset,
  { format, names, seed }: { format: DatasetFormat; names: { frame: string; model: string }; seed: number },
): DatasetFiles {
  const csv = new TextEncoder().encode(datasetCsv(dataset));
  const parquet = datasetParquet(dataset);
  const frame = format === 'csv' ? csv : parquet;
  const { records, model } = dataset;
  const first = records[0];
  const last = records.at(-1);
  const schema: DatasetSchema = {
    schema_version: FRAME_SCHEMA,
    file: { name: names.frame, format, sha256: sha256(frame) },
    data_sha256: sha256(csv),
    parquet_sha256: sha256(parquet),
    rows: dataset.rows,
    ...(first === undefined || last === undefined ? {} : { from: first.started_at, to: last.started_at }),
    records_hash: model.trained_on.data_hash,
    seed,
    model: { file: names.model, version: model.version },
    how_made: HOW_MADE,
    columns: tableColumns.map(({ name, role, type, unit, meaning }) => ({ name, role, type, unit, meaning })),
  };
  return { frame, schema };
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** CSV (RFC 4180) with a header; numbers as the shortest text that reads back as the same double, missing is empty. */
export function datasetCsv(dataset: Dataset): string {
  const columns = tableColumns.map(({ values }) => values(dataset));
  const lines = [tableColumns.map(({ name }) => name).join(',')];
  for (let i = 0; i < dataset.rows; i++)
    lines.push(
      columns
        .map((column) => {
          const value = column[i];
          return Number.isNaN(value) ? '' : csvField(value);
        })
        .join(','),
    );
  return `${lines.join('\n')}\n`;
}

/** Parquet: numbers as doubles, times as timestamps, missing is null. */
export function datasetParquet(dataset: Dataset): Uint8Array {
  const columns = tableColumns.map(({ name, type, values }): ParquetColumn => {
    const data = values(dataset);
    if (type === 'time')
      return { name, type: 'TIMESTAMP', data: Array.from(data, (value) => new Date(value as string)) };
    return { name, type: type === 'number' ? 'DOUBLE' : 'STRING', data };
  });
  return parquetOfColumns(columns);
}
