import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { InfluxDB } from 'influx';
import type { MoveRecord } from '../../src/domain/move-record.js';
import { InfluxConnection, parseInfluxUrl } from '../../src/store/influx-connection.js';
import { InfluxStore } from '../../src/store/influx-store.js';
import { placeInMillisecond } from '../../src/store/line-protocol.js';
import { openStore, redactUrl } from '../../src/store/open-store.js';
import { collected, moveAt } from '../store/store-contract.js';
import { startInflux, type InfluxServer } from './influx-server.js';
import { requireOrSkip } from './real-servers.js';

const PASSWORD = 'hunter2-öä';

/** A store at `url` that waits only so long. */
const openWithin = (url: string, timeoutMs: number): Promise<InfluxStore> =>
  InfluxStore.open(parseInfluxUrl(url, redactUrl(url))!, { timeoutMs, retry: { deadlineMs: 0 } });

/** A server that answers as it is told, for the time of one piece of work. */
async function withServer<T>(answer: RequestListener, work: (port: number) => Promise<T>): Promise<T> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await work((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const errorOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'it succeeded',
    (error: unknown) => error,
  );

/** Everything that a logger could find in an error. */
const allOf = (error: unknown): string =>
  inspect(error, { depth: 20, showHidden: true }) + JSON.stringify(error) + String((error as Error).stack);

/** The first two of the ids `move-0`, `move-1`, … that have the same place within a millisecond. */
function twoIdsOnOnePlace(): [string, string] {
  const seen = new Map<number, string>();
  for (let i = 0; ; i++) {
    const id = `move-${i}`;
    const place = placeInMillisecond(id);
    const other = seen.get(place);
    if (other !== undefined) return [other, id];
    seen.set(place, id);
  }
}

const FORMAT_ANSWER =
  '{"results":[{"statement_id":0,"series":[{"name":"movecast","columns":["time","format"],"values":[["2026-01-01T00:00:00Z",1]]}]}]}';

describe('the InfluxDB store, with a server that does not behave', () => {
  it('ends a call within its time when the server goes silent in the middle of an answer', async () => {
    let calls = 0;
    await withServer(
      (_request, response) => {
        calls += 1;
        response.writeHead(200, { 'content-type': 'application/json' });
        if (calls === 1) response.end(FORMAT_ANSWER);
        else response.write('{"results":[');
      },
      async (port) => {
        const store = await openWithin(`influx://127.0.0.1:${port}/moves`, 1000);
        await expect(store.info()).rejects.toMatchObject({
          code: 'store-unavailable',
          message: expect.stringMatching(/did not answer within 1 s/),
        });
        await expect(collected(store.moves())).rejects.toThrow(/did not answer within/);
        await store.close();
      },
    );
  });

  it('ends a call that the bare client would wait for without end when the connection breaks off in an answer', async () => {
    const breakOff: RequestListener = (request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"results":[');
      request.socket.destroySoon();
    };
    await withServer(breakOff, async (port) => {
      await expect(openWithin(`influx://127.0.0.1:${port}/moves`, 150)).rejects.toMatchObject({
        code: 'store-unavailable',
      });
      const bare = new InfluxDB({ host: '127.0.0.1', port, database: 'moves' }).queryRaw('SHOW DATABASES');
      bare.catch(() => undefined);
      const waited = new Promise((resolve) => setTimeout(() => resolve('still waiting'), 400));
      expect(await Promise.race([bare, waited])).toBe('still waiting');
    });
  });

  it('does not answer with half of the rows when the connection breaks off while they are read', async () => {
    let calls = 0;
    await withServer(
      (request, response) => {
        calls += 1;
        response.writeHead(200, { 'content-type': 'application/json' });
        if (calls === 1) {
          response.end(FORMAT_ANSWER);
          return;
        }
        const columns = ['time', 'id', 'instance', 'source_node', 'target_node', 'operation'];
        const row = ['2026-03-01T00:00:00Z', 'm1', 'vm1', 'a', 'b', 'failover'];
        response.write(
          `${JSON.stringify({
            results: [
              {
                statement_id: 0,
                series: [{ name: 'moves', columns, values: [row], partial: true }],
                partial: true,
              },
            ],
          })}\n`,
        );
        setImmediate(() => request.socket.destroy());
      },
      async (port) => {
        const store = await openWithin(`influx://127.0.0.1:${port}/moves`, 2000);
        await expect(collected(store.moves())).rejects.toMatchObject({ code: 'store-unavailable' });
        await store.close();
      },
    );
  });

  it.each([
    [401, '{"error":"authorization failed"}', /refuses this user or password; check the URL/],
    [403, '{"error":"user not authorized to execute statement"}', /does not allow this user/],
    [404, '{"error":"database not found: \\"moves\\""}', /has no database "moves"; create it/],
    [500, '<html>broken</html>', /refused with status 500/],
    [503, '{"error":"timeout"}', /refused with status 500: Service Unavailable/],
    [200, 'hello', /not JSON|cannot be reached|Unexpected token/],
  ])(
    'says in one sentence what an answer of %i means, without the password',
    async (status, body, sentence) => {
      await withServer(
        (_request, response) => response.writeHead(status).end(body),
        async (port) => {
          const url = `influx://operator:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/moves`;
          const error = await errorOf(openWithin(url, 2000));
          expect(error).toMatchObject({ name: 'UserError', code: 'store-unavailable' });
          expect((error as Error).message).toMatch(sentence);
          expect((error as Error).cause).toBeUndefined();
          for (const secret of [
            PASSWORD,
            encodeURIComponent(PASSWORD),
            Buffer.from(`operator:${PASSWORD}`).toString('base64'),
          ])
            expect(allOf(error)).not.toContain(secret);
        },
      );
    },
  );

  it('waits as long as a busy server asks, then writes each point once', async () => {
    const slept: number[] = [];
    const bodies: string[] = [];
    let writes = 0;
    await withServer(
      (request, response) => {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => {
          if (request.url?.startsWith('/write') !== true) {
            response.writeHead(200).end(FORMAT_ANSWER);
            return;
          }
          bodies.push(Buffer.concat(chunks).toString());
          writes += 1;
          if (writes === 1) response.writeHead(503, { 'retry-after': '7' }).end('{"error":"busy"}');
          else if (writes === 2) response.writeHead(429).end();
          else response.writeHead(204).end();
        });
      },
      async (port) => {
        const address = parseInfluxUrl(`influx://127.0.0.1:${port}/moves`, '')!;
        const store = await InfluxStore.open(address, {
          retry: { sleep: async (ms) => slept.push(ms), now: () => 0, random: () => 1 },
        });
        await store.addMoves([moveAt('m1', 0)]);
        await store.close();
      },
    );
    expect(slept).toEqual([7000, 400]);
    expect(new Set(bodies).size).toBe(1);
    expect(bodies[0]).toMatch(/^moves,operation=live_migration,source_node=node-a .*id="m1"/);
  });

  it('says that nobody listens, at once and every time', async () => {
    const port = await withServer(
      () => undefined,
      async (free) => free,
    );
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(openStore(`influx://u:${PASSWORD}@127.0.0.1:${port}/moves`)).rejects.toMatchObject({
        code: 'store-unavailable',
        message: `the store influx://u:***@127.0.0.1:${port}/moves cannot be reached: connection refused`,
      });
    }
  });
});

(requireOrSkip('influxd') ? describe : describe.skip)('the InfluxDB store, with a real server', () => {
  let server: InfluxServer;
  const query = (q: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${server.port}/query`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from('admin:secret').toString('base64')}` },
      body: new URLSearchParams({ q }),
    });
  beforeAll(async () => {
    server = await startInflux({ INFLUXDB_HTTP_AUTH_ENABLED: 'true' });
    await query(`CREATE USER admin WITH PASSWORD 'secret' WITH ALL PRIVILEGES`);
    await query(`CREATE USER "reader" WITH PASSWORD 'only'`);
  });
  afterAll(() => server.remove());

  it('makes a missing database, for a user who may', async () => {
    const store = await openStore(server.url('made', 'admin:secret'));
    expect(await store.addMoves([moveAt('m1', 0)])).toEqual({ new: 1, known: 0 });
    await store.close();
  });

  it('makes no database for who only reads, and writes nothing into that of another program', async () => {
    const names = async (): Promise<string> => (await query('SHOW DATABASES')).text();
    for (const name of ['slip', 'others']) {
      if (name === 'others') await query('CREATE DATABASE "others"');
      await expect(openStore(server.url(name, 'admin:secret'), { mustExist: true })).rejects.toMatchObject({
        code: 'store-unavailable',
        message: expect.stringMatching(/there is no store; movecast collect makes one/),
      });
    }
    expect(await names()).toMatch(/"others"/);
    expect(await names()).not.toMatch(/"slip"/);
  });

  it('says what is wrong with a user or password, and what a user may not do', async () => {
    await expect(openStore(server.url('made', 'admin:wrong'))).rejects.toThrow(
      /refuses this user or password/,
    );
    await expect(openStore(server.url('made'))).rejects.toThrow(/refuses this user or password/);
    await expect(openStore(server.url('made', 'reader:only'))).rejects.toThrow(/does not allow this user/);
  });

  it.each([
    ['instance', 'vm\nmoves,cluster=x duration_seconds=1 1000000000000000000'],
    ['source_node', 'node\nmoves x=1'],
    ['target_node', 'node\r\nx y=1'],
    ['cluster', 'a\u0000b'],
    ['origin', 'a\u2028b'],
    ['id', 'a\nb'],
  ])(
    'refuses a move with a newline in %s, writes no other point with it, and keeps the good ones',
    async (field, text) => {
      const store = await openStore(server.url(`newline_${field}`, 'admin:secret'));
      const move = { ...moveAt('bad', 1), [field]: text } as MoveRecord;
      const moves = [moveAt('good', 0), move, moveAt('good too', 2)];
      await expect(store.addMoves(moves)).rejects.toMatchObject({
        code: 'input-invalid',
        message: expect.stringMatching(
          /refused 1 of 3 moves, the first: .*control characters.*; all others are stored/,
        ),
        refused: [{ index: 1, reason: expect.stringMatching(/control characters/) }],
        counts: { new: 2, known: 0 },
      });
      expect(await collected(store.moves())).toEqual([moves[0], moves[2]]);
      await store.close();
    },
  );

  it('keeps names with backslashes, quotes and separators apart and whole', async () => {
    const store = await openStore(server.url('names', 'admin:secret'));
    const names = [
      'end\\',
      'a\\,b=c d\\',
      '%5C',
      '\\',
      '\\\\',
      "'",
      '"',
      'a,target_node=x',
      ' lead',
      'trail ',
      '=',
      ',',
    ];
    const moves = names.map((name, i) =>
      moveAt(`m${String(i).padStart(2, '0')}`, i, {
        source_node: name,
        target_node: name,
        cluster: name,
        instance: name,
      }),
    );
    await store.addMoves(moves);
    expect(await collected(store.moves())).toEqual(moves);
    for (const move of moves) {
      for (const filter of [
        { sourceNode: move.source_node },
        { targetNode: move.target_node },
        { cluster: move.cluster! },
        { instance: move.instance },
      ])
        expect(await collected(store.moves(filter))).toEqual([move]);
    }
    const samples = names.map((name) => ({ at: moves[0]!.started_at, instance: name, cpu_load: 1 }));
    await store.addInstanceSamples(samples);
    for (const sample of samples)
      expect(await store.latestInstanceSample(sample.instance, Date.parse(sample.at))).toEqual(sample);
    await store.close();
  });

  it.each([NaN, Infinity, -Infinity])('refuses %p as an amount and writes nothing', async (amount) => {
    const store = await openStore(server.url('numbers', 'admin:secret'));
    await expect(store.addMoves([moveAt('m1', 0, { memory_mib: amount })])).rejects.toMatchObject({
      code: 'input-invalid',
      field: 'memory_mib',
    });
    expect((await store.info()).moves).toBe(0);
    await store.close();
  });

  it('keeps moves apart whose ids fall on the same nanosecond, and knows each again', async () => {
    const store = await openStore(server.url('collisions', 'admin:secret'));
    const pair = twoIdsOnOnePlace();
    expect(await store.addMoves([moveAt(pair[0], 0)])).toEqual({ new: 1, known: 0 });
    expect(await store.addMoves([moveAt(pair[1], 0)])).toEqual({ new: 1, known: 0 });
    expect(await store.addMoves([moveAt(pair[0], 0), moveAt(pair[1], 0)])).toEqual({ new: 0, known: 2 });
    expect((await store.info()).moves).toBe(2);
    await store.close();
  });

  it('tells line by line what the server refused and why, and stores all others', async () => {
    const url = server.url('conflict', 'admin:secret');
    const store = await openStore(url);
    const authorization = `Basic ${Buffer.from('admin:secret').toString('base64')}`;
    // Another program has made `vcpus` a text in this week's shard.
    await fetch(`http://127.0.0.1:${server.port}/write?db=conflict`, {
      method: 'POST',
      headers: { authorization },
      body: `moves vcpus="four" ${Date.parse(moveAt('x', 0).started_at)}000000`,
    });
    const moves = Array.from({ length: 40 }, (_, i) =>
      moveAt(`m${String(i).padStart(2, '0')}`, i + 1, i === 7 || i === 23 ? { vcpus: 4 } : {}),
    );
    const error: unknown = await store.addMoves(moves.toReversed()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'input-invalid',
      counts: { new: 38, known: 0 },
      refused: [
        { index: 16, reason: expect.stringMatching(/field type conflict: input field "vcpus"/) },
        { index: 32, reason: expect.stringMatching(/field type conflict/) },
      ],
    });
    expect((error as Error).message).toMatch(/refused 2 of 40 moves, the first: field type conflict/);
    expect(await store.move('m08')).toEqual(moves[8]);
    expect(await store.move('m07')).toBeUndefined();
    await store.close();
  });

  it('writes records of megabytes in several requests, and refuses one that is longer still', async () => {
    const store = await openStore(server.url('large', 'admin:secret'));
    const moves = Array.from({ length: 30 }, (_, i) =>
      moveAt(`m${String(i).padStart(2, '0')}`, i, { labels: { text: 'x'.repeat(1_000_000) } }),
    );
    expect(await store.addMoves(moves)).toEqual({ new: 30, known: 0 });
    let read = 0;
    for await (const move of store.moves()) {
      expect(move).toEqual(moves[read]);
      read += 1;
    }
    expect(read).toBe(30);
    const endless = moveAt('endless', 99, { labels: { text: 'x'.repeat(5_000_000) } });
    await expect(store.addMoves([endless])).rejects.toThrow(/labels is longer than 4194304 characters/);
    await store.close();
  });

  it('packs what it writes with gzip for a server on another machine', async () => {
    const address = parseInfluxUrl(server.url('packed', 'admin:secret'), '')!;
    const connection = new InfluxConnection(address, undefined, { gzip: true });
    await connection.createDatabase();
    const lines = Array.from({ length: 500 }, (_, i) => `m,k=a value=${i} ${i + 1}`);
    expect(await connection.write(lines)).toEqual([]);
    expect((await connection.ask('SELECT count("value") FROM "m"'))[0]?.values[1]).toBe(500);
    connection.close();
  });

  it('refuses a database of a newer format', async () => {
    const store = await openStore(server.url('newer', 'admin:secret'));
    await store.close();
    const authorization = `Basic ${Buffer.from('admin:secret').toString('base64')}`;
    await fetch(`http://127.0.0.1:${server.port}/write?db=newer`, {
      method: 'POST',
      headers: { authorization },
      body: 'movecast format=99',
    });
    await expect(openStore(server.url('newer', 'admin:secret'))).rejects.toMatchObject({
      code: 'store-format',
      message: expect.stringMatching(/has format 99, .*newer movecast/),
    });
  });

  it('says that the server is gone when it is killed, and works again when it is back', async () => {
    const store = await openStore(server.url('killed', 'admin:secret'), {
      retry: { deadlineMs: 0 },
    });
    await store.addMoves([moveAt('m1', 0)]);
    await server.kill();
    await expect(store.addMoves([moveAt('m2', 1)])).rejects.toMatchObject({ code: 'store-unavailable' });
    await expect(store.info()).rejects.toThrow(/cannot be reached/);
    await server.start();
    expect(await store.addMoves([moveAt('m1', 0), moveAt('m2', 1)])).toEqual({ new: 1, known: 1 });
    await store.close();
  });
});
