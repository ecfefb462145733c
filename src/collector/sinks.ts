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
