import type { Operation } from '../domain/move-record.js';
import type { PlanStep } from '../domain/plan.js';

/** The standard normal's 90 % point. */
const Z90 = 1.2815515655446004;
/** Moves from which a common deviation can be told from chance. */
const LEAST_STEPS = 3;
/** One move so many standard deviations off is no chance: 1 in 30,000. */
const FAR_OFF = 4;
/** A band that is narrower than this share of the median is not believed. */
const LEAST_SIGMA = 0.02;

type Predicted = PlanStep['duration_seconds'];

/** How far a duration is off its prediction, in standard deviations of log-normal halves that meet at the median. */
export function deviation(seconds: number, { p10, p50, p90 }: Predicted): number {
  const log = Math.log(Math.max(seconds, 1e-3) / p50);
  const sigma = Math.log(log < 0 ? p50 / p10 : p90 / p50) / Z90;
  return log / Math.max(sigma, LEAST_SIGMA);
}

/**
 * Whether reality keeps within the predicted band. Single steps leave it one time in five by its very meaning; what
 * counts is that all of them together do, or that one is far off.
 */
export class Pace {
  #steps: { operation: Operation; seconds: number; predicted: Predicted }[] = [];

  /** A step that has ended. */
  note(operation: Operation, seconds: number, predicted: Predicted): void {
    this.#steps.push({ operation, seconds, predicted });
  }

  /** A new plan was made: what was before is in its predictions. */
  reset(): void {
    this.#steps = [];
  }

  /**
   * True when the band is left. `running`: steps under way with their seconds so far; those that are late already
   * count with what they took until now.
   */
  isOut(running: readonly { seconds: number; predicted: Predicted }[]): boolean {
    const late = running.filter(({ seconds, predicted }) => seconds > predicted.p90);
    const deviations = [...this.#steps, ...late].map(({ seconds, predicted }) =>
      deviation(seconds, predicted),
    );
    if (deviations.some((z) => z > FAR_OFF)) return true;
    if (deviations.length < LEAST_STEPS) return false;
    const mean = deviations.reduce((sum, z) => sum + z, 0) / deviations.length;
    return Math.abs(mean) > Z90;
  }

  /** Median of actual over predicted seconds of an operation since the last plan; 1 where none ended. */
  ratio(operation: Operation): number {
    const ratios = this.#steps
      .filter((step) => step.operation === operation)
      .map(({ seconds, predicted }) => seconds / predicted.p50)
      .sort((a, b) => a - b);
    return ratios.length === 0 ? 1 : ratios[Math.floor((ratios.length - 1) / 2)]!;
  }
}
