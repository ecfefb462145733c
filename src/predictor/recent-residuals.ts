import type { Saved } from './saved.js';

/** The last residuals of each key, of which the median is asked: a rule of thumb that one odd move does not move. */
export class RecentResiduals {
  private readonly windows = new Map<string, number[]>();
  private readonly sorted: number[] = [];

  /** `length` residuals of each key are kept. */
  constructor(private readonly length: number) {}

  learn(key: string, residual: number): void {
    let window = this.windows.get(key);
    if (window === undefined) this.windows.set(key, (window = []));
    window.push(residual);
    if (window.length > this.length) window.shift();
  }

  /** Median of what is kept of a key; NaN with fewer than two. O(length²) on at most a dozen values. */
  median(key: string): number {
    const window = this.windows.get(key);
    if (window === undefined || window.length < 2) return NaN;
    const { sorted } = this;
    sorted.length = 0;
    for (const value of window) {
      let at = sorted.length;
      sorted.push(value);
      while (at > 0 && sorted[at - 1]! > value) {
        sorted[at] = sorted[at - 1]!;
        at--;
      }
      sorted[at] = value;
    }
    const middle = sorted.length >> 1;
    return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  }

  save(): Saved<number[]> {
    return [...this.windows].map(([key, window]) => [key, [...window]]);
  }

  restore(saved: Saved<number[]>): void {
    for (const [key, window] of saved) this.windows.set(key, [...window]);
  }
}
