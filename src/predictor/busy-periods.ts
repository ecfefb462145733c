import { MS_PER_SECOND } from '../domain/units.js';
import { medianOf } from './median.js';
import type { Saved } from './saved.js';

/**
 * Notices a shift where a manager's queue hides it. A move's own duration says little there, since it contains its
 * waiting; but who came first does not matter to what the moves of a busy period, from when nothing runs until nothing
 * runs again, take together. Of n moves asked for together and worked through one by one, each taking s on its own, one
 * lasts s · (n + 1) ÷ 2 on average: divided by that, a sum speaks of s, however many were asked for at a time.
 */

const { log, max, min, sqrt } = Math;

/** A manager that asks for the next moves within so long has not rested. */
const REST_MS = 1000;
/** Busy periods are taken together until they hold so many moves: fewer still tell of their places. */
const LEAST_MOVES = 8;
/** A manager that does not rest is looked at every so many moves. */
const MOST_MOVES = 24;
/** The last busy periods, which must all have shifted the same way, and those before them. */
const NEW_PERIODS = 2;
const OLD_PERIODS = 12;
/**
 * Standard deviations of those before by which each of them has shifted at least: beyond three twice in a row lies about
 * one in a thousand of them even where every tenth busy period scatters four times as much.
 */
const LEAST_DEVIATIONS = 3;
/** And at least so far (log scale): less is left to the slow effects. */
const LEAST_SHIFT = 0.1;

/** A parallel move that has finished. */
export interface QueuedMove {
  startMs: number;
  seconds: number;
  /** Moves asked for together with it, itself among them. */
  together: number;
  /** What physics expects of it on its own. */
  aloneSeconds: number;
}

interface Kind {
  /** Of the busy period under way: its last finish, its moves, what they took without waiting, and what was expected. */
  endMs: number;
  moves: number;
  ownSeconds: number;
  aloneSeconds: number;
  /** log(own ÷ alone) of the last busy periods. */
  levels: number[];
}

export class BusyPeriods {
  private readonly kinds = new Map<string, Kind>();
  private given = 0;

  /** Alarms since the beginning. */
  get alarms(): number {
    return this.given;
  }

  /**
   * Takes in a move of `kind`, in order of finish; true when it began after a busy period that showed a shift. A kind is
   * followed from when its moves first showed that they are queued. O(periods · log periods).
   */
  learn(kind: string, isQueued: boolean, move: QueuedMove): boolean {
    let seen = this.kinds.get(kind);
    const finishMs = move.startMs + move.seconds * MS_PER_SECOND;
    if (seen === undefined) {
      if (!isQueued) return false;
      seen = { endMs: finishMs, moves: 0, ownSeconds: 0, aloneSeconds: 0, levels: [] };
      this.kinds.set(kind, seen);
    }
    const hasEnded = move.startMs > seen.endMs + REST_MS || seen.moves >= MOST_MOVES;
    const hasShifted = hasEnded && seen.moves >= LEAST_MOVES && this.close(seen);
    seen.endMs = max(seen.endMs, finishMs);
    seen.moves++;
    seen.ownSeconds += (2 * move.seconds) / (move.together + 1);
    seen.aloneSeconds += move.aloneSeconds;
    return hasShifted;
  }

  private close(seen: Kind): boolean {
    const { levels } = seen;
    levels.push(log(seen.ownSeconds / seen.aloneSeconds));
    seen.moves = seen.ownSeconds = seen.aloneSeconds = 0;
    if (levels.length > OLD_PERIODS + NEW_PERIODS) levels.shift();
    if (levels.length < OLD_PERIODS + NEW_PERIODS) return false;
    const older = levels.slice(0, OLD_PERIODS);
    const from = medianOf(older);
    const variance = older.reduce((sum, level) => sum + (level - from) ** 2, 0) / (OLD_PERIODS - 1);
    const least = max(LEAST_SHIFT, LEAST_DEVIATIONS * sqrt(variance));
    const newer = levels.slice(OLD_PERIODS);
    if (!(min(...newer) - from > least || from - max(...newer) > least)) return false;
    this.given++;
    return true;
  }

  /** After an alarm, from here or elsewhere: what went before is no longer compared with. */
  forget(kind: string): void {
    const seen = this.kinds.get(kind);
    if (seen !== undefined) seen.levels.length = 0;
  }

  save(): Saved<[number, number, number, number, number[]]> {
    return [...this.kinds].map(([key, { endMs, moves, ownSeconds, aloneSeconds, levels }]) => [
      key,
      [endMs, moves, ownSeconds, aloneSeconds, [...levels]],
    ]);
  }

  restore(saved: Saved<[number, number, number, number, number[]]>): void {
    for (const [key, [endMs, moves, ownSeconds, aloneSeconds, levels]] of saved)
      this.kinds.set(key, { endMs, moves, ownSeconds, aloneSeconds, levels: [...levels] });
  }
}
