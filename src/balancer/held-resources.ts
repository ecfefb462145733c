import {
  COUNTS_CPU,
  FAILS_N1,
  FORTHCOMING,
  F_DSK,
  F_DSK_FORTH,
  F_MEM_FORTH,
  F_SPIN,
  F_SPIN_FORTH,
  I_SPIN,
  I_SPIN_FORTH,
  LOCAL_DISK,
  ROW,
  R_MEM,
  U_CPU,
  U_CPU_FORTH,
  U_MEM,
  USES_MEMORY,
  type GroupModel,
} from './group-model.js';
import { REPLACE_PRIMARY, type Move } from './moves.js';

/** A quantity of a row and its twin that counts forthcoming instances in; what is free falls, what is used rises. */
interface Quantity {
  field: number;
  forth: number;
  sign: 1 | -1;
}

const MEMORY: Quantity = { field: U_MEM, forth: F_MEM_FORTH, sign: -1 };
const CPUS: Quantity = { field: U_CPU, forth: U_CPU_FORTH, sign: 1 };
const DISK: Quantity = { field: F_DSK, forth: F_DSK_FORTH, sign: -1 };
const SPINDLES: Quantity = { field: I_SPIN, forth: I_SPIN_FORTH, sign: 1 };
const FREE_SPINDLES: Quantity = { field: F_SPIN, forth: F_SPIN_FORTH, sign: -1 };

/**
 * What running moves still occupy where they come from, for nodes that take part in several moves at once: a group
 * model counts a move as made when it starts, yet until its end memory, disk, CPUs and reserves of its old place are
 * in use, and a replaced primary runs on the old secondary meanwhile. `impose` puts them into the rows of some nodes,
 * for checks that must hold at every moment; `lift` takes them out again.
 */
export class HeldResources {
  readonly #model: GroupModel;
  /** nodes × ROW: differences to the rows. */
  readonly #held: Float64Array;
  readonly #heldTags: Int32Array;
  /** By node, the reserves that running moves leave: the largest one before each began. */
  readonly #reserves: Map<number, number>[];
  readonly #moves: Int32Array;
  readonly #saved = new Float64Array(4 * ROW);

  constructor(model: GroupModel) {
    this.#model = model;
    this.#held = new Float64Array(model.nodeCount * ROW);
    this.#heldTags = new Int32Array(model.tagCounts.length);
    this.#reserves = Array.from({ length: model.nodeCount }, () => new Map<number, number>());
    this.#moves = new Int32Array(model.nodeCount);
  }

  /** Is anything held on one of these nodes? */
  any(nodes: readonly number[]): boolean {
    return nodes.some((node) => this.#moves[node]! > 0);
  }

  /** Before the model takes the start of a move over; `id` tells moves apart. */
  hold(id: number, move: Move): void {
    const { fromSecondary } = move;
    if (fromSecondary >= 0 && fromSecondary < this.#model.nodeCount)
      this.#reserves[fromSecondary]!.set(id, this.#model.rows[fromSecondary * ROW + R_MEM]!);
    this.#change(move, 1);
  }

  /** At the end of the move. */
  release(id: number, move: Move): void {
    if (move.fromSecondary >= 0) this.#reserves[move.fromSecondary]?.delete(id);
    this.#change(move, -1);
  }

  /** Puts what is held into the rows. False where that breaks N+1 on a node that passes it otherwise. */
  impose(nodes: readonly number[]): boolean {
    const { rows, tagCounts, exclusionTagCount } = this.#model;
    let whole = true;
    nodes.forEach((node, n) => {
      const at = node * ROW;
      for (let f = 0; f < ROW; f++) {
        this.#saved[n * ROW + f] = rows[at + f]!;
        rows[at + f]! += this.#held[at + f]!;
      }
      for (const reserve of this.#reserves[node]!.values())
        if (reserve > rows[at + R_MEM]!) rows[at + R_MEM] = reserve;
      for (let t = node * exclusionTagCount; t < (node + 1) * exclusionTagCount; t++)
        tagCounts[t]! += this.#heldTags[t]!;
      if (rows[at + FAILS_N1] === 0 && rows[at + U_MEM]! <= rows[at + R_MEM]!) whole = false;
    });
    return whole;
  }

  lift(nodes: readonly number[]): void {
    const { rows, tagCounts, exclusionTagCount } = this.#model;
    nodes.forEach((node, n) => {
      for (let f = 0; f < ROW; f++) rows[node * ROW + f] = this.#saved[n * ROW + f]!;
      for (let t = node * exclusionTagCount; t < (node + 1) * exclusionTagCount; t++)
        tagCounts[t]! -= this.#heldTags[t]!;
    });
  }

  #change(move: Move, sign: 1 | -1): void {
    const model = this.#model;
    const { instance: i, fromPrimary, fromSecondary, toPrimary, toSecondary, kind } = move;
    for (const node of new Set([fromPrimary, fromSecondary, toPrimary, toSecondary]))
      if (node >= 0 && node < model.nodeCount) this.#moves[node]! += sign;
    const stays = (node: number): boolean => node === toPrimary || node === toSecondary;
    if (toPrimary !== fromPrimary) {
      this.#run(i, fromPrimary, sign);
      const tags = model.exclusionTags[i]!;
      for (let t = 0; t < tags.length; t++)
        this.#heldTags[fromPrimary * model.exclusionTagCount + tags[t]!]! +=
          sign * model.exclusionTimes[i]![t]!;
    }
    if (kind === REPLACE_PRIMARY) this.#run(i, fromSecondary, sign);
    if (!stays(fromPrimary)) this.#store(i, fromPrimary, sign);
    if (fromSecondary >= 0 && fromSecondary < model.nodeCount && !stays(fromSecondary))
      this.#store(i, fromSecondary, sign);
  }

  /** Memory and CPUs of an instance on its primary node; what is down takes memory from the promised alone. */
  #run(i: number, node: number, sign: 1 | -1): void {
    const model = this.#model;
    this.#add(MEMORY, node, sign * model.memory[i]!, model.has(i, USES_MEMORY));
    if (model.has(i, COUNTS_CPU)) this.#add(CPUS, node, sign * model.vcpus[i]!, !model.has(i, FORTHCOMING));
  }

  /** Disk and spindles of one of its copies; with exclusive storage spindles count whatever the template. */
  #store(i: number, node: number, sign: 1 | -1): void {
    const model = this.#model;
    const exists = !model.has(i, FORTHCOMING);
    const local = model.has(i, LOCAL_DISK);
    if (local) this.#add(DISK, node, sign * model.disk[i]!, exists);
    if (model.exclusive[node] === 1) {
      const spindles = model.diskSpindles[i]!;
      if (!Number.isNaN(spindles)) this.#add(FREE_SPINDLES, node, sign * spindles, exists);
    } else if (local) this.#add(SPINDLES, node, sign * model.spindleUse[i]!, exists);
  }

  #add({ field, forth, sign }: Quantity, node: number, amount: number, inUse: boolean): void {
    this.#held[node * ROW + forth]! += sign * amount;
    if (inUse) this.#held[node * ROW + field]! += sign * amount;
  }
}
