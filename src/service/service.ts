import type { Logger } from 'pino';
import type { ModelRegistry } from '../store/model-registry.js';
import type { Store } from '../store/store.js';
import { createApp } from './app.js';
import { LearningModel } from './learning-model.js';
import { LinkWatch } from './link-watch.js';
import { ServiceMetrics } from './metrics.js';
import { loadRegisteredModel } from './model-loading.js';
import type { ServiceOptions } from './options.js';
import { workerPlanner } from './planner.js';
import { ScoreBook } from './score-book.js';
import { listen } from './server.js';

/** How often the store and the registry are looked at for what other processes wrote. */
const CATCH_UP_MS = 2_000;

export interface ServiceSettings {
  host: string;
  port: number;
  store: Store;
  registry: ModelRegistry;
  modelName: string;
  options: ServiceOptions;
  version: string;
  log: Logger;
  now: () => number;
}

export interface RunningService {
  url: string;
  /** Resolves when the history has been read. */
  ready: Promise<void>;
  /** Finishes what is in flight; the store stays open. */
  stop(): Promise<void>;
}

/** Listens at once, reads the history, then keeps up with the store and the registry until it is stopped. */
export async function startService(settings: ServiceSettings): Promise<RunningService> {
  const { store, registry, modelName, options, version, log, now } = settings;
  const scores = new ScoreBook();
  const metrics = new ServiceMetrics();
  const model = new LearningModel({
    store,
    scores,
    load: () => loadRegisteredModel(registry, modelName),
    versionInService: () => registry.currentVersion(modelName),
    now,
    log,
    scored: (score) => metrics.scored(score),
  });
  metrics.watch(model, scores, now);
  metrics.watchProcess();
  let stopping = false;
  const app = createApp({
    model,
    store,
    registry,
    modelName,
    scores,
    links: new LinkWatch({ store, now, log }),
    planner: workerPlanner(),
    metrics,
    options,
    version,
    log,
    now,
    stopping: () => stopping,
  });
  const server = await listen(app, settings.host, settings.port);
  log.info({ event: 'listening', url: server.url, store: store.url }, 'listening');

  let catchingUp: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const catchUpLater = (): void => {
    if (stopping) return;
    timer = setTimeout(() => {
      catchingUp = model
        .catchUp()
        .catch((error: unknown) => {
          log.warn({ event: 'catch_up_failed', reason: (error as Error).message }, 'catch-up failed');
        })
        .finally(catchUpLater);
    }, CATCH_UP_MS);
  };
  const ready = model.start().then(catchUpLater);
  return {
    url: server.url,
    ready,
    async stop() {
      stopping = true;
      clearTimeout(timer);
      await server.stop();
      await Promise.allSettled([ready, catchingUp]);
    },
  };
}
