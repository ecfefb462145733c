import type { Plan, PlanMove } from '../../src/domain/plan.js';

/** A migration of 10 s that begins at once, unless it has to wait. */
export const moveOf = (
  index: number,
  instance: string,
  from: string,
  to: string,
  after: number[] = [],
): PlanMove => ({
  index,
  instance,
  letters: `fa:${to}`,
  from: { primary: from },
  to: { primary: to },
  after,
  start_seconds: 0,
  end_seconds: { p50: 10, p90: 12 },
  score_after: 1,
  steps: [
    {
      operation: 'live_migration',
      source_node: from,
      target_node: to,
      duration_seconds: { p10: 9, p50: 10, p90: 12 },
    },
  ],
  commands: [`gnt-instance migrate -f -n ${to} ${instance}`],
});

/** A plan of these moves; nothing in its totals comes from them. */
export const planOf = (moves: PlanMove[], jobsets: number[][]): Plan => ({
  score_before: 2,
  score_after: 1,
  duration_seconds: { p50: 20, p90: 24 },
  bytes_mib: 2000,
  moves,
  jobsets,
});
