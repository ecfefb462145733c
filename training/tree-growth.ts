/**
 * Grows one regression tree over binned columns, best leaf first, from sums of gradient and curvature per bin.
 *
 * A node's histogram holds, for each bin of each feature, the sum of gradients and the sum of curvatures of the node's
 * rows. Of two children only the smaller one is counted, the other is the parent less its sibling. Splits are then read
 * off by running sums: gain = GL²/(HL+l2) + GR²/(HR+l2) - G²/(H+l2), missing values tried on both sides.
 */
import { COLUMNS_PER_STEP, type BinnedFrame } from './histogram-bins.js';

export interface GrowthLimits {
  readonly maxLeaves: number;
  readonly maxDepth: number;
  readonly l2: number;
  readonly minChildWeight: number;
  readonly minSplitGain: number;
  /** +1, -1 or 0 per feature of the binned frame; undefined where nothing is constrained. */
  readonly monotone: Int8Array | undefined;
}

/** One grown tree over bins. Children of a node are `left` and `left + 1`, after it. */
export interface GrownTree {
  readonly nodes: number;
  /** Feature of the binned frame, or -1 for a leaf. */
  readonly feature: Int32Array;
  /** Last bin of values that goes left. */
  readonly bin: Int32Array;
  readonly left: Int32Array;
  readonly defaultLeft: Uint8Array;
  /** Of a leaf -G/(H + l2), of an inner node the gain of its split. */
  readonly value: Float64Array;
  /** Rows of the training part in node `i` are `rows[start[i] … end[i] - 1]`, for leaves and inner nodes alike. */
  readonly start: Int32Array;
  readonly end: Int32Array;
}

/**
 * A candidate must beat the best so far by this share to take its place: sums over the same rows differ in the last bits
 * by the order of adding, and a tie must fall to the lower feature and bin on every machine.
 */
const TIE = 1e-9;
/** A gain below this share of all squared gradients is rounding, not a pattern: equal targets must give one leaf. */
const NO_GAIN = 1e-12;
/** Missing weight below this share of the node's is what subtraction left over, not a row. */
const NOTHING = 1e-9;

interface Split {
  gain: number;
  feature: number;
  bin: number;
  defaultLeft: number;
  leftGradient: number;
  leftCurvature: number;
}

interface Leaf {
  node: number;
  depth: number;
  gradient: number;
  curvature: number;
  /** Bounds that monotone splits above put on the leaf's value. */
  lowest: number;
  highest: number;
  histogram: Float64Array;
  split: Split;
}

/** Room that is reused from tree to tree. */
export class TreeGrower {
  private readonly nodesAtMost: number;
  private readonly pool: Float64Array[] = [];
  private readonly spare: Int32Array;

  /**
   * @param rows place for the row numbers of the tree, in ascending order at the call of `grow`; reordered by leaf
   */
  constructor(
    private readonly frame: BinnedFrame,
    private readonly limits: GrowthLimits,
    private readonly rows: Int32Array,
  ) {
    this.nodesAtMost = 2 * limits.maxLeaves - 1;
    this.spare = new Int32Array(rows.length);
  }

  /**
   * Grows a tree on `rows[0 … count - 1]`. `usable` says which features may be split by (1) and which may not (0).
   * O(rows · features · levels / 2) for the counting, plus leaves · bins for the reading.
   */
  grow(count: number, gradient: Float64Array, curvature: Float64Array, usable: Uint8Array): GrownTree {
    const { frame, limits, rows, pool, spare } = this;
    const feature = new Int32Array(this.nodesAtMost).fill(-1);
    const bin = new Int32Array(this.nodesAtMost);
    const left = new Int32Array(this.nodesAtMost);
    const defaultLeft = new Uint8Array(this.nodesAtMost);
    const value = new Float64Array(this.nodesAtMost);
    const start = new Int32Array(this.nodesAtMost);
    const end = new Int32Array(this.nodesAtMost);

    let g = 0;
    let h = 0;
    let squares = 0;
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      g += gradient[row]!;
      h += curvature[row]!;
      squares += gradient[row]! * gradient[row]!;
    }
    const twoChildren = 2 * limits.minChildWeight * (1 - TIE);
    const leastGain = Math.max(limits.minSplitGain, squares * NO_GAIN);
    const histogramOf = (): Float64Array => pool.pop() ?? new Float64Array(2 * frame.totalBins);
    const leaf = (
      node: number,
      depth: number,
      gs: number,
      hs: number,
      lowest: number,
      highest: number,
    ): Leaf => {
      value[node] = clip(-gs / (hs + limits.l2), lowest, highest);
      if (Number.isNaN(value[node]!)) value[node] = 0; // no curvature at all
      return {
        node,
        depth,
        gradient: gs,
        curvature: hs,
        lowest,
        highest,
        histogram: histogramOf(),
        split: { gain: 0, feature: -1, bin: 0, defaultLeft: 0, leftGradient: 0, leftCurvature: 0 },
      };
    };

    end[0] = count;
    let nodes = 1;
    const root = leaf(0, 0, g, h, -Infinity, Infinity);
    countBins(frame, rows, 0, count, gradient, curvature, root.histogram);
    this.findSplit(root, usable, leastGain);
    const open: Leaf[] = [root];
    for (let leaves = 1; leaves < limits.maxLeaves; leaves++) {
      const parent = takeBest(open);
      if (parent === undefined) break;
      const { node, split } = parent;
      const from = start[node]!;
      const to = end[node]!;
      const middle = partition(frame, rows, spare, from, to, split.feature, split.bin, split.defaultLeft);
      const l = nodes;
      const r = nodes + 1;
      nodes += 2;
      feature[node] = split.feature;
      bin[node] = split.bin;
      left[node] = l;
      defaultLeft[node] = split.defaultLeft;
      start[l] = from;
      end[l] = middle;
      start[r] = middle;
      end[r] = to;

      const rightGradient = parent.gradient - split.leftGradient;
      const rightCurvature = parent.curvature - split.leftCurvature;
      const depth = parent.depth + 1;
      const bounds = this.boundsBelow(parent, rightGradient, rightCurvature);
      const a = leaf(
        l,
        depth,
        split.leftGradient,
        split.leftCurvature,
        bounds.leftLowest,
        bounds.leftHighest,
      );
      const b = leaf(r, depth, rightGradient, rightCurvature, bounds.rightLowest, bounds.rightHighest);
      value[node] = split.gain;

      const [small, large] = middle - from <= to - middle ? [a, b] : [b, a];
      const last = leaves + 1 === limits.maxLeaves || depth >= limits.maxDepth;
      const mayPart = (child: Leaf): boolean => !last && child.curvature >= twoChildren;
      if (mayPart(a) || mayPart(b)) {
        countBins(frame, rows, start[small.node]!, end[small.node]!, gradient, curvature, small.histogram);
        subtract(parent.histogram, small.histogram, large.histogram);
        if (mayPart(a)) this.findSplit(a, usable, leastGain);
        if (mayPart(b)) this.findSplit(b, usable, leastGain);
      }
      pool.push(parent.histogram);
      for (const child of [a, b]) {
        if (child.split.feature === -1) pool.push(child.histogram);
        else open.push(child);
      }
    }
    for (const rest of open) pool.push(rest.histogram);
    return { nodes, feature, bin, left, defaultLeft, value, start, end };
  }

  /** A monotone split bounds everything below it by the middle of its two values. */
  private boundsBelow(parent: Leaf, rightGradient: number, rightCurvature: number): ChildBounds {
    const { lowest, highest, split } = parent;
    const { monotone, l2 } = this.limits;
    const bounds = {
      leftLowest: lowest,
      leftHighest: highest,
      rightLowest: lowest,
      rightHighest: highest,
    };
    const direction = monotone === undefined ? 0 : monotone[split.feature]!;
    if (direction === 0) return bounds;
    const l = clip(-split.leftGradient / (split.leftCurvature + l2), lowest, highest);
    const r = clip(-rightGradient / (rightCurvature + l2), lowest, highest);
    const middle = (l + r) / 2;
    if (direction > 0) bounds.leftHighest = bounds.rightLowest = middle;
    else bounds.leftLowest = bounds.rightHighest = middle;
    return bounds;
  }

  /** The best split of a leaf, written into `leaf.split`; `split.feature` stays -1 where none gains enough. O(bins). */
  private findSplit(leaf: Leaf, usable: Uint8Array, leastGain: number): void {
    const { frame, limits } = this;
    const { histogram, gradient: g, curvature: h, split } = leaf;
    const { l2, monotone } = limits;
    const leastWeight = limits.minChildWeight * (1 - TIE);
    const worth = monotone === undefined ? (g * g) / (h + l2) : bounded(g, h, l2, leaf.lowest, leaf.highest);
    let best = leastGain;
    for (let f = 0; f < frame.features; f++) {
      if (usable[f] === 0) continue;
      const first = frame.binStart[f]!;
      const valueBins = frame.edges[f]!.length + 1;
      const missing = frame.missingBin[f]!;
      let missingGradient = 0;
      let missingCurvature = 0;
      if (missing >= 0 && histogram[2 * (first + missing) + 1]! > NOTHING * h) {
        missingGradient = histogram[2 * (first + missing)]!;
        missingCurvature = histogram[2 * (first + missing) + 1]!;
      }
      const direction = monotone === undefined ? 0 : monotone[f]!;
      // Side 0: missing goes right, and "all that is present" against "missing" is a split too. Side 1: missing left.
      const sides = missingCurvature > 0 ? 2 : 1;
      for (let side = 0; side < sides; side++) {
        let gl = side === 1 ? missingGradient : 0;
        let hl = side === 1 ? missingCurvature : 0;
        const bins = side === 0 && sides === 2 ? valueBins : valueBins - 1;
        for (let b = 0; b < bins; b++) {
          gl += histogram[2 * (first + b)]!;
          hl += histogram[2 * (first + b) + 1]!;
          const hr = h - hl;
          if (hl < leastWeight || hl <= 0) continue;
          if (hr < leastWeight || hr <= NOTHING * h) break;
          const gr = g - gl;
          let gain: number;
          if (monotone === undefined) {
            gain = (gl * gl) / (hl + l2) + (gr * gr) / (hr + l2) - worth;
          } else {
            const l = clip(-gl / (hl + l2), leaf.lowest, leaf.highest);
            const r = clip(-gr / (hr + l2), leaf.lowest, leaf.highest);
            if (direction * (r - l) < 0) continue;
            gain = -(2 * gl * l + (hl + l2) * l * l) - (2 * gr * r + (hr + l2) * r * r) - worth;
          }
          if (gain > best * (1 + TIE)) {
            best = gain;
            split.gain = gain;
            split.feature = f;
            split.bin = b;
            split.leftGradient = gl;
            split.leftCurvature = hl;
            // Where nothing was missing yet, what will be missing goes with the heavier side.
            split.defaultLeft = sides === 2 ? side : hl >= hr ? 1 : 0;
          }
        }
      }
    }
  }
}

interface ChildBounds {
  leftLowest: number;
  leftHighest: number;
  rightLowest: number;
  rightHighest: number;
}

const clip = (x: number, lowest: number, highest: number): number => Math.max(lowest, Math.min(highest, x));

/** What a node whose value must keep within bounds takes off the loss (times two). */
function bounded(g: number, h: number, l2: number, lowest: number, highest: number): number {
  const w = clip(-g / (h + l2), lowest, highest);
  return -(2 * g * w + (h + l2) * w * w);
}

/** Takes the open leaf of greatest gain out of the list; the older one of two equals. O(leaves). */
function takeBest(open: Leaf[]): Leaf | undefined {
  let best = -1;
  for (let i = 0; i < open.length; i++) {
    if (open[i]!.split.feature < 0) continue;
    if (best < 0 || open[i]!.split.gain > open[best]!.split.gain * (1 + TIE)) best = i;
  }
  return best < 0 ? undefined : open.splice(best, 1)[0];
}

/**
 * The hot loop: adds each row's gradient and curvature to its bin of every feature, four features a step over the
 * row-major bins: in V8 that is faster than column after column.
 */
function countBins(
  frame: BinnedFrame,
  rows: Int32Array,
  from: number,
  to: number,
  gradient: Float64Array,
  curvature: Float64Array,
  histogram: Float64Array,
): void {
  const { byRow, stride } = frame;
  histogram.fill(0);
  for (let i = from; i < to; i++) {
    const row = rows[i]!;
    const g = gradient[row]!;
    const h = curvature[row]!;
    const last = (row + 1) * stride;
    for (let at = row * stride; at < last; at += COLUMNS_PER_STEP) {
      const a = byRow[at]! << 1;
      const b = byRow[at + 1]! << 1;
      const c = byRow[at + 2]! << 1;
      const d = byRow[at + 3]! << 1;
      histogram[a] = histogram[a]! + g;
      histogram[a + 1] = histogram[a + 1]! + h;
      histogram[b] = histogram[b]! + g;
      histogram[b + 1] = histogram[b + 1]! + h;
      histogram[c] = histogram[c]! + g;
      histogram[c + 1] = histogram[c + 1]! + h;
      histogram[d] = histogram[d]! + g;
      histogram[d + 1] = histogram[d + 1]! + h;
    }
  }
}

function subtract(parent: Float64Array, small: Float64Array, large: Float64Array): void {
  for (let i = 0; i < parent.length; i++) large[i] = parent[i]! - small[i]!;
}

/** Puts the rows that go left before those that go right, each in their old order; returns where the right ones begin. */
function partition(
  frame: BinnedFrame,
  rows: Int32Array,
  spare: Int32Array,
  from: number,
  to: number,
  feature: number,
  bin: number,
  defaultLeft: number,
): number {
  const bins = frame.byColumn;
  const at = feature * frame.rows;
  const missing = frame.missingBin[feature]!;
  // Every row is written to both sides and only the right one's place moves on: nothing for the processor to guess.
  let l = from;
  let r = 0;
  for (let i = from; i < to; i++) {
    const row = rows[i]!;
    const b = bins[at + row]!;
    const goesLeft = b === missing ? defaultLeft : b <= bin ? 1 : 0;
    rows[l] = row;
    spare[r] = row;
    l += goesLeft;
    r += 1 - goesLeft;
  }
  for (let i = 0; i < r; i++) rows[l + i] = spare[i]!;
  return l;
}

/** The leaf of one row of the binned frame. O(depth). */
export function leafOfRow(tree: GrownTree, frame: BinnedFrame, row: number): number {
  let node = 0;
  while (tree.feature[node]! >= 0) {
    const f = tree.feature[node]!;
    const b = frame.byColumn[f * frame.rows + row]!;
    const goesLeft = b === frame.missingBin[f] ? tree.defaultLeft[node] === 1 : b <= tree.bin[node]!;
    node = tree.left[node]! + (goesLeft ? 0 : 1);
  }
  return node;
}
