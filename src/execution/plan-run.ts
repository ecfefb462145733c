import { UserError } from '../domain/errors.js';
import type { MoveRecord } from '../domain/move-record.js';
import type { Plan, PlanMove } from '../domain/plan.js';
import { toIsoTime } from '../domain/units.js';
import type { Clock } from '../ganeti/clock.js';
import type { RapiClient } from '../ganeti/rapi-client.js';
import { RapiError } from '../ganeti/rapi-error.js';
import type { AuditEvent, AuditLog } from './audit-log.js';
import type { ExecutionNews } from './execution-events.js';
import type { ExecutionSettings } from './execution-settings.js';
import type { ExecutionView } from './execution-view.js';
import type { FinishedMoves } from './finished-moves.js';
import type { Flight } from './flight.js';
import { MasterLink } from './master-link.js';
import { secondsOf } from './move-commands.js';
import { Pace } from './pace.js';

export interface PlanRunOptions {
  settings: ExecutionSettings;
  clock: Clock;
  audit: AuditLog;
  finished: FinishedMoves;
}

/**
 * A plan that is being carried out: what of it is to come, under way and over, and its ties to the world. All parts of
 * an execution share it, and they work one after another: nothing in here is concurrent.
 */
export class PlanRun {
  readonly client: RapiClient;
  readonly settings: ExecutionSettings;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly finished: FinishedMoves;
  readonly master: MasterLink;
  readonly beginMs: number;

  plan: Plan;
  /** Plans so far, with this one. */
  plans = 1;
  /** Moves of the present plan that have not begun. */
  pending: PlanMove[];
  /** Indexes of moves of the present plan that have ended. */
  ended = new Set<number>();
  readonly flights = new Set<Flight>();
  readonly past: ExecutionView['moves'] = [];
  /** Instances that failed to move. */
  readonly excluded = new Set<string>();
  readonly ownJobs = new Set<number>();
  readonly #cancelled = new Set<number>();
  readonly halfDone: string[] = [];
  done = 0;
  failed = 0;
  /** Moves that ended since the last plan. */
  records: MoveRecord[] = [];
  readonly pace = new Pace();
  /** Why a new plan is wanted, or nothing new may start any more. */
  replanWhy: string | undefined;
  stopWhy: string | undefined;
  /** The cluster cannot be watched any more. */
  isBlind = false;

  constructor(plan: Plan, client: RapiClient, { settings, clock, audit, finished }: PlanRunOptions) {
    this.plan = plan;
    this.pending = [...plan.moves];
    this.client = client;
    this.settings = settings;
    this.clock = clock;
    this.audit = audit;
    this.finished = finished;
    this.beginMs = clock.now();
    this.master = new MasterLink({
      clock,
      patienceMs: settings.patienceMs,
      leave: settings.leave,
      tell: (news) => this.tell(news),
      giveUp: (why) => {
        this.isBlind = true;
        this.stopWhy ??= why;
      },
    });
  }

  get mayStart(): boolean {
    return this.stopWhy === undefined;
  }

  /** Told to end at once. */
  get isLeft(): boolean {
    return this.settings.leave?.aborted === true;
  }

  get openJobCount(): number {
    return [...this.flights].reduce((sum, { openJobs }) => sum + openJobs.length, 0);
  }

  /** True when a move under way works on one of the nodes. */
  isBusy(nodes: readonly string[]): boolean {
    return [...this.flights].some((flight) => flight.nodes.some((node) => nodes.includes(node)));
  }

  endsTooLate(move: PlanMove): boolean {
    const { deadlineMs } = this.settings;
    return deadlineMs !== undefined && this.clock.now() + secondsOf(move, 'p90') * 1000 > deadlineMs;
  }

  isTakenBack(job: number): boolean {
    return this.#cancelled.has(job);
  }

  /** Reality left the plan: a new one, or the end. */
  async unforeseen(why: string): Promise<void> {
    if (this.settings.replan === undefined) await this.stop(why);
    else this.replanWhy ??= why;
  }

  /** Nothing new starts from here on; the first reason counts. */
  async stop(why: string): Promise<void> {
    if (this.stopWhy !== undefined) return;
    this.stopWhy = why;
    this.tell({ event: 'stop', why, running: this.flights.size });
    for (const flight of this.flights) if (flight.hasNotBegun) await this.takeBack(flight, why);
  }

  /** Cancels the jobs of a move that has not begun. Where the first has begun meanwhile, all go on. */
  async takeBack(flight: Flight, why: string): Promise<void> {
    const { instance, letters } = flight.move;
    for (const { token, job, isClosed } of flight.steps) {
      if (job === undefined || token === undefined || isClosed || this.#cancelled.has(job)) continue;
      if (!(await this.note({ event: 'cancel', token, job, why }))) return;
      try {
        if (!(await this.client.cancel(job)).isCancelled) return;
      } catch (error) {
        if (!(error instanceof RapiError) && !this.isLeft) throw error;
        return;
      }
      this.#cancelled.add(job);
      this.tell({ event: 'cancel', instance, letters, job, why });
    }
  }

  /** A move that was not made after all: it is to come again, unless a later plan took it for made. */
  async putBack(flight: Flight): Promise<void> {
    this.flights.delete(flight);
    const { move, isAdopted, ofPlan } = flight;
    if (isAdopted) return;
    if (ofPlan === this.plans || !this.mayStart) this.pending.unshift(move);
    else await this.unforeseen(`the move of ${move.instance}, on which the plan counts, was not made`);
  }

  /** A line of the audit log; false, and the run stopped, where it cannot be written. */
  async note(event: AuditEvent): Promise<boolean> {
    try {
      await this.audit.write(event);
      return true;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      await this.stop(error.message);
      return false;
    }
  }

  /** The plan, into the audit log and to whoever listens. @throws UserError where it cannot be written */
  async tellPlan(why: string): Promise<void> {
    const { plan } = this;
    const { moves, score_before, score_after, duration_seconds: seconds } = plan;
    await this.audit.write({ event: 'plan', why, moves: moves.length, score_before, score_after, seconds });
    this.tell({ event: 'plan', why, plan });
  }

  tell(news: ExecutionNews): void {
    this.settings.onEvent?.({ at: toIsoTime(Math.round(this.clock.now())), ...news });
  }
}
