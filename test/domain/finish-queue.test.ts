import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FinishQueue } from '../../src/domain/finish-queue.js';
import { finishMs, type MoveRecord } from '../../src/domain/move-record.js';

const move = (id: string, startSeconds: number, durationSeconds: number): MoveRecord => ({
  id,
  instance: 'vm',
  source_node: 'a',
  target_node: 'b',
  operation: 'live_migration',
  started_at: new Date(1.7e12 + startSeconds * 1000).toISOString(),
  duration_seconds: durationSeconds,
});

describe('FinishQueue', () => {
  it('gives back exactly what had finished, in order of finish, then id, as sorting would', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 1, max: 50 })), {
          maxLength: 40,
        }),
        fc.integer({ min: 0, max: 110 }),
        (times, atSeconds) => {
          const moves = times.map(([start, duration], i) => move(`m${i}`, start, duration));
          const queue = new FinishQueue();
          for (const record of moves) queue.add(record);
          const atMs = 1.7e12 + atSeconds * 1000;
          const expected = moves
            .filter((record) => finishMs(record) <= atMs)
            .sort((a, b) => finishMs(a) - finishMs(b) || (a.id < b.id ? -1 : 1));
          expect(queue.takeFinishedBy(atMs).map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
          expect(queue.size).toBe(moves.length - expected.length);
          expect(queue.takeFinishedBy(Infinity)).toHaveLength(moves.length - expected.length);
        },
      ),
    );
  });
});
