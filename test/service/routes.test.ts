import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import request from 'supertest';
import type { MoveProgress } from '../../src/domain/move-progress.js';
import { QUANTILE_NAMES, type Prediction } from '../../src/domain/prediction.js';
import { loadPredictor } from '../../src/predictor/load-predictor.js';
import { fitModel } from '../../training/fit.js';
import { generateCluster } from '../balancer/cluster-generator.js';
import { inventedMoves } from '../training/invented-moves.js';
import { finishedMove, serviceFixture, type ServiceFixture } from './service-fixture.js';

let service: ServiceFixture;
beforeEach(async () => {
  service = await serviceFixture();
});
afterEach(() => service.close());

const good = Object.freeze({
  instance: 'web1',
  source_node: 'node1',
  target_node: 'node2',
  memory_mib: 4096,
});

describe('POST /v1/plans', () => {
  it('prices moves by the history of the cluster that is named, or of the default one', async () => {
    const text = generateCluster({ seed: 3, nodes: 4, instancesPerNode: 4 });
    const predictor = service.predictors[0]!;
    const asked = jest.spyOn(predictor, 'durations');
    const errorsOf = jest.spyOn(predictor, 'pastErrors');
    for (const named of [{ cluster_name: 'prod' }, {}]) {
      const { status } = await request(service.app)
        .post('/v1/plans')
        .send({ cluster: text, ...named });
      expect(status).toBe(200);
    }
    const clusters = asked.mock.calls.map(([requests]) => [
      ...new Set(requests.map(({ cluster }) => cluster)),
    ]);
    expect(clusters[0]).toEqual(['prod']);
    expect(clusters.at(-1)).toEqual([undefined]);
    expect(errorsOf.mock.calls).toEqual([['prod'], [undefined]]);
  });
});

describe('POST /v1/predictions', () => {
  it('answers in order, a bad request with its error in its place', async () => {
    const { status, body } = await request(service.app)
      .post('/v1/predictions')
      .send({ requests: [{ ...good, request_id: 'a' }, { request_id: 'b', instance: 'x' }, good] });
    expect(status).toBe(200);
    expect(body.predictions).toHaveLength(3);
    expect(body.predictions[0]).toMatchObject({ request_id: 'a', duration_seconds: { p50: 4 } });
    expect(body.predictions[1]).toEqual({
      request_id: 'b',
      error: { field: 'source_node', message: 'source_node is missing' },
    });
    expect(body.predictions[2].duration_seconds.p50).toBe(4);
  });

  it('gives the same durations by column as by row', async () => {
    const requests = [
      good,
      { ...good, instance: 'web2', memory_mib: undefined },
      { ...good, memory_mib: 512 },
    ];
    const rows = await request(service.app).post('/v1/predictions').send({ requests });
    const columns = await request(service.app)
      .post('/v1/predictions')
      .send({
        columns: {
          instance: requests.map(({ instance }) => instance),
          source_node: requests.map(() => 'node1'),
          target_node: requests.map(() => 'node2'),
          memory_mib: requests.map(({ memory_mib }) => memory_mib ?? null),
        },
      });
    expect(columns.status).toBe(200);
    for (const name of ['p05', 'p10', 'p50', 'p90', 'p95', 'mean'])
      expect(columns.body.columns[name]).toEqual(
        rows.body.predictions.map(
          (one: { duration_seconds: Record<string, number> }) => one.duration_seconds[name],
        ),
      );
  });

  it.each([
    [{ columns: { instance: ['a'] } }, 'columns.source_node'],
    [
      { columns: { instance: ['a', 'b'], source_node: ['x', 'x'], target_node: ['y'] } },
      'columns.target_node',
    ],
    [
      { columns: { instance: ['a', null], source_node: ['x', 'x'], target_node: ['y', 'y'] } },
      'columns.instance[1]',
    ],
    [
      { columns: { instance: ['a'], source_node: ['x'], target_node: ['y'], memory_mib: [-1] } },
      'columns.memory_mib[0]',
    ],
    [{ requests: 7 }, 'requests'],
    [{ requests: [] }, 'requests'],
    [{}, 'requests'],
  ])('refuses %j and names %s', async (body, field) => {
    const answer = await request(service.app).post('/v1/predictions').send(body);
    expect(answer.status).toBe(422);
    expect(answer.type).toBe('application/problem+json');
    expect(answer.body).toMatchObject({ status: 422, code: 'input-invalid', field });
    expect(answer.body.detail).toContain(field);
  });

  it('refuses more than 10,000 requests', async () => {
    const { status, body } = await request(service.app)
      .post('/v1/predictions')
      .send({ requests: Array.from({ length: 10_001 }, () => 0) });
    expect(status).toBe(422);
    expect(body.field).toBe('requests');
  });
});

describe('POST /v1/predictions of a running move', () => {
  const predictor = loadPredictor(fitModel(inventedMoves(200), { name: 'default', seed: 1 }));
  const vm1 = { cluster: 'c', instance: 'vm1', source_node: 'n0', target_node: 'n1', memory_mib: 4096 };
  /** 100 MiB/s, of 3,500 MiB in all. */
  const poll = (elapsed_seconds: number): MoveProgress => ({
    elapsed_seconds,
    transferred_mib: 100 * elapsed_seconds,
    remaining_mib: 3500 - 100 * elapsed_seconds,
    dirty_sync_count: 1,
  });
  const polls = [poll(10), poll(30)];
  let running: ServiceFixture;
  beforeEach(async () => {
    running = await serviceFixture({ loaded: { predictor } });
  });
  afterEach(() => running.close());
  const ask = async (body: object) => (await request(running.app).post('/v1/predictions').send(body)).body;

  it('says by row what remains, more surely at a later poll', async () => {
    const requests = [vm1, ...polls.map((progress) => ({ ...vm1, progress }))];
    const [before, early, late] = (await ask({ requests })).predictions as Prediction[];
    expect(before!.remaining_seconds).toBeUndefined();
    for (const [i, { remaining_seconds, duration_seconds }] of [early!, late!].entries())
      for (const name of [...QUANTILE_NAMES, 'mean'] as const)
        expect(duration_seconds[name]).toBeCloseTo(polls[i]!.elapsed_seconds + remaining_seconds![name], 9);
    const width = ({ remaining_seconds }: Prediction): number =>
      remaining_seconds!.p95 - remaining_seconds!.p05;
    expect(width(late!)).toBeLessThan(width(early!));
    expect(late!.remaining_seconds!.p50).toBeLessThan(early!.remaining_seconds!.p50);
  });

  it('takes 0 seconds for a move that has not started', async () => {
    const progress = { elapsed_seconds: 0, transferred_mib: 0, remaining_mib: 3500 };
    const requests = [vm1, { ...vm1, progress }];
    const [before, notYet] = (await ask({ requests })).predictions as Prediction[];
    expect(notYet!.remaining_seconds!.p50).toBeCloseTo(before!.duration_seconds.p50, 3);
    expect(notYet!.duration_seconds).toEqual(notYet!.remaining_seconds);
  });

  it('gives by column the same durations, and takes null for a move that has not started', async () => {
    const progress = [null, ...polls];
    const requests = progress.map((shown) => (shown === null ? vm1 : { ...vm1, progress: shown }));
    const { predictions } = (await ask({ requests })) as { predictions: Prediction[] };
    const columns = Object.fromEntries(
      Object.entries(vm1).map(([name, value]) => [name, progress.map(() => value)]),
    );
    const answer = await ask({ columns: { ...columns, progress } });
    for (const name of [...QUANTILE_NAMES, 'mean'] as const)
      for (const [i, { duration_seconds }] of predictions.entries())
        expect(answer.columns[name][i]).toBeCloseTo(duration_seconds[name], 9);
  });
});

describe('POST /v1/move-costs', () => {
  const body = {
    instances: [
      { instance: 'a', source_node: 'n1', memory_mib: 1024 },
      { instance: 'b', source_node: 'n2', memory_mib: 3072 },
    ],
    target_nodes: ['n1', 'n2', 'n3'],
  };

  it('gives instances × nodes, null for the node where the instance is', async () => {
    const answer = await request(service.app).post('/v1/move-costs').send(body);
    expect(answer.body.seconds).toEqual([
      [null, 1, 1],
      [3, null, 3],
    ]);
  });

  it('gives the same numbers in binary, little-endian, with the shape in headers', async () => {
    const answer = await request(service.app)
      .post('/v1/move-costs')
      .set('accept', 'application/octet-stream')
      .responseType('blob')
      .send({ ...body, quantile: 0.9 });
    expect([answer.headers['x-rows'], answer.headers['x-columns']]).toEqual(['2', '3']);
    const bytes = answer.body as Buffer;
    const values = [0, 1, 2, 3, 4, 5].map((i) => bytes.readFloatLE(4 * i));
    expect(values.map((value) => (Number.isNaN(value) ? null : Number(value.toFixed(3))))).toEqual([
      null,
      1.4,
      1.4,
      4.2,
      null,
      4.2,
    ]);
  });

  it('names the wrong field by its path', async () => {
    const answer = await request(service.app)
      .post('/v1/move-costs')
      .send({ ...body, instances: [body.instances[0], { instance: 'b' }] });
    expect(answer.status).toBe(422);
    expect(answer.body.field).toBe('instances[1].source_node');
  });
});

describe('POST /v1/moves', () => {
  it('stores, learns at once and is idempotent; a bad record does not spoil the others', async () => {
    const moves = [finishedMove('m1', 60, 8), { id: 'bad' }, finishedMove('late', 1, 3600)];
    const first = await request(service.app).post('/v1/moves').send({ moves });
    expect(first.body).toEqual({
      new: 1,
      known: 0,
      rejected: [
        { index: 1, reason: 'instance is missing' },
        { index: 2, reason: 'started_at + duration_seconds lies in the future; check the clock' },
      ],
    });
    const again = await request(service.app)
      .post('/v1/moves')
      .send({ moves: [moves[0]] });
    expect(again.body).toEqual({ new: 0, known: 1, rejected: [] });
    expect(service.predictors[0]!.learned).toEqual(['m1']);
    const next = await request(service.app)
      .post('/v1/predictions')
      .send({ requests: [good] });
    expect(next.body.predictions[0].duration_seconds.p50).toBe(5);
  });

  it('scores a move against the prediction kept under its id, else against what was known before its start', async () => {
    await request(service.app)
      .post('/v1/predictions')
      .send({ keep: true, requests: [{ ...good, request_id: 'asked', memory_mib: 2048 }] });
    const asked = finishedMove('asked', -1, 2);
    const other = finishedMove('other', 60, 8);
    await request(service.app)
      .post('/v1/moves')
      .send({ moves: [asked, other] });
    const { body } = await request(service.app).get('/v1/moves');
    expect(
      body.moves.map(
        (move: { id: string; predicted: { how: string; duration_seconds: { p50: number } } }) => [
          move.id,
          move.predicted.how,
          move.predicted.duration_seconds.p50,
        ],
      ),
    ).toEqual([
      ['asked', 'asked_before', 2],
      ['other', 'from_history', 4],
    ]);
  });
});

describe('GET /v1/moves', () => {
  it('filters, limits and goes on from the last start', async () => {
    const moves = Array.from({ length: 5 }, (_, i) =>
      finishedMove(`m${i}`, 500 - i * 100, 8, i % 2 === 0 ? {} : { instance: 'db1' }),
    );
    await request(service.app).post('/v1/moves').send({ moves });
    const ids = async (query: Record<string, string>): Promise<string[]> =>
      (await request(service.app).get('/v1/moves').query(query)).body.moves.map(
        (move: { id: string }) => move.id,
      );
    expect(await ids({ limit: '2' })).toEqual(['m4', 'm3']);
    expect(await ids({ limit: '2', to: moves[3]!.started_at })).toEqual(['m2', 'm1']);
    expect(await ids({ instance: 'db1' })).toEqual(['m3', 'm1']);
  });

  it.each(['limit=0', 'limit=x', 'from=yesterday', 'operation=teleport', 'limit=1&limit=2'])(
    'refuses ?%s and names the parameter',
    async (query) => {
      const { status, body } = await request(service.app).get(`/v1/moves?${query}`);
      expect(status).toBe(422);
      expect(body.field).toBe(query.split('=')[0]);
    },
  );
});

describe('POST /v1/samples', () => {
  it('takes both kinds, counts what was known, and rejects one by one', async () => {
    const body = {
      link_samples: [
        { at: '2026-11-23T11:00:00Z', source_node: 'a', target_node: 'b', throughput_mbps: 5 },
        { at: 'noon', link: 'a>b', throughput_mbps: 5 },
      ],
      instance_samples: [{ at: '2026-11-23T11:00:00Z', instance: 'web1', dirty_rate_mib_s: 3 }],
    };
    const first = await request(service.app).post('/v1/samples').send(body);
    expect(first.body.link_samples).toMatchObject({ new: 1, known: 0, rejected: [{ index: 1 }] });
    expect(first.body.instance_samples).toEqual({ new: 1, known: 0, rejected: [] });
    const again = await request(service.app).post('/v1/samples').send(body);
    expect(again.body.link_samples.known).toBe(1);
    expect(service.predictors[0]!.samples).toHaveLength(2);
  });

  it('refuses a body with neither', async () => {
    expect((await request(service.app).post('/v1/samples').send({})).status).toBe(422);
  });
});

describe('GET /v1/accuracy', () => {
  it('compares what was predicted with what happened, by group', async () => {
    await request(service.app)
      .post('/v1/moves')
      .send({ moves: [finishedMove('m1', 600, 5), finishedMove('m2', 300, 4, { target_node: 'node3' })] });
    const { body } = await request(service.app).get('/v1/accuracy').query({ by: 'link' });
    // m1: 4 predicted for 5; m2: 5 predicted (one move learnt) for 4.
    expect(body.overall.mape_percent).toBeCloseTo((20 + 25) / 2, 10);
    expect(body.groups.map(({ key }: { key: string }) => key)).toEqual(['node1>node2', 'node1>node3']);
    expect(body.counts_by_how).toEqual({ from_history: 2 });
  });

  it('names a span of time that is none', async () => {
    const { status, body } = await request(service.app).get('/v1/accuracy?window=soon');
    expect([status, body.field]).toEqual([400, 'window']);
  });
});

describe('GET /v1/past-errors', () => {
  it('gives the errors of a cluster, and none where too little is known of it', async () => {
    const known = await request(service.app).get('/v1/past-errors');
    expect(known.body).toEqual({
      cluster: 'default',
      errors: { hours: [[[-0.5, 1.5], [0.25]]], most_factor: 2 },
      model: { name: 'default', version: '1' },
    });
    const unknown = await request(service.app).get('/v1/past-errors?cluster=elsewhere');
    expect(unknown.body).toEqual({ cluster: 'elsewhere', model: { name: 'default', version: '1' } });
  });

  it('refuses a cluster that can be none, and names the parameter', async () => {
    const { status, body } = await request(service.app).get('/v1/past-errors?cluster=');
    expect([status, body.field]).toEqual([422, 'cluster']);
  });
});

describe('models', () => {
  it('promotes a version, answers when it answers, and lists it as serving', async () => {
    const { body } = await request(service.app).post('/v1/models/default/promote').send({ version: '2' });
    expect(body).toEqual({ name: 'default', version: '2', serving: true });
    const list = await request(service.app).get('/v1/models');
    expect(list.body.models).toEqual([
      { name: 'default', version: '1', current: false, serving: false },
      { name: 'default', version: '2', current: true, serving: true },
    ]);
    const predicted = await request(service.app)
      .post('/v1/predictions')
      .send({ requests: [good] });
    expect(predicted.body.predictions[0].model.version).toBe('2');
  });

  it('says which versions there are when the wanted one is not', async () => {
    const { status, body } = await request(service.app)
      .post('/v1/models/default/promote')
      .send({ version: '9' });
    expect(status).toBe(404);
    expect(body.detail).toContain('there is: 1, 2');
  });
});

describe('health, metrics and the page', () => {
  it('is alive at once and ready when the history has been read', async () => {
    const early = await serviceFixture({ started: false });
    expect((await request(early.app).get('/healthz')).status).toBe(200);
    const notYet = await request(early.app).get('/readyz');
    expect([notYet.status, notYet.headers['retry-after']]).toEqual([503, '1']);
    expect(
      (
        await request(early.app)
          .post('/v1/predictions')
          .send({ requests: [good] })
      ).status,
    ).toBe(503);
    // A probe that comes early is no error for an operator to look into.
    const levels = early.logged().match(/"level":\d+/g);
    expect(new Set(levels)).toEqual(new Set(['"level":30']));
    await early.parts.model.start();
    expect((await request(early.app).get('/readyz')).body).toMatchObject({
      status: 'ready',
      learned_moves: 0,
    });
    await early.close();
  });

  it('counts predictions, reports and errors for Prometheus', async () => {
    await request(service.app)
      .post('/v1/predictions')
      .send({ requests: [good, {}] });
    await request(service.app)
      .post('/v1/moves')
      .send({ moves: [finishedMove('m1', 60, 8)] });
    const { text } = await request(service.app).get('/metrics');
    for (const line of [
      'movecast_predictions_total{basis="link"} 1',
      'movecast_prediction_errors_total 1',
      'movecast_moves_reported_total{result="new"} 1',
      'movecast_model_info{name="default",version="1"} 1',
      'movecast_mape_ratio 0.5',
      'movecast_interval_coverage_ratio{level="0.8"} 0',
      'movecast_learned_moves 1',
    ])
      expect(text).toContain(`\n${line}\n`);
    expect(text).toMatch(/movecast_http_request_duration_seconds_count\{.*route="\/v1\/predictions".*\} 1/);
  });

  it('serves the page compressed where that is accepted, and not at all when the caller has it', async () => {
    const page = await request(service.app).get('/style.css');
    expect(page.headers['content-encoding']).toBe('gzip');
    const again = await request(service.app).get('/style.css').set('if-none-match', page.headers['etag']!);
    expect(again.status).toBe(304);
    expect((await request(service.app).get('/')).type).toBe('text/html');
  });

  it('shows the interface on a page without a script', async () => {
    const { text } = await request(service.app).get('/docs');
    expect(text).toContain('POST /v1/predictions');
    expect(text).not.toMatch(/<script|style=/);
  });

  it('reads a compressed body', async () => {
    const answer = await request(service.app)
      .post('/v1/predictions')
      .set('content-type', 'application/json')
      .set('content-encoding', 'gzip')
      .serialize((body) => body as unknown as string)
      .send(gzipSync(JSON.stringify({ requests: [good] })) as unknown as object);
    expect(answer.body.predictions[0].duration_seconds.p50).toBe(4);
  });
});
