import { LONGEST_MOVE_SECONDS } from '../domain/fields.js';
import { parseMoveRecord, type MoveRecord, type Parsed } from '../domain/move-record.js';

/**
 * `parseMoveRecord`, fast: a record that is plainly good is checked by hand (0.7 µs instead of 6.3 µs: `npm run
 * bench:collect`); whatever is in doubt goes to the schema, which says what is wrong. The result equals the schema's to
 * the last byte (test/collector/record-check.test.ts holds them against each other).
 */
export function checkMoveRecord(raw: unknown): Parsed<MoveRecord> {
  const record = plainlyGoodRecord(raw);
  return record === undefined ? parseMoveRecord(raw) : { ok: true, value: record };
}

/** The limits of src/domain/fields.ts, by field, in the order of the schema. */
const LARGEST_MIB = 2 ** 40;
const LARGEST_COUNT = 1e9;
const LARGEST_MBPS = 1e9;
const LARGEST_MS = LONGEST_MOVE_SECONDS * 1000;
const LONGEST_NAME = 255;
const LONGEST_IDENTIFIER = 512;
const LONGEST_CAPABILITY = 64;
const MOST_CAPABILITIES = 64;

const OPERATIONS: ReadonlySet<unknown> = new Set(['live_migration', 'failover', 'disk_replication']);
const STATUSES: ReadonlySet<unknown> = new Set(['completed', 'failed', 'cancelled']);

/** Numbers that may be absent: name, the largest, and whether it must be whole. Between names and `operation`. */
const INPUT_NUMBERS: readonly (readonly [keyof MoveRecord, number, boolean])[] = [
  ['memory_mib', LARGEST_MIB, false],
  ['used_memory_mib', LARGEST_MIB, false],
  ['vcpus', LARGEST_COUNT, true],
  ['dirty_rate_mib_s', LARGEST_MIB, false],
  ['disk_mib', LARGEST_MIB, false],
  ['link_mbps', LARGEST_MBPS, false],
  ['background_mbps', LARGEST_MBPS, false],
  ['max_bandwidth_mib_s', LARGEST_MIB, false],
  ['downtime_limit_ms', LARGEST_MS, false],
];
const COUNTS_AND_LOAD: readonly (readonly [keyof MoveRecord, number, boolean])[] = [
  ['multifd_channels', LARGEST_COUNT, true],
  ['concurrent_moves', LARGEST_COUNT, true],
  ['cpu_load', 1e6, false],
];
const OUTCOME_NUMBERS: readonly (readonly [keyof MoveRecord, number, boolean])[] = [
  ['downtime_ms', LARGEST_MS, false],
  ['setup_ms', LARGEST_MS, false],
  ['transferred_mib', LARGEST_MIB, false],
  ['throughput_mbps', LARGEST_MBPS, false],
  ['dirty_sync_count', LARGEST_COUNT, true],
];

/** The record in canonical form, or undefined when anything about it needs the schema's eye. O(fields). */
function plainlyGoodRecord(raw: unknown): MoveRecord | undefined {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return undefined;
  const value = raw as Record<string, unknown>;
  const { id, instance, source_node, target_node, operation, duration_seconds } = value;
  if (!isText(id, LONGEST_IDENTIFIER) || !isText(instance, LONGEST_NAME)) return undefined;
  if (!isText(source_node, LONGEST_NAME) || !isText(target_node, LONGEST_NAME)) return undefined;
  if (!OPERATIONS.has(operation) || !isCanonicalTime(value['started_at'])) return undefined;
  if (
    typeof duration_seconds !== 'number' ||
    !(duration_seconds > 0 && duration_seconds <= LONGEST_MOVE_SECONDS)
  )
    return undefined;

  // Built in the order of the schema, so that records written out look alike whichever way they came.
  const record: Record<string, unknown> = { id };
  let seen = 6;
  for (const name of ['origin', 'cluster'] as const) {
    const text = value[name];
    if (text === undefined) continue;
    if (!isText(text, LONGEST_NAME)) return undefined;
    record[name] = text;
    seen++;
  }
  record['instance'] = instance;
  record['source_node'] = source_node;
  record['target_node'] = target_node;
  let added = copyNumbers(value, record, INPUT_NUMBERS);
  if (added < 0) return undefined;
  seen += added;
  const { capabilities, status, labels } = value;
  if (capabilities !== undefined) {
    if (!areCapabilities(capabilities)) return undefined;
    record['capabilities'] = capabilities;
    seen++;
  }
  added = copyNumbers(value, record, COUNTS_AND_LOAD);
  if (added < 0) return undefined;
  seen += added;
  record['operation'] = operation;
  record['started_at'] = value['started_at'];
  record['duration_seconds'] = duration_seconds;
  if (status !== undefined) {
    if (!STATUSES.has(status)) return undefined;
    record['status'] = status;
    seen++;
  }
  added = copyNumbers(value, record, OUTCOME_NUMBERS);
  if (added < 0) return undefined;
  seen += added;
  if (labels !== undefined) {
    if (!areScalarLabels(labels)) return undefined;
    record['labels'] = labels;
    seen++;
  }
  // `seen` began at 6 with the 7 required fields: equal numbers of keys say that no unknown field is there.
  let keys = -1;
  for (const _ in value) keys++;
  return keys === seen ? (record as unknown as MoveRecord) : undefined;
}

/** Copies the numbers that are there; gives how many, or -1 when one is not as it should be. */
function copyNumbers(
  value: Readonly<Record<string, unknown>>,
  record: Record<string, unknown>,
  fields: readonly (readonly [keyof MoveRecord, number, boolean])[],
): number {
  let copied = 0;
  for (let i = 0; i < fields.length; i++) {
    const [name, largest, isWhole] = fields[i]!;
    const number = value[name];
    if (number === undefined) continue;
    if (typeof number !== 'number' || !(number >= 0 && number <= largest)) return -1;
    if (isWhole && !Number.isInteger(number)) return -1;
    record[name] = number;
    copied++;
  }
  return copied;
}

// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

const isText = (value: unknown, longest: number): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= longest && !CONTROL.test(value);

/** `2026-11-22T10:56:05.208Z`, from 2000 to 2199, with a day that every month has. */
const CANONICAL_TIME =
  /^2[01]\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;
const LATE_DAY =
  /^2[01]\d\d-(?:(?:0[13578]|1[02])-(?:29|3[01])|(?:0[469]|11)-(?:29|30))T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;

const isCanonicalTime = (value: unknown): boolean =>
  typeof value === 'string' && value.length === 24 && (CANONICAL_TIME.test(value) || LATE_DAY.test(value));

function areCapabilities(value: unknown): boolean {
  if (!Array.isArray(value) || value.length > MOST_CAPABILITIES) return false;
  for (let i = 0; i < value.length; i++) if (!isText(value[i], LONGEST_CAPABILITY)) return false;
  return true;
}

function areScalarLabels(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  for (const key of Object.keys(value)) {
    const item = (value as Record<string, unknown>)[key];
    if (key === '__proto__') return false;
    if (
      typeof item !== 'string' &&
      typeof item !== 'boolean' &&
      !(typeof item === 'number' && Number.isFinite(item))
    )
      return false;
  }
  return true;
}
