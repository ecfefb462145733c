/**
 * A forest of regression trees at run time: plain typed arrays, scored without a single object made.
 *
 * The stored form (`Forest`) is for reading, saving and exchanging. Before the first score it is laid out once more for
 * the processor (`layOut`): no branch is left in a step, missing values cost nothing, and four walks run side by side.
 */
import { z } from 'zod';

/** Number of the stored shape. Raised when a reader of today could not read it any more. */
export const FOREST_FORMAT = 1;

/** How the summed leaves become the answer: as they are, e^sum, or 1 / (1 + e^-sum). */
export const forestLinks = ['identity', 'exp', 'logistic'] as const;
export type ForestLink = (typeof forestLinks)[number];

/** Marks a leaf in `Forest.feature`. */
export const LEAF = -1;

/**
 * Trees laid end to end. Node `i` sends a row left when `row[feature[i]] <= threshold[i]`, a missing value (NaN) left
 * when `defaultLeft[i]` is 1; its children are the nodes `left[i]` and `left[i] + 1`, both after `i`, so that a cycle
 * cannot be written down. A leaf has `feature[i] = LEAF`, `left[i] = 0`, `threshold[i] = 0`.
 * The answer is link(base + sum of the leaf values). Nothing in it may be changed after it has been scored once.
 */
export interface Forest {
  readonly format: typeof FOREST_FORMAT;
  readonly link: ForestLink;
  /** Columns of a row. */
  readonly features: number;
  /** What every sum starts from, in the unit of the leaf values. */
  readonly base: number;
  /** First node (the root) of each tree, and one entry more: the number of nodes. */
  readonly treeStart: Int32Array;
  readonly feature: Int32Array;
  readonly threshold: Float64Array;
  readonly left: Int32Array;
  readonly defaultLeft: Uint8Array;
  /** What a leaf adds; in inner nodes the gain of the split where it is known, else 0. */
  readonly value: Float64Array;
}

/** Number of trees. */
export const treeCount = (forest: Forest): number => forest.treeStart.length - 1;

/** A forest of no trees, which answers link(base) to every row. */
export function constantForest(features: number, base: number, link: ForestLink = 'identity'): Forest {
  return {
    format: FOREST_FORMAT,
    link,
    features,
    base,
    treeStart: Int32Array.of(0),
    feature: new Int32Array(0),
    threshold: new Float64Array(0),
    left: new Int32Array(0),
    defaultLeft: new Uint8Array(0),
    value: new Float64Array(0),
  };
}

/**
 * One row, read from `row[offset]` to `row[offset + features - 1]`; NaN is missing. Equal, bit for bit, to `predictBatch`.
 * O(trees · depth); allocates nothing.
 *
 * @example
 * predictRow(constantForest(2, 1.5), Float64Array.of(NaN, 7), 0) === 1.5
 */
export function predictRow(forest: Forest, row: Float64Array, offset: number): number {
  const layout = layoutOf(forest);
  fillSlots(layout.slots, row, offset, forest.features);
  return linked(forest.link, forest.base + sumOfTrees(layout));
}

/**
 * Many rows, row-major (`rows` × `forest.features`), into `out[0 … rows - 1]`. O(rows · trees · depth).
 */
export function predictBatch(forest: Forest, rowMajor: Float64Array, rows: number, out: Float64Array): void {
  const layout = layoutOf(forest);
  const { features, base } = forest;
  for (let row = 0; row < rows; row++) {
    fillSlots(layout.slots, rowMajor, row * features, features);
    out[row] = base + sumOfTrees(layout);
  }
  if (forest.link !== 'identity') {
    for (let i = 0; i < rows; i++) out[i] = linked(forest.link, out[i]!);
  }
}

function linked(link: ForestLink, sum: number): number {
  if (link === 'identity') return sum;
  return link === 'exp' ? Math.exp(sum) : 1 / (1 + Math.exp(-sum));
}

// The layout for the processor ------------------------------------------------------------------------------------

/**
 * Every node asks one question only, `slots[slot] <= threshold`, and goes to `no` plus 1 for yes. A comparison with NaN
 * is false, so missing values take the `no` side by themselves; where they must take the other one, the question is put
 * the other way round, `-x <= -(next number above threshold)`: a row is therefore held twice, `[x …, -x …, 0]`. The last
 * slot, always 0, lets a leaf ask `0 <= -1` and stay where it is, so that walks of unequal length can run side by side.
 */
interface Layout {
  /** The row asked for, 2 · features + 1 places. */
  slots: Float64Array;
  root: Int32Array;
  slot: Int32Array;
  threshold: Float64Array;
  no: Int32Array;
  value: Float64Array;
}

const layouts = new WeakMap<Forest, Layout>();

function layoutOf(forest: Forest): Layout {
  let layout = layouts.get(forest);
  if (layout === undefined) {
    layout = layOut(forest);
    layouts.set(forest, layout);
  }
  return layout;
}

function layOut(forest: Forest): Layout {
  const { features, treeStart, feature, threshold, left, defaultLeft, value } = forest;
  const trees = treeCount(forest);
  const nodes = feature.length;
  const layout: Layout = {
    slots: new Float64Array(2 * features + 1),
    root: treeStart.slice(0, trees),
    slot: new Int32Array(nodes),
    threshold: new Float64Array(nodes),
    no: new Int32Array(nodes),
    value: new Float64Array(nodes),
  };
  const place = Int32Array.from(feature, (_, node) => node); // where each node of the forest stands in the layout
  for (let node = 0; node < nodes; node++) {
    const at = place[node]!;
    if (feature[node] === LEAF) {
      layout.slot[at] = 2 * features;
      layout.threshold[at] = -1;
      layout.no[at] = at;
      layout.value[at] = value[node]!;
      continue;
    }
    const child = left[node]!;
    const missingLeft = defaultLeft[node] === 1;
    layout.slot[at] = missingLeft ? features + feature[node]! : feature[node]!;
    layout.threshold[at] = missingLeft ? above(threshold[node]!) : threshold[node]!;
    layout.no[at] = child;
    place[child] = missingLeft ? child : child + 1;
    place[child + 1] = missingLeft ? child + 1 : child;
  }
  return layout;
}

/** `x > threshold` said of -x: -x <= above(threshold). Nothing is greater than Infinity: NaN is never reached. */
const above = (threshold: number): number => (threshold === Infinity ? NaN : -nextUp(threshold));

const oneDouble = new Float64Array(1);
const itsBits = new BigInt64Array(oneDouble.buffer);

/** The smallest double above `x`; Infinity and NaN stay. */
export function nextUp(x: number): number {
  if (!(x < Infinity)) return x;
  if (x === 0) return Number.MIN_VALUE;
  oneDouble[0] = x;
  itsBits[0] = itsBits[0]! + (x > 0 ? 1n : -1n);
  return oneDouble[0]!;
}

/** The greatest double below `x`; -Infinity and NaN stay. */
export const nextDown = (x: number): number => -nextUp(-x);

function fillSlots(slots: Float64Array, row: Float64Array, offset: number, features: number): void {
  for (let f = 0; f < features; f++) {
    const x = row[offset + f]!;
    slots[f] = x;
    slots[features + f] = -x;
  }
}

/**
 * Four trees at a time: a walk waits for memory, four walks wait together, and they end when none moves any more.
 * `+(a <= b)` is compiled without a jump, `a <= b ? 1 : 0` is not, and a jump is guessed wrongly at every other node.
 * Time: test/bench/trees.bench.ts.
 */
function sumOfTrees(layout: Layout): number {
  const { slots, root, slot, threshold, no, value } = layout;
  const trees = root.length;
  let sum = 0;
  let tree = 0;
  for (; tree + 4 <= trees; tree += 4) {
    let a = root[tree]!;
    let b = root[tree + 1]!;
    let c = root[tree + 2]!;
    let d = root[tree + 3]!;
    for (;;) {
      const nextA = no[a]! + +(slots[slot[a]!]! <= threshold[a]!);
      const nextB = no[b]! + +(slots[slot[b]!]! <= threshold[b]!);
      const nextC = no[c]! + +(slots[slot[c]!]! <= threshold[c]!);
      const nextD = no[d]! + +(slots[slot[d]!]! <= threshold[d]!);
      if (((nextA ^ a) | (nextB ^ b) | (nextC ^ c) | (nextD ^ d)) === 0) break;
      a = nextA;
      b = nextB;
      c = nextC;
      d = nextD;
    }
    sum = sum + value[a]! + value[b]! + value[c]! + value[d]!;
  }
  for (; tree < trees; tree++) {
    let node = root[tree]!;
    for (let next = -1; ; node = next) {
      next = no[node]! + +(slots[slot[node]!]! <= threshold[node]!);
      if (next === node) break;
    }
    sum += value[node]!;
  }
  return sum;
}

// Saved and loaded --------------------------------------------------------------------------------------------------

/** JSON has no Infinity, which is the threshold of "present or missing?". */
const storedThreshold = z.union([z.number(), z.literal('Infinity')]);

/** The saved shape. The length and pointer checks are in `forestProblem`. */
export const forestJsonSchema = z.strictObject({
  format: z.literal(FOREST_FORMAT),
  link: z.enum(forestLinks),
  features: z.int().min(0),
  base: z.number(),
  tree_start: z.array(z.int().min(0)).min(1),
  feature: z.array(z.int().min(LEAF)),
  threshold: z.array(storedThreshold),
  left: z.array(z.int().min(0)),
  default_left: z.array(z.int().min(0).max(1)),
  value: z.array(z.number()),
});
export type ForestJson = z.infer<typeof forestJsonSchema>;

/** The forest as a plain JSON value; `fromJson(JSON.parse(JSON.stringify(toJson(f))))` is `f`, to the last bit. */
export function toJson(forest: Forest): ForestJson {
  return {
    format: FOREST_FORMAT,
    link: forest.link,
    features: forest.features,
    base: forest.base,
    tree_start: Array.from(forest.treeStart),
    feature: Array.from(forest.feature),
    threshold: Array.from(forest.threshold, (t) => (t === Infinity ? 'Infinity' : t)),
    left: Array.from(forest.left),
    default_left: Array.from(forest.defaultLeft),
    value: Array.from(forest.value),
  };
}

/**
 * A forest from its JSON value, checked whole: shape, lengths, pointers. Throws a ZodError (shape) or a RangeError
 * (content) with one sentence; whoever reads the file says which file it was.
 */
export function fromJson(json: unknown): Forest {
  const stored = forestJsonSchema.parse(json);
  const forest: Forest = {
    format: FOREST_FORMAT,
    link: stored.link,
    features: stored.features,
    base: stored.base,
    treeStart: Int32Array.from(stored.tree_start),
    feature: Int32Array.from(stored.feature),
    threshold: Float64Array.from(stored.threshold, (t) => (t === 'Infinity' ? Infinity : t)),
    left: Int32Array.from(stored.left),
    defaultLeft: Uint8Array.from(stored.default_left),
    value: Float64Array.from(stored.value),
  };
  const problem = forestProblem(forest);
  if (problem !== undefined) throw new RangeError(`this forest cannot be used: ${problem}`);
  return forest;
}

/**
 * What is wrong with a forest, or undefined: every tree must be whole, every child reached once and after its parent,
 * every feature within the row, every number finite (thresholds may be Infinity). O(nodes).
 */
export function forestProblem(forest: Forest): string | undefined {
  const { features, treeStart, feature, threshold, left, defaultLeft, value } = forest;
  const nodes = feature.length;
  if (
    threshold.length !== nodes ||
    left.length !== nodes ||
    defaultLeft.length !== nodes ||
    value.length !== nodes
  ) {
    return 'its columns differ in length';
  }
  if (!Number.isFinite(forest.base)) return 'its base is not finite';
  if (treeStart[0] !== 0 || treeStart[treeStart.length - 1] !== nodes)
    return 'its trees do not cover its nodes';
  for (let tree = 0; tree + 1 < treeStart.length; tree++) {
    const first = treeStart[tree]!;
    const end = treeStart[tree + 1]!;
    if (end <= first) return `tree ${tree} has no nodes`;
    const reached = new Uint8Array(end - first);
    reached[0] = 1;
    for (let node = first; node < end; node++) {
      if (reached[node - first] === 0) return `node ${node} of tree ${tree} has no parent before it`;
      if (!Number.isFinite(value[node]!)) return `the value of node ${node} is not finite`;
      if (feature[node] === LEAF) continue;
      if (feature[node]! >= features || feature[node]! < 0)
        return `node ${node} asks for column ${feature[node]!}`;
      if (!(threshold[node]! > -Infinity)) return `the threshold of node ${node} is not a number`;
      const child = left[node]!;
      if (child <= node || child + 1 >= end) return `node ${node} points outside of its tree`;
      if (reached[child - first] === 1 || reached[child + 1 - first] === 1)
        return `node ${child} has two parents`;
      reached[child - first] = reached[child + 1 - first] = 1;
    }
  }
  return undefined;
}
