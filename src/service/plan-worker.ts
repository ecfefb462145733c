import { parentPort, workerData } from 'node:worker_threads';
import type { CostColumns, MoveCosts } from '../balancer/move-costs.js';
import { UserError, type ErrorCode } from '../domain/errors.js';
import type { MoveRequest } from '../domain/move-request.js';
import type { PastErrors } from '../domain/past-errors.js';
import type { ModelReference } from '../domain/prediction.js';
import { computePlan, type PlanAnswer, type PlanRequest } from './plan-computation.js';

/** What the worker says. Durations are asked of the main thread, which holds the model in service and its history. */
export type PlanWorkerMessage =
  | { kind: 'durations'; requests: readonly MoveRequest[] }
  | { kind: 'plan'; plan: PlanAnswer }
  | { kind: 'refused'; code: ErrorCode; sentence: string; field: string | undefined };

export interface PlanWorkerData {
  request: PlanRequest;
  model: ModelReference | undefined;
  errors: PastErrors | undefined;
}

if (parentPort !== null) await answer(workerData as PlanWorkerData);

async function answer({ request, model, errors }: PlanWorkerData): Promise<void> {
  const port = parentPort!;
  const say = (message: PlanWorkerMessage): void => port.postMessage(message);
  const costs: MoveCosts = {
    model,
    durations: (requests) =>
      new Promise<CostColumns>((resolve) => {
        port.once('message', resolve);
        say({ kind: 'durations', requests });
      }),
    pastErrors: () => Promise.resolve(errors),
    warnings: () => [],
  };
  try {
    say({ kind: 'plan', plan: await computePlan(request, costs) });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    say({ kind: 'refused', code: error.code, sentence: error.message, field: error.field });
  }
}
