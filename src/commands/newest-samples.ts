import { fromIsoTime } from '../domain/units.js';

/** Samples of each kind that a training or a prediction from files looks at, the newest. */
export const MOST_SAMPLES = 300_000;

/** Keeps the newest of so many samples as come by, in whatever order, in room for twice as many. O(log n) each. */
export class NewestSamples<T extends { at: string }> {
  /** Older ones that were dropped. */
  leftOut = 0;
  private samples: T[] = [];
  /** Samples repeat a few names: one string for each instead of one for each sample. */
  private readonly names = new Map<string, string>();

  /** Samples from outside of the range are not counted either. */
  constructor(
    private readonly most: number,
    private readonly range: { fromMs: number; toMs: number } = { fromMs: -Infinity, toMs: Infinity },
  ) {}

  add(sample: T): void {
    const atMs = fromIsoTime(sample.at);
    if (atMs < this.range.fromMs || atMs >= this.range.toMs) return;
    const fields = sample as Record<string, unknown>;
    for (const field of ['cluster', 'link', 'instance']) {
      const name = fields[field];
      if (typeof name !== 'string') continue;
      const known = this.names.get(name);
      if (known === undefined) this.names.set(name, name);
      else fields[field] = known;
    }
    this.samples.push(sample);
    if (this.samples.length >= 2 * this.most) this.cut();
  }

  /** In order of time. */
  values(): T[] {
    this.cut();
    return this.samples;
  }

  private cut(): void {
    const timed = this.samples.map((sample) => ({ sample, atMs: fromIsoTime(sample.at) }));
    timed.sort((a, b) => a.atMs - b.atMs);
    const first = Math.max(0, timed.length - this.most);
    this.leftOut += first;
    this.samples = timed.slice(first).map(({ sample }) => sample);
  }
}
