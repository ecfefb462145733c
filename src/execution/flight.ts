import type { PlanMove, PlanStep } from '../domain/plan.js';
import { isWaiting, type JobState } from '../ganeti/job-state.js';
import type { GanetiCommand } from '../ganeti/rapi-client.js';
import { nodesHeldBy } from './move-commands.js';

/** One job of a move that is under way. */
export interface FlightStep {
  command: GanetiCommand;
  predicted: PlanStep | undefined;
  /** Stands in the job's comment; undefined until it was meant to be submitted. */
  token: string | undefined;
  /** Number in the queue; undefined before the submission, or while its answer is lost. */
  job: number | undefined;
  /** When a submission was sent whose answer was lost; epoch milliseconds. */
  lostMs: number | undefined;
  /** As last seen. */
  state: JobState | undefined;
  /** It has ended, and everything that follows from it was done. */
  isClosed: boolean;
  seenMissing: number;
}

/** A move under way: its jobs in their order, each waiting in the queue for the one before. */
export class Flight {
  readonly move: PlanMove;
  readonly steps: FlightStep[];
  readonly startedMs: number;
  /** Held to the end. */
  readonly nodes: readonly string[];
  /** Left behind by an earlier execution. */
  readonly isAdopted: boolean;
  /** Number of its plan, from 1 on: it may go on when a later plan has taken that one's place. 0: adopted. */
  readonly ofPlan: number;
  /** Of its plan before this move. */
  readonly scoreBefore: number;
  /** Why it failed; the steps after the one that failed fail too. */
  failure: string | undefined;
  /** It was under way when others of its plan were found to keep another pace: it says nothing of the next plan's. */
  isOffPace = false;
  /** It takes so long that nobody waits for it any more. */
  hangs = false;

  constructor(
    move: PlanMove,
    commands: readonly GanetiCommand[],
    startedMs: number,
    {
      isAdopted = false,
      ofPlan = 0,
      scoreBefore = 0,
    }: { isAdopted?: boolean; ofPlan?: number; scoreBefore?: number } = {},
  ) {
    this.move = move;
    this.startedMs = startedMs;
    this.isAdopted = isAdopted;
    this.ofPlan = ofPlan;
    this.scoreBefore = scoreBefore;
    this.nodes = nodesHeldBy(move);
    this.steps = commands.map((command, s) => ({
      command,
      predicted: move.steps[s],
      token: undefined,
      job: undefined,
      lostMs: undefined,
      state: undefined,
      isClosed: false,
      seenMissing: 0,
    }));
  }

  /** Takes its first job as it is in the queue. */
  adopt(token: string, job: JobState): void {
    Object.assign(this.steps[0]!, { token, job: job.id, state: job });
  }

  /** The next step to submit: all before it have their jobs; undefined when there is none, or one is in doubt. */
  get nextStep(): FlightStep | undefined {
    if (this.failure !== undefined) return undefined;
    const step = this.steps.find(({ job, isClosed }) => job === undefined && !isClosed);
    return step?.lostMs === undefined ? step : undefined;
  }

  get isInDoubt(): boolean {
    return this.steps.some(({ lostMs, job }) => lostMs !== undefined && job === undefined);
  }

  get isDone(): boolean {
    return this.failure === undefined && this.steps.every(({ isClosed }) => isClosed);
  }

  /** True when nothing of it is in the queue any more, nor can be. */
  hasLanded(mayContinue: boolean): boolean {
    if (this.isInDoubt) return false;
    if (this.isDone) return true;
    const open = this.steps.some(({ job, isClosed }) => job !== undefined && !isClosed);
    return !open && (this.failure !== undefined || !mayContinue);
  }

  /** True while no job of it has begun its work. */
  get hasNotBegun(): boolean {
    return this.steps.every(
      ({ job, state, isClosed }) =>
        !isClosed && (job === undefined || state === undefined || isWaiting(state)),
    );
  }

  /** Jobs that have not ended, as far as is known. */
  get openJobs(): number[] {
    return this.steps.flatMap(({ job, isClosed }) => (job === undefined || isClosed ? [] : [job]));
  }

  /** The step whose job works now, with when it began. */
  get runningStep(): { step: FlightStep; sinceMs: number } | undefined {
    for (const step of this.steps)
      if (step.state?.status === 'running')
        return { step, sinceMs: step.state.execMs ?? step.state.startMs ?? this.startedMs };
    return undefined;
  }
}
