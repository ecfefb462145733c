import { finishMs, startMs, type MoveRecord } from '../src/domain/move-record.js';

/**
 * Records in two orders: of start, in which they are predicted, and of finish, in which they become history.
 * Ties go by id, so that the order never depends on the order of the file.
 */
export interface MoveTable {
  /** In order of start. */
  records: MoveRecord[];
  startMs: Float64Array;
  finishMs: Float64Array;
  /** Indices into `records`, in order of finish. */
  byFinish: Int32Array;
}

/** O(n log n). Records with an id seen before are dropped. */
export function moveTable(records: Iterable<MoveRecord>): MoveTable {
  const unique = new Map<string, MoveRecord>();
  for (const record of records) if (!unique.has(record.id)) unique.set(record.id, record);
  const rows = [...unique.values()].map((record) => ({ record, start: startMs(record) }));
  rows.sort((a, b) => a.start - b.start || (a.record.id < b.record.id ? -1 : 1));
  const sorted = rows.map((row) => row.record);
  const start = Float64Array.from(rows, (row) => row.start);
  const finish = Float64Array.from(sorted, finishMs);
  const byFinish = Int32Array.from(sorted.keys());
  byFinish.sort((a, b) => finish[a]! - finish[b]! || (sorted[a]!.id < sorted[b]!.id ? -1 : 1));
  return { records: sorted, startMs: start, finishMs: finish, byFinish };
}
