import { z } from 'zod';
import { planSchema } from '../domain/plan.js';

/** What an execution tells while it goes on: one JSON object a line with `--json`. Times are RFC 3339. */

const at = z.string();
const seconds = z.number();
const move = { instance: z.string(), letters: z.string() };
const job = z.number();

export const executionEventSchema = z.discriminatedUnion('event', [
  z.object({ at, event: z.literal('begin'), cluster: z.string(), master: z.string(), execution: z.string() }),
  z.object({
    at,
    event: z.literal('plan').describe('the first plan, or a new one in its place'),
    why: z.string(),
    plan: planSchema,
  }),
  z.object({
    at,
    event: z.literal('adopt').describe('a job of an earlier execution that still runs'),
    instance: z.string(),
    job,
  }),
  z.object({
    at,
    event: z.literal('start'),
    ...move,
    jobs: z.array(job),
    predicted_seconds: z.object({ p10: seconds, p50: seconds, p90: seconds }),
  }),
  z.object({ at, event: z.literal('step'), ...move, job, command: z.string(), seconds }),
  z.object({ at, event: z.literal('finish'), ...move, seconds, done: z.number(), left: z.number() }),
  z.object({ at, event: z.literal('fail'), ...move, job: job.optional(), why: z.string() }),
  z.object({
    at,
    event: z.literal('hold').describe('a move waits for a job of somebody else'),
    ...move,
    job,
  }),
  z.object({ at, event: z.literal('cancel'), ...move, job, why: z.string() }),
  z.object({ at, event: z.literal('outage'), why: z.string() }),
  z.object({ at, event: z.literal('back') }),
  z.object({ at, event: z.literal('remark'), why: z.string() }),
  z.object({
    at,
    event: z.literal('stop').describe('nothing new starts any more; what runs is left to finish'),
    why: z.string(),
    running: z.number(),
  }),
  z.object({
    at,
    event: z.literal('end'),
    outcome: z.enum(['done', 'stopped']),
    why: z.string(),
    done: z.number(),
    failed: z.number(),
    left: z.number(),
    score: z.number().optional(),
    still_running: z.array(z.object({ instance: z.string(), job })),
  }),
]);
export type ExecutionEvent = z.infer<typeof executionEventSchema>;
type WithoutTime<T> = T extends unknown ? Omit<T, 'at'> : never;
export type ExecutionNews = WithoutTime<ExecutionEvent>;
