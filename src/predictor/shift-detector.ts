import type { Saved } from './saved.js';

/**
 * Notices that durations have shifted: Page's cumulative sums (1954) of standardised errors, one a direction and group.
 * An alarm starts the sums anew.
 */

const { max, min } = Math;

/** Half the shift, in deviations, that is to be noticed soon: smaller ones are left to the slow effects. */
const ALLOWANCE = 0.75;
/** The sum at which the alarm is given. Higher: fewer false alarms, later true ones. */
const THRESHOLD = 11;
/** One move counts no more than this, so that a single odd one never is an alarm. */
const MOST_ERROR = 3;
/** A group speaks up from so many moves on: before, its errors are those of getting to know it. */
const LEAST_MOVES = 30;

interface Sums {
  up: number;
  down: number;
  count: number;
}

export class ShiftDetector {
  private readonly groups = new Map<string, Sums>();
  private given = 0;

  /** Alarms since the beginning. */
  get alarms(): number {
    return this.given;
  }

  /** Takes in one standardised error; true when the durations of the group have shifted. O(1). */
  learn(group: string, error: number): boolean {
    let sums = this.groups.get(group);
    if (sums === undefined) this.groups.set(group, (sums = { up: 0, down: 0, count: 0 }));
    sums.count++;
    if (sums.count <= LEAST_MOVES) return false;
    const step = max(-MOST_ERROR, min(MOST_ERROR, error));
    sums.up = max(0, sums.up + step - ALLOWANCE);
    sums.down = max(0, sums.down - step - ALLOWANCE);
    if (sums.up < THRESHOLD && sums.down < THRESHOLD) return false;
    sums.up = 0;
    sums.down = 0;
    this.given++;
    return true;
  }

  save(): Saved<[number, number, number]> {
    return [...this.groups].map(([key, { up, down, count }]) => [key, [up, down, count]]);
  }

  restore(saved: Saved<[number, number, number]>): void {
    for (const [key, [up, down, count]] of saved) this.groups.set(key, { up, down, count });
  }
}
