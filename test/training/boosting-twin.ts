/**
 * Boosting as one would write it on a blackboard: every split tried by adding up the rows on both sides, nothing kept,
 * nothing subtracted. Slow and obvious; `trainForest` must agree with it.
 */

export interface TwinOptions {
  gradients: (prediction: number[]) => { g: number[]; h: number[] };
  /** The value of a leaf from its rows, where it is not -G / (H + l2). */
  leafValue?: (rows: number[], prediction: number[]) => number;
  base: number;
  trees: number;
  maxLeaves: number;
  maxDepth: number;
  learningRate: number;
  l2: number;
  minChildWeight: number;
  monotone?: number[];
}

interface Node {
  rows: number[];
  depth: number;
  low: number;
  high: number;
  split?: { feature: number; threshold: number; missingLeft: boolean; gain: number };
  children?: [Node, Node];
}

/** Cuts halfway between neighbouring different values. */
export function allCuts(column: ArrayLike<number>, rows: number): number[] {
  const values = [...new Set(Array.from(column).slice(0, rows))]
    .filter((x) => !Number.isNaN(x))
    .sort((a, b) => a - b);
  return values.slice(1).map((x, i) => values[i]! / 2 + x / 2);
}

/** The predictions of boosted trees for the rows they were trained on. `cuts[f]`: where feature f may be cut. */
export function twinPredictions(
  columns: ArrayLike<number>[],
  rows: number,
  cuts: number[][],
  o: TwinOptions,
): number[] {
  const prediction = Array<number>(rows).fill(o.base);
  const clip = (x: number, node: Node): number => Math.max(node.low, Math.min(node.high, x));
  for (let tree = 0; tree < o.trees; tree++) {
    const { g, h } = o.gradients(prediction);
    const add = (of: number[], which: number[]): number => which.reduce((sum, row) => sum + of[row]!, 0);
    const weight = (which: number[], node: Node): number =>
      clip(-add(g, which) / (add(h, which) + o.l2), node);
    const objective = (which: number[], node: Node): number => {
      const w = weight(which, node);
      return -(2 * add(g, which) * w + (add(h, which) + o.l2) * w * w);
    };

    const findSplit = (node: Node): void => {
      const total = objective(node.rows, node);
      let best = 1e-12 * g.reduce((sum, x) => sum + x * x, 0);
      columns.forEach((column, feature) => {
        const someMissing = node.rows.some((row) => Number.isNaN(column[row]!));
        for (const missingLeft of someMissing ? [false, true] : [undefined]) {
          for (const threshold of missingLeft === false ? [...cuts[feature]!, Infinity] : cuts[feature]!) {
            const goesLeft = (row: number): boolean =>
              Number.isNaN(column[row]!) ? missingLeft === true : column[row]! <= threshold;
            const l = node.rows.filter((row) => goesLeft(row));
            const r = node.rows.filter((row) => !goesLeft(row));
            if (l.length === 0 || r.length === 0) continue;
            if (add(h, l) < o.minChildWeight || add(h, r) < o.minChildWeight) continue;
            if ((o.monotone?.[feature] ?? 0) * (weight(r, node) - weight(l, node)) < 0) continue;
            const gain = objective(l, node) + objective(r, node) - total;
            if (gain > best * (1 + 1e-9)) {
              best = gain;
              node.split = { feature, threshold, gain, missingLeft: missingLeft ?? add(h, l) >= add(h, r) };
            }
          }
        }
      });
    };

    const root: Node = { rows: prediction.map((_, row) => row), depth: 0, low: -Infinity, high: Infinity };
    const leaves = [root];
    findSplit(root);
    while (leaves.length < o.maxLeaves) {
      let best: Node | undefined;
      for (const leaf of leaves) {
        if (leaf.split && leaf.depth < o.maxDepth && leaf.split.gain > (best?.split?.gain ?? 0) * (1 + 1e-9))
          best = leaf;
      }
      if (best?.split === undefined) break;
      const { feature, threshold, missingLeft } = best.split;
      const goesLeft = (row: number): boolean =>
        Number.isNaN(columns[feature]![row]!) ? missingLeft : columns[feature]![row]! <= threshold;
      const at = { depth: best.depth + 1, low: best.low, high: best.high };
      const l: Node = { ...at, rows: best.rows.filter((row) => goesLeft(row)) };
      const r: Node = { ...at, rows: best.rows.filter((row) => !goesLeft(row)) };
      const middle = (weight(l.rows, best) + weight(r.rows, best)) / 2;
      if ((o.monotone?.[feature] ?? 0) > 0) l.high = r.low = middle;
      if ((o.monotone?.[feature] ?? 0) < 0) l.low = r.high = middle;
      best.children = [l, r];
      findSplit(l);
      findSplit(r);
      leaves.splice(leaves.indexOf(best), 1);
      leaves.push(l, r);
    }
    if (leaves.length === 1) break;
    const before = [...prediction];
    for (const leaf of leaves) {
      const value = o.leafValue ? o.leafValue(leaf.rows, before) : weight(leaf.rows, leaf);
      for (const row of leaf.rows) prediction[row] = before[row]! + o.learningRate * value;
    }
  }
  return prediction;
}
