import { ofCluster, type CostColumns, type MoveCosts } from '../balancer/move-costs.js';
import type { MoveRecord } from '../domain/move-record.js';
import type { MoveRequest } from '../domain/move-request.js';
import type { PastErrors } from '../domain/past-errors.js';
import type { ModelReference, Prediction } from '../domain/prediction.js';
import type { Predictor } from '../predictor/predictor.js';

/** Prices of moves from a predictor in this process. */
export class InProcessMoveCosts implements MoveCosts {
  readonly #predictor: Predictor;
  readonly #cluster: string | undefined;
  readonly #warnings: readonly string[];
  #nowMs: number;

  /** Moves without a time of their own start at `nowMs`; `cluster` is its name in the records that were learnt. */
  constructor(
    predictor: Predictor,
    nowMs: number,
    { cluster, warnings = [] }: { cluster?: string | undefined; warnings?: readonly string[] } = {},
  ) {
    this.#predictor = predictor;
    this.#nowMs = nowMs;
    this.#cluster = cluster;
    this.#warnings = warnings;
  }

  get model(): ModelReference {
    return this.#predictor.model;
  }

  /** Takes in moves that finished meanwhile; predictions are then for `nowMs`. */
  learn(records: readonly MoveRecord[], nowMs: number): void {
    for (const record of records) this.#predictor.learn(record);
    this.#nowMs = nowMs;
  }

  durations(requests: readonly MoveRequest[]): Promise<CostColumns> {
    const { p10, p50, p90 } = this.#predictor.durations(ofCluster(requests, this.#cluster), this.#nowMs);
    return Promise.resolve({ p10, p50, p90 });
  }

  predictions(requests: readonly MoveRequest[]): Promise<readonly Prediction[]> {
    return Promise.resolve(this.#predictor.predictAll(ofCluster(requests, this.#cluster), this.#nowMs));
  }

  pastErrors(): Promise<PastErrors | undefined> {
    return Promise.resolve(this.#predictor.pastErrors(this.#cluster));
  }

  warnings(): readonly string[] {
    return this.#warnings;
  }
}
