import { DEFAULT_CLUSTER, finishMs, startMs, type MoveRecord } from '../domain/move-record.js';
import { isUnknownNode } from './sources/finished-move.js';

/** A move that lasted, as far as counting others beside it goes. */
interface Span {
  record: MoveRecord;
  startMs: number;
  finishMs: number;
}

/** Moves that finished longer ago than this before the newest start are no longer remembered. */
export const REMEMBERED_MS = 86_400_000;

/** So many earlier moves are remembered at most. */
export const MOST_REMEMBERED = 10_000;

/**
 * Counts, for moves whose log does not say, the other moves on either of their nodes when they started
 * (`concurrent_moves`), from the records that overlap. What is told in a later batch than the move itself is not seen,
 * so that a count is a lower bound; a count of nothing is given only where the log tells of every move.
 */
export class ConcurrentMoves {
  #remembered: MoveRecord[] = [];

  /** Notes moves that an earlier run collected. */
  remember(records: readonly MoveRecord[]): void {
    this.#remembered.push(...records);
  }

  /**
   * Fills in `concurrent_moves` where it is absent, in place. `mayBeNone` says whether a log tells of every move, so that
   * none seen means none. O(n log n + overlaps) in the moves of the batch and the remembered ones.
   */
  complete(
    batch: readonly MoveRecord[],
    wanted: (record: MoveRecord) => { mayBeNone: boolean } | undefined,
  ): void {
    const all = [...this.#remembered, ...batch];
    const counts = countOverlaps(all);
    for (let i = this.#remembered.length; i < all.length; i++) {
      const record = all[i]!;
      const want = record.concurrent_moves === undefined ? wanted(record) : undefined;
      const mayBeNone =
        want?.mayBeNone === true && !isUnknownNode(record.source_node) && !isUnknownNode(record.target_node);
      if (want !== undefined && (counts[i]! > 0 || mayBeNone)) record.concurrent_moves = counts[i]!;
    }
    let newestStartMs = -Infinity;
    for (const record of all) newestStartMs = Math.max(newestStartMs, startMs(record));
    this.#remembered = all
      .filter((record) => finishMs(record) > newestStartMs - REMEMBERED_MS)
      .slice(-MOST_REMEMBERED);
  }
}

/**
 * For each record, how many others were under way on its source or target node when it started: started at or before
 * it, and not yet finished. Records of the same id or the same instance are the same move told twice.
 * O(n log n + overlaps).
 */
export function countOverlaps(records: readonly MoveRecord[]): Int32Array {
  const spans: Span[] = records.map((record) => ({
    record,
    startMs: startMs(record),
    finishMs: finishMs(record),
  }));
  const order = spans.map((_, index) => index).toSorted((a, b) => spans[a]!.startMs - spans[b]!.startMs);
  const underWay = new Map<string, Span[]>();
  const counts = new Int32Array(records.length);
  for (let i = 0; i < order.length;) {
    const nowMs = spans[order[i]!]!.startMs;
    let end = i;
    for (; end < order.length && spans[order[end]!]!.startMs === nowMs; end++) {
      const span = spans[order[end]!]!;
      for (const node of nodesOf(span.record)) {
        const there = underWay.get(node);
        if (there === undefined) underWay.set(node, [span]);
        else there.push(span);
      }
    }
    for (; i < end; i++) {
      const { record } = spans[order[i]!]!;
      const others = new Set<string>();
      for (const node of nodesOf(record)) {
        const still = underWay.get(node)!.filter((span) => span.finishMs > nowMs || span.startMs === nowMs);
        underWay.set(node, still);
        for (const { record: other, finishMs: otherFinishMs } of still) {
          if (otherFinishMs > nowMs && other.id !== record.id && other.instance !== record.instance)
            others.add(other.id);
        }
      }
      counts[order[i]!] = others.size;
    }
  }
  return counts;
}

/** The nodes that are known: two moves from nobody knows where need not be from the same node. */
function nodesOf({ cluster = DEFAULT_CLUSTER, source_node, target_node }: MoveRecord): string[] {
  const names = new Set([source_node, target_node]);
  return [...names].filter((name) => !isUnknownNode(name)).map((name) => `${cluster}\n${name}`);
}
