import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { z } from 'zod';
import { moveRequestSchema, parseMoveRequest, type MoveRequest } from '../../domain/move-request.js';
import { fromIsoTime, toIsoTime } from '../../domain/units.js';
import {
  modelReferenceSchema,
  predictionErrorSchema,
  predictionSchema,
  type Basis,
  type Prediction,
  type PredictionError,
  type PredictionOrError,
} from '../../domain/prediction.js';
import type { KeptPrediction } from '../../store/store.js';
import { MOST_REQUESTS, SLICE } from '../options.js';
import { HttpError } from '../problem.js';
import { checked, sendJson, type HotRoute, type ServiceParts } from '../route.js';

const keep = z
  .boolean()
  .optional()
  .describe('keep each prediction under its request_id, to score the move that is reported under that id');

/** The body with rows; `item` is what one row has to be. */
const rowsBody = <T extends z.ZodType>(item: T) =>
  z.object({ requests: z.array(item).min(1).max(MOST_REQUESTS), keep });

/** Rows are checked one by one, so that a bad one does not spoil the others. */
const anyRows = rowsBody(z.unknown());

const { request_id: requestId, labels: _labels, ...columnFields } = moveRequestSchema.shape;
const column = <T extends z.ZodType>(item: T) =>
  z.array(item.nullable()).min(1).max(MOST_REQUESTS).optional();
const columnsSchema = z.object({
  ...Object.fromEntries(Object.entries(columnFields).map(([name, item]) => [name, column(item)])),
  request_id: column(requestId),
});
const columnsBody = z.object({ columns: columnsSchema });

const numbers = z.array(z.number());
const rowsAnswer = z.object({ predictions: z.array(z.union([predictionSchema, predictionErrorSchema])) });
const columnsAnswer = z.object({
  columns: z.object({ p05: numbers, p10: numbers, p50: numbers, p90: numbers, p95: numbers, mean: numbers }),
  model: modelReferenceSchema,
});

export function predictionRoutes({ model, metrics, now }: ServiceParts): HotRoute[] {
  return [
    {
      method: 'post',
      path: '/v1/predictions',
      role: 'predict',
      summary: 'Predicted durations for 1 to 10,000 moves',
      description:
        'Answers come in the order of the requests; one that cannot be answered holds its error in its place. ' +
        'Column-wise, one wrong field refuses the whole call. A running move is asked for with `progress`, what it shows now: ' +
        'then `remaining_seconds` stands in the answer, and durations (in columns too) are what has elapsed and what remains.',
      body: z.union([rowsBody(moveRequestSchema), columnsBody]),
      example: {
        requests: [{ instance: 'web1', source_node: 'node1', target_node: 'node2', memory_mib: 4096 }],
      },
      answers: {
        200: { description: 'Predictions', json: z.union([rowsAnswer, columnsAnswer]) },
      },
      async handle(request, response) {
        const body = objectBody(request.body);
        if (body['columns'] !== undefined) {
          const columns = checked(columnsBody, body).columns as Columns;
          sendJson(response, await predictColumns(columns));
        } else {
          const { requests, keep: kept } = isPlainRows(body) ? body : checked(anyRows, body);
          const predictions = await predictRows(requests);
          if (kept === true) await keepPredictions(predictions);
          sendJson(response, { predictions });
        }
      },
    },
  ];

  async function predictRows(raw: readonly unknown[]): Promise<PredictionOrError[]> {
    const { predictor } = model;
    const nowMs = now();
    const answers: PredictionOrError[] = [];
    const counts: Record<Basis, number> = { link: 0, node: 0, cluster: 0, prior: 0 };
    let refused = 0;
    for (const [index, item] of raw.entries()) {
      const parsed = parseMoveRequest(item);
      if (parsed.ok) {
        const prediction = predictor.predict(parsed.value, nowMs);
        counts[prediction.basis] += 1;
        answers.push(prediction);
      } else {
        refused += 1;
        answers.push(errorOf(item, parsed.field, parsed.reason));
      }
      if (index % SLICE === SLICE - 1) await yieldToLoop();
    }
    for (const [basis, count] of Object.entries(counts))
      if (count > 0) metrics.predictions.inc({ basis }, count);
    if (refused > 0) metrics.predictionErrors.inc(refused);
    return answers;
  }

  async function keepPredictions(answers: readonly PredictionOrError[]): Promise<void> {
    const predictedAt = toIsoTime(now());
    const named = answers.filter(
      (answer): answer is Prediction & { request_id: string } =>
        // A move is scored against what was said before it started.
        !('error' in answer) && answer.request_id !== undefined && answer.remaining_seconds === undefined,
    );
    await model.keep(
      named.map((prediction): KeptPrediction => ({
        move_id: prediction.request_id,
        predicted_at: predictedAt,
        prediction,
      })),
    );
  }

  async function predictColumns(columns: Columns): Promise<z.infer<typeof columnsAnswer>> {
    const { predictor } = model;
    const nowMs = now();
    const requests = requestsOf(columns);
    const answer: z.infer<typeof columnsAnswer>['columns'] = {
      p05: [],
      p10: [],
      p50: [],
      p90: [],
      p95: [],
      mean: [],
    };
    for (let from = 0; from < requests.length; from += SLICE) {
      const slice = predictor.durations(requests.slice(from, from + SLICE), nowMs);
      for (const name of durationNames) for (const seconds of slice[name]) answer[name].push(seconds);
      await yieldToLoop();
    }
    metrics.predictions.inc({ basis: 'columns' }, requests.length);
    return { columns: answer, model: predictor.model };
  }
}

const durationNames = ['p05', 'p10', 'p50', 'p90', 'p95', 'mean'] as const;

type Columns = Partial<Record<keyof MoveRequest, readonly unknown[]>>;

/** The body as an object, or 422. */
export function objectBody(body: unknown): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new HttpError(422, 'input-invalid', 'the body must be a JSON object; see /docs');
  return body as Record<string, unknown>;
}

/** The usual body, seen at a glance: the schema would find nothing wrong with it, and take 2 us longer. */
function isPlainRows(body: Record<string, unknown>): body is { requests: unknown[]; keep: undefined } {
  const { requests, keep: kept } = body;
  return (
    kept === undefined && Array.isArray(requests) && requests.length > 0 && requests.length <= MOST_REQUESTS
  );
}

/** What stands in the place of a request that cannot be answered. */
export function errorOf(item: unknown, field: string, message: string): PredictionError {
  const id = (item as { request_id?: unknown } | null)?.request_id;
  return { ...(typeof id === 'string' ? { request_id: id } : {}), error: { field, message } };
}

/** Columns of equal length → requests; null means not known. */
function requestsOf(columns: Columns): MoveRequest[] {
  for (const name of ['instance', 'source_node', 'target_node'] as const) {
    if (columns[name] === undefined)
      throw new HttpError(422, 'input-invalid', `columns.${name} is missing`, `columns.${name}`);
    const gap = columns[name].indexOf(null);
    if (gap >= 0)
      throw new HttpError(
        422,
        'input-invalid',
        `columns.${name}[${gap}] must not be null`,
        `columns.${name}[${gap}]`,
      );
  }
  const length = columns.instance!.length;
  const requests = Array.from({ length }, (): Record<string, unknown> => ({}));
  for (const [name, values] of Object.entries(columns)) {
    if (values.length !== length)
      throw new HttpError(
        422,
        'input-invalid',
        `columns.${name} has ${values.length} entries but columns.instance has ${length}`,
        `columns.${name}`,
      );
    const isTime = name === 'start_at';
    for (let i = 0; i < length; i += 1) {
      const value = values[i];
      if (value !== null) requests[i]![name] = isTime ? toIsoTime(fromIsoTime(value as string)) : value;
    }
  }
  return requests as unknown as MoveRequest[];
}
