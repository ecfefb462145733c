import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { checkServerIdentity } from 'node:tls';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { ClusterLedger } from './cluster-ledger.js';
import { noteInstances } from './cluster-snapshot.js';
import type { GanetiJob } from './sources/ganeti-job.js';
import { findingsOfJob, isMoveJob, readJob, readQueryReply } from './sources/ganeti-job.js';
import type { Finding, RemoteBatch, RemoteContext, RemoteSource, SourceContext } from './sources/source.js';

/** hbal's own limits: 15 s for the connection would be part of these 60 s for a whole request. */
const REQUEST_TIMEOUT_MS = 60_000;
/** A bulk reply for some 100,000 jobs; a longer one is not from a job queue that cleans up after itself. */
const LONGEST_REPLY_BYTES = 256 << 20;
/** Findings of so many jobs go on together. */
const JOBS_A_BATCH = 500;
/** Jobs that have not ended are asked for again; further ones are found again by their end only. */
const MOST_PENDING = 1000;

const QUERY_FIELDS = [
  'id',
  'status',
  'summary',
  'received_ts',
  'start_ts',
  'end_ts',
  'opstart',
  'opexec',
  'opend',
  'opstatus',
  'oplog',
  'opresult',
  'ops',
  'archived',
];

/** From where the next poll goes on. */
interface Checkpoint {
  cluster_uuid?: string;
  last_id: number;
  /** Jobs up to `last_id` that had not ended yet. */
  pending: number[];
  ledger: unknown;
}

/** Ganeti's job queue over its remote API: jobs that ended since the last poll, with sizes and places of instances. */
export const ganetiRapiSource: RemoteSource = {
  name: 'ganeti-rapi',
  summary: "Ganeti's jobs over its remote API, such as https://master:5080, polled from a checkpoint",
  version: 1,
  tellsEveryMove: true,
  poll,
};

async function* poll(url: string, context: RemoteContext): AsyncIterable<RemoteBatch> {
  const rapi = new Rapi(url, context);
  try {
    const before = checkpointOf(context.checkpoint);
    const clusterUuid = await rapi.clusterUuid();
    const isOther =
      before.cluster_uuid !== undefined && clusterUuid !== undefined && before.cluster_uuid !== clusterUuid;
    const from: Checkpoint = isOther ? { last_id: 0, pending: [], ledger: undefined } : before;
    const ledger = ClusterLedger.from(from.ledger);
    const nowMs = context.now();
    const jobs = await rapi.jobs(from);
    // Asked for after the jobs: an instance that a job moved meanwhile is then not taken to have been there before.
    noteInstances(ledger, await rapi.get('/2/instances?bulk=1'), nowMs);
    const lastId = jobs.reduce((last, { id }) => Math.max(last, id), from.last_id);
    const pending = jobs
      .filter((job) => !hasEnded(job))
      .map(({ id }) => id)
      .slice(0, MOST_PENDING);
    const ended = jobs.filter(hasEnded).sort((a, b) => (a.endMs ?? 0) - (b.endMs ?? 0) || a.id - b.id);
    const source: SourceContext = { ...context, fileName: rapi.address, nowMs, ledger };
    // Until the last batch is stored, a restart asks for all of them again: their ids make them known.
    let findings: Finding[] = [];
    for (const [index, job] of ended.entries()) {
      findings.push(...findingsOfJob(job, source, 1));
      if ((index + 1) % JOBS_A_BATCH === 0 && index + 1 < ended.length) {
        yield { findings, checkpoint: before };
        findings = [];
      }
    }
    const checkpoint: Checkpoint = { last_id: lastId, pending, ledger: ledger.toJSON() };
    if (clusterUuid !== undefined) checkpoint.cluster_uuid = clusterUuid;
    yield { findings, checkpoint };
  } finally {
    rapi.close();
  }
}

function checkpointOf(value: unknown): Checkpoint {
  const { last_id: lastId, pending, cluster_uuid: uuid, ledger } = (value ?? {}) as Partial<Checkpoint>;
  const checkpoint: Checkpoint = {
    last_id: typeof lastId === 'number' && Number.isSafeInteger(lastId) ? lastId : 0,
    pending: Array.isArray(pending) ? pending.filter((id) => Number.isSafeInteger(id)) : [],
    ledger,
  };
  if (typeof uuid === 'string') checkpoint.cluster_uuid = uuid;
  return checkpoint;
}

const ENDED = new Set(['success', 'error', 'canceled']);

const hasEnded = (job: GanetiJob): boolean =>
  job.opcodes.every(({ status }) => ENDED.has(status)) || job.endMs !== undefined;

/** An answer that is no success. */
class Refused extends Error {
  constructor(readonly status: number) {
    super(`HTTP ${status}`);
  }
}

/** One connection to a cluster's remote API. Errors: `UserError` without secrets. */
class Rapi {
  /** The URL without a user's name and password. */
  readonly address: string;
  private readonly base: URL;
  private readonly agent: HttpAgent | HttpsAgent;
  private readonly authorization: string | undefined;
  private readonly signal: AbortSignal;

  constructor(url: string, context: RemoteContext) {
    this.base = addressOf(url);
    this.address = `${this.base.protocol}//${this.base.host}`;
    this.signal = context.signal;
    this.authorization = authorizationOf(this.base, context.credentialsFile);
    const isLoopback = /^(?:localhost|127\.|\[::1\])/.test(this.base.hostname);
    if (this.base.protocol === 'http:' && this.authorization !== undefined && !isLoopback)
      throw new UserError(
        'not-allowed',
        `${this.address}: a password does not go over plain HTTP; give an https address`,
      );
    this.agent =
      this.base.protocol === 'https:'
        ? new HttpsAgent({ keepAlive: true, maxSockets: 1, ...trust(context.caFile) })
        : new HttpAgent({ keepAlive: true, maxSockets: 1 });
  }

  close(): void {
    this.agent.destroy();
  }

  async clusterUuid(): Promise<string | undefined> {
    const info = await this.get('/2/info');
    const uuid = (info as { uuid?: unknown } | null)?.uuid;
    return typeof uuid === 'string' ? uuid : undefined;
  }

  /** Jobs after the checkpoint and those still pending then, as complete as this user may see them. */
  async jobs(from: Checkpoint): Promise<GanetiJob[]> {
    const newer = ['>', 'id', from.last_id];
    const qfilter =
      from.pending.length === 0 ? newer : ['|', newer, ...from.pending.map((id) => ['=', 'id', id])];
    try {
      const reply = await this.call('PUT', '/2/query/job', { fields: QUERY_FIELDS, qfilter });
      if (typeof reply === 'object' && reply !== null && 'data' in reply)
        return readQueryReply(reply).filter((job) => isWanted(job, from));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
    // Without the right to query: the list, and for what ended in it each job alone, since the list holds no logs.
    const list = await this.get('/2/jobs?bulk=1');
    if (!Array.isArray(list))
      throw new UserError(
        'service-unavailable',
        `${this.address}: answers /2/jobs with something else than a list; is it Ganeti's remote API?`,
      );
    const jobs: GanetiJob[] = [];
    for (const item of list as unknown[]) {
      const job = readJob(item);
      if (job === undefined || !isWanted(job, from)) continue;
      const whole =
        hasEnded(job) && isMoveJob(job) ? readJob(await this.tryGet(`/2/jobs/${job.id}`)) : undefined;
      jobs.push(whole ?? job);
    }
    return jobs;
  }

  /** A GET that must succeed. */
  async get(path: string): Promise<unknown> {
    try {
      return await this.call('GET', path);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 401 || error.status === 403)
        throw new UserError(
          'service-unavailable',
          `${this.address}: refuses the user or the password; give a file with user:password that may read`,
        );
      throw new UserError(
        'service-unavailable',
        `${this.address}: answers ${path} with HTTP ${error.status}; is it Ganeti's remote API?`,
      );
    }
  }

  private async tryGet(path: string): Promise<unknown> {
    try {
      return await this.call('GET', path);
    } catch (error) {
      if (error instanceof Refused) return undefined;
      throw error;
    }
  }

  private async call(method: string, path: string, body?: unknown): Promise<unknown> {
    const text = await this.exchange(method, path, body === undefined ? undefined : JSON.stringify(body));
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw new UserError(
        'service-unavailable',
        `${this.address}: answers ${path} with something else than JSON; is it Ganeti's remote API?`,
      );
    }
  }

  private exchange(method: string, path: string, body: string | undefined): Promise<string> {
    const { address, agent, authorization, base, signal } = this;
    const options: RequestOptions = {
      method,
      agent,
      host: base.hostname.replace(/^\[|\]$/g, ''),
      port: base.port === '' ? undefined : base.port,
      path: `${base.pathname.replace(/\/$/, '')}${path}`,
      headers: {
        accept: 'application/json',
        ...(authorization === undefined ? {} : { authorization }),
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
    };
    return new Promise((resolve, reject) => {
      const failed = (error: unknown): void => reject(signal.aborted ? error : unavailable(address, error));
      const request = (base.protocol === 'https:' ? httpsRequest : httpRequest)(options, (response) => {
        readAll(response, address).then(
          (text) => {
            const status = response.statusCode ?? 0;
            if (status >= 200 && status < 300) resolve(text);
            else reject(new Refused(status));
          },
          (error: unknown) => (error instanceof UserError ? reject(error) : failed(error)),
        );
      });
      request.on('error', failed);
      request.end(body);
    });
  }
}

const isWanted = (job: GanetiJob, from: Checkpoint): boolean =>
  job.id > from.last_id || from.pending.includes(job.id);

async function readAll(response: IncomingMessage, address: string): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > LONGEST_REPLY_BYTES) {
      response.destroy();
      throw new UserError(
        'too-large',
        `${address}: answers with more than ${LONGEST_REPLY_BYTES >> 20} MiB; archive old jobs with gnt-job autoarchive`,
      );
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function addressOf(url: string): URL {
  let address: URL;
  try {
    address = new URL(url);
  } catch {
    throw new UserError(
      'usage',
      'ganeti-rapi needs the address of the remote API, such as https://master.example.com:5080',
    );
  }
  if (address.protocol !== 'https:' && address.protocol !== 'http:')
    throw new UserError(
      'usage',
      `ganeti-rapi: ${address.protocol.slice(0, 20)} is no protocol of the remote API; give https://master.example.com:5080`,
    );
  if (address.port === '' && address.protocol === 'https:' && !/:443(?:\/|$)/.test(url))
    address.port = '5080';
  return address;
}

function authorizationOf(base: URL, credentialsFile: string | undefined): string | undefined {
  let pair: string | undefined;
  if (credentialsFile !== undefined) {
    const line = readText(credentialsFile, 'user and password').split(/\r?\n/, 1)[0]!.trim();
    const m = /^([^\s:]+)[:\s]\s*(.+)$/.exec(line);
    if (m === null)
      throw new UserError('input-invalid', `${credentialsFile}: needs user:password in its first line`);
    pair = `${m[1]}:${m[2]}`;
  } else if (base.username !== '')
    pair = `${decodeURIComponent(base.username)}:${decodeURIComponent(base.password)}`;
  return pair === undefined ? undefined : `Basic ${Buffer.from(pair).toString('base64')}`;
}

/**
 * Whom to trust. Ganeti makes a certificate for itself that names another host ("ganeti.example.com"): given that very
 * certificate as authority, the name does not matter, since nobody else holds its key.
 */
function trust(caFile: string | undefined): {
  ca?: string;
  checkServerIdentity?: typeof checkServerIdentity;
} {
  if (caFile === undefined) return {};
  const ca = readText(caFile, 'certificate');
  const pinned = new Set<string>();
  for (const [pem] of ca.matchAll(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g)) {
    try {
      pinned.add(new X509Certificate(pem).fingerprint256);
    } catch {
      throw new UserError(
        'input-invalid',
        `${caFile}: holds a certificate that cannot be read; give it as PEM`,
      );
    }
  }
  if (pinned.size === 0)
    throw new UserError('input-invalid', `${caFile}: holds no certificate; give it as PEM`);
  return {
    ca,
    checkServerIdentity: (host, certificate) =>
      pinned.has(certificate.fingerprint256) ? undefined : checkServerIdentity(host, certificate),
  };
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UserError(
      'input-unreadable',
      `${systemErrorSentence(error, path)}; name the file with the ${what}`,
    );
  }
}

const TRUST_ERRORS = /^(?:SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|CERT_|ERR_TLS_CERT)/;

function unavailable(address: string, error: unknown): UserError {
  const code = String((error as { code?: unknown } | null)?.code ?? '');
  const name = (error as { name?: unknown } | null)?.name;
  if (name === 'TimeoutError' || code === 'ABORT_ERR')
    return new UserError(
      'service-unavailable',
      `${address}: does not answer within ${REQUEST_TIMEOUT_MS / 1000} s; is the master up?`,
    );
  if (TRUST_ERRORS.test(code))
    return new UserError(
      'service-unavailable',
      `${address}: its certificate is not trusted (${code}); give its authority, or for Ganeti's own the certificate itself, as --ca FILE`,
    );
  return new UserError(
    'service-unavailable',
    `${systemErrorSentence(error, address)}; is it the address of Ganeti's remote API?`,
  );
}
