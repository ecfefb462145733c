import type { Score } from '../monitor/score.js';

/** Scores held in memory, about 300 bytes each. */
const MOST_SCORES = 100_000;

/** The newest scores, by move, in order of when they were written down; the oldest make place. */
export class ScoreBook {
  private readonly scores = new Map<string, Score>();

  constructor(private readonly most = MOST_SCORES) {}

  get size(): number {
    return this.scores.size;
  }

  has(id: string): boolean {
    return this.scores.has(id);
  }

  get(id: string): Score | undefined {
    return this.scores.get(id);
  }

  /** The first score of a move stays. */
  add(score: Score): boolean {
    if (this.scores.has(score.id)) return false;
    this.scores.set(score.id, score);
    if (this.scores.size > this.most) this.scores.delete(this.scores.keys().next().value!);
    return true;
  }

  /** The last so many, by finish. */
  newest(count: number): Score[] {
    return this.between(undefined, Infinity).slice(-count);
  }

  /** Scores of moves that finished in [fromMs, toMs), in order of finish. O(n log n). */
  between(fromMs: number | undefined, toMs: number): Score[] {
    const found: Score[] = [];
    for (const score of this.scores.values())
      if ((fromMs === undefined || score.finished_ms >= fromMs) && score.finished_ms < toMs)
        found.push(score);
    return found.sort((a, b) => a.finished_ms - b.finished_ms);
  }
}
