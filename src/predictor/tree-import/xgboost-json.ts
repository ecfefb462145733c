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

/** How the sum of the leaves becomes the answer, and the base score (an answer) the start of the sum. */
const links: Record<string, { link: ForestLink; baseOf?: ForestLink }> = {
  'reg:squarederror': { link: 'identity' },
  'reg:linear': { link: 'identity' },
  'reg:absoluteerror': { link: 'identity' },
  'reg:pseudohubererror': { link: 'identity' },
  'reg:squaredlogerror': { link: 'identity' },
  'reg:quantileerror': { link: 'identity' },
  'reg:gamma': { link: 'exp' },
  'reg:tweedie': { link: 'exp' },
  'count:poisson': { link: 'exp' },
  'survival:aft': { link: 'exp' },
  'survival:cox': { link: 'exp' },
  'reg:logistic': { link: 'logistic' },
  'binary:logistic': { link: 'logistic' },
  'binary:logitraw': { link: 'identity', baseOf: 'logistic' },
};

const treeSchema = z.object({
  split_indices: z.array(z.number()),
  split_conditions: z.array(z.number()),
  left_children: z.array(z.number()),
  right_children: z.array(z.number()),
  default_left: z.array(z.union([z.number(), z.boolean()])),
  split_type: z.array(z.number()).optional(),
  tree_param: z.object({ size_leaf_vector: z.string().optional() }).optional(),
});

const gbtreeSchema = z.object({
  model: z.object({ trees: z.array(treeSchema) }),
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
 * are used, as by `Booster.predict` (a remark says where early stopping had found fewer to be better; `trees` cuts).
 * Throws a UserError for what is not such a model, is damaged, or cannot be said with one number a row: several
 * classes or targets, categorical splits, linear boosters.
 */
export function forestFromXgboost(text: string, options: { trees?: number } = {}): ImportedForest {
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
  const known = links[learner.objective.name];
  if (known === undefined) {
    refuseImport(
      LIBRARY,
      `has the objective ${shown(learner.objective.name)}, which is none of ${Object.keys(links).join(', ')}`,
    );
  }
  const remarks: string[] = [];
  let trees = booster.model.trees;
  const best = Number(learner.attributes?.['best_iteration'] ?? NaN) + 1;
  if (options.trees !== undefined) trees = trees.slice(0, options.trees);
  else if (best < trees.length) {
    remarks.push(
      `early stopping found ${best} rounds best; all ${trees.length} trees were taken, as Booster.predict does`,
    );
  }
  const base = baseScore(params.base_score, known.baseOf ?? known.link);
  const tables = trees.map((tree, i) => tableOf(tree, i, dropWeights?.[i] ?? 1));
  const features = Number(params.num_feature);
  if (!Number.isInteger(features) || features < 0)
    refuseImport(LIBRARY, 'does not say how many features it has');
  const names = learner.feature_names ?? [];
  return {
    forest: forestFromTables(LIBRARY, tables, { features, base, link: known.link }),
    featureNames: names.length === features && features > 0 ? names : undefined,
    objective: learner.objective.name,
    remarks,
  };
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
    threshold: tree.split_conditions.map((t, node) => (isLeaf[node]! ? 0 : greatestDoubleBelowFloat(t))),
    left: tree.left_children,
    right: tree.right_children,
    defaultLeft: tree.default_left.map(Number),
    value: tree.split_conditions.map((v, node) => (isLeaf[node]! ? Math.fround(v) * weight : 0)),
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
    json = JSON.parse(text);
  } catch {
    throw new UserError(
      'input-unreadable',
      'this is not JSON; save the XGBoost model with booster.save_model("model.json")',
    );
  }
  return checked(json, schema);
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
