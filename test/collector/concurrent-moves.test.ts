import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ConcurrentMoves, countOverlaps } from '../../src/collector/concurrent-moves.js';
import { finishMs, startMs, type MoveRecord } from '../../src/domain/move-record.js';

const START_MS = Date.UTC(2026, 10, 22);
const move = (
  id: string,
  startSeconds: number,
  durationSeconds: number,
  more: Partial<MoveRecord> = {},
): MoveRecord => ({
  id,
  instance: `vm-${id}`,
  source_node: 'a',
  target_node: 'b',
  operation: 'live_migration',
  started_at: new Date(START_MS + startSeconds * 1000).toISOString(),
  duration_seconds: durationSeconds,
  ...more,
});

/** The definition, word by word. */
function obviousCounts(records: readonly MoveRecord[]): number[] {
  return records.map((record) => {
    const others = records.filter(
      (other) =>
        other.id !== record.id &&
        other.instance !== record.instance &&
        (other.cluster ?? 'default') === (record.cluster ?? 'default') &&
        [other.source_node, other.target_node].some((node) =>
          [record.source_node, record.target_node].includes(node),
        ) &&
        startMs(other) <= startMs(record) &&
        finishMs(other) > startMs(record),
    );
    return new Set(others.map(({ id }) => id)).size;
  });
}

const anyMoves = fc
  .array(
    fc.record({
      id: fc.constantFrom('1', '2', '3', '4', '5', '6', '7', '8', '9'),
      start: fc.nat(20),
      duration: fc.integer({ min: 1, max: 10 }),
      source_node: fc.constantFrom('a', 'b', 'c'),
      target_node: fc.constantFrom('a', 'b', 'c', 'd'),
      cluster: fc.constantFrom('default', 'x'),
      instance: fc.constantFrom('vm1', 'vm2', 'vm3', 'vm4', 'vm5'),
    }),
    { maxLength: 20 },
  )
  .map((rows) => rows.map(({ id, start, duration, ...more }) => move(id, start, duration, more)));

describe('countOverlaps', () => {
  it('equals its definition for any moves', () => {
    fc.assert(
      fc.property(anyMoves, (records) => {
        expect([...countOverlaps(records)]).toEqual(obviousCounts(records));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('ConcurrentMoves', () => {
  const always = () => ({ mayBeNone: true });

  it('counts the moves under way on either node when a move starts, not those that start later', () => {
    const batch = [
      move('1', 0, 100),
      move('2', 10, 10),
      move('3', 15, 1, { source_node: 'c' }),
      move('4', 30, 5),
    ];
    new ConcurrentMoves().complete(batch, always);
    expect(batch.map((record) => record.concurrent_moves)).toEqual([0, 1, 2, 1]);
  });

  it('remembers moves of earlier batches', () => {
    const moves = new ConcurrentMoves();
    moves.complete([move('1', 0, 100)], always);
    const second = [move('2', 50, 10)];
    moves.complete(second, always);
    expect(second[0]?.concurrent_moves).toBe(1);
  });

  it('leaves alone what the log says, and what is not asked for', () => {
    const batch = [move('1', 0, 100), move('2', 1, 10, { concurrent_moves: 7 }), move('3', 1, 10)];
    new ConcurrentMoves().complete(batch, (record) => (record.id === '3' ? undefined : { mayBeNone: true }));
    expect(batch.map((record) => record.concurrent_moves)).toEqual([0, 7, undefined]);
  });

  it('claims that there were none only where the log tells of every move', () => {
    const batch = [move('1', 0, 100), move('2', 10, 10)];
    new ConcurrentMoves().complete(batch, () => ({ mayBeNone: false }));
    expect(batch.map((record) => record.concurrent_moves)).toEqual([undefined, 1]);
  });

  it('takes two nodes that nobody named for no common node, and none seen there for nothing known', () => {
    const records = [
      move('1', 0, 60, { source_node: 'unknown-source', target_node: 'x' }),
      move('2', 10, 60, { source_node: 'unknown-source', target_node: 'y' }),
    ];
    expect([...countOverlaps(records)]).toEqual([0, 0]);
    new ConcurrentMoves().complete(records, () => ({ mayBeNone: true }));
    expect(records.map((record) => record.concurrent_moves)).toEqual([undefined, undefined]);
  });
});
