import { UserError } from '../domain/errors.js';
import { startMs, type MoveRecord } from '../domain/move-record.js';
import type { Store } from '../store/store.js';
import { ClockSkews } from './clock-skew.js';
import type { ClusterLedger } from './cluster-ledger.js';
import { ConcurrentMoves, MOST_REMEMBERED, REMEMBERED_MS } from './concurrent-moves.js';
import { joinInstanceFacts } from './instance-facts.js';
import { linkSampleOf, monitoredLinks } from './link-throughput.js';
import { emptyBatch, type Batch } from './sinks.js';

/** Of so many links it is remembered whether they are monitored. */
const MOST_LINKS = 10_000;

/** What is known of the log that a move came from. */
export interface LogOfMove {
  /** Its name for a person. */
  log: string;
  /** When it was last written. */
  writtenMs: number | undefined;
  /** Where it shows no other move, there was none. */
  tellsEveryMove: boolean;
}

/**
 * Completes moves from logs with what follows from other records: moves beside it, facts of the instance as of the
 * start, and samples of links that nothing monitors.
 */
export class Derivation {
  /** Clocks that differ, from all that was noted. */
  readonly skews = new ClockSkews();
  readonly #isOn: boolean;
  readonly #ledger: ClusterLedger | undefined;
  readonly #store: Store | undefined;
  readonly #concurrent = new ConcurrentMoves();
  /** Moves of the present batch that may be completed, and whether their log tells of every move. */
  #open = new Map<MoveRecord, { mayBeNone: boolean }>();
  readonly #isMonitored = new Map<string, boolean>();
  #hasRecalled = false;

  constructor(what: 'all' | 'nothing', ledger: ClusterLedger | undefined, store: Store | undefined) {
    this.#isOn = what === 'all';
    this.#ledger = ledger;
    this.#store = store;
  }

  /**
   * Notes a move as it comes out of a log; only noted ones are completed. One whose start is only assumed, from the
   * file's time or an option, overlaps nothing and tells nothing of a clock.
   */
  note(record: MoveRecord, { log, writtenMs, tellsEveryMove }: LogOfMove): void {
    if (!this.#isOn || isStartAssumed(record)) return;
    this.#open.set(record, { mayBeNone: tellsEveryMove });
    this.skews.note(record, log, writtenMs);
  }

  /** Completes the moves of a batch, in place; gives the link samples that follow from them, for a store. */
  async complete(batch: Batch): Promise<Batch> {
    const derived = emptyBatch();
    if (this.#open.size === 0) return derived;
    const open = this.#open;
    this.#open = new Map();
    await this.#recall(open.keys());
    this.#concurrent.complete(
      batch.moves.filter((record) => !isStartAssumed(record)),
      (record) => open.get(record),
    );
    const store = this.#store;
    const latestSample =
      store === undefined
        ? undefined
        : (instance: string, atMs: number, cluster: string | undefined) =>
            unlessAway(store.latestInstanceSample(instance, atMs, cluster));
    for (const record of open.keys()) {
      await joinInstanceFacts(record, { ledger: this.#ledger, latestSample });
      if (store === undefined) continue;
      const sample = linkSampleOf(record);
      if (sample !== undefined && (await unlessAway(this.#isMonitoredIn(store, record))) === false)
        derived.linkSamples.push(sample);
    }
    return derived;
  }

  /** Once a run: what earlier runs stored of the time just before the first moves of this one. */
  async #recall(moves: Iterable<MoveRecord>): Promise<void> {
    const store = this.#store;
    if (store === undefined || this.#hasRecalled) return;
    this.#hasRecalled = true;
    let firstMs = Infinity;
    let lastMs = -Infinity;
    for (const record of moves) {
      firstMs = Math.min(firstMs, startMs(record));
      lastMs = Math.max(lastMs, startMs(record));
    }
    const earlier: MoveRecord[] = [];
    const range = {
      fromMs: firstMs - REMEMBERED_MS,
      toMs: lastMs + 1,
      newestFirst: true,
      limit: MOST_REMEMBERED,
    };
    const recall = async (): Promise<void> => {
      for await (const record of store.moves(range)) if (!isStartAssumed(record)) earlier.push(record);
    };
    await unlessAway(recall());
    this.#concurrent.remember(earlier.toReversed());
  }

  async #isMonitoredIn(store: Store, record: MoveRecord): Promise<boolean> {
    const key = `${record.cluster ?? ''}\n${record.source_node}\n${record.target_node}`;
    const known = this.#isMonitored.get(key);
    if (known !== undefined) return known;
    let isMonitored = false;
    for (const link of monitoredLinks(record)) {
      const filter = { key: link, ...(record.cluster === undefined ? {} : { cluster: record.cluster }) };
      for await (const _ of store.linkSamples(filter)) {
        isMonitored = true;
        break;
      }
    }
    if (this.#isMonitored.size >= MOST_LINKS) this.#isMonitored.clear();
    this.#isMonitored.set(key, isMonitored);
    return isMonitored;
  }
}

const isStartAssumed = ({ labels }: MoveRecord): boolean => labels?.['started_at_from'] !== undefined;

/** A store that is away answers no question: a move goes without what it would have told, and is not held up. */
async function unlessAway<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof UserError && error.code === 'store-unavailable') return undefined;
    throw error;
  }
}
