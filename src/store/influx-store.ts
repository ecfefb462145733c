import { UserError } from '../domain/errors.js';
import { DEFAULT_CLUSTER, finishMs, startMs, type MoveRecord } from '../domain/move-record.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';
import { MS_PER_DAY, toIsoTime } from '../domain/units.js';
import { clusterCondition, conditions, equals, timeWindows } from './influx-conditions.js';
import {
  InfluxConnection,
  InfluxDatabaseMissing,
  type InfluxAddress,
  type InfluxRow,
  type Placeholders,
} from './influx-connection.js';
import {
  COUNTED_FIELD,
  KEPT_COLUMNS,
  MOVE_COLUMNS,
  SAMPLE_COLUMNS,
  SAMPLE_FIELDS,
  bucketOf,
  instanceSampleLine,
  instanceSampleOf,
  keptLine,
  keptOf,
  linkSampleLine,
  linkSampleOf,
  measurements,
  moveLine,
  moveOf,
  quoted,
  sampleMeasurements,
  sampleMs,
  type SampleMeasurement,
} from './influx-points.js';
import { addNew, type Entry, type KnownPoint, type Layout } from './influx-writer.js';
import {
  fromNanoTime,
  nanoTime,
  numberField,
  placeInMillisecond,
  tagText,
  tagValue,
  textField,
} from './line-protocol.js';
import { DEFAULT_RETRY, retrying, type RetryPolicy } from './retry.js';
import {
  COARSE_SPAN_MS,
  coarseBefore,
  noStore,
  type AddCounts,
  type KeptPrediction,
  type MoveFilter,
  type PruneCounts,
  type Retention,
  type SampleFilter,
  type Store,
  type StoreInfo,
} from './store.js';
import { inOrder, merged } from './time-order.js';

/** Number of the layout described in docs/stores.md. */
const INFLUX_FORMAT = 1;

export interface InfluxStoreOptions {
  /** How long the server may be silent in a call. @default 30 s */
  timeoutMs?: number;
  /** For programs that only read: a database that is not there, or is of another program, is an error, not an empty store. */
  mustExist?: boolean;
  /** Epoch milliseconds. @default Date.now */
  now?: () => number;
  /** How long a server that went away after it had been there is waited for. */
  retry?: Partial<RetryPolicy>;
}

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

  private constructor(
    private readonly connection: InfluxConnection,
    private readonly retry: RetryPolicy,
    private readonly now: () => number,
  ) {
    this.url = connection.address.url;
  }

  /** Connects; makes the database when it is missing and the user may. */
  static async open(
    address: InfluxAddress,
    { timeoutMs, mustExist = false, now = Date.now, retry = {} }: InfluxStoreOptions = {},
  ): Promise<InfluxStore> {
    const connection = new InfluxConnection(address, timeoutMs);
    try {
      await prepareLayout(connection, mustExist, now());
    } catch (error) {
      connection.close();
      throw error;
    }
    return new InfluxStore(connection, { ...DEFAULT_RETRY, ...retry }, now);
  }

  addMoves(records: readonly MoveRecord[]): Promise<AddCounts> {
    return this.add('moves', records, {
      identity: (record) => record.id,
      timeMs: startMs,
      place: (record) => placeInMillisecond(record.id),
      sharesTime: false,
      line: moveLine,
      known: (batch) =>
        this.near('moves', ['id'], batch, ({ values }) => ({
          identity: values[1] as string,
          time: fromNanoTime(values[0] as string),
        })),
    });
  }

  addLinkSamples(samples: readonly LinkSample[]): Promise<AddCounts> {
    return this.add('link_samples', samples, {
      ...this.sampleLayout('link_samples', 'link', (sample: LinkSample) => sample.link),
      line: linkSampleLine,
    });
  }

  addInstanceSamples(samples: readonly InstanceSample[]): Promise<AddCounts> {
    return this.add('instance_samples', samples, {
      ...this.sampleLayout('instance_samples', 'instance', (sample: InstanceSample) => sample.instance),
      line: instanceSampleLine,
    });
  }

  keepPredictions(predictions: readonly KeptPrediction[]): Promise<AddCounts> {
    return this.add('kept_predictions', predictions, {
      identity: (kept) => kept.move_id,
      timeMs: (kept) => Date.parse(kept.predicted_at),
      place: (kept) => placeInMillisecond(kept.move_id),
      sharesTime: false,
      line: keptLine,
      known: (batch) => this.knownPredictions(batch),
    });
  }

  async *moves(filter: MoveFilter = {}): AsyncGenerator<MoveRecord> {
    const {
      fromMs,
      toMs = Infinity,
      finishedByMs = Infinity,
      newestFirst = false,
      limit = Infinity,
    } = filter;
    const range = { ...(fromMs !== undefined && { fromMs }), toMs: Math.min(toMs, finishedByMs) };
    const { where, placeholders } = conditions(range, [
      ...clusterCondition(filter.cluster),
      ...equals('instance', filter.instance),
      ...equals('source_node', filter.sourceNode, tagValue),
      ...equals('target_node', filter.targetNode),
      ...equals('operation', filter.operation),
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
      if (finishMs(record) > finishedByMs) continue;
      yield record;
      left -= 1;
      if (left <= 0) return;
    }
  }

  async move(id: string): Promise<MoveRecord | undefined> {
    this.checkOpen();
    const query = `SELECT ${MOVE_COLUMNS} FROM "moves" WHERE "id" = $id ORDER BY time ASC LIMIT 1`;
    const [row] = await this.ask(query, { id });
    return row === undefined ? undefined : moveOf(row);
  }

  async *linkSamples(filter: SampleFilter = {}): AsyncGenerator<LinkSample> {
    yield* this.samples('link_samples', 'link', filter, linkSampleOf, (sample) => sample.link);
  }

  async *instanceSamples(filter: SampleFilter = {}): AsyncGenerator<InstanceSample> {
    yield* this.samples(
      'instance_samples',
      'instance',
      filter,
      instanceSampleOf,
      (sample) => sample.instance,
    );
  }

  async *keptPredictions(filter: { fromMs?: number; toMs?: number } = {}): AsyncGenerator<KeptPrediction> {
    const { where, placeholders } = conditions(filter, []);
    const query = `SELECT ${KEPT_COLUMNS} FROM "kept_predictions" ${where}`;
    yield* inOrder(
      this.read(query, placeholders),
      keptOf,
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
    const latest = async (coarse: boolean): Promise<InstanceSample | undefined> => {
      const untilMs = Math.floor(atMs) + 1;
      const { where, placeholders } = conditions({ toMs: coarse ? untilMs - COARSE_SPAN_MS : untilMs }, [
        ...clusterCondition(cluster),
        ...equals('instance', instance, tagValue),
      ]);
      const [row] = await this.ask(
        `SELECT ${SAMPLE_COLUMNS.instance_samples} FROM ${quoted(`${coarse ? 'coarse_' : ''}instance_samples`)} ${where} ORDER BY time DESC LIMIT 1`,
        placeholders,
      );
      return row === undefined ? undefined : instanceSampleOf(row, coarse ? COARSE_SPAN_MS : 0);
    };
    return (await latest(false)) ?? latest(true);
  }

  async info(): Promise<StoreInfo> {
    this.checkOpen();
    const counts = await this.counts('');
    const { coarseBeforeMs } = await this.settings();
    if (coarseBeforeMs > 0) {
      const { where } = conditions({ toMs: coarseBeforeMs }, []);
      counts.link_samples += await this.count('coarse_link_samples', '"throughput_mbps"', where);
      counts.instance_samples += await this.count('coarse_instance_samples', '*', where);
    }
    const edge = async (direction: 'ASC' | 'DESC'): Promise<string | undefined> => {
      const [row] = await this.ask(
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
    for (const measurement of measurements)
      if (counts[measurement] > 0) await this.remove(measurement, beforeMs);
    for (const measurement of sampleMeasurements)
      await this.remove(`coarse_${measurement}`, beforeMs - COARSE_SPAN_MS);
    return counts;
  }

  async retention(): Promise<Retention> {
    return (await this.settings()).retention;
  }

  async setRetention(retention: Retention): Promise<void> {
    this.checkOpen();
    await this.setSettings({ ...(await this.settings()), retention });
    const { database } = this.connection.address;
    const makesCoarse = retention.samples_days !== undefined && retention.coarse_samples_days !== 0;
    for (const measurement of sampleMeasurements) {
      const name = `${quoted(`movecast_${measurement}`)} ON ${quoted(database)}`;
      await this.ask(`DROP CONTINUOUS QUERY ${name}`).catch(ignoreMissing);
      if (makesCoarse)
        await this.ask(
          `CREATE CONTINUOUS QUERY ${name} RESAMPLE FOR ${LATE_SAMPLES} BEGIN ${coarsen(measurement, '')} END`,
        );
    }
  }

  async applyRetention(nowMs: number): Promise<PruneCounts> {
    const settings = await this.settings();
    const { moves_days, samples_days, coarse_samples_days } = settings.retention;
    const counts: PruneCounts = { moves: 0, link_samples: 0, instance_samples: 0, kept_predictions: 0 };
    const count = async (measurement: keyof PruneCounts, beforeMs: number): Promise<void> => {
      counts[measurement] = (await this.counts(conditions({ toMs: beforeMs }, []).where))[measurement];
      if (counts[measurement] > 0) await this.remove(measurement, beforeMs);
    };
    if (moves_days !== undefined) {
      await count('moves', nowMs - moves_days * MS_PER_DAY);
      await count('kept_predictions', nowMs - moves_days * MS_PER_DAY);
    }
    if (samples_days !== undefined) {
      const beforeMs = coarseBefore(nowMs - samples_days * MS_PER_DAY);
      // What came too late for the continuous query. Only of spans that are still there as they were measured.
      const late = conditions({ fromMs: settings.coarseBeforeMs, toMs: beforeMs }, []).where;
      for (const measurement of sampleMeasurements)
        if (coarse_samples_days !== 0) await this.ask(coarsen(measurement, late));
      await this.setSettings({ ...settings, coarseBeforeMs: Math.max(settings.coarseBeforeMs, beforeMs) });
      for (const measurement of sampleMeasurements) await count(measurement, beforeMs);
    }
    if (coarse_samples_days !== undefined) {
      const beforeMs = nowMs - coarse_samples_days * MS_PER_DAY - COARSE_SPAN_MS;
      for (const measurement of sampleMeasurements) await this.remove(`coarse_${measurement}`, beforeMs);
    }
    return counts;
  }

  async close(): Promise<void> {
    if (!this.open) return;
    this.open = false;
    this.connection.close();
  }

  private async add<T>(what: string, items: readonly T[], layout: Layout<T>): Promise<AddCounts> {
    this.checkOpen();
    return addNew(this.connection, { what, items, layout, retry: this.retry });
  }

  private async *samples<T extends LinkSample | InstanceSample>(
    measurement: SampleMeasurement,
    keyTag: 'link' | 'instance',
    filter: SampleFilter,
    sampleOf: (row: InfluxRow, shiftMs: number) => T,
    key: (sample: T) => string,
  ): AsyncGenerator<T> {
    this.checkOpen();
    const { coarseBeforeMs } = await this.settings();
    const read = (
      name: string,
      range: { fromMs?: number; toMs?: number },
      shiftMs: number,
    ): AsyncGenerator<T> => {
      const { where, placeholders } = conditions(range, [
        ...clusterCondition(filter.cluster),
        ...equals(keyTag, filter.key, tagValue),
      ]);
      return inOrder(
        this.read(`SELECT ${SAMPLE_COLUMNS[measurement]} FROM ${quoted(name)} ${where}`, placeholders),
        (row) => sampleOf(row, shiftMs),
        sampleMs,
        (sample) => [key(sample), sample.cluster ?? DEFAULT_CLUSTER],
      );
    };
    const { fromMs = -Infinity, toMs = Infinity } = filter;
    const measured = read(measurement, { fromMs, toMs }, 0);
    if (coarseBeforeMs === 0) {
      yield* measured;
      return;
    }
    const range = { fromMs: fromMs - COARSE_SPAN_MS, toMs: Math.min(toMs - COARSE_SPAN_MS, coarseBeforeMs) };
    yield* merged(read(`coarse_${measurement}`, range, COARSE_SPAN_MS), measured, sampleMs);
  }

  private async settings(): Promise<Settings> {
    this.checkOpen();
    const [row] = await this.ask(
      'SELECT "retention","coarse_before_ms" FROM "movecast" WHERE "retention" != \'\' ORDER BY time DESC LIMIT 1',
    );
    if (row === undefined) return { retention: {}, coarseBeforeMs: 0 };
    return {
      retention: JSON.parse(row.values[1] as string) as Retention,
      coarseBeforeMs: row.values[2] as number,
    };
  }

  private async setSettings({ retention, coarseBeforeMs }: Settings): Promise<void> {
    const fields = [
      numberField('format', INFLUX_FORMAT),
      textField('retention', JSON.stringify(retention)),
      numberField('coarse_before_ms', coarseBeforeMs),
    ];
    const line = `movecast ${fields.join(',')} ${nanoTime(this.now(), 0)}`;
    await this.retried(() => this.connection.write([line]));
  }

  private async remove(measurement: string, beforeMs: number): Promise<void> {
    await this.ask(`DELETE FROM ${quoted(measurement)} ${conditions({ toMs: beforeMs }, []).where}`);
  }

  /** What links' and instances' samples have in common. */
  private sampleLayout<T extends LinkSample | InstanceSample>(
    measurement: 'link_samples' | 'instance_samples',
    keyTag: 'link' | 'instance',
    key: (sample: T) => string,
  ): Omit<Layout<T>, 'line'> {
    const identity = (ms: number, name: string, cluster: string): string =>
      JSON.stringify([ms, name, cluster]);
    return {
      identity: (sample) => identity(sampleMs(sample), key(sample), sample.cluster ?? DEFAULT_CLUSTER),
      timeMs: sampleMs,
      place: () => 0,
      sharesTime: true,
      known: (batch) =>
        this.near(measurement, [COUNTED_FIELD[measurement], keyTag, 'cluster'], batch, ({ values }) => ({
          identity: identity(
            fromNanoTime(values[0] as string).ms,
            tagText(values[2] as string),
            tagText((values[3] as string | null) ?? DEFAULT_CLUSTER),
          ),
        })),
    };
  }

  /** What stands in the milliseconds of a batch (in order of time), and a little between them. */
  private async near<T>(
    measurement: string,
    columns: readonly string[],
    batch: readonly Entry<T>[],
    pointOf: (row: InfluxRow) => KnownPoint,
  ): Promise<KnownPoint[]> {
    const query = timeWindows(batch.map((entry) => entry.ms))
      .map(
        ([fromMs, toMs]) =>
          `SELECT ${columns.map(quoted).join(',')} FROM ${quoted(measurement)} WHERE time >= ${fromMs}ms AND time < ${toMs}ms`,
      )
      .join(';');
    const points: KnownPoint[] = [];
    for await (const row of this.connection.stream(query)) points.push(pointOf(row));
    return points;
  }

  /** Predictions are known by their move alone, whenever they were made. */
  private async knownPredictions(batch: readonly Entry<KeptPrediction>[]): Promise<KnownPoint[]> {
    const byBucket = new Map<string, string[]>();
    for (const { identity } of batch) {
      const bucket = bucketOf(identity);
      const others = byBucket.get(bucket);
      if (others === undefined) byBucket.set(bucket, [identity]);
      else others.push(identity);
    }
    const placeholders: Record<string, string> = {};
    let names = 0;
    const statements = [...byBucket].map(([bucket, ids]) => {
      const anyOf = ids.map((id) => {
        const name = `id${(names += 1)}`;
        placeholders[name] = id;
        return `"move_id" = $${name}`;
      });
      return `SELECT "move_id" FROM "kept_predictions" WHERE "bucket" = '${bucket}' AND (${anyOf.join(' OR ')})`;
    });
    const points: KnownPoint[] = [];
    for await (const { values } of this.connection.stream(statements.join(';'), placeholders))
      points.push({ identity: values[1] as string });
    return points;
  }

  /** Streams rows. Begins again when the server is gone before the first row; later it is too late for that. */
  private async *read(query: string, placeholders: Record<string, string>): AsyncGenerator<InfluxRow> {
    this.checkOpen();
    const { rows, first } = await this.retried(async () => {
      const stream = this.connection.stream(query, placeholders);
      return { rows: stream, first: await stream.next() };
    });
    if (first.done === true) return;
    try {
      yield first.value;
      yield* rows;
    } finally {
      await rows.return(undefined);
    }
  }

  private ask(query: string, placeholders?: Placeholders): Promise<InfluxRow[]> {
    return this.retried(() => this.connection.ask(query, placeholders));
  }

  private retried<T>(work: () => Promise<T>): Promise<T> {
    return retrying(work, this.retry);
  }

  private async counts(where: string): Promise<PruneCounts> {
    const counts: PruneCounts = { moves: 0, link_samples: 0, instance_samples: 0, kept_predictions: 0 };
    for (const measurement of measurements)
      counts[measurement] = await this.count(measurement, quoted(COUNTED_FIELD[measurement]), where);
    return counts;
  }

  /** Points that have a field, or for `*` the most that any field has. */
  private async count(measurement: string, field: string, where: string): Promise<number> {
    const [row] = await this.ask(`SELECT count(${field}) FROM ${quoted(measurement)} ${where}`);
    return row === undefined ? 0 : Math.max(...row.values.slice(1).map(Number));
  }

  private checkOpen(): void {
    if (!this.open) throw new UserError('store-unavailable', `the store ${this.url} is closed`);
  }
}

/** What is kept in the database beside the data. */
interface Settings {
  retention: Retention;
  /** Samples before this are read as means; 0: none. Epoch milliseconds, a multiple of the span. */
  coarseBeforeMs: number;
}

/** The continuous query looks at so much of the past again; what comes later is added when retention is applied. */
const LATE_SAMPLES = '1h';

/** Means over whole spans, as InfluxDB makes them: at the beginning of each span. */
function coarsen(measurement: SampleMeasurement, where: string): string {
  const mean = (field: string): string => `mean(${quoted(field)}) AS ${quoted(field)}`;
  const means =
    measurement === 'link_samples'
      ? `${mean('throughput_mbps')},max("capacity_mbps") AS "capacity_mbps"`
      : SAMPLE_FIELDS.map(mean).join(',');
  return `SELECT ${means} INTO ${quoted(`coarse_${measurement}`)} FROM ${quoted(measurement)} ${where} GROUP BY time(${COARSE_SPAN_MS}ms), *`;
}

/** A continuous query that is not there is none to drop. */
function ignoreMissing(error: unknown): void {
  if (!(error instanceof UserError) || !/continuous query not found/i.test(error.message)) throw error;
}

/** Reads or writes the number of the layout; makes the database when it is missing. */
async function prepareLayout(connection: InfluxConnection, mustExist: boolean, nowMs: number): Promise<void> {
  const query = 'SELECT "format" FROM "movecast" ORDER BY time DESC LIMIT 1';
  let row: InfluxRow | undefined;
  try {
    [row] = await connection.ask(query);
  } catch (error) {
    if (!(error instanceof InfluxDatabaseMissing)) throw error;
    if (mustExist) throw noStore(connection.address.url);
    await connection.createDatabase();
  }
  const format = row?.values[1];
  if (format === undefined || format === null) {
    if (mustExist) throw noStore(connection.address.url);
    await connection.write([`movecast ${numberField('format', INFLUX_FORMAT)} ${nanoTime(nowMs, 0)}`]);
  } else if (format !== INFLUX_FORMAT) {
    throw new UserError(
      'store-format',
      `the store ${connection.address.url} has format ${format}, written by a newer movecast; this one reads format ${INFLUX_FORMAT}: upgrade movecast or give another database`,
    );
  }
}
