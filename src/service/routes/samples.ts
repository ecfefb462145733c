import { z } from 'zod';
import {
  instanceSampleSchema,
  linkSampleSchema,
  parseInstanceSample,
  parseLinkSample,
  type InstanceSample,
  type LinkSample,
} from '../../domain/samples.js';
import { CLOCK_TOLERANCE_MS } from '../learning-model.js';
import { MOST_REQUESTS } from '../options.js';
import { HttpError } from '../problem.js';
import { checked, sendJson, type Route, type ServiceParts } from '../route.js';
import { objectBody } from './predictions.js';

const samplesBody = <L extends z.ZodType, I extends z.ZodType>(link: L, instance: I) =>
  z.object({
    link_samples: z.array(link).max(MOST_REQUESTS).optional(),
    instance_samples: z.array(instance).max(MOST_REQUESTS).optional(),
  });
const anySamples = samplesBody(z.unknown(), z.unknown());

const kindAnswer = z.object({
  new: z.int(),
  known: z.int().describe('stored before for the same cluster, key and time'),
  rejected: z.array(z.object({ index: z.int(), reason: z.string() })),
});
const answer = z.object({ link_samples: kindAnswer, instance_samples: kindAnswer });

export function sampleRoutes({ model, now }: ServiceParts): Route[] {
  return [
    {
      method: 'post',
      path: '/v1/samples',
      role: 'report',
      summary: 'Takes link and instance samples: traffic of links, dirty rate and memory of instances',
      body: samplesBody(linkSampleSchema, instanceSampleSchema),
      example: {
        link_samples: [{ at: '2026-11-22T10:00:00.000Z', link: 'node1>node2', throughput_mbps: 240 }],
        instance_samples: [{ at: '2026-11-22T10:00:00.000Z', instance: 'web1', dirty_rate_mib_s: 12 }],
      },
      answers: { 200: { description: 'What became of them', json: answer } },
      async handle(request, response) {
        const body = checked(anySamples, objectBody(request.body));
        const linkSamples = body.link_samples ?? [];
        const instanceSamples = body.instance_samples ?? [];
        if (linkSamples.length + instanceSamples.length === 0)
          throw new HttpError(
            422,
            'input-invalid',
            'link_samples is missing; give link_samples or instance_samples',
            'link_samples',
          );
        sendJson(response, {
          link_samples: await take(linkSamples, parseLinkSample, (good: LinkSample[]) =>
            model.reportLinkSamples(good),
          ),
          instance_samples: await take(instanceSamples, parseInstanceSample, (good: InstanceSample[]) =>
            model.reportInstanceSamples(good),
          ),
        });
      },
    },
  ];

  async function take<T extends { at: string }>(
    raw: readonly unknown[],
    parse: (item: unknown) => { ok: true; value: T } | { ok: false; reason: string },
    store: (good: T[]) => Promise<{ new: number; known: number }>,
  ): Promise<z.infer<typeof kindAnswer>> {
    const good: T[] = [];
    const rejected: { index: number; reason: string }[] = [];
    const latestMs = now() + CLOCK_TOLERANCE_MS;
    for (const [index, item] of raw.entries()) {
      const parsed = parse(item);
      if (!parsed.ok) rejected.push({ index, reason: parsed.reason });
      else if (Date.parse(parsed.value.at) > latestMs)
        rejected.push({ index, reason: 'at lies in the future; check the clock' });
      else good.push(parsed.value);
    }
    const counts = good.length > 0 ? await store(good) : { new: 0, known: 0 };
    return { new: counts.new, known: counts.known, rejected };
  }
}
