import { UserError } from '../domain/errors.js';
import {
  DEFAULT_CLUSTER,
  finishMs,
  startMs,
  type MoveRecord,
  type MoveStatus,
  type Operation,
} from '../domain/move-record.js';
import type { Prediction } from '../domain/prediction.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';
import { toIsoTime } from '../domain/units.js';
import {
  InfluxConnection,
  InfluxDatabaseMissing,
  type InfluxAddress,
  type InfluxRow,
  type InfluxValue,
} from './influx-connection.js';
import {
  NANOSECONDS_PER_MS,
  fromNanoTime,
  hash32,
  nanoTime,
  numberField,
  placeInMillisecond,
  tag,
  tagText,
  tagValue,
  textField,
} from './line-protocol.js';
import type {
  AddCounts,
  KeptPrediction,
  MoveFilter,
  PruneCounts,
  SampleFilter,
  Store,
  StoreInfo,
} from './store.js';

/** Number of the layout described in docs/stores.md. */
export const INFLUX_FORMAT = 1;

/** Points a request: what InfluxData recommends, and where the gain of larger ones ends. */
const POINTS_PER_REQUEST = 5000;
/** Ranges of time asked for at once when looking for what is known already. */
const MOST_WINDOWS = 500;
/** Times nearer than this are asked for in one range. */
const WINDOW_GAP_MS = 60_000;
/** Kept predictions are looked up by move id alone: a tag with so many values divides what has to be searched. */
const BUCKETS = 256;

const NUMBER_FIELDS = [
  'duration_seconds',
  'memory_mib',
  'used_memory_mib',
  'vcpus',
  'dirty_rate_mib_s',
  'disk_mib',
  'link_mbps',
  'background_mbps',
  'max_bandwidth_mib_s',
  'downtime_limit_ms',
  'multifd_channels',
  'concurrent_moves',
  'cpu_load',
  'downtime_ms',
  'setup_ms',
  'transferred_mib',
  'throughput_mbps',
  'dirty_sync_count',
] as const satisfies readonly (keyof MoveRecord)[];
const TEXT_FIELDS = ['id', 'instance', 'origin', 'status'] as const satisfies readonly (keyof MoveRecord)[];
const JSON_FIELDS = ['capabilities', 'labels'] as const satisfies readonly (keyof MoveRecord)[];
const MOVE_TAGS = ['cluster', 'operation', 'source_node', 'target_node'] as const;
const SAMPLE_FIELDS = ['dirty_rate_mib_s', 'used_memory_mib', 'cpu_load'] as const;

const quoted = (name: string): string => `"${name}"`;
const MOVE_COLUMNS = [...TEXT_FIELDS, ...NUMBER_FIELDS, ...JSON_FIELDS, ...MOVE_TAGS].map(quoted).join(',');

/** A field that every point of the measurement has, to count by, and all measurements that hold data. */
const COUNTED_FIELD = {
  moves: 'duration_seconds',
  link_samples: 'throughput_mbps',
  instance_samples: 'present',
  kept_predictions: 'move_id',
} as const satisfies Record<keyof PruneCounts, string>;

/**
 * A store in InfluxDB 1.x (and in later versions through their 1.x endpoints). The schema, its limits and its reasons
 * stand in docs/stores.md. In short: a move is a point with the tags cluster, operation, source and target node; its
 * place within the millisecond comes from its id, so that moves that start together on one node pair stay apart.
 *
 * A move is known by its id and its start together: before a batch is written, the ids in its range of time are read.
 */
export class InfluxStore implements Store {
  readonly url: string;
  private open = true;

  private constructor(private readonly connection: InfluxConnection) {
    this.url = connection.address.url;
  }

  /** Connects; makes the database when it is missing and the user may. */
  static async open(
    address: InfluxAddress,
    { timeoutMs, now = Date.now }: { timeoutMs?: number; now?: () => number } = {},
  ): Promise<InfluxStore> {
    const connection = new InfluxConnection(address, timeoutMs);
    try {
      await prepareLayout(connection, now());
    } catch (error) {
      connection.close();
      throw error;
    }
    return new InfluxStore(connection);
  }

  async addMoves(records: readonly MoveRecord[]): Promise<AddCounts> {
    this.checkOpen();
    const byId = new Map<string, MoveRecord>();
    for (const record of records) if (!byId.has(record.id)) byId.set(record.id, record);
    const sorted = [...byId.values()].sort((a, b) => startMs(a) - startMs(b));
    let added = 0;
    for (let from = 0; from < sorted.length; from += POINTS_PER_REQUEST) {
      const batch = sorted.slice(from, from + POINTS_PER_REQUEST);
      const knownIds = new Set<string>();
      const takenTimes = new Set<string>();
      for await (const { values } of this.near('moves', 'id', batch.map(startMs))) {
        const { ms, nanoseconds } = fromNanoTime(values[0] as string);
        takenTimes.add(nanoTime(ms, nanoseconds));
        knownIds.add(`${ms} ${values[1] as string}`);
      }
      const lines: string[] = [];
      for (const record of batch) {
        const ms = startMs(record);
        if (knownIds.has(`${ms} ${record.id}`)) continue;
        let nanoseconds = placeInMillisecond(record.id);
        while (takenTimes.has(nanoTime(ms, nanoseconds)))
          nanoseconds = (nanoseconds + 1) % NANOSECONDS_PER_MS;
        const time = nanoTime(ms, nanoseconds);
        takenTimes.add(time);
        lines.push(moveLine(record, time));
      }
      await this.write(lines);
      added += lines.length;
    }
    return { new: added, known: records.length - added };
  }

  addLinkSamples(samples: readonly LinkSample[]): Promise<AddCounts> {
    return this.addSamples(
      'link_samples',
      'link',
      samples,
      (sample) => sample.link,
      (sample) => [
        numberField('throughput_mbps', sample.throughput_mbps),
        ...(sample.capacity_mbps === undefined ? [] : [numberField('capacity_mbps', sample.capacity_mbps)]),
      ],
    );
  }

  addInstanceSamples(samples: readonly InstanceSample[]): Promise<AddCounts> {
    return this.addSamples(
      'instance_samples',
      'instance',
      samples,
      (sample) => sample.instance,
      (sample) => {
        const fields = ['present=true']; // a point needs a field, a sample may have none
        for (const field of SAMPLE_FIELDS) {
          const value = sample[field];
          if (value !== undefined) fields.push(numberField(field, value));
        }
        return fields;
      },
    );
  }

  async keepPredictions(predictions: readonly KeptPrediction[]): Promise<AddCounts> {
    this.checkOpen();
    const byMove = new Map<string, KeptPrediction>();
    for (const kept of predictions) if (!byMove.has(kept.move_id)) byMove.set(kept.move_id, kept);
    const byBucket = new Map<string, KeptPrediction[]>();
    for (const kept of byMove.values()) {
      const bucket = bucketOf(kept.move_id);
      const others = byBucket.get(bucket);
      if (others === undefined) byBucket.set(bucket, [kept]);
      else others.push(kept);
    }
    let added = 0;
    for (const [bucket, all] of byBucket) {
      for (let from = 0; from < all.length; from += MOST_WINDOWS) {
        const batch = all.slice(from, from + MOST_WINDOWS);
        const placeholders: Record<string, string> = { bucket };
        const anyOf = batch.map((kept, i) => {
          placeholders[`id${i}`] = kept.move_id;
          return `"move_id" = $id${i}`;
        });
        const known = new Set<InfluxValue>();
        const query = `SELECT "move_id" FROM "kept_predictions" WHERE "bucket" = $bucket AND (${anyOf.join(' OR ')})`;
        for await (const { values } of this.connection.stream(query, placeholders)) known.add(values[1]!);
        const fresh = batch.filter((kept) => !known.has(kept.move_id));
        await this.write(
          fresh.map(
            (kept) =>
              `kept_predictions${tag('bucket', bucket)} ${textField('move_id', kept.move_id)},${textField(
                'prediction',
                JSON.stringify(kept.prediction),
              )} ${nanoTime(Date.parse(kept.predicted_at), placeInMillisecond(kept.move_id))}`,
          ),
        );
        added += fresh.length;
      }
    }
    return { new: added, known: predictions.length - added };
  }

  async *moves(filter: MoveFilter = {}): AsyncGenerator<MoveRecord> {
    const { newestFirst = false, limit = Infinity } = filter;
    const { where, placeholders } = conditions(filter, [
      ...clusterCondition(filter.cluster),
      ...equals('instance', filter.instance),
      ...equals('source_node', filter.sourceNode, tagValue),
      ...equals('target_node', filter.targetNode, tagValue),
      ...equals('operation', filter.operation),
      ...(filter.finishedByMs === undefined ? [] : [{ clause: `"finished_ms" <= ${filter.finishedByMs}` }]),
    ]);
    const query = `SELECT ${MOVE_COLUMNS} FROM "moves" ${where} ORDER BY time ${newestFirst ? 'DESC' : 'ASC'}`;
    let left = limit;
    if (left <= 0) return;
    for await (const record of inOrder(
      this.read(query, placeholders),
      moveOf,
      startMs,
      (move) => [move.id],
      newestFirst,
    )) {
      yield record;
      left -= 1;
      if (left <= 0) return;
    }
  }

  async move(id: string): Promise<MoveRecord | undefined> {
    this.checkOpen();
    const query = `SELECT ${MOVE_COLUMNS} FROM "moves" WHERE "id" = $id ORDER BY time ASC LIMIT 1`;
    const [row] = await this.connection.ask(query, { id });
    return row === undefined ? undefined : moveOf(row);
  }

  async *linkSamples(filter: SampleFilter = {}): AsyncGenerator<LinkSample> {
    const { where, placeholders } = conditions(filter, [
      ...clusterCondition(filter.cluster),
      ...equals('link', filter.key, tagValue),
    ]);
    const query = `SELECT "throughput_mbps","capacity_mbps","link","cluster" FROM "link_samples" ${where}`;
    yield* inOrder(this.read(query, placeholders), linkSampleOf, sampleMs, (sample) => [
      sample.link,
      sample.cluster ?? DEFAULT_CLUSTER,
    ]);
  }

  async *instanceSamples(filter: SampleFilter = {}): AsyncGenerator<InstanceSample> {
    const { where, placeholders } = conditions(filter, [
      ...clusterCondition(filter.cluster),
      ...equals('instance', filter.key, tagValue),
    ]);
    const query = `SELECT ${INSTANCE_SAMPLE_COLUMNS} FROM "instance_samples" ${where}`;
    yield* inOrder(this.read(query, placeholders), instanceSampleOf, sampleMs, (sample) => [
      sample.instance,
      sample.cluster ?? DEFAULT_CLUSTER,
    ]);
  }

  async *keptPredictions(filter: { fromMs?: number; toMs?: number } = {}): AsyncGenerator<KeptPrediction> {
    const { where, placeholders } = conditions(filter, []);
    const query = `SELECT "move_id","prediction" FROM "kept_predictions" ${where}`;
    yield* inOrder(
      this.read(query, placeholders),
      ({ values }): KeptPrediction => ({
        predicted_at: toIsoTime(fromNanoTime(values[0] as string).ms),
        move_id: values[1] as string,
        prediction: JSON.parse(values[2] as string) as Prediction,
      }),
      (kept) => Date.parse(kept.predicted_at),
      (kept) => [kept.move_id],
    );
  }

  async latestInstanceSample(
    instance: string,
    atMs: number,
    cluster?: string,
  ): Promise<InstanceSample | undefined> {
    this.checkOpen();
    const { where, placeholders } = conditions({ toMs: Math.floor(atMs) + 1 }, [
      ...clusterCondition(cluster),
      ...equals('instance', instance, tagValue),
    ]);
    const [row] = await this.connection.ask(
      `SELECT ${INSTANCE_SAMPLE_COLUMNS} FROM "instance_samples" ${where} ORDER BY time DESC LIMIT 1`,
      placeholders,
    );
    return row === undefined ? undefined : instanceSampleOf(row);
  }

  async info(): Promise<StoreInfo> {
    this.checkOpen();
    const counts = await this.counts('');
    const edge = async (direction: 'ASC' | 'DESC'): Promise<string | undefined> => {
      const [row] = await this.connection.ask(
        `SELECT "duration_seconds" FROM "moves" ORDER BY time ${direction} LIMIT 1`,
      );
      return row === undefined ? undefined : toIsoTime(fromNanoTime(row.values[0] as string).ms);
    };
    return {
      url: this.url,
      format: INFLUX_FORMAT,
      moves: counts.moves,
      first_started_at: await edge('ASC'),
      last_started_at: await edge('DESC'),
      link_samples: counts.link_samples,
      instance_samples: counts.instance_samples,
      kept_predictions: counts.kept_predictions,
    };
  }

  async prune(beforeMs: number): Promise<PruneCounts> {
    this.checkOpen();
    const { where } = conditions({ toMs: beforeMs }, []);
    const counts = await this.counts(where);
    for (const measurement of measurements) {
      if (counts[measurement] > 0) await this.connection.ask(`DELETE FROM ${quoted(measurement)} ${where}`);
    }
    return counts;
  }

  async close(): Promise<void> {
    if (!this.open) return;
    this.open = false;
    this.connection.close();
  }

  private async addSamples<T extends { at: string; cluster?: string | undefined }>(
    measurement: 'link_samples' | 'instance_samples',
    keyTag: 'link' | 'instance',
    samples: readonly T[],
    key: (sample: T) => string,
    fields: (sample: T) => string[],
  ): Promise<AddCounts> {
    this.checkOpen();
    const identity = (ms: number, name: string, cluster: string): string =>
      JSON.stringify([ms, name, cluster]);
    const sorted = [...samples].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
    let added = 0;
    for (let from = 0; from < sorted.length; from += POINTS_PER_REQUEST) {
      const batch = sorted.slice(from, from + POINTS_PER_REQUEST);
      const known = new Set<string>();
      const columns = `${COUNTED_FIELD[measurement]}","${keyTag}","cluster`;
      for await (const { values } of this.near(
        measurement,
        columns,
        batch.map((sample) => Date.parse(sample.at)),
      )) {
        const { ms } = fromNanoTime(values[0] as string);
        known.add(
          identity(
            ms,
            tagText(values[2] as string),
            tagText((values[3] as string | null) ?? DEFAULT_CLUSTER),
          ),
        );
      }
      const lines: string[] = [];
      for (const sample of batch) {
        const ms = Date.parse(sample.at);
        const cluster = sample.cluster ?? DEFAULT_CLUSTER;
        const name = identity(ms, key(sample), cluster);
        if (known.has(name)) continue;
        known.add(name);
        const clusterTag = cluster === DEFAULT_CLUSTER ? '' : tag('cluster', cluster);
        lines.push(
          `${measurement}${clusterTag}${tag(keyTag, key(sample))} ${fields(sample).join(',')} ${nanoTime(ms, 0)}`,
        );
      }
      await this.write(lines);
      added += lines.length;
    }
    return { new: added, known: samples.length - added };
  }

  /** What stands in the milliseconds of the given times (in order), and a little between them. */
  private async *near(
    measurement: string,
    columns: string,
    times: readonly number[],
  ): AsyncGenerator<InfluxRow> {
    const query = timeWindows(times)
      .map(
        ([fromMs, toMs]) =>
          `SELECT "${columns}" FROM "${measurement}" WHERE time >= ${fromMs}ms AND time < ${toMs}ms`,
      )
      .join(';');
    if (query !== '') yield* this.connection.stream(query);
  }

  private async *read(query: string, placeholders: Record<string, string>): AsyncGenerator<InfluxRow> {
    this.checkOpen();
    yield* this.connection.stream(query, placeholders);
  }

  private async write(lines: readonly string[]): Promise<void> {
    if (lines.length > 0) await this.connection.write(lines.join('\n'));
  }

  private async counts(where: string): Promise<PruneCounts> {
    const counts: PruneCounts = { moves: 0, link_samples: 0, instance_samples: 0, kept_predictions: 0 };
    for (const measurement of measurements) {
      const [row] = await this.connection.ask(
        `SELECT count(${quoted(COUNTED_FIELD[measurement])}) FROM ${quoted(measurement)} ${where}`,
      );
      counts[measurement] = row === undefined ? 0 : (row.values[1] as number);
    }
    return counts;
  }

  private checkOpen(): void {
    if (!this.open) throw new UserError('store-unavailable', `the store ${this.url} is closed`);
  }
}

const measurements = Object.keys(COUNTED_FIELD) as (keyof PruneCounts)[];
const INSTANCE_SAMPLE_COLUMNS = ['present', ...SAMPLE_FIELDS, 'instance', 'cluster'].map(quoted).join(',');

/** Reads or writes the number of the layout; makes the database when it is missing. */
async function prepareLayout(connection: InfluxConnection, nowMs: number): Promise<void> {
  const query = 'SELECT "format" FROM "movecast" ORDER BY time DESC LIMIT 1';
  let row: InfluxRow | undefined;
  try {
    [row] = await connection.ask(query);
  } catch (error) {
    if (!(error instanceof InfluxDatabaseMissing)) throw error;
    await connection.createDatabase();
  }
  const format = row?.values[1];
  if (format === undefined || format === null) {
    await connection.write(`movecast ${numberField('format', INFLUX_FORMAT)} ${nanoTime(nowMs, 0)}`);
  } else if (format !== INFLUX_FORMAT) {
    throw new UserError(
      'store-format',
      `the store ${connection.address.url} has format ${format}, written by a newer movecast; this one reads format ${INFLUX_FORMAT}: upgrade movecast or give another database`,
    );
  }
}

function moveLine(record: MoveRecord, time: string): string {
  let line = 'moves';
  if (record.cluster !== undefined) line += tag('cluster', record.cluster);
  line += tag('operation', record.operation);
  line += tag('source_node', record.source_node);
  line += tag('target_node', record.target_node);
  const fields = [numberField('finished_ms', finishMs(record))];
  for (const field of TEXT_FIELDS) {
    const text = record[field];
    if (text !== undefined) fields.push(textField(field, text));
  }
  for (const field of NUMBER_FIELDS) {
    const value = record[field];
    if (value !== undefined) fields.push(numberField(field, value));
  }
  for (const field of JSON_FIELDS) {
    const value = record[field];
    if (value !== undefined) fields.push(textField(field, JSON.stringify(value)));
  }
  return `${line} ${fields.join(',')} ${time}`;
}

function moveOf(row: InfluxRow): MoveRecord {
  const value = cells(row);
  const cluster = value('cluster') as string | null;
  const move: MoveRecord = {
    id: value('id') as string,
    instance: value('instance') as string,
    source_node: tagText(value('source_node') as string),
    target_node: tagText(value('target_node') as string),
    operation: value('operation') as Operation,
    started_at: toIsoTime(fromNanoTime(value('time') as string).ms),
    duration_seconds: value('duration_seconds') as number,
  };
  if (cluster !== null) move.cluster = tagText(cluster);
  const origin = value('origin');
  if (origin !== null) move.origin = origin as string;
  const status = value('status');
  if (status !== null) move.status = status as MoveStatus;
  for (const field of NUMBER_FIELDS) {
    const number = value(field);
    if (number !== null) move[field] = number as number;
  }
  const capabilities = value('capabilities');
  if (capabilities !== null) move.capabilities = JSON.parse(capabilities as string) as string[];
  const labels = value('labels');
  if (labels !== null) move.labels = JSON.parse(labels as string) as NonNullable<MoveRecord['labels']>;
  return move;
}

function linkSampleOf(row: InfluxRow): LinkSample {
  const value = cells(row);
  const capacity = value('capacity_mbps');
  return {
    at: toIsoTime(fromNanoTime(value('time') as string).ms),
    ...namedCluster(value('cluster')),
    link: tagText(value('link') as string),
    throughput_mbps: value('throughput_mbps') as number,
    ...(capacity !== null && { capacity_mbps: capacity as number }),
  };
}

function instanceSampleOf(row: InfluxRow): InstanceSample {
  const value = cells(row);
  const sample: InstanceSample = {
    at: toIsoTime(fromNanoTime(value('time') as string).ms),
    ...namedCluster(value('cluster')),
    instance: tagText(value('instance') as string),
  };
  for (const field of SAMPLE_FIELDS) {
    const number = value(field);
    if (number !== null) sample[field] = number as number;
  }
  return sample;
}

/** A row's values by column. */
const cells =
  ({ columns, values }: InfluxRow) =>
  (column: string): InfluxValue =>
    values[columns.indexOf(column)] ?? null;

const namedCluster = (value: InfluxValue): { cluster?: string } =>
  value === null ? {} : { cluster: tagText(value as string) };

const sampleMs = (sample: { at: string }): number => Date.parse(sample.at);

const bucketOf = (moveId: string): string =>
  ((hash32(moveId) >>> 16) % BUCKETS).toString(16).padStart(2, '0');

/** Rows arrive by time to the nanosecond; the promise is by millisecond, ties by key. Holds one millisecond's rows. */
async function* inOrder<T>(
  rows: AsyncIterable<InfluxRow>,
  itemOf: (row: InfluxRow) => T,
  timeOf: (item: T) => number,
  keyOf: (item: T) => readonly string[],
  newestFirst = false,
): AsyncGenerator<T> {
  let together: T[] = [];
  const byKey = (): T[] => {
    if (together.length < 2) return together;
    return together.sort((a, b) => (newestFirst ? -1 : 1) * compareKeys(keyOf(a), keyOf(b)));
  };
  for await (const row of rows) {
    const item = itemOf(row);
    if (together.length > 0 && timeOf(item) !== timeOf(together[0]!)) {
      yield* byKey();
      together = [];
    }
    together.push(item);
  }
  yield* byKey();
}

function compareKeys(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < a.length; i++) {
    if (a[i]! < b[i]!) return -1;
    if (a[i]! > b[i]!) return 1;
  }
  return 0;
}

interface Condition {
  clause: string;
  name?: string;
  value?: string;
}

const equals = (
  name: string,
  value: string | undefined,
  encode: (text: string) => string = (text) => text,
): Condition[] =>
  value === undefined ? [] : [{ clause: `"${name}" = $${name}`, name, value: encode(value) }];

/** A tag that is absent reads as empty. */
const clusterCondition = (cluster: string | undefined): Condition[] =>
  cluster === DEFAULT_CLUSTER
    ? [{ clause: '("cluster" = $cluster OR "cluster" = \'\')', name: 'cluster', value: cluster }]
    : equals('cluster', cluster, tagValue);

/** Epoch milliseconds; any time of ours lies inside, and InfluxDB can hold both. */
const FIRST_MS = 0;
const LAST_MS = Date.parse('2262-01-01T00:00:00Z');

function conditions(
  { fromMs = -Infinity, toMs = Infinity }: { fromMs?: number; toMs?: number },
  more: readonly Condition[],
): { where: string; placeholders: Record<string, string> } {
  const bound = (ms: number): number => Math.min(LAST_MS, Math.max(FIRST_MS, Math.ceil(ms)));
  const clauses = [`time >= ${bound(fromMs)}ms`, `time < ${bound(toMs)}ms`];
  const placeholders: Record<string, string> = {};
  for (const { clause, name, value } of more) {
    clauses.push(clause);
    if (name !== undefined && value !== undefined) placeholders[name] = value;
  }
  return { where: `WHERE ${clauses.join(' AND ')}`, placeholders };
}

/**
 * The fewest half-open ranges of milliseconds that cover the given times (in order) without covering gaps of more
 * than a minute; of larger gaps as many as there may be ranges. O(times · log gap).
 */
export function timeWindows(times: readonly number[]): [fromMs: number, toMs: number][] {
  for (let gapMs = WINDOW_GAP_MS; ; gapMs *= 4) {
    const windows: [number, number][] = [];
    for (const ms of times) {
      const last = windows[windows.length - 1];
      if (last !== undefined && ms < last[1] + gapMs) last[1] = Math.max(last[1], ms + 1);
      else windows.push([ms, ms + 1]);
    }
    if (windows.length <= MOST_WINDOWS) return windows;
  }
}
