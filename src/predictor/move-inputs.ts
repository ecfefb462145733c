import { DEFAULT_CLUSTER, type MoveRecord, type Operation } from '../domain/move-record.js';
import type { MoveRequest } from '../domain/move-request.js';
import { MS_PER_SECOND } from '../domain/units.js';

/** Capabilities of a migration stream that change its speed, as bits. Others are kept in records but not looked at. */
export const Capability = {
  autoConverge: 1,
  xbzrle: 2,
  multifd: 4,
  postcopy: 8,
  compress: 16,
  tunnelled: 32,
} as const;

const capabilityBits: Readonly<Record<string, number>> = {
  'auto-converge': Capability.autoConverge,
  xbzrle: Capability.xbzrle,
  multifd: Capability.multifd,
  'postcopy-ram': Capability.postcopy,
  postcopy: Capability.postcopy,
  'post-copy': Capability.postcopy,
  compress: Capability.compress,
  compressed: Capability.compress,
  tunnelled: Capability.tunnelled,
  tunneled: Capability.tunnelled,
};

/**
 * What is known of one move before it starts, as numbers: NaN where it is not known. Nothing known only afterwards
 * has a place here, so that no outcome can leak into a feature.
 */
export interface MoveInputs {
  cluster: string;
  instance: string;
  sourceNode: string;
  targetNode: string;
  operation: Operation;
  /** Epoch milliseconds. */
  startMs: number;
  memoryMib: number;
  usedMemoryMib: number;
  vcpus: number;
  dirtyMibS: number;
  diskMib: number;
  linkMbps: number;
  backgroundMbps: number;
  /** Other traffic at the target; from the label `target_background_mbps`. */
  targetBackgroundMbps: number;
  capMibS: number;
  downtimeLimitMs: number;
  /** Bits of `Capability`. */
  capabilities: number;
  channels: number;
  concurrentMoves: number;
  /** How many moves are likely to run beside it on average, from start to end; NaN until history was asked. */
  besideMoves: number;
  /** Logarithm of how fast the node moves memory against the median of its cluster; NaN until history was asked. */
  sourceSpeed: number;
  targetSpeed: number;
  cpuLoad: number;
  /** After how many seconds the manager breaks the move off; from the label `timeout_seconds`. */
  timeoutSeconds: number;
}

const numberOr = (value: number | undefined): number => (value === undefined ? NaN : value);

const bitsOf = (capabilities: readonly string[] | undefined): number => {
  let bits = 0;
  if (capabilities !== undefined) for (const name of capabilities) bits |= capabilityBits[name] ?? 0;
  return bits;
};

type Fields = Omit<MoveRequest, 'request_id' | 'start_at' | 'operation' | 'progress'>;

function inputsOf(fields: Fields, operation: Operation, startMs: number): MoveInputs {
  const timeout = fields.labels?.['timeout_seconds'];
  const targetBackground = fields.labels?.['target_background_mbps'];
  return {
    cluster: fields.cluster ?? DEFAULT_CLUSTER,
    instance: fields.instance,
    sourceNode: fields.source_node,
    targetNode: fields.target_node,
    operation,
    startMs,
    memoryMib: numberOr(fields.memory_mib),
    usedMemoryMib: numberOr(fields.used_memory_mib),
    vcpus: numberOr(fields.vcpus),
    dirtyMibS: numberOr(fields.dirty_rate_mib_s),
    diskMib: numberOr(fields.disk_mib),
    linkMbps: numberOr(fields.link_mbps),
    backgroundMbps: numberOr(fields.background_mbps),
    targetBackgroundMbps:
      typeof targetBackground === 'number' && targetBackground >= 0 ? targetBackground : NaN,
    capMibS: numberOr(fields.max_bandwidth_mib_s),
    downtimeLimitMs: numberOr(fields.downtime_limit_ms),
    capabilities: bitsOf(fields.capabilities),
    channels: numberOr(fields.multifd_channels),
    concurrentMoves: numberOr(fields.concurrent_moves),
    besideMoves: NaN,
    sourceSpeed: NaN,
    targetSpeed: NaN,
    cpuLoad: numberOr(fields.cpu_load),
    timeoutSeconds: typeof timeout === 'number' && timeout > 0 ? timeout : NaN,
  };
}

/** A request as numbers; without `start_at` it is answered for `nowMs`, which a running move started `elapsed_seconds` before. */
export const inputsOfRequest = (request: MoveRequest, nowMs: number): MoveInputs =>
  inputsOf(
    request,
    request.operation ?? 'live_migration',
    request.start_at !== undefined
      ? Date.parse(request.start_at)
      : request.progress === undefined
        ? nowMs
        : nowMs - request.progress.elapsed_seconds * MS_PER_SECOND,
  );

/** The inputs of a finished move, as they were before it started: its outcomes are not looked at. */
export const inputsOfRecord = (record: MoveRecord): MoveInputs =>
  inputsOf(record, record.operation, Date.parse(record.started_at));
