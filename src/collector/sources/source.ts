/**
 * A log source: text in, findings out. Pure (no files, no clock) and incremental, so that the pipeline may feed it
 * from a file of any size, stop, and go on later.
 */

import type { ClusterLedger } from '../cluster-ledger.js';

/** What a source finds in its text. The pipeline validates every `value` with the domain's parse functions. */
export type Finding =
  | {
      /** A raw move record (no `id` needed: the pipeline gives a stable one), or a raw sample. */
      kind: 'move' | 'link-sample' | 'instance-sample';
      value: Record<string, unknown>;
      /** 1-based line where it stands or ends. */
      line: number;
      /** The text for the rejects file when the value proves invalid. @default the value as JSON */
      text?: string;
    }
  | {
      /** A line (or several, joined) that belongs to the format but cannot become a record. */
      kind: 'reject';
      line: number;
      /** One clause that says what is wrong and, where it helps, what is expected. */
      reason: string;
      text: string;
    }
  | {
      /** The text as a whole is not of this format (a table without a required column): nothing after it is read. */
      kind: 'unreadable';
      line: number;
      /** One clause that says what is wrong and what to do. */
      reason: string;
    };

/** What was known of an instance at some moment: fields of a move record. */
export interface InstanceFacts {
  memory_mib?: number;
  vcpus?: number;
  disk_mib?: number;
}

/** What a source may know besides its text. */
export interface SourceContext {
  /** Path as the user gave it, or `-` for standard input; some formats carry the instance or the job in it. */
  fileName: string;
  /** Cluster of the log, when the user said. */
  cluster?: string;
  /** Node whose log this is, when the user said. */
  node?: string;
  /** Epoch milliseconds at which the text was written at the latest (the file's time): for dates without a year. */
  nowMs: number;
  /** Minutes east of UTC for times without a zone. @default 0 */
  timeZoneOffsetMinutes?: number;
  /** IANA name, such as `Europe/Berlin`, for times without a zone: knows summer time; wins over the minutes. */
  timeZone?: string;
  /** What some logs do not name themselves, when the user said: the machine that moved. */
  instance?: string;
  /** Where it moved from, for logs that do not say. @default `node` */
  sourceNode?: string;
  /** Where it moved to, for logs that do not say. */
  targetNode?: string;
  /** Epoch milliseconds at which the (first) move of a text without any times began. */
  startedAtMs?: number;
  /** What earlier texts of the same run told of instances: their size, and where they were. Shared by all files. */
  ledger?: ClusterLedger;
  /** What a cluster snapshot says about an instance, as of a moment; never from later. */
  factsOf?: (instance: string, atMs: number) => InstanceFacts | undefined;
}

/**
 * Feeds on lines, yields findings. Never throws because of its text, and holds a bounded amount of it.
 *
 * All that a parser remembers between lines is its `state()`, a JSON value: it is saved with the checkpoint, and
 * `source.parser(context, state)` goes on as if it had never stopped. State does not grow without bound: a move that
 * was opened and never closed is given up after a stated number of others.
 */
export interface LogParser {
  /** One line without its end (`\n` or `\r\n`), with its 1-based number. */
  line(text: string, number: number): Iterable<Finding>;
  /** The text is over: what was still open comes out, or is rejected as cut off. State is saved before this. */
  end(): Iterable<Finding>;
  /** What it remembers, as plain JSON; `undefined` when nothing. */
  state(): unknown;
}

/** One log format. One file a format, registered in `registry.ts`. */
export interface LogSource {
  /** As on the command line: `collect NAME`. */
  readonly name: string;
  /** One line for `collect --help`. */
  readonly summary: string;
  /**
   * `line`: an appended log, read on from where the last run stopped. `file`: the whole file is one reply or job,
   * findings come at `end()`, and a file that changed is read again as a whole.
   */
  readonly unit: 'line' | 'file';
  /** Raise it when the shape of `state()` or the meaning of findings changes: older checkpoints are then read anew. */
  readonly version: number;
  /** A longer line is rejected without being held in memory. For `unit: 'file'` also the bound of the whole file. */
  readonly longestLineBytes: number;
  /** True when a line that is not UTF-8 is to be rejected; else it is read as Latin-1, as old logs were written. @default false */
  readonly strictUtf8?: boolean;
  /** True when every file is complete in itself, as a table is: no move begins in one file and ends in the next. @default false */
  readonly standsAlone?: boolean;
  /** True for a log that tells of every move of its cluster: where it shows no other move, there was none. @default never */
  tellsEveryMove?(fileName: string): boolean;
  /** 0 to 1: how sure this text (the first `DETECTION_BYTES`) is ours. */
  detect(head: string, fileName: string): number;
  /** Which files of a folder are ours. @default every regular file that is not hidden */
  ownsFile?(fileName: string): boolean;
  parser(context: SourceContext, state?: unknown): LogParser;
}

/** What one poll of a remote source brought. The checkpoint is saved once the store has acknowledged the findings. */
export interface RemoteBatch {
  findings: Finding[];
  /** JSON value from which the next poll goes on. */
  checkpoint: unknown;
}

/** What a remote source is given. */
export interface RemoteContext extends Omit<SourceContext, 'fileName' | 'nowMs'> {
  /** Epoch milliseconds. */
  now: () => number;
  /** What the last run's last batch left; `undefined` at the first time. */
  checkpoint: unknown;
  /** PEM file of the authority that signed the server's certificate. */
  caFile?: string;
  /** File with `user:password` (or `user password`) in its first line. */
  credentialsFile?: string;
  /** Aborted when the program is to end. */
  signal: AbortSignal;
}

/** A source that is asked over the network, such as Ganeti's RAPI. With `--follow` it is polled again and again. */
export interface RemoteSource {
  readonly name: string;
  readonly summary: string;
  /** Raise it when the shape of the checkpoint changes. */
  readonly version: number;
  /** True when it tells of every move of its cluster: where it shows no other move, there was none. @default false */
  readonly tellsEveryMove?: boolean;
  /** Asks once for everything since the checkpoint. Errors: `UserError`, never with a secret in it. */
  poll(url: string, context: RemoteContext): AsyncIterable<RemoteBatch>;
}

/** So many first bytes of a file are enough to tell what it is. */
export const DETECTION_BYTES = 16_384;

/** The usual bound of one line: a thousand times the longest log line that we have seen. */
export const USUAL_LINE_BYTES = 1 << 20;
