import { startMs, type MoveRecord } from '../domain/move-record.js';
import type { InstanceSample } from '../domain/samples.js';
import type { ClusterLedger } from './cluster-ledger.js';

/** A sample that is older than this when a move starts says little about how busy the instance was then. */
const FRESH_MS = 15 * 60_000;

export interface InstanceFactsSources {
  /** Sizes from cluster snapshots and from jobs that changed them. */
  ledger?: ClusterLedger | undefined;
  /** The newest sample of an instance at or before a moment. */
  latestSample?:
    | ((instance: string, atMs: number, cluster: string | undefined) => Promise<InstanceSample | undefined>)
    | undefined;
}

/**
 * Completes a move with what was known of its instance when it started, never with anything from later, in place:
 * memory and vcpus from the ledger, dirty rate and touched memory from a fresh sample. What the record says itself
 * stays. The load of an instance is not that of its host, and the size of its disks not what a move copies: they are
 * left alone.
 */
export async function joinInstanceFacts(
  record: MoveRecord,
  { ledger, latestSample }: InstanceFactsSources,
): Promise<void> {
  const atMs = startMs(record);
  if (record.memory_mib === undefined || record.vcpus === undefined) {
    const known = ledger?.asOf(record.instance, atMs);
    if (known !== undefined && known.from_later !== true) {
      if (known.memory_mib !== undefined) record.memory_mib ??= known.memory_mib;
      if (known.vcpus !== undefined) record.vcpus ??= known.vcpus;
    }
  }
  if (
    latestSample === undefined ||
    (record.dirty_rate_mib_s !== undefined && record.used_memory_mib !== undefined)
  )
    return;
  const sample = await latestSample(record.instance, atMs, record.cluster);
  if (sample === undefined) return;
  const ageMs = atMs - Date.parse(sample.at);
  if (ageMs < 0 || ageMs > FRESH_MS) return;
  if (sample.dirty_rate_mib_s !== undefined) record.dirty_rate_mib_s ??= sample.dirty_rate_mib_s;
  if (sample.used_memory_mib !== undefined) record.used_memory_mib ??= sample.used_memory_mib;
}
