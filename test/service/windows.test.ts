import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { calendarFile } from '../../src/service/calendar.js';
import { bestOf } from '../../src/service/routes/windows.js';
import { fixtureOfTest } from './fixture-of-test.js';
import { hourlySamples, NOW_MS } from './service-fixture.js';

const move = Object.freeze({
  instance: 'web1',
  source_node: 'node1',
  target_node: 'node2',
  memory_mib: 1024,
});

interface Start {
  start_at: string;
  duration_seconds: { p50: number };
  background_mbps: number | null;
}

/** Ten days of traffic that is busy from 08:00 to 20:00; now is 12:00. */
const busyDays = hourlySamples(240);

describe('POST /v1/windows', () => {
  it('finds the quiet hours of a link whose samples show them, and the gain against now', async () => {
    const { app } = await fixtureOfTest({ linkSamples: busyDays });
    const { status, body } = await request(app).post('/v1/windows').send({ request: move });
    expect(status).toBe(200);
    const { starts, best, traffic } = body.windows[0];
    expect(starts).toHaveLength(25);
    expect(starts[0].start_at).toBe(new Date(NOW_MS).toISOString());
    expect(traffic).toMatchObject({ source: 'forecast', basis: 'link', series: 'node1>node2' });
    expect(traffic.age_seconds).toBe(3600);
    const hour = new Date(best[0].start_at).getUTCHours();
    expect(hour >= 20 || hour < 8).toBe(true);
    expect(starts[0].background_mbps).toBeGreaterThan(800);
    // The counting predictor takes a second longer for each 100 Mbit/s.
    expect(best[0].gain_seconds).toBeGreaterThan(6);
    expect(best[0].gain_percent).toBeCloseTo(
      (100 * best[0].gain_seconds) / starts[0].duration_seconds.p50,
      6,
    );
  });

  it('predicts each start with the very median that the forecast route gives for it', async () => {
    const { app } = await fixtureOfTest({ linkSamples: busyDays });
    const { body } = await request(app).post('/v1/windows').send({ request: move, hours: 6 });
    const { body: forecast } = await request(app).get(
      '/v1/links/node1%3Enode2/forecast?hours=6&step_seconds=3600',
    );
    const starts = body.windows[0].starts.slice(1) as Start[];
    expect(starts.map(({ start_at: at, background_mbps: mbps }) => [at, mbps])).toEqual(
      forecast.forecasts.map((one: { at: string; throughput_mbps: { p50: number } }) => [
        one.at,
        one.throughput_mbps.p50,
      ]),
    );
    for (const { duration_seconds: duration, background_mbps: mbps } of starts)
      expect(duration.p50).toBeCloseTo(1 + mbps! / 100, 9);
  });

  it('leaves the traffic that a request names as it is', async () => {
    const { app } = await fixtureOfTest({ linkSamples: busyDays });
    const { body } = await request(app)
      .post('/v1/windows')
      .send({ request: { ...move, background_mbps: 50 } });
    expect(body.windows[0].traffic.source).toBe('request');
    expect((body.windows[0].starts as Start[]).every((start) => start.background_mbps === 50)).toBe(true);
  });

  it.each([
    ['no samples at all', [], 'no link samples'],
    ['samples of another cluster only', hourlySamples(48, { cluster: 'far' }), 'no link samples'],
    [
      'only what moves got',
      hourlySamples(48, { link: 'node1>node2:moves' }),
      'only finished moves tell of this link',
    ],
  ])(
    'says that nothing tells the starts apart, and gives equal durations: %s',
    async (_name, samples, note) => {
      const { app } = await fixtureOfTest({ linkSamples: samples });
      const { body } = await request(app).post('/v1/windows').send({ request: move });
      const { traffic, starts, best } = body.windows[0];
      expect([traffic.source, traffic.note]).toEqual(['none', expect.stringContaining(note)]);
      expect(new Set((starts as Start[]).map((start) => start.duration_seconds.p50)).size).toBe(1);
      expect(best).toHaveLength(1);
      expect(best[0]).toMatchObject({ start_at: starts[0].start_at, gain_seconds: 0, gain_percent: 0 });
    },
  );

  it('begins at the start that is asked for, and never before now', async () => {
    const { app } = await fixtureOfTest();
    const firstOf = async (startAt: string): Promise<string> =>
      (
        await request(app)
          .post('/v1/windows')
          .send({ request: { ...move, start_at: startAt }, hours: 1 })
      ).body.windows[0].starts[0].start_at;
    expect(await firstOf('2026-11-23T18:00:00+01:00')).toBe('2026-11-23T17:00:00.000Z');
    expect(await firstOf('2026-11-20T00:00:00Z')).toBe(new Date(NOW_MS).toISOString());
  });

  it('holds the error of a bad move in its place among others', async () => {
    const { app } = await fixtureOfTest();
    const { status, body } = await request(app)
      .post('/v1/windows')
      .send({ requests: [{ ...move, request_id: 'a' }, { request_id: 'b' }], hours: 2, step_minutes: 30 });
    expect(status).toBe(200);
    expect(body.windows[0].starts).toHaveLength(5);
    expect(body.windows[1]).toMatchObject({ request_id: 'b', error: { field: 'instance' } });
  });

  it.each([
    [{}, 422, 'request'],
    [{ request: move, requests: [move] }, 422, 'requests'],
    [{ requests: [] }, 422, 'requests'],
    [{ request: { ...move, memory_mib: -1 } }, 422, 'request.memory_mib'],
    [{ request: move, hours: 337 }, 422, 'hours'],
    [{ request: move, step_minutes: 1 }, 422, 'step_minutes'],
    [{ requests: Array.from({ length: 1000 }, () => move), hours: 300 }, 413, 'requests'],
  ])('refuses what it cannot take, naming the field: case %#', async (sent, status, field) => {
    const { app } = await fixtureOfTest();
    const answer = await request(app).post('/v1/windows').send(sent);
    expect([answer.status, answer.type, answer.body.field]).toEqual([
      status,
      'application/problem+json',
      field,
    ]);
  });

  it('comes as a calendar with an entry for each move', async () => {
    const { app } = await fixtureOfTest({ linkSamples: busyDays });
    const answer = await request(app)
      .post('/v1/windows')
      .set('accept', 'text/calendar')
      .send({ requests: [move, { ...move, instance: 'db;1,\\x' }] });
    expect([answer.status, answer.type]).toEqual([200, 'text/calendar']);
    expect(answer.text.match(/BEGIN:VEVENT/g)).toHaveLength(2);
    expect(answer.text).toMatch(/\r\nDTSTART:2026112[34]T(2[0-3]|0[0-7])0000Z\r\n/);
    expect(answer.text).toContain('SUMMARY:Move db\\;1\\,\\\\x from node1 to node2\r\n');
    for (const line of answer.text.split('\r\n')) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(75);
    expect(answer.text.replaceAll('\r\n ', '')).toMatch(
      /A start at 2026-11-23 12:00 UTC is predicted to take .*: \d+\.\d s more/,
    );
    const bad = await request(app)
      .post('/v1/windows')
      .set('accept', 'text/calendar')
      .send({ requests: [move, {}] });
    expect([bad.status, bad.body.field]).toEqual([422, 'requests[1].instance']);
  });
});

describe('a calendar where nothing tells the starts apart', () => {
  it('puts the move at once and says that waiting gains nothing', async () => {
    const { app } = await fixtureOfTest();
    const { text } = await request(app)
      .post('/v1/windows')
      .set('accept', 'text/calendar')
      .send({ request: move });
    expect(text).toContain('DTSTART:20261123T120000Z\r\n');
    expect(text.replaceAll('\r\n ', '')).toContain('No later start is predicted to be worth waiting for.');
  });
});

describe('the best windows', () => {
  const starts = (...medians: number[]): Parameters<typeof bestOf>[0] =>
    medians.map((p50, i) => ({
      start_at: `t${i}`,
      duration_seconds: { p05: p50, p10: p50, p50, p90: p50, p95: p50, mean: p50 },
      background_mbps: null,
    }));

  it('are runs of neighbours about as good as the shortest, best first', () => {
    const found = bestOf(starts(20, 10.2, 10, 10.4, 30, 10.1, 10.6));
    expect(found.map(({ from, to, start_at: at }) => [from, to, at])).toEqual([
      ['t1', 't3', 't2'],
      ['t5', 't5', 't5'],
    ]);
    expect(found[0]).toMatchObject({ gain_seconds: 10, gain_percent: 50 });
  });

  it('name the earliest of starts that differ by less than anyone would wait for', () => {
    const found = bestOf(starts(10.0003, 10.0002, 30, 10.0001, 10));
    expect(found.map(({ from, to, start_at: at }) => [from, to, at])).toEqual([
      ['t0', 't1', 't0'],
      ['t3', 't4', 't3'],
    ]);
  });

  it('are one, from the first start to the last, where all are alike', () => {
    expect(bestOf(starts(5, 5, 5))).toMatchObject([
      { from: 't0', to: 't2', start_at: 't0', gain_seconds: 0, gain_percent: 0 },
    ]);
  });
});

describe('a calendar file', () => {
  it('lets no name write a line of its own, and cuts no character in two', () => {
    const file = calendarFile(
      [
        {
          key: 'k',
          startMs: NOW_MS,
          endMs: NOW_MS + 60_000,
          summary: `a\r\nEND:VCALENDAR\u0007${'ü'.repeat(100)}`,
          description: 'd',
        },
      ],
      NOW_MS,
    );
    expect(file.match(/^END:VCALENDAR/gm)).toHaveLength(1);
    const unfolded = file.replaceAll('\r\n ', '');
    expect(unfolded).toContain(`SUMMARY:a\\nEND:VCALENDAR ${'ü'.repeat(100)}\r\n`);
    expect(file).toContain('DTSTART:20261123T120000Z\r\nDTEND:20261123T120100Z\r\n');
  });
});
