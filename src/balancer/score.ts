import {
  F_DSK,
  F_DSK_FORTH,
  F_MEM_FORTH,
  F_SPIN,
  F_SPIN_FORTH,
  FAILS_N1,
  FORTHCOMING,
  I_SPIN,
  I_SPIN_FORTH,
  LOAD_CPU,
  LOAD_DSK,
  LOAD_MEM,
  LOAD_NET,
  LOCATION_SCORE,
  PRIMARIES,
  R_MEM,
  ROW,
  SECONDARIES,
  TAG_SCORE,
  U_CPU,
  U_CPU_FORTH,
  U_MEM,
  type GroupModel,
} from './group-model.js';

/**
 * hbal's cluster score: 20 components, each an aggregate over nodes times a weight, summed in this order. Lower is
 * better. `spread` is the population standard deviation over online nodes, `sum` a plain sum; `pairs` counts pairs
 * of location and exclusion tags over the whole group.
 */
export const METRICS = [
  { name: 'free_mem_cv', weight: 0.5, aggregate: 'spread', over: 'online' },
  { name: 'free_disk_cv', weight: 0.5, aggregate: 'spread', over: 'online' },
  { name: 'n1_cnt', weight: 1, aggregate: 'sum', over: 'online' },
  { name: 'reserved_mem_cv', weight: 1, aggregate: 'spread', over: 'online' },
  { name: 'offline_all_cnt', weight: 4, aggregate: 'sum', over: 'offline' },
  { name: 'offline_pri_cnt', weight: 16, aggregate: 'sum', over: 'offline' },
  { name: 'vcpu_ratio_cv', weight: 0.5, aggregate: 'spread', over: 'online' },
  { name: 'cpu_load_cv', weight: 1, aggregate: 'spread', over: 'online' },
  { name: 'mem_load_cv', weight: 1, aggregate: 'spread', over: 'online' },
  { name: 'disk_load_cv', weight: 1, aggregate: 'spread', over: 'online' },
  { name: 'net_load_cv', weight: 1, aggregate: 'spread', over: 'online' },
  { name: 'pri_tags_score', weight: 2, aggregate: 'sum', over: 'online' },
  { name: 'spindles_cv', weight: 0.5, aggregate: 'spread', over: 'online' },
  { name: 'free_mem_cv_forth', weight: 0.5, aggregate: 'spread', over: 'online' },
  { name: 'free_disk_cv_forth', weight: 0.5, aggregate: 'spread', over: 'online' },
  { name: 'vcpu_ratio_cv_forth', weight: 0.5, aggregate: 'spread', over: 'online' },
  { name: 'spindles_cv_forth', weight: 0.5, aggregate: 'spread', over: 'online' },
  { name: 'location_score', weight: 1, aggregate: 'sum', over: 'online' },
  { name: 'location_exclusion_score', weight: 1, aggregate: 'pairs', over: 'online' },
  { name: 'reserved_mem_rtotal', weight: 0.25, aggregate: 'sum', over: 'online' },
] as const;

export const METRIC_COUNT = METRICS.length;

/** Row of the table by name, so that nothing below counts positions by hand. */
export const metricNumber = (name: (typeof METRICS)[number]['name']): number =>
  METRICS.findIndex((metric) => metric.name === name);

const FREE_MEM = metricNumber('free_mem_cv');
const FREE_DISK = metricNumber('free_disk_cv');
const N1_COUNT = metricNumber('n1_cnt');
const RESERVED_MEM = metricNumber('reserved_mem_cv');
const OFFLINE_ALL = metricNumber('offline_all_cnt');
const OFFLINE_PRIMARIES = metricNumber('offline_pri_cnt');
const VCPU_RATIO = metricNumber('vcpu_ratio_cv');
const CPU_LOAD = metricNumber('cpu_load_cv');
const MEM_LOAD = metricNumber('mem_load_cv');
const DISK_LOAD = metricNumber('disk_load_cv');
const NET_LOAD = metricNumber('net_load_cv');
const PRIMARY_TAGS = metricNumber('pri_tags_score');
const SPINDLES = metricNumber('spindles_cv');
const FREE_MEM_FORTH = metricNumber('free_mem_cv_forth');
const FREE_DISK_FORTH = metricNumber('free_disk_cv_forth');
const VCPU_RATIO_FORTH = metricNumber('vcpu_ratio_cv_forth');
const SPINDLES_FORTH = metricNumber('spindles_cv_forth');
const LOCATION = metricNumber('location_score');
export const LOCATION_EXCLUSION = metricNumber('location_exclusion_score');
const RESERVED_MEM_TOTAL = metricNumber('reserved_mem_rtotal');

export const WEIGHTS = Float64Array.from(METRICS, (metric) => metric.weight);
/** Components that are spreads, and those that are plain sums, by number. */
export const SPREADS = Int32Array.from(
  METRICS.flatMap((metric, c) => (metric.aggregate === 'spread' ? [c] : [])),
);
export const SUMS = Int32Array.from(METRICS.flatMap((metric, c) => (metric.aggregate === 'sum' ? [c] : [])));
const IS_SPREAD = Uint8Array.from(METRICS, (metric) => (metric.aggregate === 'spread' ? 1 : 0));

/** What is free over all that is there: spindles with exclusive storage, else disk; 1 where there is none (hbal's `pDsk`). */
export function freeDiskShare(
  model: GroupModel,
  node: number,
  freeDisk: number,
  freeSpindles: number,
): number {
  const isExclusive = model.exclusive[node] === 1;
  const all = isExclusive ? model.spindles[node]! : model.totalDisk[node]!;
  return all === 0 ? 1 : (isExclusive ? freeSpindles : freeDisk) / all;
}

/**
 * What one node adds to each component: METRIC_COUNT values from `out[outAt]`, out of the row at `rows[rowAt]`. A
 * node that a component does not look at adds 0.
 */
export function nodeMetrics(
  model: GroupModel,
  node: number,
  rows: Float64Array,
  rowAt: number,
  out: Float64Array,
  outAt: number,
): void {
  const primaries = rows[rowAt + PRIMARIES]!;
  const all = primaries + rows[rowAt + SECONDARIES]!;
  if (model.online[node] === 0) {
    for (let c = 0; c < METRIC_COUNT; c++) out[outAt + c] = 0;
    out[outAt + OFFLINE_ALL] = all;
    out[outAt + OFFLINE_PRIMARIES] = primaries;
    return;
  }
  const totalMemory = model.totalMemory[node]!;
  const totalCpu = model.totalCpu[node]!;
  const speed = model.cpuSpeed[node]!;
  const highSpindles = model.highSpindles[node]!;
  const reserved = rows[rowAt + R_MEM]! / totalMemory;
  out[outAt + FREE_MEM] = rows[rowAt + U_MEM]! / totalMemory;
  out[outAt + FREE_DISK] = freeDiskShare(model, node, rows[rowAt + F_DSK]!, rows[rowAt + F_SPIN]!);
  out[outAt + FREE_DISK_FORTH] = freeDiskShare(
    model,
    node,
    rows[rowAt + F_DSK_FORTH]!,
    rows[rowAt + F_SPIN_FORTH]!,
  );
  out[outAt + N1_COUNT] = rows[rowAt + FAILS_N1] === 1 ? all : 0;
  out[outAt + RESERVED_MEM] = reserved;
  out[outAt + OFFLINE_ALL] = 0;
  out[outAt + OFFLINE_PRIMARIES] = 0;
  out[outAt + VCPU_RATIO] = rows[rowAt + U_CPU]! / totalCpu / speed;
  out[outAt + CPU_LOAD] = rows[rowAt + LOAD_CPU]!;
  out[outAt + MEM_LOAD] = rows[rowAt + LOAD_MEM]!;
  out[outAt + DISK_LOAD] = rows[rowAt + LOAD_DSK]!;
  out[outAt + NET_LOAD] = rows[rowAt + LOAD_NET]!;
  out[outAt + PRIMARY_TAGS] = rows[rowAt + TAG_SCORE]!;
  out[outAt + SPINDLES] = rows[rowAt + I_SPIN]! / highSpindles;
  out[outAt + FREE_MEM_FORTH] = rows[rowAt + F_MEM_FORTH]! / totalMemory;
  out[outAt + VCPU_RATIO_FORTH] = rows[rowAt + U_CPU_FORTH]! / totalCpu / speed;
  out[outAt + SPINDLES_FORTH] = rows[rowAt + I_SPIN_FORTH]! / highSpindles;
  out[outAt + LOCATION] = rows[rowAt + LOCATION_SCORE]!;
  out[outAt + LOCATION_EXCLUSION] = 0;
  out[outAt + RESERVED_MEM_TOTAL] = reserved;
}

/** Excess of pairs of location and exclusion tags: sum of counts less the number of distinct pairs. */
export function pairExcess(pairCounts: Int32Array): number {
  let excess = 0;
  for (const count of pairCounts) if (count > 0) excess += count - 1;
  return excess;
}

/** Nodes that changes weighed together may touch: four each. */
const MOST_CHANGED = 8;

/** What some nodes would be worth to each component after one change or two of one placement. */
export class NodeChanges {
  count = 0;
  readonly nodes = new Int32Array(MOST_CHANGED);
  /** MOST_CHANGED × METRIC_COUNT. */
  readonly metrics = new Float64Array(MOST_CHANGED * METRIC_COUNT);
  /** What they add to the excess of pairs of location and exclusion tags. */
  pairChange = 0;

  clear(): void {
    this.count = 0;
    this.pairChange = 0;
  }

  /** Where a node's values stand, in rows of `metrics`; a node not seen before gets the next one. */
  slotOf(node: number): number {
    for (let t = 0; t < this.count; t++) if (this.nodes[t] === node) return t;
    this.nodes[this.count] = node;
    return this.count++;
  }
}

/**
 * The score's components and their sum, kept beside a group model. `exact` walks all nodes in hbal's order of
 * additions, so that the last bit is hbal's; `approximate` needs only the nodes that a move touches, from running
 * sums about the mean.
 */
export class ScoreBoard {
  readonly model: GroupModel;
  /** nodeCount × METRIC_COUNT. */
  readonly values: Float64Array;
  readonly #online: Int32Array;
  readonly onlineCount: number;
  /** Per component: the mean at the last refresh, and the sums of v - mean and its square over online nodes. */
  readonly centre = new Float64Array(METRIC_COUNT);
  readonly sum = new Float64Array(METRIC_COUNT);
  readonly squares = new Float64Array(METRIC_COUNT);
  /** Largest distance of an online node from the mean, as of the last refresh. */
  readonly reach = new Float64Array(METRIC_COUNT);
  /** Spreads that approximate scores count, the largest part of the score first; and their weights with twins merged. */
  spreadOrder = SPREADS;
  readonly mergedWeights = WEIGHTS.slice();
  #pairs = 0;
  /** The 20 components before their weights, as of the last refresh or shift. */
  readonly components = new Float64Array(METRIC_COUNT);
  #score = 0;

  constructor(model: GroupModel) {
    this.model = model;
    this.values = new Float64Array(model.nodeCount * METRIC_COUNT);
    this.#online = Int32Array.from(
      Array.from(model.online, (flag, k) => (flag === 1 ? k : -1)).filter((k) => k >= 0),
    );
    this.onlineCount = this.#online.length;
    this.#mergeTwins();
    for (let k = 0; k < model.nodeCount; k++) this.takeNode(k);
    this.refresh();
  }

  /** The score as of the last refresh or shift. */
  get score(): number {
    return this.#score;
  }

  /** Reads one node's row anew; call `refresh` after the last of them. */
  takeNode(node: number): void {
    nodeMetrics(this.model, node, this.model.rows, node * ROW, this.values, node * METRIC_COUNT);
  }

  /** Score, components and running sums from the values. O(nodes). */
  refresh(): void {
    this.#pairs = pairExcess(this.model.pairCounts);
    this.#score = this.#walk(this.#pairs, this.components);
    const { values } = this;
    for (const c of SPREADS) {
      let mean = 0;
      for (const k of this.#online) mean += values[k * METRIC_COUNT + c]!;
      mean /= this.#online.length;
      let sum = 0;
      let squares = 0;
      let reach = 0;
      for (const k of this.#online) {
        const d = values[k * METRIC_COUNT + c]! - mean;
        sum += d;
        squares += d * d;
        if (Math.abs(d) > reach) reach = Math.abs(d);
      }
      this.reach[c] = reach;
      this.centre[c] = mean;
      this.sum[c] = sum;
      this.squares[c] = squares;
    }
    const share = (c: number): number => this.mergedWeights[c]! * this.components[c]!;
    this.spreadOrder.sort((a, b) => share(b) - share(a) || a - b);
  }

  /**
   * Components that are equal on every node and stay so: the three loads of primaries while all instances weigh the
   * same in them, and the twins that count forthcoming instances in while there are none. The later one of a pair is
   * left out of approximate scores, its weight added to the earlier.
   */
  #mergeTwins(): void {
    const { model } = this;
    const { loads, instanceCount, rows } = model;
    const rowsEqual = (a: number, b: number): boolean => {
      for (let k = 0; k < model.nodeCount; k++) if (rows[k * ROW + a] !== rows[k * ROW + b]) return false;
      return true;
    };
    const loadsEqual = (a: number, b: number): boolean => {
      for (let i = 0; i < instanceCount; i++) if (loads[i * 4 + a] !== loads[i * 4 + b]) return false;
      return rowsEqual(LOAD_CPU + a, LOAD_CPU + b);
    };
    let forthcoming = false;
    for (let i = 0; i < instanceCount; i++) forthcoming ||= model.has(i, FORTHCOMING);
    const merge = (into: number, out: number, equal: boolean): void => {
      if (!equal) return;
      this.mergedWeights[into]! += this.mergedWeights[out]!;
      this.mergedWeights[out] = 0;
    };
    merge(CPU_LOAD, MEM_LOAD, loadsEqual(0, 1));
    merge(CPU_LOAD, NET_LOAD, loadsEqual(0, 3));
    const diskEqual = rowsEqual(F_DSK, F_DSK_FORTH) && rowsEqual(F_SPIN, F_SPIN_FORTH);
    merge(FREE_DISK, FREE_DISK_FORTH, !forthcoming && diskEqual);
    merge(VCPU_RATIO, VCPU_RATIO_FORTH, !forthcoming && rowsEqual(U_CPU, U_CPU_FORTH));
    merge(SPINDLES, SPINDLES_FORTH, !forthcoming && rowsEqual(I_SPIN, I_SPIN_FORTH));
    this.spreadOrder = SPREADS.filter((c) => this.mergedWeights[c]! > 0);
  }

  /**
   * The exact score with some nodes' values replaced: `count` nodes in `nodes`, their values in `changed`.
   * `pairChange` is what the replacement adds to the excess of tag pairs. O(nodes).
   */
  exactWith(nodes: Int32Array, count: number, changed: Float64Array, pairChange: number): number {
    const { values } = this;
    const kept = this.#kept;
    for (let t = 0; t < count; t++) {
      const from = nodes[t]! * METRIC_COUNT;
      for (let c = 0; c < METRIC_COUNT; c++) {
        kept[t * METRIC_COUNT + c] = values[from + c]!;
        values[from + c] = changed[t * METRIC_COUNT + c]!;
      }
    }
    const score = this.#walk(this.#pairs + pairChange, undefined);
    for (let t = 0; t < count; t++) {
      const from = nodes[t]! * METRIC_COUNT;
      for (let c = 0; c < METRIC_COUNT; c++) values[from + c] = kept[t * METRIC_COUNT + c]!;
    }
    return score;
  }

  readonly #kept = new Float64Array(MOST_CHANGED * METRIC_COUNT);
  readonly #liveRows = new Int32Array(MOST_CHANGED);
  readonly #liveChangedRows = new Int32Array(MOST_CHANGED);

  /**
   * The same score from the running sums, to about 1e-10 of it; Infinity as soon as it is sure to be above `limit`.
   * O(1): 13 square roots at most. Where a spread nearly vanishes, so that the sums have lost their digits, it is
   * walked.
   */
  approximateWith(
    nodes: Int32Array,
    count: number,
    changed: Float64Array,
    pairChange: number,
    limit: number,
  ): number {
    const { values, model } = this;
    const n = this.#online.length;
    if (n === 0) return 0;
    let score = WEIGHTS[LOCATION_EXCLUSION]! * (this.#pairs + pairChange);
    for (let j = 0; j < SUMS.length; j++) {
      const c = SUMS[j]!;
      let value = this.components[c]!;
      for (let t = 0; t < count; t++)
        value += changed[t * METRIC_COUNT + c]! - values[nodes[t]! * METRIC_COUNT + c]!;
      score += WEIGHTS[c]! * value;
    }
    const order = this.spreadOrder;
    const weights = this.mergedWeights;
    const share = 1 / n;
    const rows = this.#liveRows;
    const changedRows = this.#liveChangedRows;
    let live = 0;
    for (let t = 0; t < count; t++) {
      const k = nodes[t]!;
      if (model.online[k] === 0) continue;
      rows[live] = k * METRIC_COUNT;
      changedRows[live] = t * METRIC_COUNT;
      live += 1;
    }
    for (let j = 0; j < order.length; j++) {
      if (score > limit) return Infinity; // no component is negative: it can only grow
      const c = order[j]!;
      const weight = weights[c]!;
      const centre = this.centre[c]!;
      let sum = this.sum[c]!;
      let squares = this.squares[c]!;
      let moved = 0;
      for (let t = 0; t < live; t++) {
        const before = values[rows[t]! + c]! - centre;
        const after = changed[changedRows[t]! + c]! - centre;
        sum += after - before;
        const gone = before * before;
        const come = after * after;
        squares += come - gone;
        moved += come + gone;
      }
      const variance = (squares - sum * sum * share) * share;
      if (moved === 0) score += weight * this.components[c]!;
      else if (variance * n > LOST_DIGITS * (this.squares[c]! + moved)) score += weight * Math.sqrt(variance);
      else score += weight * this.#walkSpreadWith(c, nodes, count, changed);
    }
    return score;
  }

  /**
   * Takes such a change over, so that later approximate scores start from it; `rows` of the model must already hold
   * it. Rounding adds up: call `refresh` every few hundred changes. O(1).
   */
  shift(nodes: Int32Array, count: number, changed: Float64Array, pairChange: number): void {
    const { values, model } = this;
    const n = this.#online.length;
    this.#pairs += pairChange;
    for (let t = 0; t < count; t++) {
      const from = nodes[t]! * METRIC_COUNT;
      for (let j = 0; j < SUMS.length; j++) {
        const c = SUMS[j]!;
        this.components[c]! += changed[t * METRIC_COUNT + c]! - values[from + c]!;
      }
      const spreads = model.online[nodes[t]!] === 1 ? SPREADS.length : 0;
      for (let j = 0; j < spreads; j++) {
        const c = SPREADS[j]!;
        const before = values[from + c]! - this.centre[c]!;
        const after = changed[t * METRIC_COUNT + c]! - this.centre[c]!;
        this.sum[c]! += after - before;
        this.squares[c]! += after * after - before * before;
      }
      for (let c = 0; c < METRIC_COUNT; c++) values[from + c] = changed[t * METRIC_COUNT + c]!;
    }
    this.components[LOCATION_EXCLUSION] = this.#pairs;
    let score = 0;
    for (let j = 0; j < SPREADS.length; j++) {
      const c = SPREADS[j]!;
      const sum = this.sum[c]!;
      this.components[c] = Math.sqrt(Math.max(0, (this.squares[c]! - (sum * sum) / n) / n));
    }
    for (let c = 0; c < METRIC_COUNT; c++) score += WEIGHTS[c]! * this.components[c]!;
    this.#score = n === 0 ? 0 : score;
  }

  #walkSpreadWith(c: number, nodes: Int32Array, count: number, changed: Float64Array): number {
    const { values } = this;
    for (let t = 0; t < count; t++) {
      const at = nodes[t]! * METRIC_COUNT + c;
      this.#kept[t] = values[at]!;
      values[at] = changed[t * METRIC_COUNT + c]!;
    }
    const value = this.#spread(c);
    for (let t = 0; t < count; t++) values[nodes[t]! * METRIC_COUNT + c] = this.#kept[t]!;
    return value;
  }

  #walk(pairs: number, out: Float64Array | undefined): number {
    if (this.#online.length === 0) {
      out?.fill(0);
      return 0;
    }
    let score = 0;
    for (let c = 0; c < METRIC_COUNT; c++) {
      const value =
        IS_SPREAD[c] === 1 ? this.#spread(c) : c === LOCATION_EXCLUSION ? pairs : this.#plainSum(c);
      if (out !== undefined) out[c] = value;
      score += WEIGHTS[c]! * value;
    }
    return score;
  }

  /** Population standard deviation over online nodes in index order: mean first, then squared distances. */
  #spread(c: number): number {
    const { values } = this;
    const online = this.#online;
    const n = online.length;
    let mean = 0;
    for (let j = 0; j < n; j++) mean += values[online[j]! * METRIC_COUNT + c]!;
    mean /= n;
    let squares = 0;
    for (let j = 0; j < n; j++) {
      const d = values[online[j]! * METRIC_COUNT + c]! - mean;
      squares += d * d;
    }
    return Math.sqrt(squares / n);
  }

  #plainSum(c: number): number {
    let sum = 0;
    for (let i = c; i < this.values.length; i += METRIC_COUNT) sum += this.values[i]!;
    return sum;
  }
}

/**
 * Below this share of what was added up, a variance from running sums has lost so many digits (of 16) that its root
 * could be off by more than 1e-11: walk instead.
 */
export const LOST_DIGITS = 1e-8;
