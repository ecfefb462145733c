import { z } from 'zod';
import { modelReferenceSchema } from '../../domain/prediction.js';
import { HttpError } from '../problem.js';
import { sendJson, type Route, type ServiceParts } from '../route.js';

const healthAnswer = z.object({ status: z.literal('ok'), version: z.string() });
const readyAnswer = z.object({
  status: z.literal('ready'),
  model: modelReferenceSchema,
  learned_moves: z.int(),
});

export function healthRoutes({ model, metrics, version, stopping }: ServiceParts): Route[] {
  return [
    {
      method: 'get',
      path: '/healthz',
      role: undefined,
      summary: 'The process lives',
      answers: { 200: { description: 'It does', json: healthAnswer } },
      handle(_request, response) {
        sendJson(response, { status: 'ok', version });
      },
    },
    {
      method: 'get',
      path: '/readyz',
      role: undefined,
      summary: 'The history has been read and requests are answered',
      answers: {
        200: { description: 'Ready', json: readyAnswer },
        503: { description: 'Still reading the history, or stopping' },
      },
      handle(_request, response) {
        if (stopping())
          throw new HttpError(503, 'not-ready', 'stopping: ask another replica', undefined, {
            'retry-after': '5',
          });
        const { predictor } = model;
        sendJson(response, { status: 'ready', model: predictor.model, learned_moves: model.learnedMoves });
      },
    },
    {
      method: 'get',
      path: '/metrics',
      role: 'predict',
      summary: 'Metrics in the text format of Prometheus',
      answers: { 200: { description: 'Metrics', other: ['text/plain'] } },
      async handle(_request, response) {
        const text = await metrics.registry.metrics();
        response.setHeader('content-type', metrics.registry.contentType);
        response.setHeader('cache-control', 'no-store');
        response.end(text);
      },
    },
  ];
}
