import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { z } from 'zod';
import { UserError } from '../domain/errors.js';
import * as field from '../domain/fields.js';
import { wallClock, type Clock } from './clock.js';
import { JOB_QUERY_FIELDS, JOB_QUERY_PATH, rowsOfQuery } from './job-query.js';
import { jobStateOf, type JobState } from './job-state.js';
import { isLoopback, rapiAddress, shownAddress } from './rapi-address.js';
import { authorizationFromAddress, authorizationFromFile } from './rapi-credentials.js';
import { answerError, connectionError, RapiError } from './rapi-error.js';
import { authorityOf, fingerprintBytes, PinnedAgent, type Trust } from './rapi-trust.js';

/** hbal's own limit for a whole request, its connection with it. */
const REQUEST_TIMEOUT_MS = 60_000;
/** A bulk reply on some 50,000 instances or 100,000 jobs. */
const LONGEST_REPLY_BYTES = 256 << 20;
/** A GET that failed in passing is made again after these times. */
const RETRY_AFTER_MS = [1000, 3000];
/** Ganeti serves 20 clients at once; the rest is for others. */
const MOST_CONNECTIONS = 4;

export interface RapiClientOptions extends Trust {
  /** File with `user:password` in its first line; wins over a user in the address. */
  credentialsFile?: string | undefined;
  /**
   * False: a server to which no password is sent need not prove who it is, as in hbal, since Ganeti's own certificate
   * is self-signed. @default true
   */
  verifyAlways?: boolean;
  /** Aborts what is under way and everything after it. */
  signal?: AbortSignal | undefined;
  clock?: Clock;
}

/** What the cluster says of itself, as far as we need it. */
export interface ClusterInfo {
  name: string;
  /** The node that is master now. */
  master: string;
  uuid: string | undefined;
  version: string | undefined;
}

const infoSchema = z.object({
  name: field.name,
  master: field.name,
  uuid: z.string().optional(),
  software_version: z.string().optional(),
});

/** The four replies that tell a cluster's state; `clusterFromRapi` in the balancer's room reads them. */
export interface ClusterReplies {
  groups: unknown;
  nodes: unknown;
  instances: unknown;
  info: unknown;
}

/** A change of one instance that Ganeti makes as one job of one opcode. */
export type GanetiCommand =
  | {
      /** A running instance, by the hypervisor's default mode; never shuts it down. `targetNode` only on shared storage. */
      kind: 'migrate';
      instance: string;
      targetNode?: string | undefined;
    }
  | {
      /** Shuts the instance down where it runs, and starts it at its new place if it is to be up. */
      kind: 'failover';
      instance: string;
      targetNode?: string | undefined;
    }
  | { kind: 'replace-disks'; instance: string; newSecondary: string };

export interface Submission {
  /** Stands in the job, so that it can be found again: the queue shows it. */
  comment: string;
  /** Jobs that must have ended in success before this one begins; where one fails, so does this. */
  after?: readonly number[];
}

/**
 * Ganeti's remote API, version 2, of one cluster. Tolerates fields that versions add or leave out. What changes
 * something is sent once only, on a connection of its own; what asks is asked again when it fails in passing.
 * Errors: `RapiError`, or `UserError` for wrong options; never with a secret.
 */
export class RapiClient {
  /** The address without a user's name and password. */
  readonly address: string;
  readonly #base: URL;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #authorization: string | undefined;
  readonly #kept: HttpAgent;
  readonly #fresh: HttpAgent;

  constructor(
    address: string,
    {
      caFile,
      pinSha256,
      credentialsFile,
      verifyAlways = true,
      signal = new AbortController().signal,
      clock = wallClock,
    }: RapiClientOptions = {},
  ) {
    this.#base = rapiAddress(address);
    this.address = shownAddress(this.#base);
    this.#clock = clock;
    this.#signal = signal;
    this.#authorization =
      credentialsFile === undefined
        ? authorizationFromAddress(this.#base)
        : authorizationFromFile(credentialsFile);
    const isSecure = this.#base.protocol === 'https:';
    if (!isSecure && this.#authorization !== undefined && !isLoopback(this.#base))
      throw new UserError(
        'not-allowed',
        `${this.address}: a password does not go over plain HTTP; give an https address`,
      );
    const pin = pinSha256 === undefined ? undefined : fingerprintBytes(pinSha256);
    const verify = verifyAlways || this.#authorization !== undefined || caFile !== undefined;
    const tls = { ...authorityOf(caFile), rejectUnauthorized: verify };
    const agent = (keepAlive: boolean): HttpAgent => {
      const options = { keepAlive, maxSockets: MOST_CONNECTIONS };
      if (!isSecure) return new HttpAgent(options);
      return pin === undefined ? new HttpsAgent({ ...options, ...tls }) : new PinnedAgent(pin, options);
    };
    this.#kept = agent(true);
    this.#fresh = agent(false);
  }

  /** True when requests carry a user and password. */
  get hasCredentials(): boolean {
    return this.#authorization !== undefined;
  }

  /** Frees the connections. */
  close(): void {
    this.#kept.destroy();
    this.#fresh.destroy();
  }

  async info(): Promise<ClusterInfo> {
    const parsed = infoSchema.safeParse(await this.get('/2/info'));
    if (!parsed.success) throw this.#notGaneti('/2/info');
    const { name, master, uuid, software_version: version } = parsed.data;
    return { name, master, uuid, version };
  }

  /** `/2/groups`, `/2/nodes`, `/2/instances` (in bulk) and `/2/info`, asked for at once. */
  async clusterReplies(): Promise<ClusterReplies> {
    const [groups, nodes, instances, info] = await Promise.all(
      ['/2/groups?bulk=1', '/2/nodes?bulk=1', '/2/instances?bulk=1', '/2/info'].map((path) => this.get(path)),
    );
    return { groups, nodes, instances, info };
  }

  /** All jobs that are not archived, without their logs. */
  async jobs(): Promise<JobState[]> {
    const reply = await this.get('/2/jobs?bulk=1');
    if (!Array.isArray(reply)) throw this.#notGaneti('/2/jobs');
    return (reply as unknown[]).map(jobStateOf).filter((job) => job !== undefined);
  }

  /**
   * Jobs from a number on, archived ones too where this user may query them; else those that are not archived. Their
   * replies hold logs where queried.
   */
  async jobsFrom(firstId: number): Promise<JobState[]> {
    const rows = await this.#queryJobs(['>', 'id', firstId - 1]);
    const jobs = rows === undefined ? await this.jobs() : rows.map(jobStateOf);
    return jobs.filter((job) => job !== undefined).filter(({ id }) => id >= firstId);
  }

  /** One job as complete as this user may see it: with its opcodes' own times where it may query. */
  async wholeJob(id: number): Promise<JobState | undefined> {
    const [row] = (await this.#queryJobs(['=', 'id', id])) ?? [];
    return (row === undefined ? undefined : jobStateOf(row)) ?? this.job(id);
  }

  /** Rows of jobs, or undefined where this user may not query. */
  async #queryJobs(qfilter: unknown): Promise<Record<string, unknown>[] | undefined> {
    try {
      return rowsOfQuery(await this.ask('PUT', JOB_QUERY_PATH, { fields: JOB_QUERY_FIELDS, qfilter }));
    } catch (error) {
      if (!(error instanceof RapiError) || error.status === undefined || error.isPassing) throw error;
      return undefined;
    }
  }

  /** One job with its log, archived or not; undefined when the queue does not have it. */
  async job(id: number): Promise<JobState | undefined> {
    let reply: unknown;
    try {
      reply = await this.get(`/2/jobs/${id}`);
    } catch (error) {
      if (error instanceof RapiError && error.status === 404) return undefined;
      throw error;
    }
    const job = jobStateOf(reply);
    if (job === undefined) throw this.#notGaneti(`/2/jobs/${id}`);
    return job;
  }

  /**
   * Waits at the server until a job changes from a status, for some 10 s at most; needs the right to write. Returns
   * whether it changed; false where the server gives no such answer, or has no such job.
   */
  async jobChanges(id: number, from: JobState['status']): Promise<boolean> {
    try {
      const reply = await this.ask('GET', `/2/jobs/${id}/wait`, {
        fields: ['status'],
        previous_job_info: [from],
        // Log lines alone are no change: a number that no log reaches.
        previous_log_serial: 2 ** 31 - 1,
      });
      return reply !== null;
    } catch (error) {
      if (error instanceof RapiError && error.status !== undefined) return false;
      throw error;
    }
  }

  /**
   * Submits a job; returns its number. Sent once only: an error whose `isSurelyNotDone` is false leaves it open whether
   * there is such a job.
   */
  async submit(command: GanetiCommand, { comment, after = [] }: Submission): Promise<number> {
    const common = {
      comment,
      ...(after.length === 0 ? {} : { depends: after.map((id) => [id, ['success']]) }),
    };
    const path = `/2/instances/${this.#segment(command.instance)}/${command.kind}`;
    const reply = await this.#change(
      command.kind === 'replace-disks' ? 'POST' : 'PUT',
      `${path}?reason=${encodeURIComponent(comment)}`,
      { ...bodyOf(command), ...common },
    );
    const id = Number(reply);
    if (Number.isSafeInteger(id) && id > 0 && reply !== null) return id;
    throw new RapiError(
      'service-unavailable',
      `${this.address}: answers a submission with something else than a job's number`,
    );
  }

  /** A name as one part of a path. Dots alone mean another path, encoded too, to whoever tidies it on the way. */
  #segment(instance: string): string {
    if (!/^\.{0,2}$/.test(instance)) return encodeURIComponent(instance);
    throw new RapiError(
      'not-allowed',
      `${this.address}: an instance named "${instance}" has no address of its own in the remote API; rename it`,
      { isSurelyNotDone: true },
    );
  }

  /** Cancels a job whose work has not begun; says whether it could, and Ganeti's words. May be repeated. */
  async cancel(id: number): Promise<{ isCancelled: boolean; words: string }> {
    const reply = await this.#change('DELETE', `/2/jobs/${id}`);
    const [isCancelled, words] = Array.isArray(reply) ? (reply as unknown[]) : [];
    return { isCancelled: isCancelled === true, words: typeof words === 'string' ? words : '' };
  }

  /** A GET that must succeed; made again when it fails in passing. The reply's JSON. */
  async get(path: string): Promise<unknown> {
    return this.ask('GET', path);
  }

  /** A GET, or a PUT that only asks (`/2/query/…`); made again when it fails in passing. */
  async ask(method: 'GET' | 'PUT', path: string, body?: unknown): Promise<unknown> {
    for (const waitMs of RETRY_AFTER_MS) {
      try {
        return await this.#exchange(method, path, body, this.#kept);
      } catch (error) {
        // Who is not there at all is told at once; whoever can wait longer asks again by itself.
        if (!(error instanceof RapiError) || !error.isPassing || error.isSurelyNotDone) throw error;
        await this.#clock.sleep(waitMs, this.#signal);
        this.#signal.throwIfAborted();
      }
    }
    return this.#exchange(method, path, body, this.#kept);
  }

  #change(method: 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<unknown> {
    return this.#exchange(method, path, body, this.#fresh);
  }

  async #exchange(method: string, path: string, body: unknown, agent: HttpAgent): Promise<unknown> {
    const what = `${method === 'GET' ? '' : `${method} `}${path.replace(/\?.*$/, '')}`;
    const { status, text } = await this.#send(
      method,
      path,
      body === undefined ? undefined : JSON.stringify(body),
      agent,
    );
    if (status < 200 || status >= 300) throw answerError(this.address, what, status, text);
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw this.#notGaneti(path);
    }
  }

  #notGaneti(path: string): RapiError {
    return new RapiError(
      'service-unavailable',
      `${this.address}: answers ${path.replace(/\?.*$/, '')} with something that is not JSON of Ganeti's remote API; is it the address of one?`,
    );
  }

  async #send(
    method: string,
    path: string,
    body: string | undefined,
    agent: HttpAgent,
  ): Promise<{ status: number; text: string }> {
    this.#signal.throwIfAborted();
    const base = this.#base;
    const deadline = this.#clock.deadline(REQUEST_TIMEOUT_MS);
    const options: RequestOptions = {
      method,
      agent,
      host: base.hostname.replace(/^\[|\]$/g, ''),
      port: base.port === '' ? undefined : base.port,
      path: `${base.pathname.replace(/\/$/, '')}${path}`,
      headers: {
        accept: 'application/json',
        ...(this.#authorization === undefined ? {} : { authorization: this.#authorization }),
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
      signal: AbortSignal.any([this.#signal, deadline.signal]),
    };
    try {
      return await new Promise((resolve, reject) => {
        const request = (base.protocol === 'https:' ? httpsRequest : httpRequest)(options, (response) => {
          readAll(response, this.address).then(
            (text) => resolve({ status: response.statusCode ?? 0, text }),
            reject,
          );
        });
        request.on('error', reject);
        request.end(body);
      });
    } catch (error) {
      if (this.#signal.aborted) throw error;
      throw connectionError(this.address, error, REQUEST_TIMEOUT_MS);
    } finally {
      deadline.clear();
    }
  }
}

function bodyOf(command: GanetiCommand): Record<string, unknown> {
  const target =
    command.kind === 'replace-disks' || command.targetNode === undefined
      ? {}
      : { target_node: command.targetNode };
  switch (command.kind) {
    case 'migrate':
      return { ...target, allow_failover: false, allow_runtime_changes: false, ignore_hvversions: true };
    case 'failover':
      return target;
    case 'replace-disks':
      return { mode: 'replace_new_secondary', remote_node: command.newSecondary };
  }
}

async function readAll(response: IncomingMessage, address: string): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > LONGEST_REPLY_BYTES) {
      response.destroy();
      throw new RapiError(
        'too-large',
        `${address}: answers with more than ${LONGEST_REPLY_BYTES >> 20} MiB; archive old jobs with gnt-job autoarchive`,
      );
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
