import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { fileWriter, parquetWriteBuffer, parquetWriteRows, type BasicType } from 'hyparquet-writer';
import { UserError, systemErrorSentence } from '../domain/errors.js';
import { tableColumns, type TableItems, type TableKind } from './csv-table.js';

/** Rows a group: what is held in memory at once, on both sides; larger groups pack a little better. */
const ROWS_PER_GROUP = 20_000;

const TIMES = new Set(['started_at', 'at']);
const JSON_COLUMNS = new Set(['capabilities', 'labels']);
const TEXTS = new Set([
  'id',
  'origin',
  'cluster',
  'instance',
  'source_node',
  'target_node',
  'operation',
  'status',
  'link',
]);

function columnType(name: string): BasicType {
  if (TIMES.has(name)) return 'TIMESTAMP';
  if (JSON_COLUMNS.has(name)) return 'JSON';
  return TEXTS.has(name) ? 'STRING' : 'DOUBLE';
}

/**
 * Writes a Parquet file with the contract's columns: times as timestamps in milliseconds, amounts as doubles, lists and
 * labels as JSON. Holds one group of rows in memory. Gives the number of rows.
 */
export async function writeParquetTable<K extends TableKind>(
  path: string,
  kind: K,
  items: AsyncIterable<TableItems[K]>,
  onProgress: (rows: number) => void = () => undefined,
): Promise<number> {
  const names = tableColumns[kind];
  let rows = 0;
  async function* rowsOf(): AsyncGenerator<Record<string, unknown>> {
    for await (const item of items) {
      const row: Record<string, unknown> = {};
      for (const name of names) {
        const value: unknown = item[name];
        row[name] = TIMES.has(name) ? new Date(value as string) : value;
      }
      yield row;
      rows += 1;
      onProgress(rows);
    }
  }
  await parquetWriteRows({
    writer: fileWriter(path),
    rows: rowsOf(),
    columns: names.map((name) => ({ name, type: columnType(name) })),
    rowGroupSize: ROWS_PER_GROUP,
    createdBy: 'movecast',
  });
  return rows;
}

/** A column of a table that is in memory as a whole; NaN and undefined are missing. */
export interface ParquetColumn {
  name: string;
  type: BasicType;
  data: readonly unknown[] | Float64Array;
}

/** The bytes of a Parquet file of whole columns of equal length; missing is null. */
export function parquetOfColumns(columns: readonly ParquetColumn[]): Uint8Array {
  const columnData = columns.map(({ name, type, data }) => ({
    name,
    type,
    nullable: true,
    data: Array.from(data as readonly unknown[], (value) =>
      value === undefined || Number.isNaN(value) ? null : value,
    ),
  }));
  return new Uint8Array(
    parquetWriteBuffer({ columnData, rowGroupSize: ROWS_PER_GROUP, createdBy: 'movecast' }),
  );
}

/** The names of a Parquet file's columns, and its rows as plain objects: times as text, whole numbers as numbers. */
export interface ParquetTable {
  columns: ReadonlySet<string>;
  rows: () => AsyncGenerator<Record<string, unknown>>;
}

/** Opens a Parquet file. @throws UserError `input-unreadable` */
export async function openParquetTable(path: string): Promise<ParquetTable> {
  try {
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    async function* rows(): AsyncGenerator<Record<string, unknown>> {
      const total = Number(metadata.num_rows);
      for (let rowStart = 0; rowStart < total; rowStart += ROWS_PER_GROUP) {
        const rowEnd = Math.min(total, rowStart + ROWS_PER_GROUP);
        let group: Record<string, unknown>[];
        try {
          group = await parquetReadObjects({ file, metadata, rowStart, rowEnd });
        } catch (error) {
          throw unreadable(error, path);
        }
        for (const row of group) yield plain(row);
      }
    }
    return { columns: new Set(metadata.schema.slice(1).map((element) => element.name)), rows };
  } catch (error) {
    throw unreadable(error, path);
  }
}

function plain(row: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(row)) {
    if (value === null || value === undefined) continue;
    if (value instanceof Date) result[name] = value.toISOString();
    else if (typeof value === 'bigint') result[name] = Number(value);
    else if (JSON_COLUMNS.has(name) && typeof value === 'string') result[name] = parsed(value);
    else result[name] = value;
  }
  return result;
}

/** Other writers keep JSON as text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function unreadable(error: unknown, path: string): UserError {
  if (error instanceof UserError) return error;
  const { syscall } = error as NodeJS.ErrnoException;
  return new UserError(
    'input-unreadable',
    syscall === undefined
      ? `${path}: is not a Parquet file that can be read (${error instanceof Error ? error.message : String(error)})`
      : `${systemErrorSentence(error, path)}; give a file that can be read`,
  );
}
