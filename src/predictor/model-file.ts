import { z } from 'zod';
import { UserError } from '../domain/errors.js';
import { firstIssue } from '../domain/fields.js';
import { importedTreesSchema } from './imported-trees.js';
import { keyLevels } from './move-keys.js';
import { constantNames, physicsConstants, type ConstantName } from './move-physics.js';
import { forestJsonSchema } from './trees.js';

/** Number of the layout of model.json. Raised whenever a file of one program can not serve the other. */
export const MODEL_FORMAT = 3;

const finite = z.number();
const LEVELS = keyLevels.length;
/** A constant that the file does not have is at the value that leaves it without effect. */
const constants = z.object(
  Object.fromEntries(
    constantNames.map((name): [ConstantName, z.ZodType<number>] => {
      const physical = physicsConstants[name];
      const value = z.number().nonnegative();
      return [name, 'without' in physical ? value.default(physical.without) : value];
    }),
  ) as Record<ConstantName, z.ZodType<number>>,
);
const level = z.object({
  priorVariance: z.number().positive(),
  uncalibratedVariance: z.number().positive().optional(),
  driftVariance: z.number().nonnegative(),
  memoryHours: z.number().positive(),
});
const effects = z.array(z.array(z.tuple([z.string(), finite, finite, finite, finite])));
/** The kind of move since models that forget what was before a shift; older ones have none. */
const windows = z.array(z.tuple([z.string(), z.array(finite), z.string().optional()]));
const noise = z.tuple([z.string(), finite, finite]);

/** Everything needed to predict. */
export const modelFileSchema = z.object({
  format: z.literal(MODEL_FORMAT),
  name: z.string(),
  version: z.string(),
  /** What it was trained on, for the card and for reproduction. */
  trained_on: z.object({
    moves: z.int().nonnegative(),
    data_hash: z.string(),
    seed: z.int(),
    /** Of each cluster the finish of the last move that is inside the model, epoch ms: earlier ones are not learnt again. */
    until_ms: z.record(z.string(), finite),
  }),
  physics: z.object({ global: constants, clusters: z.record(z.string(), constants) }),
  /** By family and by cluster key: how durations lie against physics. */
  calibrations: z.record(z.string(), z.object({ offset: finite, slope: finite, center: finite })),
  levels: z.array(level).length(LEVELS),
  /** How far nodes' speeds differ; models made before they were told apart have none. */
  speedSpread: z
    .object({
      global: z.number().nonnegative(),
      clusters: z.record(z.string(), z.number().nonnegative()),
    })
    .optional(),
  /** See `NewClusterKnowledge`; models made before a new cluster was asked for by how few are known have none. */
  newClusters: z
    .object({
      constantSpreads: z.partialRecord(z.enum(constantNames), z.number().nonnegative()),
      operations: z.record(
        z.string(),
        z.object({ clusters: z.int().nonnegative(), squares: z.number().nonnegative() }),
      ),
    })
    .optional(),
  /** Boosted trees on what physics misses; absent where there were too few moves. */
  forest: forestJsonSchema.optional(),
  /** Trees that were grown elsewhere and answer in place of the committee; the rest computes what they read. */
  imported: importedTreesSchema.optional(),
  /** Smallest and largest trained value of inputs, for the warning that a request lies outside. */
  ranges: z.record(z.string(), z.tuple([finite, finite])),
  state: z.object({
    effects: effects.length(LEVELS),
    volumes: effects,
    speeds: z.array(z.tuple([z.string(), z.tuple([finite, finite])])).optional(),
    lines: z.array(z.tuple([z.string(), z.tuple([finite, finite, finite, finite, finite])])).optional(),
    recent: z.array(windows),
    /** Since models that know how long an instance's last moves took, whatever physics says; older ones do not. */
    durations: windows.optional(),
    committee: z.array(z.tuple([z.string(), z.tuple([z.array(finite), z.array(finite)])])),
    downtimes: z.array(z.tuple([z.string(), z.array(finite)])),
    /** Since models that give quantiles of the transferred bytes; older ones have none. */
    transfers: z.array(z.tuple([z.string(), z.array(finite)])).optional(),
    sizes: z.array(z.tuple([z.string(), finite])),
    /** log seconds of the shortest and the longest move learnt; models from before it was kept do not know. */
    learntLogs: z.tuple([finite, finite]).optional(),
    shifts: z.array(z.tuple([z.string(), z.tuple([finite, finite, finite])])),
    levelShifts: z.array(z.tuple([z.string(), z.array(finite)])).optional(),
    /** Since models that notice a shift by how long parallel moves take together; older ones do not. */
    busyPeriods: z
      .array(z.tuple([z.string(), z.tuple([finite, finite, finite, finite, z.array(finite)])]))
      .optional(),
    coverage: z.array(z.tuple([z.string(), z.tuple([finite, finite])])),
    /** Since models that know how far their errors reach; older ones do not. */
    errors: z
      .array(
        z.tuple([
          z.string(),
          z.array(z.tuple([finite, finite, z.array(z.tuple([z.string(), z.array(finite)]))])),
        ]),
      )
      .optional(),
    queue: z.array(z.tuple([z.string(), z.array(finite)])),
    noise: z.array(noise),
    residuals: z.array(z.tuple([z.string(), z.array(finite)])),
    known: z.object({
      last: z.array(z.tuple([z.string(), finite])),
      /** Since models that fill in the median of the last measurements; older ones know the last alone. */
      measured: z.array(z.tuple([z.string(), z.array(z.tuple([finite, finite]))])).default([]),
      rings: z.array(z.tuple([z.string(), z.array(finite)])),
      beside: z
        .object({
          spans: z.array(z.tuple([z.string(), z.array(z.tuple([finite, finite, finite]))])),
          sums: z.array(z.tuple([z.string(), z.tuple([finite, finite])])),
        })
        .default({ spans: [], sums: [] }),
      /** Since models that say how far off a link that is filled in may be. */
      linkErrors: z.array(z.tuple([z.string(), z.tuple([finite, finite])])).default([]),
    }),
    outcomes: z.array(z.tuple([z.string(), finite, finite])),
  }),
});
export type ModelFile = z.infer<typeof modelFileSchema>;

/** Unknown value → model file. Errors: `model-unusable` with one sentence. */
export function parseModelFile(value: unknown): ModelFile {
  const format = (value as { format?: unknown } | null | undefined)?.format;
  if (typeof format !== 'number')
    throw new UserError(
      'model-unusable',
      'this is not a model file: it has no format number; train one with movecast train',
    );
  if (format < MODEL_FORMAT)
    throw new UserError(
      'model-unusable',
      `the model has format ${format}, which this program no longer reads (it reads ${MODEL_FORMAT}); train it again`,
    );
  if (format > MODEL_FORMAT)
    throw new UserError(
      'model-unusable',
      `the model has format ${format}, this program reads formats up to ${MODEL_FORMAT}; update movecast or train again`,
    );
  const result = modelFileSchema.safeParse(value);
  if (!result.success) {
    const { field, message } = firstIssue(result.error);
    throw new UserError('model-unusable', `the model file is damaged: ${field} ${message}; train it again`);
  }
  return result.data;
}
