import { medianOf } from './median.js';
import type { Saved } from './saved.js';

/**
 * Notices that durations of one kind of move have gone to another level: the median of the last few against that of
 * those before, in deviations of either around its own median. Effects that follow at once leave cumulative sums of
 * their errors nothing to add up; levels stay apart all the same. Medians, so that a bulk of odd moves (broken off, and
 * logged as finished) hides a shift no longer than it fills half of a window.
 */

const { abs, max } = Math;

/** The last moves, and those before them. */
const NEW_MOVES = 8;
const OLD_MOVES = 12;
/**
 * Deviations between the levels of a shift. Medians of 8 and of 12 normal values differ by 0.57 deviations of one
 * (standard deviation), so that this is seven of their own: room for moves that err together.
 */
const LEAST_DEVIATIONS = 4;
/** And at least so far apart (log scale): less is left to the slow effects. */
const LEAST_SHIFT = 0.1;
/** No kind of move is steadier than this. */
const LEAST_DEVIATION = 0.02;
/** Median absolute deviation to standard deviation, of a normal distribution. */
const MAD_TO_DEVIATION = 1.4826;

export class LevelShifts {
  private readonly windows = new Map<string, number[]>();
  private given = 0;

  /** Alarms since the beginning. */
  get alarms(): number {
    return this.given;
  }

  /** Takes in log(actual ÷ physics) of a move; true when the level of its group has shifted. O(window · log window). */
  learn(group: string, residual: number): boolean {
    let window = this.windows.get(group);
    if (window === undefined) this.windows.set(group, (window = []));
    window.push(residual);
    if (window.length > OLD_MOVES + NEW_MOVES) window.shift();
    if (window.length < OLD_MOVES + NEW_MOVES) return false;
    const older = window.slice(0, OLD_MOVES);
    const newer = window.slice(OLD_MOVES);
    const from = medianOf(older);
    const to = medianOf(newer);
    const distances = [...older.map((value) => abs(value - from)), ...newer.map((value) => abs(value - to))];
    const deviation = max(LEAST_DEVIATION, MAD_TO_DEVIATION * medianOf(distances));
    if (!(abs(to - from) > max(LEAST_SHIFT, LEAST_DEVIATIONS * deviation))) return false;
    this.given++;
    return true;
  }

  /** After an alarm, from here or elsewhere: what went before is no longer compared with. */
  forget(group: string): void {
    this.windows.delete(group);
  }

  save(): Saved<number[]> {
    return [...this.windows].map(([key, window]) => [key, [...window]]);
  }

  restore(saved: Saved<number[]>): void {
    for (const [key, window] of saved) this.windows.set(key, [...window]);
  }
}
