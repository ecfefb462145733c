import type { GroupModel } from '../balancer/group-model.js';
import type { MoveCosts } from '../balancer/move-costs.js';
import type { BuiltPlan } from '../balancer/plan-builder.js';
import { stepRequest } from '../balancer/step-times.js';
import { UserError } from '../domain/errors.js';
import type { PlanStep } from '../domain/plan.js';
import { toIsoTime } from '../domain/units.js';
import type { GivenPrediction } from '../execution/execution-settings.js';

/** What was predicted for the steps of plans, so that the moves made of them can be scored. */
export class StepPredictions {
  readonly #costs: MoveCosts;
  readonly #now: () => number;
  readonly #remark: (line: string) => void;
  readonly #given = new WeakMap<PlanStep, GivenPrediction>();

  constructor(costs: MoveCosts, now: () => number, remark: (line: string) => void) {
    this.#costs = costs;
    this.#now = now;
    this.#remark = remark;
  }

  /** Asks for the steps of a plan that begins at a placement, in one call. Without an answer they have none. */
  async ask(start: GroupModel, { moves, times, document }: BuiltPlan): Promise<void> {
    const requests = moves.flatMap(({ instance }, m) =>
      times.steps
        .slice(times.firstStep[m], times.firstStep[m + 1])
        .map((step) => stepRequest(start, instance, step)),
    );
    const predicted_at = toIsoTime(this.#now());
    try {
      const predictions = (await this.#costs.predictions?.(requests)) ?? [];
      document.moves
        .flatMap(({ steps }) => steps)
        .forEach((step, s) => {
          const prediction = predictions[s];
          if (prediction !== undefined) this.#given.set(step, { predicted_at, prediction });
        });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.#remark(`movecast: ${error.message}: accuracy will not know the moves of this plan`);
    }
  }

  of(step: PlanStep): GivenPrediction | undefined {
    return this.#given.get(step);
  }
}
