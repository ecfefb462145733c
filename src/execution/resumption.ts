import type { PlanMove } from '../domain/plan.js';
import type { JobState } from '../ganeti/job-state.js';
import type { AuditIntent, OpenSubmission } from './audit-log.js';
import { Flight } from './flight.js';
import { tokenOf } from './job-comment.js';
import { commandsOf } from './move-commands.js';
import type { PlanRun } from './plan-run.js';

/**
 * What earlier executions left: jobs that are in the queue become moves under way, the others are noted, and nothing is
 * done again. Returns the jobs to watch.
 */
export async function resume(run: PlanRun, left: readonly OpenSubmission[]): Promise<number[]> {
  if (left.length === 0) return [];
  const first = Math.min(...left.map(({ job, newestJob }) => job ?? newestJob + 1));
  const jobs = await run.client.jobsFrom(first);
  const found: number[] = [];
  for (const submission of left) {
    const job = await jobOf(run, submission, jobs);
    if (job === undefined) await noteMissing(run, submission);
    else {
      await adopt(run, submission, job);
      found.push(job.id);
    }
  }
  if (run.flights.size > 0 && run.settings.replan !== undefined)
    run.replanWhy = 'moves of an earlier execution were still under way';
  return found;
}

async function jobOf(
  run: PlanRun,
  { intent, job: number, newestJob }: OpenSubmission,
  jobs: readonly JobState[],
): Promise<JobState | undefined> {
  return (
    jobs.find(({ id }) => id === number) ??
    jobs.find((each) => each.id > newestJob && tokenOf(each) === intent.token) ??
    (number === undefined ? undefined : await run.client.job(number))
  );
}

async function noteMissing(run: PlanRun, { intent: { token }, job }: OpenSubmission): Promise<void> {
  await run.audit.write(
    job === undefined
      ? { event: 'not-submitted', token, why: 'not in the queue at the next start' }
      : { event: 'ended', token, job, status: 'unknown', why: 'no longer in the queue' },
  );
}

async function adopt(run: PlanRun, { intent, job: number }: OpenSubmission, job: JobState): Promise<void> {
  const { token, instance } = intent;
  if (number === undefined) await run.audit.write({ event: 'submitted', token, job: job.id });
  const move = moveOf(intent);
  const command = commandsOf(move, true)[intent.step] ?? { kind: 'migrate', instance };
  const flight = new Flight(move, [command], job.startMs ?? run.clock.now(), { isAdopted: true });
  flight.adopt(token, job);
  run.flights.add(flight);
  run.ownJobs.add(job.id);
  run.tell({ event: 'adopt', instance, job: job.id });
}

/** A move as far as the audit log tells it: of no plan, and without predictions. */
const moveOf = ({ instance, letters, from, to, score_after, command }: AuditIntent): PlanMove => ({
  index: -1,
  instance,
  letters,
  from,
  to,
  after: [],
  start_seconds: 0,
  end_seconds: { p50: 0, p90: 0 },
  score_after,
  steps: [],
  commands: [command],
});
