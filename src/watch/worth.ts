/** What a plan brings and takes, as `balance --json` prints it. */
export interface PlanSummary {
  score_before: number;
  score_after: number;
  duration_seconds: { p50: number; p90: number };
  moves: number;
}

/** When a plan is worth its moves. */
export interface Threshold {
  /** Least gain of score of the whole plan. */
  minGain: number;
  /** Least gain of score for an hour of moving; the plan's median duration counts. Undefined: any. */
  gainPerHour: number | undefined;
}

/** Yes, or why not, in a word for programs and a sentence for people. */
export type Verdict =
  { isWorth: true } | { isWorth: false; reason: 'balanced' | 'little-gain' | 'too-slow'; words: string };

const SECONDS_AN_HOUR = 3600;

export function verdictOn(plan: PlanSummary, { minGain, gainPerHour }: Threshold): Verdict {
  const gain = plan.score_before - plan.score_after;
  if (plan.moves === 0 || !(gain > 0))
    return { isWorth: false, reason: 'balanced', words: 'no move in this window makes the cluster better' };
  if (gain < minGain)
    return {
      isWorth: false,
      reason: 'little-gain',
      words: `the plan gains ${shown(gain)} of score, less than ${minGain}`,
    };
  const perHour = (gain * SECONDS_AN_HOUR) / plan.duration_seconds.p50;
  if (gainPerHour !== undefined && perHour < gainPerHour)
    return {
      isWorth: false,
      reason: 'too-slow',
      words: `the plan gains ${shown(perHour)} of score an hour of moving, less than ${gainPerHour}`,
    };
  return { isWorth: true };
}

const shown = (figure: number): string => String(Number(figure.toPrecision(3)));
