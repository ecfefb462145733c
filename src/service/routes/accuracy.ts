import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { z } from 'zod';
import * as field from '../../domain/fields.js';
import {
  accuracyBy,
  accuracyDimensions,
  accuracyOf,
  calibrationOf,
  countsBy,
} from '../../monitor/accuracy.js';
import { windowMs } from '../../monitor/window.js';
import { checked, sendListing, type Route, type ServiceParts } from '../route.js';
import { timeOrNull } from './moves.js';

const query = z.object({
  window: z.string().max(20).optional().describe('90m, 12h, 7d, 4w or all; 7d when absent'),
  cluster: field.name.optional().describe('only moves of this cluster'),
  by: z.enum(accuracyDimensions).optional().describe('break the figures down'),
});
const DEFAULT_WINDOW = '7d';

const share = z.number().min(0).max(1);
const coverage = z.object({
  level: z.number(),
  share,
  low: share,
  high: share,
  verdict: z.enum(['as promised', 'too narrow', 'too wide']),
});
const figures = z
  .object({
    moves: z.int(),
    broken_off: z.int(),
    mape_percent: z.number(),
    median_ape_percent: z.number(),
    p90_ape_percent: z.number(),
    bias_percent: z.number(),
    worse_than_25_percent_share: share,
    coverage: z.array(coverage),
    median_seconds: z.number(),
    median_speed_mib_s: z
      .number()
      .nullable()
      .describe('median of what had to be copied over the duration; null where no size is known'),
  })
  .meta({ id: 'AccuracyFigures' });

const answer = z.object({
  window: z.string(),
  from: z.string().nullable(),
  scored_moves: z.int().describe('in the window, broken-off ones included'),
  scored_moves_ever: z.int().describe('held in memory'),
  first_scored_at: z.string().nullable().describe('finish of the first scored move in the window'),
  last_scored_at: z.string().nullable(),
  counts_by_how: z
    .record(z.string(), z.int())
    .describe(
      'predicted before they started, made afterwards from history, or by the backtest of the training',
    ),
  overall: figures.nullable(),
  groups: z.array(z.object({ key: z.string(), figures })),
  calibration: z.array(z.object({ level: share, share, low: share, high: share })),
  counts_by_basis: z.record(z.string(), z.int()),
  counts_by_model: z.record(z.string(), z.int()),
});

export function accuracyRoutes({ scores, now }: ServiceParts): Route[] {
  return [
    {
      method: 'get',
      path: '/v1/accuracy',
      role: 'predict',
      summary: 'What was predicted against what happened',
      query,
      answers: {
        200: { description: 'Figures of the scored moves that finished in the window', json: answer },
      },
      async handle(request, response) {
        const { window = DEFAULT_WINDOW, by, cluster } = checked(query, request.query);
        const spanMs = windowMs(window, 'window');
        const nowMs = now();
        const fromMs = spanMs === undefined ? undefined : nowMs - spanMs;
        const inWindow = scores.between(fromMs, Infinity);
        const found =
          cluster === undefined ? inWindow : inWindow.filter((score) => score.cluster === cluster);
        // Each takes up to 40 ms over 100,000 moves: other requests are answered in between.
        const overall = accuracyOf(found) ?? null;
        await yieldToLoop();
        const groups = by === undefined ? [] : accuracyBy(found, by);
        await yieldToLoop();
        const calibration = calibrationOf(found);
        await yieldToLoop();
        await sendListing(request, response, {
          window,
          from: timeOrNull(fromMs),
          scored_moves: found.length,
          scored_moves_ever: scores.size,
          first_scored_at: timeOrNull(found[0]?.finished_ms),
          last_scored_at: timeOrNull(found.at(-1)?.finished_ms),
          counts_by_how: countsBy(found, (score) => score.how),
          overall,
          groups,
          calibration,
          counts_by_basis: countsBy(found, (score) => score.basis),
          counts_by_model: countsBy(found, (score) => score.model),
        } satisfies z.infer<typeof answer>);
      },
    },
  ];
}
