import { z } from 'zod';
import { alarmsOf } from '../../monitor/alarms.js';
import { toIsoTime } from '../../domain/units.js';
import { sendJson, type Route, type ServiceParts } from '../route.js';

const answer = z.object({
  alarms: z.array(
    z.object({
      kind: z.enum(['drift', 'coverage']),
      scope: z.string().describe('all, or the link'),
      since: z.string(),
      reason: z.string(),
      what_to_do: z.string(),
    }),
  ),
  late: z
    .array(
      z.object({
        move_id: z.string(),
        predicted_at: z.string(),
        expected_by: z
          .string()
          .describe('95 of 100 such moves would have finished, had they started at once'),
      }),
    )
    .describe('moves whose prediction was kept and that have not been reported, the longest overdue last'),
});

/** Moves overdue for longer were forgotten by whoever asked. */
const OVERDUE_AT_MOST_MS = 86_400_000;
const MOST_LATE = 100;

export function alarmRoutes({ scores, model, now }: ServiceParts): Route[] {
  return [
    {
      method: 'get',
      path: '/v1/alarms',
      role: 'predict',
      summary: 'What is wrong with the forecasts now, why, and what to do; and which moves are late',
      answers: { 200: { description: 'Alarms; an empty list when all is well', json: answer } },
      handle(_request, response) {
        const nowMs = now();
        const late = [];
        for (const { move_id, predicted_at, prediction } of model.awaitedPredictions()) {
          const expectedMs = Date.parse(predicted_at) + prediction.duration_seconds.p95 * 1000;
          if (expectedMs < nowMs && expectedMs > nowMs - OVERDUE_AT_MOST_MS)
            late.push({ move_id, predicted_at, expected_by: toIsoTime(expectedMs) });
        }
        late.sort((a, b) => (a.expected_by > b.expected_by ? -1 : 1));
        sendJson(response, {
          alarms: alarmsOf(scores.between(undefined, Infinity)),
          late: late.slice(-MOST_LATE),
        } satisfies z.infer<typeof answer>);
      },
    },
  ];
}
