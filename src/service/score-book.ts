import type { Score } from '../monitor/score.js';

/** Scores held in memory, about 400 bytes each. */
const MOST_SCORES = 100_000;
/** Names of links and models that are held once for all their scores. */
const MOST_NAMES = 20_000;

/** The newest scores, in order of finish; the oldest make place. */
export class ScoreBook {
  private readonly byId = new Map<string, Score>();
  private readonly ordered: Score[] = [];
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
    score.link = this.named(score.link);
    score.model = this.named(score.model);
    this.byId.set(score.id, score);
    // Behind those of the same finish, so that the order is that of writing down where times say nothing.
    this.ordered.splice(this.firstFrom(score.finished_ms, true), 0, score);
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

  private named(name: string): string {
    const known = this.names.get(name);
    if (known !== undefined) return known;
    if (this.names.size >= MOST_NAMES) this.names.clear();
    this.names.set(name, name);
    return name;
  }
}
