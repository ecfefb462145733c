import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { accuracyOf, apePercent } from '../monitor/accuracy.js';
import { alarmsOf } from '../monitor/alarms.js';
import type { Score } from '../monitor/score.js';
import type { LearningModel } from './learning-model.js';
import type { ScoreBook } from './score-book.js';

/** Scored moves that the accuracy gauges look back on. */
const RECENT_SCORES = 1_000;

/** Everything that `/metrics` shows. Names stay; deploy/ and its test rely on them. */
export class ServiceMetrics {
  readonly registry = new Registry();

  readonly requestSeconds = new Histogram({
    name: 'movecast_http_request_duration_seconds',
    help: 'Time from the end of the request line to the end of the answer',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers: [this.registry],
  });
  readonly predictions = new Counter({
    name: 'movecast_predictions_total',
    help: 'Predictions given out, by the most specific history they stand on; "pairs" for move-costs, "columns" for column-wise calls, "windows" for starts',
    labelNames: ['basis'] as const,
    registers: [this.registry],
  });
  readonly predictionErrors = new Counter({
    name: 'movecast_prediction_errors_total',
    help: 'Requests in a batch that could not be answered',
    registers: [this.registry],
  });
  readonly movesReported = new Counter({
    name: 'movecast_moves_reported_total',
    help: 'Moves reported over HTTP, by what became of them',
    labelNames: ['result'] as const,
    registers: [this.registry],
  });
  readonly apeRatio = new Histogram({
    name: 'movecast_prediction_error_ratio',
    help: 'Absolute error of the predicted median as a share of the actual duration, for moves scored since the start of the process',
    labelNames: ['operation'] as const,
    buckets: [0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2],
    registers: [this.registry],
  });

  constructor() {
    const up = new Gauge({ name: 'movecast_up', help: '1 while the process answers', registers: [] });
    up.set(1);
    this.registry.registerMetric(up);
    // Counters that stand at zero from the start: a rate over them is then zero and not absent.
    for (const basis of ['link', 'node', 'cluster', 'prior', 'columns', 'pairs', 'windows'])
      this.predictions.inc({ basis }, 0);
    for (const result of ['new', 'known', 'rejected']) this.movesReported.inc({ result }, 0);
  }

  /** Adds what is read off at each scrape. */
  watch(model: LearningModel, scores: ScoreBook, now: () => number): void {
    const { registry } = this;
    const gauge = (name: string, help: string, value: () => number): void => {
      registry.registerMetric(
        new Gauge({
          name,
          help,
          registers: [],
          collect() {
            this.set(value());
          },
        }),
      );
    };
    gauge('movecast_ready', '1 once the history has been read', () => (model.ready ? 1 : 0));
    gauge(
      'movecast_learned_moves',
      'Moves of the store that the model in service knows',
      () => model.learnedMoves,
    );
    gauge(
      'movecast_scored_moves',
      'Moves with a prediction and an outcome held in memory',
      () => scores.size,
    );
    gauge(
      'movecast_store_lag_seconds',
      'Time since the store was last known to hold nothing that the model has not seen',
      () => (model.ready ? Math.max(0, (now() - model.upToDateMs) / 1000) : 0),
    );
    registry.registerMetric(
      new Gauge({
        name: 'movecast_model_info',
        help: '1 for the model in service',
        labelNames: ['name', 'version'],
        registers: [],
        collect() {
          this.reset();
          if (model.model !== undefined)
            this.set({ name: model.model.name, version: model.model.version }, 1);
        },
      }),
    );
    // Metrics are collected in the order of registration: the first of these works out the others.
    const labelNames = ['level'] as const;
    const coverage = new Gauge({
      name: 'movecast_interval_coverage_ratio',
      help: `Share of the newest ${RECENT_SCORES} scored moves whose duration lay inside the predicted interval`,
      labelNames,
      registers: [],
    });
    const low = new Gauge({
      name: 'movecast_interval_coverage_band_low_ratio',
      help: 'Lower end of the 95 % binomial band of that share',
      labelNames,
      registers: [],
    });
    const mape = new Gauge({
      name: 'movecast_mape_ratio',
      help: `Mean absolute error of the newest ${RECENT_SCORES} scored moves as a share of the actual duration`,
      registers: [],
    });
    const bias = new Gauge({
      name: 'movecast_bias_ratio',
      help: `Bias of the newest ${RECENT_SCORES} scored moves: above 0 predictions are too long`,
      registers: [],
      collect() {
        const figures = accuracyOf(scores.newest(RECENT_SCORES));
        if (figures === undefined) return;
        this.set(figures.bias_percent / 100);
        mape.set(figures.mape_percent / 100);
        for (const item of figures.coverage) {
          coverage.set({ level: String(item.level) }, item.share);
          low.set({ level: String(item.level) }, item.low);
        }
      },
    });
    const alarms = new Gauge({
      name: 'movecast_alarms',
      help: 'Alarms about the forecasts that stand now; GET /v1/alarms says why and what to do',
      labelNames: ['kind'] as const,
      registers: [],
      collect() {
        const standing = alarmsOf(scores.between(undefined, Infinity));
        for (const kind of ['drift', 'coverage'] as const)
          this.set({ kind }, standing.filter((alarm) => alarm.kind === kind).length);
      },
    });
    registry.registerMetric(alarms);
    registry.registerMetric(bias);
    registry.registerMetric(mape);
    registry.registerMetric(coverage);
    registry.registerMetric(low);
  }

  /** Requests being answered now, read off at each scrape: setting a gauge at each request would cost it 1 us twice. */
  watchInFlight(count: () => number): void {
    this.registry.registerMetric(
      new Gauge({
        name: 'movecast_http_requests_in_flight',
        help: 'Requests being answered now',
        registers: [],
        collect() {
          this.set(count());
        },
      }),
    );
  }

  /** Memory, CPU, event loop and garbage collection of the process: once a process. */
  watchProcess(): void {
    collectDefaultMetrics({ register: this.registry });
  }

  scored(score: Score): void {
    if (score.completed) this.apeRatio.observe({ operation: score.operation }, apePercent(score) / 100);
  }
}
