import { hostname, userInfo } from 'node:os';
import type { Plan, PlanMove } from '../domain/plan.js';
import type { RapiClient } from '../ganeti/rapi-client.js';
import type { OpenSubmission } from './audit-log.js';
import type { ExecutionReport } from './execution-settings.js';
import { viewOf } from './execution-view.js';
import { ForeignJobs } from './foreign-jobs.js';
import { JobWatch } from './job-watch.js';
import { LiveCluster } from './live-cluster.js';
import { nodesOf } from './move-commands.js';
import { PlanRun, type PlanRunOptions } from './plan-run.js';
import { Replanning } from './replanning.js';
import { resume } from './resumption.js';
import { Submissions } from './submissions.js';

/** Ganeti's own default of jobs that run at once. */
const MOST_AT_ONCE = 20;
/** A state that was asked for longer ago is asked for again before a move starts on it. */
const FRESH_MS = 30_000;

/** Carries out one plan, in one loop: look at the queue, start what may start, wait. */
export class Execution {
  readonly #run: PlanRun;
  readonly #cluster: LiveCluster;
  readonly #submissions: Submissions;
  readonly #foreign: ForeignJobs;
  readonly #watch: JobWatch;
  readonly #replanning: Replanning;
  readonly #mostAtOnce: number;

  constructor(plan: Plan, client: RapiClient, options: PlanRunOptions) {
    const run = new PlanRun(plan, client, options);
    this.#run = run;
    this.#cluster = new LiveCluster(run);
    this.#submissions = new Submissions(run);
    this.#foreign = new ForeignJobs(run, this.#cluster);
    this.#watch = new JobWatch(run, this.#submissions, this.#foreign);
    this.#replanning = new Replanning(run, this.#cluster);
    this.#mostAtOnce = options.settings.mostAtOnce ?? MOST_AT_ONCE;
  }

  /** Carries the plan out. `left`: what earlier executions left open. */
  async run(left: readonly OpenSubmission[]): Promise<ExecutionReport> {
    const run = this.#run;
    const { stop, onProgress } = run.settings;
    await this.#begin(left);
    for (;;) {
      if (run.isLeft) {
        run.stopWhy = 'told to leave at once';
        break;
      }
      if (stop?.aborted === true) await run.stop('told to stop');
      const isSeen = await this.#watch.look();
      if (run.isBlind) break;
      if (isSeen && run.mayStart) await this.#proceed();
      onProgress?.(viewOf(run));
      if (run.flights.size === 0 && (!run.mayStart || run.pending.length === 0)) break;
      if (this.#onlyHangs()) break;
      await this.#watch.pause();
    }
    return this.#end();
  }

  async #begin(left: readonly OpenSubmission[]): Promise<void> {
    const run = this.#run;
    const { name, master, uuid } = await this.#cluster.begin();
    const newestJob = await this.#watch.begin();
    await run.audit.write({
      event: 'begin',
      cluster: { name, master, ...(uuid === undefined ? {} : { uuid }) },
      who: { user: userName(), host: hostname(), pid: process.pid },
      newest_job: newestJob,
      why: 'balance --execute',
    });
    run.tell({ event: 'begin', cluster: name, master, execution: run.audit.execution });
    for (const job of await resume(run, left)) this.#watch.include(job);
    await run.tellPlan('asked for');
  }

  /** Starts what may start now. */
  async #proceed(): Promise<void> {
    const run = this.#run;
    this.#replanning.watchPace();
    if (!(await this.#replanning.replan())) return;
    for (const flight of run.flights)
      if (flight.nextStep !== undefined) await this.#submissions.submitSteps(flight);
    if (!run.mayStart || run.pending.length === 0) return;
    const { startable, isHeld } = this.#startable();
    if (startable.length === 0) {
      if (run.flights.size === 0 && !isHeld)
        await run.stop(
          run.pending.some((move) => run.endsTooLate(move))
            ? 'the time is up: what is left would not end in time'
            : 'no move that is left can start',
        );
      return;
    }
    const state = await this.#cluster.fresh();
    if (state === undefined) return;
    for (const move of startable) {
      if (!run.mayStart || run.settings.stop?.aborted === true) return;
      if (this.#cluster.ageMs > FRESH_MS) return; // on a new state, at the next look
      if (run.openJobCount + move.steps.length > this.#mostAtOnce && run.flights.size > 0) return;
      if (run.isBusy(nodesOf(move)) || run.endsTooLate(move)) continue;
      const refusal = state.refusalOf(move, run.settings.ignoreSoftErrors === true);
      if (refusal === undefined) {
        await this.#submissions.start(move, state);
        if (run.master.isAway('submission')) return;
      } else if (refusal.kind === 'gone' || refusal.kind === 'offline') return run.stop(refusal.sentence);
      else return run.unforeseen(refusal.sentence);
    }
  }

  /**
   * Moves whose turn it is: what they wait for is done, their nodes are free, they would end in time. `isHeld`: others
   * wait for somebody else's jobs only.
   */
  #startable(): { startable: PlanMove[]; isHeld: boolean } {
    const run = this.#run;
    let isHeld = false;
    const startable = run.pending.filter((move) => {
      if (!move.after.every((index) => run.ended.has(index))) return false;
      const nodes = nodesOf(move);
      if (run.isBusy(nodes) || run.endsTooLate(move)) return false;
      if (this.#foreign.holderOf(move, nodes) === undefined) return true;
      isHeld = true;
      return false;
    });
    return { startable, isHeld };
  }

  /** True, and the execution stopped, when nothing but jobs that hang is left to wait for. */
  #onlyHangs(): boolean {
    const run = this.#run;
    if (run.flights.size === 0 || [...run.flights].some(({ hangs }) => !hangs)) return false;
    if (run.mayStart && this.#startable().startable.length > 0) return false;
    run.stopWhy ??= 'what is left waits for jobs that do not end';
    return true;
  }

  async #end(): Promise<ExecutionReport> {
    const run = this.#run;
    const state =
      run.isBlind || run.isLeft
        ? undefined
        : await run.master.reach('state', () => this.#cluster.ask()).catch(() => undefined);
    const report = reportOf(run, state?.score);
    const { outcome, why, done, failed, left, stillRunning } = report;
    const score = report.score === undefined ? {} : { score: report.score };
    await run.note({
      event: 'end',
      why,
      done,
      left,
      ...score,
      still_running: stillRunning.map(({ job }) => job),
    });
    run.tell({ event: 'end', outcome, why, done, failed, left, ...score, still_running: stillRunning });
    return report;
  }
}

/** How a run ended, in figures and in one sentence. */
function reportOf(run: PlanRun, score: number | undefined): ExecutionReport {
  const { stopWhy, halfDone, done, failed } = run;
  const flights = [...run.flights];
  const stillRunning = flights.flatMap(({ move, openJobs }) =>
    openJobs.map((job) => ({ instance: move.instance, job })),
  );
  const inDoubt = flights.filter(({ isInDoubt }) => isInDoubt).map(({ move }) => move.instance);
  const left = run.pending.length;
  const isWhole = stopWhy === undefined;
  const clauses: [isSaid: boolean, clause: string][] = [
    [true, stopWhy ?? 'the plan is carried out'],
    [
      stillRunning.length > 0,
      `still running: ${stillRunning.map(({ instance, job }) => `job ${job} (${instance})`).join(', ')}`,
    ],
    [inDoubt.length > 0, `in doubt, look in the job queue: ${inDoubt.join(', ')}`],
    [halfDone.length > 0, `made in part: ${halfDone.join(', ')}`],
    [!isWhole || failed > 0, `${done} moves done, ${failed} failed, ${left} left`],
  ];
  const why = clauses.flatMap(([isSaid, clause]) => (isSaid ? [clause] : [])).join('; ');
  return { outcome: isWhole ? 'done' : 'stopped', why, done, failed, left, score, stillRunning };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'unknown';
  }
}
