import { finishMs, startMs, type MoveRecord } from '../domain/move-record.js';
import { FinishQueue } from '../domain/finish-queue.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';
import type { Store } from '../store/store.js';

/** What happened, one thing after the other: a move started, a move finished, a sample was taken. */
export type HistoryEvent =
  | { kind: 'started'; atMs: number; record: MoveRecord }
  | { kind: 'finished'; atMs: number; record: MoveRecord }
  | { kind: 'link_sample'; atMs: number; sample: LinkSample }
  | { kind: 'instance_sample'; atMs: number; sample: InstanceSample };

/** From when on each stream is read; undefined: from its beginning. */
export interface HistoryStart {
  movesFromMs: number | undefined;
  samplesFromMs: number | undefined;
}

/**
 * The store's history in order of time: a move is `started` at its start and `finished` at its end, so whoever predicts
 * at `started` and learns at `finished` sees nothing of the future. At equal times a finish comes before a sample and a
 * sample before a start. Streams; holds only the moves that run at the same time.
 */
export async function* historyOf(store: Store, start: HistoryStart): AsyncGenerator<HistoryEvent> {
  const from = (fromMs: number | undefined): { fromMs?: number } => (fromMs === undefined ? {} : { fromMs });
  const links = store.linkSamples(from(start.samplesFromMs))[Symbol.asyncIterator]();
  const instances = store.instanceSamples(from(start.samplesFromMs))[Symbol.asyncIterator]();
  const queue = new FinishQueue();
  try {
    let link = await next(links);
    let instance = await next(instances);
    const until = async function* (limitMs: number): AsyncGenerator<HistoryEvent> {
      for (;;) {
        const linkMs = link === undefined ? Infinity : Date.parse(link.at);
        const instanceMs = instance === undefined ? Infinity : Date.parse(instance.at);
        const sampleMs = Math.min(linkMs, instanceMs);
        for (const record of queue.takeFinishedBy(Math.min(sampleMs, limitMs)))
          yield { kind: 'finished', atMs: finishMs(record), record };
        if (sampleMs === Infinity || sampleMs > limitMs) return;
        if (linkMs <= instanceMs) {
          yield { kind: 'link_sample', atMs: linkMs, sample: link! };
          link = await next(links);
        } else {
          yield { kind: 'instance_sample', atMs: instanceMs, sample: instance! };
          instance = await next(instances);
        }
      }
    };
    for await (const record of store.moves(from(start.movesFromMs))) {
      const atMs = startMs(record);
      yield* until(atMs);
      yield { kind: 'started', atMs, record };
      queue.add(record);
    }
    yield* until(Infinity);
  } finally {
    await links.return?.();
    await instances.return?.();
  }
}

async function next<T>(iterator: AsyncIterator<T>): Promise<T | undefined> {
  const result = await iterator.next();
  return result.done === true ? undefined : result.value;
}
