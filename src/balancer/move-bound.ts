import { FORTHCOMING, MIRROR_INTERNAL, ROW } from './group-model.js';
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

const [FREE_MEM, FREE_MEM_FORTH] = [metricNumber('free_mem_cv'), metricNumber('free_mem_cv_forth')];
const [FREE_DISK, FREE_DISK_FORTH] = [metricNumber('free_disk_cv'), metricNumber('free_disk_cv_forth')];
const [VCPU_RATIO, VCPU_RATIO_FORTH] = [metricNumber('vcpu_ratio_cv'), metricNumber('vcpu_ratio_cv_forth')];
const [SPINDLES, SPINDLES_FORTH] = [metricNumber('spindles_cv'), metricNumber('spindles_cv_forth')];
const RESERVED_MEM = metricNumber('reserved_mem_cv');
const DISK_LOAD = metricNumber('disk_load_cv');
/** In the order of an instance's four loads. */
const LOADS = [
  metricNumber('cpu_load_cv'),
  metricNumber('mem_load_cv'),
  DISK_LOAD,
  metricNumber('net_load_cv'),
];

/** Share by which a bound is lowered for rounding. */
const ROUNDING = 1e-9;

/**
 * What the score is at least after a move, from a few numbers and without making the move: most candidates of a step
 * are far worse than the best found so far and need not be tried. A sum is at least what it is with the instance taken
 * off its nodes, for a node gets no better by taking one; spreads of loads are exact but for rounding; the other
 * spreads are bounded by how far one instance can move a node's value.
 */
export class MoveBound {
  readonly #board: ScoreBoard;
  readonly #trial: MoveTrial;
  readonly #smallest: SmallestNode;
  /** True with nodes of less than nothing, which no bound holds for. */
  readonly #hasNegative: boolean;
  readonly #metrics = new Float64Array(METRIC_COUNT);
  readonly #change = new Float64Array(METRIC_COUNT);
  #p = -1;
  #s = -1;
  /** All but the spreads of loads. */
  #rest = 0;
  /** Loads that are weighed: their components, the instance's share in them, and how many there are. */
  readonly #loads = new Int32Array(LOADS.length);
  readonly #loadShares = new Float64Array(LOADS.length);
  #loadCount = 0;
  /** What the score is at least after any move of the instance. */
  leastOfAll = 0;

  constructor(board: ScoreBoard, trial: MoveTrial) {
    this.#board = board;
    this.#trial = trial;
    this.#smallest = smallestNode(board);
    this.#hasNegative = Object.values(this.#smallest).some((least) => least < 0);
  }

  /** Takes the instance up that the trial has just taken up. O(1). */
  begin(instance: number): void {
    const board = this.#board;
    const { model } = board;
    const p = model.primary[instance]!;
    const s = model.secondary[instance]!;
    this.#p = p;
    this.#s = s;
    if (
      this.#hasNegative ||
      Math.min(
        model.memory[instance]!,
        model.disk[instance]!,
        model.vcpus[instance]!,
        model.spindleUse[instance]!,
      ) < 0
    ) {
      this.#loadCount = 0;
      this.#rest = this.leastOfAll = -Infinity; // a node gets better by taking it
      return;
    }
    const isMirrored = model.mirror[instance] === MIRROR_INTERNAL && s >= 0 && s < model.nodeCount;
    let rest =
      WEIGHTS[LOCATION_EXCLUSION]! * (board.components[LOCATION_EXCLUSION]! - this.#pairsOf(instance, p));
    for (let j = 0; j < SUMS.length; j++) rest += WEIGHTS[SUMS[j]!]! * board.components[SUMS[j]!]!;
    rest -= this.#sumsLost(p, 0);
    if (isMirrored) rest -= this.#sumsLost(s, ROW);
    const change = this.#mostChange(instance);
    this.#loadCount = 0;
    let loads = 0;
    for (let j = 0; j < board.spreadOrder.length; j++) {
      const c = board.spreadOrder[j]!;
      const least = this.#leastSpread(c, change[c]!);
      const load = LOADS.indexOf(c);
      if (load < 0) {
        rest += least;
        continue;
      }
      loads += least;
      this.#loads[this.#loadCount] = c;
      this.#loadShares[this.#loadCount] = model.has(instance, FORTHCOMING)
        ? 0
        : model.loads[instance * 4 + load]!;
      this.#loadCount += 1;
    }
    const rounding = ROUNDING * (1 + Math.abs(board.score));
    this.#rest = rest - rounding;
    this.leastOfAll = rest + loads - rounding;
  }

  /** What the score is at least after this move of the instance. O(1). */
  least(kind: MoveKind, target: number): number {
    if (kind === FAILOVER) return this.leastOfAll;
    const p = this.#p;
    const primaryTo = primaryAfter(kind, p, this.#s, target);
    const mirrorFrom = kind === REPLACE_SECONDARY || kind === REPLACE_AND_FAILOVER ? this.#s : p;
    let least = this.#rest;
    for (let j = 0; j < this.#loadCount; j++) {
      const c = this.#loads[j]!;
      least +=
        c === DISK_LOAD
          ? this.#spreadWith(c, this.#loadShares[j]!, mirrorFrom, target)
          : this.#spreadWith(c, this.#loadShares[j]!, p, primaryTo);
    }
    return least;
  }

  /** A spread's part of the score with `share` taken from one node to another, nodes offline left out. */
  #spreadWith(c: number, share: number, from: number, to: number): number {
    const { model, values, centre, sum, squares, onlineCount, mergedWeights } = this.#board;
    let total = sum[c]!;
    let square = squares[c]!;
    let moved = 0;
    if (from !== to) {
      if (model.online[from] === 1) {
        const before = values[from * METRIC_COUNT + c]! - centre[c]!;
        const after = before - share;
        total -= share;
        square += after * after - before * before;
        moved += after * after + before * before;
      }
      if (model.online[to] === 1) {
        const before = values[to * METRIC_COUNT + c]! - centre[c]!;
        const after = before + share;
        total += share;
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
    return left > 0 ? mergedWeights[c]! * Math.sqrt(left / onlineCount) : 0;
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

  /** By component, how much one move of an instance can change a node's value at most. */
  #mostChange(i: number): Float64Array {
    const { model } = this.#board;
    const { memory, disk, cpu, spindles } = this.#smallest;
    const most = this.#change;
    most[FREE_MEM] = most[FREE_MEM_FORTH] = most[RESERVED_MEM] = model.memory[i]! / memory;
    most[FREE_DISK] = most[FREE_DISK_FORTH] = model.disk[i]! / disk;
    most[VCPU_RATIO] = most[VCPU_RATIO_FORTH] = model.vcpus[i]! / cpu;
    for (let j = 0; j < LOADS.length; j++) most[LOADS[j]!] = Math.abs(model.loads[i * 4 + j]!);
    most[SPINDLES] = most[SPINDLES_FORTH] = model.spindleUse[i]! / spindles;
    return most;
  }
}

/** The least of what online nodes have, component by component; 0 where a bound cannot be given. */
interface SmallestNode {
  memory: number;
  disk: number;
  cpu: number;
  spindles: number;
}

function smallestNode({ model }: ScoreBoard): SmallestNode {
  const least: SmallestNode = { memory: Infinity, disk: Infinity, cpu: Infinity, spindles: Infinity };
  for (let k = 0; k < model.nodeCount; k++) {
    if (model.online[k] === 0) continue;
    const isExclusive = model.exclusive[k] === 1; // there spindles stand for disk
    least.memory = Math.min(least.memory, model.totalMemory[k]!);
    least.disk = Math.min(least.disk, isExclusive ? 0 : model.totalDisk[k]!);
    least.cpu = Math.min(least.cpu, model.totalCpu[k]! * model.cpuSpeed[k]!);
    least.spindles = Math.min(least.spindles, isExclusive ? 0 : model.highSpindles[k]!);
  }
  return least;
}
