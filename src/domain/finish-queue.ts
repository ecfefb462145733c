import { finishMs, type MoveRecord } from './move-record.js';

/**
 * Moves that have started, given back in order of their finish: feed it records in order of start, and before each one
 * take what had finished by then. So a stream sorted by start is learnt from in order of finish, and holds no more
 * than the moves that run at the same time. A binary heap: O(log n) a move.
 *
 * @example
 * for (const record of inOrderOfStart) {
 *   for (const finished of queue.takeFinishedBy(startMs(record))) learn(finished);
 *   queue.add(record);
 * }
 */
export class FinishQueue {
  private readonly heap: { finishMs: number; record: MoveRecord }[] = [];

  get size(): number {
    return this.heap.length;
  }

  add(record: MoveRecord): void {
    const heap = this.heap;
    const item = { finishMs: finishMs(record), record };
    let at = heap.length;
    heap.push(item);
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!before(item, heap[up]!)) break;
      heap[at] = heap[up]!;
      at = up;
    }
    heap[at] = item;
  }

  /** Removes and returns every move that had finished at `atMs` or earlier, in order of finish, then id. */
  takeFinishedBy(atMs: number): MoveRecord[] {
    const taken: MoveRecord[] = [];
    while (this.heap.length > 0 && this.heap[0]!.finishMs <= atMs) taken.push(this.takeFirst());
    return taken;
  }

  private takeFirst(): MoveRecord {
    const heap = this.heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length > 0) {
      let at = 0;
      for (;;) {
        let down = 2 * at + 1;
        if (down >= heap.length) break;
        if (down + 1 < heap.length && before(heap[down + 1]!, heap[down]!)) down += 1;
        if (!before(heap[down]!, last)) break;
        heap[at] = heap[down]!;
        at = down;
      }
      heap[at] = last;
    }
    return first.record;
  }
}

type Waiting = { finishMs: number; record: MoveRecord };

const before = (a: Waiting, b: Waiting): boolean =>
  a.finishMs < b.finishMs || (a.finishMs === b.finishMs && a.record.id < b.record.id);
