import type { MoveRecord } from '../domain/move-record.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';
import { RefusedItemsError, type AddCounts, type Store } from '../store/store.js';

/** Records on their way to the store. */
export interface Batch {
  moves: MoveRecord[];
  linkSamples: LinkSample[];
  instanceSamples: InstanceSample[];
}

/** What became of a batch. */
export interface Added extends AddCounts {
  /** What the store would not hold, each with its reason. */
  refused?: { item: MoveRecord | LinkSample | InstanceSample; reason: string }[];
}

/** Where collected records go. `add` resolves once they are safe there. */
export interface Sink {
  add(batch: Batch): Promise<Added>;
}

export const emptyBatch = (): Batch => ({ moves: [], linkSamples: [], instanceSamples: [] });

export const batchSize = (batch: Batch): number =>
  batch.moves.length + batch.linkSamples.length + batch.instanceSamples.length;

/** Into a store. */
export function storeSink(store: Store): Sink {
  return {
    async add({ moves, linkSamples, instanceSamples }) {
      const added = { new: 0, known: 0, refused: [] as NonNullable<Added['refused']> };
      async function take<T extends MoveRecord | LinkSample | InstanceSample>(
        items: readonly T[],
        add: (items: readonly T[]) => Promise<AddCounts>,
      ): Promise<void> {
        if (items.length === 0) return;
        let counts: AddCounts;
        try {
          counts = await add(items);
        } catch (error) {
          if (!(error instanceof RefusedItemsError)) throw error;
          ({ counts } = error);
          for (const { index, reason } of error.refused) added.refused.push({ item: items[index]!, reason });
        }
        added.new += counts.new;
        added.known += counts.known;
      }
      await take(moves, (items) => store.addMoves(items));
      await take(linkSamples, (items) => store.addLinkSamples(items));
      await take(instanceSamples, (items) => store.addInstanceSamples(items));
      return added;
    },
  };
}

/** As JSONL through `write`, which resolves when the reader has room for more; everything counts as new. */
export function jsonlSink(write: (text: string) => Promise<void>): Sink {
  return {
    async add({ moves, linkSamples, instanceSamples }) {
      let text = '';
      for (const record of moves) text += `${JSON.stringify(record)}\n`;
      for (const sample of linkSamples) text += `${JSON.stringify(sample)}\n`;
      for (const sample of instanceSamples) text += `${JSON.stringify(sample)}\n`;
      await write(text);
      return { new: moves.length + linkSamples.length + instanceSamples.length, known: 0 };
    },
  };
}

/** So many moves are shown of a dry run. */
const SHOWN_MOVES = 20;

/** Stores nothing, and remembers what to show. */
export class DryRun implements Sink {
  readonly #moves: MoveRecord[] = [];
  #moveCount = 0;
  #linkSamples = 0;
  #instanceSamples = 0;

  async add({ moves, linkSamples, instanceSamples }: Batch): Promise<AddCounts> {
    this.#moves.push(...moves.slice(0, SHOWN_MOVES - this.#moves.length));
    this.#moveCount += moves.length;
    this.#linkSamples += linkSamples.length;
    this.#instanceSamples += instanceSamples.length;
    return { new: 0, known: 0 };
  }

  /** Lines for a person: the first moves, and how many of each kind there are. */
  table(): string[] {
    const rows = this.#moves.map((move) => [
      move.started_at,
      move.instance,
      `${move.source_node} > ${move.target_node}`,
      move.operation,
      `${move.duration_seconds.toFixed(1)} s`,
      move.status ?? 'completed',
    ]);
    const widths = [0, 1, 2, 3, 4, 5].map((column) => Math.max(0, ...rows.map((row) => row[column]!.length)));
    const lines = rows.map((row) =>
      row
        .map((cell, column) => (column === 4 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
        .join('  ')
        .trimEnd(),
    );
    if (this.#moveCount > rows.length) lines.push(`… and ${this.#moveCount - rows.length} more moves`);
    if (this.#linkSamples > 0) lines.push(`${this.#linkSamples} link samples`);
    if (this.#instanceSamples > 0) lines.push(`${this.#instanceSamples} instance samples`);
    return lines;
  }
}
