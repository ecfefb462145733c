import type { MoveRecord } from '../domain/move-record.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';
import type { AddCounts, Store } from '../store/store.js';

/** Records on their way to the store. */
export interface Batch {
  moves: MoveRecord[];
  linkSamples: LinkSample[];
  instanceSamples: InstanceSample[];
}

/** Where collected records go. `add` resolves once they are safe there. */
export interface Sink {
  add(batch: Batch): Promise<AddCounts>;
}

export const emptyBatch = (): Batch => ({ moves: [], linkSamples: [], instanceSamples: [] });

export const batchSize = (batch: Batch): number =>
  batch.moves.length + batch.linkSamples.length + batch.instanceSamples.length;

/** Into a store. */
export function storeSink(store: Store): Sink {
  return {
    async add({ moves, linkSamples, instanceSamples }) {
      const counts: AddCounts = { new: 0, known: 0 };
      const count = (added: AddCounts): void => {
        counts.new += added.new;
        counts.known += added.known;
      };
      if (moves.length > 0) count(await store.addMoves(moves));
      if (linkSamples.length > 0) count(await store.addLinkSamples(linkSamples));
      if (instanceSamples.length > 0) count(await store.addInstanceSamples(instanceSamples));
      return counts;
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
