import { DEFAULT_CLUSTER, type MoveRecord } from '../src/domain/move-record.js';
import type { BacktestRow, Protocol } from './backtest.js';

/** The name of the group that a predicted move belongs to. */
export type GroupOf = (row: BacktestRow) => string;

/** Ways to divide predicted moves, looked up by the id of their record. */
export interface MoveGroups {
  record: (row: BacktestRow) => MoveRecord | undefined;
  /** Cluster, alone or in parallel. */
  cluster: GroupOf;
  /** The instance in its cluster. */
  instance: GroupOf;
  /** Source and target node in their cluster. */
  link: GroupOf;
  operation: GroupOf;
  /** Memory, in powers of two. */
  size: GroupOf;
  capabilities: GroupOf;
}

/** O(n). */
export function moveGroups(records: readonly MoveRecord[]): MoveGroups {
  const byId = new Map(records.map((record) => [record.id, record]));
  const group =
    (nameOf: (record: MoveRecord) => string): GroupOf =>
    (row) => {
      const record = byId.get(row.id);
      return record === undefined ? '' : nameOf(record);
    };
  const clusterOf = (record: MoveRecord): string => record.cluster ?? DEFAULT_CLUSTER;
  return {
    record: (row) => byId.get(row.id),
    cluster: group(
      (record) => `${clusterOf(record)}, ${(record.concurrent_moves ?? 0) > 0 ? 'in parallel' : 'alone'}`,
    ),
    instance: group((record) => `${clusterOf(record)} ${record.instance}`),
    link: group((record) => `${clusterOf(record)}: ${record.source_node} → ${record.target_node}`),
    operation: group((record) => record.operation.replaceAll('_', ' ')),
    size: group(({ memory_mib }) =>
      memory_mib === undefined || !(memory_mib > 0)
        ? 'memory not known'
        : `about ${2 ** Math.round(Math.log2(memory_mib))} MiB`,
    ),
    capabilities: group(({ capabilities }) =>
      capabilities === undefined || capabilities.length === 0 ? 'none' : [...capabilities].sort().join(' + '),
    ),
  };
}

/** How the second table of a backtest divides the moves: by what was left out where that is fixed, else by cluster. */
export const mainGroups = (protocol: Protocol, groups: MoveGroups): GroupOf =>
  protocol === 'new-size' || protocol === 'cold-start' ? (row) => row.origin : groups.cluster;
