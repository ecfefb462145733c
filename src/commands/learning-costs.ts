import type { CostColumns, MoveCosts } from '../balancer/move-costs.js';
import type { MoveRecord, Operation } from '../domain/move-record.js';
import type { MoveRequest } from '../domain/move-request.js';
import type { PastErrors } from '../domain/past-errors.js';
import type { ModelReference, Prediction } from '../domain/prediction.js';
import { InProcessMoveCosts } from '../service/in-process-move-costs.js';

const OPERATIONS: readonly Operation[] = ['live_migration', 'failover', 'disk_replication'];

/**
 * Durations that follow what an execution sees: a model in this process learns its moves; whoever else answers is
 * multiplied by what moves took compared with what was predicted, by operation. The pace is that of whoever predicted: it
 * says nothing of the plain figures that stand in for a service that fell silent, nor theirs of the service.
 */
export class LearningCosts implements MoveCosts {
  readonly #costs: MoveCosts;
  readonly #now: () => number;
  /** By who predicted and the operation. */
  readonly #factors = new Map<string, number>();

  constructor(costs: MoveCosts, now: () => number) {
    this.#costs = costs;
    this.#now = now;
  }

  get model(): ModelReference | undefined {
    return this.#costs.model;
  }

  learn({
    records,
    ratio,
  }: {
    records: readonly MoveRecord[];
    ratio: (operation: Operation) => number;
  }): void {
    if (this.#costs instanceof InProcessMoveCosts) this.#costs.learn(records, this.#now());
    else
      for (const operation of OPERATIONS)
        this.#factors.set(this.#key(operation), this.#factor(operation) * ratio(operation));
  }

  async durations(requests: readonly MoveRequest[]): Promise<CostColumns> {
    const { p10, p50, p90 } = await this.#costs.durations(requests);
    // Who predicts is known once the durations are there.
    const factors = requests.map(({ operation }) => this.#factor(operation ?? 'live_migration'));
    const paced = (column: Float64Array): Float64Array => column.map((seconds, r) => seconds * factors[r]!);
    return { p10: paced(p10), p50: paced(p50), p90: paced(p90) };
  }

  /** As the model gives them: what is scored is the model, not what an execution made of it. */
  async predictions(requests: readonly MoveRequest[]): Promise<readonly (Prediction | undefined)[]> {
    return (await this.#costs.predictions?.(requests)) ?? [];
  }

  async pastErrors(): Promise<PastErrors | undefined> {
    return this.#costs.pastErrors?.();
  }

  warnings(): readonly string[] {
    return this.#costs.warnings();
  }

  #factor(operation: Operation): number {
    return this.#factors.get(this.#key(operation)) ?? 1;
  }

  #key(operation: Operation): string {
    const { name, version } = this.model ?? { name: '', version: '' };
    return `${operation} ${name}@${version}`;
  }
}
