import { hostname, userInfo } from 'node:os';
import type { GroupModel } from '../balancer/group-model.js';
import { UserError } from '../domain/errors.js';
import type { MoveRecord, Operation } from '../domain/move-record.js';
import type { Plan, PlanMove } from '../domain/plan.js';
import { toIsoTime } from '../domain/units.js';
import type { Clock } from '../ganeti/clock.js';
import { hasEnded, isWaiting, type JobState } from '../ganeti/job-state.js';
import type { ClusterInfo, RapiClient } from '../ganeti/rapi-client.js';
import { RapiError } from '../ganeti/rapi-error.js';
import type { AuditEvent, AuditLog, OpenSubmission } from './audit-log.js';
import { ClusterState, placeText, type ModelOf } from './cluster-state.js';
import type { ExecutionEvent, ExecutionNews } from './execution-events.js';
import type { FinishedMoves } from './finished-moves.js';
import { Flight, type FlightStep } from './flight.js';
import { commandsOf, commandText, nodesOf, secondsOf } from './move-commands.js';
import { Pace } from './pace.js';

/** Why and from where a new plan is wanted. */
export interface ReplanRequest {
  /** The group as it is now, with the moves that are under way ended: plan from here. */
  start: GroupModel;
  why: string;
  /** Instances that failed to move: to be left where they are. */
  excluded: ReadonlySet<string>;
  /** Moves that ended since the last plan, to learn from. */
  records: readonly MoveRecord[];
  /** Actual over predicted seconds since the last plan, for predictions that cannot learn. */
  ratio(operation: Operation): number;
  /** Moves that were made or are under way, of all plans. */
  made: number;
  /** What is left of `--max-time` and `--finish-by`; undefined without a limit. */
  remainingSeconds: number | undefined;
}

export interface ExecutionSettings {
  modelOf: ModelOf;
  staticKvmNodeMemory?: number | undefined;
  ignoreSoftErrors?: boolean;
  /** Makes a new plan; undefined: what does not go as planned stops the execution. */
  replan?: ((request: ReplanRequest) => Promise<Plan | undefined>) | undefined;
  /** Nothing starts that would, by its p90, end later. Epoch milliseconds. */
  deadlineMs?: number | undefined;
  /** Jobs at once. @default 20, Ganeti's own limit */
  mostAtOnce?: number;
  /** How long the master may be away. @default 10 minutes */
  patienceMs?: number;
  /** Aborted: nothing new starts, what waits is taken back, what runs is left to finish. */
  stop?: AbortSignal | undefined;
  /** Aborted: the execution ends at once, whatever still runs. */
  leave?: AbortSignal | undefined;
  onEvent?: ((event: ExecutionEvent) => void) | undefined;
  /** Called about once a second. */
  onProgress?: ((view: ExecutionView) => void) | undefined;
}

/** What became of an execution. */
export interface ExecutionReport {
  outcome: 'done' | 'stopped';
  /** One sentence. */
  why: string;
  /** Moves that were made, failed, and were planned but not made. */
  done: number;
  failed: number;
  left: number;
  /** Of the cluster as it is at the end; undefined where it could not be asked. */
  score: number | undefined;
  stillRunning: { instance: string; job: number }[];
}

/** How far an execution is, for a picture of it. Epoch milliseconds; those of what has not ended are expected ones. */
export interface ExecutionView {
  beginMs: number;
  nowMs: number;
  moves: {
    instance: string;
    nodes: readonly string[];
    state: 'pending' | 'running' | 'done' | 'failed';
    startMs: number;
    endMs: number;
  }[];
}

/** Ganeti's own default of jobs that run at once. */
const MOST_AT_ONCE = 20;
const PATIENCE_MS = 600_000;
/** A state that was asked for longer ago is asked for again before a move starts on it. */
const FRESH_MS = 30_000;
/** An answer that was lost: the master's own time-outs are over after so long, and the job is in the queue or will not be. */
const LOST_SETTLE_MS = 120_000;
/** A submission that was lost twice is not tried a third time. */
const MOST_ATTEMPTS = 2;
/** New plans of one execution: more is a cluster that never is as one thinks. */
const MOST_PLANS = 20;
/** A job hangs when it takes so many times its p90, and at least so long. */
const HANG_FACTOR = 5;
const LEAST_HANG_MS = 600_000;
/** Between looks at the queue: something may have ended, or nothing is expected to. */
const SHORT_PAUSE_MS = 1000;
const LONG_PAUSE_MS = 10_000;

const OTHER_PACE = 'moves do not take as long as was predicted';
/** Scores nearer than this are the same, but for rounding and for figures read anew. */
const SAME_SCORE = 1e-4;

const COMMENT = 'movecast';

/** What the master is asked, as far as one may fail while another does not. */
type Asked = 'queue' | 'job' | 'state' | 'submission';

/** Somebody else's job that is under way. */
interface ForeignJob {
  id: number;
  instances: string[];
  nodes: string[];
}

/** One run of a plan. Everything happens in one loop, one thing after another: nothing in here is concurrent. */
export class Execution {
  readonly #client: RapiClient;
  readonly #clock: Clock;
  readonly #settings: ExecutionSettings;
  readonly #audit: AuditLog;
  readonly #finished: FinishedMoves;
  readonly #beginMs: number;
  #info!: ClusterInfo;
  #plan: Plan;
  #pending: PlanMove[];
  /** Indexes of moves of the present plan that have ended. */
  #ended = new Set<number>();
  readonly #flights = new Set<Flight>();
  readonly #past: ExecutionView['moves'] = [];
  readonly #excluded = new Set<string>();
  readonly #attempts = new Map<string, number>();
  /** Tokens of submissions that did not show up in the queue, should they do so later. */
  readonly #givenUp = new Map<string, PlanMove>();
  readonly #ownJobs = new Set<number>();
  readonly #cancelled = new Set<number>();
  #foreign: ForeignJob[] = [];
  readonly #heldBy = new Map<string, number>();
  #newestJob = 0;
  #firstJob = 1;
  #online: Set<string> | undefined;
  #lastState: ClusterState | undefined;
  /** When the last state was answered. */
  #stateMs = 0;
  #records: MoveRecord[] = [];
  readonly #pace = new Pace();
  readonly #lateFlights = new Set<Flight>();
  readonly #hung = new Set<Flight>();
  #sequence = 0;
  #plans = 1;
  #replanWhy: string | undefined;
  #stopWhy: string | undefined;
  /** The cluster cannot be watched any more. */
  #isBlind = false;
  /** What gets no answer, since when. */
  readonly #outages = new Map<Asked, number>();
  #hasWait = true;
  #score: number | undefined;
  #done = 0;
  #failed = 0;
  #halfDone: string[] = [];

  constructor(
    plan: Plan,
    client: RapiClient,
    {
      settings,
      clock,
      audit,
      finished,
    }: { settings: ExecutionSettings; clock: Clock; audit: AuditLog; finished: FinishedMoves },
  ) {
    this.#plan = plan;
    this.#pending = [...plan.moves];
    this.#client = client;
    this.#settings = settings;
    this.#clock = clock;
    this.#audit = audit;
    this.#finished = finished;
    this.#beginMs = clock.now();
  }

  /** Carries the plan out. `left`: what earlier executions left open. */
  async run(left: readonly OpenSubmission[]): Promise<ExecutionReport> {
    await this.#begin(left);
    for (;;) {
      if (this.#settings.leave?.aborted === true) {
        this.#stopWhy = 'told to leave at once';
        break;
      }
      if (this.#settings.stop?.aborted === true) await this.#stop('told to stop');
      const isSeen = await this.#poll();
      if (this.#isBlind) break;
      if (isSeen && this.#stopWhy === undefined) await this.#proceed();
      this.#settings.onProgress?.(this.view());
      if (this.#flights.size === 0 && (this.#stopWhy !== undefined || this.#pending.length === 0)) break;
      if (this.#onlyHangs()) break;
      await this.#pause();
    }
    return this.#end();
  }

  /** How far it is. O(moves²) at worst. */
  view(): ExecutionView {
    const nowMs = this.#clock.now();
    const moves = [...this.#past];
    const freeMs = new Map<string, number>();
    const take = (
      { instance, nodes }: { instance: string; nodes: readonly string[] },
      state: 'running' | 'pending',
      startMs: number,
      endMs: number,
    ): void => {
      for (const node of nodes) freeMs.set(node, endMs);
      moves.push({ instance, nodes, state, startMs, endMs });
    };
    for (const { move, nodes, startedMs } of this.#flights) {
      const expectedMs = startedMs + secondsOf(move, 'p50') * 1000;
      take({ instance: move.instance, nodes }, 'running', startedMs, Math.max(nowMs, expectedMs));
    }
    for (const move of this.#pending) {
      const nodes = nodesOf(move);
      const startMs = Math.max(nowMs, ...nodes.map((node) => freeMs.get(node) ?? 0));
      take({ instance: move.instance, nodes }, 'pending', startMs, startMs + secondsOf(move, 'p50') * 1000);
    }
    return { beginMs: this.#beginMs, nowMs, moves };
  }

  // Beginning and end.

  async #begin(left: readonly OpenSubmission[]): Promise<void> {
    this.#info = await this.#client.info();
    const jobs = await this.#client.jobs();
    this.#newestJob = Math.max(0, ...jobs.map(({ id }) => id));
    const active = jobs.filter((job) => !hasEnded(job)).map(({ id }) => id);
    this.#firstJob = Math.min(this.#newestJob + 1, ...active);
    await this.#audit.write({
      event: 'begin',
      cluster: {
        name: this.#info.name,
        master: this.#info.master,
        ...(this.#info.uuid === undefined ? {} : { uuid: this.#info.uuid }),
      },
      who: { user: userName(), host: hostname(), pid: process.pid },
      newest_job: this.#newestJob,
      why: 'balance --execute',
    });
    this.#tell({
      event: 'begin',
      cluster: this.#info.name,
      master: this.#info.master,
      execution: this.#audit.execution,
    });
    await this.#adopt(left);
    await this.#tellPlan('asked for');
  }

  /** What earlier executions left: jobs that still run are watched, those that ended are noted, nothing is done again. */
  async #adopt(left: readonly OpenSubmission[]): Promise<void> {
    if (left.length === 0) return;
    const first = Math.min(...left.map(({ job, newestJob }) => job ?? newestJob + 1));
    const jobs = await this.#client.jobsFrom(first);
    for (const { intent, job: number, newestJob } of left) {
      const job =
        jobs.find(({ id }) => id === number) ??
        jobs.find((each) => each.id > newestJob && tokenOf(each) === intent.token) ??
        (number === undefined ? undefined : await this.#client.job(number));
      if (job === undefined) {
        await this.#audit.write(
          number === undefined
            ? { event: 'not-submitted', token: intent.token, why: 'not in the queue at the next start' }
            : {
                event: 'ended',
                token: intent.token,
                job: number,
                status: 'unknown',
                why: 'no longer in the queue',
              },
        );
        continue;
      }
      if (number === undefined)
        await this.#audit.write({ event: 'submitted', token: intent.token, job: job.id });
      const move: PlanMove = {
        index: -1,
        instance: intent.instance,
        letters: intent.letters,
        from: intent.from,
        to: intent.to,
        after: [],
        start_seconds: 0,
        end_seconds: { p50: 0, p90: 0 },
        score_after: intent.score_after,
        steps: [],
        commands: [intent.command],
      };
      const command = commandsOf(move, true)[intent.step] ?? { kind: 'migrate', instance: intent.instance };
      const flight = new Flight(move, [command], job.startMs ?? this.#clock.now(), { isAdopted: true });
      Object.assign(flight.steps[0]!, { token: intent.token, job: job.id, state: job });
      this.#flights.add(flight);
      this.#ownJobs.add(job.id);
      this.#firstJob = Math.min(this.#firstJob, job.id);
      this.#tell({ event: 'adopt', instance: intent.instance, job: job.id });
    }
    if (this.#flights.size > 0 && this.#settings.replan !== undefined)
      this.#replanWhy = 'moves of an earlier execution were still under way';
  }

  async #end(): Promise<ExecutionReport> {
    if (!this.#isBlind && this.#settings.leave?.aborted !== true) {
      const state = await this.#reach('state', () => this.#askState()).catch(() => undefined);
      this.#score = state?.score;
    }
    const stillRunning = [...this.#flights].flatMap(({ move, openJobs }) =>
      openJobs.map((job) => ({ instance: move.instance, job })),
    );
    const inDoubt = [...this.#flights].filter(({ isInDoubt }) => isInDoubt).map(({ move }) => move.instance);
    const left = this.#pending.length;
    const whole = this.#stopWhy === undefined;
    const words = [
      this.#stopWhy ?? 'the plan is carried out',
      ...(stillRunning.length === 0
        ? []
        : [
            `still running: ${stillRunning.map(({ instance, job }) => `job ${job} (${instance})`).join(', ')}`,
          ]),
      ...(inDoubt.length === 0 ? [] : [`in doubt, look in the job queue: ${inDoubt.join(', ')}`]),
      ...(this.#halfDone.length === 0 ? [] : [`made in part: ${this.#halfDone.join(', ')}`]),
      ...(whole && this.#failed === 0
        ? []
        : [`${this.#done} moves done, ${this.#failed} failed, ${left} left`]),
    ];
    const report: ExecutionReport = {
      outcome: whole ? 'done' : 'stopped',
      why: words.join('; '),
      done: this.#done,
      failed: this.#failed,
      left,
      score: this.#score,
      stillRunning,
    };
    const score = report.score === undefined ? {} : { score: report.score };
    await this.#note({
      event: 'end',
      why: report.why,
      done: report.done,
      left,
      ...score,
      still_running: stillRunning.map(({ job }) => job),
    });
    const { outcome, why, done, failed } = report;
    this.#tell({ event: 'end', outcome, why, done, failed, left, ...score, still_running: stillRunning });
    return report;
  }

  async #tellPlan(why: string): Promise<void> {
    const plan = this.#plan;
    const { moves, score_before, score_after, duration_seconds } = plan;
    await this.#audit.write({
      event: 'plan',
      why,
      moves: moves.length,
      score_before,
      score_after,
      seconds: duration_seconds,
    });
    this.#tell({ event: 'plan', why, plan });
  }

  /** Nothing new starts from here on; the first reason counts. */
  async #stop(why: string): Promise<void> {
    if (this.#stopWhy !== undefined) return;
    this.#stopWhy = why;
    this.#tell({ event: 'stop', why, running: this.#flights.size });
    for (const flight of this.#flights) if (flight.hasNotBegun) await this.#takeBack(flight, why);
  }

  /** Cancels the jobs of a move that has not begun. Where the first has begun meanwhile, all go on. */
  async #takeBack(flight: Flight, why: string): Promise<void> {
    const { instance, letters } = flight.move;
    for (const { token, job, isClosed } of flight.steps) {
      if (job === undefined || token === undefined || isClosed || this.#cancelled.has(job)) continue;
      if (!(await this.#note({ event: 'cancel', token, job, why }))) return;
      try {
        if (!(await this.#client.cancel(job)).isCancelled) return;
      } catch (error) {
        if (!(error instanceof RapiError) && this.#settings.leave?.aborted !== true) throw error;
        return;
      }
      this.#cancelled.add(job);
      this.#tell({ event: 'cancel', instance, letters, job, why });
    }
  }

  // Watching.

  /** Looks at the queue. False where the master did not answer. */
  async #poll(): Promise<boolean> {
    const jobs = await this.#reach('queue', () => this.#client.jobsFrom(this.#firstJob));
    if (jobs === undefined) return false;
    this.#newestJob = Math.max(this.#newestJob, ...jobs.map(({ id }) => id));
    for (const flight of this.#flights) {
      for (const step of flight.steps) {
        if (step.lostMs !== undefined && step.job === undefined) await this.#findLost(flight, step, jobs);
        if (step.job === undefined || step.isClosed) continue;
        await this.#see(flight, step, jobs);
      }
      if (!this.#flights.has(flight)) continue; // put back
      if (flight.hasLanded(this.#stopWhy === undefined)) this.#land(flight);
      else await this.#watchTime(flight);
    }
    await this.#seeForeign(jobs);
    this.#firstJob = this.#firstToWatch();
    return true;
  }

  #firstToWatch(): number {
    if (this.#givenUp.size > 0 || [...this.#flights].some(({ isInDoubt }) => isInDoubt))
      return this.#firstJob;
    const open = [...this.#flights].flatMap(({ openJobs }) => openJobs);
    return Math.min(this.#newestJob + 1, ...open, ...this.#foreign.map(({ id }) => id));
  }

  /** A submission whose answer was lost: the queue says whether it was taken. */
  async #findLost(flight: Flight, step: FlightStep, jobs: readonly JobState[]): Promise<void> {
    const job = jobs.find((each) => tokenOf(each) === step.token);
    if (job !== undefined) {
      step.job = job.id;
      step.lostMs = undefined;
      this.#ownJobs.add(job.id);
      await this.#note({ event: 'submitted', token: step.token!, job: job.id });
      this.#tell({ event: 'remark', why: `the lost answer was job ${job.id} (${flight.move.instance})` });
      return;
    }
    if (this.#clock.now() - step.lostMs! < LOST_SETTLE_MS) return;
    const { move } = flight;
    await this.#note({ event: 'not-submitted', token: step.token!, why: 'it never came into the queue' });
    this.#givenUp.set(step.token!, move);
    step.lostMs = undefined;
    step.token = undefined;
    const attempts = (this.#attempts.get(move.instance) ?? 0) + 1;
    this.#attempts.set(move.instance, attempts);
    if (flight.steps[0] === step) this.#putBack(flight);
    if (attempts >= MOST_ATTEMPTS)
      await this.#stop(`the submission of the move of ${move.instance} was lost ${attempts} times`);
  }

  #putBack(flight: Flight): void {
    this.#flights.delete(flight);
    if (!flight.isAdopted) this.#pending.unshift(flight.move);
  }

  async #see(flight: Flight, step: FlightStep, jobs: readonly JobState[]): Promise<void> {
    const id = step.job!;
    const job = jobs.find((each) => each.id === id) ?? (await this.#reach('job', () => this.#client.job(id)));
    if (job === undefined) {
      if (this.#outages.has('job') || ++step.seenMissing < 2) return;
      step.isClosed = true;
      flight.failure ??= `job ${id} vanished from the queue`;
      await this.#note({ event: 'ended', token: step.token!, job: id, status: 'vanished' });
      await this.#stop(`job ${id}, the move of ${flight.move.instance}, vanished from the queue`);
      return;
    }
    step.seenMissing = 0;
    step.state = job;
    if (hasEnded(job)) await this.#close(flight, step, job);
  }

  /** A job has ended: into the audit log, into the store, and on. */
  async #close(flight: Flight, step: FlightStep, seen: JobState): Promise<void> {
    const job = await this.#reach('job', () => this.#client.wholeJob(seen.id));
    if (job === undefined) return; // asked again at the next look
    step.isClosed = true;
    step.state = job;
    const { move } = flight;
    const records = await this.#store(job);
    const seconds =
      records[0]?.duration_seconds ??
      Math.max(0, ((job.endMs ?? 0) - (job.startMs ?? job.endMs ?? 0)) / 1000);
    await this.#note({
      event: 'ended',
      token: step.token!,
      job: job.id,
      status: job.status,
      seconds,
      ...(job.failure === undefined ? {} : { why: job.failure }),
    });
    const { instance, letters } = move;
    if (job.status === 'success') {
      const predicted = step.predicted;
      if (predicted !== undefined && !this.#lateFlights.has(flight))
        this.#pace.note(predicted.operation, seconds, predicted.duration_seconds);
      this.#tell({
        event: 'step',
        instance,
        letters,
        job: job.id,
        command: commandText(step.command),
        seconds,
      });
      return;
    }
    if (this.#cancelled.has(job.id)) {
      flight.failure ??= 'it was taken back';
      return;
    }
    const why = job.status === 'canceled' ? 'somebody cancelled it' : (job.failure ?? 'no reason is given');
    if (flight.failure === undefined) {
      flight.failure = why;
      this.#tell({ event: 'fail', instance, letters, job: job.id, why });
      this.#excluded.add(instance);
      await this.#unforeseen(`the move of ${instance} failed (job ${job.id}: ${why})`);
    }
  }

  async #store(job: JobState): Promise<MoveRecord[]> {
    try {
      const records = await this.#finished.take(job.reply);
      this.#records.push(...records);
      return records;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.#tell({ event: 'remark', why: `${error.message}; collect finds job ${job.id} later` });
      return [];
    }
  }

  /** A move is over, in one way or another. */
  #land(flight: Flight): void {
    this.#flights.delete(flight);
    this.#hung.delete(flight);
    const { move, startedMs, nodes } = flight;
    const { instance, letters } = move;
    const endMs = Math.max(startedMs, ...flight.steps.map(({ state }) => state?.endMs ?? 0));
    const isDone = flight.isDone;
    if (!flight.isAdopted)
      this.#past.push({ instance, nodes, state: isDone ? 'done' : 'failed', startMs: startedMs, endMs });
    const succeeded = flight.steps.some(({ state }) => state?.status === 'success');
    if (flight.isAdopted) return;
    if (isDone) {
      this.#ended.add(move.index);
      this.#done++;
      const seconds = Math.round(endMs - startedMs) / 1000;
      this.#tell({
        event: 'finish',
        instance,
        letters,
        seconds,
        done: this.#done,
        left: this.#pending.length,
      });
      return;
    }
    if (succeeded) this.#halfDone.push(`the move of ${instance} to ${placeText(move.to)}`);
    const wasTakenBack = flight.steps.every(({ job }) => job === undefined || this.#cancelled.has(job));
    if (wasTakenBack || flight.failure === undefined) this.#pending.unshift(move);
    else this.#failed++;
  }

  /** Takes back what waits so long that it would not end in time, and tells of what hangs. */
  async #watchTime(flight: Flight): Promise<void> {
    const nowMs = this.#clock.now();
    const { move, startedMs } = flight;
    const p90Ms = secondsOf(move, 'p90') * 1000;
    if (!flight.isAdopted && flight.openJobs.length > 0 && flight.hasNotBegun && this.#endsTooLate(move))
      await this.#takeBack(flight, 'it waited so long that it would not end in time');
    if (this.#hung.has(flight) || flight.openJobs.length === 0) return;
    const sinceMs = flight.runningStep?.sinceMs ?? startedMs;
    if (nowMs - sinceMs < Math.max(LEAST_HANG_MS, HANG_FACTOR * p90Ms)) return;
    this.#hung.add(flight);
    this.#tell({
      event: 'remark',
      why: `job ${flight.openJobs[0]} (${move.instance}) has taken ${Math.round((nowMs - sinceMs) / 1000)} s, at most ${Math.round(p90Ms / 1000)} s were predicted`,
    });
  }

  /** True, and the execution stopped, when nothing but jobs that hang is left to wait for. */
  #onlyHangs(): boolean {
    if (this.#flights.size === 0 || this.#hung.size < this.#flights.size) return false;
    if (this.#stopWhy === undefined && this.#startable().length > 0) return false;
    this.#stopWhy ??= 'what is left waits for jobs that do not end';
    return true;
  }

  /** Jobs of somebody else: another balancer ends the execution, anything else holds back what it touches. */
  async #seeForeign(jobs: readonly JobState[]): Promise<void> {
    this.#foreign = [];
    for (const job of jobs) {
      if (this.#ownJobs.has(job.id) || hasEnded(job)) continue;
      const token = tokenOf(job);
      const late = token === undefined ? undefined : this.#givenUp.get(token);
      if (late !== undefined) {
        await this.#takeLate(job, token!, late);
        continue;
      }
      const isBalancer = job.opcodes.some(
        ({ askedBy, comment }) =>
          askedBy === 'hbal' || comment?.startsWith('rebalancing via hbal') === true || token !== undefined,
      );
      const instances = job.opcodes.flatMap(({ instance }) => instance ?? []);
      if (isBalancer)
        await this.#stop(
          `another balancer is at work (job ${job.id}${instances.length === 0 ? '' : ` on ${instances.join(', ')}`}); wait for its end`,
        );
      this.#foreign.push({ id: job.id, instances, nodes: job.opcodes.flatMap(({ nodes }) => nodes) });
    }
  }

  /** A submission that was believed lost is there after all. */
  async #takeLate(job: JobState, token: string, move: PlanMove): Promise<void> {
    this.#givenUp.delete(token);
    await this.#note({ event: 'submitted', token, job: job.id });
    const flight = new Flight(move, [commandsOf(move, true)[0]!], this.#clock.now(), { isAdopted: true });
    Object.assign(flight.steps[0]!, { token, job: job.id, state: job });
    this.#flights.add(flight);
    this.#ownJobs.add(job.id);
    await this.#stop(`a submission of ${move.instance} that was believed lost came late (job ${job.id})`);
    if (isWaiting(job)) await this.#takeBack(flight, 'it came late');
  }

  // Going on.

  /** Starts what may start now. */
  async #proceed(): Promise<void> {
    await this.#watchPace();
    if (this.#replanWhy !== undefined && !(await this.#replan(this.#replanWhy))) return;
    for (const flight of this.#flights) if (flight.nextStep !== undefined) await this.#submitSteps(flight);
    if (this.#stopWhy !== undefined || this.#pending.length === 0) return;
    const startable = this.#startable();
    if (startable.length === 0) {
      if (this.#flights.size === 0 && this.#heldBy.size === 0)
        await this.#stop(
          this.#pending.some((move) => this.#endsTooLate(move))
            ? 'the time is up: what is left would not end in time'
            : 'no move that is left can start',
        );
      return;
    }
    const state = await this.#freshState();
    if (state === undefined) return;
    for (const move of startable) {
      if (this.#stopWhy !== undefined || this.#settings.stop?.aborted === true) return;
      if (this.#clock.now() - this.#stateMs > FRESH_MS) return; // on a new state, at the next look
      if (this.#openJobCount() + move.steps.length > this.#most() && this.#flights.size > 0) return;
      if (this.#isBusy(nodesOf(move)) || this.#endsTooLate(move)) continue;
      const refusal = state.refusalOf(move, this.#settings.ignoreSoftErrors === true);
      if (refusal === undefined) {
        await this.#start(move, state);
        if (this.#outages.has('submission')) return;
      } else if (refusal.kind === 'gone' || refusal.kind === 'offline') return this.#stop(refusal.sentence);
      else return this.#unforeseen(refusal.sentence);
    }
  }

  #most(): number {
    return this.#settings.mostAtOnce ?? MOST_AT_ONCE;
  }

  #openJobCount(): number {
    return [...this.#flights].reduce((sum, { openJobs }) => sum + openJobs.length, 0);
  }

  #isBusy(nodes: readonly string[]): boolean {
    return [...this.#flights].some((flight) => flight.nodes.some((node) => nodes.includes(node)));
  }

  /** Moves whose turn it is: what they wait for is done, their nodes are free, they would end in time. */
  #startable(): PlanMove[] {
    this.#heldBy.clear();
    return this.#pending.filter((move) => {
      if (!move.after.every((index) => this.#ended.has(index))) return false;
      const nodes = nodesOf(move);
      if (this.#isBusy(nodes) || this.#endsTooLate(move)) return false;
      const holder = this.#holderOf(move, nodes);
      if (holder === undefined) return true;
      this.#heldBy.set(move.instance, holder);
      return false;
    });
  }

  /** Number of somebody else's job that works on a move's instance or nodes. */
  #holderOf(move: PlanMove, nodes: readonly string[]): number | undefined {
    const { instance, letters } = move;
    const job = this.#foreign.find(
      (each) =>
        each.instances.includes(instance) ||
        each.nodes.some((node) => nodes.includes(node)) ||
        each.instances.some((other) => {
          const place = this.#lastState?.placementOf(other);
          return (
            place !== undefined && [place.primary, place.secondary].some((node) => nodes.includes(node ?? ''))
          );
        }),
    );
    if (job !== undefined && !this.#toldHolds.has(`${instance} ${job.id}`)) {
      this.#toldHolds.add(`${instance} ${job.id}`);
      this.#tell({ event: 'hold', instance, letters, job: job.id });
    }
    return job?.id;
  }

  readonly #toldHolds = new Set<string>();

  #endsTooLate(move: PlanMove): boolean {
    const { deadlineMs } = this.#settings;
    return deadlineMs !== undefined && this.#clock.now() + secondsOf(move, 'p90') * 1000 > deadlineMs;
  }

  async #start(move: PlanMove, state: ClusterState): Promise<void> {
    const flight = new Flight(move, commandsOf(move, state.isRunning(move.instance)), this.#clock.now());
    this.#pending = this.#pending.filter((other) => other !== move);
    this.#flights.add(flight);
    await this.#submitSteps(flight);
    const jobs = flight.openJobs;
    if (jobs.length === 0) return;
    const { instance, letters } = move;
    const predicted = {
      p10: secondsOf(move, 'p10'),
      p50: secondsOf(move, 'p50'),
      p90: secondsOf(move, 'p90'),
    };
    this.#tell({ event: 'start', instance, letters, jobs, predicted_seconds: predicted });
  }

  /** Submits the jobs of a move, each to wait in the queue for the one before. */
  async #submitSteps(flight: Flight): Promise<void> {
    const { move, steps } = flight;
    for (let step = flight.nextStep; step !== undefined; step = flight.nextStep) {
      if (this.#stopWhy !== undefined) return;
      const index = steps.indexOf(step);
      const before = steps[index - 1]?.job;
      const token = `${this.#audit.execution}/${++this.#sequence}`;
      const isNoted = await this.#note({
        event: 'intent',
        token,
        command: commandText(step.command),
        instance: move.instance,
        step: index,
        steps: steps.length,
        from: move.from,
        to: move.to,
        letters: move.letters,
        why: `move ${move.index} of plan ${this.#plans}`,
        score_before:
          move.index > 0 ? (this.#plan.moves[move.index - 1]?.score_after ?? 0) : this.#plan.score_before,
        score_after: move.score_after,
        predicted_seconds: step.predicted?.duration_seconds ?? { p10: 0, p50: 0, p90: 0 },
      });
      if (!isNoted) {
        if (index === 0) this.#putBack(flight);
        return;
      }
      try {
        step.job = await this.#client.submit(step.command, {
          comment: `${COMMENT} ${token}: ${move.letters}, step ${index + 1} of ${steps.length}`,
          after: before === undefined ? [] : [before],
        });
      } catch (error) {
        if (error instanceof RapiError) return this.#notSubmitted(flight, step, token, error);
        if (this.#settings.leave?.aborted !== true) throw error;
        step.token = token;
        step.lostMs = this.#clock.now();
        return;
      }
      step.token = token;
      this.#outages.delete('submission');
      this.#ownJobs.add(step.job);
      this.#newestJob = Math.max(this.#newestJob, step.job);
      await this.#note({ event: 'submitted', token, job: step.job });
    }
  }

  async #notSubmitted(flight: Flight, step: FlightStep, token: string, error: RapiError): Promise<void> {
    const { move, steps } = flight;
    if (!error.isSurelyNotDone) {
      step.token = token;
      step.lostMs = this.#clock.now();
      this.#tell({
        event: 'remark',
        why: `${error.message}; whether it took the job of ${move.instance} is looked up in the queue`,
      });
      return;
    }
    await this.#note({ event: 'not-submitted', token, why: error.message });
    if (steps[0] === step) this.#putBack(flight);
    if (error.isPassing && error.status === undefined) {
      this.#away('submission', error.message);
      return;
    }
    if (steps[0] !== step) flight.failure ??= error.message;
    await this.#stop(`the job of ${move.instance} is not taken: ${error.message}`);
  }

  /** Reality left the plan: a new one, or the end. */
  async #unforeseen(why: string): Promise<void> {
    if (this.#settings.replan === undefined) await this.#stop(why);
    else this.#replanWhy ??= why;
  }

  async #watchPace(): Promise<void> {
    if (this.#pending.length === 0 || this.#replanWhy !== undefined) return;
    const nowMs = this.#clock.now();
    const running = [...this.#flights].flatMap((flight) => {
      const { step, sinceMs } = flight.runningStep ?? {};
      if (step?.predicted === undefined || this.#lateFlights.has(flight)) return [];
      return [{ seconds: (nowMs - sinceMs!) / 1000, predicted: step.predicted.duration_seconds }];
    });
    if (!this.#pace.isOut(running)) return;
    for (const flight of this.#flights) this.#lateFlights.add(flight);
    if (this.#settings.replan === undefined) {
      this.#pace.reset();
      this.#tell({ event: 'remark', why: OTHER_PACE });
    } else this.#replanWhy = OTHER_PACE;
  }

  /** A new plan from the cluster as it is, with what is under way ended. False when it cannot be made now. */
  async #replan(why: string): Promise<boolean> {
    if (this.#plans >= MOST_PLANS) {
      await this.#stop(`${why}; after ${MOST_PLANS} plans no further one is made`);
      return false;
    }
    const state = await this.#freshState();
    if (state === undefined) return false;
    const { deadlineMs, replan } = this.#settings;
    const remainingSeconds = deadlineMs === undefined ? undefined : (deadlineMs - this.#clock.now()) / 1000;
    if (remainingSeconds !== undefined && remainingSeconds <= 0) {
      await this.#stop(`${why}, and the time is up`);
      return false;
    }
    const moves = [...this.#flights].map(({ move }) => move);
    let plan: Plan | undefined;
    try {
      plan = await replan!({
        start: state.after(moves),
        why,
        excluded: this.#excluded,
        records: this.#records,
        made: this.#done + this.#flights.size,
        ratio: (operation) => this.#pace.ratio(operation),
        remainingSeconds,
      });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      await this.#stop(`${why}, and no new plan could be made: ${error.message}`);
      return false;
    }
    this.#records = [];
    this.#pace.reset();
    this.#replanWhy = undefined;
    // Where only the times are other ones, the old plan still holds: a new one has to end no worse.
    if (why === OTHER_PACE && plan !== undefined && plan.score_after > this.#plan.score_after + SAME_SCORE) {
      this.#tell({ event: 'remark', why: `${why}; no better plan is found than what is left of this one` });
      return true;
    }
    this.#ended = new Set();
    this.#pending = [];
    if (plan === undefined) {
      await this.#stop(`${why}, and no new plan could be made`);
      return false;
    }
    this.#plans++;
    this.#plan = plan;
    this.#pending = [...plan.moves];
    try {
      await this.#tellPlan(why);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      await this.#stop(error.message);
      return false;
    }
    return true;
  }

  /** The cluster as it is now, if it is still the cluster that was planned for; else the execution is stopped. */
  async #freshState(): Promise<ClusterState | undefined> {
    const info = await this.#reach('queue', () => this.#client.info());
    if (info === undefined) return undefined;
    if (info.name !== this.#info.name || info.uuid !== this.#info.uuid)
      await this.#stop(`another cluster answers: ${info.name} in place of ${this.#info.name}`);
    else if (info.master !== this.#info.master)
      await this.#stop(`the master failed over from ${this.#info.master} to ${info.master}`);
    if (this.#stopWhy !== undefined) return undefined;
    const state = await this.#reach('state', () => this.#askState());
    if (state === undefined) return undefined;
    this.#lastState = state;
    this.#stateMs = this.#clock.now();
    this.#finished.noteInstances(state.instancesReply, state.atMs);
    const online = new Set(state.onlineNodes());
    const lost = [...(this.#online ?? [])].filter((name) => !online.has(name));
    this.#online = online;
    if (lost.length > 0) {
      await this.#stop(`node ${lost.join(', ')} went offline, was drained or is no longer there`);
      return undefined;
    }
    for (const { instance } of this.#pending) {
      if (state.has(instance)) continue;
      await this.#stop(
        state.refusalOf({ instance, from: { primary: '' }, to: { primary: '' } }, false)!.sentence,
      );
      return undefined;
    }
    return state;
  }

  async #askState(): Promise<ClusterState> {
    const atMs = this.#clock.now();
    const { staticKvmNodeMemory, modelOf } = this.#settings;
    const { address } = this.#client;
    return ClusterState.from(await this.#client.clusterReplies(), {
      address,
      atMs,
      staticKvmNodeMemory,
      modelOf,
    });
  }

  // The world outside.

  /** An answer of the master; undefined while it is away. What will not pass ends the execution. */
  async #reach<T>(asked: Asked, ask: () => Promise<T>): Promise<T | undefined> {
    try {
      const answer = await ask();
      if (this.#outages.delete(asked) && this.#outages.size === 0) this.#tell({ event: 'back' });
      return answer;
    } catch (error) {
      if (this.#settings.leave?.aborted === true) return undefined;
      if (!(error instanceof UserError)) throw error;
      // A reply that is not Ganeti's, as of a node whose daemon is restarted, may be one a little later.
      if (!(error instanceof RapiError) || error.isPassing || error.status === undefined)
        this.#away(asked, error.message);
      else this.#giveUp(error.message);
      return undefined;
    }
  }

  #away(asked: Asked, why: string): void {
    const nowMs = this.#clock.now();
    const sinceMs = this.#outages.get(asked);
    if (sinceMs === undefined) {
      this.#outages.set(asked, nowMs);
      if (this.#outages.size === 1) this.#tell({ event: 'outage', why });
      return;
    }
    const { patienceMs = PATIENCE_MS } = this.#settings;
    if (nowMs - sinceMs >= patienceMs)
      this.#giveUp(`${why}; it was waited for ${Math.round(patienceMs / 1000)} s`);
  }

  #giveUp(why: string): void {
    this.#isBlind = true;
    this.#stopWhy ??= why;
  }

  /** A line of the audit log; false, and the execution stopped, where it cannot be written. */
  async #note(event: AuditEvent): Promise<boolean> {
    try {
      await this.#audit.write(event);
      return true;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      await this.#stop(error.message);
      return false;
    }
  }

  #tell(news: ExecutionNews): void {
    this.#settings.onEvent?.({ at: toIsoTime(Math.round(this.#clock.now())), ...news });
  }

  /** Until something may have changed: at the server where one job is all there is to wait for, else for a while. */
  async #pause(): Promise<void> {
    const nowMs = this.#clock.now();
    const { stop, leave } = this.#settings;
    const signal = AbortSignal.any(
      [stop, leave].filter((each) => each?.aborted === false).map((each) => each!),
    );
    const [flight, ...others] = [...this.#flights];
    const step = flight?.steps.find(({ job, isClosed }) => job !== undefined && !isClosed);
    if (flight !== undefined && others.length === 0 && this.#hasWait && this.#outages.size === 0) {
      if (step?.state !== undefined && step.state.status === 'running' && !flight.isInDoubt) {
        const hasChanged = await this.#reach('queue', () =>
          this.#client.jobChanges(step.job!, step.state!.status),
        );
        if (hasChanged === true || this.#clock.now() - nowMs > SHORT_PAUSE_MS) return;
        if (hasChanged === false) this.#hasWait = false; // a server that gives no such answer
      }
    }
    let untilMs = nowMs + LONG_PAUSE_MS;
    for (const { move, startedMs } of this.#flights) {
      const p50Ms = startedMs + secondsOf(move, 'p50') * 1000;
      untilMs = Math.min(untilMs, p50Ms < nowMs ? nowMs + SHORT_PAUSE_MS * 2 : p50Ms);
    }
    await this.#clock.sleep(Math.max(SHORT_PAUSE_MS, untilMs - nowMs), signal);
  }
}

/** The token in a job's comment, where it is one of ours or of another execution. */
function tokenOf({ opcodes }: JobState): string | undefined {
  for (const { comment } of opcodes) {
    const match = /^movecast ([0-9a-f]{1,36}\/\d+):/.exec(comment ?? '');
    if (match !== null) return match[1];
  }
  return undefined;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'unknown';
  }
}
