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
import { MS_PER_DAY, toIsoTime } from '../domain/units.js';
import {
  InfluxConnection,
  InfluxDatabaseMissing,
  type InfluxAddress,
  type InfluxRow,
  type InfluxValue,
  type Placeholders,
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
import { DEFAULT_RETRY, retrying, type RetryPolicy } from './retry.js';
import {
  COARSE_SPAN_MS,
  RefusedItemsError,
  coarseBefore,
  type AddCounts,
  type KeptPrediction,
  type MoveFilter,
  type PruneCounts,
  type RefusedItem,
  type Retention,
  type SampleFilter,
  type Store,
  type StoreInfo,
} from './store.js';

/** Number of the layout described in docs/stores.md. */
export const INFLUX_FORMAT = 1;

/** Items looked up at once: a query for fewer costs nearly as much. */
const ITEMS_PER_LOOKUP = 5000;
/**
 * Points a request, and requests under way at once. InfluxData recommends 5000 a request; of half as many the server stores one
 * while the next is written, which is faster in sum (`npm run bench:store`).
 */
const POINTS_PER_REQUEST = 2500;
const REQUESTS_AT_ONCE = 2;
/** Characters after which a request is full, however few points it has: InfluxDB takes 25 MB by default. */
const CHARACTERS_PER_REQUEST = 4_000_000;
/** Ranges of time asked for at once when looking for what is known already. */
const MOST_WINDOWS = 500;
/** Times nearer than this are asked for in one range. */
const WINDOW_GAP_MS = 60_000;
/** Kept predictions are looked up by move id alone: a tag with so many values divides what has to be searched. */
const BUCKETS = 256;

const OPTIONAL_NUMBERS = [
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
const TEXT_FIELDS = [
  'id',
  'instance',
  'target_node',
  'origin',
  'status',
] as const satisfies readonly (keyof MoveRecord)[];
const JSON_FIELDS = ['capabilities', 'labels'] as const satisfies readonly (keyof MoveRecord)[];
const MOVE_TAGS = ['cluster', 'operation', 'source_node'] as const;
const SAMPLE_FIELDS = ['dirty_rate_mib_s', 'used_memory_mib', 'cpu_load'] as const;

const quoted = (name: string): string => `"${name}"`;
const MOVE_COLUMNS = ['duration_seconds', ...TEXT_FIELDS, ...OPTIONAL_NUMBERS, ...JSON_FIELDS, ...MOVE_TAGS]
  .map(quoted)
  .join(',');

/** A field that every point of the measurement has, to count by, and all measurements that hold data. */
const COUNTED_FIELD = {
  moves: 'duration_seconds',
  link_samples: 'throughput_mbps',
  instance_samples: 'present',
  kept_predictions: 'move_id',
} as const satisfies Record<keyof PruneCounts, string>;

export interface InfluxStoreOptions {
  /** How long the server may be silent in a call. @default 30 s */
  timeoutMs?: number;
  /** Epoch milliseconds. @default Date.now */
  now?: () => number;
  /** How long a server that went away after it had been there is waited for. */
  retry?: Partial<RetryPolicy>;
}

/** An item on its way into the database. */
interface Entry<T> {
  item: T;
  /** Among the items of the call. */
  index: number;
  identity: string;
  ms: number;
}

/** A point that is there already. */
interface KnownPoint {
  identity: string;
  /** Where points of one time are not told apart by their tags. */
  time?: { ms: number; nanoseconds: number };
}

/** How one kind of data becomes points. */
interface Layout<T> {
  /** What makes an item the same as another. */
  identity: (item: T) => string;
  timeMs: (item: T) => number;
  /** Nanoseconds within the millisecond. */
  place: (item: T) => number;
  /** True when points of one time are told apart by their tags; else each has a time of its own. */
  sharesTime: boolean;
  line: (item: T, time: string) => string;
  /** Which of the batch are there already; may give more. */
  known: (batch: readonly Entry<T>[]) => Promise<KnownPoint[]>;
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
    { timeoutMs, now = Date.now, retry = {} }: InfluxStoreOptions = {},
  ): Promise<InfluxStore> {
    const connection = new InfluxConnection(address, timeoutMs);
    try {
      await prepareLayout(connection, now());
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
      line: (sample, time) => {
        let line = `link_samples${sampleTags(sample, 'link', sample.link)} `;
        line += numberField('throughput_mbps', sample.throughput_mbps);
        if (sample.capacity_mbps !== undefined)
          line += `,${numberField('capacity_mbps', sample.capacity_mbps)}`;
        return `${line} ${time}`;
      },
    });
  }

  addInstanceSamples(samples: readonly InstanceSample[]): Promise<AddCounts> {
    return this.add('instance_samples', samples, {
      ...this.sampleLayout('instance_samples', 'instance', (sample: InstanceSample) => sample.instance),
      line: (sample, time) => {
        let line = `instance_samples${sampleTags(sample, 'instance', sample.instance)} present=true`;
        for (const field of SAMPLE_FIELDS) {
          const value = sample[field];
          if (value !== undefined) line += `,${numberField(field, value)}`;
        }
        return `${line} ${time}`;
      },
    });
  }

  keepPredictions(predictions: readonly KeptPrediction[]): Promise<AddCounts> {
    return this.add('kept_predictions', predictions, {
      identity: (kept) => kept.move_id,
      timeMs: (kept) => Date.parse(kept.predicted_at),
      place: (kept) => placeInMillisecond(kept.move_id),
      sharesTime: false,
      line: (kept, time) =>
        `kept_predictions${tag('bucket', bucketOf(kept.move_id))} ${textField('move_id', kept.move_id)},${textField(
          'prediction',
          JSON.stringify(kept.prediction),
        )} ${time}`,
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
      (row) => (cells(row)('id') === null ? undefined : moveOf(row)), // points of another program
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

  /**
   * Writes what is not known yet, in order of time, in batches; while one is on its way the next is looked up.
   *
   * @throws RefusedItemsError when all the others are stored.
   */
  private async add<T>(what: string, items: readonly T[], layout: Layout<T>): Promise<AddCounts> {
    this.checkOpen();
    const entries = new Map<string, Entry<T>>();
    for (const [index, item] of items.entries()) {
      const identity = layout.identity(item);
      if (!entries.has(identity)) entries.set(identity, { item, index, identity, ms: layout.timeMs(item) });
    }
    const sorted = [...entries.values()].sort((a, b) => a.ms - b.ms);
    // Times that points have which are there already, and places within the millisecond that is being filled.
    const taken = new Set<number>();
    let filledMs = NaN;
    const filled = new Set<number>();
    const refused: RefusedItem[] = [];
    let field: string | undefined;
    let added = 0;
    const underWay = new Set<Promise<void>>();
    let failed: unknown;
    const write = async (part: readonly Entry<T>[], lines: readonly string[]): Promise<void> => {
      while (underWay.size >= REQUESTS_AT_ONCE) await Promise.race(underWay);
      if (failed !== undefined) return;
      const request: Promise<void> = this.retried(() => this.connection.write(lines))
        .then(
          (refusedLines) => {
            for (const { index, reason } of refusedLines) refused.push({ index: part[index]!.index, reason });
            added += lines.length - refusedLines.length;
          },
          (error: unknown) => {
            failed ??= error;
          },
        )
        .finally(() => underWay.delete(request));
      underWay.add(request);
    };
    for (let from = 0; from < sorted.length && failed === undefined; from += ITEMS_PER_LOOKUP) {
      const batch = sorted.slice(from, from + ITEMS_PER_LOOKUP);
      const known = new Set<string>();
      try {
        for (const { identity, time } of await this.retried(() => layout.known(batch))) {
          known.add(identity);
          if (time !== undefined) taken.add(timeKey(time.ms, time.nanoseconds));
        }
      } catch (error) {
        failed ??= error;
        break;
      }
      let lines: string[] = [];
      let part: Entry<T>[] = [];
      let characters = 0;
      for (const entry of batch) {
        if (known.has(entry.identity)) continue;
        let nanoseconds = layout.place(entry.item);
        if (!layout.sharesTime) {
          if (entry.ms !== filledMs) {
            filledMs = entry.ms;
            filled.clear();
          }
          while (filled.has(nanoseconds) || taken.has(timeKey(entry.ms, nanoseconds)))
            nanoseconds = (nanoseconds + 1) % NANOSECONDS_PER_MS;
          filled.add(nanoseconds);
        }
        try {
          const line = layout.line(entry.item, nanoTime(entry.ms, nanoseconds));
          lines.push(line);
          part.push(entry);
          characters += line.length;
        } catch (error) {
          if (!(error instanceof UserError)) throw error;
          field ??= error.field;
          refused.push({ index: entry.index, reason: error.message });
        }
        if (lines.length >= POINTS_PER_REQUEST || characters >= CHARACTERS_PER_REQUEST) {
          await write(part, lines);
          lines = [];
          part = [];
          characters = 0;
        }
      }
      if (lines.length > 0) await write(part, lines);
    }
    await Promise.all(underWay);
    if (failed !== undefined) throw failed;
    const counts: AddCounts = { new: added, known: items.length - added - refused.length };
    if (refused.length === 0) return counts;
    refused.sort((a, b) => a.index - b.index);
    throw new RefusedItemsError(
      `the store ${this.url} refused ${refused.length} of ${items.length} ${what.replaceAll('_', ' ')}, the first: ${refused[0]!.reason}; all others are stored`,
      refused,
      counts,
      field,
    );
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

const measurements = Object.keys(COUNTED_FIELD) as (keyof PruneCounts)[];
const sampleMeasurements = ['link_samples', 'instance_samples'] as const;
type SampleMeasurement = (typeof sampleMeasurements)[number];
const SAMPLE_COLUMNS = {
  link_samples: ['throughput_mbps', 'capacity_mbps', 'link', 'cluster'].map(quoted).join(','),
  instance_samples: ['present', ...SAMPLE_FIELDS, 'instance', 'cluster'].map(quoted).join(','),
} as const satisfies Record<SampleMeasurement, string>;

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
    await connection.write([`movecast ${numberField('format', INFLUX_FORMAT)} ${nanoTime(nowMs, 0)}`]);
  } else if (format !== INFLUX_FORMAT) {
    throw new UserError(
      'store-format',
      `the store ${connection.address.url} has format ${format}, written by a newer movecast; this one reads format ${INFLUX_FORMAT}: upgrade movecast or give another database`,
    );
  }
}

function moveLine(record: MoveRecord, time: string): string {
  let line = record.cluster === undefined ? 'moves' : `moves${tag('cluster', record.cluster)}`;
  line += tag('operation', record.operation);
  line += tag('source_node', record.source_node);
  line += ` ${numberField('duration_seconds', record.duration_seconds)}`;
  for (const field of TEXT_FIELDS) {
    const text = record[field];
    if (text !== undefined) line += `,${textField(field, text)}`;
  }
  for (const field of OPTIONAL_NUMBERS) {
    const value = record[field];
    if (value !== undefined) line += `,${numberField(field, value)}`;
  }
  for (const field of JSON_FIELDS) {
    const value = record[field];
    if (value !== undefined) line += `,${textField(field, JSON.stringify(value))}`;
  }
  return `${line} ${time}`;
}

function moveOf(row: InfluxRow): MoveRecord {
  const value = cells(row);
  const cluster = value('cluster') as string | null;
  const move: MoveRecord = {
    id: value('id') as string,
    instance: value('instance') as string,
    source_node: tagText(value('source_node') as string),
    target_node: value('target_node') as string,
    operation: value('operation') as Operation,
    started_at: toIsoTime(fromNanoTime(value('time') as string).ms),
    duration_seconds: value('duration_seconds') as number,
  };
  if (cluster !== null) move.cluster = tagText(cluster);
  const origin = value('origin');
  if (origin !== null) move.origin = origin as string;
  const status = value('status');
  if (status !== null) move.status = status as MoveStatus;
  for (const field of OPTIONAL_NUMBERS) {
    const number = value(field);
    if (number !== null) move[field] = number as number;
  }
  const capabilities = value('capabilities');
  if (capabilities !== null) move.capabilities = JSON.parse(capabilities as string) as string[];
  const labels = value('labels');
  if (labels !== null) move.labels = JSON.parse(labels as string) as NonNullable<MoveRecord['labels']>;
  return move;
}

function linkSampleOf(row: InfluxRow, shiftMs: number): LinkSample {
  const value = cells(row);
  const capacity = value('capacity_mbps');
  return {
    at: toIsoTime(fromNanoTime(value('time') as string).ms + shiftMs),
    ...namedCluster(value('cluster')),
    link: tagText(value('link') as string),
    throughput_mbps: value('throughput_mbps') as number,
    ...(capacity !== null && { capacity_mbps: capacity as number }),
  };
}

function instanceSampleOf(row: InfluxRow, shiftMs: number): InstanceSample {
  const value = cells(row);
  const sample: InstanceSample = {
    at: toIsoTime(fromNanoTime(value('time') as string).ms + shiftMs),
    ...namedCluster(value('cluster')),
    instance: tagText(value('instance') as string),
  };
  for (const field of SAMPLE_FIELDS) {
    const number = value(field);
    if (number !== null) sample[field] = number as number;
  }
  return sample;
}

/** The tags of a sample. The default cluster is the one of samples that name none: it is not written. */
function sampleTags(sample: { cluster?: string | undefined }, keyTag: string, key: string): string {
  const { cluster = DEFAULT_CLUSTER } = sample;
  return `${cluster === DEFAULT_CLUSTER ? '' : tag('cluster', cluster)}${tag(keyTag, key)}`;
}

/** Where each column of an answer stands; the rows of a chunk share one list of columns. */
const places = new WeakMap<readonly string[], ReadonlyMap<string, number>>();

/** A row's values by column. */
function cells({ columns, values }: InfluxRow): (column: string) => InfluxValue {
  let placeOf = places.get(columns);
  if (placeOf === undefined) {
    placeOf = new Map(columns.map((column, place) => [column, place]));
    places.set(columns, placeOf);
  }
  const found = placeOf;
  return (column) => values[found.get(column) ?? -1] ?? null;
}

const namedCluster = (value: InfluxValue): { cluster?: string } =>
  value === null ? {} : { cluster: tagText(value as string) };

const sampleMs = (sample: { at: string }): number => Date.parse(sample.at);

/**
 * A moment as one exact number (33 and 20 bits), which a set of numbers holds at a fraction of a string's cost. Repeats
 * after 99 days: then a place that is free counts as taken, and its neighbour serves as well.
 */
const timeKey = (ms: number, nanoseconds: number): number => (ms % 2 ** 33) * 2 ** 20 + nanoseconds;

const bucketOf = (moveId: string): string =>
  ((hash32(moveId) >>> 16) % BUCKETS).toString(16).padStart(2, '0');

/** Rows arrive by time to the nanosecond; the promise is by millisecond, ties by key. Holds one millisecond's rows. */
async function* inOrder<T>(
  rows: AsyncIterable<InfluxRow>,
  itemOf: (row: InfluxRow) => T | undefined,
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
    if (item === undefined) continue;
    if (together.length > 0 && timeOf(item) !== timeOf(together[0]!)) {
      yield* byKey();
      together = [];
    }
    together.push(item);
  }
  yield* byKey();
}

/** Two streams in order of time as one; of equal times the first stream's. */
async function* merged<T>(
  first: AsyncGenerator<T>,
  second: AsyncGenerator<T>,
  timeOf: (item: T) => number,
): AsyncGenerator<T> {
  try {
    let a = await first.next();
    let b = await second.next();
    while (a.done !== true || b.done !== true) {
      if (b.done === true || (a.done !== true && timeOf(a.value) <= timeOf(b.value))) {
        yield a.value as T;
        a = await first.next();
      } else {
        yield b.value;
        b = await second.next();
      }
    }
  } finally {
    await first.return(undefined);
    await second.return(undefined);
  }
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
