import { ClusterLedger } from '../collector/cluster-ledger.js';
import { noteInstances } from '../collector/cluster-snapshot.js';
import { Derivation } from '../collector/derivation.js';
import { Collection } from '../collector/pipeline.js';
import { RejectsFile } from '../collector/rejects.js';
import { emptyBatch, storeSink, type Added, type Batch, type Sink } from '../collector/sinks.js';
import { findingsOfJob, moveIdOfJob, readJob } from '../collector/sources/ganeti-job.js';
import type { MoveRecord } from '../domain/move-record.js';
import type { Store } from '../store/store.js';
import type { GivenPrediction } from './execution-settings.js';

/**
 * Jobs that ended → records in the store, by the collector's own reading: `collect` finds the same ids later, and
 * knows them. Without a store the records are made all the same, for whoever learns from them.
 */
export class FinishedMoves {
  readonly #ledger = new ClusterLedger();
  readonly #collection: Collection;
  readonly #address: string;
  readonly #cluster: string | undefined;
  readonly #now: () => number;
  readonly #store: Store | undefined;
  #stored: MoveRecord[] = [];

  constructor({
    store,
    address,
    cluster,
    now,
  }: {
    store: Store | undefined;
    address: string;
    /** As `collect --cluster` names it: it is a part of the ids. */
    cluster: string | undefined;
    now: () => number;
  }) {
    this.#address = address;
    this.#cluster = cluster;
    this.#now = now;
    this.#store = store;
    const derivation = new Derivation('all', this.#ledger, store);
    const sink = store === undefined ? nowhere : storeSink(store);
    this.#collection = new Collection({
      sink: { add: (batch) => this.#keep(batch, sink) },
      rejects: new RejectsFile(undefined),
      cluster,
      beforeStoring: (batch) => derivation.complete(batch),
    });
    this.#onMove = (record) =>
      derivation.note(record, { log: address, writtenMs: now(), tellsEveryMove: true });
  }

  readonly #onMove: (record: MoveRecord) => void;

  /** Sizes and places of instances as of a moment, from `/2/instances?bulk=1`: before the moves that start then. */
  noteInstances(reply: unknown, atMs: number): void {
    noteInstances(this.#ledger, reply, atMs);
  }

  /** Keeps what was predicted for a job, so that its record can be scored against it. @throws UserError */
  async keepPrediction(job: number, given: GivenPrediction): Promise<void> {
    await this.#store?.keepPredictions([{ move_id: moveIdOfJob(job, this.#cluster), ...given }]);
  }

  /** Records of a job, from the reply of the remote API; they are safe in the store on return. */
  async take(jobReply: unknown): Promise<MoveRecord[]> {
    const job = readJob(jobReply);
    if (job === undefined) return [];
    const findings = findingsOfJob(
      job,
      {
        fileName: this.#address,
        nowMs: this.#now(),
        ledger: this.#ledger,
        ...(this.#cluster === undefined ? {} : { cluster: this.#cluster }),
      },
      1,
    );
    for (const finding of findings)
      this.#collection.take(finding, { file: this.#address, onMove: this.#onMove });
    await this.#collection.flush();
    const records = this.#stored;
    this.#stored = [];
    return records;
  }

  #keep(batch: Batch, sink: Sink): Promise<Added> {
    this.#stored.push(...batch.moves);
    return sink.add(batch);
  }
}

const nowhere: Sink = {
  add: ({ moves } = emptyBatch()) => Promise.resolve({ new: moves.length, known: 0 }),
};
