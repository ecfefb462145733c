import { createWriteStream, existsSync } from 'node:fs';
import { once } from 'node:events';
import { Command, InvalidArgumentError, Option } from 'commander';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { FinishQueue } from '../domain/finish-queue.js';
import { startMs, type MoveRecord } from '../domain/move-record.js';
import type { MoveProgress } from '../domain/move-progress.js';
import { askedForMs, parseMoveRequest, type MoveRequest } from '../domain/move-request.js';
import type { Prediction, PredictionOrError } from '../domain/prediction.js';
import { loadPredictor } from '../predictor/load-predictor.js';
import type { Predictor } from '../predictor/predictor.js';
import { ModelRegistry } from '../store/model-registry.js';
import { openStore } from '../store/open-store.js';
import { DEFAULT_STORE_URL } from '../store/store.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { refuseInputAsOutput } from './output-file.js';
import { predictionText } from './prediction-text.js';
import { startProgress } from './progress.js';
import { readRecords, remarkRejected, requestRows, type Rejected } from './table-input.js';

interface Options extends CommonOptions {
  model: string;
  requests?: string;
  history?: string[];
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
      'movecast predict --requests requests.csv --history moves.jsonl --model default',
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
  ]);
  const registry = new ModelRegistry(options.models);
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
    const [prediction] = await predictInTime(predictor, one, history(options, context), nowMs);
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
    await predictInTime(predictor, questions, history(options, context), nowMs, (done) =>
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
 * Answers in the order of the questions; each sees of the past (in order of start) only what had finished when it
 * starts, or when it showed its progress, whatever the order of the questions.
 */
export async function predictInTime(
  predictor: Predictor,
  questions: readonly Question[],
  past: AsyncIterable<MoveRecord>,
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
  const records = past[Symbol.asyncIterator]();
  const running = new FinishQueue();
  let next = await records.next();
  let done = 0;
  for (const i of order) {
    const atMs = momentOf(i);
    while (next.done !== true && startMs(next.value) <= atMs) {
      for (const finished of running.takeFinishedBy(startMs(next.value))) predictor.learn(finished);
      running.add(next.value);
      next = await records.next();
    }
    for (const finished of running.takeFinishedBy(atMs)) predictor.learn(finished);
    answers[i] = predictor.predict((questions[i] as { request: MoveRequest }).request, nowMs);
    onProgress(++done);
  }
  await records.return?.();
  return answers;
}

/** Records in order of start: of the named files, or of the store when there is one. */
async function* history(options: Options, context: Context): AsyncGenerator<MoveRecord> {
  if (options.history !== undefined) {
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
    return;
  }
  // Asking for a prediction makes no store where there is none.
  const path = options.store.startsWith('sqlite:') ? options.store.slice('sqlite:'.length) : undefined;
  if (path !== undefined && !existsSync(path)) {
    if (options.store !== DEFAULT_STORE_URL && context.env['MOVECAST_STORE'] !== options.store)
      throw new UserError(
        'store-unavailable',
        `${options.store}: there is no store; collect something first, or leave --store away`,
      );
    return;
  }
  const store = await openStore(options.store);
  try {
    yield* store.moves();
  } finally {
    await store.close();
  }
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
    if (options[keyOf('--elapsed-seconds ')] === undefined)
      throw new UserError(
        'usage',
        `${flag.slice(0, flag.indexOf(' '))} is of a move that runs: say since when with --elapsed-seconds`,
      );
    progress[field] = value;
  }
  if (progress['elapsed_seconds'] !== undefined) raw['progress'] = progress;
  for (const [flag, field] of requestFlags.slice(0, 3)) {
    if (raw[field] === undefined)
      throw new UserError(
        'usage',
        `predict needs ${flag.slice(0, flag.indexOf(' '))}, or --requests FILE for many at once`,
        field,
      );
  }
  const parsed = parseMoveRequest(raw);
  if (!parsed.ok) throw new UserError('usage', `the request is not valid: ${parsed.reason}`, parsed.field);
  return parsed.value;
}

/** `--source-node <name>` → `sourceNode`, the name that commander keeps it under. */
const keyOf = (flag: string): string =>
  flag.slice(2, flag.indexOf(' ')).replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

async function write(
  answers: readonly PredictionOrError[],
  options: Options,
  context: Context,
): Promise<void> {
  const stream =
    options.out === undefined || options.out === '-' ? undefined : createWriteStream(options.out);
  const target = stream ?? context.stdout;
  try {
    if (stream !== undefined) await once(stream, 'open');
    for (const answer of answers)
      if (!target.write(`${JSON.stringify(answer)}\n`)) await once(target, 'drain');
    if (stream !== undefined) {
      stream.end();
      await once(stream, 'close');
    }
  } catch (error) {
    throw new UserError('cannot-write', systemErrorSentence(error, options.out ?? 'standard output'));
  }
}
