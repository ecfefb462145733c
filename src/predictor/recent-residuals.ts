import { medianOf } from './median.js';

interface Window {
  /** In order of time. */
  values: number[];
  /** NaN with fewer than two. */
  median: number;
  /** The kind of move that the last value is of. */
  kind: string;
}

/**
 * The last residuals of each key (or the logarithms of durations themselves), of which the median is asked: a rule of
 * thumb that one odd move does not move.
 */
export class RecentResiduals {
  private readonly windows = new Map<string, Window>();

  /** `length` values of each key are kept. */
  constructor(private readonly length: number) {}

  /** `kind`: the kind of move, which may shift as a whole. O(length · log length), so that asking is a lookup. */
  learn(key: string, kind: string, value: number): void {
    let window = this.windows.get(key);
    if (window === undefined) this.windows.set(key, (window = { values: [], median: NaN, kind }));
    window.values.push(value);
    if (window.values.length > this.length) window.values.shift();
    window.median = typical(window.values);
    window.kind = kind;
  }

  /** Median of what is kept of a key; NaN with fewer than two. */
  median(key: string): number {
    return this.windows.get(key)?.median ?? NaN;
  }

  /** After a shift of a kind of move: what was before says nothing of what comes. O(keys). */
  forget(kind: string): void {
    for (const [key, window] of this.windows) if (window.kind === kind) this.windows.delete(key);
  }

  save(): SavedWindows {
    return [...this.windows].map(([key, { values, kind }]) => [key, [...values], kind]);
  }

  restore(saved: SavedWindows): void {
    for (const [key, values, kind = ''] of saved)
      this.windows.set(key, { values: [...values], median: typical(values), kind });
  }
}

/** [key, values, kind]; in models made before kinds were kept, a shift leaves what they bring with them as it is. */
export type SavedWindows = [string, number[], (string | undefined)?][];

/** One value alone may be odd. */
const typical = (values: readonly number[]): number => (values.length < 2 ? NaN : medianOf(values));
