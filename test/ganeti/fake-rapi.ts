import {
  createServer as createPlainServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { FakeCluster, FakeJob } from './fake-cluster.js';

export interface FakeRequest {
  method: string;
  /** Without its query. */
  path: string;
  body: unknown;
}

/** What goes wrong with one request. */
export type FakeFault =
  | { kind: 'status'; status: number; explain?: string }
  /** The clock goes on by so much before the answer. */
  | { kind: 'slow'; seconds: number }
  /** The connection ends in the middle of the answer. */
  | { kind: 'half' }
  /** The connection ends without an answer; nothing was done. */
  | { kind: 'reset' }
  /** What was asked for is done, and the answer is lost. */
  | { kind: 'lost' }
  | { kind: 'redirect'; to: string }
  | { kind: 'not-json' };

export const WRITER = 'writer:wr:ite pw';
export const READER = 'reader:read-pw';

/** Ganeti's remote API of a fake cluster, on the loopback at a free port, with faults on demand. */
export class FakeRapi {
  readonly cluster: FakeCluster;
  /** Decides what goes wrong with a request. */
  faultOf: (request: FakeRequest) => FakeFault | undefined = () => undefined;
  /** Every request, as `GET /2/info`. */
  readonly asked: string[] = [];
  #server: Server | undefined;
  #port = 0;
  readonly #tls: { key: string; cert: string } | undefined;

  constructor(cluster: FakeCluster, tls?: { key: string; cert: string }) {
    this.cluster = cluster;
    this.#tls = tls;
  }

  get url(): string {
    return `${this.#tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}`;
  }

  /** Listens; after `stop`, again at the same port. */
  async start(): Promise<this> {
    const answer = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#answer(request, response);
    const server = this.#tls === undefined ? createPlainServer(answer) : createTlsServer(this.#tls, answer);
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
    return this;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const part of request as AsyncIterable<Buffer>) text += part.toString();
    const { method = 'GET', url = '' } = request;
    const [path = '', query = ''] = url.split('?');
    this.asked.push(`${method} ${url.replace(/\?reason=.*/, '')}`);
    let body: unknown;
    try {
      body = text === '' ? undefined : JSON.parse(text);
    } catch {
      return send(response, 400, failure(400, 'Unable to parse JSON data'));
    }
    const fault = this.faultOf({ method, path, body });
    switch (fault?.kind) {
      case 'status':
        return send(response, fault.status, failure(fault.status, fault.explain ?? ''));
      case 'reset':
        request.socket.destroy();
        return;
      case 'redirect':
        response.writeHead(302, { location: fault.to }).end();
        return;
      case 'not-json':
        response.writeHead(200).end('<html>It works!</html>');
        return;
      case 'slow':
        this.cluster.clock.advance(fault.seconds * 1000);
        break;
      default:
    }
    const { status, value } = this.#do(request, method, path, query, body);
    if (fault?.kind === 'lost') {
      request.socket.destroy();
      return;
    }
    if (fault?.kind === 'half') {
      const whole = JSON.stringify(value);
      response.writeHead(status, { 'content-length': Buffer.byteLength(whole) + 1 });
      response.write(whole.slice(0, whole.length / 2), () => request.socket.destroy());
      return;
    }
    send(response, status, value);
  }

  #do(
    request: IncomingMessage,
    method: string,
    path: string,
    query: string,
    body: unknown,
  ): { status: number; value: unknown } {
    const { cluster } = this;
    const fine = (value: unknown): { status: number; value: unknown } => ({ status: 200, value });
    const error = (status: number, explain = ''): { status: number; value: unknown } => ({
      status,
      value: failure(status, explain),
    });
    const given = request.headers.authorization;
    const user = given === undefined ? '' : Buffer.from(given.replace(/^Basic /, ''), 'base64').toString();
    if (given !== undefined && user !== WRITER && user !== READER) return error(401);
    const needsRead = path.startsWith('/2/query/');
    const needsWrite = (method !== 'GET' && !needsRead) || path.endsWith('/wait');
    if (needsWrite && user !== WRITER) return error(given === undefined ? 401 : 403);
    if (needsRead && given === undefined) return error(401);
    const isBulk = query.includes('bulk=1');
    if (method === 'GET' && path === '/2/info') return fine(cluster.infoReply());
    if (method === 'GET' && path === '/2/features') return fine(['instance-create-reqv1']);
    if (method === 'GET' && path === '/2/groups') return fine(cluster.groupsReply());
    if (method === 'GET' && path === '/2/nodes') return fine(cluster.nodesReply());
    if (method === 'GET' && path === '/2/instances') return fine(cluster.instancesReply());
    const jobs = cluster.jobs.filter(({ isVanished }) => !isVanished);
    if (method === 'GET' && path === '/2/jobs')
      return fine(
        jobs.map((job) => (isBulk ? cluster.jobReply(job, false) : { id: job.id, uri: `/2/jobs/${job.id}` })),
      );
    if (path === '/2/query/job') return fine(queryReply(cluster, jobs, body));
    const one = /^\/2\/jobs\/(\d+)(\/wait)?$/.exec(path);
    if (one !== null) {
      const job = cluster.job(Number(one[1]));
      if (job === undefined) return error(404);
      if (method === 'DELETE') return fine(cluster.cancel(job.id));
      if (one[2] === undefined) return fine(cluster.jobReply(job, true));
      const before = (body as { previous_job_info?: unknown[] } | undefined)?.previous_job_info?.[0];
      cluster.clock.advance(10_000, () => job.status !== before || job.isVanished);
      return fine(job.status === before ? null : { job_info: [job.status], log_entries: [] });
    }
    const command = /^\/2\/instances\/([^/]+)\/(migrate|failover|replace-disks)$/.exec(path);
    if (command !== null && method === (command[2] === 'replace-disks' ? 'POST' : 'PUT')) {
      const unknown = unknownParameter(command[2]!, body);
      if (unknown !== undefined)
        return error(400, `Invalid body parameters: unexpected keyword argument '${unknown}'`);
      if (cluster.queueIsDrained) return error(503, 'Job queue is drained, cannot submit');
      const opcodes: Record<string, string> = {
        migrate: 'OP_INSTANCE_MIGRATE',
        failover: 'OP_INSTANCE_FAILOVER',
        'replace-disks': 'OP_INSTANCE_REPLACE_DISKS',
      };
      return fine(
        cluster.submit({
          ...(body as Record<string, unknown>),
          OP_ID: opcodes[command[2]!]!,
          instance_name: decodeURIComponent(command[1]!),
        }),
      );
    }
    return error(404);
  }
}

const COMMON = ['comment', 'depends', 'priority', 'dry_run', 'debug_level'];
const PARAMETERS: Record<string, string[]> = {
  migrate: [
    'mode',
    'live',
    'target_node',
    'target_node_uuid',
    'allow_runtime_changes',
    'ignore_ipolicy',
    'cleanup',
    'iallocator',
    'allow_failover',
    'ignore_hvversions',
  ],
  failover: [
    'shutdown_timeout',
    'ignore_consistency',
    'target_node',
    'ignore_ipolicy',
    'iallocator',
    'cleanup',
  ],
  'replace-disks': ['mode', 'remote_node', 'disks', 'iallocator', 'early_release', 'ignore_ipolicy'],
};

/** Ganeti takes no parameter that it does not know. */
function unknownParameter(command: string, body: unknown): string | undefined {
  const known = [...COMMON, ...PARAMETERS[command]!];
  return Object.keys((body ?? {}) as object).find((key) => !known.includes(key));
}

function queryReply(cluster: FakeCluster, jobs: readonly FakeJob[], body: unknown): unknown {
  const { fields = [], qfilter } = (body ?? {}) as { fields?: string[]; qfilter?: unknown };
  const wanted = jobs.filter(({ id }) => qfilter === undefined || matches(qfilter, id));
  return {
    fields: fields.map((name) => ({ name, title: name, kind: 'other', doc: '' })),
    data: wanted.map((job) => {
      const row = cluster.queryRow(job);
      return fields.map((name) => (name in row ? [0, row[name]] : [1, null]));
    }),
  };
}

function matches(filter: unknown, id: number): boolean {
  const [operator, ...rest] = filter as [string, ...unknown[]];
  if (operator === '|') return rest.some((part) => matches(part, id));
  return operator === '>' ? id > (rest[1] as number) : id === rest[1];
}

const failure = (status: number, explain: string): unknown => ({
  code: status,
  message: 'Some Error',
  explain,
});

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
