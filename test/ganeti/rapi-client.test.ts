import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RapiClient, type RapiClientOptions } from '../../src/ganeti/rapi-client.js';
import { RapiError } from '../../src/ganeti/rapi-error.js';
import { requireOrSkip } from '../integration/real-servers.js';
import { selfSigned } from './certificates.js';
import { FakeRapi, READER, WRITER } from './fake-rapi.js';
import { crookedCluster } from './small-cluster.js';

const folder = mkdtempSync(join(tmpdir(), 'movecast-client-'));
const file = (name: string): string => join(folder, name);
const cleanUp: (() => unknown)[] = [];
beforeAll(() => {
  writeFileSync(file('writer'), `${WRITER}\n`, { mode: 0o600 });
  writeFileSync(file('reader'), `${READER}\n`, { mode: 0o600 });
});
afterEach(async () => {
  for (const step of cleanUp.splice(0).toReversed()) await step();
});
afterAll(() => rmSync(folder, { recursive: true }));

let cluster = crookedCluster();
let server = new FakeRapi(cluster);
beforeEach(() => {
  cluster = crookedCluster();
  server = new FakeRapi(cluster);
});

async function connect(options: RapiClientOptions = {}): Promise<RapiClient> {
  await server.start();
  const client = new RapiClient(server.url, {
    clock: cluster.clock,
    credentialsFile: file('writer'),
    ...options,
  });
  cleanUp.push(
    () => server.stop(),
    () => client.close(),
  );
  return client;
}

const failure = async (attempt: Promise<unknown>): Promise<RapiError> => {
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(RapiError);
  return error as RapiError;
};
const changes = (): string[] => server.asked.filter((asked) => !asked.startsWith('GET'));
const migrate = { kind: 'migrate', instance: 'web0' } as const;

describe('the client of the remote API', () => {
  it('takes no name of a cluster that would write to the terminal', async () => {
    const answer = JSON.stringify({ name: 'c\u001b[2J', master: 'n1' });
    const hostile = createServer((_request, response) => response.end(answer));
    await new Promise<void>((resolve) => hostile.listen(0, '127.0.0.1', resolve));
    const client = new RapiClient(`http://127.0.0.1:${(hostile.address() as AddressInfo).port}`);
    cleanUp.push(
      () => hostile.close(),
      () => client.close(),
    );
    expect((await failure(client.info())).message).toMatch(/is not JSON of Ganeti's remote API/);
  });

  it.each(['..', '.', ''])(
    'submits nothing for an instance named "%s", which would be another path',
    async (instance) => {
      const client = await connect();
      const asked = server.asked.length;
      const error = await failure(client.submit({ ...migrate, instance }, { comment: 'a' }));
      expect(error.message).toMatch(/has no address of its own in the remote API; rename it/);
      expect(error.isSurelyNotDone).toBe(true);
      expect(server.asked).toHaveLength(asked);
    },
  );

  it('submits, sees and finds a job again by its comment', async () => {
    const client = await connect();
    const id = await client.submit(migrate, { comment: 'plan 1, move 0' });
    expect((await client.job(id))!.opcodes).toMatchObject([
      { opId: 'OP_INSTANCE_MIGRATE', instance: 'web0', comment: 'plan 1, move 0' },
    ]);
    expect(await client.jobsFrom(id)).toMatchObject([{ id, opcodes: [{ comment: 'plan 1, move 0' }] }]);
    expect(await client.jobsFrom(id + 1)).toEqual([]);
    cluster.clock.advance(60_000);
    expect(await client.jobs()).toMatchObject([{ id, status: 'success' }]);
    expect(cluster.placement()['web0']).toBe('n2:n1');
  });

  it('lets a job wait for another, and fail with it', async () => {
    const client = await connect();
    cluster.outcomeOf = () => ({ kind: 'failure', seconds: 5 });
    const first = await client.submit(migrate, { comment: 'a' });
    const second = await client.submit(
      { kind: 'replace-disks', instance: 'web0', newSecondary: 'n3' },
      { comment: 'b', after: [first] },
    );
    cluster.clock.advance(1000);
    expect((await client.job(second))!.status).toBe('queued');
    cluster.clock.advance(60_000);
    expect(await client.job(first)).toMatchObject({
      status: 'error',
      failure: expect.stringContaining('broken pipe'),
    });
    expect(await client.job(second)).toMatchObject({ status: 'error', failure: 'Dependency failed' });
  });

  it('cancels what waits, and says that what runs cannot be cancelled', async () => {
    const client = await connect();
    const first = await client.submit(migrate, { comment: 'a' });
    const second = await client.submit({ ...migrate, instance: 'web2' }, { comment: 'b' });
    cluster.clock.advance(1000);
    expect(await client.cancel(second)).toMatchObject({ isCancelled: true });
    expect(await client.cancel(first)).toMatchObject({
      isCancelled: false,
      words: expect.stringContaining('no longer waiting'),
    });
    expect((await client.job(second))!.status).toBe('canceled');
    expect(await client.job(4711)).toBeUndefined();
  });

  it('waits at the server for a change, and gives up after ten seconds of the same', async () => {
    const client = await connect();
    const id = await client.submit(migrate, { comment: 'a' });
    expect(await client.jobChanges(id, 'queued')).toBe(true);
    cluster.outcomeOf = () => ({ kind: 'hang' });
    const hanging = await client.submit(
      { kind: 'migrate', instance: 'db1', targetNode: 'n3' },
      { comment: 'b' },
    );
    cluster.clock.advance(30_000);
    expect(await client.jobChanges(hanging, 'running')).toBe(false);
    expect(await client.jobChanges(4711, 'running')).toBe(false);
  });

  it.each([
    ['an answer broken off in the middle', { kind: 'half' } as const],
    ['a connection that is reset', { kind: 'reset' } as const],
    ['a server error', { kind: 'status', status: 502 } as const],
  ])('asks again after %s', async (_case, fault) => {
    const client = await connect();
    let faults = 2;
    server.faultOf = () => (faults-- > 0 ? fault : undefined);
    expect((await client.info()).master).toBe('n1');
    expect(server.asked).toEqual(['GET /2/info', 'GET /2/info', 'GET /2/info']);
  });

  it.each([
    ['an answer that was lost', { kind: 'lost' } as const, false],
    ['an answer broken off in the middle', { kind: 'half' } as const, false],
    ['a server error', { kind: 'status', status: 504 } as const, false],
    ['an answer that is too late', { kind: 'slow', seconds: 61 } as const, false],
    ['an answer that is none', { kind: 'not-json' } as const, false],
    ['a refusal', { kind: 'status', status: 400, explain: 'Invalid body' } as const, true],
    ['being sent elsewhere', { kind: 'redirect', to: 'https://evil.example.com/' } as const, true],
  ])(
    'sends a submission once only, and tells whether it may have been done: %s',
    async (_case, fault, not) => {
      const client = await connect();
      server.faultOf = () => fault;
      const error = await failure(client.submit(migrate, { comment: 'a' }));
      expect(error.isSurelyNotDone).toBe(not);
      expect(changes()).toEqual(['PUT /2/instances/web0/migrate']);
      expect(cluster.jobs.length).toBeLessThanOrEqual(not ? 0 : 1);
    },
  );

  it('knows that a drained queue took nothing, and repeats why', async () => {
    const client = await connect();
    cluster.queueIsDrained = true;
    const error = await failure(client.submit(migrate, { comment: 'a' }));
    expect(error.isSurelyNotDone).toBe(true);
    expect(error.message).toContain('Job queue is drained, cannot submit');
  });

  it('knows that nothing was done where nobody listens, and asks again later by itself', async () => {
    const client = await connect();
    await server.stop();
    const error = await failure(client.submit(migrate, { comment: 'a' }));
    expect(error).toMatchObject({ isSurelyNotDone: true, isPassing: true });
    await server.start();
    expect((await client.info()).name).toBe('cluster.example.org');
  });

  it('does not wait for ever', async () => {
    const client = await connect();
    server.faultOf = () => ({ kind: 'slow', seconds: 100 });
    const error = await failure(client.info());
    expect(error.message).toContain('does not answer within 60 s');
    expect(server.asked).toHaveLength(3);
  });

  it('never says a password, whatever goes wrong', async () => {
    const client = await connect({ credentialsFile: file('reader') });
    const refused = await failure(client.submit(migrate, { comment: 'a' }));
    expect(refused.message).toContain('has the right');
    for (const fault of [{ kind: 'half' }, { kind: 'not-json' }, { kind: 'status', status: 500 }] as const) {
      server.faultOf = () => fault;
      expect((await failure(client.info())).message).not.toMatch(/read-pw|cmVhZGVy/);
    }
    expect(refused.message).not.toMatch(/read-pw|cmVhZGVy/);
    const inAddress = server.url.replace('://', '://user:topsecret@');
    expect(new RapiClient(inAddress).address).toBe(server.url);
  });

  it('takes no password out of a file that others may read', () => {
    writeFileSync(file('open'), WRITER);
    for (const mode of [0o644, 0o604, 0o660, 0o602]) {
      chmodSync(file('open'), mode);
      expect(() => new RapiClient('https://master', { credentialsFile: file('open') })).toThrow(
        /others may read/,
      );
    }
    chmodSync(file('open'), 0o640);
    expect(new RapiClient('master', { credentialsFile: file('open') })).toMatchObject({
      address: 'https://master:5080',
      hasCredentials: true,
    });
  });

  it.each([['12:34'], ['zz'.repeat(32)], ['']])('refuses the fingerprint %p', (pinSha256) => {
    expect(() => new RapiClient('https://master', { pinSha256 })).toThrow(/64 hexadecimal digits/);
  });
});

(requireOrSkip('openssl') ? describe : describe.skip)('the client over TLS', () => {
  let own = { keyFile: '', certFile: '', key: '', cert: '' };
  let other = own;
  beforeAll(() => {
    own = selfSigned(folder, 'own');
    other = selfSigned(folder, 'other');
  });
  const fingerprint = (pem: string): string => new X509Certificate(pem).fingerprint256;

  it('trusts a given certificate, or its fingerprint', async () => {
    server = new FakeRapi(cluster, own);
    const byFile = await connect({ caFile: own.certFile });
    expect((await byFile.info()).master).toBe('n1');
    for (const pinSha256 of [
      fingerprint(own.cert),
      fingerprint(own.cert).replaceAll(':', '').toLowerCase(),
    ]) {
      const pinned = new RapiClient(server.url, { pinSha256, credentialsFile: file('writer') });
      cleanUp.push(() => pinned.close());
      expect(await pinned.submit(migrate, { comment: 'a' })).toBeGreaterThan(0);
    }
  });

  it.each([
    ['no word of whom to trust', (): RapiClientOptions => ({}), 'not trusted'],
    ['another authority', () => ({ caFile: other.certFile }), 'not trusted'],
    [
      'another fingerprint',
      () => ({ pinSha256: fingerprint(other.cert) }),
      'another certificate than the pinned one',
    ],
  ])('sends nothing at all with %s', async (_case, trust, words) => {
    server = new FakeRapi(cluster, own);
    const client = await connect(trust());
    const error = await failure(client.submit(migrate, { comment: 'a' }));
    expect(error.message).toContain(words);
    expect(error.isSurelyNotDone).toBe(true);
    expect(server.asked).toEqual([]);
  });

  it('may leave the certificate unverified only where no password is sent', async () => {
    server = new FakeRapi(cluster, own);
    const withPassword = await connect({ verifyAlways: false });
    expect((await failure(withPassword.info())).message).toContain('not trusted');
    const without = new RapiClient(server.url, { verifyAlways: false });
    cleanUp.push(() => without.close());
    expect((await without.info()).master).toBe('n1');
  });
});
