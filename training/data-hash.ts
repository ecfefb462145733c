import { createHash } from 'node:crypto';
import { moveRecordFields, type MoveRecord } from '../src/domain/move-record.js';

/**
 * Hash of records in order of start: what a model was trained on. Fields go in the order of the contract and labels by
 * name, so that a file and a store with the same records have the same hash. O(n).
 */
export function dataHash(records: readonly MoveRecord[]): string {
  const hash = createHash('sha256');
  for (const record of records) {
    for (const field of moveRecordFields) {
      const value = record[field];
      if (value === undefined) continue;
      const text =
        field === 'labels'
          ? JSON.stringify(Object.entries(record.labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)))
          : JSON.stringify(value);
      hash.update(`${field}=${text}\n`);
    }
    hash.update('\n');
  }
  return hash.digest('hex').slice(0, 16);
}
