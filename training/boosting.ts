/**
 * Histogram gradient boosting on typed arrays: the trainer of every forest that `src/predictor/trees.ts` runs.
 *
 * Usage, for the log of what physics misses, in rows ordered by the time they became known:
 *
 *     const forest = trainForest(
 *       { columns: [memoryMib, dirtyRate, inverseBandwidth], rows },      // Float64Array each, NaN = missing
 *       logRatio,                                                         // log(T / T_physics)
 *       {
 *         loss: 'quantile', quantile: 0.9,                                // or 'l1', 'squared', 'aft', 'logistic'
 *         monotone: Int8Array.of(1, 0, 1),                                // never falls with memory and with 1/B
 *         validationFromRow: Math.floor(rows * 0.85),                     // the last rows in time: early stopping
 *         maxLeaves: rows < 2000 ? 8 : 31,
 *       },
 *     );
 *     predictRow(forest, Float64Array.of(4096, NaN, 0.01), 0);
 *
 * Broken-off moves: loss 'aft', target = log of how long they had lasted, `censored[row] = 1` ("at least this").
 * The answer of 'aft' is the location of the log time; its quantile q is answer + aftScale · aftErrorQuantile(dist, q).
 * The answer of 'logistic' (target 0 or 1) is a probability.
 *
 * The same input and options give the same forest, bit for bit: one thread, a fixed order of adding, ties to the lower
 * feature and bin, and a generator from `seed` that is used only by `rowFraction` and `featureFraction` below 1.
 */
import { constantForest, FOREST_FORMAT, LEAF, type Forest, type ForestLink } from '../src/predictor/trees.js';
import {
  bestConstant,
  boostingLosses,
  fillGradients,
  leavesAreQuantiles,
  meanLoss,
  weightedQuantile,
  type AftDistribution,
  type BoostingLoss,
  type LossOfRows,
} from './boosting-losses.js';
import { binFrame, MOST_VALUE_BINS, type BinnedFrame, type TrainingFrame } from './histogram-bins.js';
import { seededRandom } from './seeded-random.js';
import { leafOfRow, TreeGrower, type GrownTree } from './tree-growth.js';

export type { AftDistribution, BoostingLoss } from './boosting-losses.js';
export type { TrainingFrame } from './histogram-bins.js';

/** Every option may be left out; `boostingDefaults` holds what then counts, with reasons. */
export interface BoostingOptions {
  /** What to minimise. @default 'squared' */
  loss?: BoostingLoss;
  /** Level of the quantile loss, within (0, 1). @default 0.5 */
  quantile?: number;
  /** Shape of the error of log time, for 'aft'. @default 'normal' */
  aftDistribution?: AftDistribution;
  /** Scale of that error, in the unit of the target (log time), > 0. @default 1 */
  aftScale?: number;
  /** 1 where the target says only "at least this"; for 'aft' alone. One entry a row. */
  censored?: Uint8Array;
  /** What a row counts, >= 0. One entry a row. @default 1 for each */
  weights?: Float64Array;
  /** +1: the answer never falls as this column rises, -1: never rises, 0: free. One entry a column. */
  monotone?: Int8Array;
  /** Rows from here on are not learnt from but watched: training stops when they no longer improve. @default rows */
  validationFromRow?: number;
  /** Stop after this many trees without improvement on the validation rows; the best number of trees is kept. */
  earlyStoppingRounds?: number;
  /** Most trees. */
  trees?: number;
  /** Most leaves of a tree, >= 2. */
  maxLeaves?: number;
  /** Longest way to a leaf, in splits, >= 1. @default Infinity */
  maxDepth?: number;
  /** Share of each tree's step that is taken, within (0, 1]. */
  learningRate?: number;
  /** Pull of each leaf towards 0, in rows' worth of weight, >= 0. */
  l2?: number;
  /** Least sum of curvature in a child; for 'squared', 'l1' and 'quantile' that is the sum of its rows' weights. */
  minChildWeight?: number;
  /** Least gain of a split, in the unit of the squared gradient, >= 0. */
  minSplitGain?: number;
  /** Most bins of values of a column, 2 to 255. */
  maxBins?: number;
  /** Share of the rows that each tree is grown on, within (0, 1]. */
  rowFraction?: number;
  /** Share of the columns that each tree may split by, within (0, 1]. */
  featureFraction?: number;
  /** Of the generator behind the two shares. */
  seed?: number;
  /** Called after each tree; training ends with that tree when it answers false (a time limit, a key pressed). */
  onRound?: (round: BoostingRound) => boolean;
}

export interface BoostingRound {
  /** Trees so far, from 1. */
  trees: number;
  /** Mean loss of the validation rows, NaN where there are none. */
  validationLoss: number;
}

/** What counts where an option is left out. */
export const boostingDefaults = {
  loss: 'squared',
  quantile: 0.5,
  aftDistribution: 'normal',
  /** As in XGBoost. */
  aftScale: 1,
  /** Twice the usual look-ahead of 10: quantile losses fall in small steps. */
  earlyStoppingRounds: 20,
  /** With a step of 0.1 the common first choice. */
  trees: 100,
  learningRate: 0.1,
  /** As in LightGBM and scikit-learn. */
  maxLeaves: 31,
  maxDepth: Infinity,
  /** As in XGBoost. */
  l2: 1,
  /** Twenty rows in a leaf, as in LightGBM and scikit-learn: fewer is noise in durations. */
  minChildWeight: 20,
  minSplitGain: 0,
  maxBins: MOST_VALUE_BINS,
  rowFraction: 1,
  featureFraction: 1,
  seed: 0,
} as const satisfies BoostingOptions;

/** Gains are kept for the importance of features only: more digits would be a third of the model file. */
const GAIN_DIGITS = 4;

/** Most leaves a tree may have: beyond this a histogram per leaf would not fit in memory. */
const MOST_LEAVES = 4096;

/**
 * Trains a forest. The frame's columns and `target` have at least `rows` entries, every target is finite. Throws a
 * RangeError when an argument is out of its range (callers check what users gave them first).
 * O(rows · columns · (log rows + trees · log leaves)); 3 bytes a cell and 24 bytes a row beside the frame.
 */
export function trainForest(
  frame: TrainingFrame,
  target: Float64Array,
  options: BoostingOptions = {},
): Forest {
  const chosen = completeOptions(frame, target, options);
  const trainingRows = chosen.validationFromRow;
  const binned = binFrame(frame, trainingRows, chosen.maxBins);
  const loss: LossOfRows = {
    loss: chosen.loss,
    target,
    weights: chosen.weights,
    censored: chosen.censored,
    quantile: chosen.loss === 'l1' ? 0.5 : chosen.quantile,
    distribution: chosen.aftDistribution,
    scale: chosen.aftScale,
  };
  const link: ForestLink = chosen.loss === 'logistic' ? 'logistic' : 'identity';
  const base = bestConstant(loss, trainingRows);
  const prediction = new Float64Array(frame.rows).fill(base);
  const gradient = new Float64Array(trainingRows);
  const curvature = new Float64Array(trainingRows);
  const monotone = monotoneOf(binned, chosen.monotone);
  const rows = new Int32Array(trainingRows);
  const grower = new TreeGrower(binned, { ...chosen, monotone }, rows);
  const renewal = leavesAreQuantiles(chosen.loss) ? new LeafQuantiles(loss, trainingRows) : undefined;
  const random = seededRandom(chosen.seed);
  const sampled = chosen.rowFraction < 1;

  const grown: GrownTree[] = [];
  let bestTrees = 0;
  let bestLoss = meanLoss(loss, prediction, trainingRows, frame.rows);
  while (binned.features > 0 && grown.length < chosen.trees) {
    fillGradients(loss, prediction, 0, trainingRows, gradient, curvature);
    const count = sampled ? sampleRows(rows, chosen.rowFraction, random) : allRows(rows);
    const usable = sampleFeatures(binned.features, chosen.featureFraction, random);
    const tree = grower.grow(count, gradient, curvature, usable);
    if (tree.nodes === 1 && !sampled && chosen.featureFraction === 1) break; // nothing left to split: so it will stay
    renewal?.renew(tree, rows, prediction, monotone, chosen.l2);
    shrinkLeaves(tree, chosen.learningRate);
    addTree(tree, binned, rows, sampled ? 0 : trainingRows, prediction);
    grown.push(tree);

    const validated = trainingRows < frame.rows;
    const validationLoss = validated ? meanLoss(loss, prediction, trainingRows, frame.rows) : NaN;
    const goOn = chosen.onRound?.({ trees: grown.length, validationLoss }) ?? true;
    if (!validated || validationLoss < bestLoss) {
      bestLoss = validationLoss;
      bestTrees = grown.length;
    }
    if (!goOn || grown.length - bestTrees >= chosen.earlyStoppingRounds) break;
  }
  return forestOf(binned, frame.columns.length, base, link, grown.slice(0, bestTrees));
}

/** The q-quantile of the standard error of a distribution: what to add, times `aftScale`, to an 'aft' answer. */
export function aftErrorQuantile(distribution: AftDistribution, q: number): number {
  if (distribution === 'logistic') return Math.log(q / (1 - q));
  if (distribution === 'extreme') return Math.log(-Math.log1p(-q));
  return normalQuantile(q);
}

/** Acklam's rational approximation of the normal quantile; relative error below 1.2e-9. */
function normalQuantile(q: number): number {
  const tail = 0.02425;
  if (q < tail || q > 1 - tail) {
    const r = Math.sqrt(-2 * Math.log(Math.min(q, 1 - q)));
    const x =
      (((((-7.784894002430293e-3 * r - 0.3223964580411365) * r - 2.400758277161838) * r - 2.549732539343734) *
        r +
        4.374664141464968) *
        r +
        2.938163982698783) /
      ((((7.784695709041462e-3 * r + 0.3224671290700398) * r + 2.445134137142996) * r + 3.754408661907416) *
        r +
        1);
    return q < tail ? x : -x;
  }
  const s = q - 0.5;
  const r = s * s;
  return (
    ((((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.357751867269) * r -
      30.66479806614716) *
      r +
      2.506628277459239) *
      s) /
    (((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972) * r -
      13.28068155288572) *
      r +
      1)
  );
}

type CompleteOptions = Required<Omit<BoostingOptions, 'censored' | 'weights' | 'monotone' | 'onRound'>> &
  Pick<LossOfRows, 'censored' | 'weights'> & {
    monotone: Int8Array | undefined;
    onRound: BoostingOptions['onRound'];
  };

function completeOptions(
  frame: TrainingFrame,
  target: Float64Array,
  options: BoostingOptions,
): CompleteOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const chosen: CompleteOptions = {
    ...boostingDefaults,
    validationFromRow: frame.rows,
    censored: undefined,
    weights: undefined,
    monotone: undefined,
    onRound: undefined,
    ...given,
  };
  const rows = frame.rows;
  const demand = (holds: boolean, sentence: string): void => {
    if (!holds) throw new RangeError(`trainForest: ${sentence}`);
  };
  demand(boostingLosses.includes(chosen.loss), `there is no loss ${String(chosen.loss)}`);
  demand(Number.isInteger(rows) && rows >= 1, 'needs at least one row');
  demand(target.length >= rows, `${target.length} targets for ${rows} rows`);
  frame.columns.forEach((column, i) =>
    demand(column.length >= rows, `column ${i} is shorter than ${rows} rows`),
  );
  for (let row = 0; row < rows; row++)
    demand(Number.isFinite(target[row]!), `the target of row ${row} is not finite`);
  const { validationFromRow, weights, censored, monotone } = chosen;
  demand(
    Number.isInteger(validationFromRow) && validationFromRow >= 1 && validationFromRow <= rows,
    `validationFromRow must be within 1 … ${rows}, not ${validationFromRow}`,
  );
  if (weights !== undefined) {
    demand(weights.length >= rows, 'fewer weights than rows');
    let sum = 0;
    for (let row = 0; row < rows; row++) {
      demand(weights[row]! >= 0 && weights[row]! < Infinity, `the weight of row ${row} is not a number >= 0`);
      if (row < validationFromRow) sum += weights[row]!;
    }
    demand(sum > 0, 'all weights are 0');
  }
  if (censored !== undefined) {
    demand(censored.length >= rows, 'fewer entries in censored than rows');
    demand(chosen.loss === 'aft', 'censored rows need the loss aft');
  }
  if (monotone !== undefined) {
    demand(monotone.length === frame.columns.length, 'monotone needs one entry a column');
  }
  const within = (name: string, value: number, low: number, high: number): void =>
    demand(value >= low && value <= high, `${name} must be within ${low} … ${high}, not ${value}`);
  demand(
    chosen.quantile > 0 && chosen.quantile < 1,
    `quantile must be within (0, 1), not ${chosen.quantile}`,
  );
  demand(chosen.aftScale > 0 && chosen.aftScale < Infinity, 'aftScale must be above 0');
  demand(chosen.learningRate > 0 && chosen.learningRate <= 1, 'learningRate must be within (0, 1]');
  demand(chosen.rowFraction > 0 && chosen.rowFraction <= 1, 'rowFraction must be within (0, 1]');
  demand(chosen.featureFraction > 0 && chosen.featureFraction <= 1, 'featureFraction must be within (0, 1]');
  within('trees', chosen.trees, 0, 1e6);
  within('maxLeaves', chosen.maxLeaves, 2, MOST_LEAVES);
  within('maxDepth', chosen.maxDepth, 1, Infinity);
  within('l2', chosen.l2, 0, Number.MAX_VALUE);
  within('minChildWeight', chosen.minChildWeight, 0, Number.MAX_VALUE);
  within('minSplitGain', chosen.minSplitGain, 0, Number.MAX_VALUE);
  within('maxBins', chosen.maxBins, 2, MOST_VALUE_BINS);
  within('earlyStoppingRounds', chosen.earlyStoppingRounds, 1, Infinity);
  return chosen;
}

/** The constraints of the columns that were binned; undefined where none of those is constrained. */
function monotoneOf(binned: BinnedFrame, monotone: Int8Array | undefined): Int8Array | undefined {
  if (monotone === undefined) return undefined;
  const ofBinned = Int8Array.from(binned.column, (column) => Math.sign(monotone[column]!));
  return ofBinned.some((direction) => direction !== 0) ? ofBinned : undefined;
}

function allRows(rows: Int32Array): number {
  for (let i = 0; i < rows.length; i++) rows[i] = i;
  return rows.length;
}

/** Selection sampling (Knuth, TAOCP 2, 3.4.2, algorithm S): exactly the share wanted, in ascending order. O(rows). */
function sampleRows(rows: Int32Array, fraction: number, random: () => number): number {
  const wanted = Math.max(1, Math.round(fraction * rows.length));
  let chosen = 0;
  for (let row = 0; row < rows.length && chosen < wanted; row++) {
    if (random() * (rows.length - row) < wanted - chosen) rows[chosen++] = row;
  }
  return chosen;
}

function sampleFeatures(features: number, fraction: number, random: () => number): Uint8Array {
  const usable = new Uint8Array(features);
  if (fraction === 1) return usable.fill(1);
  const wanted = Math.max(1, Math.round(fraction * features));
  let chosen = 0;
  for (let f = 0; f < features && chosen < wanted; f++) {
    if (random() * (features - f) < wanted - chosen) {
      usable[f] = 1;
      chosen++;
    }
  }
  return usable;
}

/** Sets leaves to the quantile of what the forest so far leaves over in them. Room is reused from tree to tree. */
class LeafQuantiles {
  private readonly rest: Float64Array;
  private readonly weight: Float64Array;

  constructor(
    private readonly of: LossOfRows,
    rows: number,
  ) {
    this.rest = new Float64Array(rows);
    this.weight = new Float64Array(rows);
  }

  /**
   * Under monotone constraints each constrained split, from the root down, bounds what is below it by the middle of its
   * two sides' quantiles, so that no leaf can break the order. O(rows · constrained levels).
   */
  renew(
    tree: GrownTree,
    rows: Int32Array,
    prediction: Float64Array,
    monotone: Int8Array | undefined,
    l2: number,
  ): void {
    const lowest = new Float64Array(tree.nodes).fill(-Infinity);
    const highest = new Float64Array(tree.nodes).fill(Infinity);
    const bounded = (node: number): number =>
      Math.max(lowest[node]!, Math.min(highest[node]!, this.quantileOf(tree, node, rows, prediction, l2)));
    for (let node = 0; node < tree.nodes; node++) {
      if (tree.feature[node]! < 0) {
        tree.value[node] = bounded(node);
        continue;
      }
      const l = tree.left[node]!;
      const r = l + 1;
      lowest[l] = lowest[r] = lowest[node]!;
      highest[l] = highest[r] = highest[node]!;
      const direction = monotone === undefined ? 0 : monotone[tree.feature[node]!]!;
      if (direction === 0) continue;
      const middle = (bounded(l) + bounded(r)) / 2;
      if (direction > 0) highest[l] = lowest[r] = middle;
      else lowest[l] = highest[r] = middle;
    }
  }

  private quantileOf(
    tree: GrownTree,
    node: number,
    rows: Int32Array,
    prediction: Float64Array,
    l2: number,
  ): number {
    const { rest, weight, of } = this;
    const from = tree.start[node]!;
    const count = tree.end[node]! - from;
    let total = 0;
    for (let i = 0; i < count; i++) {
      const row = rows[from + i]!;
      rest[i] = of.target[row]! - prediction[row]!;
      weight[i] = of.weights === undefined ? 1 : of.weights[row]!;
      total += weight[i]!;
    }
    return total > 0 ? (weightedQuantile(rest, weight, count, of.quantile) * total) / (total + l2) : 0;
  }
}

function shrinkLeaves(tree: GrownTree, learningRate: number): void {
  for (let node = 0; node < tree.nodes; node++) {
    if (tree.feature[node]! < 0) tree.value[node] = tree.value[node]! * learningRate + 0;
  }
}

/** Adds a tree to the predictions: rows whose leaf the grower left in `rows` at once, the others by walking the tree. */
function addTree(
  tree: GrownTree,
  binned: BinnedFrame,
  rows: Int32Array,
  inOrder: number,
  prediction: Float64Array,
): void {
  if (inOrder > 0) {
    for (let node = 0; node < tree.nodes; node++) {
      if (tree.feature[node]! >= 0) continue;
      const value = tree.value[node]!;
      for (let i = tree.start[node]!; i < tree.end[node]!; i++) {
        const row = rows[i]!;
        prediction[row] = prediction[row]! + value;
      }
    }
  }
  for (let row = inOrder; row < prediction.length; row++) {
    prediction[row] = prediction[row]! + tree.value[leafOfRow(tree, binned, row)]!;
  }
}

function forestOf(
  binned: BinnedFrame,
  features: number,
  base: number,
  link: ForestLink,
  trees: readonly GrownTree[],
): Forest {
  const treeStart = new Int32Array(trees.length + 1);
  trees.forEach((tree, i) => (treeStart[i + 1] = treeStart[i]! + tree.nodes));
  const nodes = treeStart[trees.length]!;
  if (nodes === 0) return constantForest(features, base, link);
  const forest: Forest = {
    format: FOREST_FORMAT,
    link,
    features,
    base,
    treeStart,
    feature: new Int32Array(nodes).fill(LEAF),
    threshold: new Float64Array(nodes),
    left: new Int32Array(nodes),
    defaultLeft: new Uint8Array(nodes),
    value: new Float64Array(nodes),
  };
  trees.forEach((tree, i) => {
    const first = treeStart[i]!;
    for (let node = 0; node < tree.nodes; node++) {
      const f = tree.feature[node]!;
      forest.value[first + node] =
        f < 0 ? tree.value[node]! : Number(tree.value[node]!.toPrecision(GAIN_DIGITS));
      if (f < 0) continue;
      const edges = binned.edges[f]!;
      const bin = tree.bin[node]!;
      forest.feature[first + node] = binned.column[f]!;
      forest.threshold[first + node] = bin < edges.length ? edges[bin]! : Infinity;
      forest.left[first + node] = first + tree.left[node]!;
      forest.defaultLeft[first + node] = tree.defaultLeft[node]!;
    }
  });
  return forest;
}
