import { readFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { makeFolders } from '../store/folders.js';
import type { TextMark } from './text-input.js';

/** How far an appended log was read: everything before is safe in the store. */
export interface LogCheckpoint {
  kind: 'log';
  mark: TextMark;
  /** 1-based number of the line at the mark. */
  nextLine: number;
  /** What the source's parser remembered there. */
  state: unknown;
}

/** A file that was read as a whole, by its size and time. */
export interface FileCheckpoint {
  kind: 'file';
  version: string;
}

/** How far a remote source was read. */
export interface RemoteCheckpoint {
  kind: 'remote';
  checkpoint: unknown;
}

/** What files that need not be read again have told of instances. */
export interface LedgerCheckpoint {
  kind: 'ledger';
  /** A ledger, or what it was saved as. */
  ledger: unknown;
}

export type Checkpoint = LogCheckpoint | FileCheckpoint | RemoteCheckpoint | LedgerCheckpoint;

interface CheckpointsFile {
  format: number;
  entries: Record<string, Checkpoint>;
}

const FORMAT = 1;

/** Saving may take this share of the time: a file of a hundred thousand entries takes tenths of a second. */
const MOST_TIME_SHARE = 0.05;
const SAVED_EVERY_MS = 100;

/** So many are kept, the newest; a text whose checkpoint was dropped is read again, and its records are known. */
const MOST_ENTRIES = 200_000;

/**
 * How far each text was read, kept in a file. A checkpoint is set once the store has acknowledged everything before it:
 * a program that is killed reads some lines again, whose records the store knows, and skips none.
 *
 * Several programs may use one file: each writes its own entries into what the others wrote. Should two write in the
 * same moment, one entry is older than it could be, and its lines are read again.
 */
export class Checkpoints {
  readonly #path: string | undefined;
  readonly #now: () => number;
  #entries = new Map<string, Checkpoint>();
  readonly #changed = new Map<string, Checkpoint>();
  #savedMs: number;
  #savingMs = 0;

  /** Without a path they live in memory alone. A file that cannot be understood counts as none. */
  constructor(path: string | undefined, now: () => number) {
    this.#path = path;
    this.#now = now;
    this.#entries = this.#load();
    this.#savedMs = now();
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Checkpoint | undefined {
    return this.#entries.get(key);
  }

  /** Notes how far a text is safe; `save` makes it last. */
  set(key: string, checkpoint: Checkpoint): void {
    this.#entries.delete(key); // the newest stand last
    this.#entries.set(key, checkpoint);
    this.#changed.set(key, checkpoint);
  }

  /**
   * Forgets everything, as the store did: before anything is stored, so that a program that is killed then has not left
   * the old ones to go by. @throws UserError `cannot-write`
   */
  async clear(): Promise<void> {
    this.#entries.clear();
    this.#changed.clear();
    if (this.#path === undefined) return;
    try {
      await rm(this.#path, { force: true });
    } catch (error) {
      throw cannotWrite(error, this.#path);
    }
  }

  /** Saves when the last time is long enough ago. */
  async saveSometimes(): Promise<void> {
    const pauseMs = Math.max(SAVED_EVERY_MS, this.#savingMs / MOST_TIME_SHARE);
    if (this.#now() - this.#savedMs >= pauseMs) await this.save();
  }

  /** Writes what changed, in one step: a reader sees the old file or the new one. @throws UserError `cannot-write` */
  async save(): Promise<void> {
    if (this.#path === undefined || this.#changed.size === 0) return;
    const beganMs = this.#now();
    const merged = this.#load();
    for (const [key, checkpoint] of this.#changed) {
      merged.delete(key);
      merged.set(key, checkpoint);
    }
    const surplus = merged.size - MOST_ENTRIES;
    if (surplus > 0) for (const key of [...merged.keys()].slice(0, surplus)) merged.delete(key);
    const content: CheckpointsFile = { format: FORMAT, entries: Object.fromEntries(merged) };
    const temporary = `${this.#path}.${process.pid}.tmp`;
    try {
      makeFolders(dirname(this.#path));
      const file = await open(temporary, 'w', 0o600); // a parser's state may hold lines of the log
      try {
        await file.writeFile(JSON.stringify(content));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.#path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw cannotWrite(error, this.#path);
    }
    this.#changed.clear();
    this.#entries = merged;
    this.#savedMs = this.#now();
    this.#savingMs = this.#savedMs - beganMs;
  }

  #load(): Map<string, Checkpoint> {
    if (this.#path === undefined) return new Map();
    try {
      const { format, entries } = JSON.parse(readFileSync(this.#path, 'utf8')) as CheckpointsFile;
      return new Map(format === FORMAT ? Object.entries(entries) : []);
    } catch {
      return new Map();
    }
  }
}

const cannotWrite = (error: unknown, path: string): UserError =>
  new UserError(
    'cannot-write',
    `${systemErrorSentence(error, path)}; the place beside the store must be writable, to note how far logs were read`,
  );
