import { z } from 'zod';
import { moveRecordSchema } from './move-record.js';
import { moveRequestSchema } from './move-request.js';
import { planSchema } from './plan.js';
import { predictionErrorSchema, predictionSchema } from './prediction.js';
import { instanceSampleSchema, linkSampleSchema } from './samples.js';

/** The words of the field by name: the one source of types, of JSON Schema and of OpenAPI's components. */
export const domainSchemas = {
  MoveRecord: moveRecordSchema,
  MoveRequest: moveRequestSchema,
  Prediction: predictionSchema,
  PredictionError: predictionErrorSchema,
  LinkSample: linkSampleSchema,
  InstanceSample: instanceSampleSchema,
  Plan: planSchema,
} as const;

/** JSON Schema (draft 2020-12) of one of the domain's words, as it may come in from outside. */
export function domainJsonSchema(name: keyof typeof domainSchemas): Record<string, unknown> {
  const schema = z.toJSONSchema(domainSchemas[name], { io: 'input' }) as Record<string, unknown>;
  const { $defs, $ref, ...rest } = schema as { $defs?: Record<string, object>; $ref?: string };
  if ($ref === undefined) return schema;
  // A schema with an id comes out as a reference to its own definition: put the definition in its place.
  const { [name]: own, ...others } = $defs ?? {};
  return { ...rest, ...own, ...(Object.keys(others).length > 0 ? { $defs: others } : {}) };
}
