import { z } from 'zod';
import * as field from './fields.js';
import { gatherLabels, moveInputShape, operationSchema, type Parsed } from './move-record.js';
import { fromIsoTime, toIsoTime } from './units.js';

/** A prediction asked for: what is known of a move before it starts. Everything but the names may be missing. */
export const moveRequestSchema = z
  .object({
    request_id: field.identifier.optional(),
    ...moveInputShape,
    operation: operationSchema.optional().describe('live_migration when absent'),
    start_at: field.time.optional().describe('now when absent'),
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
