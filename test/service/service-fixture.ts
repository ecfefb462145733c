import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino, type Logger } from 'pino';
import type { RequestListener } from 'node:http';
import { createApp, serviceRoutes } from '../../src/service/app.js';
import { LearningModel, type LoadedModel } from '../../src/service/learning-model.js';
import { LinkWatch } from '../../src/service/link-watch.js';
import { ServiceMetrics } from '../../src/service/metrics.js';
import { computePlan } from '../../src/service/plan-computation.js';
import { defaultServiceOptions, type ServiceOptions } from '../../src/service/options.js';
import type { Route, ServiceParts } from '../../src/service/route.js';
import { ScoreBook } from '../../src/service/score-book.js';
import type { MoveRecord } from '../../src/domain/move-record.js';
import type { MoveRequest } from '../../src/domain/move-request.js';
import type { PastErrors } from '../../src/domain/past-errors.js';
import type { LinkSample } from '../../src/domain/samples.js';
import type { Prediction } from '../../src/domain/prediction.js';
import type { DurationColumns, Predictor } from '../../src/predictor/predictor.js';
import { ModelRegistry } from '../../src/store/model-registry.js';
import { openStore } from '../../src/store/open-store.js';
import type { Store } from '../../src/store/store.js';

export const NOW_MS = Date.parse('2026-11-23T12:00:00.000Z');

/** One second a GiB, as many more as moves have been learnt, and one for 100 Mbit/s of other traffic: so a test sees what was known when. */
export class CountingPredictor implements Predictor {
  readonly learned: string[] = [];
  readonly samples: string[] = [];

  constructor(readonly model = { name: 'default', version: '1' }) {}

  predict(request: MoveRequest): Prediction {
    const p50 =
      (request.memory_mib ?? 1024) / 1024 + this.learned.length + (request.background_mbps ?? 0) / 100;
    return {
      ...(request.request_id === undefined ? {} : { request_id: request.request_id }),
      duration_seconds: { p05: p50 * 0.6, p10: p50 * 0.7, p50, p90: p50 * 1.4, p95: p50 * 1.6, mean: p50 },
      completion_probability: 0.97,
      basis: 'link',
      inputs_filled: [],
      model: this.model,
      warnings: [],
    };
  }

  predictAll(requests: readonly MoveRequest[]): Prediction[] {
    return requests.map((request) => this.predict(request));
  }

  durations(requests: readonly MoveRequest[]): DurationColumns {
    const names = ['p05', 'p10', 'p50', 'p90', 'p95', 'mean'] as const;
    const all = this.predictAll(requests);
    return Object.fromEntries(
      names.map((name) => [name, Float64Array.from(all, (one) => one.duration_seconds[name])]),
    ) as unknown as DurationColumns;
  }

  pastErrors(cluster = 'default'): PastErrors | undefined {
    return cluster === 'default' ? { hours: [[[-0.5, 1.5], [0.25]]], most_factor: 2 } : undefined;
  }

  moveCosts(
    instances: readonly Omit<MoveRequest, 'target_node'>[],
    targetNodes: readonly string[],
    quantile: number,
  ): Float32Array {
    return Float32Array.from(
      instances.flatMap((instance) =>
        targetNodes.map((target) =>
          target === instance.source_node
            ? NaN
            : this.predict({ ...instance, target_node: target }).duration_seconds.p50 * (0.5 + quantile),
        ),
      ),
    );
  }

  learn(record: MoveRecord): void {
    this.learned.push(record.id);
  }

  learnLinkSample({ at }: { at: string }): void {
    this.samples.push(at);
  }

  learnInstanceSample({ at }: { at: string }): void {
    this.samples.push(at);
  }
}

/** A finished move that took `durationSeconds` and started so many seconds before `NOW_MS`. */
export function finishedMove(
  id: string,
  secondsAgo: number,
  durationSeconds: number,
  rest: Partial<MoveRecord> = {},
): MoveRecord {
  return {
    id,
    instance: 'web1',
    source_node: 'node1',
    target_node: 'node2',
    operation: 'live_migration',
    started_at: new Date(NOW_MS - secondsAgo * 1000).toISOString(),
    duration_seconds: durationSeconds,
    memory_mib: 4096,
    ...rest,
  };
}

/** Traffic of `node1>node2` every hour up to an hour before `NOW_MS`: 900 Mbit/s from 08:00 to 20:00 UTC, else 100. */
export function hourlySamples(count: number, rest: Partial<LinkSample> = {}): LinkSample[] {
  return Array.from({ length: count }, (_, i) => {
    const at = new Date(NOW_MS - (count - i) * 3_600_000);
    const isDay = at.getUTCHours() >= 8 && at.getUTCHours() < 20;
    return {
      at: at.toISOString(),
      link: 'node1>node2',
      throughput_mbps: isDay ? 900 : 100,
      capacity_mbps: 1000,
      ...rest,
    };
  });
}

/** A plan at all, as quickly as may be: how good it is, is the balancer's to test. */
const LEAST_EFFORT = 0.001;

export interface ServiceFixture {
  app: RequestListener;
  parts: ServiceParts;
  routes: Route[];
  store: Store;
  /** Every predictor that was loaded, the one in service last. */
  predictors: CountingPredictor[];
  /** What was logged, as text. */
  logged: () => string;
  close(): Promise<void>;
}

export interface FixtureSettings {
  options?: Partial<ServiceOptions>;
  /** Moves in the store before the service starts. */
  moves?: readonly MoveRecord[];
  /** Link samples in the store before the service starts. */
  linkSamples?: readonly LinkSample[];
  /** As the model says of itself. */
  loaded?: Partial<LoadedModel>;
  now?: () => number;
  /** False leaves the history unread. */
  started?: boolean;
}

/** The app over an embedded store in memory, a registry in a throw-away folder, and predictors that count. */
export async function serviceFixture({
  options = {},
  moves = [],
  linkSamples = [],
  loaded = {},
  now = () => NOW_MS,
  started = true,
}: FixtureSettings = {}): Promise<ServiceFixture> {
  const folder = mkdtempSync(join(tmpdir(), 'movecast-service-'));
  const pageFolder = join(folder, 'page');
  const registry = new ModelRegistry(join(folder, 'models'));
  const verdicts = {
    1: { promote: true, reason: 'it was the first' },
    2: {
      promote: true,
      reason: 'its loss is lower',
      compared: {
        with: 'default@1',
        moves: 120,
        champion_pinball: 2.5,
        challenger_pinball: 2.125,
        p_value: 0.01,
      },
    },
  };
  for (const [version, verdict] of Object.entries(verdicts))
    await registry.register('default', version, { model: {}, card: '# card', metrics: { verdict } });
  await registry.promote('default', '1');
  mkdirSync(pageFolder);
  writeFileSync(
    join(pageFolder, 'index.html'),
    '<!doctype html><html lang="en"><title>Movecast</title></html>',
  );
  writeFileSync(join(pageFolder, 'style.css'), `body { margin: 0 }${' '.repeat(2000)}`);
  const store = await openStore('sqlite::memory:');
  await store.addMoves(moves);
  await store.addLinkSamples(linkSamples);
  const scores = new ScoreBook();
  const metrics = new ServiceMetrics();
  const predictors: CountingPredictor[] = [];
  let text = '';
  const log: Logger = pino(
    { level: 'info' },
    new Writable({
      write(chunk, _encoding, done) {
        text += String(chunk);
        done();
      },
    }),
  );
  const model = new LearningModel({
    store,
    scores,
    load: async () => {
      const version = (await registry.currentVersion('default'))!;
      const predictor = new CountingPredictor({ name: 'default', version });
      predictors.push(predictor);
      return { predictor, trainedUntilMs: () => undefined, backtest: new Map(), ...loaded };
    },
    versionInService: () => registry.currentVersion('default'),
    now,
    log,
    scored: (score) => metrics.scored(score),
  });
  metrics.watch(model, scores, now);
  if (started) await model.start();
  const parts: ServiceParts = {
    model,
    store,
    registry,
    modelName: 'default',
    scores,
    links: new LinkWatch({ store, now, log }),
    planner: (request, costs) => computePlan({ ...request, effort: LEAST_EFFORT }, costs),
    metrics,
    options: { ...defaultServiceOptions, pageFolder, ...options },
    version: '0.0.0-test',
    log,
    now,
    stopping: () => false,
  };
  return {
    app: createApp(parts),
    parts,
    routes: serviceRoutes(parts),
    store,
    predictors,
    logged: () => text,
    async close() {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
