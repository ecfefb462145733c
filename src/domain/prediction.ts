import { z } from 'zod';

/** The probabilities at which every predicted distribution is given. */
export const QUANTILE_LEVELS = [0.05, 0.1, 0.5, 0.9, 0.95] as const;
/** Their names in JSON, in the same order. */
export const QUANTILE_NAMES = ['p05', 'p10', 'p50', 'p90', 'p95'] as const;

const positive = z.number().positive();
const nonnegative = z.number().nonnegative();

export const durationQuantilesSchema = z
  .object({ p05: positive, p10: positive, p50: positive, p90: positive, p95: positive, mean: positive })
  .meta({ id: 'DurationQuantiles' });
export type DurationQuantiles = z.infer<typeof durationQuantilesSchema>;

/** The most specific history that a prediction stands on. */
export const basisSchema = z.enum(['link', 'node', 'cluster', 'prior']);
export type Basis = z.infer<typeof basisSchema>;

export const modelReferenceSchema = z
  .object({ name: z.string(), version: z.string() })
  .meta({ id: 'ModelReference' });
export type ModelReference = z.infer<typeof modelReferenceSchema>;

export const predictionSchema = z
  .object({
    request_id: z.string().optional(),
    duration_seconds: durationQuantilesSchema,
    remaining_seconds: durationQuantilesSchema
      .optional()
      .describe('of a running move: duration_seconds less what has elapsed'),
    downtime_ms: z.object({ p50: nonnegative, p90: nonnegative }).optional(),
    transferred_mib: z.object({ p50: nonnegative, p90: nonnegative.optional() }).optional(),
    completion_probability: z
      .number()
      .min(0)
      .max(1)
      .describe('chance that the move finishes without being broken off'),
    basis: basisSchema,
    inputs_filled: z.array(z.string()).describe('request fields that history filled in'),
    model: modelReferenceSchema,
    warnings: z.array(z.string()),
  })
  .meta({ id: 'Prediction' });
export type Prediction = z.infer<typeof predictionSchema>;

/** Stands in the place of a prediction that could not be made. */
export const predictionErrorSchema = z
  .object({ request_id: z.string().optional(), error: z.object({ field: z.string(), message: z.string() }) })
  .meta({ id: 'PredictionError' });
export type PredictionError = z.infer<typeof predictionErrorSchema>;

export type PredictionOrError = Prediction | PredictionError;
