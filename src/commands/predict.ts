import { Command, InvalidArgumentError, Option } from 'commander';
import { UserError } from '../domain/errors.js';
import { DEFAULT_CLUSTER, startMs, type MoveRecord } from '../domain/move-record.js';
import type { MoveProgress } from '../domain/move-progress.js';
import { askedForMs, parseMoveRequest, type MoveRequest } from '../domain/move-request.js';
import type { Prediction, PredictionOrError } from '../domain/prediction.js';
import { loadPredictor } from '../predictor/load-predictor.js';
import type { Predictor } from '../predictor/predictor.js';
import type { Store } from '../store/store.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { registryIn } from './models-folder.js';
import { MOST_SAMPLES, NewestSamples } from './newest-samples.js';
import { refuseInputAsOutput, STANDARD_STREAM, writeWhole, writeAll } from './output-file.js';
import { inOrderOfTime, PastInTime, samplesFor, type PastEvent } from './past-in-time.js';
import { predictionText } from './prediction-text.js';
import { startProgress } from './progress.js';
import { storeWithHistory } from './store-files.js';
import {
  readInstanceSamples,
  readLinkSamples,
  readRecords,
  remarkRejected,
  requestRows,
  type Rejected,
} from './table-input.js';

interface Options extends CommonOptions {
  model: string;
  requests?: string;
  history?: string[];
  linkSamples?: string[];
  instanceSamples?: string[];
  out?: string;
  [flag: string]: unknown;
}

/** Flags that describe one request, by field of the contract. */
const requestFlags: readonly [
  flag: string,
  field: keyof MoveRequest,
  type: 'text' | 'number' | 'list',
  help: string,
][] = [
  ['--instance <name>', 'instance', 'text', 'the virtual machine'],
  ['--source-node <name>', 'source_node', 'text', 'where it is'],
  ['--target-node <name>', 'target_node', 'text', 'where it goes'],
  ['--operation <name>', 'operation', 'text', 'live_migration (default), failover or disk_replication'],
  ['--cluster <name>', 'cluster', 'text', 'name of the cluster'],
  ['--start-at <time>', 'start_at', 'text', 'RFC 3339; now when left out'],
  ['--memory-mib <n>', 'memory_mib', 'number', 'configured RAM'],
  ['--used-memory-mib <n>', 'used_memory_mib', 'number', 'touched RAM'],
  ['--vcpus <n>', 'vcpus', 'number', 'virtual processors'],
  ['--dirty-rate-mib-s <n>', 'dirty_rate_mib_s', 'number', 'rate at which pages are dirtied'],
  ['--disk-mib <n>', 'disk_mib', 'number', 'disk data to copy; 0 on shared storage'],
  ['--link-mbps <n>', 'link_mbps', 'number', 'capacity between the nodes, 10^6 bits a second'],
  ['--background-mbps <n>', 'background_mbps', 'number', 'other traffic on that link'],
  ['--max-bandwidth-mib-s <n>', 'max_bandwidth_mib_s', 'number', 'cap of the migration stream'],
  ['--downtime-limit-ms <n>', 'downtime_limit_ms', 'number', 'configured limit of the downtime'],
  ['--capabilities <a+b>', 'capabilities', 'list', 'such as auto-converge+xbzrle'],
  ['--multifd-channels <n>', 'multifd_channels', 'number', 'channels with multifd'],
  ['--concurrent-moves <n>', 'concurrent_moves', 'number', 'other moves on either node'],
  ['--cpu-load <n>', 'cpu_load', 'number', 'load of the source host, runnable tasks a core'],
];

/** Flags that say what a running move shows. */
const progressFlags: readonly [flag: string, field: keyof MoveProgress, help: string][] = [
  ['--elapsed-seconds <n>', 'elapsed_seconds', 'the move runs since so long: predict what remains'],
  ['--transferred-mib <n>', 'transferred_mib', 'sent so far'],
  ['--remaining-mib <n>', 'remaining_mib', 'still to send'],
  ['--dirty-rate <n>', 'dirty_rate_mib_s', 'rate of dirtying by the last poll, MiB/s'],
  ['--throughput-mbps <n>', 'throughput_mbps', 'rate of the stream by the last poll, 10^6 bits a second'],
  ['--dirty-sync-count <n>', 'dirty_sync_count', 'rounds begun'],
];

export function predictCommand(context: Context): Command {
  const command = new Command('predict')
    .option('--model <model>', "NAME, NAME@VERSION or a model's folder", 'default')
    .option('--requests <file>', 'JSONL or CSV of move requests; - reads standard input')
    .option('--history <file...>', 'records that happened since the training, instead of the store')
    .option('--link-samples <file...>', 'traffic of links, instead of that in the store')
    .option('--instance-samples <file...>', 'load of instances, instead of that in the store')
    .option('--out <file>', 'write the predictions there instead of to standard output');
  for (const [flag, , type, help] of requestFlags) {
    const option = new Option(flag, help);
    if (type === 'number') option.argParser(numberOf);
    if (type === 'list') option.argParser((text: string) => text.split('+').filter((item) => item !== ''));
    command.addOption(option);
  }
  for (const [flag, , help] of progressFlags)
    command.addOption(new Option(flag, help).argParser(numberOf).helpGroup('A move that runs already:'));
  withCommonOptions(command, context, {
    store: true,
    models: true,
    examples: [
      'movecast predict --instance web1 --source-node node1 --target-node node2 --memory-mib 4096 --link-mbps 10000',
      'movecast predict --requests requests.jsonl > predictions.jsonl',
      'movecast predict --requests requests.csv --history moves.jsonl --link-samples traffic.csv',
      'movecast predict --instance web1 --source-node node1 --target-node node2 --memory-mib 4096 \\\n    --elapsed-seconds 20 --transferred-mib 1900 --remaining-mib 2100 --dirty-rate 12   # what remains of a running move',
    ],
  });
  return command.action((options: Options) => run(options, context));
}

function numberOf(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

async function run(options: Options, context: Context): Promise<void> {
  await refuseInputAsOutput('--out', options.out, [
    ...(options.requests === undefined ? [] : [options.requests]),
    ...(options.history ?? []),
    ...(options.linkSamples ?? []),
    ...(options.instanceSamples ?? []),
  ]);
  if (options.requests !== undefined) refuseRequestFlags(options);
  const registry = registryIn(options.models);
  const files = await registry.read(await registry.resolve(options.model));
  const predictor = loadPredictor(files.model);
  const nowMs = context.now();
  if (options.requests === undefined) {
    const request = requestOfFlags(options);
    const one = [
      {
        ok: true as const,
        request,
        askedForMs: askedForMs(request, nowMs),
      },
    ];
    const [prediction] = await predictInTime(predictor, one, whatHappened(options, context, one), nowMs);
    if (options.json === true || options.out !== undefined) await write([prediction!], options, context);
    else context.stdout.write(predictionText(request, prediction as Prediction));
    return;
  }
  const progress = startProgress(context, 'Predicting', { quiet: options.quiet });
  const questions: Question[] = [];
  for await (const row of requestRows(options.requests, context)) {
    const parsed = row.ok
      ? parseMoveRequest(row.value)
      : { ok: false as const, field: '', reason: row.reason };
    if (parsed.ok) {
      questions.push({ ok: true, request: parsed.value, askedForMs: askedForMs(parsed.value, nowMs) });
    } else {
      const id = row.ok ? row.value['request_id'] : undefined;
      questions.push({
        ok: false,
        answer: {
          ...(typeof id === 'string' ? { request_id: id } : {}),
          error: { field: parsed.field, message: parsed.reason },
        },
      });
    }
  }
  await write(
    await predictInTime(predictor, questions, whatHappened(options, context, questions), nowMs, (done) =>
      progress.update(done, questions.length),
    ),
    options,
    context,
  );
  progress.finish();
}

/** A request to be answered, or the answer why it can not be. */
export type Question =
  { ok: true; request: MoveRequest; askedForMs: number } | { ok: false; answer: PredictionOrError };

/**
 * Answers in the order of the questions; each sees of the past (in order of time, moves by their start) only what had
 * finished or been sampled when it starts, or when it showed its progress, whatever the order of the questions.
 */
async function predictInTime(
  predictor: Predictor,
  questions: readonly Question[],
  past: AsyncGenerator<PastEvent>,
  nowMs: number,
  onProgress: (done: number) => void = () => undefined,
): Promise<PredictionOrError[]> {
  const answers = new Array<PredictionOrError>(questions.length);
  const order: number[] = [];
  questions.forEach((question, i) => {
    if (question.ok) order.push(i);
    else answers[i] = question.answer;
  });
  const momentOf = (i: number): number => (questions[i] as { askedForMs: number }).askedForMs;
  order.sort((a, b) => momentOf(a) - momentOf(b) || a - b);
  const learnt = new PastInTime(predictor, past);
  let done = 0;
  for (const i of order) {
    await learnt.until(momentOf(i));
    answers[i] = predictor.predict((questions[i] as { request: MoveRequest }).request, nowMs);
    onProgress(++done);
  }
  await learnt.end();
  return answers;
}

/** What happened, in order of time: of the named files, and of the store for what no file is named for. */
async function* whatHappened(
  options: Options,
  context: Context,
  questions: readonly Question[],
): AsyncGenerator<PastEvent> {
  const asked = questions.filter((question) => question.ok);
  if (asked.length === 0) return;
  const clusters = new Set(asked.map(({ request }) => request.cluster ?? DEFAULT_CLUSTER));
  const momentsMs = asked.map(({ askedForMs: ms }) => ms);
  const range = samplesFor(
    momentsMs.reduce((least, ms) => Math.min(least, ms), Infinity),
    momentsMs.reduce((most, ms) => Math.max(most, ms), 0),
    clusters.size === 1 ? [...clusters][0] : undefined,
  );
  // With `--history` its samples are asked for by file too.
  const store = options.history === undefined ? await storeWithHistory(options.store, context) : undefined;
  try {
    const { linkSamples, instanceSamples } = options;
    yield* inOrderOfTime({
      moves: history(options, context, store),
      linkSamples:
        linkSamples === undefined
          ? (store?.linkSamples(range) ?? [])
          : samplesOf(linkSamples, readLinkSamples, context, options.quiet, range),
      instanceSamples:
        instanceSamples === undefined
          ? (store?.instanceSamples(range) ?? [])
          : samplesOf(instanceSamples, readInstanceSamples, context, options.quiet, range),
    });
  } finally {
    await store?.close();
  }
}

async function* samplesOf<T extends { at: string }>(
  paths: readonly string[],
  read: (
    paths: readonly string[],
    context: Context,
    rejected: Rejected,
    into: NewestSamples<T>,
  ) => Promise<T[]>,
  context: Context,
  quiet: boolean | undefined,
  range: { fromMs: number; toMs: number },
): AsyncGenerator<T> {
  const rejected: Rejected = { count: 0, first: undefined };
  const samples = await read(paths, context, rejected, new NewestSamples<T>(MOST_SAMPLES, range));
  remarkRejected(rejected, context, quiet);
  yield* samples;
}

/** Records in order of start: of the named files, or of the store when there is one. */
async function* history(
  options: Options,
  context: Context,
  store: Store | undefined,
): AsyncGenerator<MoveRecord> {
  if (options.history === undefined) {
    if (store !== undefined) yield* store.moves();
    return;
  }
  const rejected: Rejected = { count: 0, first: undefined };
  const records = await readRecords(options.history, context, rejected);
  remarkRejected(rejected, context, options.quiet);
  records.sort((a, b) => startMs(a) - startMs(b) || (a.id < b.id ? -1 : 1));
  const seen = new Set<string>();
  for (const record of records) {
    if (seen.has(record.id)) continue;
    seen.add(record.id);
    yield record;
  }
}

/** They describe the one request that is made of flags: beside a file of requests nothing would come of them. */
function refuseRequestFlags(options: Options): void {
  const given = [...requestFlags, ...progressFlags].find(([flag]) => options[keyOf(flag)] !== undefined);
  if (given !== undefined)
    throw new UserError(
      'usage',
      `${longFlag(given[0])} is of one request, and --requests names a file of them: give one of the two`,
    );
}

function requestOfFlags(options: Options): MoveRequest {
  const raw: Record<string, unknown> = {};
  for (const [flag, field] of requestFlags) {
    const value = options[keyOf(flag)];
    if (value !== undefined) raw[field] = value;
  }
  const progress: Record<string, unknown> = {};
  for (const [flag, field] of progressFlags) {
    const value = options[keyOf(flag)];
    if (value === undefined) continue;
    if (options['elapsedSeconds'] === undefined)
      throw new UserError(
        'usage',
        `${longFlag(flag)} is of a move that runs: say since when with --elapsed-seconds`,
      );
    progress[field] = value;
  }
  if (progress['elapsed_seconds'] !== undefined) raw['progress'] = progress;
  for (const [flag, field] of requestFlags.slice(0, 3)) {
    if (raw[field] === undefined)
      throw new UserError(
        'usage',
        `predict needs ${longFlag(flag)}, or --requests FILE for many at once`,
        field,
      );
  }
  const parsed = parseMoveRequest(raw);
  if (!parsed.ok) throw new UserError('usage', `the request is not valid: ${parsed.reason}`, parsed.field);
  return parsed.value;
}

/** `--source-node <name>` → `--source-node`. */
const longFlag = (flag: string): string => flag.slice(0, flag.indexOf(' '));

/** `--source-node <name>` → `sourceNode`, the name that commander keeps it under. */
const keyOf = (flag: string): string => new Option(flag).attributeName();

async function write(
  answers: readonly PredictionOrError[],
  { out = STANDARD_STREAM }: Options,
  context: Context,
): Promise<void> {
  if (out === STANDARD_STREAM) for (const text of linesOf(answers)) await writeAll(context.stdout, text);
  else await writeWhole(out, linesOf(answers));
}

const ANSWERS_PER_WRITE = 100;

/** JSON, an answer a line, in pieces of many lines. */
function* linesOf(answers: readonly PredictionOrError[]): Generator<string> {
  for (let from = 0; from < answers.length; from += ANSWERS_PER_WRITE)
    yield answers
      .slice(from, from + ANSWERS_PER_WRITE)
      .map((answer) => `${JSON.stringify(answer)}\n`)
      .join('');
}
