import { Command, Option } from 'commander';
import { findInputs } from '../collector/input-files.js';
import { LineReader } from '../collector/line-reader.js';
import { Collection } from '../collector/pipeline.js';
import { RejectsFile } from '../collector/rejects.js';
import { storeSink } from '../collector/sinks.js';
import { recordsSource } from '../collector/sources/records.js';
import { instanceSamplesSource, linkSamplesSource } from '../collector/sources/samples.js';
import type { LogSource } from '../collector/sources/source.js';
import { DamagedTextError, openText } from '../collector/text-input.js';
import { UserError } from '../domain/errors.js';
import { MS_PER_DAY, toIsoTime } from '../domain/units.js';
import { csvHeader, csvRow, tableColumns, type TableItems, type TableKind } from '../store/csv-table.js';
import { openStore, sqlitePath } from '../store/open-store.js';
import { openParquetTable, writeParquetTable } from '../store/parquet-table.js';
import type { SampleFilter, Store } from '../store/store.js';
import { refuseUnknownCommands, withCommonOptions, type CommonOptions, type Context } from './context.js';
import { time } from './option-values.js';
import { refuseInputAsOutput, STANDARD_STREAM, writeWhole, writeAll, writtenWhole } from './output-file.js';
import { startProgress } from './progress.js';

const kinds = Object.keys(tableColumns) as TableKind[];
const formats = ['jsonl', 'csv', 'parquet'] as const;
type Format = (typeof formats)[number];

/** So many reasons for rejected rows are named on standard error. */
const NAMED_REASONS = 5;
/** Rows written at once. */
const ROWS_PER_WRITE = 500;

interface ExportOptions extends CommonOptions {
  what: TableKind;
  format?: Format;
  from?: number;
  to?: number;
  out: string;
}
interface ImportOptions extends CommonOptions {
  what?: TableKind;
  rejects?: string;
}
interface RetentionOptions extends CommonOptions {
  moves?: string;
  samples?: string;
  coarseSamples?: string;
}
interface PruneOptions extends CommonOptions {
  before?: number;
  olderThan?: string;
}

/** `store`: what is in the store; export, import, prune. */
export function storeCommand(context: Context): Command {
  const command = withCommonOptions(refuseUnknownCommands(new Command('store')), context, {
    store: true,
    examples: [
      'movecast store',
      'movecast store export --out moves.csv',
      'movecast store import moves.csv --store sqlite:copy.db',
      'movecast store prune --older-than 400d',
    ],
  });
  const add = (name: string, summary: string, examples: readonly string[]): Command =>
    withCommonOptions(command.command(name, { isDefault: name === 'info' }).summary(summary), context, {
      store: true,
      examples,
    });

  add('info', 'where the store is and what it holds', ['movecast store info --json']).action(
    async (_own: unknown, self: Command) => info(context, self.optsWithGlobals<CommonOptions>()),
  );

  add('export', 'writes what is in the store as JSONL, CSV or Parquet', [
    'movecast store export > moves.jsonl',
    'movecast store export --what link-samples --from 2026-01-01 --out links.csv',
    'movecast store export --out moves.parquet',
  ])
    .addOption(new Option('--what <kind>', 'which data').choices(kinds).default('moves'))
    .addOption(new Option('--format <format>', "default: by the file's ending, else jsonl").choices(formats))
    .option('--from <time>', 'only what started, or was measured, at this time or later', time)
    .option('--to <time>', 'only what started, or was measured, before this time', time)
    .option('--out <file>', 'the file to write', STANDARD_STREAM)
    .action(async (_own: unknown, self: Command) =>
      exportTable(context, self.optsWithGlobals<ExportOptions>()),
    );

  add('import', 'reads JSONL, CSV or Parquet files that an export (or another program) wrote', [
    'movecast store import moves.jsonl links.csv.gz',
  ])
    .argument('<file...>', 'files, packed with gzip or not; - reads standard input')
    .addOption(
      new Option('--what <kind>', 'what the files hold; default: seen by their columns').choices(kinds),
    )
    .option('--rejects <file>', 'append rows that cannot be read to this file')
    .action(async (files: string[], _own: unknown, self: Command) =>
      importFiles(context, files, self.optsWithGlobals<ImportOptions>()),
    );

  add('retention', 'shows or sets how long what is kept; store prune applies it', [
    'movecast store retention',
    'movecast store retention --samples 30d --coarse-samples 400d --moves forever',
  ])
    .option('--moves <days>', 'moves and the predictions kept for them, such as 800d, or forever')
    .option('--samples <days>', 'samples as they were measured; after that only means over ten minutes')
    .option('--coarse-samples <days>', 'those means; 0d: none')
    .action(async (_own: unknown, self: Command) =>
      retention(context, self.optsWithGlobals<RetentionOptions>()),
    );

  add('prune', 'removes what is older than a time, or than the retention says', [
    'movecast store prune',
    'movecast store prune --older-than 400d',
    'movecast store prune --before 2026-01-01',
  ])
    .option('--before <time>', 'moves, samples and kept predictions before this time', time)
    .option('--older-than <days>', 'what is older than so many days, such as 400d')
    .action(async (_own: unknown, self: Command) => prune(context, self.optsWithGlobals<PruneOptions>()));
  return command;
}

async function info(context: Context, options: CommonOptions): Promise<void> {
  const found = await withStore(options.store, (store) => store.info());
  if (options.json === true) {
    context.stdout.write(`${JSON.stringify(found)}\n`);
    return;
  }
  const range =
    found.first_started_at === undefined
      ? ''
      : `, started ${found.first_started_at} to ${found.last_started_at}`;
  const lines = [
    ['store', `${found.url} (format ${found.format})`],
    ['moves', `${found.moves}${range}`],
    ['link samples', String(found.link_samples)],
    ['instance samples', String(found.instance_samples)],
    ['kept predictions', String(found.kept_predictions)],
  ];
  for (const [name, value] of lines) context.stdout.write(`${name!.padEnd(18)}${value}\n`);
}

async function exportTable(context: Context, options: ExportOptions): Promise<void> {
  const { what, out } = options;
  const format = options.format ?? formatOf(out);
  if (format === 'parquet' && out === STANDARD_STREAM)
    throw new UserError('usage', 'Parquet cannot be written to standard output; name a file with --out');
  await refuseInputAsOutput('--out', out, filesOfStore(options.store));
  const range: SampleFilter = {};
  if (options.from !== undefined) range.fromMs = options.from;
  if (options.to !== undefined) range.toMs = options.to;
  const progress = startProgress(context, 'Exporting', { quiet: options.quiet });
  let rows = 0;
  try {
    rows = await withStore(options.store, async (store) => {
      const items = itemsOf(store, what, range);
      const onProgress = (done: number): void => progress.update(done);
      if (format === 'parquet')
        return writtenWhole(out, (place) => writeParquetTable(place, what, items, onProgress));
      const table = new TableText(format, what, items, onProgress);
      if (out === STANDARD_STREAM) for await (const text of table) await writeAll(context.stdout, text);
      else await writeWhole(out, table);
      return table.rows;
    });
  } finally {
    progress.finish();
  }
  if (out !== STANDARD_STREAM && options.json === true)
    context.stdout.write(`${JSON.stringify({ file: out, rows })}\n`);
  else if (out !== STANDARD_STREAM) context.stdout.write(`wrote ${rows} ${what} to ${out}\n`);
}

/** What a SQLite store consists of on the disk; none of it may be written over. */
function filesOfStore(url: string): string[] {
  if (!url.startsWith('sqlite:')) return [];
  const path = sqlitePath(url);
  return [path, `${path}-wal`, `${path}-shm`];
}

/** The format by the file's ending. */
function formatOf(path: string): Format {
  if (/\.parquet$/i.test(path)) return 'parquet';
  return /\.csv$/i.test(path) ? 'csv' : 'jsonl';
}

function itemsOf<K extends TableKind>(
  store: Store,
  what: K,
  range: SampleFilter,
): AsyncIterable<TableItems[K]> {
  const items: { [kind in TableKind]: () => AsyncIterable<TableItems[kind]> } = {
    moves: () => store.moves(range),
    'link-samples': () => store.linkSamples(range),
    'instance-samples': () => store.instanceSamples(range),
  };
  return items[what]();
}

/** A table as text, in pieces of many rows. */
class TableText<K extends TableKind> {
  rows = 0;

  constructor(
    private readonly format: Exclude<Format, 'parquet'>,
    private readonly what: K,
    private readonly items: AsyncIterable<TableItems[K]>,
    private readonly onProgress: (rows: number) => void,
  ) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    const { format, what } = this;
    let text = format === 'csv' ? `${csvHeader(what)}\n` : '';
    for await (const item of this.items) {
      text += `${format === 'csv' ? csvRow(what, item) : JSON.stringify(item)}\n`;
      this.rows += 1;
      if (this.rows % ROWS_PER_WRITE !== 0) continue;
      yield text;
      text = '';
      this.onProgress(this.rows);
    }
    yield text;
  }
}

const sources: { readonly [K in TableKind]: LogSource } = {
  moves: recordsSource,
  'link-samples': linkSamplesSource,
  'instance-samples': instanceSamplesSource,
};

async function importFiles(
  context: Context,
  paths: readonly string[],
  options: ImportOptions,
): Promise<void> {
  const { files } = await findInputs(
    paths,
    (name) => recordsSource.ownsFile?.(name) === true || formatOf(name) === 'parquet',
  );
  if (files.length === 0)
    throw new UserError(
      'input-unreadable',
      `no table in ${paths.join(', ')}; name files of JSONL, CSV or Parquet`,
    );
  await refuseInputAsOutput('--rejects', options.rejects, [
    ...files.map(({ path }) => path),
    ...filesOfStore(options.store),
  ]);
  const rejects = new RejectsFile(options.rejects);
  const progress = startProgress(context, 'Importing', { quiet: options.quiet });
  const collection = await withStore(
    options.store,
    async (store) => {
      const running = new Collection({ sink: storeSink(store), rejects });
      try {
        for (const { path } of files) {
          const onProgress = (): void => progress.update(running.counts.read);
          if (formatOf(path) === 'parquet') await importParquet(path, options.what, running, onProgress);
          else await importTable(context, path, options.what, running, onProgress);
        }
      } finally {
        progress.finish();
        await rejects.close();
      }
      return running;
    },
    { mayMake: true },
  );
  const { counts } = collection;
  if (counts.rejected > 0 && options.quiet !== true) {
    const named = collection
      .reasons()
      .slice(0, NAMED_REASONS)
      .map(({ reason, count }) => `${reason} (${count})`);
    const where =
      rejects.path === undefined ? '--rejects FILE keeps the rows' : `the rows are in ${rejects.path}`;
    context.stderr.write(`movecast: ${counts.rejected} rejected: ${named.join('; ')}; ${where}\n`);
  }
  context.stdout.write(
    options.json === true
      ? `${JSON.stringify(counts)}\n`
      : `read ${counts.read}: ${counts.new} new, ${counts.known} known, ${counts.rejected} rejected\n`,
  );
  if (counts.rejected > 0 && counts.rejected === counts.read)
    throw new UserError(
      'input-invalid',
      `none of ${counts.read} ${counts.read === 1 ? 'row' : 'rows'} in ${paths.join(', ')} could be used`,
    );
}

/** Reads one table into the store; on return all of it is safe. */
async function importTable(
  context: Context,
  path: string,
  what: TableKind | undefined,
  collection: Collection,
  onProgress: () => void,
): Promise<void> {
  const input = await openText(path, context.stdin as AsyncIterable<Buffer | string>);
  try {
    const source = sourceOf(input.head, path, what);
    const reader = new LineReader(source);
    const parser = source.parser({ fileName: path, nowMs: context.now() });
    const origin = { file: path };
    try {
      for await (const chunk of input.chunks()) {
        collection.takeLines(reader.push(chunk), parser, origin);
        if (collection.isFull) await collection.flush();
        onProgress();
      }
    } catch (error) {
      if (!(error instanceof DamagedTextError)) throw error;
      const line = reader.nextNumber;
      collection.take({ kind: 'reject', line, reason: error.message, text: '' }, origin);
    }
    collection.takeLines(reader.end(), parser, origin);
    for (const finding of parser.end()) collection.take(finding, origin);
    await collection.flush();
  } finally {
    await input.close();
  }
}

/** Reads one Parquet file into the store; on return all of it is safe. */
async function importParquet(
  path: string,
  what: TableKind | undefined,
  collection: Collection,
  onProgress: () => void,
): Promise<void> {
  const { columns, rows } = await openParquetTable(path);
  const kind =
    what ?? kinds.find((candidate) => REQUIRED_COLUMNS[candidate].every((name) => columns.has(name)));
  if (kind === undefined) throw noTable(path);
  const origin = { file: path };
  let line = 0;
  for await (const value of rows()) {
    line += 1;
    collection.take({ kind: FINDING_KINDS[kind], value, line }, origin);
    if (collection.isFull) await collection.flush();
    onProgress();
  }
  await collection.flush();
}

/** What tells the tables apart, in the order in which they are tried. */
const REQUIRED_COLUMNS: { readonly [K in TableKind]: readonly string[] } = {
  moves: ['instance', 'source_node', 'target_node', 'operation', 'started_at', 'duration_seconds'],
  'link-samples': ['at', 'link', 'throughput_mbps'],
  'instance-samples': ['at', 'instance'],
};
const FINDING_KINDS = {
  moves: 'move',
  'link-samples': 'link-sample',
  'instance-samples': 'instance-sample',
} as const;

const noTable = (path: string): UserError =>
  new UserError(
    'input-invalid',
    `${path}: is no table of ${kinds.join(', ')}; say with --what which one it is meant to be`,
  );

/** Which table a file is: what was asked for, else what its columns look like. */
function sourceOf(head: string, path: string, what: TableKind | undefined): LogSource {
  if (what !== undefined) return sources[what];
  let best: LogSource | undefined;
  for (const source of Object.values(sources)) {
    if (source.detect(head, path) > (best?.detect(head, path) ?? 0)) best = source;
  }
  if (best === undefined) throw noTable(path);
  return best;
}

async function retention(context: Context, options: RetentionOptions): Promise<void> {
  const kept = await withStore(options.store, async (store) => {
    const settings = { ...(await store.retention()) };
    const given = [
      ['moves_days', options.moves, '--moves'],
      ['samples_days', options.samples, '--samples'],
      ['coarse_samples_days', options.coarseSamples, '--coarse-samples'],
    ] as const;
    let changed = false;
    for (const [name, text, option] of given) {
      if (text === undefined) continue;
      changed = true;
      if (text === FOREVER) delete settings[name];
      else settings[name] = optionDays(text, option);
    }
    if (changed) await store.setRetention(settings);
    return settings;
  });
  if (options.json === true) {
    context.stdout.write(`${JSON.stringify(kept)}\n`);
    return;
  }
  const days = (count: number | undefined): string => (count === undefined ? FOREVER : `${count}d`);
  context.stdout.write(`moves             ${days(kept.moves_days)}\n`);
  context.stdout.write(`samples           ${days(kept.samples_days)}\n`);
  context.stdout.write(`coarse samples    ${days(kept.coarse_samples_days)}\n`);
}

async function prune(context: Context, options: PruneOptions): Promise<void> {
  const beforeMs = pruneTime(context, options);
  const counts = await withStore(options.store, async (store) => {
    if (beforeMs !== undefined) return store.prune(beforeMs);
    if (Object.keys(await store.retention()).length === 0)
      throw new UserError(
        'usage',
        'store prune needs --before TIME, --older-than DAYS, or a retention set with movecast store retention',
      );
    return store.applyRetention(context.now());
  });
  if (options.json === true) {
    const before = beforeMs === undefined ? {} : { before: toIsoTime(beforeMs) };
    context.stdout.write(`${JSON.stringify({ ...before, ...counts })}\n`);
    return;
  }
  const what =
    beforeMs === undefined ? 'what the retention does not keep' : `what was before ${toIsoTime(beforeMs)}`;
  const text = Object.entries(counts)
    .map(([name, count]) => `${count} ${name.replaceAll('_', ' ')}`)
    .join(', ');
  context.stdout.write(`removed ${what}: ${text}\n`);
}

/** Undefined: neither was given. */
function pruneTime(context: Context, { before, olderThan }: PruneOptions): number | undefined {
  if (before !== undefined && olderThan !== undefined)
    throw new UserError('usage', 'store prune takes either --before TIME or --older-than DAYS, not both');
  if (olderThan === undefined) return before;
  return context.now() - optionDays(olderThan, '--older-than') * MS_PER_DAY;
}

const FOREVER = 'forever';

function optionDays(text: string, option: string): number {
  const days = /^(\d{1,6})d?$/.exec(text);
  if (days === null)
    throw new UserError('usage', `${option} ${text}: is not a number of days; write it as 400d`);
  return Number(days[1]);
}

/** Only what writes records makes a store: a slip in a path must not look like an empty one. */
async function withStore<T>(
  url: string,
  work: (store: Store) => Promise<T>,
  { mayMake = false }: { mayMake?: boolean } = {},
): Promise<T> {
  const store = await openStore(url, { mustExist: !mayMake });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
