import { z } from 'zod';

/**
 * What is known to have been wrong about predicted durations: the standardised errors of past moves, with those that
 * have the most in common kept together, the moves of one hour and in it those of one source host.
 *
 * A standardised error is ln(actual / p50) over the width of the promised band on its side: ln(p90 / p50) above the
 * median, ln(p50 / p10) below it. -1 is p10, 0 is p50, 1 is p90; 3 is three times as far beyond the median as p90.
 */
export const pastErrorsSchema = z
  .object({
    hours: z
      .array(z.array(z.array(z.number()).min(1).max(10_000)).min(1).max(10_000))
      .min(1)
      .max(10_000)
      .describe(
        'an array for each hour in which moves began, in it one for each host that they left, in it the standardised error of each move',
      ),
    most_factor: z
      .number()
      .min(1)
      .max(1e12)
      .describe('the largest factor, either way, between what a move took and its p50'),
  })
  .meta({ id: 'PastErrors' });
export type PastErrors = z.infer<typeof pastErrorsSchema>;
