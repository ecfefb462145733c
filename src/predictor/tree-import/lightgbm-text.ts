/**
 * LightGBM's text model (`booster.save_model('model.txt')`, format versions v3 and v4) as a forest of ours, equal to
 * LightGBM's own answers to the last digits: both compare and add in double precision.
 *
 * Format: https://lightgbm.readthedocs.io and its source, src/io/tree.cpp and src/boosting/gbdt_model_text.cpp:
 * a header of `key=value` lines, then a block of such lines for each `Tree=`, up to `end of trees`. Inner nodes and
 * leaves are numbered apart; a child below 0 is the leaf `-child - 1`.
 */
import { UserError } from '../../domain/errors.js';
import { LEAF, type ForestLink } from '../trees.js';
import {
  checkImportSize,
  forestFromTables,
  importLimits,
  refuseImport,
  type ImportedForest,
  type NodeTable,
} from './imported-forest.js';

const LIBRARY = 'LightGBM';

const links: Record<string, ForestLink> = {
  regression: 'identity',
  regression_l1: 'identity',
  huber: 'identity',
  fair: 'identity',
  quantile: 'identity',
  mape: 'identity',
  lambdarank: 'identity',
  rank_xendcg: 'identity',
  poisson: 'exp',
  gamma: 'exp',
  tweedie: 'exp',
  binary: 'logistic',
  cross_entropy: 'logistic',
};

/** Bits of `decision_type`. */
const CATEGORICAL = 1;
const DEFAULT_LEFT = 2;
const missingKind = (decision: number): number => (decision >> 2) & 3;
const MISSING_IS_NONE = 0;
const MISSING_IS_ZERO = 1;

/**
 * Reads a model from its text. Missing values go where LightGBM sends them: by the learnt direction, or as a 0 where
 * the training data had none. Throws a UserError for what is not such a model, is damaged, or cannot be said with one
 * number a row: several classes, categorical splits, linear leaves, zeros that are missing.
 */
export function forestFromLightgbm(text: string, options: { rounds?: number } = {}): ImportedForest {
  checkImportSize(LIBRARY, text.length);
  const blocks = blocksOf(text);
  const header = blocks[0]!;
  if (!header.has('tree') || !header.has('max_feature_idx')) {
    throw new UserError(
      'input-unreadable',
      'this is not the text of a LightGBM model; save it with booster.save_model("model.txt")',
    );
  }
  if (Number(header.get('num_class') ?? 1) > 1 || Number(header.get('num_tree_per_iteration') ?? 1) > 1) {
    refuseImport(LIBRARY, 'answers several classes; train one model for each and import those');
  }
  const remarks: string[] = [];
  const [objective = '', ...parameters] = (header.get('objective') ?? '').split(' ');
  let link = links[objective];
  if (objective === '') {
    link = 'identity';
    remarks.push('the file names no objective, so that the answer is the plain sum of its trees');
  }
  if (link === undefined) {
    refuseImport(
      LIBRARY,
      `has the objective ${JSON.stringify(objective.slice(0, 60))}, which is none of ${Object.keys(links).join(', ')}`,
    );
  }
  if (parameters.includes('sqrt')) refuseImport(LIBRARY, 'was trained with reg_sqrt, which is not taken');
  const sigmoid = parameters.find((parameter) => parameter.startsWith('sigmoid:'));
  const steepness = sigmoid === undefined ? 1 : Number(sigmoid.slice('sigmoid:'.length));

  const features = Number(header.get('max_feature_idx')) + 1;
  if (!Number.isInteger(features) || features < 0)
    refuseImport(LIBRARY, 'does not say how many features it has');
  const treeBlocks = blocks.slice(1, options.rounds === undefined ? undefined : 1 + options.rounds);
  if (treeBlocks.length > importLimits.trees) {
    throw new UserError(
      'too-large',
      `this LightGBM model has ${treeBlocks.length} trees, at most ${importLimits.trees} are taken`,
    );
  }
  const scale = steepness / (header.has('average_output') ? Math.max(1, treeBlocks.length) : 1);
  const tables = treeBlocks.map((block, tree) => tableOf(block, tree, scale));
  const names = (header.get('feature_names') ?? '').split(' ').filter((name) => name !== '');
  return {
    forest: forestFromTables(LIBRARY, tables, { features, base: 0, link }),
    featureNames: names.length === features && features > 0 ? names : undefined,
    objective,
    remarks,
  };
}

type Block = ReadonlyMap<string, string>;

/** The header and one block a tree; what stands after `end of trees` is for people. */
function blocksOf(text: string): Block[] {
  let block = new Map<string, string>();
  const blocks = [block];
  for (const line of text.split('\n')) {
    const trimmed = line.trimEnd();
    if (trimmed === 'end of trees') return blocks;
    const at = trimmed.indexOf('=');
    const key = at < 0 ? trimmed : trimmed.slice(0, at);
    if (key === 'Tree') {
      block = new Map();
      blocks.push(block);
    } else if (key !== '') {
      block.set(key, at < 0 ? '' : trimmed.slice(at + 1));
    }
  }
  return blocks.length === 1
    ? blocks // a file of another kind, or a header alone: the caller looks at the header first
    : refuseImport(LIBRARY, 'is cut off: the line "end of trees" is not there');
}

function tableOf(block: Block, tree: number, scale: number): NodeTable {
  const refuseTree = (what: string): never => refuseImport(LIBRARY, `is damaged: tree ${tree} ${what}`);
  const leaves = Number(block.get('num_leaves'));
  if (!Number.isInteger(leaves) || leaves < 1 || leaves > importLimits.nodes)
    refuseTree('does not say its num_leaves');
  if (block.get('is_linear') === '1') refuseImport(LIBRARY, 'has linear leaves, which are not taken');
  const column = (key: string, length: number): number[] => {
    const words = (block.get(key) ?? '').split(' ').filter((word) => word !== '');
    if (words.length !== length) refuseTree(`has ${words.length} entries in ${key}, not ${length}`);
    return words.map(numberOf);
  };
  const inner = leaves - 1;
  const size = inner + leaves; // inner nodes first, then leaves
  const leafValue = column('leaf_value', leaves);
  const splitFeature = column('split_feature', inner);
  const cut = column('threshold', inner);
  const decision = column('decision_type', inner);
  const table = {
    feature: new Int32Array(size).fill(LEAF),
    threshold: new Float64Array(size),
    left: new Int32Array(size),
    right: new Int32Array(size),
    defaultLeft: new Uint8Array(size),
    value: new Float64Array(size),
  };
  const child = (c: number): number => (c < 0 ? inner - c - 1 : c);
  const leftChild = column('left_child', inner);
  const rightChild = column('right_child', inner);
  for (let node = 0; node < inner; node++) {
    const kind = decision[node]!;
    if ((kind & CATEGORICAL) !== 0) {
      refuseImport(
        LIBRARY,
        'splits by categories, which are not taken; encode them as numbers and train again',
      );
    }
    if (missingKind(kind) === MISSING_IS_ZERO) {
      refuseImport(
        LIBRARY,
        'was trained with zero_as_missing, which is not taken; leave missing values empty instead',
      );
    }
    const cutAt = cut[node]!;
    const missingIsZero = missingKind(kind) === MISSING_IS_NONE; // a missing value is read as a 0 like others
    table.feature[node] = splitFeature[node]!;
    table.threshold[node] = cutAt;
    table.defaultLeft[node] = (missingIsZero ? cutAt >= 0 : (kind & DEFAULT_LEFT) !== 0) ? 1 : 0;
    table.left[node] = child(leftChild[node]!);
    table.right[node] = child(rightChild[node]!);
  }
  for (let leaf = 0; leaf < leaves; leaf++) table.value[inner + leaf] = leafValue[leaf]! * scale;
  return table;
}

/** LightGBM writes `inf`, `-inf` and `nan` where JavaScript wants other words. */
function numberOf(word: string): number {
  if (/^[+-]?inf(inity)?$/i.test(word)) return word.startsWith('-') ? -Infinity : Infinity;
  return Number(word);
}
