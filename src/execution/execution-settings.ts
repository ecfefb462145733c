import type { GroupModel } from '../balancer/group-model.js';
import type { MoveRecord, Operation } from '../domain/move-record.js';
import type { Plan, PlanStep } from '../domain/plan.js';
import type { KeptPrediction } from '../store/store.js';
import type { ModelOf } from './cluster-state.js';
import type { ExecutionEvent } from './execution-events.js';
import type { ExecutionView } from './execution-view.js';

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

/** A prediction with when it was given out. */
export type GivenPrediction = Omit<KeptPrediction, 'move_id'>;

export interface ExecutionSettings {
  modelOf: ModelOf;
  staticKvmNodeMemory?: number | undefined;
  ignoreSoftErrors?: boolean;
  /** Makes a new plan; undefined: what does not go as planned stops the execution. */
  replan?: ((request: ReplanRequest) => Promise<Plan | undefined>) | undefined;
  /** What was predicted for a step of a plan, to be kept for the record of its move; undefined: nothing is. */
  predictionOf?: ((step: PlanStep) => GivenPrediction | undefined) | undefined;
  /** Why a new plan is not worth its moves, as a clause; undefined where it is. */
  unworthyOf?: ((plan: Plan) => string | undefined) | undefined;
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
