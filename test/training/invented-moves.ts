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
