import { dirname } from 'node:path';
import Database from 'libsql';
import { UserError, systemErrorSentence } from '../domain/errors.js';
import type { MoveRecord } from '../domain/move-record.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';
import { makeFolders } from './folders.js';
import type { KeptPrediction } from './store.js';

/** What may wait in the spool, by kind. */
export interface SpooledItems {
  moves: MoveRecord;
  link_samples: LinkSample;
  instance_samples: InstanceSample;
  kept_predictions: KeptPrediction;
}
export type SpooledKind = keyof SpooledItems;

/** A batch that waits, in the words of one call to the store. */
export type SpooledBatch = {
  [K in SpooledKind]: { number: number; kind: K; items: readonly SpooledItems[K][] };
}[SpooledKind];

/** Days of an ordinary cluster's moves and samples; small beside any disk. */
export const DEFAULT_SPOOL_MIB = 256;
const BYTES_PER_MIB = 1 << 20;
/** How long to wait for another process that is writing to the same spool. */
const BUSY_TIMEOUT_MS = 10_000;

/**
 * A bounded queue of batches in a file, for a store that is down. A batch is on the disk when `append` returns
 * (synchronous = FULL: also after a power cut), goes out in the order in which it came, and stays until it is
 * acknowledged. A write torn by `kill -9` is undone when the file is next opened. Several processes may use it at once.
 *
 * It is an SQLite file because that gives all of this; files of our own would have to earn it again.
 */
export class Spool {
  private constructor(
    readonly path: string,
    private readonly limitBytes: number,
    private readonly database: Database.Database,
  ) {}

  /** Opens or makes the file. @throws UserError `cannot-write` */
  static open(path: string, limitMib: number = DEFAULT_SPOOL_MIB): Spool {
    let database: Database.Database | undefined;
    try {
      makeFolders(dirname(path));
      database = new Database(path);
      database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
      database.exec(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE IF NOT EXISTS batches (
           number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, count INTEGER NOT NULL,
           bytes INTEGER NOT NULL, items TEXT NOT NULL
         )`,
      );
    } catch (error) {
      database?.close();
      throw cannotUse(error, path);
    }
    return new Spool(path, limitMib * BYTES_PER_MIB, database);
  }

  /** How much waits. */
  waiting(): { batches: number; items: number; bytes: number } {
    const row = this.database
      .prepare(
        'SELECT count(*) AS batches, coalesce(sum(count), 0) AS items, coalesce(sum(bytes), 0) AS bytes FROM batches',
      )
      .get() as { batches: number; items: number; bytes: number };
    return { batches: row.batches, items: row.items, bytes: row.bytes };
  }

  /**
   * Puts a batch at the end. It is safe on return.
   *
   * @throws UserError `store-unavailable` when the spool is full, `cannot-write`; then nothing of it is kept.
   */
  append<K extends SpooledKind>(kind: K, items: readonly SpooledItems[K][]): void {
    const text = JSON.stringify(items);
    const bytes = Buffer.byteLength(text);
    try {
      this.database.exec('BEGIN IMMEDIATE');
      if (this.waiting().bytes + bytes > this.limitBytes)
        throw new UserError(
          'store-unavailable',
          `the spool ${this.path} is full (${this.limitBytes / BYTES_PER_MIB} MiB wait for the store): bring the store back, or allow more`,
        );
      this.database
        .prepare('INSERT INTO batches (kind, count, bytes, items) VALUES (?, ?, ?, ?)')
        .run([kind, items.length, bytes, text]);
      this.database.exec('COMMIT');
    } catch (error) {
      if (this.database.inTransaction) this.database.exec('ROLLBACK');
      throw cannotUse(error, this.path);
    }
  }

  /** The batch that has waited longest; undefined when none waits. */
  first(): SpooledBatch | undefined {
    const row = this.database
      .prepare('SELECT number, kind, items FROM batches ORDER BY number LIMIT 1')
      .get() as { number: number; kind: SpooledKind; items: string } | undefined;
    if (row === undefined) return undefined;
    return { number: row.number, kind: row.kind, items: JSON.parse(row.items) } as SpooledBatch;
  }

  /** Removes a batch that the store has taken. */
  acknowledge(number: number): void {
    this.database.prepare('DELETE FROM batches WHERE number = ?').run([number]);
  }

  close(): void {
    this.database.close();
  }
}

function cannotUse(error: unknown, path: string): UserError {
  if (error instanceof UserError) return error;
  const code = (error as { code?: unknown } | null)?.code;
  if (code === 'SQLITE_FULL')
    return new UserError('store-unavailable', `no space left on the disk for the spool ${path}; make room`);
  return new UserError(
    'cannot-write',
    `${systemErrorSentence(error, `the spool ${path} cannot be used`)}; give another folder, or move the file away`,
  );
}
