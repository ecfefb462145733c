import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { LinkForecasts } from '../../src/predictor/link-forecast.js';
import { LinkWatch } from '../../src/service/link-watch.js';
import { newToken, parseTokens } from '../../src/service/tokens.js';
import { fixtureOfTest } from './fixture-of-test.js';
import { hourlySamples, NOW_MS } from './service-fixture.js';

const FORECAST = '/v1/links/node1%3Enode2/forecast';
const HOUR_MS = 3_600_000;

describe('GET /v1/links/{link}/forecast', () => {
  it('gives what the library gives, time by time', async () => {
    const linkSamples = hourlySamples(100);
    const { app } = await fixtureOfTest({ linkSamples });
    const { body } = await request(app).get(`${FORECAST}?hours=4&step_seconds=1800`);
    const library = LinkForecasts.fit(linkSamples);
    expect(body.forecasts).toHaveLength(8);
    for (const [i, { at, throughput_mbps: traffic, available_mbps: left }] of body.forecasts.entries()) {
      const atMs = NOW_MS + (i + 1) * 1_800_000;
      expect(Date.parse(at)).toBe(atMs);
      const expected = library.at({ sourceNode: 'node1', targetNode: 'node2' }, atMs)!;
      expect(traffic.p50).toBeCloseTo(expected.trafficMbps![2]!, 2);
      expect(left.p10).toBeCloseTo(expected.availableMbps![1]!, 2);
    }
  });

  it('shows the last day of samples, and how old the newest is', async () => {
    const { app } = await fixtureOfTest({ linkSamples: hourlySamples(100) });
    const { body } = await request(app).get(FORECAST);
    expect(body).toMatchObject({ basis: 'link', evidence: 'traffic', capacity_mbps: 1000, samples: 100 });
    expect(body.age_seconds).toBe(3600);
    expect(body.recent).toHaveLength(25); // both ends of the day
    expect(body.recent.at(-1)).toEqual({ at: body.last_sample_at, mbps: 900 });
  });

  it('says the age of the newest sample itself, wherever it lies between two hours', async () => {
    const linkSamples = hourlySamples(48).map((sample) => ({
      ...sample,
      at: new Date(Date.parse(sample.at) - 1_200_000).toISOString(),
    }));
    const { app } = await fixtureOfTest({ linkSamples });
    expect((await request(app).get(FORECAST)).body.age_seconds).toBe(4800);
    expect((await request(app).get('/v1/links')).body.links[0].age_seconds).toBe(4800);
    const { body } = await request(app)
      .post('/v1/windows')
      .send({ request: { instance: 'web1', source_node: 'node1', target_node: 'node2' } });
    expect(body.windows[0].traffic.age_seconds).toBe(4800);
  });

  it('stands on the source node where the link was never sampled, and says so', async () => {
    const { app } = await fixtureOfTest({ linkSamples: hourlySamples(48) });
    const { body } = await request(app).get('/v1/links/node1%3Enode9/forecast');
    expect(body).toMatchObject({ basis: 'node', series: 'node1', recent: [] });
  });

  it('shows what finished moves got where they alone tell of a link', async () => {
    const { app } = await fixtureOfTest({ linkSamples: hourlySamples(48, { link: 'node1>node2:moves' }) });
    const { body } = await request(app).get(FORECAST);
    expect(body.evidence).toBe('moves');
    expect(body.recent.length).toBeGreaterThan(0);
    expect(body.forecasts[0].throughput_mbps).toBeNull();
    expect(body.forecasts[0].available_mbps.p50).toBeGreaterThan(0);
  });

  it.each([
    ['no samples at all', [], FORECAST, 404, undefined],
    ['a cluster without samples', hourlySamples(9), `${FORECAST}?cluster=far`, 404, 'cluster'],
    [
      'a link of two clusters',
      [...hourlySamples(9, { cluster: 'a' }), ...hourlySamples(9, { cluster: 'b' })],
      FORECAST,
      422,
      'cluster',
    ],
    ['what names no link', hourlySamples(9), '/v1/links/a%3Eb%3Ec/forecast', 422, 'link'],
    ['too many times', hourlySamples(9), `${FORECAST}?hours=336&step_seconds=60`, 422, 'step_seconds'],
    ['too far ahead', hourlySamples(9), `${FORECAST}?hours=400`, 422, 'hours'],
    ['a control character', hourlySamples(9), '/v1/links/a%0Ab/forecast', 422, 'link'],
  ])('refuses with problem details: %s', async (_name, linkSamples, path, status, field) => {
    const { app } = await fixtureOfTest({ linkSamples });
    const answer = await request(app).get(path);
    expect([answer.status, answer.type, answer.body.field]).toEqual([
      status,
      'application/problem+json',
      field,
    ]);
  });

  it('takes the role predict', async () => {
    const { token, line } = newToken('collector', ['report']);
    const { app } = await fixtureOfTest({ options: { tokens: parseTokens(line, 't') } });
    for (const path of [FORECAST, '/v1/links']) {
      expect((await request(app).get(path)).status).toBe(401);
      expect((await request(app).get(path).set('authorization', `Bearer ${token}`)).status).toBe(403);
    }
  });
});

describe('the watch over links', () => {
  it('takes in what was sent since, without a reading from the start', async () => {
    let nowMs = NOW_MS;
    const { app, logged } = await fixtureOfTest({ linkSamples: hourlySamples(48), now: () => nowMs });
    const listed = async () => (await request(app).get('/v1/links')).body.links;
    expect(await listed()).toEqual([
      {
        cluster: 'default',
        link: 'node1>node2',
        samples: 48,
        last_sample_at: new Date(NOW_MS - HOUR_MS).toISOString(),
        age_seconds: 3600,
      },
    ]);
    const sample = { at: new Date(NOW_MS).toISOString(), throughput_mbps: 300 };
    await request(app)
      .post('/v1/samples')
      .send({
        link_samples: [
          { ...sample, link: 'node1>node2' },
          { ...sample, link: 'node2:egress' },
        ],
      });
    nowMs += 2_000;
    const links = await listed();
    expect(links.map((one: { link: string; samples: number }) => [one.link, one.samples])).toEqual([
      ['node1>node2', 49],
      ['node2:egress', 1],
    ]);
    expect(logged().match(/link_samples_read/g)).toHaveLength(1);
  });

  it('comes to what a reading from the start gives when samples come late', async () => {
    let nowMs = NOW_MS;
    const all = hourlySamples(48);
    const { parts, store } = await fixtureOfTest({ linkSamples: all.slice(24), now: () => nowMs });
    const seenBy = async (watch: LinkWatch): Promise<number> =>
      (await watch.forecasts()).at({ sourceNode: 'node1', targetNode: 'node2' }, NOW_MS + HOUR_MS)!.samples;
    expect(await seenBy(parts.links)).toBe(24);
    await store.addLinkSamples(all.slice(0, 24));
    nowMs += 61_000;
    await parts.links.forecasts(); // sees that something is missing, and begins to read beside what answers
    const anew = await seenBy(new LinkWatch(parts));
    let seen = 0;
    for (let asked = 0; asked < 1000 && seen !== anew; asked += 1) {
      seen = await seenBy(parts.links);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([seen, anew]).toEqual([48, 48]);
  });

  it('follows at most 2,000 links, however many are sampled', async () => {
    const linkSamples = Array.from({ length: 2_100 }, (_, i) => ({
      at: new Date(NOW_MS - 1000).toISOString(),
      link: `node${i}:egress`,
      throughput_mbps: 1,
    }));
    const { parts } = await fixtureOfTest({ linkSamples });
    expect(await parts.links.watched()).toHaveLength(2_000);
  });
});
