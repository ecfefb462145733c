import { UserError } from '../domain/errors.js';
import type { MoveRecord } from '../domain/move-record.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';
import { DEFAULT_RETRY, StoreUnreachableError, pauseAfter, type RetryPolicy } from './retry.js';
import type { Spool, SpooledBatch, SpooledItems, SpooledKind } from './spool.js';
import {
  RefusedItemsError,
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

/** What a user should hear of. */
export type SpoolEvent =
  /** The store went away; what is written goes to the spool. */
  | { kind: 'down'; reason: string }
  /** The store is back and has everything that had waited. */
  | { kind: 'drained'; items: number }
  /** The store would not take items that had waited; they are lost for it and stand here with the reasons. */
  | { kind: 'refused'; batch: SpooledBatch; refused: readonly RefusedItem[] };

export interface SpooledStoreOptions {
  /** Opens the store behind; called again while it is away. */
  connect: () => Promise<Store>;
  spool: Spool;
  /** The store's address without secrets. */
  url: string;
  onEvent?: (event: SpoolEvent) => void;
  /** Pauses between attempts while the store is away. */
  retry?: Partial<RetryPolicy>;
}

/** How long `close` goes on emptying the spool: what is left waits for the next start. */
const CLOSING_MS = 5000;

/**
 * A store with a spool in front of it: while the store cannot be reached, writes go to the disk and count as new;
 * as soon as it is back they go on, in order, before anything newer. The store's own idempotency makes sure that a
 * batch whose acknowledgement was lost is not in it twice. Reads go to the store itself and say when it is away.
 */
export class SpooledStore implements Store {
  readonly url: string;
  private readonly spool: Spool;
  private readonly retry: RetryPolicy;
  private store: Store | undefined;
  private open = true;
  /** What waits may still go out. */
  private closing = false;
  /** One after the other: order is a promise. */
  private queue: Promise<unknown> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;
  private failures = 0;
  private delivered = 0;

  constructor(private readonly options: SpooledStoreOptions) {
    this.url = options.url;
    this.spool = options.spool;
    this.retry = { ...DEFAULT_RETRY, ...options.retry };
    if (this.spool.waiting().batches > 0) this.scheduleDrain(0);
  }

  addMoves(records: readonly MoveRecord[]): Promise<AddCounts> {
    return this.add('moves', records);
  }

  addLinkSamples(samples: readonly LinkSample[]): Promise<AddCounts> {
    return this.add('link_samples', samples);
  }

  addInstanceSamples(samples: readonly InstanceSample[]): Promise<AddCounts> {
    return this.add('instance_samples', samples);
  }

  keepPredictions(predictions: readonly KeptPrediction[]): Promise<AddCounts> {
    return this.add('kept_predictions', predictions);
  }

  async *moves(filter?: MoveFilter): AsyncGenerator<MoveRecord> {
    yield* (await this.connected()).moves(filter);
  }

  async move(id: string): Promise<MoveRecord | undefined> {
    return (await this.connected()).move(id);
  }

  async *linkSamples(filter?: SampleFilter): AsyncGenerator<LinkSample> {
    yield* (await this.connected()).linkSamples(filter);
  }

  async *instanceSamples(filter?: SampleFilter): AsyncGenerator<InstanceSample> {
    yield* (await this.connected()).instanceSamples(filter);
  }

  async *keptPredictions(filter?: { fromMs?: number; toMs?: number }): AsyncGenerator<KeptPrediction> {
    yield* (await this.connected()).keptPredictions(filter);
  }

  async latestInstanceSample(
    instance: string,
    atMs: number,
    cluster?: string,
  ): Promise<InstanceSample | undefined> {
    return (await this.connected()).latestInstanceSample(instance, atMs, cluster);
  }

  async info(): Promise<StoreInfo> {
    return (await this.connected()).info();
  }

  async prune(beforeMs: number): Promise<PruneCounts> {
    return (await this.connected()).prune(beforeMs);
  }

  async retention(): Promise<Retention> {
    return (await this.connected()).retention();
  }

  async setRetention(retention: Retention): Promise<void> {
    return (await this.connected()).setRetention(retention);
  }

  async applyRetention(nowMs: number): Promise<PruneCounts> {
    return (await this.connected()).applyRetention(nowMs);
  }

  /** How much waits on the disk. */
  waiting(): { batches: number; items: number; bytes: number } {
    return this.spool.waiting();
  }

  /** Gives the store what waits. True when nothing waits any more; false when the store is away. */
  drain(): Promise<boolean> {
    return this.inTurn(() => this.drainNow());
  }

  /** Tries once more, for a few seconds, to empty the spool; what is left waits for the next start. */
  async close(): Promise<void> {
    if (!this.open) return;
    this.open = false;
    this.closing = true;
    clearTimeout(this.timer);
    const untilMs = this.retry.now() + CLOSING_MS;
    try {
      await this.inTurn(() => this.drainNow(untilMs));
    } finally {
      this.closing = false;
      await this.store?.close();
      this.spool.close();
    }
  }

  private add<K extends SpooledKind>(kind: K, items: readonly SpooledItems[K][]): Promise<AddCounts> {
    if (!this.open) return Promise.reject(closed(this.url));
    return this.inTurn(async () => {
      if (this.spool.waiting().batches === 0) {
        try {
          const counts = await addTo(await this.connected(), kind, items);
          this.failures = 0;
          return counts;
        } catch (error) {
          if (!(error instanceof StoreUnreachableError)) throw error;
          this.options.onEvent?.({ kind: 'down', reason: error.message });
        }
      }
      if (items.length > 0) this.spool.append(kind, items);
      this.scheduleDrain(pauseAfter(this.failures, undefined, this.retry));
      return { new: items.length, known: 0 };
    });
  }

  /** Batches in their order until none waits, the store is away, or the time is over. */
  private async drainNow(untilMs = Infinity): Promise<boolean> {
    for (;;) {
      const batch = this.spool.first();
      if (batch === undefined) break;
      if (this.retry.now() >= untilMs) return false;
      try {
        await addTo(await this.connected(), batch.kind, batch.items);
      } catch (error) {
        if (error instanceof StoreUnreachableError) {
          this.failures += 1;
          this.scheduleDrain(pauseAfter(this.failures, error.retryAfterMs, this.retry));
          return false;
        }
        if (!(error instanceof RefusedItemsError)) throw error;
        this.options.onEvent?.({ kind: 'refused', batch, refused: error.refused });
      }
      this.failures = 0;
      this.delivered += batch.items.length;
      this.spool.acknowledge(batch.number);
    }
    if (this.delivered > 0) this.options.onEvent?.({ kind: 'drained', items: this.delivered });
    this.delivered = 0;
    return true;
  }

  private scheduleDrain(afterMs: number): void {
    if (this.timer !== undefined || !this.open) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.drain().catch((error: unknown) => {
        // Not the store being away: a right that was taken, a newer format. Everything stays where it is.
        this.options.onEvent?.({
          kind: 'down',
          reason: error instanceof Error ? error.message : String(error),
        });
        this.failures += 1;
        this.scheduleDrain(pauseAfter(this.failures, undefined, this.retry));
      });
    }, afterMs);
    this.timer.unref(); // does not keep a program alive that is done
  }

  private async connected(): Promise<Store> {
    if (!this.open && !this.closing) throw closed(this.url);
    this.store ??= await this.options.connect();
    return this.store;
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.queue.then(work, work);
    this.queue = turn.catch(() => undefined);
    return turn;
  }
}

const closed = (url: string): UserError => new UserError('store-unavailable', `the store ${url} is closed`);

function addTo<K extends SpooledKind>(
  store: Store,
  kind: K,
  items: readonly SpooledItems[K][],
): Promise<AddCounts> {
  const adders: { [kind in SpooledKind]: (items: readonly SpooledItems[kind][]) => Promise<AddCounts> } = {
    moves: (moves) => store.addMoves(moves),
    link_samples: (samples) => store.addLinkSamples(samples),
    instance_samples: (samples) => store.addInstanceSamples(samples),
    kept_predictions: (predictions) => store.keepPredictions(predictions),
  };
  return adders[kind](items);
}
