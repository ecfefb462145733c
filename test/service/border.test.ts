import { describe, expect, it } from '@jest/globals';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:http';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import request from 'supertest';
import type { ServiceOptions } from '../../src/service/options.js';
import { newToken, parseTokens } from '../../src/service/tokens.js';
import { RateLimit } from '../../src/service/rate-limit.js';
import { fixtureOfTest } from './fixture-of-test.js';
import { finishedMove, type ServiceFixture } from './service-fixture.js';

const good = Object.freeze({ instance: 'web1', source_node: 'node1', target_node: 'node2' });
const body = Object.freeze({ requests: [good] });

const sendRaw = (
  app: ServiceFixture['app'],
  bytes: Buffer | string,
  headers: Record<string, string> = {},
): request.Test => {
  const test = request(app).post('/v1/predictions').set('content-type', 'application/json');
  for (const [name, value] of Object.entries(headers)) test.set(name, value);
  return test.serialize((same) => same as unknown as string).send(bytes as unknown as object);
};

describe('refusals are problem details', () => {
  it.each([
    ['broken JSON', '{"requests": [', {}, 400, 'broken-json'],
    [
      'what is not UTF-8',
      Buffer.from('{"requests": [{"instance": "\xff"}]}', 'latin1'),
      {},
      400,
      'broken-json',
    ],
    ['an empty body', '', {}, 422, 'input-invalid'],
    ['a body that is no object', '[]', {}, 422, 'input-invalid'],
    ['a form', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'wrong-media-type'],
    ['an unknown encoding', 'x', { 'content-encoding': 'zstd9' }, 415, 'wrong-media-type'],
    ['another charset', '{}', { 'content-type': 'application/json; charset=utf-7' }, 415, 'wrong-media-type'],
    ['what claims to be gzip', 'not gzip', { 'content-encoding': 'gzip' }, 400, 'broken-json'],
  ])('%s', async (_name, bytes, headers, status, code) => {
    const { app } = await fixtureOfTest();
    const answer = await sendRaw(app, bytes, headers);
    expect([answer.status, answer.type, answer.body.code]).toEqual([
      status,
      'application/problem+json',
      code,
    ]);
    expect(answer.body.detail).not.toMatch(/\n|at .*\.ts/);
    expect(answer.body.request_id).toBe(answer.headers['x-request-id']);
  });

  it('unknown routes and wrong methods', async () => {
    const { app } = await fixtureOfTest();
    const unknown = await request(app).get('/v1/nothing-here');
    expect([unknown.status, unknown.body.code]).toEqual([404, 'unknown-route']);
    const wrong = await request(app).delete('/v1/predictions');
    expect([wrong.status, wrong.headers['allow']]).toEqual([405, 'POST']);
    const both = await request(app).put('/v1/moves');
    expect(both.headers['allow']).toBe('POST, GET, HEAD');
    expect((await request(app).get('/v1/models/%ff/promote')).status).toBe(400);
  });
});

describe('the straight way of a hot route', () => {
  const tokens = parseTokens(newToken('balancer', ['predict']).line, 'tokens.txt');
  const big = JSON.stringify({ requests: [{ ...good, instance: 'x'.repeat(2000) }] });
  const cases: [string, Buffer | string, Record<string, string>, Partial<ServiceOptions>][] = [
    ['a prediction', JSON.stringify(body), {}, {}],
    ['an id from outside', JSON.stringify(body), { 'x-request-id': 'abc-123' }, {}],
    ['one bad row', JSON.stringify({ requests: [good, { ...good, memory_mib: -1 }] }), {}, {}],
    [
      'columns',
      JSON.stringify({ columns: { instance: ['a'], source_node: ['n'], target_node: ['m'] } }),
      {},
      {},
    ],
    ['no rows', '{"requests": []}', {}, {}],
    ['no object', '[]', {}, {}],
    ['nothing', '', {}, {}],
    ['broken JSON', '{"requests": [', {}, {}],
    ['what is not UTF-8', Buffer.from('{"a": "\xff"}', 'latin1'), {}, {}],
    ['a form', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }, {}],
    ['a body beyond the limit', big, {}, { bodyLimitBytes: 1000 }],
    ['no token', JSON.stringify(body), {}, { tokens }],
    ['a wrong token', JSON.stringify(body), { authorization: `Bearer ${'x'.repeat(40)}` }, { tokens }],
    ['another host', JSON.stringify(body), { host: 'evil.example' }, { loopbackHostOnly: true }],
    ['one request too many', JSON.stringify(body), {}, { requestsPerSecond: 0.001 }],
  ];

  it.each(cases)('answers as the way through express does: %s', async (_name, bytes, headers, options) => {
    const seen = [];
    for (const path of ['/v1/predictions', '/v1/predictions?']) {
      const { app, parts } = await fixtureOfTest({ options });
      const test = request(app).post(path).set('content-type', 'application/json');
      for (const [name, value] of Object.entries(headers)) test.set(name, value);
      const answer = await test
        .serialize((same) => same as unknown as string)
        .send(bytes as unknown as object);
      const { date: _date, 'x-request-id': id, ...sent } = answer.headers;
      expect(headers['x-request-id'] ?? answer.body.request_id ?? id).toBe(id);
      const metrics = await parts.metrics.registry.metrics();
      seen.push({
        status: answer.status,
        sent,
        body: { ...answer.body, request_id: undefined },
        counted: metrics.match(/movecast_http_request_duration_seconds_count.*/g),
      });
    }
    expect(seen[0]).toEqual(seen[1]);
    expect(seen[0]!.counted).toHaveLength(1);
  });
});

describe('limits', () => {
  it('refuses a body beyond the limit', async () => {
    const { app } = await fixtureOfTest({ options: { bodyLimitBytes: 1000 } });
    const answer = await sendRaw(
      app,
      JSON.stringify({ requests: [{ ...good, instance: 'x'.repeat(2000) }] }),
    );
    expect([answer.status, answer.body.code]).toEqual([413, 'too-large']);
  });

  it.each([
    ['gzip', gzipSync],
    ['br', (text: string) => brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } })],
  ])('refuses a small %s body that unfolds to a large one', async (encoding, compress) => {
    const { app } = await fixtureOfTest();
    const bomb = compress(`{"requests": [${' '.repeat(60_000_000)}]}`);
    expect(bomb.length).toBeLessThan(100_000);
    const answer = await sendRaw(app, bomb, { 'content-encoding': encoding });
    expect([answer.status, answer.body.code]).toEqual([413, 'too-large']);
  });

  it('refuses what comes faster than allowed, and says when to come back; health is always answered', async () => {
    const { app } = await fixtureOfTest({ options: { requestsPerSecond: 1 } });
    const statuses = [];
    for (let i = 0; i < 4; i += 1) statuses.push((await request(app).get('/v1/accuracy')).status);
    expect(statuses).toEqual([200, 200, 429, 429]);
    expect((await request(app).get('/v1/accuracy')).headers['retry-after']).toBe('1');
    expect((await request(app).get('/healthz')).status).toBe(200);
  });

  it('lets a client on again at its rate, and forgets the longest unseen client', () => {
    const limit = new RateLimit(2, 2, 2);
    expect([0, 0, 0, 500, 500].map((atMs) => limit.take('a', atMs))).toEqual([0, 0, 500, 0, 500]);
    limit.take('b', 500);
    limit.take('c', 500);
    expect(limit.take('a', 500)).toBe(0);
  });

  it('ends a request that takes too long, once, even when its answer comes after all', async () => {
    const { app, store, logged } = await fixtureOfTest({ options: { timeoutMs: 30 } });
    let finish: (counts: { new: number; known: number }) => void = () => undefined;
    const stored = new Promise<{ new: number; known: number }>((resolve) => (finish = resolve));
    store.addMoves = () => stored;
    const answer = await request(app)
      .post('/v1/moves')
      .send({ moves: [finishedMove('m', 60, 5)] });
    expect([answer.status, answer.body.code]).toEqual([503, 'too-slow']);
    finish({ new: 1, known: 0 });
    await stored;
    expect((await request(app).get('/healthz')).status).toBe(200);
    expect(logged()).not.toContain('ERR_HTTP_HEADERS_SENT');
  });

  it('says of a body that is too long and does not end that it is too long, not that the service is slow', async () => {
    const { app } = await fixtureOfTest({ options: { timeoutMs: 30, bodyLimitBytes: 1000 } });
    const bytes = `POST /v1/predictions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n${' '.repeat(2000)}`;
    expect(await rawRequest(app, bytes, { leftOpen: true })).toMatch(
      /^HTTP\/1\.1 413 [\s\S]+larger than 1000 bytes/,
    );
  });

  it('refuses one more request than it answers at once', async () => {
    const { app, store } = await fixtureOfTest({ options: { concurrentRequests: 1 } });
    let entered: () => void = () => undefined;
    let release: () => void = () => undefined;
    const isIn = new Promise<void>((resolve) => (entered = resolve));
    const { addMoves } = store;
    store.addMoves = async (records) => {
      entered();
      await new Promise<void>((resolve) => (release = resolve));
      return addMoves.call(store, records);
    };
    const first = request(app)
      .post('/v1/moves')
      .send({ moves: [finishedMove('m', 60, 5)] })
      .then((answer) => answer.status);
    await isIn;
    expect((await request(app).get('/v1/accuracy')).status).toBe(503);
    release();
    expect(await first).toBe(200);
  });
});

describe('tokens', () => {
  const predict = newToken('balancer', ['predict']);
  const report = newToken('collector', ['report']);
  const admin = newToken('operator', ['admin']);
  const lines = [predict, report, admin].map(({ line }) => line).join('\n');
  const tokens = parseTokens(`# who may call\n\n${lines}\n`, 'tokens.txt');
  const bearer = (token: string): [string, string] => ['authorization', `Bearer ${token}`];

  it('asks for one, and lets in those with the role', async () => {
    const { app } = await fixtureOfTest({ options: { tokens } });
    const post = (path: string, send: object, token?: string): request.Test => {
      const test = request(app).post(path).send(send);
      return token === undefined ? test : test.set(...bearer(token));
    };
    const none = await post('/v1/predictions', body);
    expect([none.status, none.headers['www-authenticate']]).toEqual([401, 'Bearer realm="movecast"']);
    expect((await post('/v1/predictions', body, predict.token)).status).toBe(200);
    expect((await post('/v1/predictions', body, report.token)).status).toBe(403);
    expect((await post('/v1/predictions', body, admin.token)).status).toBe(200);
    const moves = { moves: [finishedMove('m', 60, 5)] };
    expect((await post('/v1/moves', moves, predict.token)).status).toBe(403);
    expect((await post('/v1/moves', moves, report.token)).status).toBe(200);
    const version = { version: '2' };
    expect((await post('/v1/models/default/promote', version, predict.token)).status).toBe(403);
    expect((await post('/v1/models/default/promote', version, admin.token)).status).toBe(200);
    expect((await post('/v1/predictions', body, `${predict.token}x`)).status).toBe(401);
    expect((await request(app).get('/metrics')).status).toBe(401);
    for (const open of ['/healthz', '/readyz', '/', '/docs', '/openapi.json'])
      expect((await request(app).get(open)).status).toBe(200);
  });

  it('guards every route that is not open on purpose', async () => {
    const { app, routes } = await fixtureOfTest({ options: { tokens } });
    const guarded = routes.filter(({ role }) => role !== undefined);
    expect(guarded.length).toBeGreaterThan(10);
    for (const { method, path } of guarded) {
      const { status } = await request(app)[method](
        path.replace('{name}', 'default').replace('{version}', '1'),
      );
      expect([path, status]).toEqual([path, 401]);
    }
  });

  it('stops whoever guesses', async () => {
    const { app } = await fixtureOfTest({ options: { tokens } });
    const guess = async (i: number): Promise<number> =>
      (
        await request(app)
          .get('/v1/models')
          .set(...bearer(`${'guess'.repeat(6)}${i}`))
      ).status;
    // All at once: one after another, a slow machine would let them in at the rate of an honest caller.
    const statuses = await Promise.all(Array.from({ length: 60 }, (_, i) => guess(i)));
    expect(new Set(statuses)).toEqual(new Set([401, 429]));
  });

  it('keeps only a hash, and names the line of a broken file but not its content', () => {
    expect(predict.line).not.toContain(predict.token);
    expect(predict.line).toMatch(/^balancer predict sha256:[0-9a-f]{64}$/);
    expect(() => parseTokens('balancer predict hunter2-hunter2', 'tokens.txt')).toThrow(
      /^tokens\.txt line 1: must be/,
    );
    expect(() => parseTokens('balancer predict hunter2-hunter2', 'tokens.txt')).not.toThrow(/hunter2/);
    expect(() => parseTokens(predict.line.replace('predict', 'root'), 'tokens.txt')).toThrow(/roles out of/);
    expect(() => parseTokens('# nobody\n', 'tokens.txt')).toThrow(/holds no token/);
  });

  it('never lets in a token that is short enough to guess', async () => {
    const { createHash } = await import('node:crypto');
    const weak = `weak admin sha256:${createHash('sha256').update('hunter2').digest('hex')}`;
    const { app } = await fixtureOfTest({ options: { tokens: parseTokens(weak, 't') } });
    expect(
      (
        await request(app)
          .get('/v1/models')
          .set(...bearer('hunter2'))
      ).status,
    ).toBe(401);
  });

  it('writes no token into the log', async () => {
    const { app, store, logged } = await fixtureOfTest({ options: { tokens } });
    store.info = () => Promise.reject(new Error('boom'));
    store.addMoves = () => Promise.reject(new Error('boom'));
    await request(app)
      .post('/v1/moves')
      .set(...bearer(report.token))
      .send({ moves: [finishedMove('m', 60, 5)] });
    expect(logged()).toContain('request_failed');
    expect(logged()).not.toContain(report.token);
  });
});

describe('attacks', () => {
  it('sends a policy without unsafe-inline, no x-powered-by, and no CORS', async () => {
    const { app } = await fixtureOfTest();
    const { headers } = await request(app).get('/').set('origin', 'https://evil.example');
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(headers['content-security-policy']).not.toContain('unsafe');
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers).not.toHaveProperty('x-powered-by');
    expect(headers).not.toHaveProperty('access-control-allow-origin');
    const preflight = await request(app).options('/v1/moves').set('origin', 'https://evil.example');
    expect(preflight.headers).not.toHaveProperty('access-control-allow-origin');
  });

  it('answers no other name than this machine’s own when asked to', async () => {
    const { app } = await fixtureOfTest({ options: { loopbackHostOnly: true } });
    const ask = async (host: string): Promise<number> =>
      (await request(app).get('/healthz').set('host', host)).status;
    expect(await ask('127.0.0.1:8080')).toBe(200);
    expect(await ask('localhost')).toBe(200);
    expect(await ask('[::1]:8080')).toBe(200);
    expect(await ask('evil.example')).toBe(403);
    expect(await ask('127.0.0.1.evil.example')).toBe(403);
  });

  it.each([
    '/../package.json',
    '/..%2f..%2fpackage.json',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/style.css/../../../etc/passwd',
    '//etc/passwd',
    '/style.css%00.html',
    '/dashboard/page/index.html',
    '/v1/models/..%2f..%2f/1',
    '/v1/models/default/..',
  ])('reads no file outside of the page: %s', async (path) => {
    const { app } = await fixtureOfTest();
    const answer = await rawRequest(
      app,
      `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 (404|400|422) /);
  });

  it('lets no request id of the caller break a header or a log line', async () => {
    const { app, logged } = await fixtureOfTest();
    for (const id of ['a\tb', 'x'.repeat(65), '"}{', 'ä']) {
      const answer = await rawRequest(
        app,
        `GET /v1/nothing HTTP/1.1\r\nhost: 127.0.0.1\r\nx-request-id: ${id}\r\nconnection: close\r\n\r\n`,
      );
      expect(answer).toMatch(/x-request-id: [0-9a-f-]{36}\r\n/i);
    }
    const kept = await request(app).get('/healthz').set('x-request-id', 'abc-123');
    expect(kept.headers['x-request-id']).toBe('abc-123');
    expect(
      logged()
        .split('\n')
        .filter(Boolean)
        .every((line) => JSON.parse(line) !== undefined),
    ).toBe(true);
  });

  it('refuses names with control characters wherever they would be stored', async () => {
    const { app } = await fixtureOfTest();
    const moves = [finishedMove('m', 60, 5, { instance: 'web1\nmoves,instance=fake value=1' })];
    const { body: answer } = await request(app).post('/v1/moves').send({ moves });
    expect(answer).toMatchObject({
      new: 0,
      rejected: [{ index: 0, reason: expect.stringContaining('control') }],
    });
  });

  it('is not moved by __proto__ in a body', async () => {
    const { app } = await fixtureOfTest();
    const polluted = `{"requests":[{"__proto__":{"memory_mib":9999,"polluted":true},"constructor":{"prototype":{"polluted":1}},${JSON.stringify(good).slice(1)}],"__proto__":{"keep":true}}`;
    const { body: answer } = await sendRaw(app, polluted);
    expect(answer.predictions[0].duration_seconds.p50).toBe(1);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('survives a body nested a hundred thousand deep', async () => {
    const { app } = await fixtureOfTest();
    const deep = `{"requests":[${'['.repeat(100_000)}${']'.repeat(100_000)}]}`;
    const answer = await sendRaw(app, deep);
    expect([200, 400, 422]).toContain(answer.status);
    expect((await request(app).get('/healthz')).status).toBe(200);
  });

  it('does not take two lengths for one body', async () => {
    const { app } = await fixtureOfTest();
    const answer = await rawRequest(
      app,
      'POST /v1/predictions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });
});

/** What the service answers to these bytes, until it closes; where they are to go on, its first words. */
async function rawRequest(
  app: ServiceFixture['app'],
  bytes: string,
  { leftOpen = false } = {},
): Promise<string> {
  const server: Server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1', () =>
        leftOpen ? socket.write(bytes, 'latin1') : socket.end(bytes, 'latin1'),
      );
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
        if (leftOpen) socket.end();
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(text));
    });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
