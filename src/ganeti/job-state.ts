import { z } from 'zod';
import { shownText } from './rapi-error.js';

/** Status words of Ganeti's jobs; one that we do not know counts as not ended. */
const JOB_STATUSES = ['queued', 'waiting', 'canceling', 'running', 'canceled', 'success', 'error'] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

/** One opcode of a job, as far as it tells which move it is. */
export interface JobOpcode {
  /** Such as OP_INSTANCE_MIGRATE. */
  opId: string;
  instance: string | undefined;
  comment: string | undefined;
  /** Nodes that it names. */
  nodes: string[];
  /** Who had it made, as the first entry of its reason trail says: `hbal`, `gnt:client:gnt-instance`, … */
  askedBy: string | undefined;
}

/** A job of Ganeti's queue as the remote API shows it. Times are epoch milliseconds. */
export interface JobState {
  id: number;
  status: JobStatus | 'unknown';
  opcodes: JobOpcode[];
  receivedMs: number | undefined;
  startMs: number | undefined;
  /** When its first opcode had its locks and work began; undefined also where the user may not query. */
  execMs: number | undefined;
  endMs: number | undefined;
  /** Why it failed, in Ganeti's words; undefined where it did not. */
  failure: string | undefined;
  /** The last line of its log; lists of jobs hold none. */
  lastMessage: string | undefined;
  /** The reply itself, for whoever reads more in it. */
  reply: unknown;
}

export const hasEnded = ({ status }: Pick<JobState, 'status'>): boolean =>
  status === 'success' || status === 'error' || status === 'canceled';

/** True while its work has not begun: it can still be cancelled. */
export const isWaiting = ({ status }: Pick<JobState, 'status'>): boolean =>
  status === 'queued' || status === 'waiting';

const NODE_FIELDS = {
  node_name: z.unknown().optional(),
  target_node: z.unknown().optional(),
  remote_node: z.unknown().optional(),
  pnode: z.unknown().optional(),
  snode: z.unknown().optional(),
};

/** Of jobs as `/2/jobs/N` and `/2/jobs?bulk=1` show them; older versions write ids as strings. */
const replySchema = z.object({
  id: z.coerce.number().pipe(z.int().nonnegative()),
  status: z.enum(JOB_STATUSES).or(z.string().transform(() => 'unknown' as const)),
  ops: z
    .array(
      z.object({
        OP_ID: z.string().default(''),
        instance_name: z.string().nullish(),
        comment: z.string().nullish(),
        reason: z.array(z.unknown()).nullish(),
        ...NODE_FIELDS,
      }),
    )
    .default([]),
  received_ts: z.unknown().optional(),
  start_ts: z.unknown().optional(),
  end_ts: z.unknown().optional(),
  opexec: z.array(z.unknown()).nullish(),
  oplog: z.array(z.array(z.unknown()).nullable()).nullish(),
  opresult: z.array(z.unknown()).nullish(),
});

/** A reply → a job; undefined where it is none. */
export function jobStateOf(reply: unknown): JobState | undefined {
  const parsed = replySchema.safeParse(reply);
  if (!parsed.success) return undefined;
  const { id, status, ops, received_ts, start_ts, end_ts, opexec, oplog, opresult } = parsed.data;
  return {
    id,
    status,
    opcodes: ops.map(({ OP_ID, instance_name, comment, reason, ...nodes }) => {
      const first: unknown = reason?.[0];
      const askedBy: unknown = Array.isArray(first) ? first[0] : undefined;
      return {
        opId: OP_ID,
        instance: instance_name ?? undefined,
        comment: comment ?? undefined,
        nodes: Object.values(nodes).filter((name) => typeof name === 'string'),
        askedBy: typeof askedBy === 'string' ? askedBy : undefined,
      };
    }),
    receivedMs: ganetiTime(received_ts),
    startMs: ganetiTime(start_ts),
    execMs: ganetiTime(opexec?.[0]),
    endMs: ganetiTime(end_ts),
    failure: status === 'error' ? failureOf(opresult ?? []) : undefined,
    lastMessage: lastMessageOf(oplog ?? []),
    reply,
  };
}

/** `[class, [message, code]]` of the first opcode that failed. */
function failureOf(results: readonly unknown[]): string {
  for (const result of results) {
    if (!Array.isArray(result) || typeof result[0] !== 'string') continue;
    const [message] = Array.isArray(result[1]) ? (result[1] as unknown[]) : [result[1]];
    return shownText(typeof message === 'string' && message !== '' ? message : result[0]);
  }
  return 'Ganeti gives no reason';
}

function lastMessageOf(logs: readonly (readonly unknown[] | null)[]): string | undefined {
  const entry = logs.at(-1)?.at(-1);
  const text: unknown = Array.isArray(entry) ? entry[3] : undefined;
  return typeof text === 'string' ? shownText(text) : undefined;
}

/** `[seconds, microseconds]`, not padded: [1700000000, 10000] is 10 ms later; also plain seconds → epoch milliseconds. */
export function ganetiTime(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value > 0 ? value * 1000 : undefined;
  if (!Array.isArray(value) || typeof value[0] !== 'number' || value[0] <= 0) return undefined;
  const micros = typeof value[1] === 'number' ? value[1] : 0;
  const ms = value[0] * 1000 + micros / 1000;
  return Number.isFinite(ms) ? ms : undefined;
}
