import type { z } from 'zod';
import { moveRecordSchema } from '../../domain/move-record.js';
import type { LogSource } from './source.js';
import { USUAL_LINE_BYTES } from './source.js';
import { detectTable, TableParser, type ColumnType, type TableShape } from './table.js';

/** What a CSV of moves must have; an `id` is made where there is none. */
const REQUIRED = ['instance', 'source_node', 'target_node', 'operation', 'started_at', 'duration_seconds'];

const shape: TableShape = {
  kind: 'move',
  rowName: 'a move record',
  columns: columnTypes(moveRecordSchema.shape),
  missingColumn: (header) => REQUIRED.find((name) => !header.has(name)),
};

/** Move records as the contract has them: JSONL, or CSV with the same names. */
export const recordsSource: LogSource = {
  name: 'records',
  summary: 'move records, as JSONL or CSV',
  unit: 'line',
  version: 1,
  longestLineBytes: USUAL_LINE_BYTES,
  strictUtf8: true,
  standsAlone: true,
  detect: (head) => detectTable(head, [REQUIRED], new Set(shape.columns.keys())),
  ownsFile: isTableFile,
  parser: (_context, state) => new TableParser(shape, state),
};

/** Tables in a folder are known by their endings. */
export function isTableFile(fileName: string): boolean {
  return /\.(csv|tsv|jsonl|ndjson)(\.gz)?$/i.test(fileName);
}

/** The type of each column, as the schema has it. */
export function columnTypes(fields: Readonly<Record<string, z.ZodType>>): Map<string, ColumnType> {
  const types = new Map<string, ColumnType>();
  for (const [name, schema] of Object.entries(fields)) {
    let type: string = schema.def.type;
    if (type === 'optional') type = (schema as z.ZodOptional<z.ZodType>).unwrap().def.type;
    types.set(
      name,
      type === 'number' ? 'number' : type === 'array' ? 'list' : type === 'record' ? 'object' : 'text',
    );
  }
  return types;
}
