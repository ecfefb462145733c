import { z } from 'zod';
import * as field from '../../domain/fields.js';
import { DEFAULT_CLUSTER } from '../../domain/move-record.js';
import { pastErrorsSchema } from '../../domain/past-errors.js';
import { modelReferenceSchema } from '../../domain/prediction.js';
import { checked, sendListing, type Route, type ServiceParts } from '../route.js';

const query = z.object({
  cluster: field.name.optional().describe(`whose moves; ${DEFAULT_CLUSTER} when absent`),
});
const answer = z.object({
  cluster: z.string(),
  errors: pastErrorsSchema.optional().describe('absent where too few moves of the cluster are known'),
  model: modelReferenceSchema,
});

export function pastErrorRoutes({ model }: ServiceParts): Route[] {
  return [
    {
      method: 'get',
      path: '/v1/past-errors',
      role: 'predict',
      summary: 'How the last moves of a cluster deviated from what was predicted for them',
      description:
        'For whoever draws durations rather than quantiles: a standardised error e stands for p50 · (p90 / p50)^e where it is positive and for p50 · (p50 / p10)^e where it is negative, so that -1 is p10 and 1 is p90. Errors of one hour, and in it of one host, stand together.',
      query,
      answers: { 200: { description: 'The errors, oldest first', json: answer } },
      async handle(request, response) {
        const { cluster = DEFAULT_CLUSTER } = checked(query, request.query);
        const { predictor } = model;
        const errors = predictor.pastErrors(cluster);
        await sendListing(request, response, {
          cluster,
          ...(errors === undefined ? {} : { errors }),
          model: predictor.model,
        } satisfies z.infer<typeof answer>);
      },
    },
  ];
}
