/**
 * What every importer gives back, and the one place where trees from elsewhere become a forest of ours: nodes numbered
 * as they like, checked as hostile input (limits, cycles, pointers, numbers), laid out parent before children.
 */
import { UserError } from '../../domain/errors.js';
import { FOREST_FORMAT, LEAF, constantForest, type Forest, type ForestLink } from '../trees.js';

export interface ImportedForest {
  readonly forest: Forest;
  /** Names of the columns in order, where the file knows them. */
  readonly featureNames: readonly string[] | undefined;
  /** The loss as its library calls it, such as `reg:squarederror`; empty where the file does not say. */
  readonly objective: string;
  /** Sentences for the one who imports: what is not as they might think. */
  readonly remarks: readonly string[];
}

/** A file beyond these is not a model of move durations; each refusal names the limit. */
export const importLimits = {
  /** Text is parsed in memory, at several times its size. */
  characters: 256 * 1024 * 1024,
  trees: 20_000,
  nodes: 4_000_000,
  /** Splits from root to leaf. Four walks run side by side until the longest has ended, so that depth is time. */
  depth: 256,
  features: 10_000,
} as const;

/** One tree as the file has it: node 0 is the root, any other numbering is fine. */
export interface NodeTable {
  /** Column asked for, or LEAF. */
  readonly feature: ArrayLike<number>;
  /** A row goes left when its value, a double, is <= this. */
  readonly threshold: ArrayLike<number>;
  readonly left: ArrayLike<number>;
  readonly right: ArrayLike<number>;
  /** 1: a missing value goes left. */
  readonly defaultLeft: ArrayLike<number>;
  /** What a leaf adds. */
  readonly value: ArrayLike<number>;
}

/** A refusal with its sentence; `what` continues "this XGBoost model …". */
export function refuseImport(library: string, what: string): never {
  throw new UserError('input-invalid', `this ${library} model ${what}`);
}

/** Refuses text or bytes beyond the limit. */
export function checkImportSize(library: string, size: number): void {
  if (size > importLimits.characters) {
    throw new UserError(
      'too-large',
      `this ${library} model is over the limit of ${importLimits.characters} characters`,
    );
  }
}

/**
 * Lays trees out as a forest. Throws a UserError when a tree is not one (a cycle, two parents, a child that does not
 * exist), a number is not finite, a column is not there, or a limit is passed. O(nodes).
 */
export function forestFromTables(
  library: string,
  tables: readonly NodeTable[],
  given: { features: number; base: number; link: ForestLink },
): Forest {
  const { features, base, link } = given;
  if (tables.length > importLimits.trees) tooLarge(library, 'trees', tables.length);
  if (features > importLimits.features) tooLarge(library, 'features', features);
  if (!Number.isFinite(base)) refuseImport(library, 'has a base score that is not a finite number');
  const nodes = tables.reduce((sum, table) => sum + table.feature.length, 0);
  if (nodes > importLimits.nodes) tooLarge(library, 'nodes', nodes);
  if (tables.length === 0) return constantForest(features, base, link);

  const feature: number[] = [];
  const threshold: number[] = [];
  const left: number[] = [];
  const defaultLeft: number[] = [];
  const value: number[] = [];
  const treeStart = [0];
  tables.forEach((table, tree) => {
    const size = table.feature.length;
    const refuseTree = (what: string): never => refuseImport(library, `is damaged: tree ${tree} ${what}`);
    if (size === 0) refuseTree('has no nodes');
    const seen = new Uint8Array(size);
    seen[0] = 1;
    const order = [0]; // source nodes in their new order
    const depth = [0];
    const first = treeStart[tree]!;
    for (let i = 0; i < order.length; i++) {
      const node = order[i]!;
      if (table.feature[node] === LEAF) {
        const v = table.value[node]!;
        if (!Number.isFinite(v)) refuseTree(`has a leaf, node ${node}, whose value is not a finite number`);
        feature.push(LEAF);
        threshold.push(0);
        left.push(0);
        defaultLeft.push(0);
        value.push(v + 0);
        continue;
      }
      const f = table.feature[node]!;
      if (!Number.isInteger(f) || f < 0 || f >= features) {
        refuseTree(`asks in node ${node} for column ${f}, but a row has ${features}`);
      }
      const t = table.threshold[node]!;
      if (!(t >= -Infinity)) refuseTree(`has a threshold in node ${node} that is not a number`);
      if (depth[i]! >= importLimits.depth) tooLarge(library, 'depth', depth[i]! + 1);
      for (const child of [table.left[node]!, table.right[node]!]) {
        if (!Number.isInteger(child) || child < 0 || child >= size) {
          refuseTree(`points in node ${node} to node ${child}, which does not exist`);
        }
        if (seen[child] === 1) refuseTree(`reaches node ${child} twice, so that it is a cycle and no tree`);
        seen[child] = 1;
        order.push(child);
        depth.push(depth[i]! + 1);
      }
      feature.push(f);
      threshold.push(t === -Infinity ? -Number.MAX_VALUE : t + 0);
      left.push(first + order.length - 2);
      defaultLeft.push(table.defaultLeft[node] === 1 ? 1 : 0);
      value.push(0);
    }
    treeStart.push(first + order.length);
  });
  return {
    format: FOREST_FORMAT,
    link,
    features,
    base: base + 0,
    treeStart: Int32Array.from(treeStart),
    feature: Int32Array.from(feature),
    threshold: Float64Array.from(threshold),
    left: Int32Array.from(left),
    defaultLeft: Uint8Array.from(defaultLeft),
    value: Float64Array.from(value),
  };
}

function tooLarge(library: string, what: keyof typeof importLimits, found: number): never {
  throw new UserError(
    'too-large',
    `this ${library} model is over a limit: ${what} ${found}, at most ${importLimits[what]} are taken`,
  );
}
