import {
  COUNTS_CPU,
  FORTHCOMING,
  LOCAL_DISK,
  MIRROR_INTERNAL,
  ROW,
  USES_MEMORY,
  type GroupModel,
} from './group-model.js';
import type { MoveTrial } from './move-trial.js';
import { FAILOVER, REPLACE_AND_FAILOVER, REPLACE_SECONDARY, primaryAfter, type MoveKind } from './moves.js';
import {
  LOCATION_EXCLUSION,
  LOST_DIGITS,
  METRIC_COUNT,
  SUMS,
  WEIGHTS,
  metricNumber,
  nodeMetrics,
  type ScoreBoard,
} from './score.js';

/** Spreads whose values change by an instance's share in them wherever it comes or goes: all but reserved memory. */
interface SharedSpread {
  component: number;
  /** What an instance takes, or with a minus frees, in its own unit. */
  share: (model: GroupModel, instance: number) => number;
  /** What a unit of it is worth on a node. */
  unit: (model: GroupModel, node: number) => number;
  /** Taken by primary and mirror alike, and not by the primary alone. */
  isOfDisks: boolean;
  /** Counted in spindles where storage is exclusive. */
  isOfStorage: boolean;
}

const sharedSpread = (
  name: Parameters<typeof metricNumber>[0],
  share: SharedSpread['share'],
  unit: SharedSpread['unit'],
  where: 'primary' | 'disks' | 'storage' = 'primary',
): SharedSpread => ({
  component: metricNumber(name),
  share,
  unit,
  isOfDisks: where !== 'primary',
  isOfStorage: where === 'storage',
});

/** A share where the instance is there already; one that is forthcoming is not. */
const present =
  (share: SharedSpread['share']): SharedSpread['share'] =>
  (model, i) =>
    model.has(i, FORTHCOMING) ? 0 : share(model, i);
const load = (which: number): SharedSpread['share'] => present((model, i) => model.loads[i * 4 + which]!);
const cpus: SharedSpread['share'] = (model, i) => (model.has(i, COUNTS_CPU) ? model.vcpus[i]! : 0);
const diskTaken: SharedSpread['share'] = (model, i) => (model.has(i, LOCAL_DISK) ? -model.disk[i]! : 0);
const spindles: SharedSpread['share'] = (model, i) => (model.has(i, LOCAL_DISK) ? model.spindleUse[i]! : 0);
const one = (): number => 1;
const ofMemory: SharedSpread['unit'] = (model, k) => 1 / model.totalMemory[k]!;
const ofCpu: SharedSpread['unit'] = (model, k) => 1 / model.totalCpu[k]! / model.cpuSpeed[k]!;
const ofDisk: SharedSpread['unit'] = (model, k) => (model.totalDisk[k] === 0 ? 0 : 1 / model.totalDisk[k]!);
const ofSpindles: SharedSpread['unit'] = (model, k) => 1 / model.highSpindles[k]!;

const SHARED_SPREADS: readonly SharedSpread[] = [
  sharedSpread('cpu_load_cv', load(0), one),
  sharedSpread('mem_load_cv', load(1), one),
  sharedSpread('disk_load_cv', load(2), one, 'disks'),
  sharedSpread('net_load_cv', load(3), one),
  sharedSpread(
    'free_mem_cv',
    present((model, i) => (model.has(i, USES_MEMORY) ? -model.memory[i]! : 0)),
    ofMemory,
  ),
  sharedSpread('free_mem_cv_forth', (model, i) => -model.memory[i]!, ofMemory),
  sharedSpread('vcpu_ratio_cv', present(cpus), ofCpu),
  sharedSpread('vcpu_ratio_cv_forth', cpus, ofCpu),
  sharedSpread('free_disk_cv', present(diskTaken), ofDisk, 'storage'),
  sharedSpread('free_disk_cv_forth', diskTaken, ofDisk, 'storage'),
  sharedSpread('spindles_cv', present(spindles), ofSpindles, 'storage'),
  sharedSpread('spindles_cv_forth', spindles, ofSpindles, 'storage'),
];
const FREE_MEM = metricNumber('free_mem_cv');
const RESERVED_MEM = metricNumber('reserved_mem_cv');

/** Share by which a bound is lowered for rounding. */
const ROUNDING = 1e-9;

/**
 * What the score is at least after a move, from a few numbers and without making the move: most candidates of a step
 * are far worse than the best found so far and need not be tried. A sum is at least what it is with the instance taken
 * off its nodes, for a node gets no better by taking one; spreads are exact but for rounding; that of reserved memory,
 * and those of disks where storage is exclusive, are bounded by how far one instance can move a node's value.
 */
export class MoveBound {
  readonly #board: ScoreBoard;
  readonly #trial: MoveTrial;
  /** By component: where its spread's shares and units stand, -1 for those that are only bounded. */
  readonly #sharedAt = new Int32Array(METRIC_COUNT).fill(-1);
  /** SHARED_SPREADS × instances, and × nodes. */
  readonly #shares: Float64Array;
  readonly #units: Float64Array;
  /** By component: the largest unit of an online node; infinite where there is no bound. */
  readonly #mostUnit = new Float64Array(METRIC_COUNT);
  /** True with nodes of less than nothing, which no bound holds for. */
  #hasNegative = false;
  #instance = -1;
  #p = -1;
  #s = -1;
  /** The sums, and all spreads as far as they are bounded by the instance alone. */
  #rest = 0;
  /** By component: the instance's part of it. */
  readonly #leastOf = new Float64Array(METRIC_COUNT);
  readonly #metrics = new Float64Array(METRIC_COUNT);

  constructor(board: ScoreBoard, trial: MoveTrial) {
    const { model } = board;
    const { nodeCount, instanceCount } = model;
    this.#board = board;
    this.#trial = trial;
    this.#shares = new Float64Array(SHARED_SPREADS.length * instanceCount);
    this.#units = new Float64Array(SHARED_SPREADS.length * nodeCount);
    const isExclusive = model.exclusive.includes(1); // there spindles stand for disk
    SHARED_SPREADS.forEach(({ component, share, unit, isOfStorage }, j) => {
      for (let i = 0; i < instanceCount; i++) this.#shares[j * instanceCount + i] = share(model, i);
      for (let k = 0; k < nodeCount; k++) {
        const units = unit(model, k);
        this.#units[j * nodeCount + k] = units;
        if (model.online[k] === 0) continue;
        if (units < 0) this.#hasNegative = true;
        this.#mostUnit[component] = Math.max(this.#mostUnit[component]!, units);
      }
      if (isOfStorage && isExclusive) this.#mostUnit[component] = Infinity;
      else this.#sharedAt[component] = j;
    });
    this.#mostUnit[RESERVED_MEM] = this.#mostUnit[FREE_MEM]!;
  }

  /**
   * Takes the instance up that the trial has just taken up; what the score is at least after any move of it, which is
   * minus infinity where nothing is known. O(1).
   */
  begin(instance: number): number {
    const board = this.#board;
    const { model } = board;
    const p = model.primary[instance]!;
    const s = model.secondary[instance]!;
    this.#instance = instance;
    this.#p = p;
    this.#s = s;
    const { memory, disk, vcpus, spindleUse } = model;
    const smallest = Math.min(memory[instance]!, disk[instance]!, vcpus[instance]!, spindleUse[instance]!);
    if (this.#hasNegative || smallest < 0) return (this.#rest = -Infinity); // a node gets better by taking it
    const isMirrored = model.mirror[instance] === MIRROR_INTERNAL && s >= 0 && s < model.nodeCount;
    const pairs = board.components[LOCATION_EXCLUSION]! - this.#pairsOf(instance, p);
    let least = WEIGHTS[LOCATION_EXCLUSION]! * pairs - ROUNDING * (1 + Math.abs(board.score));
    for (let j = 0; j < SUMS.length; j++) least += WEIGHTS[SUMS[j]!]! * board.components[SUMS[j]!]!;
    least -= this.#sumsLost(p, 0);
    if (isMirrored) least -= this.#sumsLost(s, ROW);
    for (let j = 0; j < board.spreadOrder.length; j++) {
      const c = board.spreadOrder[j]!;
      const spread = this.#leastSpread(c, this.#mostChange(c, instance));
      this.#leastOf[c] = spread;
      least += spread;
    }
    return (this.#rest = least);
  }

  /** What the score is at least after this move of the instance, or some of it that is above `limit`. O(1). */
  least(kind: MoveKind, target: number, limit = Infinity): number {
    let least = this.#rest;
    if (kind === FAILOVER || least === -Infinity) return least;
    const { spreadOrder, model } = this.#board;
    const { instanceCount, nodeCount } = model;
    const p = this.#p;
    const primaryTo = primaryAfter(kind, p, this.#s, target);
    const mirrorFrom = kind === REPLACE_SECONDARY || kind === REPLACE_AND_FAILOVER ? this.#s : p;
    for (let j = 0; j < spreadOrder.length && least <= limit; j++) {
      const c = spreadOrder[j]!;
      const at = this.#sharedAt[c]!;
      if (at < 0) continue;
      const share = this.#shares[at * instanceCount + this.#instance]!;
      const isOfDisks = SHARED_SPREADS[at]!.isOfDisks;
      const from = isOfDisks ? mirrorFrom : p;
      const to = isOfDisks ? target : primaryTo;
      least += this.#spreadWith(c, share, from, to, at * nodeCount) - this.#leastOf[c]!;
    }
    return least;
  }

  /** A spread's part of the score with an instance's share taken from one node to another, nodes offline left out. */
  #spreadWith(c: number, share: number, from: number, to: number, unitsAt: number): number {
    const { model, values, centre, sum, squares, onlineCount, mergedWeights } = this.#board;
    let total = sum[c]!;
    let square = squares[c]!;
    let moved = 0;
    if (from !== to) {
      if (model.online[from] === 1) {
        const before = values[from * METRIC_COUNT + c]! - centre[c]!;
        const after = before - share * this.#units[unitsAt + from]!;
        total += after - before;
        square += after * after - before * before;
        moved += after * after + before * before;
      }
      if (model.online[to] === 1) {
        const before = values[to * METRIC_COUNT + c]! - centre[c]!;
        const after = before + share * this.#units[unitsAt + to]!;
        total += after - before;
        square += after * after - before * before;
        moved += after * after + before * before;
      }
    }
    const left = square - (total * total) / onlineCount;
    return left > LOST_DIGITS * (squares[c]! + moved) ? mergedWeights[c]! * Math.sqrt(left / onlineCount) : 0;
  }

  /** What a spread is worth at least after three nodes' values have changed by `change` at most. */
  #leastSpread(c: number, change: number): number {
    const { sum, squares, reach, onlineCount, mergedWeights } = this.#board;
    const total = Math.abs(sum[c]!) + 3 * change;
    const left = squares[c]! - 6 * change * reach[c]! - (total * total) / onlineCount;
    return left > LOST_DIGITS * squares[c]! ? mergedWeights[c]! * Math.sqrt(left / onlineCount) : 0;
  }

  /** How much one move of an instance can change a node's value at most. */
  #mostChange(c: number, i: number): number {
    const { model } = this.#board;
    const at = this.#sharedAt[c]!;
    const share = at < 0 ? model.memory[i]! : this.#shares[at * model.instanceCount + i]!;
    return Math.abs(share) * this.#mostUnit[c]!;
  }

  /** What all sums lose with the instance gone from a node, whose row without it stands at `at`. */
  #sumsLost(node: number, at: number): number {
    const board = this.#board;
    nodeMetrics(board.model, node, this.#trial.rowsWithout, at, this.#metrics, 0);
    let lost = 0;
    for (let j = 0; j < SUMS.length; j++) {
      const c = SUMS[j]!;
      lost += WEIGHTS[c]! * (board.values[node * METRIC_COUNT + c]! - this.#metrics[c]!);
    }
    return lost;
  }

  /** Pairs of location and exclusion tags that the instance makes on its primary. */
  #pairsOf(instance: number, p: number): number {
    const { model } = this.#board;
    if (model.pairCounts.length === 0) return 0;
    let times = 0;
    for (const t of model.exclusionTimes[instance]!) times += t;
    return times * model.locationTags[p]!.length;
  }
}
