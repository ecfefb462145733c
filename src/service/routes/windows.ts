import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { z } from 'zod';
import { moveRequestSchema, parseMoveRequest, type MoveRequest } from '../../domain/move-request.js';
import {
  durationQuantilesSchema,
  modelReferenceSchema,
  predictionErrorSchema,
  type DurationQuantiles,
} from '../../domain/prediction.js';
import { fromIsoTime, toIsoTime } from '../../domain/units.js';
import type { LinkForecast, LinkForecasts } from '../../predictor/link-forecast.js';
import type { Predictor } from '../../predictor/predictor.js';
import { DEFAULT_CLUSTER, type Parsed } from '../../domain/move-record.js';
import { calendarFile, type CalendarEvent } from '../calendar.js';
import { ageOf, type LinkWatch } from '../link-watch.js';
import { SLICE } from '../options.js';
import { HttpError } from '../problem.js';
import { checked, sendJson, type Route, type ServiceParts } from '../route.js';
import { errorOf, objectBody } from './predictions.js';

const MS_PER_MINUTE = 60_000;
/** Two weeks: as far as links are forecast. */
const MOST_HOURS = 336;
const HOURS = 24;
const STEP_MINUTES = 60;
const LEAST_STEP_MINUTES = 5;
const MOST_MOVES = 1_000;
/** Most predictions in one call, starts × moves: as many moves over a day of hours, an answer of 7 MB. */
const MOST_STARTS = 25_000;
/** Starts whose median is at most this much above the shortest belong to a best window: less is not worth waiting for. */
const AS_GOOD = 1.05;
/** Medians that differ by no more than this are the same to whoever waits: the earlier start is the better one. */
const ALIKE = 1.01;
/** Windows named. */
const WINDOWS_NAMED = 3;
/** A calendar entry lasts until the move has finished in nine of ten cases, and is at least so long. */
const SHORTEST_ENTRY_MS = MS_PER_MINUTE;

const body = <T extends z.ZodType>(item: T) =>
  z
    .object({
      request: item.optional().describe('one move; or several in requests'),
      requests: z.array(item).min(1).max(MOST_MOVES).optional(),
      hours: z.number().min(0).max(MOST_HOURS).optional().describe(`how far ahead; ${HOURS} when absent`),
      step_minutes: z
        .number()
        .min(LEAST_STEP_MINUTES)
        .max(1440)
        .optional()
        .describe(`from one start to the next; ${STEP_MINUTES} when absent`),
    })
    .meta({ description: 'give request or requests' });
/** Moves are checked one by one, so that a bad one does not spoil the others. */
const anyBody = body(z.unknown());

const mbps = z.number().nonnegative();
const start = z.object({
  start_at: z.string(),
  duration_seconds: durationQuantilesSchema,
  background_mbps: mbps.nullable().describe('other traffic that the prediction reckons with'),
});
const best = z.object({
  from: z.string().describe('first start of the window'),
  to: z.string().describe('its last start'),
  start_at: z.string().describe('the earliest start in it that is as good as any of its starts'),
  duration_seconds: durationQuantilesSchema,
  gain_seconds: z.number().describe('shorter than the median of the first start by so much'),
  gain_percent: z.number(),
});
const traffic = z.object({
  source: z
    .enum(['request', 'forecast', 'none'])
    .describe('where background_mbps comes from: the request, the forecast of the link, or nowhere'),
  note: z.string(),
  basis: z.enum(['link', 'node', 'cluster']).optional(),
  series: z.string().optional(),
  last_sample_at: z.string().optional(),
  age_seconds: z.int().optional(),
});
const moveWindows = z
  .object({
    request_id: z.string().optional(),
    traffic,
    starts: z.array(start).describe('the first is now, or start_at of the request where that is later'),
    best: z
      .array(best)
      .describe(
        `neighbouring starts whose median is within ${Math.round(100 * (AS_GOOD - 1))} % of the shortest, best first`,
      ),
  })
  .meta({ id: 'MoveWindows' });
type MoveWindows = z.infer<typeof moveWindows>;

const answer = z.object({
  windows: z.array(z.union([moveWindows, predictionErrorSchema])).describe('in the order of the requests'),
  model: modelReferenceSchema,
});

const CALENDAR = 'text/calendar';

interface Grid {
  nowMs: number;
  stepMs: number;
  count: number;
}

export function windowRoutes({ model, links, metrics, now }: ServiceParts): Route[] {
  return [
    {
      method: 'post',
      path: '/v1/windows',
      role: 'predict',
      summary: 'When to move: predicted duration for each start over the coming hours, and the best windows',
      description:
        'Where a request names no background_mbps, each start is predicted with the median that is forecast for its link. ' +
        `With \`Accept: ${CALENDAR}\` the best window of each move comes as a calendar file.`,
      body: body(moveRequestSchema),
      example: {
        request: {
          instance: 'web1',
          source_node: 'node1',
          target_node: 'node2',
          memory_mib: 4096,
          link_mbps: 1000,
        },
        hours: 24,
      },
      answers: { 200: { description: 'Windows', json: answer, other: [CALENDAR] } },
      async handle(request, response) {
        const asked = checked(anyBody, objectBody(request.body));
        const { hours = HOURS, step_minutes: step = STEP_MINUTES } = asked;
        const requests = requestsOf(asked);
        const grid: Grid = {
          nowMs: now(),
          stepMs: step * MS_PER_MINUTE,
          count: Math.floor((hours * 60) / step) + 1,
        };
        if (requests.length * grid.count > MOST_STARTS)
          throw new HttpError(
            413,
            'too-large',
            `${requests.length} moves × ${grid.count} starts are more than ${MOST_STARTS} predictions; send the moves in parts or a longer step_minutes`,
            'requests',
          );
        const wantsCalendar = request.accepts(['application/json', CALENDAR]) === CALENDAR;
        const { predictor } = model;
        const forecasts = await links.forecasts();
        const windows: z.infer<typeof answer>['windows'] = [];
        const events: CalendarEvent[] = [];
        let predicted = 0;
        let sinceYield = 0;
        for (const [index, raw] of requests.entries()) {
          const parsed = notRunning(parseMoveRequest(raw));
          const path = asked.requests === undefined ? 'request' : `requests[${index}]`;
          if (!parsed.ok) {
            if (wantsCalendar || asked.requests === undefined)
              throw new HttpError(
                422,
                'input-invalid',
                `${path}: ${parsed.reason}`,
                parsed.field === '' ? path : `${path}.${parsed.field}`,
              );
            metrics.predictionErrors.inc();
            windows.push(errorOf(raw, parsed.field, parsed.reason));
            continue;
          }
          const found = await windowsOf(parsed.value, grid, predictor, forecasts, links);
          predicted += grid.count;
          if (wantsCalendar) events.push(eventOf(parsed.value, found));
          else windows.push(found);
          sinceYield += grid.count;
          if (sinceYield >= SLICE) {
            sinceYield = 0;
            await yieldToLoop();
          }
        }
        metrics.predictions.inc({ basis: 'windows' }, predicted);
        response.setHeader('vary', 'accept');
        if (!wantsCalendar)
          sendJson(response, { windows, model: predictor.model } satisfies z.infer<typeof answer>);
        else if (!response.writableEnded) {
          response.setHeader('content-type', `${CALENDAR}; charset=utf-8`);
          response.setHeader('content-disposition', 'attachment; filename="movecast-windows.ics"');
          response.setHeader('cache-control', 'no-store');
          response.end(calendarFile(events, grid.nowMs));
        }
      },
    },
  ];
}

/** A start is looked for: a move that has started needs none. */
function notRunning(parsed: Parsed<MoveRequest>): Parsed<MoveRequest> {
  if (!parsed.ok || parsed.value.progress === undefined) return parsed;
  const reason =
    'progress must not be given here: the move runs already; ask /v1/predictions for what remains';
  return { ok: false, field: 'progress', reason };
}

function requestsOf({ request, requests }: z.infer<typeof anyBody>): readonly unknown[] {
  if (request === undefined && requests === undefined)
    throw new HttpError(422, 'input-invalid', 'request is missing; give request or requests', 'request');
  if (request !== undefined && requests !== undefined)
    throw new HttpError(422, 'input-invalid', 'requests must not stand beside request', 'requests');
  return requests ?? [request];
}

/** Every start of one move with its prediction, and the best of them. O(starts). */
async function windowsOf(
  request: MoveRequest,
  { nowMs, stepMs, count }: Grid,
  predictor: Predictor,
  forecasts: LinkForecasts,
  watch: LinkWatch,
): Promise<MoveWindows> {
  const firstMs = request.start_at === undefined ? nowMs : Math.max(nowMs, fromIsoTime(request.start_at));
  const given = request.background_mbps;
  const forecastAt = (atMs: number): LinkForecast | undefined =>
    given === undefined ? forecasts.at(linkOf(request), atMs) : undefined;
  const firstForecast = forecastAt(firstMs);
  const isForecast = firstForecast?.trafficMbps !== undefined;
  const starts: MoveWindows['starts'] = [];
  for (let i = 0; i < count; i += 1) {
    if (i % SLICE === SLICE - 1) await yieldToLoop();
    const atMs = firstMs + i * stepMs;
    const startAt = toIsoTime(atMs);
    const background = given ?? (isForecast ? median(forecastAt(atMs)!.trafficMbps!) : undefined);
    if (background === undefined && i > 0) {
      starts.push({ ...starts[0]!, start_at: startAt }); // nothing is known that would tell the starts apart
      continue;
    }
    const { duration_seconds: duration } = predictor.predict(
      {
        ...request,
        start_at: startAt,
        ...(background === undefined ? {} : { background_mbps: background }),
      },
      nowMs,
    );
    starts.push({ start_at: startAt, duration_seconds: duration, background_mbps: background ?? null });
  }
  return {
    ...(request.request_id === undefined ? {} : { request_id: request.request_id }),
    traffic: trafficOf(
      given !== undefined,
      request.cluster ?? DEFAULT_CLUSTER,
      firstForecast,
      (cluster, forecast) => ageOf(watch.lastSampleMs(cluster, forecast), nowMs),
    ),
    starts,
    best: bestOf(starts),
  };
}

const linkOf = (request: MoveRequest) => ({
  cluster: request.cluster ?? DEFAULT_CLUSTER,
  sourceNode: request.source_node,
  targetNode: request.target_node,
  capacityMbps: request.link_mbps,
});

const median = (quantiles: Float64Array): number =>
  Math.round(quantiles[quantiles.length >> 1]! * 1000) / 1000;

function trafficOf(
  isGiven: boolean,
  cluster: string,
  forecast: LinkForecast | undefined,
  age: (cluster: string, forecast: LinkForecast) => ReturnType<typeof ageOf>,
): MoveWindows['traffic'] {
  if (isGiven)
    return { source: 'request', note: 'every start reckons with the background_mbps of the request' };
  if (forecast === undefined)
    return {
      source: 'none',
      note: `cluster ${cluster} has no link samples, so all starts are alike; name the right cluster, or send samples to /v1/samples`,
    };
  const { basis, series } = forecast;
  const of = { basis, series, ...age(cluster, forecast) };
  if (forecast.trafficMbps === undefined)
    return {
      source: 'none',
      note: 'only finished moves tell of this link, not its traffic, so all starts are alike; send link samples to /v1/samples',
      ...of,
    };
  const whose = basis === 'link' ? 'the link' : basis === 'node' ? 'its source node' : 'its whole cluster';
  return {
    source: 'forecast',
    note: `each start reckons with the median forecast of the traffic of ${whose}`,
    ...of,
  };
}

/** Runs of neighbouring starts that are about as good as the best, best first; of equals the earlier. */
export function bestOf(starts: MoveWindows['starts']): MoveWindows['best'] {
  const p50 = (i: number): number => starts[i]!.duration_seconds.p50;
  let shortest = Infinity;
  for (let i = 0; i < starts.length; i += 1) shortest = Math.min(shortest, p50(i));
  const runs: { from: number; to: number; shortest: number }[] = [];
  for (let i = 0; i < starts.length; i += 1) {
    if (p50(i) > shortest * AS_GOOD) continue;
    const run = runs.at(-1);
    if (run?.to !== i - 1) runs.push({ from: i, to: i, shortest: p50(i) });
    else {
      run.to = i;
      run.shortest = Math.min(run.shortest, p50(i));
    }
  }
  const rank = (run: { shortest: number }): number => (run.shortest <= shortest * ALIKE ? 0 : run.shortest);
  runs.sort((a, b) => rank(a) - rank(b) || a.from - b.from);
  const nowSeconds = p50(0);
  return runs.slice(0, WINDOWS_NAMED).map(({ from, to, shortest: within }) => {
    let at = from;
    while (p50(at) > within * ALIKE) at += 1;
    return {
      from: starts[from]!.start_at,
      to: starts[to]!.start_at,
      start_at: starts[at]!.start_at,
      duration_seconds: starts[at]!.duration_seconds,
      gain_seconds: nowSeconds - p50(at),
      gain_percent: (100 * (nowSeconds - p50(at))) / nowSeconds,
    };
  });
}

function eventOf(
  request: MoveRequest,
  { best: [window], starts, traffic: { note } }: MoveWindows,
): CalendarEvent {
  const { start_at: startAt, duration_seconds: duration, gain_seconds: gain } = window!;
  const startMs = fromIsoTime(startAt);
  const { instance, source_node: source, target_node: target, cluster = DEFAULT_CLUSTER } = request;
  return {
    key: JSON.stringify([request.request_id ?? '', cluster, instance, source, target]),
    startMs,
    endMs: startMs + Math.max(SHORTEST_ENTRY_MS, Math.round(duration.p90 * 1000)),
    summary: `Move ${instance} from ${source} to ${target}`,
    description: [
      `Predicted ${secondsText(duration)}.`,
      startAt === starts[0]!.start_at
        ? 'No later start is predicted to be worth waiting for.'
        : `A start at ${minuteText(starts[0]!.start_at)} is predicted to take ${secondsText(starts[0]!.duration_seconds)}: ${gain.toFixed(1)} s more.`,
      `About as good: every start from ${minuteText(window!.from)} to ${minuteText(window!.to)}.`,
      `Traffic: ${note}.`,
    ].join('\n'),
  };
}

/** `2026-11-24 09:42 UTC` */
const minuteText = (iso: string): string => `${iso.slice(0, 16).replace('T', ' ')} UTC`;

const secondsText = ({ p50, p10, p90 }: DurationQuantiles): string =>
  `${p50.toFixed(1)} s (8 of 10 such moves: ${p10.toFixed(1)} to ${p90.toFixed(1)} s)`;
