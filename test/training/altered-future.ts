import { finishMs, startMs, type MoveRecord } from '../../src/domain/move-record.js';

/**
 * The moves that had started at `atMs`, with all that was measured of those that had not finished by then made absurd:
 * whoever predicts a move of that moment has to answer as with the true ones.
 */
export const alteredFuture = (moves: readonly MoveRecord[], atMs: number): MoveRecord[] =>
  moves
    .filter((record) => startMs(record) <= atMs)
    .map((record) =>
      finishMs(record) <= atMs
        ? record
        : {
            ...record,
            duration_seconds: record.duration_seconds * 50,
            downtime_ms: 9e6,
            transferred_mib: 1,
            throughput_mbps: 1,
            dirty_sync_count: 99,
          },
    );
