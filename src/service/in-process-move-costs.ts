import type { CostColumns, MoveCosts } from '../balancer/move-costs.js';
import type { MoveRecord } from '../domain/move-record.js';
import type { MoveRequest } from '../domain/move-request.js';
import type { PastErrors } from '../domain/past-errors.js';
import type { ModelReference, Prediction } from '../domain/prediction.js';
import type { Predictor } from '../predictor/predictor.js';

/** Prices of moves from a predictor in this process. Moves without a time of their own start at `nowMs`. */
export class InProcessMoveCosts implements MoveCosts {
  readonly #predictor: Predictor;
  #nowMs: number;

  constructor(predictor: Predictor, nowMs: number) {
    this.#predictor = predictor;
    this.#nowMs = nowMs;
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
    const { p10, p50, p90 } = this.#predictor.durations(requests, this.#nowMs);
    return Promise.resolve({ p10, p50, p90 });
  }

  predictions(requests: readonly MoveRequest[]): Promise<readonly Prediction[]> {
    return Promise.resolve(this.#predictor.predictAll(requests, this.#nowMs));
  }

  pastErrors(): Promise<PastErrors | undefined> {
    return Promise.resolve(this.#predictor.pastErrors());
  }

  warnings(): readonly string[] {
    return [];
  }
}
