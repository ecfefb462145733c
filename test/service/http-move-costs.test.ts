import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { MoveRequest } from '../../src/domain/move-request.js';
import type { Prediction } from '../../src/domain/prediction.js';
import { HttpMoveCosts, type Fetch } from '../../src/service/http-move-costs.js';

const request: MoveRequest = {
  instance: 'a',
  source_node: 'n1',
  target_node: 'n2',
  operation: 'live_migration',
  memory_mib: 1000,
};
const model = { name: 'default', version: '7' };
let server: Server | undefined;
const calls: { requests: MoveRequest[] }[] = [];

/** A service that answers as `answer` says: a status, or predictions for the requests. */
async function service(
  answer: (call: number, requests: MoveRequest[]) => number | unknown[],
): Promise<string> {
  calls.length = 0;
  server = createServer((incoming, response) => {
    let text = '';
    incoming.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    incoming.on('end', () => {
      const body = JSON.parse(text) as { requests: MoveRequest[] };
      calls.push(body);
      const given = answer(calls.length, body.requests);
      response.writeHead(typeof given === 'number' ? given : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ predictions: given }));
    });
  });
  await new Promise<void>((listening) => server!.listen(0, '127.0.0.1', listening));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

afterEach(async () => {
  await new Promise((closed) => (server === undefined ? closed(undefined) : server.close(closed)));
  server = undefined;
});

const prediction = ({ memory_mib = 0 }: MoveRequest): unknown => ({
  duration_seconds: { p10: memory_mib / 200, p50: memory_mib / 100, p90: memory_mib / 50 },
  model,
});

describe('costs from a service', () => {
  it('are asked for in batches and only once in a plan', async () => {
    const url = await service((_call, requests) => requests.map(prediction));
    const costs = new HttpMoveCosts(url);
    const many = Array.from({ length: 7000 }, (_, i) => ({
      ...request,
      instance: `i${i}`,
      memory_mib: 100 + i,
    }));
    const { p50 } = await costs.durations(many);
    expect(p50[6999]).toBeCloseTo(70.99);
    expect(calls.map(({ requests }) => requests.length)).toEqual([5000, 2000]);
    await costs.durations(many.slice(0, 10));
    expect(calls).toHaveLength(2);
    expect(costs.model).toEqual(model);
    expect(costs.warnings()).toEqual([]);
  });

  it('are asked for with the name of the cluster in records', async () => {
    const url = await service((_call, requests) => requests.map(prediction));
    await new HttpMoveCosts(url, { cluster: 'prod' }).durations([request]);
    expect(calls.at(-1)!.requests).toEqual([{ ...request, cluster: 'prod' }]);
    const asked: string[] = [];
    const fetch = (address: string): Promise<Response> => {
      asked.push(address);
      return Promise.resolve(Response.json({}));
    };
    await new HttpMoveCosts('http://127.0.0.1:9', { cluster: 'a b', fetch }).pastErrors();
    expect(asked).toEqual(['http://127.0.0.1:9/v1/past-errors?cluster=a+b']);
  });

  it('are asked for once more after a failure', async () => {
    const url = await service((call, requests) => (call === 1 ? 503 : requests.map(prediction)));
    const costs = new HttpMoveCosts(url);
    const { p50 } = await costs.durations([request]);
    expect([p50[0], calls.length, costs.warnings()]).toEqual([10, 2, []]);
  });

  it('fall back to plain figures, and say so, when the second try fails too', async () => {
    const costs = new HttpMoveCosts(await service(() => 500));
    const { p50 } = await costs.durations([request]);
    expect(p50[0]).toBe(18);
    expect(calls).toHaveLength(2);
    expect(costs.warnings().join()).toContain('does not answer (status 500)');
  });

  const many = Array.from({ length: 12_000 }, (_, i) => ({ ...request, instance: `i${i}` }));

  it('wait for a service that hangs in the first batch alone', async () => {
    let asked = 0;
    const fetch: Fetch = (_url, { signal }) => {
      asked += 1;
      return new Promise((_answer, fail) => {
        const giveUp = (): void => fail(signal!.reason as Error);
        if (signal!.aborted) giveUp();
        else signal!.addEventListener('abort', giveUp);
      });
    };
    const costs = new HttpMoveCosts('http://127.0.0.1:9', { fetch, timeoutMs: 1 });
    expect([...new Set((await costs.durations(many)).p50)]).toEqual([18]);
    expect(asked).toBe(2);
    await costs.durations([{ ...request, instance: 'another' }]);
    await expect(costs.predictions([request])).rejects.toThrow('does not answer');
    expect(await costs.pastErrors()).toBeUndefined();
    expect(asked).toBe(2);
  });

  it('are all plain where the service falls silent amid a plan, also those that it had given before', async () => {
    const url = await service((call, requests) => (call === 2 ? requests.map(prediction) : 500));
    const fickle = new HttpMoveCosts(url);
    const { p10, p50, p90 } = await fickle.durations(many);
    expect([...new Set([...p10, ...p50, ...p90])]).toEqual([12, 18, 27]);
    expect(calls).toHaveLength(4);
    expect(fickle.model).toBeUndefined();
    expect(fickle.warnings()).toEqual([
      expect.stringMatching(
        /does not answer \(status 500\) and is not asked again for 10 minutes: all durations are plain/,
      ),
    ]);
  });

  it('are those of the service again once it answers, ten minutes after it fell silent', async () => {
    let now = 0;
    const url = await service((call, requests) => (call <= 2 ? 500 : requests.map(prediction)));
    const costs = new HttpMoveCosts(url, { now: () => now });
    const price = async (): Promise<number> => (await costs.durations([request])).p50[0]!;
    expect(await price()).toBe(18);
    now = 599_999;
    expect(await price()).toBe(18);
    now = 600_000;
    expect(await price()).toBe(10);
    expect(calls).toHaveLength(3);
    expect(costs.model).toEqual(model);
    expect(costs.warnings()).toEqual([]);
  });

  it('fall back for requests that the service refuses, and only for those', async () => {
    const url = await service((_call, requests) =>
      requests.map((one, r) => (r === 0 ? { error: { field: 'instance', message: 'no' } } : prediction(one))),
    );
    const costs = new HttpMoveCosts(url);
    const { p50 } = await costs.durations([request, { ...request, memory_mib: 2000 }]);
    expect([...p50]).toEqual([18, 20]);
    expect(costs.warnings().join()).toContain('refused 1 request: its');
  });

  it('come with the past errors of the model, asked for with the token', async () => {
    const errors = { hours: [[[0.5, -1], [2]]], most_factor: 3 };
    const asked: [string, unknown][] = [];
    const fetch = (url: string, { headers }: RequestInit): Promise<Response> => {
      asked.push([url, headers]);
      return Promise.resolve(Response.json({ cluster: 'default', errors, model }));
    };
    const costs = new HttpMoveCosts('http://127.0.0.1:9/', { token: 'secret', fetch });
    expect(await costs.pastErrors()).toEqual(errors);
    expect(asked).toEqual([['http://127.0.0.1:9/v1/past-errors', { authorization: 'Bearer secret' }]]);
  });

  it.each<[string, () => Promise<Response>]>([
    ['is of an older version', () => Promise.resolve(new Response('{}', { status: 404 }))],
    ['knows too few moves', () => Promise.resolve(Response.json({ cluster: 'default', model }))],
    ['answers what is none', () => Promise.resolve(Response.json({ errors: { hours: [] } }))],
    ['is gone', () => Promise.reject(new TypeError('fetch failed'))],
  ])('come without past errors where the service %s', async (_what, fetch) => {
    expect(await new HttpMoveCosts('http://127.0.0.1:9', { fetch }).pastErrors()).toBeUndefined();
  });

  it('come without the past errors of a model that did not give the durations', async () => {
    const costs = new HttpMoveCosts('http://127.0.0.1:9', {
      fetch: (url) =>
        Promise.resolve(
          url.endsWith('/v1/past-errors')
            ? Response.json({ errors: { hours: [[[1]]], most_factor: 2 }, model })
            : new Response('', { status: 500 }),
        ),
    });
    await costs.durations([request]);
    expect(await costs.pastErrors()).toBeUndefined();
  });

  it('fall back when nobody listens', async () => {
    const url = await service(() => 500);
    await new Promise((closed) => server!.close(closed));
    server = undefined;
    const costs = new HttpMoveCosts(url);
    expect((await costs.durations([request])).p50[0]).toBe(18);
    expect(costs.warnings()).toEqual([expect.stringContaining('does not answer (connection refused)')]);
  });

  const problem = (status: number, detail: string) => (): Promise<Response> =>
    Promise.resolve(Response.json({ status, detail }, { status }));
  it.each<[string, () => Promise<Response>, RegExp]>([
    [
      'refuses the token',
      problem(401, 'a token is needed'),
      /\(HTTP 401: a token is needed\); give a token .+MOVECAST_TOKEN$/,
    ],
    [
      'wants another role',
      problem(403, 'no predict'),
      /\(HTTP 403: no predict\); give a token with the role predict/,
    ],
    [
      'is another one',
      () => Promise.resolve(new Response('<html>', { status: 404 })),
      /has no \/v1\/predictions \(HTTP 404\); give the root/,
    ],
    [
      'takes no POST there',
      () => Promise.resolve(new Response('', { status: 405 })),
      /\(HTTP 405\); give the root/,
    ],
    [
      'does not know such questions',
      problem(422, 'requests[0].x is\nunknown'),
      /\(HTTP 422: requests\[0\]\.x is unknown\)/,
    ],
    [
      'shows a page in place of predictions',
      () => Promise.resolve(new Response('<html>')),
      /something else than predictions; give the root/,
    ],
    ['answers with other JSON', () => Promise.resolve(Response.json([])), /something else than predictions/],
    [
      'gives too few predictions',
      () => Promise.resolve(Response.json({ predictions: [] })),
      /gives 0 predictions for 1 moves/,
    ],
  ])('are an error at once, and no plain figures, where the service %s', async (_what, answer, sentence) => {
    let asked = 0;
    const fetch: Fetch = () => {
      asked += 1;
      return answer();
    };
    const costs = new HttpMoveCosts('http://127.0.0.1:9', { fetch, token: 'secret' });
    const error = await costs.durations([request]).then(undefined, (thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'UserError', exitCode: 1 });
    expect((error as Error).message).toMatch(sentence);
    expect((error as Error).message).not.toMatch(/secret|\n/);
    expect(asked).toBe(1);
    await expect(costs.predictions([request])).rejects.toThrow(sentence);
  });

  it('are an error where no token could be sent', () => {
    expect(() => new HttpMoveCosts('http://127.0.0.1:9', { token: 'two\nlines' })).toThrow(
      /this token.+MOVECAST_TOKEN$/,
    );
  });

  it.each([
    ['as long as a busy service asks for', 429, { 'retry-after': '2' }, 2000],
    ['a second where it does not say how long', 429, {}, 1000],
    ['no longer than half a minute', 503, { 'retry-after': '3600' }, 30_000],
    ['not at all for a service that fails', 500, {}, 0],
  ])('wait %s', async (_what, status, headers, waitMs) => {
    const waits: number[] = [];
    let asked = 0;
    const costs = new HttpMoveCosts('http://127.0.0.1:9', {
      fetch: () =>
        Promise.resolve(
          ++asked === 1
            ? new Response('', { status, headers })
            : Response.json({ predictions: [prediction(request)] }),
        ),
      wait: (ms) => Promise.resolve(waits.push(ms)),
    });
    expect((await costs.durations([request])).p50[0]).toBe(10);
    expect([waits, costs.warnings()]).toEqual([[waitMs], []]);
  });

  it('are asked for in smaller batches where a body is too large, down to one question', async () => {
    const url = await service((_call, requests) => (requests.length > 2 ? 413 : requests.map(prediction)));
    const five = Array.from({ length: 5 }, (_, i) => ({ ...request, memory_mib: 100 * (i + 1) }));
    const { p50 } = await new HttpMoveCosts(url).durations(five);
    expect([...p50]).toEqual([1, 2, 3, 4, 5]);
    expect(calls.map(({ requests }) => requests.length)).toEqual([5, 3, 2, 2, 1]);
    const none = new HttpMoveCosts('http://127.0.0.1:9', { fetch: problem(413, '') });
    await expect(none.durations(five)).rejects.toThrow('HTTP 413');
  });

  it('come with whole predictions for those who keep them; a refused request has none', async () => {
    const whole: Prediction = {
      duration_seconds: { p05: 1, p10: 2, p50: 3, p90: 4, p95: 5, mean: 3 },
      completion_probability: 0.9,
      basis: 'link',
      inputs_filled: [],
      model,
      warnings: [],
    };
    const url = await service(() => [whole, { error: { field: 'instance', message: 'no' } }]);
    expect(await new HttpMoveCosts(url).predictions([request, request])).toEqual([whole, undefined]);
  });

  it('have no whole predictions, and say so, where the service does not answer', async () => {
    const costs = new HttpMoveCosts(await service(() => 503));
    await expect(costs.predictions([request])).rejects.toThrow(/does not answer \(status 503\)/);
  });
});
