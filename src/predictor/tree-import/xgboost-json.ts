/**
 * XGBoost's JSON model (`booster.save_model('model.json')`, versions 1.3 to 3) as a forest of ours, equal to XGBoost's
 * own answers but for the last digits of its single-precision sums.
 *
 * Format: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html and its JSON schema there.
 */
import { z } from 'zod';
import { UserError } from '../../domain/errors.js';
import { LEAF, type ForestLink } from '../trees.js';
import {
  checkImportSize,
  forestFromTables,
  refuseImport,
  type ImportedForest,
  type NodeTable,
} from './imported-forest.js';
import { greatestDoubleBelowFloat } from './single-precision.js';

const LIBRARY = 'XGBoost';

/** How the sum of the leaves becomes the answer; the base score is an answer before the first tree. */
const links: Record<string, ForestLink> = {
  'reg:squarederror': 'identity',
  'reg:linear': 'identity',
  'reg:absoluteerror': 'identity',
  'reg:pseudohubererror': 'identity',
  'reg:squaredlogerror': 'identity',
  'reg:quantileerror': 'identity',
  'reg:gamma': 'exp',
  'reg:tweedie': 'exp',
  'count:poisson': 'exp',
  'survival:aft': 'exp',
  'survival:cox': 'exp',
  'reg:logistic': 'logistic',
  'binary:logistic': 'logistic',
  'binary:logitraw': 'identity',
};

const treeSchema = z.object({
  split_indices: z.array(z.number()),
  /** Null: no finite number. Splits by categories have none here. */
  split_conditions: z.array(z.number().nullable()),
  left_children: z.array(z.number()),
  right_children: z.array(z.number()),
  default_left: z.array(z.union([z.number(), z.boolean()])),
  split_type: z.array(z.number()).optional(),
  tree_param: z.object({ size_leaf_vector: z.string().optional() }).optional(),
});

const gbtreeSchema = z.object({
  model: z.object({
    trees: z.array(treeSchema),
    /** Since version 1.6: trees that were grown at once, in each round. */
    gbtree_model_param: z.object({ num_parallel_tree: z.string().optional() }).optional(),
    /** Since version 2: how many trees there were before each round and after the last. */
    iteration_indptr: z.array(z.number()).optional(),
  }),
});

const modelSchema = z.object({
  version: z.array(z.number()).optional(),
  learner: z.object({
    attributes: z.record(z.string(), z.string()).optional(),
    feature_names: z.array(z.string()).optional(),
    gradient_booster: z.looseObject({ name: z.string() }),
    learner_model_param: z.object({
      base_score: z.string(),
      num_class: z.string().optional(),
      num_target: z.string().optional(),
      num_feature: z.string(),
    }),
    objective: z.object({ name: z.string() }),
  }),
});

/**
 * Reads a model from its JSON text. Missing values go where XGBoost sends them; DART weights are taken in; all trees
 * are used, as by `Booster.predict` (a remark says where early stopping had found fewer rounds to be better; `rounds`
 * takes only the first, each with all of its parallel trees).
 * Throws a UserError for what is not such a model, is damaged, or cannot be said with one number a row: several
 * classes or targets, categorical splits, linear boosters.
 */
export function forestFromXgboost(text: string, options: { rounds?: number } = {}): ImportedForest {
  checkImportSize(LIBRARY, text.length);
  const { learner } = parsed(text, modelSchema);
  const params = learner.learner_model_param;
  for (const [count, what] of [
    [params.num_class, 'several classes'],
    [params.num_target, 'several targets'],
  ] as const) {
    if (Number(count ?? 0) > 1)
      refuseImport(LIBRARY, `answers ${what}; train one model for each and import those`);
  }
  const { booster, dropWeights } = boosterOf(learner.gradient_booster);
  const link = links[learner.objective.name];
  if (link === undefined) {
    refuseImport(
      LIBRARY,
      `has the objective ${shown(learner.objective.name)}, which is none of ${Object.keys(links).join(', ')}`,
    );
  }
  const remarks: string[] = [];
  let { trees } = booster.model;
  const best = Number(learner.attributes?.['best_iteration'] ?? NaN) + 1;
  const ends = roundEnds(booster.model, best, learner.attributes?.['best_ntree_limit']);
  if (options.rounds !== undefined) {
    if (ends === undefined)
      refuseImport(LIBRARY, 'does not say which of its trees are of one round, so that all must be taken');
    if (options.rounds > ends.length)
      refuseImport(LIBRARY, `has ${ends.length} rounds, so that ${options.rounds} cannot be taken`);
    trees = trees.slice(0, ends[options.rounds - 1] ?? 0);
  } else if (best < (ends ?? trees).length) {
    remarks.push(
      `early stopping found ${best} rounds best; all ${(ends ?? trees).length} were taken, as Booster.predict does`,
    );
  }
  const base = baseScore(params.base_score, link);
  const tables = trees.map((tree, i) => tableOf(tree, i, dropWeights?.[i] ?? 1));
  const features = Number(params.num_feature);
  if (!Number.isInteger(features) || features < 0)
    refuseImport(LIBRARY, 'does not say how many features it has');
  const names = learner.feature_names ?? [];
  return {
    forest: forestFromTables(LIBRARY, tables, { features, base, link }),
    featureNames: names.length === features && features > 0 ? names : undefined,
    objective: learner.objective.name,
    remarks,
  };
}

/** How many trees there are after each round; undefined where the file does not say it, or says what cannot be. */
function roundEnds(
  { trees, iteration_indptr: starts, gbtree_model_param: param }: z.infer<typeof gbtreeSchema>['model'],
  best: number,
  bestTrees: string | undefined,
): number[] | undefined {
  const inEach = Number(param?.num_parallel_tree ?? Number(bestTrees) / best);
  const rounds = inEach >= 1 ? trees.length / inEach : 0;
  const ends = starts?.slice(1) ?? Array.from({ length: rounds }, (_, i) => (i + 1) * inEach);
  const isRising = ends.every((end, i) => Number.isInteger(end) && end >= (ends[i - 1] ?? 0));
  return isRising && (ends.at(-1) ?? 0) === trees.length ? ends : undefined;
}

function boosterOf(booster: z.infer<typeof modelSchema>['learner']['gradient_booster']): {
  booster: z.infer<typeof gbtreeSchema>;
  dropWeights: readonly number[] | undefined;
} {
  if (booster.name === 'gbtree') return { booster: checked(booster, gbtreeSchema), dropWeights: undefined };
  if (booster.name === 'dart') {
    const dart = checked(booster, z.object({ gbtree: gbtreeSchema, weight_drop: z.array(z.number()) }));
    if (dart.weight_drop.length !== dart.gbtree.model.trees.length) {
      refuseImport(LIBRARY, 'is damaged: weight_drop and trees differ in number');
    }
    return { booster: dart.gbtree, dropWeights: dart.weight_drop };
  }
  return refuseImport(LIBRARY, `is a booster of kind ${shown(booster.name)}; only gbtree and dart are trees`);
}

function tableOf(tree: z.infer<typeof treeSchema>, index: number, weight: number): NodeTable {
  const size = tree.left_children.length;
  const columns = [tree.right_children, tree.split_indices, tree.split_conditions, tree.default_left];
  if (columns.some((column) => column.length !== size)) {
    refuseImport(LIBRARY, `is damaged: the columns of tree ${index} differ in length`);
  }
  if (tree.split_type?.some((kind) => kind !== 0)) {
    refuseImport(
      LIBRARY,
      'splits by categories, which are not taken; encode them as numbers and train again',
    );
  }
  if (Number(tree.tree_param?.size_leaf_vector ?? 0) > 1) {
    refuseImport(LIBRARY, 'has leaves of several numbers; train one model for each target and import those');
  }
  const isLeaf = tree.left_children.map((child) => child === -1);
  return {
    feature: tree.split_indices.map((feature, node) => (isLeaf[node]! ? LEAF : feature)),
    threshold: tree.split_conditions.map((t, node) =>
      isLeaf[node]! ? 0 : greatestDoubleBelowFloat(t ?? NaN),
    ),
    left: tree.left_children,
    right: tree.right_children,
    defaultLeft: tree.default_left.map(Number),
    value: tree.split_conditions.map((v, node) => (isLeaf[node]! ? Math.fround(v ?? NaN) * weight : 0)),
  };
}

/** `5E-1`, since version 3 `[5E-1]`: an answer, brought back to the scale of the sum. */
function baseScore(text: string, link: ForestLink): number {
  const score = Math.fround(Number(text.replace(/^\[(.*)\]$/, '$1')));
  if (link === 'exp') return Math.log(score);
  return link === 'logistic' ? -Math.log(1 / score - 1) : score;
}

function parsed<T>(text: string, schema: z.ZodType<T>): T {
  let json: unknown;
  try {
    json = parsedAsWritten(text);
  } catch {
    throw new UserError(
      'input-unreadable',
      'this is not JSON; save the XGBoost model with booster.save_model("model.json")',
    );
  }
  return checked(json, schema);
}

/** XGBoost writes NaN and Infinity as bare words, which JSON does not know: they are read as null. */
function parsedAsWritten(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return JSON.parse(
      text.replace(/"(?:[^"\\]+|\\.)*"?|-?\b(?:NaN|Infinity)\b/g, (word) =>
        word.startsWith('"') ? word : 'null',
      ),
    );
  }
}

function checked<T>(json: unknown, schema: z.ZodType<T>): T {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  return refuseImport(
    LIBRARY,
    `is not as save_model writes it: ${issue.path.join('.') || 'the whole'}: ${issue.message}`,
  );
}

/** A name from a file, cut so that a sentence stays one. */
const shown = (name: string): string => JSON.stringify(name.slice(0, 60));
