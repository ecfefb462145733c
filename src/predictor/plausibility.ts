import { isCompleted, type MoveRecord } from '../domain/move-record.js';

/**
 * Records that cannot be true, each seen by itself, so that nothing later than the move is needed: they are kept and
 * scored as any other, but nothing is learnt from them, because one of them can spoil the forecasts of an instance for
 * long. The limits lie far beyond what exists: a record past one was logged in other units, or made up.
 */

/** 64 TiB: twice the largest host that can be bought. */
const MOST_MEMORY_MIB = 2 ** 26;
/** A terabyte a second is what a large host's whole memory writes. */
const MOST_DIRTY_MIB_S = 2 ** 20;
const MOST_VCPUS = 2 ** 14;
const MOST_CONCURRENT_MOVES = 10_000;
const MOST_CPU_LOAD = 10_000;
/** 10 Tbit/s. */
const MOST_LINK_MBPS = 1e7;
/** Four times the longest move seen in public, over a WAN. */
const LONGEST_SECONDS = 12 * 86_400;
/** No stream is this many times faster than its link, zero pages and compression allowed for. */
const FASTEST_OVER_LINK = 100;
const MEGABITS_PER_MIB = (8 * 2 ** 20) / 1e6;

/** Why a record cannot be true, as the end of a sentence on `moves that …`; undefined when it can. O(1). */
export function implausibility(record: MoveRecord): string | undefined {
  const {
    operation,
    memory_mib = 0,
    used_memory_mib = 0,
    disk_mib = 0,
    link_mbps = 0,
    duration_seconds,
  } = record;
  if (memory_mib > MOST_MEMORY_MIB || used_memory_mib > MOST_MEMORY_MIB)
    return 'had more memory than any host has';
  if ((record.dirty_rate_mib_s ?? 0) > MOST_DIRTY_MIB_S)
    return 'wrote their memory faster than any memory is written';
  if (
    (record.vcpus ?? 0) > MOST_VCPUS ||
    (record.concurrent_moves ?? 0) > MOST_CONCURRENT_MOVES ||
    (record.cpu_load ?? 0) > MOST_CPU_LOAD
  )
    return 'had more processors, load or moves beside them than any host has';
  if (link_mbps > MOST_LINK_MBPS) return 'went over a faster link than any';
  if (duration_seconds > LONGEST_SECONDS) return 'took longer than any move does';
  if (!isCompleted(record)) return undefined; // what was broken off need not have copied all
  const mib = (operation === 'live_migration' ? memory_mib : 0) + (operation === 'failover' ? 0 : disk_mib);
  const mostMbps = link_mbps > 0 ? link_mbps * FASTEST_OVER_LINK : MOST_LINK_MBPS;
  if (mib * MEGABITS_PER_MIB > mostMbps * duration_seconds)
    return `were over ${FASTEST_OVER_LINK} times faster than their link allows`;
  return undefined;
}
