import { LineReader } from '../collector/line-reader.js';
import { moveIdFor } from '../collector/move-id.js';
import { columnTypes, recordsSource } from '../collector/sources/records.js';
import { instanceSamplesSource, linkSamplesSource } from '../collector/sources/samples.js';
import { USUAL_LINE_BYTES, type Finding, type LogParser } from '../collector/sources/source.js';
import { TableParser } from '../collector/sources/table.js';
import { DamagedTextError, openText } from '../collector/text-input.js';
import { UserError } from '../domain/errors.js';
import { parseMoveRecord, type MoveRecord, type Parsed } from '../domain/move-record.js';
import { moveRequestSchema, progressColumns } from '../domain/move-request.js';
import {
  parseInstanceSample,
  parseLinkSample,
  type InstanceSample,
  type LinkSample,
} from '../domain/samples.js';
import type { Context } from './context.js';
import { NewestSamples } from './newest-samples.js';

/** Rows of a JSONL or CSV file, as they stand there, or why a line is none; `-` is standard input. */
export type Row =
  | { ok: true; value: Record<string, unknown>; line: number }
  | { ok: false; reason: string; line: number; text: string };

type ParserOf = () => LogParser;

async function* rows(path: string, parserOf: ParserOf, context: Context): AsyncGenerator<Row> {
  const input = await openText(path, context.stdin as AsyncIterable<Buffer | string>);
  const reader = new LineReader({ longestLineBytes: USUAL_LINE_BYTES, strictUtf8: true });
  const parser = parserOf();
  function* block({ lines, firstNumber, faults }: ReturnType<LineReader['push']>): Generator<Row> {
    for (let i = 0; i < lines.length; i++) {
      const fault = faults?.get(i);
      if (fault !== undefined) yield { ok: false, line: firstNumber + i, ...fault };
      else for (const finding of parser.line(lines[i]!, firstNumber + i)) yield rowOf(finding, path);
    }
  }
  try {
    for await (const chunk of input.chunks()) yield* block(reader.push(chunk));
    yield* block(reader.end());
    for (const finding of parser.end()) yield rowOf(finding, path);
  } catch (error) {
    if (!(error instanceof DamagedTextError)) throw error;
    yield { ok: false, line: reader.nextNumber, reason: error.message, text: '' };
  } finally {
    await input.close();
  }
}

function rowOf(finding: Finding, path: string): Row {
  if (finding.kind === 'unreadable') throw new UserError('input-invalid', `${path}: ${finding.reason}`);
  if (finding.kind === 'reject')
    return { ok: false, line: finding.line, reason: finding.reason, text: finding.text };
  return { ok: true, value: finding.value, line: finding.line };
}

const requestColumns = columnTypes(moveRequestSchema.shape);
requestColumns.set('started_at', 'text');
requestColumns.set('progress', 'object');
for (const column of progressColumns) requestColumns.set(column, 'number');

/** Move requests of a JSONL or CSV file, still unchecked: a bad one is answered in its place, not left out. */
export const requestRows = (path: string, context: Context): AsyncGenerator<Row> =>
  rows(
    path,
    () =>
      new TableParser({
        kind: 'move',
        rowName: 'a move request',
        columns: requestColumns,
        missingColumn: (header) =>
          ['instance', 'source_node', 'target_node'].find((name) => !header.has(name)),
      }),
    context,
  );

/** Rows of a CSV or JSONL table that must have the columns `needed`; `numbers` are those that hold numbers. */
export const tableRows = (
  path: string,
  { numbers, needed }: { numbers: readonly string[]; needed: readonly string[] },
  context: Context,
): AsyncGenerator<Row> =>
  rows(
    path,
    () =>
      new TableParser({
        kind: 'move',
        rowName: 'a training frame',
        columns: new Map(numbers.map((name) => [name, 'number' as const])),
        missingColumn: (header) => needed.find((name) => !header.has(name)),
      }),
    context,
  );

/** What a file held that was no record: how many lines, and the first of them as a sentence. */
export interface Rejected {
  count: number;
  first: string | undefined;
}

async function readAll<T>(
  paths: readonly string[],
  parserOf: ParserOf,
  parse: (value: Record<string, unknown>) => Parsed<T>,
  context: Context,
  rejected: Rejected,
  keep: (value: T) => void,
): Promise<void> {
  for (const path of paths) {
    for await (const row of rows(path, parserOf, context)) {
      const parsed = row.ok ? parse(row.value) : { ok: false as const, reason: row.reason };
      if (parsed.ok) keep(parsed.value);
      else {
        rejected.count++;
        rejected.first ??= `${path} line ${row.line}: ${parsed.reason}`;
      }
    }
  }
}

const sourceContext = { fileName: '', nowMs: 0 };

/** All move records of files; lines that are none are counted in `rejected`. */
export async function readRecords(
  paths: readonly string[],
  context: Context,
  rejected: Rejected,
): Promise<MoveRecord[]> {
  const records: MoveRecord[] = [];
  await readAll(
    paths,
    () => recordsSource.parser(sourceContext),
    (value) => {
      if ((value['id'] ?? '') === '') value['id'] = moveIdFor(value);
      return parseMoveRecord(value);
    },
    context,
    rejected,
    (record) => records.push(record),
  );
  return records;
}

/** In order of time; the newest where `into` keeps no more. */
export async function readLinkSamples(
  paths: readonly string[],
  context: Context,
  rejected: Rejected,
  into = new NewestSamples<LinkSample>(Infinity),
): Promise<LinkSample[]> {
  const parser = (): LogParser => linkSamplesSource.parser(sourceContext);
  await readAll(paths, parser, parseLinkSample, context, rejected, (sample) => into.add(sample));
  return into.values();
}

/** In order of time; the newest where `into` keeps no more. */
export async function readInstanceSamples(
  paths: readonly string[],
  context: Context,
  rejected: Rejected,
  into = new NewestSamples<InstanceSample>(Infinity),
): Promise<InstanceSample[]> {
  const parser = (): LogParser => instanceSamplesSource.parser(sourceContext);
  await readAll(paths, parser, parseInstanceSample, context, rejected, (sample) => into.add(sample));
  return into.values();
}

/** Says on standard error what was left out. */
export function remarkRejected(rejected: Rejected, context: Context, quiet: boolean | undefined): void {
  if (rejected.count > 0 && quiet !== true)
    context.stderr.write(
      `movecast: left out ${rejected.count} ${rejected.count === 1 ? 'line' : 'lines'} that ${rejected.count === 1 ? 'is' : 'are'} no record; the first: ${rejected.first}\n`,
    );
}
