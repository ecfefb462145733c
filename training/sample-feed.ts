import type { InstanceSample } from '../src/domain/samples.js';
import { fromIsoTime } from '../src/domain/units.js';

/** O(n log n). */
export const inOrderOfTime = <T extends { at: string }>(samples: readonly T[]): T[] =>
  samples
    .map((sample) => ({ sample, atMs: fromIsoTime(sample.at) }))
    .sort((a, b) => a.atMs - b.atMs)
    .map(({ sample }) => sample);

/** Shows samples in order of time, each once: all up to a moment that never goes back. O(n) in all. */
export class SampleFeed {
  private next = 0;
  private readonly atMs: Float64Array;

  /** `samples` in order of time. */
  constructor(
    private readonly samples: readonly InstanceSample[],
    private readonly show: (sample: InstanceSample) => void,
  ) {
    this.atMs = Float64Array.from(samples, (sample) => fromIsoTime(sample.at));
  }

  until(nowMs: number): void {
    while (this.next < this.atMs.length && this.atMs[this.next]! <= nowMs)
      this.show(this.samples[this.next++]!);
  }
}
