import { UserError } from '../domain/errors.js';
import { JOB_QUERY_FIELDS, JOB_QUERY_PATH } from '../ganeti/job-query.js';
import { RapiClient } from '../ganeti/rapi-client.js';
import { RapiError } from '../ganeti/rapi-error.js';
import { ClusterLedger } from './cluster-ledger.js';
import { noteInstances } from './cluster-snapshot.js';
import type { GanetiJob } from './sources/ganeti-job.js';
import { findingsOfJob, isMoveJob, readJob, readQueryReply } from './sources/ganeti-job.js';
import type { Finding, RemoteBatch, RemoteContext, RemoteSource, SourceContext } from './sources/source.js';

/** Findings of so many jobs go on together. */
const JOBS_A_BATCH = 500;
/** Jobs that have not ended are asked for again; further ones are found again by their end only. */
const MOST_PENDING = 1000;

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
  const rapi = new RapiClient(url, context);
  try {
    const before = checkpointOf(context.checkpoint);
    const { uuid } = ((await rapi.get('/2/info')) ?? {}) as { uuid?: unknown };
    const clusterUuid = typeof uuid === 'string' ? uuid : undefined;
    const isOther =
      before.cluster_uuid !== undefined && clusterUuid !== undefined && before.cluster_uuid !== clusterUuid;
    const from: Checkpoint = isOther ? { last_id: 0, pending: [], ledger: undefined } : before;
    const ledger = ClusterLedger.from(from.ledger);
    const nowMs = context.now();
    const jobs = await jobsSince(rapi, from);
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

/** Jobs after the checkpoint and those still pending then, as complete as this user may see them. */
async function jobsSince(rapi: RapiClient, from: Checkpoint): Promise<GanetiJob[]> {
  const newer = ['>', 'id', from.last_id];
  const qfilter =
    from.pending.length === 0 ? newer : ['|', newer, ...from.pending.map((id) => ['=', 'id', id])];
  const reply = await unlessRefused(rapi.ask('PUT', JOB_QUERY_PATH, { fields: JOB_QUERY_FIELDS, qfilter }));
  if (typeof reply === 'object' && reply !== null && 'data' in reply)
    return readQueryReply(reply).filter((job) => isWanted(job, from));
  // Without the right to query: the list, and for what ended in it each job alone, since the list holds no logs.
  const list = await rapi.get('/2/jobs?bulk=1');
  if (!Array.isArray(list))
    throw new UserError(
      'service-unavailable',
      `${rapi.address}: answers /2/jobs with something else than a list; is it Ganeti's remote API?`,
    );
  const jobs: GanetiJob[] = [];
  for (const item of list as unknown[]) {
    const job = readJob(item);
    if (job === undefined || !isWanted(job, from)) continue;
    const whole =
      hasEnded(job) && isMoveJob(job)
        ? readJob(await unlessRefused(rapi.get(`/2/jobs/${job.id}`)))
        : undefined;
    jobs.push(whole ?? job);
  }
  return jobs;
}

/** The answer, or undefined where the server gives another one than success. */
async function unlessRefused(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof RapiError && error.status !== undefined) return undefined;
    throw error;
  }
}

const isWanted = (job: GanetiJob, from: Checkpoint): boolean =>
  job.id > from.last_id || from.pending.includes(job.id);
