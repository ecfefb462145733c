import { describe, expect, it } from '@jest/globals';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MovecastClient, MovecastError } from '../../src/service/client.js';
import { newToken, parseTokens } from '../../src/service/tokens.js';
import { closeAfterTest, fixtureOfTest } from './fixture-of-test.js';
import { finishedMove, type FixtureSettings } from './service-fixture.js';

async function listening(app: RequestListener): Promise<string> {
  const server: Server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closeAfterTest(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

async function client(settings: FixtureSettings = {}, token?: string): Promise<MovecastClient> {
  const service = await fixtureOfTest(settings);
  return new MovecastClient(await listening(service.app), token === undefined ? {} : { token });
}

const good = Object.freeze({
  instance: 'web1',
  source_node: 'node1',
  target_node: 'node2',
  memory_mib: 4096,
});

describe('MovecastClient', () => {
  it('predicts one, and names the field when a request is not valid', async () => {
    const movecast = await client();
    expect((await movecast.predict(good)).duration_seconds.p50).toBe(4);
    await expect(movecast.predict({ ...good, memory_mib: -1 })).rejects.toMatchObject({
      status: 422,
      field: 'memory_mib',
    });
  });

  it('sends long lists in parts and keeps their order', async () => {
    const movecast = await client();
    const requests = Array.from({ length: 10_001 }, (_, i) => ({ ...good, request_id: String(i) }));
    const answers = await movecast.predictAll(requests);
    expect(answers.map(({ request_id }) => request_id)).toEqual(requests.map(({ request_id }) => request_id));
  });

  it('reads the matrix of move costs', async () => {
    const movecast = await client();
    const { rows, columns, seconds } = await movecast.moveCosts(
      [{ instance: 'a', source_node: 'n1', memory_mib: 2048 }],
      ['n1', 'n2'],
    );
    expect([rows, columns, ...seconds]).toEqual([1, 2, NaN, 2]);
  });

  it('reports, hands in samples, and asks how good it was', async () => {
    const movecast = await client();
    expect(await movecast.report([finishedMove('m1', 60, 5), finishedMove('m2', 1, 9999)])).toMatchObject({
      new: 1,
      rejected: [{ index: 1 }],
    });
    const { link_samples } = await movecast.samples({
      link_samples: [{ at: '2026-11-23T11:00:00.000Z', link: 'a>b', throughput_mbps: 1 }],
    });
    expect(link_samples.new).toBe(1);
    expect((await movecast.accuracy('all', 'link')).groups).toHaveLength(1);
    expect(await movecast.alarms()).toEqual([]);
    expect(await movecast.model()).toEqual({ name: 'default', version: '1' });
  });

  it('sends its token, and says what the service says without one', async () => {
    const { token, line } = newToken('balancer', ['predict']);
    const tokens = parseTokens(line, 't');
    expect((await (await client({ options: { tokens } }, token)).predict(good)).duration_seconds.p50).toBe(4);
    await expect((await client({ options: { tokens } })).predict(good)).rejects.toThrow(
      'send Authorization: Bearer TOKEN',
    );
  });

  it('waits as long as it is told to when the service is busy, and gives up after its retries', async () => {
    let asked = 0;
    const url = await listening((_request, response) => {
      asked += 1;
      const isBusy = asked < 3;
      response.writeHead(isBusy ? 503 : 200, { 'content-type': 'application/json', 'retry-after': '0' });
      response.end(isBusy ? '{"code":"not-ready","detail":"busy"}' : '{"predictions":[{"basis":"prior"}]}');
    });
    expect((await new MovecastClient(url).predict(good)).basis).toBe('prior');
    asked = 0;
    const impatient = new MovecastClient(url, { retries: 1 });
    await expect(impatient.predict(good)).rejects.toThrow(
      new MovecastError(503, 'not-ready', 'busy', undefined),
    );
    expect(asked).toBe(2);
  });

  it('says in one sentence that nobody answers, or not in time', async () => {
    await expect(new MovecastClient('http://127.0.0.1:1').predict(good)).rejects.toThrow(
      /does not answer; is the service/,
    );
    const silent = await listening(() => undefined);
    await expect(new MovecastClient(silent, { timeoutMs: 50 }).predict(good)).rejects.toMatchObject({
      status: 0,
      code: 'too-slow',
    });
  });
});
