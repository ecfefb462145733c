import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { LearningModel } from '../../src/service/learning-model.js';
import { loadRegisteredModel } from '../../src/service/model-loading.js';
import { ScoreBook } from '../../src/service/score-book.js';
import { ModelRegistry } from '../../src/store/model-registry.js';
import { openStore } from '../../src/store/open-store.js';
import type { Store } from '../../src/store/store.js';
import { finishedMove, NOW_MS } from '../service/service-fixture.js';
import { startInflux, type InfluxServer } from './influx-server.js';
import { requireOrSkip } from './real-servers.js';

const MINUTE_MS = 60_000;

interface Replica {
  model: LearningModel;
  scores: ScoreBook;
  store: Store;
}

(requireOrSkip('influxd') ? describe : describe.skip)('two replicas on one InfluxDB', () => {
  let server: InfluxServer;
  let nowMs = NOW_MS;
  const replicas: Replica[] = [];

  const replica = async (): Promise<Replica> => {
    const store = await openStore(server.url('replicas'));
    const scores = new ScoreBook();
    const model = new LearningModel({
      store,
      scores,
      load: () => loadRegisteredModel(new ModelRegistry('models'), 'default'),
      now: () => nowMs,
      log: pino({ level: 'silent' }),
    });
    await model.start();
    replicas.push({ model, scores, store });
    return replicas.at(-1)!;
  };

  beforeAll(async () => {
    server = await startInflux();
  });
  afterAll(async () => {
    for (const { store } of replicas) await store.close();
    await server.remove();
  });

  it('say the same of a move that was reported to one of them, and of one that came late, after a rebuild', async () => {
    const [a, b] = [await replica(), await replica()];
    const answers = ({ model, scores }: Replica): unknown => ({
      learned: model.learnedMoves,
      predictions: ['web1', 'web2'].flatMap((instance) =>
        ['node1', 'node3'].map(
          (source) =>
            model.predictor.predict({ instance, source_node: source, target_node: 'node2' }, nowMs)
              .duration_seconds,
        ),
      ),
      scored: scores.between(undefined, Infinity).map(({ id, p50, p05 }) => [id, p50, p05]),
    });
    const before = answers(b);
    for (let i = 0; i < 12; i += 1)
      await a.model.report([finishedMove(`in-order-${i}`, 3000 - 60 * i, 40 + (i % 3))]);
    expect(answers(b)).toEqual(before);
    expect(answers(a)).not.toEqual(before);
    await b.model.catchUp(); // every two seconds in the service
    expect(answers(b)).toEqual(answers(a));

    await b.model.report([finishedMove('late', 2500, 300, { instance: 'web2', source_node: 'node3' })]);
    await a.model.catchUp();
    for (const { model } of [a, b]) expect(model.learnedMoves).toBe(13);
    nowMs += 2 * MINUTE_MS;
    await a.model.catchUp();
    await b.model.catchUp();
    expect(answers(b)).toEqual(answers(a));

    const fresh = await replica(); // and so does one that is started now
    expect(answers(fresh)).toEqual(answers(a));
  });
});
