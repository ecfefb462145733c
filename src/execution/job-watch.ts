import { UserError } from '../domain/errors.js';
import type { MoveRecord } from '../domain/move-record.js';
import { hasEnded, type JobState } from '../ganeti/job-state.js';
import { placeText } from './cluster-state.js';
import type { Flight, FlightStep } from './flight.js';
import type { ForeignJobs } from './foreign-jobs.js';
import { commandText, secondsOf } from './move-commands.js';
import type { PlanRun } from './plan-run.js';
import type { Submissions } from './submissions.js';

/** A job hangs when it takes so many times its p90, and at least so long. */
const HANG_FACTOR = 5;
const LEAST_HANG_MS = 600_000;
/** Between looks at the queue: something may have ended, or nothing is expected to. */
const SHORT_PAUSE_MS = 1000;
const LONG_PAUSE_MS = 10_000;

/** Watches the job queue: what our jobs come to, and that somebody else's are seen. */
export class JobWatch {
  readonly #run: PlanRun;
  readonly #submissions: Submissions;
  readonly #foreign: ForeignJobs;
  #newestJob = 0;
  /** Jobs before this one have nothing to tell any more. */
  #firstJob = 1;
  /** The server may be asked to answer only when a job changes. */
  #hasWait = true;

  constructor(run: PlanRun, submissions: Submissions, foreign: ForeignJobs) {
    this.#run = run;
    this.#submissions = submissions;
    this.#foreign = foreign;
  }

  /** The first look, before anything of ours is in the queue; returns the number of the newest job. */
  async begin(): Promise<number> {
    const jobs = await this.#run.client.jobs();
    this.#newestJob = Math.max(0, ...jobs.map(({ id }) => id));
    this.#foreign.begin(jobs);
    this.#firstJob = this.#firstToWatch();
    return this.#newestJob;
  }

  /** A job of an earlier execution is to be watched too. */
  include(job: number): void {
    this.#firstJob = Math.min(this.#firstJob, job);
  }

  /** Looks at the queue. False where the master did not answer. */
  async look(): Promise<boolean> {
    const run = this.#run;
    const jobs = await run.master.reach('queue', () => run.client.jobsFrom(this.#firstJob));
    if (jobs === undefined) return false;
    const newestBefore = this.#newestJob;
    this.#newestJob = Math.max(newestBefore, ...jobs.map(({ id }) => id));
    for (const flight of run.flights) {
      for (const step of flight.steps) {
        if (step.lostMs !== undefined && step.job === undefined)
          await this.#submissions.find(flight, step, jobs);
        if (step.job === undefined || step.isClosed) continue;
        await this.#see(flight, step, jobs);
      }
      if (!run.flights.has(flight)) continue; // put back
      if (flight.hasLanded(run.mayStart)) await this.#land(flight);
      else await this.#watchTime(flight);
    }
    for (const job of jobs) if (!run.ownJobs.has(job.id)) await this.#submissions.takeLate(job);
    await this.#foreign.see(jobs, newestBefore);
    this.#firstJob = this.#firstToWatch();
    return true;
  }

  #firstToWatch(): number {
    const flights = [...this.#run.flights];
    if (this.#submissions.mayComeLate || flights.some(({ isInDoubt }) => isInDoubt)) return this.#firstJob;
    const open = flights.flatMap(({ openJobs }) => openJobs);
    return Math.min(this.#newestJob + 1, ...open, ...this.#foreign.open);
  }

  async #see(flight: Flight, step: FlightStep, jobs: readonly JobState[]): Promise<void> {
    const run = this.#run;
    const id = step.job!;
    const job =
      jobs.find((each) => each.id === id) ?? (await run.master.reach('job', () => run.client.job(id)));
    if (job === undefined) {
      if (run.master.isAway('job') || ++step.seenMissing < 2) return;
      step.isClosed = true;
      flight.failure ??= `job ${id} vanished from the queue`;
      await run.note({ event: 'ended', token: step.token!, job: id, status: 'vanished' });
      await run.stop(`job ${id}, the move of ${flight.move.instance}, vanished from the queue`);
      return;
    }
    step.seenMissing = 0;
    step.state = job;
    if (hasEnded(job)) await this.#close(flight, step, job);
  }

  /** A job has ended: into the audit log, into the store, and on. */
  async #close(flight: Flight, step: FlightStep, seen: JobState): Promise<void> {
    const run = this.#run;
    const job = await run.master.reach('job', () => run.client.wholeJob(seen.id));
    if (job === undefined) return; // asked again at the next look
    step.isClosed = true;
    step.state = job;
    const { instance, letters } = flight.move;
    const records = await this.#store(job);
    const seconds =
      records[0]?.duration_seconds ??
      Math.max(0, ((job.endMs ?? 0) - (job.startMs ?? job.endMs ?? 0)) / 1000);
    await run.note({
      event: 'ended',
      token: step.token!,
      job: job.id,
      status: job.status,
      seconds,
      ...(job.failure === undefined ? {} : { why: job.failure }),
    });
    if (job.status === 'success') {
      const predicted = step.predicted;
      if (predicted !== undefined && !flight.isOffPace)
        run.pace.note(predicted.operation, seconds, predicted.duration_seconds);
      const command = commandText(step.command);
      run.tell({ event: 'step', instance, letters, job: job.id, command, seconds });
      return;
    }
    if (run.isTakenBack(job.id)) {
      flight.failure ??= 'it was taken back';
      return;
    }
    const why = job.status === 'canceled' ? 'somebody cancelled it' : (job.failure ?? 'no reason is given');
    if (flight.failure === undefined) {
      flight.failure = why;
      run.tell({ event: 'fail', instance, letters, job: job.id, why });
      run.excluded.add(instance);
      await run.unforeseen(`the move of ${instance} failed (job ${job.id}: ${why})`);
    }
  }

  async #store(job: JobState): Promise<MoveRecord[]> {
    const run = this.#run;
    try {
      const records = await run.finished.take(job.reply);
      run.records.push(...records);
      return records;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      run.tell({ event: 'remark', why: `${error.message}; collect finds job ${job.id} later` });
      return [];
    }
  }

  /** A move is over, in one way or another. */
  async #land(flight: Flight): Promise<void> {
    const run = this.#run;
    run.flights.delete(flight);
    if (flight.isAdopted) return;
    const { move, startedMs, nodes, isDone } = flight;
    const { instance, letters } = move;
    const endMs = Math.max(startedMs, ...flight.steps.map(({ state }) => state?.endMs ?? 0));
    run.past.push({ instance, nodes, state: isDone ? 'done' : 'failed', startMs: startedMs, endMs });
    if (isDone) {
      if (flight.ofPlan === run.plans) run.ended.add(move.index);
      run.done++;
      const seconds = Math.round(endMs - startedMs) / 1000;
      const { done, pending } = run;
      run.tell({ event: 'finish', instance, letters, seconds, done, left: pending.length });
      return;
    }
    if (flight.steps.some(({ state }) => state?.status === 'success'))
      run.halfDone.push(`the move of ${instance} to ${placeText(move.to)}`);
    const wasTakenBack = flight.steps.every(({ job }) => job === undefined || run.isTakenBack(job));
    if (wasTakenBack || flight.failure === undefined) await run.putBack(flight);
    else run.failed++;
  }

  /** Takes back what waits so long that it would not end in time, and tells of what hangs. */
  async #watchTime(flight: Flight): Promise<void> {
    const run = this.#run;
    const nowMs = run.clock.now();
    const { move, startedMs } = flight;
    const p90Ms = secondsOf(move, 'p90') * 1000;
    if (!flight.isAdopted && flight.openJobs.length > 0 && flight.hasNotBegun && run.endsTooLate(move))
      await run.takeBack(flight, 'it waited so long that it would not end in time');
    if (flight.hangs || flight.openJobs.length === 0) return;
    const sinceMs = flight.runningStep?.sinceMs ?? startedMs;
    if (nowMs - sinceMs < Math.max(LEAST_HANG_MS, HANG_FACTOR * p90Ms)) return;
    flight.hangs = true;
    run.tell({
      event: 'remark',
      why: `job ${flight.openJobs[0]} (${move.instance}) has taken ${Math.round((nowMs - sinceMs) / 1000)} s, at most ${Math.round(p90Ms / 1000)} s were predicted`,
    });
  }

  /** Until something may have changed: at the server where one job is all there is to wait for, else for a while. */
  async pause(): Promise<void> {
    const run = this.#run;
    const { clock, flights } = run;
    const nowMs = clock.now();
    if (await this.#waitsAtServer()) return;
    const { stop, leave } = run.settings;
    const signals = [stop, leave].flatMap((signal) => (signal?.aborted === false ? [signal] : []));
    let untilMs = nowMs + LONG_PAUSE_MS;
    for (const { move, startedMs } of flights) {
      const p50Ms = startedMs + secondsOf(move, 'p50') * 1000;
      untilMs = Math.min(untilMs, p50Ms < nowMs ? nowMs + SHORT_PAUSE_MS * 2 : p50Ms);
    }
    await clock.sleep(Math.max(SHORT_PAUSE_MS, untilMs - nowMs), AbortSignal.any(signals));
  }

  /** Lets the server answer when the one running job changes; true where that was a pause. */
  async #waitsAtServer(): Promise<boolean> {
    const { flights, master, clock, client } = this.#run;
    const [flight, ...others] = flights;
    if (flight === undefined || others.length > 0 || flight.isInDoubt) return false;
    if (!this.#hasWait || !master.isWhole) return false;
    const step = flight.steps.find(({ job, isClosed }) => job !== undefined && !isClosed);
    if (step?.state?.status !== 'running') return false;
    const { status } = step.state;
    const sinceMs = clock.now();
    const hasChanged = await master.reach('queue', () => client.jobChanges(step.job!, status));
    if (hasChanged === true || clock.now() - sinceMs > SHORT_PAUSE_MS) return true;
    if (hasChanged === false) this.#hasWait = false; // a server that gives no such answer
    return false;
  }
}
