import { finishMs, isCompleted, startMs, type MoveRecord } from '../../src/domain/move-record.js';

/** Fields of a record that are known before its move starts. Whatever is not among them is altered. */
export const knownAtStart = [
  'id',
  'origin',
  'cluster',
  'instance',
  'source_node',
  'target_node',
  'operation',
  'started_at',
  'memory_mib',
  'used_memory_mib',
  'vcpus',
  'dirty_rate_mib_s',
  'disk_mib',
  'link_mbps',
  'background_mbps',
  'max_bandwidth_mib_s',
  'downtime_limit_ms',
  'capabilities',
  'multifd_channels',
  'concurrent_moves',
  'cpu_load',
] as const satisfies readonly (keyof MoveRecord)[];

/** Labels that are inputs. Anything may stand in the others, outcomes among it. */
const labelsKnownAtStart = new Set(['timeout_seconds', 'target_background_mbps']);

const far = (value: number | undefined): number => 1000 * (value ?? 1) + 7;

type Outcome = Exclude<keyof MoveRecord, (typeof knownAtStart)[number]>;

/** What each of the other fields is made: never what it was. */
const alterations: { [F in Outcome]-?: (record: MoveRecord) => NonNullable<MoveRecord[F]> } = {
  duration_seconds: ({ duration_seconds }) => 50 * duration_seconds,
  status: (record) => (isCompleted(record) ? 'failed' : 'completed'),
  downtime_ms: ({ downtime_ms }) => far(downtime_ms),
  setup_ms: ({ setup_ms }) => far(setup_ms),
  transferred_mib: ({ transferred_mib }) => far(transferred_mib),
  throughput_mbps: ({ throughput_mbps }) => far(throughput_mbps),
  dirty_sync_count: ({ dirty_sync_count }) => far(dirty_sync_count),
  labels: ({ labels }) =>
    Object.fromEntries(
      Object.entries(labels ?? {}).map(([key, value]) => [
        key,
        labelsKnownAtStart.has(key) ? value : typeof value === 'number' ? far(value) : `not ${value}`,
      ]),
    ),
};

const altered = (record: MoveRecord): MoveRecord => ({
  ...record,
  ...Object.fromEntries(Object.entries(alterations).map(([field, alter]) => [field, alter(record)])),
});

/** True of a move that had started, but not finished, at `atMs`; and of one that starts just then. */
export const isInFlight = (record: MoveRecord, atMs: number): boolean =>
  startMs(record) <= atMs && finishMs(record) > atMs;

/**
 * The moves that had started at `atMs`, with all that became known afterwards of those that had not finished by then
 * made absurd: whoever predicts a move of that moment has to answer as with the true ones.
 */
export const alteredFuture = (moves: readonly MoveRecord[], atMs: number): MoveRecord[] =>
  moves
    .filter((record) => startMs(record) <= atMs)
    .map((record) => (isInFlight(record, atMs) ? altered(record) : record));
