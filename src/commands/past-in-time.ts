import { FinishQueue } from '../domain/finish-queue.js';
import { startMs, type MoveRecord } from '../domain/move-record.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';
import { fromIsoTime, MS_PER_DAY } from '../domain/units.js';
import type { Predictor } from '../predictor/predictor.js';

/** A move that started, or a sample that was taken. */
export type PastEvent =
  | { kind: 'move'; atMs: number; record: MoveRecord }
  | { kind: 'link'; atMs: number; sample: LinkSample }
  | { kind: 'instance'; atMs: number; sample: InstanceSample };

/** Moves in order of their start, samples in order of time. */
export interface Past {
  moves: Iterable<MoveRecord> | AsyncIterable<MoveRecord>;
  linkSamples: Iterable<LinkSample> | AsyncIterable<LinkSample>;
  instanceSamples: Iterable<InstanceSample> | AsyncIterable<InstanceSample>;
}

/** Samples further back than two weeks of seasons before the first question are not looked at. */
const SAMPLE_DAYS = 14;

/** Samples that count for questions of between two moments, about one cluster or any. */
export const samplesFor = (
  firstMs: number,
  lastMs: number,
  cluster: string | undefined,
): { fromMs: number; toMs: number; cluster?: string } => ({
  fromMs: Math.max(0, firstMs - SAMPLE_DAYS * MS_PER_DAY),
  toMs: lastMs + 1,
  ...(cluster === undefined ? {} : { cluster }),
});

/** A predictor that learns what happened as time goes on: of moves only what has finished. */
export class PastInTime {
  readonly #predictor: Predictor;
  readonly #events: AsyncGenerator<PastEvent>;
  readonly #running = new FinishQueue();
  #next: IteratorResult<PastEvent> | undefined;

  /** `past` in order of time, moves by their start: see `inOrderOfTime`. */
  constructor(predictor: Predictor, past: AsyncGenerator<PastEvent>) {
    this.#predictor = predictor;
    this.#events = past;
  }

  /** What has finished and been sampled by a moment, no earlier than the one before. */
  async until(atMs: number): Promise<void> {
    const predictor = this.#predictor;
    this.#next ??= await this.#events.next();
    while (this.#next.done !== true && this.#next.value.atMs <= atMs) {
      const event = this.#next.value;
      this.#learnFinishedBy(event.atMs);
      if (event.kind === 'move') this.#running.add(event.record);
      else if (event.kind === 'link') predictor.learnLinkSample(event.sample);
      else predictor.learnInstanceSample(event.sample);
      this.#next = await this.#events.next();
    }
    this.#learnFinishedBy(atMs);
  }

  /** Lets go of the past. */
  async end(): Promise<void> {
    await this.#events.return(undefined);
  }

  #learnFinishedBy(atMs: number): void {
    for (const finished of this.#running.takeFinishedBy(atMs)) this.#predictor.learn(finished);
  }
}

/** Merges moves and samples; at one moment moves come first. */
export async function* inOrderOfTime({
  moves,
  linkSamples,
  instanceSamples,
}: Past): AsyncGenerator<PastEvent> {
  const streams = [
    mapped(moves, (record) => ({ kind: 'move', atMs: startMs(record), record })),
    mapped(linkSamples, (sample) => ({ kind: 'link', atMs: fromIsoTime(sample.at), sample })),
    mapped(instanceSamples, (sample) => ({ kind: 'instance', atMs: fromIsoTime(sample.at), sample })),
  ];
  try {
    const heads = await Promise.all(streams.map((stream) => stream.next()));
    for (;;) {
      let first = -1;
      heads.forEach((head, k) => {
        if (head.done !== true && (first < 0 || head.value.atMs < (heads[first]!.value as PastEvent).atMs))
          first = k;
      });
      if (first < 0) return;
      yield heads[first]!.value as PastEvent;
      heads[first] = await streams[first]!.next();
    }
  } finally {
    await Promise.all(streams.map((stream) => stream.return(undefined)));
  }
}

async function* mapped<T>(
  items: AsyncIterable<T> | Iterable<T>,
  event: (item: T) => PastEvent,
): AsyncGenerator<PastEvent> {
  for await (const item of items) yield event(item);
}
