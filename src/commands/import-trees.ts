import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import {
  columnsNeeded,
  errorRow,
  importTrees,
  type ErrorRow,
  type ImportedTrees,
} from '../../training/import-trees.js';
import { parseDatasetSchema } from '../../training/dataset-table.js';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { frameColumns } from '../predictor/frame-columns.js';
import { treeTargetNames, type TreeTarget } from '../predictor/imported-trees.js';
import { parseModelFile } from '../predictor/model-file.js';
import { openParquetTable } from '../store/parquet-table.js';
import type { Context } from './context.js';
import { readJsonFile } from './file-input.js';
import { startProgress } from './progress.js';
import { tableRows } from './table-input.js';

/** Options of `models import` that say what trees from elsewhere answer and what they were grown on. */
export interface TreeImportOptions {
  name?: string;
  as?: string;
  schema?: string;
  target?: TreeTarget;
  rows?: string;
  /** Epoch milliseconds: only rows that started at or after. */
  rowsFrom?: number;
  columns?: string;
  rounds?: number;
  quiet?: boolean;
}

const optionNames: Readonly<Record<Exclude<keyof TreeImportOptions, 'name' | 'as' | 'quiet'>, string>> = {
  schema: '--schema',
  target: '--target',
  rows: '--rows',
  rowsFrom: '--rows-from',
  columns: '--columns',
  rounds: '--rounds',
};

/** Refuses what means nothing for the folder of a model. @throws UserError `usage` */
export function refuseTreeOptions(options: TreeImportOptions, folder: string): void {
  for (const [key, flag] of Object.entries(optionNames))
    if (options[key as keyof TreeImportOptions] !== undefined)
      throw new UserError(
        'usage',
        `${flag} is for a file of trees, but ${folder} is a folder; leave it away`,
      );
}

/** A file of trees with the schema of its frame as a version that can be registered. */
export async function treesFromFile(
  path: string,
  options: TreeImportOptions,
  context: Context,
): Promise<ImportedTrees> {
  const { target, columns } = options;
  if (options.schema === undefined)
    throw new UserError(
      'usage',
      `${path}: which frame were these trees grown on? give --schema FRAME.schema.json, as movecast export-frame wrote it`,
    );
  if (target === undefined)
    throw new UserError(
      'usage',
      `${path}: what do its trees answer? give --target ${treeTargetNames.join(' | ')}`,
    );
  const schema = parseDatasetSchema(await readJsonFile(options.schema), options.schema);
  const modelPath = join(dirname(options.schema), schema.model.file);
  const base = parseModelFile(await readJsonFile(modelPath));
  if (base.version !== schema.model.version)
    throw new UserError(
      'input-invalid',
      `${modelPath}: is model ${base.version}, but the frame was made with ${schema.model.version}; keep the three files of an export together`,
    );
  const given = {
    name: options.name ?? basename(path, extname(path)),
    version: options.as,
    path,
    bytes: await bytesOf(path),
    schema,
    base,
    target,
    columns: columns?.split(',').map((name) => name.trim()),
    rounds: options.rounds,
  };
  if (options.rows === undefined) return importTrees(given);
  // Trees and columns are looked at before the rows, so that a damaged file is not hidden behind a long read.
  const { file } = importTrees(given);
  const needed = columnsNeeded(file.imported!.columns, target);
  const rows = await errorRows(options.rows, needed, options.rowsFrom ?? -Infinity, context, options.quiet);
  return importTrees({ ...given, rows });
}

async function bytesOf(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new UserError('input-unreadable', systemErrorSentence(error, path));
  }
}

/** Rows of a frame (CSV, JSONL or Parquet) from which the errors of the trees are learnt. */
async function errorRows(
  path: string,
  features: readonly string[],
  fromMs: number,
  context: Context,
  quiet: boolean | undefined,
): Promise<ErrorRow[]> {
  const needed = ['started_at', 'duration_seconds', ...features];
  const progress = startProgress(context, 'Reading rows', { quiet });
  const rows: ErrorRow[] = [];
  let read = 0;
  const add = (value: Record<string, unknown>, place: string): void => {
    const row = errorRow(value, place);
    if (row.startMs >= fromMs) rows.push(row);
    progress.update(++read);
  };
  if (path.toLowerCase().endsWith('.parquet')) {
    const table = await openParquetTable(path);
    const missing = needed.find((name) => !table.columns.has(name));
    if (missing !== undefined)
      throw new UserError('input-invalid', `${path}: lacks the column ${missing}, which these trees need`);
    let number = 0;
    for await (const value of table.rows()) add(value, `${path} row ${++number}`);
  } else {
    const numbers = [...frameColumns.map(({ name }) => name), 'duration_seconds'];
    for await (const row of tableRows(path, { numbers, needed }, context)) {
      if (!row.ok) throw new UserError('input-invalid', `${path} line ${row.line}: ${row.reason}`);
      add(row.value, `${path} line ${row.line}`);
    }
  }
  progress.finish();
  if (rows.length === 0)
    throw new UserError('input-invalid', `${path}: has no rows of the time asked for; give other ones`);
  return rows;
}
