import { z } from 'zod';
import * as field from '../../domain/fields.js';
import {
  finishMs,
  moveRecordSchema,
  operationSchema,
  parseMoveRecord,
  type MoveRecord,
} from '../../domain/move-record.js';
import { durationQuantilesSchema } from '../../domain/prediction.js';
import { fromIsoTime, toIsoTime } from '../../domain/units.js';
import { apePercent } from '../../monitor/accuracy.js';
import { scoredHow, type Score } from '../../monitor/score.js';
import type { MoveFilter } from '../../store/store.js';
import { CLOCK_TOLERANCE_MS } from '../learning-model.js';
import { MOST_REQUESTS } from '../options.js';
import { checked, sendJson, sendListing, type Route, type ServiceParts } from '../route.js';
import { objectBody } from './predictions.js';

const movesBody = <T extends z.ZodType>(item: T) =>
  z.object({ moves: z.array(item).min(1).max(MOST_REQUESTS) });
const anyMoves = movesBody(z.unknown());

const reportAnswer = z.object({
  new: z.int(),
  known: z.int().describe('stored before under the same id'),
  rejected: z.array(z.object({ index: z.int(), reason: z.string() })),
});

/** Most moves in one answer of GET /v1/moves. */
const MOST_LISTED = 1_000;

const listQuery = z.object({
  limit: z.coerce.number().int().min(1).max(MOST_LISTED).optional().describe('100 when absent'),
  from: field.time.optional().describe('started at or after'),
  to: field.time.optional().describe('started before; for the next page the started_at of the last move'),
  cluster: field.name.optional(),
  instance: field.name.optional(),
  source_node: field.name.optional(),
  target_node: field.name.optional(),
  operation: operationSchema.optional(),
});
const LISTED_WITHOUT_LIMIT = 100;

const listedMove = z
  .object({
    ...moveRecordSchema.shape,
    predicted: z
      .object({
        duration_seconds: durationQuantilesSchema.omit({ mean: true }),
        basis: z.string(),
        model: z.string(),
        how: z
          .enum(scoredHow)
          .describe(
            'given out before the move started, made afterwards from what had finished before its start, or by the backtest of the training',
          ),
        error_percent: z.number().describe('absolute error of the median in percent of the actual duration'),
      })
      .nullable(),
  })
  .meta({ id: 'ListedMove' });

const listAnswer = z.object({ moves: z.array(listedMove) });

export function moveRoutes({ model, store, scores, metrics, now }: ServiceParts): Route[] {
  return [
    {
      method: 'post',
      path: '/v1/moves',
      role: 'report',
      summary: 'Reports finished moves: stored, scored, learnt from at once',
      description:
        'Idempotent by `id`. A move is scored against the prediction kept under its id, else against what the model says from history before its start. Rejected moves do not spoil the others.',
      body: movesBody(moveRecordSchema),
      example: {
        moves: [
          {
            id: 'job-4711',
            instance: 'web1',
            source_node: 'node1',
            target_node: 'node2',
            operation: 'live_migration',
            started_at: '2026-11-22T10:00:00.000Z',
            duration_seconds: 12.4,
            memory_mib: 4096,
          },
        ],
      },
      answers: { 200: { description: 'What became of them', json: reportAnswer } },
      async handle(request, response) {
        const { moves } = checked(anyMoves, objectBody(request.body));
        const latestMs = now() + CLOCK_TOLERANCE_MS;
        const records: MoveRecord[] = [];
        const rejected: z.infer<typeof reportAnswer>['rejected'] = [];
        for (const [index, raw] of moves.entries()) {
          const parsed = parseMoveRecord(raw);
          if (!parsed.ok) rejected.push({ index, reason: parsed.reason });
          else if (finishMs(parsed.value) > latestMs)
            rejected.push({
              index,
              reason: 'started_at + duration_seconds lies in the future; check the clock',
            });
          else records.push(parsed.value);
        }
        const counts = records.length > 0 ? await model.report(records) : { new: 0, known: 0 };
        metrics.movesReported.inc({ result: 'new' }, counts.new);
        metrics.movesReported.inc({ result: 'known' }, counts.known);
        metrics.movesReported.inc({ result: 'rejected' }, rejected.length);
        sendJson(response, { new: counts.new, known: counts.known, rejected });
      },
    },
    {
      method: 'get',
      path: '/v1/moves',
      role: 'predict',
      summary: 'Finished moves, newest first, with what had been predicted',
      query: listQuery,
      answers: { 200: { description: 'Moves', json: listAnswer } },
      async handle(request, response) {
        const { limit, from, to, ...match } = checked(listQuery, request.query);
        const filter: MoveFilter = {
          newestFirst: true,
          limit: limit ?? LISTED_WITHOUT_LIMIT,
          ...(from === undefined ? {} : { fromMs: fromIsoTime(from) }),
          ...(to === undefined ? {} : { toMs: fromIsoTime(to) }),
          ...(match.cluster === undefined ? {} : { cluster: match.cluster }),
          ...(match.instance === undefined ? {} : { instance: match.instance }),
          ...(match.source_node === undefined ? {} : { sourceNode: match.source_node }),
          ...(match.target_node === undefined ? {} : { targetNode: match.target_node }),
          ...(match.operation === undefined ? {} : { operation: match.operation }),
        };
        const moves: z.infer<typeof listAnswer>['moves'] = [];
        for await (const record of store.moves(filter))
          moves.push({ ...record, predicted: predictedOf(scores.get(record.id)) });
        await sendListing(request, response, { moves });
      },
    },
  ];
}

function predictedOf(score: Score | undefined): z.infer<typeof listedMove>['predicted'] {
  if (score === undefined) return null;
  const { p05, p10, p50, p90, p95, basis, model, how } = score;
  return {
    duration_seconds: { p05, p10, p50, p90, p95 },
    basis,
    model,
    how,
    error_percent: apePercent(score),
  };
}

/** Epoch milliseconds → the time form of answers; null where there is none. */
export const timeOrNull = (ms: number | undefined): string | null =>
  ms === undefined ? null : toIsoTime(ms);
