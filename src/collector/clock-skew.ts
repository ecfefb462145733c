import { finishMs, startMs, type MoveRecord } from '../domain/move-record.js';

/** Clocks that differ by less are as good as equal: logs round to seconds, and two programs note at different moments. */
const EQUAL_MS = 5_000;

/** Two records of one move start no further apart than this, whatever the clocks; further apart they are two moves. */
const SAME_MOVE_MS = 15 * 60_000;

/** Durations of one move, told by two programs, differ by no more than this share, and the seconds beside it. */
const SAME_DURATION_SHARE = 0.25;
const SAME_DURATION_MS = 10_000;

/** Two files of one kind may tell two moves that look alike: so many must agree. Of two kinds of logs, one is enough. */
const ENOUGH_OF_ONE_KIND = 3;

/** Differences agree when most of them lie this close to their median. */
const AGREEING_MS = 2_000;

/** So many moves are remembered to be met again in another log, and so many differences of each pair of logs. */
const MOST_MOVES = 10_000;
const MOST_DIFFERENCES = 1_000;

/** Two logs whose clocks differ, or one whose clock is ahead of the machine that keeps its file. */
export interface ClockSkew {
  log: string;
  /** The other log; undefined: the clock of the machine that keeps the file. */
  against: string | undefined;
  /** How far the first is ahead; negative: behind. */
  aheadMs: number;
  /** Moves that tell so. */
  moves: number;
}

/** Finds clocks that differ between logs, from moves that two of them tell, and from times that are yet to come. */
export class ClockSkews {
  readonly #byInstance = new Map<string, { log: string; record: MoveRecord }[]>();
  readonly #differencesMs = new Map<
    string,
    { log: string; against: string; isOneKind: boolean; list: number[] }
  >();
  readonly #ahead = new Map<string, { aheadMs: number; moves: number }>();
  #remembered = 0;

  /** Notes a record of a log (its origin, and its node where known); `writtenMs`: when the log was last written. */
  note(record: MoveRecord, log: string, writtenMs: number | undefined): void {
    if (writtenMs !== undefined) this.#noteAhead(record, log, writtenMs);
    const key = `${record.cluster ?? ''}\n${record.instance}`;
    let seen = this.#byInstance.get(key);
    if (seen === undefined) this.#byInstance.set(key, (seen = []));
    for (const other of seen) {
      if (other.log === log || !isSameMove(record, other.record)) continue;
      const [first, second] = log < other.log ? [log, other.log] : [other.log, log];
      const pair = `${first}\n${second}`;
      let differences = this.#differencesMs.get(pair);
      if (differences === undefined) {
        const isOneKind = record.origin === other.record.origin;
        differences = { log: first, against: second, isOneKind, list: [] };
        this.#differencesMs.set(pair, differences);
      }
      const differenceMs = startMs(record) - startMs(other.record);
      if (differences.list.length < MOST_DIFFERENCES)
        differences.list.push(log === first ? differenceMs : -differenceMs);
    }
    if (this.#remembered >= MOST_MOVES) {
      this.#byInstance.clear();
      this.#byInstance.set(key, (seen = []));
      this.#remembered = 0;
    }
    seen.push({ log, record });
    this.#remembered++;
  }

  /** The skews found, the largest first. */
  found(): ClockSkew[] {
    const skews: ClockSkew[] = [];
    for (const { log, against, isOneKind, list } of this.#differencesMs.values()) {
      const sorted = list.toSorted((a, b) => a - b);
      const medianMs = sorted[sorted.length >> 1]!;
      const agreeing = list.filter((ms) => Math.abs(ms - medianMs) <= AGREEING_MS).length;
      if (agreeing < (isOneKind ? ENOUGH_OF_ONE_KIND : 1) || agreeing * 2 <= list.length) continue;
      if (Math.abs(medianMs) > EQUAL_MS) skews.push({ log, against, aheadMs: medianMs, moves: list.length });
    }
    for (const [log, { aheadMs, moves }] of this.#ahead)
      skews.push({ log, against: undefined, aheadMs, moves });
    return skews.toSorted((a, b) => Math.abs(b.aheadMs) - Math.abs(a.aheadMs));
  }

  #noteAhead(record: MoveRecord, log: string, writtenMs: number): void {
    const aheadMs = finishMs(record) - writtenMs;
    if (aheadMs <= EQUAL_MS) return;
    const before = this.#ahead.get(log);
    this.#ahead.set(log, {
      aheadMs: Math.max(aheadMs, before?.aheadMs ?? 0),
      moves: (before?.moves ?? 0) + 1,
    });
  }
}

/** The skew as one clause for a person. */
export function skewSentence({ log, against, aheadMs, moves }: ClockSkew): string {
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  const times = moves === 1 ? 'one move' : `${moves} moves`;
  if (against === undefined)
    return `the clock of ${log} is at least ${seconds} s ahead of its file's time (${times}); check the clock, or the time zone (--time-zone)`;
  const direction = aheadMs > 0 ? 'ahead of' : 'behind';
  return `the clock of ${log} is ${seconds} s ${direction} that of ${against} (${times} told by both); check the clocks, or the time zone (--time-zone)`;
}

function isSameMove(a: MoveRecord, b: MoveRecord): boolean {
  if (a.operation !== b.operation) return false;
  const nodesDiffer = a.source_node !== b.source_node || a.target_node !== b.target_node;
  if (nodesDiffer || Math.abs(startMs(a) - startMs(b)) > SAME_MOVE_MS) return false;
  const aMs = a.duration_seconds * 1000;
  const bMs = b.duration_seconds * 1000;
  return Math.abs(aMs - bMs) <= SAME_DURATION_SHARE * Math.max(aMs, bMs) + SAME_DURATION_MS;
}
