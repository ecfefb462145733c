import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createPlainServer } from 'node:http';
import { createServer } from 'node:https';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ganetiRapiSource } from '../../src/collector/ganeti-rapi-poller.js';
import type { Finding, RemoteContext } from '../../src/collector/sources/source.js';
import { requireOrSkip } from '../integration/real-servers.js';
import { fixture, fixtureNames } from './sources/fixtures.js';
import { movesOf } from './sources/run-source.js';

const USER = 'reader';
const PASSWORD = 'pa:ss word';
const nowMs = Date.parse('2026-06-01T00:00:00Z');

type QueueJob = Record<string, unknown> & { id: number; ops: Record<string, unknown>[] };

const jobs = (): QueueJob[] =>
  fixtureNames('ganeti-jobs')
    .filter((name) => name.startsWith('queue'))
    .map((name) => JSON.parse(fixture('ganeti-jobs', name)) as QueueJob);

/** A job of the queue as RAPI shows it: without logs and locks in the list, without locks alone. */
function shown(job: QueueJob, isWhole: boolean): Record<string, unknown> {
  const column = (key: string): unknown[] => job.ops.map((op) => op[key]);
  return {
    id: job.id,
    ops: column('input'),
    opstatus: column('status'),
    status: column('status').at(-1),
    received_ts: job['received_timestamp'],
    start_ts: job['start_timestamp'],
    end_ts: job['end_timestamp'],
    ...(isWhole ? { oplog: column('log'), opresult: column('result') } : {}),
  };
}

interface Fake {
  /** What the user may do: query (the right to read), or nothing but plain GETs, or only the list. */
  rights: 'query' | 'jobs' | 'list';
  jobs: QueueJob[];
  asked: string[];
  uuid: string;
}

function answer(fake: Fake, request: IncomingMessage, response: ServerResponse): void {
  let body = '';
  request.on('data', (part: Buffer) => (body += part.toString()));
  request.on('end', () => {
    const send = (status: number, value: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    const { method, url } = request;
    fake.asked.push(`${method} ${url}`);
    const given = request.headers.authorization;
    if (given !== undefined && given !== `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`)
      return send(401, { code: 401 });
    if (url === '/2/info') return send(200, { name: 'cluster.example.org', uuid: fake.uuid });
    if (url === '/2/instances?bulk=1') return send(200, JSON.parse(fixture('ganeti-jobs', 'instances.json')));
    if (method === 'PUT' && url === '/2/query/job') {
      if (fake.rights !== 'query' || given === undefined)
        return send(fake.rights === 'list' ? 404 : 401, { code: 401 });
      const { fields, qfilter } = JSON.parse(body) as { fields: string[]; qfilter: unknown };
      const rows = fake.jobs.map(
        (job) =>
          ({
            ...shown(job, true),
            opstart: job.ops.map((op) => op['start_timestamp']),
            opexec: job.ops.map((op) => op['exec_timestamp']),
            opend: job.ops.map((op) => op['end_timestamp']),
          }) as Record<string, unknown>,
      );
      const wanted = rows.filter((row) => matches(qfilter, row['id'] as number));
      return send(200, {
        fields: fields.map((name) => ({ name, title: name, kind: 'other', doc: '' })),
        data: wanted.map((row) => fields.map((name) => (name in row ? [0, row[name]] : [1, null]))),
      });
    }
    if (url === '/2/jobs?bulk=1')
      return send(
        200,
        fake.jobs.map((job) => shown(job, false)),
      );
    const one = /^\/2\/jobs\/(\d+)$/.exec(url ?? '');
    const job = fake.jobs.find(({ id }) => id === Number(one?.[1]));
    if (job !== undefined && fake.rights !== 'list') return send(200, shown(job, true));
    return send(404, { code: 404 });
  });
}

function matches(filter: unknown, id: number): boolean {
  const [operator, ...rest] = filter as [string, ...unknown[]];
  if (operator === '|') return rest.some((part) => matches(part, id));
  return operator === '>' ? id > (rest[1] as number) : id === rest[1];
}

const folder = mkdtempSync(join(tmpdir(), 'movecast-rapi-'));
const file = (name: string): string => join(folder, name);
const servers: Server[] = [];
const hasOpenssl = requireOrSkip('openssl');

beforeAll(() => {
  writeFileSync(file('credentials'), `${USER}:${PASSWORD}\n`, { mode: 0o600 });
  writeFileSync(file('wrong'), `${USER} nonsense\n`, { mode: 0o600 });
  writeFileSync(file('open'), `${USER}:${PASSWORD}\n`);
  chmodSync(file('open'), 0o644);
  // As Ganeti makes it: for itself, under a name that is not the master's.
  if (hasOpenssl) certificate('rapi', 'ganeti.example.com');
  if (hasOpenssl) certificate('other', 'ganeti.example.com');
});
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});
afterAll(() => rmSync(folder, { recursive: true }));

function certificate(name: string, host: string): void {
  const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', file(`${name}.key`)];
  const made = spawnSync('openssl', [
    'req',
    '-x509',
    '-days',
    '2',
    '-subj',
    `/CN=${host}`,
    '-out',
    file(`${name}.pem`),
    ...key,
  ]);
  if (made.status !== 0) throw new Error(made.stderr.toString());
}

async function start(fake: Fake, plain = false): Promise<string> {
  const handler = (request: IncomingMessage, response: ServerResponse): void =>
    answer(fake, request, response);
  const server = plain
    ? createPlainServer(handler)
    : createServer({ key: readFileSync(file('rapi.key')), cert: readFileSync(file('rapi.pem')) }, handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `${plain ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const fakeOf = (rights: Fake['rights']): Fake => ({ rights, jobs: jobs(), asked: [], uuid: 'u1' });

async function poll(
  url: string,
  context: Partial<RemoteContext> = {},
): Promise<{ findings: Finding[]; checkpoint: unknown }> {
  const findings: Finding[] = [];
  let checkpoint: unknown;
  const whole: RemoteContext = {
    now: () => nowMs,
    checkpoint: undefined,
    signal: new AbortController().signal,
    ...context,
  };
  for await (const batch of ganetiRapiSource.poll(url, whole)) {
    findings.push(...batch.findings);
    checkpoint = JSON.parse(JSON.stringify(batch.checkpoint));
  }
  return { findings, checkpoint };
}

const idsOf = (findings: readonly Finding[]): string[] =>
  movesOf(findings).map((move) => String(move['id']).replace('ganeti:default:job-', ''));
const ALL = ['4711:0', '4712:0', '4713:0', '4714:0', '4716:0', '4720:0', '4721:0', '4721:1'];

(hasOpenssl ? describe : describe.skip)('ganeti-rapi', () => {
  const trusted = (): Partial<RemoteContext> => ({
    caFile: file('rapi.pem'),
    credentialsFile: file('credentials'),
  });

  it("reads all jobs with their locks' times where the user may query, in one request", async () => {
    const fake = fakeOf('query');
    const { findings } = await poll(await start(fake), trusted());
    expect(idsOf(findings)).toEqual(ALL);
    expect(movesOf(findings)[1]).toMatchObject({
      source_node: 'gn2.example.org',
      duration_seconds: 25.25,
      memory_mib: 4096,
    });
    expect(fake.asked.filter((asked) => asked.includes('/2/jobs'))).toEqual([]);
  });

  it('asks for single jobs where the user may not query, and only for those that moved something', async () => {
    const fake = fakeOf('jobs');
    const { findings } = await poll(await start(fake), { caFile: file('rapi.pem') });
    expect(idsOf(findings)).toEqual(ALL);
    expect(movesOf(findings)[0]).toMatchObject({
      source_node: 'gn1.example.org',
      labels: { start_from: 'first log line' },
    });
    expect(fake.asked).not.toContain('GET /2/jobs/4700');
  });

  it('makes do with the list alone, and says that the waits for locks are in its durations', async () => {
    const { findings } = await poll(await start(fakeOf('list')), { caFile: file('rapi.pem') });
    expect(movesOf(findings)[0]).toMatchObject({
      id: 'ganeti:default:job-4711:0',
      source_node: 'gn1.example.org', // where the job that made it put it
      memory_mib: 4096,
      labels: { start_from: 'job start, with its wait for locks' },
    });
  });

  it('goes on from its checkpoint: nothing twice, and what ran before when it has ended', async () => {
    const fake = fakeOf('query');
    const url = await start(fake);
    const first = await poll(url, trusted());
    const again = await poll(url, { ...trusted(), checkpoint: first.checkpoint });
    expect(again.findings).toEqual([]);
    const running = fake.jobs.find(({ id }) => id === 4718)!;
    const op = running.ops[0]!;
    op['status'] = 'success';
    op['end_timestamp'] = running['end_timestamp'] = [1780005045, 500000];
    const later = await poll(url, { ...trusted(), checkpoint: again.checkpoint });
    expect(idsOf(later.findings)).toEqual(['4718:0']);
    expect(movesOf(later.findings)[0]).toMatchObject({ duration_seconds: 16 });
  });

  it('begins anew when another cluster answers', async () => {
    const fake = fakeOf('query');
    const url = await start(fake);
    const { checkpoint } = await poll(url, trusted());
    fake.uuid = 'u2';
    expect(idsOf((await poll(url, { ...trusted(), checkpoint })).findings)).toEqual(ALL);
  });

  it('trusts no certificate but the given one, also under the same name', async () => {
    const url = await start(fakeOf('query'));
    await expect(poll(url, { ...trusted(), caFile: file('other.pem') })).rejects.toThrow(
      /certificate is not trusted/,
    );
    await expect(poll(url, { credentialsFile: file('credentials') })).rejects.toThrow(
      /certificate is not trusted/,
    );
  });

  it('says that a password is refused, and never says the password', async () => {
    const url = await start(fakeOf('query'));
    const error = await poll(url, { ...trusted(), credentialsFile: file('wrong') }).catch(
      (thrown: unknown) => thrown,
    );
    expect(String(error)).toMatch(/refuses the user or the password/);
    expect(String(error)).not.toMatch(/nonsense/);
    const inUrl = await poll(url.replace('https://', `https://${USER}:nonsense@`), {
      caFile: file('rapi.pem'),
    }).catch((thrown: unknown) => thrown);
    expect(String(inUrl)).not.toMatch(/nonsense/);
  });

  it('stops when it is told to', async () => {
    const stop = new AbortController();
    stop.abort();
    await expect(poll(await start(fakeOf('query')), { ...trusted(), signal: stop.signal })).rejects.toThrow(
      /abort/i,
    );
  });
});

describe('ganeti-rapi without TLS', () => {
  it('reads plain HTTP on the loopback, with a password too', async () => {
    expect(
      idsOf(
        (await poll(await start(fakeOf('query'), true), { credentialsFile: file('credentials') })).findings,
      ),
    ).toEqual(ALL);
  });

  it('sends no password over plain HTTP to another machine', async () => {
    await expect(poll('http://192.0.2.1:5080', { credentialsFile: file('credentials') })).rejects.toThrow(
      /does not go over plain HTTP/,
    );
  });

  it.each([
    ['not a host', /is no URL/],
    ['ftp://127.0.0.1', /is no protocol/],
    ['https://127.0.0.1:1', /connection refused/],
  ])('says what is wrong with %s in one sentence', async (url, sentence) => {
    await expect(poll(url)).rejects.toThrow(sentence);
  });

  it('names a file that is not there, or holds no pair', async () => {
    await expect(poll('https://127.0.0.1:1', { credentialsFile: file('absent') })).rejects.toThrow(
      /absent: no such file/,
    );
    await expect(poll('https://127.0.0.1:1', { caFile: file('credentials') })).rejects.toThrow(
      /holds no certificate/,
    );
    await expect(poll('https://127.0.0.1:1', { credentialsFile: file('open') })).rejects.toThrow(
      /open: others may read .*chmod/,
    );
  });
});
