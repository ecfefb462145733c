import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { MoveRecord } from '../../src/domain/move-record.js';
import { historyOf } from '../../src/service/history-stream.js';
import { ScoreBook } from '../../src/service/score-book.js';
import type { Score } from '../../src/monitor/score.js';
import { fixtureOfTest } from './fixture-of-test.js';
import { finishedMove, NOW_MS, type ServiceFixture } from './service-fixture.js';

/** A runs from 0 to 100, B from 10 to 20 and C from 50 to 60 (seconds): B and C finish while A runs. */
const a = finishedMove('a', 1000, 100);
const b = finishedMove('b', 990, 10);
const c = finishedMove('c', 950, 10);

/** How many moves the predictor had been shown when it predicted: one second each beyond the 4 of 4 GiB. */
const knownWhen = (service: ServiceFixture, id: string): number | undefined => {
  const score = service.parts.scores.get(id);
  return score === undefined ? undefined : score.p50 - 4;
};

describe('reading the history', () => {
  it('learns in order of finish and scores each move from what had finished before its start', async () => {
    const service = await fixtureOfTest({ moves: [c, a, b] });
    expect(service.predictors[0]!.learned).toEqual(['b', 'c', 'a']);
    expect(['a', 'b', 'c'].map((id) => knownWhen(service, id))).toEqual([0, 0, 1]);
  });

  it('keeps the scores, so that the next start shows the same', async () => {
    const service = await fixtureOfTest({ moves: [a, b, c] });
    const kept: string[] = [];
    for await (const item of service.store.keptPredictions()) kept.push(item.move_id);
    expect(kept.sort()).toEqual(['a', 'b', 'c']);
  });

  it('never judges a model by moves that it was trained on, but shows what the backtest had said of them', async () => {
    const service = await fixtureOfTest({
      moves: [a, b, c, finishedMove('after', 100, 4)],
      loaded: {
        trainedUntilMs: () => NOW_MS - 200_000,
        backtest: new Map([
          [
            'b',
            {
              basis: 'node',
              model: { name: 'default', version: '1' },
              duration_seconds: { p05: 1, p10: 2, p50: 11, p90: 20, p95: 30 },
            },
          ],
        ]),
      },
    });
    expect(service.parts.scores.get('a')).toBeUndefined();
    expect(service.parts.scores.get('b')).toMatchObject({ how: 'backtest', p50: 11, basis: 'node' });
    expect(service.parts.scores.get('after')).toMatchObject({ how: 'from_history', p50: 7 });
  });

  it('streams starts, finishes and samples in order of time, a finish before a start at the same moment', async () => {
    const service = await fixtureOfTest({ started: false });
    const at = (secondsAgo: number): string => new Date(NOW_MS - secondsAgo * 1000).toISOString();
    await service.store.addMoves([a, b, finishedMove('d', 980, 5)]); // d starts when b ends
    await service.store.addLinkSamples([{ at: at(985), link: 'l', throughput_mbps: 1 }]);
    await service.store.addInstanceSamples([
      { at: at(1100), instance: 'i' },
      { at: at(500), instance: 'i' },
    ]);
    const seen: string[] = [];
    for await (const event of historyOf(service.store, { movesFromMs: undefined, samplesFromMs: undefined }))
      seen.push('record' in event ? `${event.kind} ${event.record.id}` : event.kind);
    expect(seen).toEqual([
      'instance_sample',
      'started a',
      'started b',
      'link_sample',
      'finished b',
      'started d',
      'finished d',
      'finished a',
      'instance_sample',
    ]);
  });
});

describe('reports', () => {
  it('are scored and learnt at once when they come in order', async () => {
    const service = await fixtureOfTest();
    await service.parts.model.report([b]);
    await service.parts.model.report([c]);
    expect(['b', 'c'].map((id) => knownWhen(service, id))).toEqual([0, 1]);
  });

  it('that overlap what was learnt already are not scored with hindsight, but by reading the history anew', async () => {
    let nowMs = NOW_MS;
    const service = await fixtureOfTest({ now: () => nowMs });
    for (const record of [b, c, a]) await service.parts.model.report([record]);
    expect(knownWhen(service, 'a')).toBeUndefined();
    await service.parts.model.catchUp();
    expect(service.predictors).toHaveLength(1); // not before its time
    nowMs += 61_000;
    await service.parts.model.catchUp();
    expect(service.predictors).toHaveLength(2);
    expect(service.predictors[1]!.learned).toEqual(['b', 'c', 'a']);
    expect(['a', 'b', 'c'].map((id) => knownWhen(service, id))).toEqual([0, 0, 1]);
  });

  it('that are known already are not learnt twice', async () => {
    const service = await fixtureOfTest({ moves: [a] });
    await service.parts.model.report([a, b, b]);
    expect(service.predictors[0]!.learned).toEqual(['a', 'b']);
  });

  it('of the same moves bring two services on one store to the same state, whatever the order', async () => {
    let nowMs = NOW_MS;
    const service = await fixtureOfTest({ now: () => nowMs });
    for (const record of [c, a, b]) await service.parts.model.report([record]);
    nowMs += 61_000;
    await service.parts.model.catchUp();
    const other = await fixtureOfTest({ moves: [a, b, c] });
    expect(service.predictors.at(-1)!.learned).toEqual(other.predictors[0]!.learned);
  });
});

describe('catching up', () => {
  it('learns what another process stored', async () => {
    const service = await fixtureOfTest({ moves: [b] });
    await service.store.addMoves([c]);
    expect(service.predictors[0]!.learned).toEqual(['b']);
    await service.parts.model.catchUp();
    expect(service.predictors[0]!.learned).toEqual(['b', 'c']);
    expect(knownWhen(service, 'c')).toBe(1);
  });

  it('scores a move against the prediction that another process kept for it', async () => {
    let nowMs = NOW_MS - 960_000;
    const service = await fixtureOfTest({ now: () => nowMs });
    const prediction = service.predictors[0]!.predict({ ...request, memory_mib: 7168 });
    await service.store.keepPredictions([
      { move_id: 'c', predicted_at: new Date(NOW_MS - 960_000).toISOString(), prediction },
    ]);
    nowMs = NOW_MS;
    await service.store.addMoves([c]);
    await service.parts.model.catchUp();
    expect(service.parts.scores.get('c')).toMatchObject({ p50: 7, how: 'asked_before' });
  });

  it('takes up a version that another process promoted, and misses no report meanwhile', async () => {
    const service = await fixtureOfTest({ moves: [b] });
    await service.parts.registry.promote('default', '2');
    const caughtUp = service.parts.model.catchUp();
    await Promise.all([service.parts.model.report([c]), caughtUp]);
    expect(service.parts.model.model!.version).toBe('2');
    expect(service.predictors[1]!.learned).toEqual(['b', 'c']);
  });

  it('goes on with the version before when the new one cannot be loaded', async () => {
    const service = await fixtureOfTest();
    service.parts.registry.currentVersion = () => Promise.resolve('3');
    const load = service.parts.model.catchUp();
    service.predictors.push = () => {
      throw new Error('damaged');
    };
    await expect(load).rejects.toThrow('damaged');
    expect(service.parts.model.model!.version).toBe('1');
  });
});

describe('ScoreBook', () => {
  const score = (id: string, finished_ms: number): Score => ({ id, finished_ms }) as Score;

  it('keeps the first score of a move, and of too many those that finished last', () => {
    const book = new ScoreBook(2);
    const added = [score('x', 3), score('x', 9), score('z', 1), score('y', 2)].map((one) => book.add(one));
    expect(added).toEqual([true, false, true, true]);
    expect(book.between(undefined, 10).map(({ id }) => id)).toEqual(['y', 'x']);
    expect([book.has('z'), book.has('y'), book.size]).toEqual([false, true, 2]);
    expect(book.newest(1).map(({ id }) => id)).toEqual(['x']);
    expect(book.newest(0)).toEqual([]);
  });

  it('gives back what was written down, field by field', () => {
    const book = new ScoreBook();
    const written: Score[] = Array.from({ length: 1_200 }, (_, i) => ({
      id: `m${i}`,
      cluster: i % 5 === 0 ? 'lab' : 'default',
      instance: `vm${i % 7}`,
      link: 'a>b',
      source_node: 'a',
      target_node: 'b',
      operation: i % 2 === 0 ? 'live_migration' : 'failover',
      memory_mib: i % 3 === 0 ? undefined : 1024 + i,
      size_mib: i % 4 === 0 ? undefined : 2048.5 + i,
      started_ms: 1000 * i,
      finished_ms: 1000 * i + 0.25,
      completed: i % 11 !== 0,
      actual_seconds: 1 + i / 3,
      p05: i,
      p10: i + 0.1,
      p50: i + 0.2,
      p90: i + 0.3,
      p95: i + 0.4,
      basis: i % 2 === 0 ? 'link' : 'node',
      model: `default@${i % 2}`,
      how: i % 13 === 0 ? 'asked_before' : 'from_history',
    }));
    for (const one of written) book.add(one);
    const fields = Object.keys(written[0]!) as (keyof Score)[];
    const read = (one: Score): unknown[] => fields.map((name) => one[name]);
    expect(book.between(undefined, Infinity).map(read)).toEqual(written.map(read));
    expect(read(book.get('m5')!)).toEqual(read(written[5]!));
  });

  it('agrees with sorting everything at every look, in whatever order scores come', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(30), fc.nat(20)), { maxLength: 60 }),
        fc.nat(20),
        fc.nat(20),
        (written, fromMs, toMs) => {
          const book = new ScoreBook();
          const all: Score[] = [];
          for (const [id, finishedMs] of written) {
            const one = score(String(id), finishedMs);
            if (!all.some((known) => known.id === one.id)) all.push(one);
            book.add(one);
          }
          const sorted = all.toSorted((x, y) => x.finished_ms - y.finished_ms);
          const ids = (scores: readonly Score[]): string[] => scores.map(({ id }) => id);
          expect(ids(book.between(undefined, Infinity))).toEqual(ids(sorted));
          expect(ids(book.newest(3))).toEqual(ids(sorted.slice(-3)));
          expect(ids(book.between(fromMs, toMs))).toEqual(
            ids(sorted.filter(({ finished_ms: at }) => at >= fromMs && at < toMs)),
          );
        },
      ),
    );
  });
});
const request = {
  instance: 'web1',
  source_node: 'node1',
  target_node: 'node2',
} satisfies Partial<MoveRecord>;
