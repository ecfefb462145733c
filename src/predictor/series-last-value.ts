import type { SeriesModel } from './series-model.js';

/** The next is as the last: the mark that every other model has to beat. */
export class LastValue implements SeriesModel {
  readonly state = new Float64Array(1).fill(NaN);

  learn(_bin: number, value: number): void {
    this.state[0] = value;
  }

  point(): number {
    return this.state[0]!;
  }
}
