import { UserError } from '../domain/errors.js';
import type { InfluxConnection } from './influx-connection.js';
import { NANOSECONDS_PER_MS, nanoTime } from './line-protocol.js';
import { retrying, type RetryPolicy } from './retry.js';
import { RefusedItemsError, type AddCounts, type RefusedItem } from './store.js';

/** Items looked up at once: a query for fewer costs nearly as much. */
const ITEMS_PER_LOOKUP = 5000;
/**
 * Points a request, and requests under way at once. InfluxData recommends 5000 a request; of half as many the server stores one
 * while the next is written, which is faster in sum (`npm run bench:store`).
 */
const POINTS_PER_REQUEST = 2500;
const REQUESTS_AT_ONCE = 2;
/** Characters after which a request is full, however few points it has: InfluxDB takes 25 MB by default. */
const CHARACTERS_PER_REQUEST = 4_000_000;

/** An item on its way into the database. */
export interface Entry<T> {
  item: T;
  /** Among the items of the call. */
  index: number;
  identity: string;
  ms: number;
}

/** A point that is there already. */
export interface KnownPoint {
  identity: string;
  /** Where points of one time are not told apart by their tags. */
  time?: { ms: number; nanoseconds: number };
}

/** How one kind of data becomes points. */
export interface Layout<T> {
  /** What makes an item the same as another. */
  identity: (item: T) => string;
  timeMs: (item: T) => number;
  /** Nanoseconds within the millisecond. */
  place: (item: T) => number;
  /** True when points of one time are told apart by their tags; else each has a time of its own. */
  sharesTime: boolean;
  line: (item: T, time: string) => string;
  /** Which of the batch are there already; may give more. */
  known: (batch: readonly Entry<T>[]) => Promise<KnownPoint[]>;
}

/**
 * A moment as one exact number (33 and 20 bits), which a set of numbers holds at a fraction of a string's cost. Repeats
 * after 99 days: then a place that is free counts as taken, and its neighbour serves as well.
 */
const timeKey = (ms: number, nanoseconds: number): number => (ms % 2 ** 33) * 2 ** 20 + nanoseconds;

/** Places within milliseconds: of points that are there already, and of those that are added, in order of time. */
class Places {
  readonly #taken = new Set<number>();
  #filledMs = NaN;
  readonly #filled = new Set<number>();

  note({ ms, nanoseconds }: { ms: number; nanoseconds: number }): void {
    this.#taken.add(timeKey(ms, nanoseconds));
  }

  /** The first free place from the wanted one on. */
  take(ms: number, wanted: number): number {
    if (ms !== this.#filledMs) {
      this.#filledMs = ms;
      this.#filled.clear();
    }
    let nanoseconds = wanted;
    while (this.#filled.has(nanoseconds) || this.#taken.has(timeKey(ms, nanoseconds)))
      nanoseconds = (nanoseconds + 1) % NANOSECONDS_PER_MS;
    this.#filled.add(nanoseconds);
    return nanoseconds;
  }
}

/** Lines of entries on their way to the server, some requests at once. */
class Requests {
  readonly refused: RefusedItem[] = [];
  added = 0;
  /** The first failure, after which nothing more is sent. */
  failed: unknown;
  readonly #write: (lines: readonly string[]) => Promise<readonly RefusedItem[]>;
  readonly #underWay = new Set<Promise<void>>();
  #lines: string[] = [];
  /** The item of each line. */
  #indexes: number[] = [];
  #characters = 0;

  constructor(write: (lines: readonly string[]) => Promise<readonly RefusedItem[]>) {
    this.#write = write;
  }

  async add(line: string, index: number): Promise<void> {
    this.#lines.push(line);
    this.#indexes.push(index);
    this.#characters += line.length;
    if (this.#lines.length >= POINTS_PER_REQUEST || this.#characters >= CHARACTERS_PER_REQUEST)
      await this.send();
  }

  /** Sends what is left as soon as it may go. */
  async send(): Promise<void> {
    const lines = this.#lines;
    const indexes = this.#indexes;
    this.#lines = [];
    this.#indexes = [];
    this.#characters = 0;
    if (lines.length === 0) return;
    while (this.#underWay.size >= REQUESTS_AT_ONCE) await Promise.race(this.#underWay);
    if (this.failed !== undefined) return;
    const request: Promise<void> = this.#write(lines)
      .then(
        (refusedLines) => {
          for (const { index, reason } of refusedLines) this.refused.push({ index: indexes[index]!, reason });
          this.added += lines.length - refusedLines.length;
        },
        (error: unknown) => {
          this.failed ??= error;
        },
      )
      .finally(() => this.#underWay.delete(request));
    this.#underWay.add(request);
  }

  async end(): Promise<void> {
    await Promise.all(this.#underWay);
  }
}

/**
 * Writes what is not known yet, in order of time, in batches; while one is on its way the next is looked up.
 *
 * @throws RefusedItemsError when all the others are stored.
 */
export async function addNew<T>(
  connection: InfluxConnection,
  {
    what,
    items,
    layout,
    retry,
  }: { what: string; items: readonly T[]; layout: Layout<T>; retry: RetryPolicy },
): Promise<AddCounts> {
  const entries = inOrderOfTime(items, layout);
  const places = new Places();
  const requests = new Requests((lines) => retrying(() => connection.write(lines), retry));
  const { refused } = requests;
  let field: string | undefined;
  for (let from = 0; from < entries.length && requests.failed === undefined; from += ITEMS_PER_LOOKUP) {
    const batch = entries.slice(from, from + ITEMS_PER_LOOKUP);
    const known = new Set<string>();
    try {
      for (const { identity, time } of await retrying(() => layout.known(batch), retry)) {
        known.add(identity);
        if (time !== undefined) places.note(time);
      }
    } catch (error) {
      requests.failed ??= error;
      break;
    }
    for (const { item, index, identity, ms } of batch) {
      if (known.has(identity)) continue;
      const wanted = layout.place(item);
      const nanoseconds = layout.sharesTime ? wanted : places.take(ms, wanted);
      let line: string;
      try {
        line = layout.line(item, nanoTime(ms, nanoseconds));
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        field ??= error.field;
        refused.push({ index, reason: error.message });
        continue;
      }
      await requests.add(line, index);
    }
    await requests.send();
  }
  await requests.end();
  if (requests.failed !== undefined) throw requests.failed;
  const counts: AddCounts = { new: requests.added, known: items.length - requests.added - refused.length };
  if (refused.length === 0) return counts;
  refused.sort((a, b) => a.index - b.index);
  throw new RefusedItemsError(
    `the store ${connection.address.url} refused ${refused.length} of ${items.length} ${what.replaceAll('_', ' ')}, the first: ${refused[0]!.reason}; all others are stored`,
    refused,
    counts,
    field,
  );
}

/** Each item once, the first of those that are the same. */
function inOrderOfTime<T>(items: readonly T[], { identity, timeMs }: Layout<T>): Entry<T>[] {
  const entries = new Map<string, Entry<T>>();
  for (const [index, item] of items.entries()) {
    const id = identity(item);
    if (!entries.has(id)) entries.set(id, { item, index, identity: id, ms: timeMs(item) });
  }
  return [...entries.values()].sort((a, b) => a.ms - b.ms);
}
