import { z } from 'zod';
import { UserError } from './errors.js';
import { firstIssue, name } from './fields.js';
import { operationSchema } from './move-record.js';
import { modelReferenceSchema } from './prediction.js';

const seconds = z.number().nonnegative();

/** One operation of a move with its predicted duration. */
export const planStepSchema = z.object({
  operation: operationSchema,
  source_node: name,
  target_node: name,
  duration_seconds: z.object({ p10: seconds, p50: seconds, p90: seconds }),
});
export type PlanStep = z.infer<typeof planStepSchema>;

const placementSchema = z.object({ primary: name, secondary: name.optional() });

/** One move of a plan: an instance gets new nodes. */
export const planMoveSchema = z.object({
  index: z.int().nonnegative(),
  instance: name,
  letters: z.string().describe("as hbal writes them, such as 'f r:node4'"),
  from: placementSchema,
  to: placementSchema,
  after: z.array(z.int().nonnegative()).describe('moves that must have finished before this one may start'),
  releases_early: name
    .optional()
    .describe(
      'an offline node whose lock Ganeti gives back before the move ends, so that others do not wait for it',
    ),
  start_seconds: seconds,
  end_seconds: z.object({ p50: seconds, p90: seconds }),
  score_after: z.number(),
  steps: z.array(planStepSchema),
  commands: z.array(z.string()),
});
export type PlanMove = z.infer<typeof planMoveSchema>;

/** A balance plan: the moves in an order, with what each must wait for. */
export const planSchema = z
  .object({
    score_before: z.number(),
    score_after: z.number(),
    duration_seconds: z.object({ p50: seconds, p90: seconds }),
    bytes_mib: seconds,
    moves: z.array(planMoveSchema),
    jobsets: z.array(z.array(z.int().nonnegative())),
    model: modelReferenceSchema.optional(),
    past_moves: z
      .int()
      .positive()
      .optional()
      .describe('moves from whose errors the times are drawn; absent where none are known'),
    warnings: z.array(z.string()).optional(),
  })
  .meta({ id: 'Plan' });
export type Plan = z.infer<typeof planSchema>;

/** For people: `1 move`, `12 moves`. */
export const moveCount = ({ moves }: Plan): string =>
  moves.length === 1 ? '1 move' : `${moves.length} moves`;

/** Parsed JSON → plan. Throws a `UserError` that names the field. */
export function parsePlan(json: unknown, file: string): Plan {
  const parsed = planSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const { field, message } = firstIssue(parsed.error);
  throw new UserError(
    'input-invalid',
    `${file}: is not a plan: ${field === '' ? 'it' : field} ${message}; give one as balance --json prints it`,
    field,
  );
}
