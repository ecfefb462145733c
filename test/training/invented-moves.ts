import type { MoveRecord } from '../../src/domain/move-record.js';

const NODES = 10;

/**
 * Invented moves for tests alone: durations follow bytes and nodes with a little repeatable unevenness. Overlapping in
 * time, so that some have not finished when others start.
 */
export function inventedMoves(
  count: number,
  changes: (i: number) => Partial<MoveRecord> = () => ({}),
): MoveRecord[] {
  return Array.from({ length: count }, (_, i) => {
    const memory = [2048, 4096, 8192][i % 3]!;
    const node = i % NODES;
    const uneven = 1 + 0.1 * Math.sin(i * 12.9898);
    return {
      id: `m${i}`,
      cluster: 'c',
      instance: `vm${i % 15}`,
      source_node: `n${node}`,
      target_node: `n${(node + 1 + (i % 2)) % NODES}`,
      operation: 'live_migration',
      started_at: new Date(Date.UTC(2026, 0, 1) + i * 15_000).toISOString(),
      duration_seconds: (3 + memory / 200) * uneven * (node === 2 ? 1.3 : 1),
      memory_mib: memory,
      link_mbps: 10_000,
      concurrent_moves: i % 5 === 0 ? 1 : 0,
      ...changes(i),
    };
  });
}

/**
 * The same, telling all that a record can: every input (but some leave out what history has to fill in), every outcome, a
 * label that is an outcome too; some broken off, and several on their way at any time.
 */
export const fullyToldMoves = (count: number): MoveRecord[] =>
  inventedMoves(count).map((record, i) => {
    const usedMib = 0.7 * record.memory_mib!;
    const isBroken = i % 5 === 3;
    return {
      ...record,
      origin: 'table',
      started_at: new Date(Date.UTC(2026, 0, 1) + i * 6000).toISOString(),
      duration_seconds: record.duration_seconds * (isBroken ? 0.6 : 1),
      status: !isBroken ? 'completed' : i % 2 === 0 ? 'cancelled' : 'failed',
      memory_mib: i % 12 === 7 ? undefined : record.memory_mib,
      used_memory_mib: usedMib,
      vcpus: 1 + (i % 4),
      dirty_rate_mib_s: i % 3 === 1 ? undefined : 1 + (i % 5),
      disk_mib: i % 6 === 0 ? 16 : 0,
      link_mbps: i % 8 === 5 ? undefined : 10_000,
      background_mbps: i % 4 === 2 ? undefined : 300 * (i % 5),
      max_bandwidth_mib_s: 800 + 100 * (i % 3),
      downtime_limit_ms: 300,
      capabilities: i % 2 === 0 ? ['auto-converge', 'multifd'] : ['xbzrle'],
      multifd_channels: 2,
      cpu_load: 0.1 * (i % 7),
      downtime_ms: 100 + 10 * (i % 9),
      setup_ms: 3 + (i % 8),
      transferred_mib: 1.05 * usedMib,
      throughput_mbps: 1500 + 100 * (i % 6),
      dirty_sync_count: 2 + (i % 4),
      labels: { timeout_seconds: 300, target_background_mbps: 100 * (i % 3), total_ms: 9000 + i, side: 'a' },
    };
  });
