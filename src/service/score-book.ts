import type { Score } from '../monitor/score.js';
import { ScoreBlocks, type ScoreKind } from './held-score.js';

/** Scores held in memory, about 250 bytes each. */
const MOST_SCORES = 100_000;
/** Kinds of score and names of instances that are held once for all their scores. */
const MOST_SHARED = 20_000;

/** The newest scores, in order of finish; the oldest make place. */
export class ScoreBook {
  private readonly byId = new Map<string, Score>();
  private readonly ordered: Score[] = [];
  private readonly blocks = new ScoreBlocks();
  private readonly kinds = new Map<string, ScoreKind>();
  private readonly names = new Map<string, string>();

  constructor(private readonly most = MOST_SCORES) {}

  get size(): number {
    return this.ordered.length;
  }

  has(id: string): boolean {
    return this.byId.has(id);
  }

  get(id: string): Score | undefined {
    return this.byId.get(id);
  }

  /** The first score of a move stays. O(log n) for moves that come in order of finish. */
  add(score: Score): boolean {
    if (this.byId.has(score.id)) return false;
    const { id, instance } = score;
    const held = this.blocks.hold(score, shared(this.names, instance, instance), this.kindOf(score));
    this.byId.set(id, held);
    // Behind those of the same finish, so that the order is that of writing down where times say nothing.
    this.ordered.splice(this.firstFrom(score.finished_ms, true), 0, held);
    if (this.ordered.length > this.most) this.byId.delete(this.ordered.shift()!.id);
    return true;
  }

  /** The last so many, by finish. */
  newest(count: number): Score[] {
    return count <= 0 ? [] : this.ordered.slice(-count);
  }

  /** Scores of moves that finished in [fromMs, toMs), in order of finish. O(log n + found). */
  between(fromMs: number | undefined, toMs: number): Score[] {
    return this.ordered.slice(fromMs === undefined ? 0 : this.firstFrom(fromMs), this.firstFrom(toMs));
  }

  /** Place of the first score that finished at or after (`isAfter`: after) a moment. */
  private firstFrom(ms: number, isAfter = false): number {
    let low = 0;
    let high = this.ordered.length;
    const isBefore = ({ finished_ms: at }: Score): boolean => (isAfter ? at <= ms : at < ms);
    if (high > 0 && isBefore(this.ordered[high - 1]!)) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(this.ordered[middle]!)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private kindOf(score: Score): ScoreKind {
    const { cluster, link, source_node, target_node, operation, completed, basis, model, how } = score;
    const key = [cluster, source_node, target_node, operation, completed, basis, model, how].join('\n');
    return shared(this.kinds, key, {
      cluster,
      link,
      source_node,
      target_node,
      operation,
      completed,
      basis,
      model,
      how,
    });
  }
}

/** The value that was held first under a key. */
function shared<T>(held: Map<string, T>, key: string, value: T): T {
  const known = held.get(key);
  if (known !== undefined) return known;
  if (held.size >= MOST_SHARED) held.clear();
  held.set(key, value);
  return value;
}
