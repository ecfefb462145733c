import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join, parse } from 'node:path';
import { Command } from 'commander';
import { detectSource } from '../collector/detection.js';
import { findInputs, STANDARD_INPUT, type InputFile } from '../collector/input-files.js';
import { Collection, type CollectCounts } from '../collector/pipeline.js';
import { RejectsFile } from '../collector/rejects.js';
import { jsonlSink, storeSink, type Sink } from '../collector/sinks.js';
import { logSources, remoteSources } from '../collector/sources/registry.js';
import type { LogSource } from '../collector/sources/source.js';
import { openText } from '../collector/text-input.js';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { fromIsoTime } from '../domain/units.js';
import { openStore } from '../store/open-store.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { startProgress } from './progress.js';

interface CollectOptions extends CommonOptions {
  out?: string;
  rejects?: string;
  dryRun?: boolean;
  cluster?: string;
  node?: string;
  since?: string;
  until?: string;
}

const AUTO = 'auto';

/** So many reasons for rejected lines are named on standard error; the rejects file has them all. */
const NAMED_REASONS = 5;

/** `movecast collect SOURCE [PATH…]` */
export function collectCommand(context: Context): Command {
  const sources = [...logSources, ...remoteSources].map(
    ({ name, summary }) => `  ${name.padEnd(18)}${summary}`,
  );
  const command = new Command('collect')
    .description(
      'Reads logs into the store. What is there already is left as it is, so that a log may be read again.',
    )
    .argument('<source>', 'what the logs are; see below')
    .argument('[path...]', 'files or folders, packed with gzip or not; - reads standard input')
    .option(
      '--out <file>',
      'write the records as JSONL to a file, or - for standard output, instead of storing them',
    )
    .option('--rejects <file>', 'append lines that cannot be read to this file (default: beside the store)')
    .option('--dry-run', 'read and check everything, store nothing')
    .option('--cluster <name>', 'the cluster of records that name none')
    .option('--node <name>', 'the node whose logs these are, where they do not say')
    .option('--since <time>', 'only moves started, or samples taken, at this time or later')
    .option('--until <time>', 'only moves started, or samples taken, before this time')
    .addHelpText(
      'after',
      `\nSources:\n${sources.join('\n')}\n  ${AUTO.padEnd(18)}finds out by itself what each file is`,
    )
    .action((sourceName: string, paths: string[], options: CollectOptions) =>
      collect(context, sourceName, paths, options),
    );
  return withCommonOptions(command, context, {
    store: true,
    examples: [
      'movecast collect records moves.jsonl',
      'movecast collect link-samples traffic.csv --store sqlite:moves.db',
      'zcat old.jsonl.gz | movecast collect records - --json',
      'movecast collect records moves.csv --out -',
    ],
  });
}

async function collect(
  context: Context,
  sourceName: string,
  paths: readonly string[],
  options: CollectOptions,
): Promise<void> {
  const source = namedSource(sourceName);
  if (paths.length === 0)
    throw new UserError(
      'usage',
      `collect ${sourceName} needs the path of a file or folder, or - for standard input`,
    );
  const sinceMs = optionTime(options.since, '--since');
  const untilMs = optionTime(options.until, '--until');
  const { files, unreadable } = await findInputs(
    paths,
    source === undefined ? undefined : (fileName) => source.ownsFile?.(fileName) ?? true,
  );
  const remark = (sentence: string): void => {
    if (options.quiet !== true) context.stderr.write(`movecast: ${sentence}\n`);
  };
  const target = await openTarget(context, options);
  const rejects = new RejectsFile(options.rejects ?? target.rejectsPath);
  const progress = startProgress(context, 'Reading', { quiet: options.quiet });
  const totalBytes = files.reduce((sum, file) => sum + file.bytes, 0);
  let doneBytes = 0;
  let current: { readBytes(): number } | undefined;
  const collection = new Collection({
    sink: target.sink,
    rejects,
    cluster: options.cluster,
    sinceMs,
    untilMs,
    onProgress: () =>
      progress.update(doneBytes + (current?.readBytes() ?? 0), totalBytes > 0 ? totalBytes : undefined),
  });
  const errors: UserError[] = unreadable.map((sentence) => new UserError('input-unreadable', sentence));
  try {
    for (const file of files) {
      try {
        const input = await openText(file, context.stdin as AsyncIterable<Buffer | string>);
        current = input;
        try {
          const found = source ?? detectedSource(input.head, file);
          if (source === undefined) remark(`${file.path}: ${found.name} (${found.summary})`);
          await collection.collectText(input, found, {
            fileName: file.path,
            nowMs: input.modifiedMs ?? context.now(),
            ...(options.cluster === undefined ? {} : { cluster: options.cluster }),
            ...(options.node === undefined ? {} : { node: options.node }),
          });
        } finally {
          await input.close();
        }
      } catch (error) {
        if (!(error instanceof UserError) || !isAboutInput(error)) throw error;
        await collection.flush();
        errors.push(error);
        if (files.length > 1) remark(error.message);
      }
      doneBytes += file.bytes;
    }
  } finally {
    progress.finish();
    await rejects.close();
    await target.close();
  }
  if (files.length === 0 && errors.length === 0)
    throw new UserError(
      'input-unreadable',
      `no file of ${sourceName} in ${paths.join(', ')}; name the files themselves`,
    );
  if (errors.length < files.length || collection.counts.read > 0) {
    report(context, options, collection, rejects.path);
  }
  if (errors.length === 1) throw errors[0]!;
  if (errors.length > 1) {
    throw new UserError(
      'input-unreadable',
      `${errors.length} of ${files.length} files could not be read, such as ${errors[0]!.message}`,
    );
  }
}

const isAboutInput = (error: UserError): boolean =>
  error.code === 'input-unreadable' || error.code === 'input-invalid' || error.code === 'too-large';

/** The source of that name; undefined for `auto`. */
function namedSource(name: string): LogSource | undefined {
  if (name === AUTO) return undefined;
  const source = logSources.find((candidate) => candidate.name === name);
  if (source === undefined) {
    const names = [...logSources, ...remoteSources].map((candidate) => candidate.name);
    throw new UserError(
      'usage',
      `there is no source ${JSON.stringify(name)}; give one of ${names.join(', ')}, ${AUTO}`,
    );
  }
  return source;
}

function detectedSource(head: string, file: InputFile): LogSource {
  const source = detectSource(head, file.path);
  if (source === undefined) {
    throw new UserError(
      'input-invalid',
      `${file.path}: is no log that is known here; name its source instead of ${AUTO}`,
    );
  }
  return source;
}

function optionTime(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  const ms = fromIsoTime(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  if (Number.isNaN(ms)) {
    throw new UserError(
      'usage',
      `${option} ${text}: is not a time; write it as 2026-11-22T10:56:05Z, or as the day alone`,
    );
  }
  return ms;
}

interface Target {
  sink: Sink;
  /** Where rejects go when nobody says; undefined: they are only counted. */
  rejectsPath: string | undefined;
  close(): Promise<void>;
}

async function openTarget(context: Context, options: CollectOptions): Promise<Target> {
  const { out, store: storeUrl } = options;
  if (options.dryRun === true) {
    return {
      sink: { add: async () => ({ new: 0, known: 0 }) },
      rejectsPath: undefined,
      close: async () => undefined,
    };
  }
  if (out === STANDARD_INPUT) {
    return {
      sink: jsonlSink((text) => writeAll(context.stdout, text)),
      rejectsPath: besideStore(storeUrl, 'rejects.jsonl'),
      close: async () => undefined,
    };
  }
  if (out !== undefined) return fileTarget(out);
  const store = await openStore(storeUrl);
  return {
    sink: storeSink(store),
    rejectsPath: besideStore(storeUrl, 'rejects.jsonl'),
    close: () => store.close(),
  };
}

async function fileTarget(path: string): Promise<Target> {
  const file = createWriteStream(path);
  const cannotWrite = (error: unknown): UserError =>
    new UserError('cannot-write', `${systemErrorSentence(error, path)}; name another file with --out`);
  let failed: unknown;
  file.on('error', (error) => {
    failed = error;
  });
  try {
    await once(file, 'open');
  } catch (error) {
    throw cannotWrite(error);
  }
  return {
    sink: jsonlSink(async (text) => {
      await writeAll(file, text).catch((error: unknown) => {
        throw cannotWrite(failed ?? error);
      });
      if (failed !== undefined) throw cannotWrite(failed);
    }),
    rejectsPath: `${path}.rejects.jsonl`,
    close: () =>
      new Promise<void>((resolve, reject) => {
        file.end((error?: Error | null) => (error ? reject(cannotWrite(error)) : resolve()));
      }),
  };
}

/** Resolves when the stream has room for more. */
async function writeAll(stream: NodeJS.WritableStream, text: string): Promise<void> {
  if (!stream.write(text)) await once(stream, 'drain');
}

/**
 * A file beside the store: `moves.db` → `moves.rejects.jsonl`. Beside a store on a server: in `.movecast/` here, named
 * for the server and the database.
 */
function besideStore(storeUrl: string, ending: string): string {
  if (storeUrl.startsWith('sqlite:')) {
    const path = storeUrl.slice('sqlite:'.length).replace(/^\/\/\/+/, '/');
    if (path === ':memory:') return join('.movecast', ending);
    const { dir, name, ext } = parse(path);
    return join(dir, `${/^\.(db|sqlite3?)$/i.test(ext) ? name : name + ext}.${ending}`);
  }
  const address = storeUrl.slice(storeUrl.lastIndexOf('@') + 1).replace(/^[a-z]+:\/\//, '');
  return join('.movecast', `${address.replace(/[^A-Za-z0-9.-]+/g, '-')}.${ending}`);
}

function report(
  context: Context,
  options: CollectOptions,
  collection: Collection,
  rejectsPath: string | undefined,
): void {
  const { counts, outside } = collection;
  const remark = (sentence: string): void => {
    if (options.quiet !== true) context.stderr.write(`movecast: ${sentence}\n`);
  };
  if (outside > 0) remark(`${outside} left out because of --since and --until`);
  if (counts.rejected > 0) {
    const reasons = collection.reasons();
    const named = reasons.slice(0, NAMED_REASONS).map(({ reason, count }) => `${reason} (${count})`);
    const more =
      reasons.length > NAMED_REASONS ? `; and ${reasons.length - NAMED_REASONS} other reasons` : '';
    remark(
      `${counts.rejected} rejected: ${named.join('; ')}${more}${rejectsPath === undefined ? '' : `; the lines are in ${rejectsPath}`}`,
    );
  }
  if (options.json === true) {
    context.stdout.write(
      `${JSON.stringify(options.dryRun === true ? { ...counts, dry_run: true } : counts)}\n`,
    );
  } else {
    const line = countsLine(counts, options);
    if (options.out === STANDARD_INPUT) remark(line);
    else context.stdout.write(`${line}\n`);
  }
}

function countsLine(counts: CollectCounts, options: CollectOptions): string {
  const { read, rejected } = counts;
  if (options.dryRun === true)
    return `read ${read}: ${read - rejected} would be offered to the store, ${rejected} rejected`;
  if (options.out !== undefined) return `read ${read}: ${counts.new} written, ${rejected} rejected`;
  return `read ${read}: ${counts.new} new, ${counts.known} known, ${rejected} rejected`;
}
