import { z } from 'zod';
import * as field from './fields.js';
import { gatherLabels, moveInputShape, operationSchema, type Parsed } from './move-record.js';
import { moveProgressFields, moveProgressSchema } from './move-progress.js';
import { fromIsoTime, MS_PER_SECOND, toIsoTime } from './units.js';

/**
 * A prediction asked for: what is known of a move before it starts and, where it runs already, what it shows. Everything
 * but the names may be missing.
 */
export const moveRequestSchema = z
  .object({
    request_id: field.identifier.optional(),
    ...moveInputShape,
    operation: operationSchema.optional().describe('live_migration when absent'),
    start_at: field.time.optional().describe('now when absent; of a running move: elapsed_seconds ago'),
    progress: moveProgressSchema
      .optional()
      .describe('what a running move shows now: then the remaining time is predicted'),
    labels: field.labels.optional(),
  })
  .meta({ id: 'MoveRequest' });

export type MoveRequest = z.infer<typeof moveRequestSchema>;

export const moveRequestFields = Object.keys(moveRequestSchema.shape) as (keyof MoveRequest)[];

const knownField = new Set<string>(moveRequestFields);

/** Fields of a record that a request must not carry into a prediction: what is known only afterwards. */
const outcomeFields = [
  'downtime_ms',
  'setup_ms',
  'transferred_mib',
  'throughput_mbps',
  'dirty_sync_count',
  'duration_seconds',
  'status',
];

/** Columns of a table for what a running move shows: `progress.elapsed_seconds`, … */
export const progressColumns: readonly string[] = moveProgressFields.map((name) => `progress.${name}`);

/** A table has a column for each field of `progress`: they are put together, in place. */
function gatherProgress(value: Record<string, unknown>): void {
  let progress: Record<string, unknown> | undefined;
  for (const [i, column] of progressColumns.entries()) {
    const item = value[column];
    delete value[column];
    if (item !== undefined && item !== null) (progress ??= {})[moveProgressFields[i]!] = item;
  }
  if (progress !== undefined && value['progress'] === undefined) value['progress'] = progress;
}

/** When a running move showed its progress, or when a move is to start; epoch ms. What was known then may be used. */
export function askedForMs({ start_at, progress }: MoveRequest, nowMs: number): number {
  if (start_at === undefined) return nowMs;
  return Date.parse(start_at) + (progress === undefined ? 0 : progress.elapsed_seconds * MS_PER_SECOND);
}

/**
 * Unknown outside value → move request in canonical form. A whole record is taken too: `started_at` becomes
 * `start_at`, and its outcomes are dropped.
 */
export function parseMoveRequest(raw: unknown): Parsed<MoveRequest> {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    return { ok: false, field: '', reason: 'must be an object with the fields of a move request' };
  }
  const value: Record<string, unknown> = { ...raw };
  for (const key of outcomeFields) delete value[key];
  if (value['start_at'] === undefined && value['started_at'] !== undefined)
    value['start_at'] = value['started_at'];
  delete value['started_at'];
  if (value['progress.elapsed_seconds'] !== undefined) gatherProgress(value);
  gatherLabels(value, knownField);
  const result = moveRequestSchema.safeParse(value);
  if (!result.success) {
    const { field: path, message } = field.firstIssue(result.error);
    return { ok: false, field: path, reason: `${path} ${message}` };
  }
  const request = result.data;
  if (request.start_at !== undefined) request.start_at = toIsoTime(fromIsoTime(request.start_at));
  return { ok: true, value: request };
}
