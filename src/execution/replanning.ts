import { UserError } from '../domain/errors.js';
import type { Plan } from '../domain/plan.js';
import type { LiveCluster } from './live-cluster.js';
import type { PlanRun } from './plan-run.js';

/** New plans of one execution: more is a cluster that never is as one thinks. */
const MOST_PLANS = 20;
/** Scores nearer than this are the same, but for rounding and for figures read anew. */
const SAME_SCORE = 1e-4;

const OTHER_PACE = 'moves do not take as long as was predicted';

/** New plans where reality leaves the old one. */
export class Replanning {
  readonly #run: PlanRun;
  readonly #cluster: LiveCluster;
  /** The score from which the gain of a plan counts: before the first of those that differ in nothing but times. */
  #scoreBefore: number;

  constructor(run: PlanRun, cluster: LiveCluster) {
    this.#run = run;
    this.#cluster = cluster;
    this.#scoreBefore = run.plan.score_before;
  }

  /** Wants a new plan where moves leave their predicted band. */
  watchPace(): void {
    const run = this.#run;
    if (run.pending.length === 0 || run.replanWhy !== undefined) return;
    const nowMs = run.clock.now();
    const running = [...run.flights].flatMap(({ runningStep, isOffPace }) => {
      const { step, sinceMs } = runningStep ?? {};
      if (step?.predicted === undefined || isOffPace) return [];
      return [{ seconds: (nowMs - sinceMs!) / 1000, predicted: step.predicted.duration_seconds }];
    });
    if (!run.pace.isOut(running)) return;
    for (const flight of run.flights) flight.isOffPace = true;
    if (run.settings.replan === undefined) {
      run.pace.reset();
      run.tell({ event: 'remark', why: OTHER_PACE });
    } else run.replanWhy = OTHER_PACE;
  }

  /** A new plan where one is wanted, from the cluster as it is with what is under way ended. False: not now, or no more. */
  async replan(): Promise<boolean> {
    const run = this.#run;
    const why = run.replanWhy;
    if (why === undefined) return true;
    if (run.plans >= MOST_PLANS) {
      await run.stop(`${why}; after ${MOST_PLANS} plans no further one is made`);
      return false;
    }
    const found = await this.#newPlan(why);
    if (found === undefined) return false;
    const { plan } = found;
    run.records = [];
    run.pace.reset();
    run.replanWhy = undefined;
    // Where only the times are other ones, the old plan still holds: a new one has to end no worse.
    if (why === OTHER_PACE && plan !== undefined && plan.score_after > run.plan.score_after + SAME_SCORE) {
      run.tell({ event: 'remark', why: `${why}; no better plan is found than what is left of this one` });
      return true;
    }
    run.ended = new Set();
    run.pending = [];
    if (plan === undefined) {
      await run.stop(`${why}, and no new plan could be made`);
      return false;
    }
    // What is left of a plan gains little towards its end, and is part of what was worth its moves as a whole.
    if (why !== OTHER_PACE) this.#scoreBefore = plan.score_before;
    const whole = { ...plan, score_before: this.#scoreBefore };
    const unworthy = plan.moves.length === 0 ? undefined : run.settings.unworthyOf?.(whole);
    if (unworthy !== undefined) {
      await run.stop(`${why}, and a new plan is not worth its moves: ${unworthy}`);
      return false;
    }
    run.plans++;
    run.plan = plan;
    run.pending = [...plan.moves];
    try {
      await run.tellPlan(why);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      await run.stop(error.message);
      return false;
    }
    return true;
  }

  /** What planning comes to; undefined when it could not even be asked for, with the run stopped unless it may be later. */
  async #newPlan(why: string): Promise<{ plan: Plan | undefined } | undefined> {
    const run = this.#run;
    const state = await this.#cluster.fresh();
    if (state === undefined) return undefined;
    const { deadlineMs, replan } = run.settings;
    const remainingSeconds = deadlineMs === undefined ? undefined : (deadlineMs - run.clock.now()) / 1000;
    if (remainingSeconds !== undefined && remainingSeconds <= 0) {
      await run.stop(`${why}, and the time is up`);
      return undefined;
    }
    try {
      const plan = await replan!({
        start: state.after([...run.flights].map(({ move }) => move)),
        why,
        excluded: run.excluded,
        records: run.records,
        made: run.done + run.flights.size,
        ratio: (operation) => run.pace.ratio(operation),
        remainingSeconds,
      });
      return { plan };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      await run.stop(`${why}, and no new plan could be made: ${error.message}`);
      return undefined;
    }
  }
}
