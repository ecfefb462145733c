import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { resolve as resolvePath } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { Command } from 'commander';
import { Checkpoints } from '../collector/checkpoints.js';
import { skewSentence } from '../collector/clock-skew.js';
import { ClusterLedger } from '../collector/cluster-ledger.js';
import { noteSnapshot } from '../collector/cluster-snapshot.js';
import { Collector, ledgerKey, type CollectorOptions } from '../collector/collector.js';
import { Derivation } from '../collector/derivation.js';
import { FolderWatch } from '../collector/folder-watch.js';
import { findInputs, STANDARD_INPUT, type Inputs } from '../collector/input-files.js';
import { Collection, type CollectCounts } from '../collector/pipeline.js';
import { RejectsFile } from '../collector/rejects.js';
import { DryRun, jsonlSink, storeSink, type Sink } from '../collector/sinks.js';
import { logSources, remoteSources } from '../collector/sources/registry.js';
import type { LogSource, RemoteSource } from '../collector/sources/source.js';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { openStore } from '../store/open-store.js';
import type { SpoolEvent } from '../store/spooled-store.js';
import type { Store } from '../store/store.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { time } from './option-values.js';
import { refuseInputAsOutput, writeAll } from './output-file.js';
import { startProgress, type Progress } from './progress.js';
import { besideStore } from './store-files.js';

interface CollectOptions extends CommonOptions {
  out?: string;
  rejects?: string;
  dryRun?: boolean;
  follow?: boolean;
  resume?: boolean;
  since?: number;
  until?: number;
  cluster?: string;
  node?: string;
  instance?: string;
  sourceNode?: string;
  targetNode?: string;
  startedAt?: number;
  timeZone?: string;
  snapshot?: string[];
  derive?: boolean;
  ca?: string;
  credentials?: string;
  pollSeconds: string;
}

const AUTO = 'auto';

/** So many reasons for rejected lines are named on standard error; the rejects file has them all. */
const NAMED_REASONS = 5;

/** Jobs last minutes; a master that is asked more often than this has nothing new to tell. */
const DEFAULT_POLL_SECONDS = 30;

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
    .option('--follow', 'keep going: read on as the logs grow, across rotation, until stopped')
    .option('--resume', 'go on where the last run stopped, instead of reading everything again')
    .option('--since <time>', 'only moves started, or samples taken, at this time or later', time)
    .option('--until <time>', 'only moves started, or samples taken, before this time', time)
    .option(
      '--out <file>',
      'write the records as JSONL to a file, or - for standard output, instead of storing them',
    )
    .option('--dry-run', 'read and check everything, and show what would be stored; store nothing')
    .option('--rejects <file>', 'append lines that cannot be read to this file (default: beside the store)')
    .option('--cluster <name>', 'the cluster of records that name none')
    .option('--node <name>', 'the node whose logs these are, where they do not say')
    .option('--source-node <name>', 'where it moved from, where the log does not say (default: --node)')
    .option('--target-node <name>', 'where it moved to, where the log does not say')
    .option('--instance <name>', 'what moved, where the log does not say')
    .option('--started-at <time>', 'when the first move of a log without times began', time)
    .option('--time-zone <zone>', 'of times that name none: Europe/Berlin, or +02:00', 'UTC')
    .option('--snapshot <file...>', 'what instances are like: hscan or RAPI output, as of its file time')
    .option(
      '--no-derive',
      'leave out what follows from other records: moves beside it, facts of the instance',
    )
    .option('--ca <file>', "ganeti-rapi: PEM of the authority that signed the server's certificate")
    .option('--credentials <file>', 'ganeti-rapi: file with user:password in its first line')
    .option('--poll-seconds <n>', 'ganeti-rapi with --follow: ask so often', String(DEFAULT_POLL_SECONDS))
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
      'movecast collect ganeti-jobs /var/lib/ganeti/queue',
      'movecast collect nova /var/log/nova --follow --cluster prod',
      'movecast collect auto logs/ --dry-run',
      'movecast collect records moves.csv --out -',
      'zcat old.jsonl.gz | movecast collect records - --json',
    ],
  });
}

/**
 * Rows die young here. Left to itself V8 lets the nursery grow until ten million lines take over 200 MiB at their peak;
 * kept small it costs no time that shows (`npm run bench:collect`).
 */
function keepNurserySmall(): void {
  setFlagsFromString('--max-semi-space-size=4');
  setFlagsFromString('--semi-space-growth-factor=1');
}

async function collect(
  context: Context,
  sourceName: string,
  paths: readonly string[],
  options: CollectOptions,
): Promise<void> {
  keepNurserySmall();
  const plan = await planOf(sourceName, paths, options);
  const remark = (sentence: string): void => {
    if (options.quiet !== true) context.stderr.write(`movecast: ${sentence}\n`);
  };
  const read = [...plan.inputs.files.map(({ path }) => path), ...(options.snapshot ?? [])];
  if (options.dryRun !== true) await refuseInputAsOutput('--out', options.out, read);
  await refuseInputAsOutput('--rejects', options.rejects, read);
  const rejects = new RejectsFile(options.rejects ?? rejectsPathOf(options));
  const target = await openTarget(context, options, (event) => tellSpool(event, rejects, remark));
  const isFollowing = options.follow === true;
  const progress = startProgress(context, 'Reading', { quiet: options.quiet === true || isFollowing });
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  // Only who follows needs to be told when to stop; any other run may be killed at any moment.
  if (isFollowing) for (const signal of STOP_SIGNALS) process.once(signal, onSignal);
  let done: Done;
  try {
    done = await run(context, plan, options, { target, rejects, remark, progress, signal: stop.signal });
  } finally {
    for (const signal of STOP_SIGNALS) process.off(signal, onSignal);
    progress.finish();
    try {
      await target.close(); // may yet refuse what waited
    } finally {
      await rejects.close();
    }
  }
  tellFound(done.collector, remark);
  const { errors } = done.collector;
  const fileCount = plan.inputs.files.length;
  if (errors.length < fileCount || done.collection.counts.read > 0 || errors.length === 0)
    report(context, options, { ...done, rejectsPath: rejects.path, shown: target.shown });
  if (errors.length === 1) throw errors[0]!;
  if (errors.length > 1) {
    const sentence = `${errors.length} of ${fileCount} files could not be read, such as ${errors[0]!.message}`;
    throw new UserError('input-unreadable', sentence);
  }
  const { read: found, rejected } = done.collection.counts;
  // Who goes on where the last run stopped may well meet a single bad line: that is no wrong file.
  if (found > 0 && rejected === found && options.resume !== true && !isFollowing)
    throw new UserError(
      'input-invalid',
      `none of ${found} ${found === 1 ? 'line' : 'lines'} in ${paths.join(', ')} could be used, the first reason: ${done.collection.reasons()[0]!.reason}; is ${sourceName} the right source?`,
    );
}

/** A first interrupt stops after what is at hand; a second one, with no listener left, ends at once. */
const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** What is to be read, with all that the user said checked. */
interface Plan {
  source: LogSource | RemoteSource | undefined;
  paths: readonly string[];
  inputs: Inputs;
  said: CollectorOptions['context'];
  snapshots: readonly { path: string; text: string; atMs: number }[];
  sinceMs: number | undefined;
  untilMs: number | undefined;
  pollMs: number;
}

async function planOf(sourceName: string, paths: readonly string[], options: CollectOptions): Promise<Plan> {
  const source = namedSource(sourceName);
  if (paths.length === 0) throw new UserError('usage', `collect ${sourceName} needs ${needed(source)}`);
  if (options.follow === true && paths.includes(STANDARD_INPUT))
    throw new UserError('usage', '--follow reads files; standard input is read to its end without it');
  if (options.since !== undefined && options.until !== undefined && options.since >= options.until)
    throw new UserError('usage', '--since is not before --until, so that nothing lies between them');
  const plan: Plan = {
    source,
    paths,
    inputs: { files: [], unreadable: [] },
    said: saidOf(options),
    snapshots: await Promise.all((options.snapshot ?? []).map((path) => readSnapshot(path))),
    sinceMs: options.since,
    untilMs: options.until,
    pollMs: 1000 * positiveNumber(options.pollSeconds, '--poll-seconds'),
  };
  if (isRemote(source)) return plan;
  plan.inputs = await findInputs(paths, source?.ownsFile?.bind(source));
  if (options.follow !== true && plan.inputs.files.length + plan.inputs.unreadable.length === 0) {
    const sentence = `no file of ${sourceName} in ${paths.join(', ')}; name the files themselves`;
    throw new UserError('input-unreadable', sentence);
  }
  return plan;
}

const isRemote = (source: LogSource | RemoteSource | undefined): source is RemoteSource =>
  source !== undefined && 'poll' in source;

/** What a run left to tell of. */
interface Done {
  collector: Collector;
  collection: Collection;
  derivation: Derivation;
}

interface Surroundings {
  target: Target;
  rejects: RejectsFile;
  remark: (sentence: string) => void;
  progress: Progress;
  signal: AbortSignal;
}

/** Puts the pipeline together and runs it. */
async function run(
  context: Context,
  { source, paths, inputs, said, snapshots, sinceMs, untilMs, pollMs }: Plan,
  options: CollectOptions,
  { target, rejects, remark, progress, signal }: Surroundings,
): Promise<Done> {
  const resume = options.resume === true || options.follow === true;
  const checkpoints = new Checkpoints(target.checkpointsPath, context.now);
  if (checkpoints.size > 0 && target.store !== undefined && (await isEmpty(target.store)))
    await checkpoints.clear();
  const settings = settingsOf(options);
  const saved = resume ? checkpoints.get(ledgerKey(settings)) : undefined;
  const ledger = ClusterLedger.from(saved?.kind === 'ledger' ? saved.ledger : undefined);
  for (const { path, text, atMs } of snapshots) {
    if (noteSnapshot(ledger, text, atMs) > 0) continue;
    const sentence = `${path}: tells of no instance; give what hscan or GET /2/instances?bulk=1 prints`;
    throw new UserError('input-invalid', sentence);
  }
  const derivation = new Derivation(options.derive === false ? 'nothing' : 'all', ledger, target.store);
  const collection = new Collection({
    sink: target.sink,
    rejects,
    cluster: options.cluster,
    sinceMs,
    untilMs,
    beforeStoring: (batch) => derivation.complete(batch),
  });
  const totalBytes = inputs.files.reduce((sum, file) => sum + file.bytes, 0);
  const collector = new Collector({
    collection,
    checkpoints,
    source: isRemote(source) ? undefined : source,
    context: { ...said, ledger },
    settings,
    resume,
    stdin: context.stdin as AsyncIterable<Buffer | string>,
    written: new Set(
      [rejects.path, options.out].flatMap((path) => (path === undefined ? [] : resolvePath(path))),
    ),
    now: context.now,
    remark,
    onProgress: (readBytes) => progress.update(readBytes, totalBytes > 0 ? totalBytes : undefined),
    onMove: (record, from) => derivation.note(record, from),
    signal,
  });
  if (isRemote(source)) {
    const remote = {
      ...said,
      ledger,
      ...optional({ caFile: options.ca, credentialsFile: options.credentials }),
    };
    for (const url of paths) await collector.readRemote(source, url, remote);
    while (options.follow === true && (await pause(pollMs, signal))) {
      for (const url of paths) {
        try {
          await collector.readRemote(source, url, remote);
        } catch (error) {
          // It answered before: a server that is restarted is no reason to end.
          if (!(error instanceof UserError) || error.code !== 'service-unavailable') throw error;
          remark(`${error.message}; it is asked again in ${pollMs / 1000} s`);
        }
      }
    }
  } else if (options.follow === true) {
    const watch = new FolderWatch(paths);
    try {
      await collector.follow(paths, (stop) => watch.next(stop));
    } finally {
      watch.close();
    }
  } else await collector.read(inputs);
  return { collector, collection, derivation };
}

/** More files than this are told by source, not each by name. */
const NAMED_FILES = 12;

/** What `auto` found. */
function tellFound({ found, leftOut }: Collector, remark: (sentence: string) => void): void {
  if (found.length <= NAMED_FILES)
    for (const { path, source } of found) remark(`${path}: ${source.name} (${source.summary})`);
  else {
    const counts = new Map<string, number>();
    for (const { source } of found) counts.set(source.name, (counts.get(source.name) ?? 0) + 1);
    for (const [name, count] of counts) remark(`${count} ${count === 1 ? 'file' : 'files'} of ${name}`);
  }
  if (leftOut.length > 0) {
    const shown = leftOut.slice(0, NAMED_FILES).join(', ');
    const more = leftOut.length > NAMED_FILES ? ` and ${leftOut.length - NAMED_FILES} others` : '';
    remark(`no log that is known here: ${shown}${more}`);
  }
}

/** The source of that name; undefined for `auto`. */
function namedSource(name: string): LogSource | RemoteSource | undefined {
  if (name === AUTO) return undefined;
  const sources = [...logSources, ...remoteSources];
  const source = sources.find((candidate) => candidate.name === name);
  if (source === undefined) {
    const names = sources.map((candidate) => candidate.name).join(', ');
    throw new UserError('usage', `there is no source ${JSON.stringify(name)}; give one of ${names}, ${AUTO}`);
  }
  return source;
}

const needed = (source: LogSource | RemoteSource | undefined): string =>
  source !== undefined && 'poll' in source
    ? 'the address of the server, such as https://cluster.example.com:5080'
    : 'the path of a file or folder, or - for standard input';

/** What the user said of the logs, for the sources. */
function saidOf(options: CollectOptions): CollectorOptions['context'] {
  return {
    ...timeZoneOf(options.timeZone ?? 'UTC'),
    ...optional({
      cluster: options.cluster,
      node: options.node,
      instance: options.instance,
      sourceNode: options.sourceNode,
      targetNode: options.targetNode,
      startedAtMs: options.startedAt,
    }),
  };
}

async function readSnapshot(path: string): Promise<Plan['snapshots'][number]> {
  try {
    return { path, text: await readFile(path, 'utf8'), atMs: (await stat(path)).mtimeMs };
  } catch (error) {
    const sentence = `${systemErrorSentence(error, path)}; give a cluster snapshot that can be read`;
    throw new UserError('input-unreadable', sentence);
  }
}

/** Leaves out what is undefined. */
function optional<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function timeZoneOf(text: string): { timeZone?: string; timeZoneOffsetMinutes?: number } {
  const offset = /^([+-])(\d\d):?(\d\d)$/.exec(text);
  if (offset !== null) {
    const minutes = Number(offset[2]) * 60 + Number(offset[3]);
    return { timeZoneOffsetMinutes: offset[1] === '-' ? -minutes : minutes };
  }
  try {
    Intl.DateTimeFormat('en', { timeZone: text });
  } catch {
    throw new UserError(
      'usage',
      `--time-zone ${text}: is no time zone; write it as Europe/Berlin, UTC or +02:00`,
    );
  }
  return text === 'UTC' ? {} : { timeZone: text };
}

/** What else decides what is found in a log: a checkpoint made under other settings does not count. */
function settingsOf({
  cluster,
  node,
  instance,
  sourceNode,
  targetNode,
  startedAt,
  timeZone,
  since,
  until,
}: CollectOptions): string {
  const given = { cluster, node, instance, sourceNode, targetNode, startedAt, timeZone, since, until };
  const text = JSON.stringify(optional(timeZone === 'UTC' ? { ...given, timeZone: undefined } : given));
  return text === '{}' ? '' : text;
}

function positiveNumber(text: string, option: string): number {
  const number = Number(text);
  if (!(number > 0) || !Number.isFinite(number))
    throw new UserError('usage', `${option} ${text}: must be a number above 0`);
  return number;
}

/** Resolves after a while with true, or with false when the signal says stop. */
function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return delay(ms, true, { signal }).catch(() => false);
}

/** A store that was emptied or made anew has nothing of what the checkpoints say it has. */
async function isEmpty(store: Store): Promise<boolean> {
  try {
    const { moves, link_samples, instance_samples } = await store.info();
    return moves + link_samples + instance_samples === 0;
  } catch (error) {
    if (error instanceof UserError && error.code === 'store-unavailable') return false; // away: the spool takes it
    throw error;
  }
}

/** Where rejects go when nobody says; undefined: in a dry run they are only counted. */
function rejectsPathOf({ dryRun, out, store }: CollectOptions): string | undefined {
  if (dryRun === true) return undefined;
  return out === undefined || out === STANDARD_INPUT
    ? besideStore(store, 'rejects.jsonl')
    : `${out}.rejects.jsonl`;
}

/** Where records wait for a store on a server that is away. */
const SPOOL_FOLDER = '.movecast';

/** What became of records that wait for a store. */
function tellSpool(event: SpoolEvent, rejects: RejectsFile, remark: (sentence: string) => void): void {
  switch (event.kind) {
    case 'down':
      return remark(`${event.reason}; records wait in ${SPOOL_FOLDER}/ until it is back`);
    case 'drained':
      return remark(`the store is back and has the ${event.items} records that waited`);
    case 'refused':
      for (const { index, reason } of event.refused) {
        const text = JSON.stringify(event.batch.items[index]);
        rejects.add({ file: SPOOL_FOLDER, line: 0, reason: `the store refuses it: ${reason}`, text });
      }
      return remark(`the store refuses ${event.refused.length} records that waited`);
  }
}

interface Target {
  sink: Sink;
  store?: Store;
  /** Where it is noted how far logs were read; undefined: nowhere. */
  checkpointsPath: string | undefined;
  /** What a dry run shows. */
  shown?: DryRun;
  close(): Promise<void>;
}

async function openTarget(
  context: Context,
  options: CollectOptions,
  onEvent: (event: SpoolEvent) => void,
): Promise<Target> {
  const { out, store: storeUrl } = options;
  const close = async (): Promise<void> => undefined;
  if (options.dryRun === true) {
    const shown = new DryRun();
    return { sink: shown, shown, checkpointsPath: undefined, close };
  }
  if (out === STANDARD_INPUT) {
    const sink = jsonlSink((text) => writeAll(context.stdout, text));
    return { sink, checkpointsPath: undefined, close };
  }
  if (out !== undefined) return fileTarget(out);
  const store = await openStore(storeUrl, { spool: { folder: SPOOL_FOLDER, onEvent } });
  const checkpointsPath = besideStore(storeUrl, 'checkpoints.json');
  return { sink: storeSink(store), store, checkpointsPath, close: () => store.close() };
}

async function fileTarget(path: string): Promise<Target> {
  const file = createWriteStream(path);
  const cannotWrite = (error: unknown): UserError =>
    new UserError('cannot-write', `${systemErrorSentence(error, path)}; name another file with --out`);
  let failed: unknown;
  file.on('error', (error) => {
    failed ??= error;
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
    checkpointsPath: undefined,
    close: () =>
      new Promise<void>((resolve, reject) => {
        file.end((error?: Error | null) => (error ? reject(cannotWrite(failed ?? error)) : resolve()));
      }),
  };
}

interface Report extends Done {
  rejectsPath: string | undefined;
  shown: DryRun | undefined;
}

function report(
  context: Context,
  options: CollectOptions,
  { collection, rejectsPath, derivation, shown }: Report,
): void {
  const { counts, outside } = collection;
  const remark = (sentence: string): void => {
    if (options.quiet !== true) context.stderr.write(`movecast: ${sentence}\n`);
  };
  if (outside > 0) remark(`${outside} left out because of --since and --until`);
  for (const skew of derivation.skews.found()) remark(skewSentence(skew));
  if (counts.rejected > 0) {
    const reasons = collection.reasons();
    const named = reasons.slice(0, NAMED_REASONS).map(({ reason, count }) => `${reason} (${count})`);
    const more =
      reasons.length > NAMED_REASONS ? `; and ${reasons.length - NAMED_REASONS} other reasons` : '';
    const where = rejectsPath === undefined ? '' : `; the lines are in ${rejectsPath}`;
    remark(`${counts.rejected} rejected: ${named.join('; ')}${more}${where}`);
  }
  if (options.json === true) {
    context.stdout.write(
      `${JSON.stringify(options.dryRun === true ? { ...counts, dry_run: true } : counts)}\n`,
    );
    return;
  }
  if (shown !== undefined) for (const line of shown.table()) context.stdout.write(`${line}\n`);
  const line = countsLine(counts, options);
  if (options.out === STANDARD_INPUT) remark(line);
  else context.stdout.write(`${line}\n`);
}

function countsLine(counts: CollectCounts, options: CollectOptions): string {
  const { read, rejected } = counts;
  if (options.dryRun === true)
    return `read ${read}: ${read - rejected} would be offered to the store, ${rejected} rejected`;
  if (options.out !== undefined) return `read ${read}: ${counts.new} written, ${rejected} rejected`;
  return `read ${read}: ${counts.new} new, ${counts.known} known, ${rejected} rejected`;
}
