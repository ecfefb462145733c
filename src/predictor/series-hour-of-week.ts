import {
  binsPerDay,
  dayOfWeek,
  DAYS_PER_WEEK,
  HOURS_PER_DAY,
  medianInPlace,
  slotOfDay,
  type SeriesModel,
} from './series-model.js';

/** Values kept of each hour of the week: one hour of five-minute samples. */
const KEPT_OF_HOUR_OF_WEEK = 12;
/** Values kept of each hour of the day: most of the last three days. */
const KEPT_OF_HOUR = 32;
/** Values kept of the whole: what stands for an hour never seen. */
const KEPT_OF_ALL = 64;
/** An hour of the week speaks for itself once it has been seen in this many weeks; until then the hour of the day does. */
const WEEKS_TO_TRUST = 2;

/** The median of what was last seen in the same hour of the week; of the hour of the day or of everything while that is young. */
export class HourOfWeekMedian implements SeriesModel {
  readonly state: Float64Array;
  private readonly rings: { at: number; size: number }[] = [];
  private readonly sorted = new Float64Array(KEPT_OF_ALL);
  private readonly medians: Float64Array;
  /** The count of a ring when its median was worked out. */
  private readonly medianOf: Float64Array;
  private readonly hours: number;
  private readonly perVisit: number;

  constructor(private readonly stepMs: number) {
    this.hours = Math.min(HOURS_PER_DAY, binsPerDay(stepMs));
    this.perVisit = Math.max(1, Math.floor(binsPerDay(stepMs) / this.hours));
    let at = 0;
    const addRing = (size: number): void => {
      this.rings.push({ at, size });
      at += size + 1; // how many were ever put in, then the values
    };
    for (let i = 0; i < DAYS_PER_WEEK * this.hours; i++) addRing(KEPT_OF_HOUR_OF_WEEK);
    for (let i = 0; i < this.hours; i++) addRing(KEPT_OF_HOUR);
    addRing(KEPT_OF_ALL);
    this.state = new Float64Array(at);
    this.medians = new Float64Array(this.rings.length);
    this.medianOf = new Float64Array(this.rings.length).fill(NaN);
  }

  learn(bin: number, value: number): void {
    this.put(this.hourOfWeek(bin), value);
    this.put(this.hourOfDay(bin), value);
    this.put(this.rings.length - 1, value);
  }

  point(bin: number): number {
    const week = this.hourOfWeek(bin);
    if (this.count(week) > (WEEKS_TO_TRUST - 1) * this.perVisit) return this.median(week);
    const day = this.hourOfDay(bin);
    return this.count(day) > 0 ? this.median(day) : this.median(this.rings.length - 1);
  }

  private hourOfWeek(bin: number): number {
    return dayOfWeek(bin, this.stepMs) * this.hours + slotOfDay(bin, this.stepMs, this.hours);
  }

  private hourOfDay(bin: number): number {
    return DAYS_PER_WEEK * this.hours + slotOfDay(bin, this.stepMs, this.hours);
  }

  private count(ring: number): number {
    return this.state[this.rings[ring]!.at]!;
  }

  private put(ring: number, value: number): void {
    const { at, size } = this.rings[ring]!;
    const count = this.state[at]!;
    this.state[at + 1 + (count % size)] = value;
    this.state[at] = count + 1;
  }

  /** Kept until the ring changes, told by its count; worked out anew after a restore. */
  private median(ring: number): number {
    if (this.medianOf[ring] === this.count(ring)) return this.medians[ring]!;
    const { at, size } = this.rings[ring]!;
    const count = Math.min(size, this.state[at]!);
    this.sorted.set(this.state.subarray(at + 1, at + 1 + count));
    this.medianOf[ring] = this.count(ring);
    return (this.medians[ring] = medianInPlace(this.sorted, count));
  }
}
