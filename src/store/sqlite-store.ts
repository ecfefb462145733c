import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate as yieldToOthers, setTimeout as sleep } from 'node:timers/promises';
import Database from 'libsql';
import { UserError, systemErrorSentence } from '../domain/errors.js';
import { DEFAULT_CLUSTER, finishMs, startMs, type MoveRecord } from '../domain/move-record.js';
import type { Prediction } from '../domain/prediction.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';
import { MS_PER_DAY, toIsoTime } from '../domain/units.js';
import { makeFolders } from './folders.js';
import {
  COARSE_SPAN_MS,
  coarseBefore,
  type AddCounts,
  type KeptPrediction,
  type MoveFilter,
  type PruneCounts,
  type Retention,
  type SampleFilter,
  type Store,
  type StoreInfo,
} from './store.js';

/** Number of the layout below; raised whenever an older movecast could not read the file. */
const SQLITE_FORMAT = 2;

/** "Move" in ASCII: tells our files from other SQLite files. */
const APPLICATION_ID = 0x4d6f7665;

/** How long a writer waits for another process's transaction: many times the slowest batch, short enough to be noticed. */
const BUSY_TIMEOUT_MS = 10_000;
/** Pause between attempts to enter WAL mode, which does not wait by itself. */
const WAL_RETRY_MS = 20;
/** Rows a transaction: beyond a thousand the cost of a commit no longer shows, and other processes get their turn soon. */
const ROWS_PER_TRANSACTION = 2000;
/** Rows read at once: a few hundred kilobytes. */
const ROWS_PER_PAGE = 1000;

/**
 * Pages held in memory, in MiB, and pages of the log after which it is folded into the file. Ids arrive in no order, so
 * that each batch touches pages all over their index: with SQLite's own 2 MB and 1000 pages the same pages are written
 * again and again, at half the speed (`npm run bench:store`).
 */
const CACHE_MIB = 32;
const CHECKPOINT_PAGES = 8000;

/** A sample as it was measured has the span 0; a coarse one the milliseconds that end at `at_ms`. */
const SAMPLES_LAYOUT = `
CREATE TABLE link_samples (
  link TEXT NOT NULL, at_ms INTEGER NOT NULL, cluster TEXT NOT NULL, span_ms INTEGER NOT NULL,
  throughput_mbps REAL NOT NULL, capacity_mbps REAL,
  PRIMARY KEY (link, at_ms, cluster, span_ms)
) WITHOUT ROWID;
CREATE UNIQUE INDEX link_samples_by_time ON link_samples (at_ms, link, cluster, span_ms);
CREATE TABLE instance_samples (
  instance TEXT NOT NULL, at_ms INTEGER NOT NULL, cluster TEXT NOT NULL, span_ms INTEGER NOT NULL,
  dirty_rate_mib_s REAL, used_memory_mib REAL, cpu_load REAL,
  PRIMARY KEY (instance, at_ms, cluster, span_ms)
) WITHOUT ROWID;
CREATE UNIQUE INDEX instance_samples_by_time ON instance_samples (at_ms, instance, cluster, span_ms);
CREATE TABLE settings (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`;

/** Format 1 had no coarse samples and no settings. */
const FROM_FORMAT_1 = `
DROP INDEX link_samples_by_time;
DROP INDEX instance_samples_by_time;
ALTER TABLE link_samples RENAME TO link_samples_1;
ALTER TABLE instance_samples RENAME TO instance_samples_1;
${SAMPLES_LAYOUT}
INSERT INTO link_samples SELECT link, at_ms, cluster, 0, throughput_mbps, capacity_mbps FROM link_samples_1;
INSERT INTO instance_samples
  SELECT instance, at_ms, cluster, 0, dirty_rate_mib_s, used_memory_mib, cpu_load FROM instance_samples_1;
DROP TABLE link_samples_1;
DROP TABLE instance_samples_1;
`;

/** Means of the samples as measured before a moment (a multiple of the span), by table: a statement with that moment. */
const COARSEN = {
  link_samples: `INSERT INTO link_samples
    SELECT link, (at_ms / ${COARSE_SPAN_MS} + 1) * ${COARSE_SPAN_MS}, cluster, ${COARSE_SPAN_MS},
      avg(throughput_mbps), max(capacity_mbps)
    FROM link_samples WHERE at_ms < ? AND span_ms = 0 GROUP BY link, at_ms / ${COARSE_SPAN_MS}, cluster
    ON CONFLICT DO NOTHING`,
  instance_samples: `INSERT INTO instance_samples
    SELECT instance, (at_ms / ${COARSE_SPAN_MS} + 1) * ${COARSE_SPAN_MS}, cluster, ${COARSE_SPAN_MS},
      avg(dirty_rate_mib_s), avg(used_memory_mib), avg(cpu_load)
    FROM instance_samples WHERE at_ms < ? AND span_ms = 0 GROUP BY instance, at_ms / ${COARSE_SPAN_MS}, cluster
    ON CONFLICT DO NOTHING`,
} as const;

/** Rows lie in the order of arrival, which is nearly that of time; an index more costs a third of the writing speed. */
const LAYOUT = `
CREATE TABLE moves (
  id TEXT NOT NULL UNIQUE, started_ms INTEGER NOT NULL, finished_ms REAL NOT NULL,
  cluster TEXT NOT NULL, instance TEXT NOT NULL, source_node TEXT NOT NULL, target_node TEXT NOT NULL,
  operation TEXT NOT NULL, record TEXT NOT NULL
);
CREATE INDEX moves_by_start ON moves (started_ms);
${SAMPLES_LAYOUT}CREATE TABLE kept_predictions (
  move_id TEXT NOT NULL PRIMARY KEY, predicted_ms INTEGER NOT NULL, predicted_at TEXT NOT NULL, prediction TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX kept_predictions_by_time ON kept_predictions (predicted_ms, move_id);
`;

type Value = string | number | null;
type Row = Record<string, Value>;

/** How rows of one table are read in order: by time, ties by key. */
interface Order {
  table: string;
  columns: string;
  time: string;
  keys: readonly string[];
}

const ORDERS = {
  moves: { table: 'moves', columns: 'started_ms, id, record', time: 'started_ms', keys: ['id'] },
  link_samples: {
    table: 'link_samples',
    columns: 'at_ms, link, cluster, span_ms, throughput_mbps, capacity_mbps',
    time: 'at_ms',
    keys: ['link', 'cluster', 'span_ms'],
  },
  instance_samples: {
    table: 'instance_samples',
    columns: 'at_ms, instance, cluster, span_ms, dirty_rate_mib_s, used_memory_mib, cpu_load',
    time: 'at_ms',
    keys: ['instance', 'cluster', 'span_ms'],
  },
  kept_predictions: {
    table: 'kept_predictions',
    columns: 'predicted_ms, move_id, predicted_at, prediction',
    time: 'predicted_ms',
    keys: ['move_id'],
  },
} as const satisfies Record<string, Order>;

/**
 * The embedded store: one SQLite file (WAL, so that several processes read and write it at once), or `:memory:`.
 * A record is kept whole as JSON beside the columns that it is looked up by, so that it comes back exactly as it went in.
 */
export class SqliteStore implements Store {
  readonly url: string;
  private open = true;
  /** The file that was opened. */
  private readonly file: string | undefined;
  private readonly statements = new Map<string, Database.Statement>();

  private constructor(
    private readonly path: string,
    private readonly database: Database.Database,
  ) {
    this.url = `sqlite:${path}`;
    this.file = identityOf(path);
  }

  /** Opens or makes the file, and the folders that lead to it. */
  static async open(path: string, cacheMib = CACHE_MIB): Promise<SqliteStore> {
    const url = `sqlite:${path}`;
    if (path !== ':memory:') {
      try {
        makeFolders(dirname(path));
      } catch (error) {
        throw new UserError(
          'store-unavailable',
          `${systemErrorSentence(error, `cannot make the folder of the store ${url}`)}; give another path with --store`,
        );
      }
    }
    let database: Database.Database | undefined;
    try {
      database = new Database(path);
      database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
      await enterWal(database);
      database.exec(
        `PRAGMA synchronous = NORMAL; PRAGMA cache_size = -${Math.round(cacheMib * 1024)}; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`,
      );
      prepareLayout(database, url);
    } catch (error) {
      database?.close();
      throw sqliteSentence(error, url);
    }
    return new SqliteStore(path, database);
  }

  addMoves(records: readonly MoveRecord[]): Promise<AddCounts> {
    return this.insert(
      `INSERT INTO moves (id, started_ms, finished_ms, cluster, instance, source_node, target_node, operation, record)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      records,
      (record) => [
        record.id,
        startMs(record),
        finishMs(record),
        record.cluster ?? DEFAULT_CLUSTER,
        record.instance,
        record.source_node,
        record.target_node,
        record.operation,
        JSON.stringify(record),
      ],
    );
  }

  addLinkSamples(samples: readonly LinkSample[]): Promise<AddCounts> {
    return this.insert(
      `INSERT INTO link_samples (link, at_ms, cluster, span_ms, throughput_mbps, capacity_mbps)
       VALUES (?, ?, ?, 0, ?, ?) ON CONFLICT DO NOTHING`,
      samples,
      (sample) => [
        sample.link,
        Date.parse(sample.at),
        sample.cluster ?? DEFAULT_CLUSTER,
        sample.throughput_mbps,
        sample.capacity_mbps ?? null,
      ],
    );
  }

  addInstanceSamples(samples: readonly InstanceSample[]): Promise<AddCounts> {
    return this.insert(
      `INSERT INTO instance_samples (instance, at_ms, cluster, span_ms, dirty_rate_mib_s, used_memory_mib, cpu_load)
       VALUES (?, ?, ?, 0, ?, ?, ?) ON CONFLICT DO NOTHING`,
      samples,
      (sample) => [
        sample.instance,
        Date.parse(sample.at),
        sample.cluster ?? DEFAULT_CLUSTER,
        sample.dirty_rate_mib_s ?? null,
        sample.used_memory_mib ?? null,
        sample.cpu_load ?? null,
      ],
    );
  }

  keepPredictions(predictions: readonly KeptPrediction[]): Promise<AddCounts> {
    return this.insert(
      `INSERT INTO kept_predictions (move_id, predicted_ms, predicted_at, prediction)
       VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      predictions,
      (kept) => [
        kept.move_id,
        Date.parse(kept.predicted_at),
        kept.predicted_at,
        JSON.stringify(kept.prediction),
      ],
    );
  }

  async *moves(filter: MoveFilter = {}): AsyncGenerator<MoveRecord> {
    const conditions: [string, Value | undefined][] = [
      ['started_ms >= ?', filter.fromMs],
      ['started_ms < ?', filter.toMs],
      ['finished_ms <= ?', filter.finishedByMs],
      ['cluster = ?', filter.cluster],
      ['instance = ?', filter.instance],
      ['source_node = ?', filter.sourceNode],
      ['target_node = ?', filter.targetNode],
      ['operation = ?', filter.operation],
    ];
    for await (const row of this.rows(ORDERS.moves, conditions, filter)) {
      yield JSON.parse(row['record'] as string) as MoveRecord;
    }
  }

  move(id: string): Promise<MoveRecord | undefined> {
    return this.guarded(() => {
      const row = this.statement('SELECT record FROM moves WHERE id = ?').get(id) as Row | undefined;
      return row === undefined ? undefined : (JSON.parse(row['record'] as string) as MoveRecord);
    });
  }

  async *linkSamples(filter: SampleFilter = {}): AsyncGenerator<LinkSample> {
    for await (const row of this.rows(ORDERS.link_samples, sampleConditions('link', filter))) {
      yield {
        at: toIsoTime(row['at_ms'] as number),
        ...namedCluster(row),
        link: row['link'] as string,
        throughput_mbps: row['throughput_mbps'] as number,
        ...(row['capacity_mbps'] !== null && { capacity_mbps: row['capacity_mbps'] as number }),
      };
    }
  }

  async *instanceSamples(filter: SampleFilter = {}): AsyncGenerator<InstanceSample> {
    for await (const row of this.rows(ORDERS.instance_samples, sampleConditions('instance', filter))) {
      yield instanceSampleOf(row);
    }
  }

  async *keptPredictions(filter: { fromMs?: number; toMs?: number } = {}): AsyncGenerator<KeptPrediction> {
    const conditions: [string, Value | undefined][] = [
      ['predicted_ms >= ?', filter.fromMs],
      ['predicted_ms < ?', filter.toMs],
    ];
    for await (const row of this.rows(ORDERS.kept_predictions, conditions)) {
      yield {
        move_id: row['move_id'] as string,
        predicted_at: row['predicted_at'] as string,
        prediction: JSON.parse(row['prediction'] as string) as Prediction,
      };
    }
  }

  latestInstanceSample(
    instance: string,
    atMs: number,
    cluster?: string,
  ): Promise<InstanceSample | undefined> {
    return this.guarded(() => {
      const inCluster = cluster === undefined ? '' : 'AND cluster = ?';
      const row = this.statement(
        `SELECT ${ORDERS.instance_samples.columns} FROM instance_samples
         WHERE instance = ? AND at_ms <= ? ${inCluster} ORDER BY at_ms DESC, cluster DESC, span_ms LIMIT 1`,
      ).get(...(cluster === undefined ? [instance, atMs] : [instance, atMs, cluster])) as Row | undefined;
      return row === undefined ? undefined : instanceSampleOf(row);
    });
  }

  info(): Promise<StoreInfo> {
    return this.guarded(() => {
      const row = this.statement(
        `SELECT (SELECT count(*) FROM moves) AS moves, (SELECT min(started_ms) FROM moves) AS first,
           (SELECT max(started_ms) FROM moves) AS last, (SELECT count(*) FROM link_samples) AS link_samples,
           (SELECT count(*) FROM instance_samples) AS instance_samples,
           (SELECT count(*) FROM kept_predictions) AS kept_predictions`,
      ).get() as Row;
      const time = (ms: Value | undefined): string | undefined =>
        typeof ms === 'number' ? toIsoTime(ms) : undefined;
      return {
        url: this.url,
        format: SQLITE_FORMAT,
        moves: row['moves'] as number,
        first_started_at: time(row['first']),
        last_started_at: time(row['last']),
        link_samples: row['link_samples'] as number,
        instance_samples: row['instance_samples'] as number,
        kept_predictions: row['kept_predictions'] as number,
      };
    });
  }

  prune(beforeMs: number): Promise<PruneCounts> {
    return this.guarded(() => {
      const counts: PruneCounts = { moves: 0, link_samples: 0, instance_samples: 0, kept_predictions: 0 };
      this.transaction(() => {
        for (const { table, time } of Object.values(ORDERS)) {
          counts[table] = this.statement(`DELETE FROM ${table} WHERE ${time} < ?`).run(beforeMs).changes;
        }
      });
      return counts;
    });
  }

  retention(): Promise<Retention> {
    return this.guarded(() => {
      const row = this.statement("SELECT value FROM settings WHERE name = 'retention'").get() as
        Row | undefined;
      return row === undefined ? {} : (JSON.parse(row['value'] as string) as Retention);
    });
  }

  setRetention(retention: Retention): Promise<void> {
    return this.guarded(() => {
      this.statement("INSERT OR REPLACE INTO settings (name, value) VALUES ('retention', ?)").run([
        JSON.stringify(retention),
      ]);
    });
  }

  async applyRetention(nowMs: number): Promise<PruneCounts> {
    const { moves_days, samples_days, coarse_samples_days } = await this.retention();
    return this.guarded(() => {
      const counts: PruneCounts = { moves: 0, link_samples: 0, instance_samples: 0, kept_predictions: 0 };
      const remove = (table: keyof PruneCounts, where: string, beforeMs: number): number =>
        this.statement(`DELETE FROM ${table} WHERE ${ORDERS[table].time} < ? ${where}`).run([beforeMs])
          .changes;
      this.transaction(() => {
        if (moves_days !== undefined) {
          const beforeMs = nowMs - moves_days * MS_PER_DAY;
          counts.moves = remove('moves', '', beforeMs);
          counts.kept_predictions = remove('kept_predictions', '', beforeMs);
        }
        for (const table of ['link_samples', 'instance_samples'] as const) {
          if (samples_days !== undefined) {
            const beforeMs = coarseBefore(nowMs - samples_days * MS_PER_DAY);
            if (coarse_samples_days !== 0) this.statement(COARSEN[table]).run([beforeMs]);
            counts[table] = remove(table, 'AND span_ms = 0', beforeMs);
          }
          if (coarse_samples_days !== undefined)
            remove(table, 'AND span_ms > 0', nowMs - coarse_samples_days * MS_PER_DAY);
        }
      });
      return counts;
    });
  }

  async close(): Promise<void> {
    if (!this.open) return;
    this.open = false;
    this.statements.clear();
    this.database.close();
  }

  /** Inserts in transactions of a bounded size and lets others run in between. */
  private async insert<T>(
    sql: string,
    items: readonly T[],
    values: (item: T) => Value[],
  ): Promise<AddCounts> {
    let added = 0;
    for (let from = 0; from < items.length; from += ROWS_PER_TRANSACTION) {
      const batch = items.slice(from, from + ROWS_PER_TRANSACTION);
      if (from > 0) await yieldToOthers();
      added += await this.guarded(() => {
        const statement = this.statement(sql);
        return this.transaction(() => {
          let changes = 0;
          for (const item of batch) changes += statement.run(values(item)).changes;
          return changes;
        });
      });
    }
    return { new: added, known: items.length - added };
  }

  /** Rows in order, a page at a time (keyset pagination): each page takes up where the last row's key stood. */
  private async *rows(
    order: Order,
    conditions: readonly (readonly [string, Value | undefined])[],
    { newestFirst = false, limit = Infinity }: { newestFirst?: boolean; limit?: number } = {},
  ): AsyncGenerator<Row> {
    const given = conditions.filter(([, value]) => value !== undefined) as [string, Value][];
    const orderKeys = [order.time, ...order.keys];
    const direction = newestFirst ? 'DESC' : 'ASC';
    let after: Value[] | undefined;
    let left = limit;
    while (left > 0) {
      const pageRows = Math.min(left, ROWS_PER_PAGE);
      const where = given.map(([condition]) => condition);
      if (after !== undefined) {
        where.push(
          `(${orderKeys.join(', ')}) ${newestFirst ? '<' : '>'} (${orderKeys.map(() => '?').join(', ')})`,
        );
      }
      const sql = `SELECT ${order.columns} FROM ${order.table}
        ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''}
        ORDER BY ${orderKeys.map((key) => `${key} ${direction}`).join(', ')} LIMIT ?`;
      const values = [...given.map(([, value]) => value), ...(after ?? []), pageRows];
      const page = await this.guarded(() => this.statement(sql).all(values) as Row[]);
      yield* page;
      if (page.length < pageRows) return;
      left -= page.length;
      const last = page[page.length - 1]!;
      after = orderKeys.map((key) => last[key]!);
      await yieldToOthers();
    }
  }

  private statement(sql: string): Database.Statement {
    let statement = this.statements.get(sql);
    if (statement === undefined) {
      statement = this.database.prepare(sql);
      this.statements.set(sql, statement);
    }
    return statement;
  }

  private transaction<T>(work: () => T): T {
    this.database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.refuseWithoutFile();
      this.database.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.database.inTransaction) this.database.exec('ROLLBACK');
      throw error;
    }
  }

  /** SQLite goes on writing into a file that was removed or replaced, where nobody will find it again. */
  private refuseWithoutFile(): void {
    if (this.file !== identityOf(this.path))
      throw new UserError(
        'store-unavailable',
        `the store ${this.url} was removed or replaced while it was in use; start again`,
      );
  }

  /** Runs a piece of work on the open database; what SQLite throws becomes one sentence. */
  private async guarded<T>(work: () => T): Promise<T> {
    if (!this.open) throw new UserError('store-unavailable', `the store ${this.url} is closed`);
    try {
      return work();
    } catch (error) {
      throw sqliteSentence(error, this.url);
    }
  }
}

/** WAL lets readers and one writer work at the same time. Entering it fails at once while another process does the same. */
async function enterWal(database: Database.Database): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += WAL_RETRY_MS) {
    try {
      database.exec('PRAGMA journal_mode = WAL');
      return;
    } catch (error) {
      if (resultCodeOf(error) !== 'SQLITE_BUSY' || waitedMs >= BUSY_TIMEOUT_MS) throw error;
      await sleep(WAL_RETRY_MS);
    }
  }
}

/** Makes the tables of a new file; refuses a file that is not ours or that is of a newer format. */
function prepareLayout(database: Database.Database, url: string): void {
  const pragma = (name: string): number => {
    const row = database.prepare(`PRAGMA ${name}`).get() as Row;
    return row[name] as number;
  };
  if (pragma('application_id') === APPLICATION_ID && pragma('user_version') === SQLITE_FORMAT) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    // Looked at again inside the transaction: another process may have made the tables meanwhile.
    const format = pragma('user_version');
    const tables = database.prepare('SELECT count(*) AS n FROM sqlite_master').get() as Row;
    if (pragma('application_id') === APPLICATION_ID) {
      if (format === 1) database.exec(`${FROM_FORMAT_1} PRAGMA user_version = ${SQLITE_FORMAT}`);
      if (format > SQLITE_FORMAT) {
        throw new UserError(
          'store-format',
          `the store ${url} has format ${format}, written by a newer movecast; this one reads format ${SQLITE_FORMAT}: upgrade movecast or give another file`,
        );
      }
    } else if (tables['n'] === 0 && format === 0) {
      database.exec(LAYOUT);
      database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SQLITE_FORMAT}`);
    } else {
      throw new UserError(
        'store-format',
        `${url} is a database of another program; give another file with --store`,
      );
    }
    database.exec('COMMIT');
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** What tells the file at a path from another that takes its place; undefined where there is none, as in memory. */
function identityOf(path: string): string | undefined {
  const file = statSync(path, { throwIfNoEntry: false });
  return file === undefined ? undefined : `${file.dev}:${file.ino}`;
}

function sampleConditions(key: string, filter: SampleFilter): [string, Value | undefined][] {
  return [
    ['at_ms >= ?', filter.fromMs],
    ['at_ms < ?', filter.toMs],
    ['cluster = ?', filter.cluster],
    [`${key} = ?`, filter.key],
  ];
}

/** The default cluster is the one that a sample without a cluster belongs to: it comes back unnamed. */
function namedCluster(row: Row): { cluster?: string } {
  return row['cluster'] === DEFAULT_CLUSTER ? {} : { cluster: row['cluster'] as string };
}

function instanceSampleOf(row: Row): InstanceSample {
  const sample: InstanceSample = {
    at: toIsoTime(row['at_ms'] as number),
    ...namedCluster(row),
    instance: row['instance'] as string,
  };
  for (const field of ['dirty_rate_mib_s', 'used_memory_mib', 'cpu_load'] as const) {
    const value = row[field];
    if (typeof value === 'number') sample[field] = value;
  }
  return sample;
}

/** SQLite's result codes that a user can do something about. */
const RESULT_CODES: Readonly<Record<number, string>> = {
  5: 'SQLITE_BUSY',
  6: 'SQLITE_LOCKED',
  8: 'SQLITE_READONLY',
  10: 'SQLITE_IOERR',
  11: 'SQLITE_CORRUPT',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
  26: 'SQLITE_NOTADB',
};

/** libsql does not name every extended result code; all hold the code that they extend in their low byte. */
const resultCodeOf = (error: unknown): string | undefined => {
  const raw = (error as { rawCode?: unknown } | null)?.rawCode;
  return typeof raw === 'number' ? RESULT_CODES[raw & 0xff] : undefined;
};

/** What a user can do about what SQLite says; anything else stays as it is, a bug of ours. */
function sqliteSentence(error: unknown, url: string): unknown {
  if (error instanceof UserError) return error;
  const words = error instanceof Error ? error.message : String(error);
  const unavailable = (sentence: string): UserError => new UserError('store-unavailable', sentence);
  const cannotBeOpened = (): UserError =>
    unavailable(
      `the store ${url} cannot be opened; its folder must exist and be writable, and it must be a file`,
    );
  switch (resultCodeOf(error)) {
    case 'SQLITE_NOTADB':
      return new UserError(
        'store-format',
        `${url} is not a SQLite database; give another file with --store, or move this one away`,
      );
    case 'SQLITE_CORRUPT':
      return new UserError(
        'store-format',
        `the store ${url} is damaged; export what can be read, or put a copy in its place`,
      );
    case 'SQLITE_FULL':
      return unavailable(`no space left on the disk for the store ${url}; make room, then start again`);
    case 'SQLITE_READONLY':
      return unavailable(
        `the store ${url} is read-only; make its file and its folder writable, or give another with --store`,
      );
    case 'SQLITE_CANTOPEN':
      return cannotBeOpened();
    case 'SQLITE_BUSY':
    case 'SQLITE_LOCKED':
      return unavailable(
        `the store ${url} was held by another process for more than ${BUSY_TIMEOUT_MS / 1000} s; try again`,
      );
    case 'SQLITE_IOERR':
      return unavailable(`reading or writing the store ${url} failed (${words}); check the disk`);
  }
  // What fails before SQLite is asked comes in words alone.
  if (/unable to open (database file|connection)/i.test(words)) return cannotBeOpened();
  return error;
}
