import { z } from 'zod';
import * as field from '../../domain/fields.js';
import { QUANTILE_NAMES } from '../../domain/prediction.js';
import { toIsoTime } from '../../domain/units.js';
import { linkOfName } from '../../predictor/link-forecast.js';
import { ageOf, clusterWith } from '../link-watch.js';
import { HttpError } from '../problem.js';
import { checked, sendListing, type Route, type ServiceParts } from '../route.js';

const MS_PER_HOUR = 3_600_000;
const MOST_HOURS = 336;
const HOURS = 24;
const STEP_SECONDS = 300;
/** Most times in one answer: a week of five minutes. */
const MOST_TIMES = 2_016;

const query = z.object({
  hours: z.coerce
    .number()
    .min(0.1)
    .max(MOST_HOURS)
    .optional()
    .describe(`how far ahead; ${HOURS} when absent`),
  step_seconds: z.coerce
    .number()
    .min(1)
    .max(86_400)
    .optional()
    .describe(`from one time to the next; ${STEP_SECONDS} when absent`),
  cluster: field.name.optional().describe('needed where several clusters have the link'),
  capacity_mbps: z.coerce
    .number()
    .positive()
    .max(1e9)
    .optional()
    .describe("the link's capacity where the samples do not tell it"),
});

const mbps = z.number().nonnegative();
const bands = z
  .object({ p05: mbps, p10: mbps, p50: mbps, p90: mbps, p95: mbps })
  .meta({ id: 'MbpsQuantiles' });

const forecastAnswer = z.object({
  link: z.string(),
  cluster: z.string(),
  basis: z.enum(['link', 'node', 'cluster']).describe('the most specific samples that it stands on'),
  series: z.string().describe('the link or node that was sampled; * is the whole cluster'),
  evidence: z.enum(['traffic', 'moves']).describe('monitored traffic, or what finished moves got'),
  class: z.string(),
  model: z.string(),
  capacity_mbps: z.number().nullable(),
  samples: z.int(),
  last_sample_at: z.string(),
  age_seconds: z.int().describe('since the last sample: an old one tells little of the coming hours'),
  recent: z
    .array(z.object({ at: z.string(), mbps: z.number() }))
    .describe(
      'measured in the 24 hours before the last sample, one a minute; none where several links stand for it',
    ),
  forecasts: z.array(
    z.object({
      at: z.string(),
      throughput_mbps: bands.nullable().describe('other traffic; null where only moves told of the link'),
      available_mbps: bands
        .nullable()
        .describe('left for a move: capacity − traffic; null while the capacity is not known'),
    }),
  ),
});

const linksAnswer = z.object({
  links: z.array(
    z.object({
      cluster: z.string(),
      link: z.string().describe('source>target, or the port of a node, such as node-a:egress'),
      samples: z.int(),
      last_sample_at: z.string(),
      age_seconds: z.int(),
    }),
  ),
});

export function linkRoutes({ links: watch, now }: ServiceParts): Route[] {
  return [
    {
      method: 'get',
      path: '/v1/links',
      role: 'predict',
      summary: 'Links that have samples',
      answers: { 200: { description: 'Links by cluster and name', json: linksAnswer } },
      async handle(request, response) {
        const nowMs = now();
        const links = (await watch.watched()).map(({ cluster, link, samples, lastMs }) => ({
          cluster,
          link,
          samples,
          ...ageOf(lastMs, nowMs),
        }));
        await sendListing(request, response, { links } satisfies z.infer<typeof linksAnswer>);
      },
    },
    {
      method: 'get',
      path: '/v1/links/{link}/forecast',
      role: 'predict',
      summary: 'What a link will carry and leave over in the coming hours, with bands',
      description:
        'A link without samples of its own is forecast from those of its source node, else of its cluster; `basis` says which.',
      pathParameters: {
        link: 'source>target with > written as %3E, a node, or a name as in the samples, such as node-a:egress',
      },
      query,
      answers: { 200: { description: 'The coming hours', json: forecastAnswer } },
      async handle(request, response) {
        const link = String(request.params['link']);
        const { hours = HOURS, step_seconds: step = STEP_SECONDS, ...of } = checked(query, request.query);
        const named = checked(field.name, link, 'link');
        const asked = linkOfName(named);
        if (asked === undefined)
          throw new HttpError(
            422,
            'input-invalid',
            'link names no link; write source%3Etarget, or one node',
            'link',
          );
        const times = Math.floor((hours * MS_PER_HOUR) / (step * 1000));
        if (times < 1 || times > MOST_TIMES)
          throw new HttpError(
            422,
            'input-invalid',
            `step_seconds makes ${times} times of ${hours} hours; choose it to make 1 to ${MOST_TIMES}`,
            'step_seconds',
          );
        const forecasts = await watch.forecasts();
        const cluster = clusterWith(forecasts, { ...asked, cluster: of.cluster });
        const nowMs = now();
        const at = (ahead: number) =>
          forecasts.at({ ...asked, cluster, capacityMbps: of.capacity_mbps }, nowMs + ahead * step * 1000)!;
        const first = at(1);
        const recent = await watch.samplesBehind(cluster, first);
        await sendListing(request, response, {
          link: named,
          cluster,
          basis: first.basis,
          series: first.series,
          evidence: first.evidence,
          class: first.class,
          model: first.model,
          capacity_mbps: first.capacityMbps ?? null,
          samples: first.samples,
          ...ageOf(watch.lastSampleMs(cluster, first), nowMs),
          recent: recent.map((sample) => ({ at: sample.at, mbps: rounded(sample.throughput_mbps) })),
          forecasts: Array.from({ length: times }, (_, i) => {
            const { trafficMbps, availableMbps } = at(i + 1);
            return {
              at: toIsoTime(nowMs + (i + 1) * step * 1000),
              throughput_mbps: bandsOf(trafficMbps),
              available_mbps: bandsOf(availableMbps),
            };
          }),
        } satisfies z.infer<typeof forecastAnswer>);
      },
    },
  ];
}

type Bands = z.infer<typeof bands>;

/** Quantiles of the library → named, to a thousandth of a Mbit/s. */
const bandsOf = (quantiles: Float64Array | undefined): Bands | null =>
  quantiles === undefined
    ? null
    : (Object.fromEntries(QUANTILE_NAMES.map((name, j) => [name, rounded(quantiles[j]!)])) as Bands);

const rounded = (value: number): number => Math.round(value * 1000) / 1000;
