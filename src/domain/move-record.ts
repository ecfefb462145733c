import { z } from 'zod';
import * as field from './fields.js';
import { fromIsoTime, toIsoTime } from './units.js';

/** `live_migration` copies RAM, `failover` stops and starts, `disk_replication` fills a new secondary or copies a disk. */
export const operationSchema = z.enum(['live_migration', 'failover', 'disk_replication']);
export type Operation = z.infer<typeof operationSchema>;

/** A move that was broken off (`failed`, `cancelled`) tells only that it would have taken longer: it is censored. */
export const moveStatusSchema = z.enum(['completed', 'failed', 'cancelled']);
export type MoveStatus = z.infer<typeof moveStatusSchema>;

/** What may be known of a move before it starts; shared by records and requests. Units stand in the names. */
export const moveInputShape = {
  cluster: field.name.optional(),
  instance: field.name,
  source_node: field.name,
  target_node: field.name,
  memory_mib: field.mib.optional().describe('configured RAM'),
  used_memory_mib: field.mib.optional().describe('touched RAM before the start'),
  vcpus: field.count.optional(),
  dirty_rate_mib_s: field.mibPerSecond
    .optional()
    .describe('rate at which pages are dirtied, before the start'),
  disk_mib: field.mib.optional().describe('disk data that the move has to copy; 0 on shared storage'),
  link_mbps: field.mbps.optional().describe('nominal capacity between the two nodes'),
  background_mbps: field.mbps.optional().describe('other traffic on that link just before the start'),
  max_bandwidth_mib_s: field.mibPerSecond.optional().describe('configured cap of the migration stream'),
  downtime_limit_ms: field.milliseconds.optional(),
  capabilities: field.capabilities.optional(),
  multifd_channels: field.count.optional(),
  concurrent_moves: field.count.optional().describe('other moves on either node when it started'),
  cpu_load: z
    .number()
    .nonnegative()
    .max(1e6)
    .optional()
    .describe('load of the source host, in runnable tasks a core'),
} as const;

/** Known only afterwards: never an input of a prediction for the same move. */
export const moveOutcomeShape = {
  downtime_ms: field.milliseconds.optional(),
  setup_ms: field.milliseconds.optional(),
  transferred_mib: field.mib.optional(),
  throughput_mbps: field.mbps.optional(),
  dirty_sync_count: field.count.optional(),
} as const;

/** One finished (or broken off) move: the contract's move record. */
export const moveRecordSchema = z
  .object({
    id: field.identifier.describe('stable and unique: the same move read twice has the same id'),
    origin: field.name.optional().describe('ganeti, qemu, libvirt, nova, proxmox, table, …'),
    ...moveInputShape,
    operation: operationSchema,
    started_at: field.time,
    duration_seconds: field.durationSeconds.describe('until it finished; broken off: until then'),
    status: moveStatusSchema.optional().describe('completed when absent'),
    ...moveOutcomeShape,
    labels: field.labels.optional().describe('anything else'),
  })
  .meta({ id: 'MoveRecord' });

export type MoveRecord = z.infer<typeof moveRecordSchema>;

/** The columns of a record in the order of the contract. */
export const moveRecordFields = Object.keys(moveRecordSchema.shape) as (keyof MoveRecord)[];

const knownField = new Set<string>(moveRecordFields);

export type Parsed<T> = { ok: true; value: T } | { ok: false; field: string; reason: string };

/**
 * Unknown outside value → move record in canonical form: times in UTC with milliseconds, absent instead of null,
 * unknown scalar fields under `labels`.
 *
 * @example
 * parseMoveRecord({ id: 'job-7', instance: 'vm1', source_node: 'a', target_node: 'b', operation: 'failover',
 *   started_at: '2026-11-22T11:00:00+01:00', duration_seconds: 12 }).value.started_at === '2026-11-22T10:00:00.000Z'
 */
export function parseMoveRecord(raw: unknown): Parsed<MoveRecord> {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    return { ok: false, field: '', reason: 'must be an object with the fields of a move record' };
  }
  const value: Record<string, unknown> = { ...raw };
  gatherLabels(value, knownField);
  const result = moveRecordSchema.safeParse(value);
  if (!result.success) {
    const { field: path, message } = field.firstIssue(result.error);
    return { ok: false, field: path, reason: `${path} ${message}` };
  }
  const record = result.data;
  record.started_at = toIsoTime(fromIsoTime(record.started_at));
  return { ok: true, value: record };
}

/** Moves unknown scalar fields of `value` under `labels` and drops nulls, in place; what stands in `labels` already wins. */
export function gatherLabels(value: Record<string, unknown>, known: ReadonlySet<string>): void {
  let labels: Record<string, unknown> | undefined;
  for (const key of Object.keys(value)) {
    const item = value[key];
    if (item === null || item === undefined) delete value[key];
    else if (!known.has(key)) {
      delete value[key];
      const isScalar =
        typeof item === 'string' ||
        typeof item === 'boolean' ||
        (typeof item === 'number' && Number.isFinite(item));
      if (isScalar && key !== '__proto__') (labels ??= {})[key] = item;
    }
  }
  const given = value['labels'];
  if (labels === undefined && given === undefined) return;
  if (given !== undefined && (typeof given !== 'object' || given === null || Array.isArray(given))) return; // the schema says so
  const merged: Record<string, unknown> = { ...labels };
  for (const [key, item] of Object.entries(given ?? {})) {
    if (item !== null && typeof item !== 'object' && key !== '__proto__') merged[key] = item;
  }
  value['labels'] = merged;
}

/** Start in epoch milliseconds. */
export const startMs = (record: MoveRecord): number => Date.parse(record.started_at);

/** End in epoch milliseconds: a record becomes history when it FINISHED, not when it started. */
export const finishMs = (record: MoveRecord): number =>
  Date.parse(record.started_at) + record.duration_seconds * 1000;

/** True when the move finished; false when it was broken off, so that its duration is only a lower bound. */
export const isCompleted = (record: MoveRecord): boolean => (record.status ?? 'completed') === 'completed';

/** The cluster's name where a record or request does not say. */
export const DEFAULT_CLUSTER = 'default';
