import { binsPerDay, slotOfDay, type SeriesModel } from './series-model.js';

/** Slots of the day: five minutes, the usual step of monitoring. */
const MOST_SLOTS = 288;

/** As at the same time of the day before (or the last day on which that time was seen), else as the last value. */
export class SeasonalNaive implements SeriesModel {
  /** The last value, then the last value of every slot of the day. */
  state: Float64Array;
  private readonly slots: number;

  constructor(private readonly stepMs: number) {
    this.slots = Math.min(MOST_SLOTS, binsPerDay(stepMs));
    this.state = new Float64Array(1 + this.slots).fill(NaN);
  }

  /** Makes a part of a greater array this model's memory. */
  moveInto(state: Float64Array): void {
    state.set(this.state);
    this.state = state;
  }

  learn(bin: number, value: number): void {
    this.state[0] = value;
    this.state[1 + slotOfDay(bin, this.stepMs, this.slots)] = value;
  }

  point(bin: number): number {
    const seasonal = this.state[1 + slotOfDay(bin, this.stepMs, this.slots)]!;
    return Number.isNaN(seasonal) ? this.state[0]! : seasonal;
  }
}
