import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { Logger } from 'pino';
import { DEFAULT_CLUSTER, finishMs, startMs, type MoveRecord } from '../domain/move-record.js';
import { parseMoveRequest, type MoveRequest } from '../domain/move-request.js';
import type { ModelReference } from '../domain/prediction.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';
import { MS_PER_DAY, toIsoTime } from '../domain/units.js';
import { keptScoreOf, scoreOf, type Score, type ScoredPrediction } from '../monitor/score.js';
import type { Predictor } from '../predictor/predictor.js';
import type { AddCounts, KeptPrediction, Store } from '../store/store.js';
import { historyOf } from './history-stream.js';
import { HttpError } from './problem.js';
import type { ScoreBook } from './score-book.js';

/** Newest moves that a model is shown; older ones say little about today's links. */
const MOST_HISTORY_MOVES = 100_000;
/** Samples older than this before the newest move are not replayed: a week's season, twice. */
const SAMPLE_DAYS = 14;
/** About so many link samples are replayed at most: at 24 us each, 2.4 s of one core. */
const MOST_LINK_SAMPLES = 100_000;
/** Predictions given out and kept for a move that has not been reported yet. */
const MOST_AWAITED = 50_000;
/** History is replayed for so many milliseconds between two looks at the event loop: requests wait no longer. */
const REPLAY_SLICE_MS = 2;
/** Predictions written to the store in one go. */
const KEEP_BATCH = 1_000;
/** History is read anew at most this often … */
const REBUILD_PAUSE_MS = 60_000;
/** … and at most for this share of the time, however long it takes. */
const REBUILD_SHARE = 0.02;
/** How far back moves of other processes are looked for between two rebuilds. */
const LOOK_BACK_MS = 2 * MS_PER_DAY;
/** A report from a clock that is ahead by more than this is refused. */
export const CLOCK_TOLERANCE_MS = 5 * 60_000;

/** A model as it was trained. */
export interface LoadedModel {
  predictor: Predictor;
  /**
   * Finish of the last move of a cluster that is inside the model, epoch milliseconds; undefined for a cluster it has not
   * seen. Of moves that started before, it knows the future: it is never judged by its own word on them.
   */
  trainedUntilMs: (cluster: string) => number | undefined;
  /** What the training's rolling backtest had predicted for those, by id. */
  backtest: ReadonlyMap<string, ScoredPrediction>;
}

export interface LearningModelParts {
  store: Store;
  scores: ScoreBook;
  /** The version in service now, with no history beyond its training. */
  load: () => Promise<LoadedModel>;
  /** The version that the registry has in service; undefined: always the one that was loaded. */
  versionInService?: () => Promise<string | undefined>;
  now: () => number;
  log: Logger;
  /** Called for every move that is scored, for metrics. */
  scored?: (score: Score) => void;
}

/** What one predictor has been shown. */
interface Shown extends LoadedModel {
  learned: Set<string>;
  /** Finish of the newest learnt move. */
  newestFinishMs: number;
}

/**
 * The model in service and the history that it has been shown. On start it is shown the store's finished moves; reported
 * moves are learnt at once; moves that other processes wrote, and moves that came too late to be learnt in their order,
 * are put right by building a second predictor from the store beside the first and exchanging the two, so that no
 * request waits and two services on one store come to the same state.
 *
 * A move is scored against the prediction that was kept for it; without one, against what the model says at its start
 * from what had finished by then, before it learns it.
 */
export class LearningModel {
  private shown: Shown | undefined;
  private readonly awaited = new Map<string, KeptPrediction>();
  private keptReadMs = 0;
  /** Reports that came while a rebuild was reading. */
  private arrived: MoveRecord[] | undefined;
  private arrivedSamples: ((next: Predictor) => void)[] | undefined;
  private stale = false;
  private rebuilding: Promise<void> | undefined;
  private rebuiltMs = 0;
  private rebuildTookMs = 0;
  private seenMoves = -1;
  private caughtUpMs = 0;

  constructor(private readonly parts: LearningModelParts) {}

  get ready(): boolean {
    return this.shown !== undefined;
  }

  /** The predictor that answers now. */
  get predictor(): Predictor {
    if (this.shown === undefined)
      throw new HttpError(503, 'not-ready', 'still reading the history; ask again in a moment', undefined, {
        'retry-after': '1',
      });
    return this.shown.predictor;
  }

  get model(): ModelReference | undefined {
    return this.shown?.predictor.model;
  }

  /** Moves that the predictor has been shown. */
  get learnedMoves(): number {
    return this.shown?.learned.size ?? 0;
  }

  /** When the store was last known to hold nothing that the predictor has not seen. */
  get upToDateMs(): number {
    return this.caughtUpMs;
  }

  /** Reads the history; afterwards the model is ready. */
  async start(): Promise<void> {
    await this.rebuild();
  }

  /** Loads the version in service and shows it the store's history; requests are answered by the one before until then. */
  rebuild(): Promise<void> {
    this.rebuilding ??= this.buildAnew().finally(() => {
      this.rebuilding = undefined;
      this.arrived = undefined;
      this.arrivedSamples = undefined;
    });
    return this.rebuilding;
  }

  /** Stores finished moves, scores and learns them. Those whose id is known already change nothing. */
  async report(records: readonly MoveRecord[]): Promise<AddCounts> {
    const counts = await this.parts.store.addMoves(records);
    if (this.seenMoves >= 0) this.seenMoves += counts.new;
    this.arrived?.push(...records);
    await this.takeIn(records);
    return counts;
  }

  /** Stores samples of links; they are learnt at once. */
  async reportLinkSamples(samples: readonly LinkSample[]): Promise<AddCounts> {
    const counts = await this.parts.store.addLinkSamples(samples);
    if (counts.new > 0)
      await this.learnSamples(samples, (predictor, sample) => predictor.learnLinkSample(sample));
    return counts;
  }

  async reportInstanceSamples(samples: readonly InstanceSample[]): Promise<AddCounts> {
    const counts = await this.parts.store.addInstanceSamples(samples);
    if (counts.new > 0)
      await this.learnSamples(samples, (predictor, sample) => predictor.learnInstanceSample(sample));
    return counts;
  }

  /** Shows samples to the predictor that answers, and to the one that takes its place when a rebuild is under way. */
  private async learnSamples<T extends { at: string }>(
    samples: readonly T[],
    learnOne: (predictor: Predictor, sample: T) => void,
  ): Promise<void> {
    const { predictor } = this;
    const sorted = sortedByTime(samples);
    this.arrivedSamples?.push((next) => {
      for (const sample of sorted) learnOne(next, sample);
    });
    const isDue = timer(REPLAY_SLICE_MS);
    for (const sample of sorted) {
      learnOne(predictor, sample);
      if (isDue()) await yieldToLoop();
    }
  }

  /** Keeps predictions that were given out, so that the moves they are for can be scored against them. */
  async keep(predictions: readonly KeptPrediction[]): Promise<AddCounts> {
    const counts = await this.parts.store.keepPredictions(predictions);
    for (const item of predictions) this.await(item);
    return counts;
  }

  /** Predictions kept for moves that have not been reported yet, oldest first. */
  awaitedPredictions(): Iterable<KeptPrediction> {
    return this.awaited.values();
  }

  /** Looks for what other processes wrote and whether another version was promoted: called every few seconds. */
  async catchUp(): Promise<void> {
    if (this.shown === undefined || this.rebuilding !== undefined) return;
    const nowMs = this.parts.now();
    const wanted = await this.parts.versionInService?.();
    if (wanted !== undefined && wanted !== this.shown.predictor.model.version) {
      await this.rebuild();
      return;
    }
    const { moves } = await this.parts.store.info();
    if (moves !== this.seenMoves) {
      await this.readKept();
      const fromMs = Math.max(0, this.shown.newestFinishMs - LOOK_BACK_MS);
      const found: MoveRecord[] = [];
      for await (const record of this.parts.store.moves({ fromMs, limit: MOST_HISTORY_MOVES }))
        if (!this.shown.learned.has(record.id)) found.push(record);
      if (found.length !== moves - this.seenMoves) this.stale = true;
      this.seenMoves = moves;
      await this.takeIn(found);
    }
    this.caughtUpMs = nowMs;
    const pauseMs = Math.max(REBUILD_PAUSE_MS, this.rebuildTookMs / REBUILD_SHARE);
    if (this.stale && nowMs - this.rebuiltMs >= pauseMs) await this.rebuild();
  }

  /** Scores and learns what this predictor has not seen, in order of time. */
  private async takeIn(records: readonly MoveRecord[]): Promise<void> {
    const shown = this.shown;
    if (shown === undefined) return; // the history that is being read will hold them
    const fresh = new Map<string, MoveRecord>();
    for (const record of records)
      if (!shown.learned.has(record.id) && !fresh.has(record.id)) fresh.set(record.id, record);
    if (fresh.size === 0) return;
    const events = [...fresh.values()].flatMap((record) => [
      { atMs: finishMs(record), order: 0, record },
      { atMs: startMs(record), order: 1, record },
    ]);
    events.sort((a, b) => a.atMs - b.atMs || a.order - b.order || (a.record.id < b.record.id ? -1 : 1));
    const made: KeptPrediction[] = [];
    const isDue = timer(REPLAY_SLICE_MS);
    for (const { atMs, order, record } of events) {
      if (order === 1) {
        // A move that finished after this one's start has been learnt already: predicting now would look ahead.
        if (atMs < shown.newestFinishMs && !this.awaited.has(record.id)) this.stale = true;
        else this.score(shown, record, made);
      } else {
        if (atMs < shown.newestFinishMs) this.stale = true;
        learn(shown, record, atMs);
      }
      if (isDue()) await yieldToLoop();
    }
    await this.keepMade(made);
  }

  private async buildAnew(): Promise<void> {
    const { store, log, now } = this.parts;
    const startedMs = now();
    this.arrived = [];
    this.arrivedSamples = [];
    this.stale = false;
    const loaded = await this.parts.load();
    const { predictor } = loaded;
    const shown: Shown = { ...loaded, learned: new Set(), newestFinishMs: -Infinity };
    await this.readKept();
    const { moves, link_samples } = await store.info();
    const movesFromMs = await this.historyStart(moves);
    const made: KeptPrediction[] = [];
    const isDue = timer(REPLAY_SLICE_MS);
    const first = { movesFromMs, samplesFromMs: await this.samplesStart(link_samples) };
    for await (const event of historyOf(store, first)) {
      if (event.kind === 'started') this.score(shown, event.record, made);
      else if (event.kind === 'finished') learn(shown, event.record, event.atMs);
      else if (event.kind === 'link_sample') predictor.learnLinkSample(event.sample);
      else predictor.learnInstanceSample(event.sample);
      if (isDue()) await yieldToLoop();
    }
    for (const learnAll of this.arrivedSamples) learnAll(predictor);
    this.arrivedSamples = undefined;
    this.shown = shown;
    this.seenMoves = moves;
    const late = this.arrived.filter((record) => !shown.learned.has(record.id));
    this.seenMoves += late.length;
    this.arrived = undefined;
    await this.takeIn(late);
    this.rebuiltMs = now();
    this.caughtUpMs = this.rebuiltMs;
    this.rebuildTookMs = this.rebuiltMs - startedMs;
    log.info(
      {
        event: 'history_read',
        model: `${predictor.model.name}@${predictor.model.version}`,
        moves: shown.learned.size,
        took_ms: this.rebuildTookMs,
      },
      'history read',
    );
    await this.keepMade(made);
  }

  /** Writes down how well a move was predicted: by the prediction kept for it, else by one made now, which is kept too. */
  private score(shown: Shown, record: MoveRecord, made: KeptPrediction[]): void {
    const { scores, now } = this.parts;
    if (scores.has(record.id)) return;
    let kept = this.awaited.get(record.id);
    if (kept === undefined) {
      const untilMs = shown.trainedUntilMs(record.cluster ?? DEFAULT_CLUSTER);
      if (untilMs !== undefined && startMs(record) < untilMs) {
        const backtested = shown.backtest.get(record.id);
        if (backtested !== undefined) this.note(scoreOf(record, backtested, 'backtest'));
        return;
      }
      const prediction = shown.predictor.predict(requestOf(record), startMs(record));
      kept = { move_id: record.id, predicted_at: toIsoTime(now()), prediction };
      made.push(kept);
    }
    this.awaited.delete(record.id);
    this.note(keptScoreOf(record, kept));
  }

  private note(score: Score): void {
    if (this.parts.scores.add(score)) this.parts.scored?.(score);
  }

  private async keepMade(made: readonly KeptPrediction[]): Promise<void> {
    try {
      for (let from = 0; from < made.length; from += KEEP_BATCH) {
        await this.parts.store.keepPredictions(made.slice(from, from + KEEP_BATCH));
        await yieldToLoop();
      }
    } catch (error) {
      // The moves themselves are stored; their scores are made anew at the next start.
      this.parts.log.warn(
        { event: 'scores_not_kept', count: made.length, reason: (error as Error).message },
        'scores not kept',
      );
    }
  }

  private await(item: KeptPrediction): void {
    if (this.awaited.has(item.move_id)) return; // the first prediction for a move stays
    this.awaited.set(item.move_id, item);
    if (this.awaited.size > MOST_AWAITED) this.awaited.delete(this.awaited.keys().next().value!);
  }

  /** Predictions that were kept since the last look, by whichever process. */
  private async readKept(): Promise<void> {
    const fromMs = this.keptReadMs;
    const readMs = this.parts.now();
    for await (const item of this.parts.store.keptPredictions(fromMs > 0 ? { fromMs } : {}))
      if (!this.parts.scores.has(item.move_id)) this.await(item);
    this.keptReadMs = readMs - CLOCK_TOLERANCE_MS;
  }

  /** From which start on moves are replayed, so that at most `MOST_HISTORY_MOVES` are. */
  private async historyStart(moves: number): Promise<number | undefined> {
    if (moves <= MOST_HISTORY_MOVES) return undefined;
    let oldestMs: number | undefined;
    for await (const record of this.parts.store.moves({ newestFirst: true, limit: MOST_HISTORY_MOVES }))
      oldestMs = startMs(record);
    return oldestMs;
  }

  /** From when on samples are replayed: the last days before the newest move, fewer where there are very many. */
  private async samplesStart(linkSamples: number): Promise<number | undefined> {
    const spanMs = SAMPLE_DAYS * MS_PER_DAY * Math.min(1, MOST_LINK_SAMPLES / linkSamples);
    for await (const record of this.parts.store.moves({ newestFirst: true, limit: 1 }))
      return Math.min(startMs(record), this.parts.now()) - spanMs;
    return this.parts.now() - spanMs;
  }
}

/** True once in so many milliseconds. */
function timer(everyMs: number): () => boolean {
  let lastMs = performance.now();
  return () => {
    const nowMs = performance.now();
    if (nowMs - lastMs < everyMs) return false;
    lastMs = nowMs;
    return true;
  };
}

function learn(shown: Shown, record: MoveRecord, atMs: number): void {
  shown.predictor.learn(record);
  shown.learned.add(record.id);
  if (shown.learned.size > 2 * MOST_HISTORY_MOVES) shown.learned.delete(shown.learned.values().next().value!);
  if (atMs > shown.newestFinishMs) shown.newestFinishMs = atMs;
}

/** What could have been asked before the move: the record without its outcomes. */
export function requestOf(record: MoveRecord): MoveRequest {
  const parsed = parseMoveRequest({ ...record, id: undefined, origin: undefined });
  if (!parsed.ok) throw new Error(`a stored move is no valid request: ${parsed.reason}`);
  return parsed.value;
}

const sortedByTime = <T extends { at: string }>(samples: readonly T[]): T[] =>
  samples.toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
