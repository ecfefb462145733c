import { UserError } from '../domain/errors.js';
import type { MoveRecord, Operation } from '../domain/move-record.js';
import type { Prediction } from '../domain/prediction.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';

/** Which moves: every given condition holds. Times are epoch milliseconds; ranges are half-open, [from, to). */
export interface MoveFilter {
  /** Started at or after. */
  fromMs?: number;
  /** Started before. */
  toMs?: number;
  /** Finished at or before: what was history at that moment. */
  finishedByMs?: number;
  cluster?: string;
  instance?: string;
  sourceNode?: string;
  targetNode?: string;
  operation?: Operation;
  /** Newest start first instead of oldest first. @default false */
  newestFirst?: boolean;
  /** At most so many. @default no limit */
  limit?: number;
}

/** Which samples. Times are epoch milliseconds, [from, to). */
export interface SampleFilter {
  fromMs?: number;
  toMs?: number;
  cluster?: string;
  /** The link or the instance. */
  key?: string;
}

/** A prediction that was given out before a move, kept to be scored against what happened. */
export interface KeptPrediction {
  move_id: string;
  predicted_at: string;
  prediction: Prediction;
}

export interface AddCounts {
  /** Stored now. */
  new: number;
  /** Already there under the same id (or the same key and time, for samples). */
  known: number;
}

/** An item of a call that a store would not take. */
export interface RefusedItem {
  /** Among the items of the call. */
  index: number;
  /** One clause. */
  reason: string;
}

/** Some items of a call were refused; all others are stored and counted. */
export class RefusedItemsError extends UserError {
  constructor(
    sentence: string,
    readonly refused: readonly RefusedItem[],
    /** What became of the others. */
    readonly counts: AddCounts,
    field?: string,
  ) {
    super('input-invalid', sentence, field);
  }
}

export interface StoreInfo {
  /** The store's address without secrets. */
  url: string;
  /** Number of the layout of the data. */
  format: number;
  moves: number;
  first_started_at: string | undefined;
  last_started_at: string | undefined;
  link_samples: number;
  instance_samples: number;
  kept_predictions: number;
}

/** What was pruned. */
export interface PruneCounts {
  moves: number;
  link_samples: number;
  instance_samples: number;
  kept_predictions: number;
}

/**
 * How many days what is kept; absent: for ever. Samples that leave `samples_days` become coarse: means over ten minutes,
 * each at the end of its ten minutes, so that none tells of a later moment than its own.
 */
export interface Retention {
  /** Moves, and predictions that were kept for them. */
  moves_days?: number;
  /** Samples as they were measured. */
  samples_days?: number;
  /** The means of samples; 0: none are made. */
  coarse_samples_days?: number;
}

/** What a coarse sample is the mean of. */
export const COARSE_SPAN_MS = 600_000;

/** The last moment not after `ms` up to which spans are whole. */
export const coarseBefore = (ms: number): number => Math.floor(ms / COARSE_SPAN_MS) * COARSE_SPAN_MS;

/**
 * What a store does. All writes are idempotent: a move by its `id`, a sample by cluster, key and time.
 * Reads stream in order of time (ties: by id), so that a million rows never stand in memory at once, and see a
 * consistent state of each row. A store may be used by several processes at the same time.
 *
 * Errors: `UserError` with code `store-unavailable` or `store-format`, `RefusedItemsError` for items that the store
 * cannot hold; never a secret in a message.
 */
export interface Store {
  /** The store's address without secrets. */
  readonly url: string;
  /** Stores records; those whose id is there already are left as they are and counted as known. */
  addMoves(records: readonly MoveRecord[]): Promise<AddCounts>;
  addLinkSamples(samples: readonly LinkSample[]): Promise<AddCounts>;
  addInstanceSamples(samples: readonly InstanceSample[]): Promise<AddCounts>;
  /** Keeps predictions for scoring; the first one for a move stays. */
  keepPredictions(predictions: readonly KeptPrediction[]): Promise<AddCounts>;

  moves(filter?: MoveFilter): AsyncIterable<MoveRecord>;
  move(id: string): Promise<MoveRecord | undefined>;
  linkSamples(filter?: SampleFilter): AsyncIterable<LinkSample>;
  instanceSamples(filter?: SampleFilter): AsyncIterable<InstanceSample>;
  keptPredictions(filter?: { fromMs?: number; toMs?: number }): AsyncIterable<KeptPrediction>;

  /** The newest sample of an instance at or before a moment; undefined when there is none. */
  latestInstanceSample(instance: string, atMs: number, cluster?: string): Promise<InstanceSample | undefined>;

  info(): Promise<StoreInfo>;
  /** Removes everything older than a moment (moves by start, samples by time). */
  prune(beforeMs: number): Promise<PruneCounts>;

  /** The store's own settings, the same for every process that uses it. */
  retention(): Promise<Retention>;
  setRetention(retention: Retention): Promise<void>;
  /** Makes samples coarse and removes what is too old, as the settings say; gives what was removed as it was measured. */
  applyRetention(nowMs: number): Promise<PruneCounts>;
  /** Finishes what is being written and frees the connection; any later call throws. */
  close(): Promise<void>;
}

/** For programs that only read, where there is nothing to be read. `url` without its password. */
export const noStore = (url: string): UserError =>
  new UserError(
    'store-unavailable',
    `${url}: there is no store; movecast collect makes one, --store names another`,
  );

/** Where a store is when nobody says: beside the work, nothing installed. */
export const DEFAULT_STORE_URL = 'sqlite:.movecast/movecast.db';
