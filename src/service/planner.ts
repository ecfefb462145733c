import { Worker } from 'node:worker_threads';
import type { MoveCosts } from '../balancer/move-costs.js';
import { UserError } from '../domain/errors.js';
import type { PlanAnswer, PlanRequest } from './plan-computation.js';
import type { PlanWorkerData, PlanWorkerMessage } from './plan-worker.js';
import { HttpError } from './problem.js';

/** Computes a plan without holding up anything else. */
export type Planner = (request: PlanRequest, costs: MoveCosts) => Promise<PlanAnswer>;

/** A plan takes a core: one at a time, and so many may wait. */
const MOST_WAITING = 3;
const LONGEST_MS = 25_000;
const WORKER_URL = new URL('./plan-worker.js', import.meta.url);
/** A thousand nodes with twenty thousand instances take about a quarter of this. */
const WORKER_MEMORY_MIB = 1024;

/** Plans in a thread of its own each, which is ended when it takes too long. `workerUrl` is the program of the thread. */
export function workerPlanner(workerUrl: URL = WORKER_URL, longestMs = LONGEST_MS): Planner {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return (request, costs) => {
    if (waiting > MOST_WAITING)
      throw new HttpError(
        503,
        'too-many-requests',
        `${waiting} plans are waiting already; ask again later`,
        undefined,
        {
          'retry-after': '10',
        },
      );
    waiting += 1;
    const plan = last.then(() => inWorker(workerUrl, longestMs, request, costs));
    last = plan
      .catch(() => undefined)
      .finally(() => {
        waiting -= 1;
      });
    return plan;
  };
}

async function inWorker(
  workerUrl: URL,
  longestMs: number,
  request: PlanRequest,
  costs: MoveCosts,
): Promise<PlanAnswer> {
  const workerData: PlanWorkerData = { request, model: costs.model, errors: await costs.pastErrors?.() };
  const worker = new Worker(workerUrl, {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: WORKER_MEMORY_MIB },
  });
  return new Promise<PlanAnswer>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(
        new HttpError(
          503,
          'too-slow',
          `no plan within ${longestMs / 1000} s; ask for fewer moves (max_moves) or compute it with movecast balance`,
        ),
      );
    }, longestMs);
    worker.on('message', (message: PlanWorkerMessage) => {
      if (message.kind === 'durations')
        costs
          .durations(message.requests)
          .then(({ p10, p50, p90 }) => worker.postMessage({ p10, p50, p90 }, []), reject);
      else if (message.kind === 'plan') resolve(message.plan);
      else reject(new UserError(message.code, message.sentence, message.field));
    });
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the planning thread ended without an answer')));
    const done = (): void => clearTimeout(timer);
    worker.once('exit', done);
  }).finally(() => void worker.terminate());
}
