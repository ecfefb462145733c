import { UserError } from '../domain/errors.js';
import type { MoveRequest } from '../domain/move-request.js';
import { MIRROR_INTERNAL, MIRROR_NONE, type GroupModel } from './group-model.js';
import type { MoveCosts } from './move-costs.js';
import {
  FAILOVER,
  FAILOVER_AND_REPLACE,
  FAILOVER_TO_ANY,
  REPLACE_AND_FAILOVER,
  REPLACE_PRIMARY,
  REPLACE_SECONDARY,
  moveFrom,
  moveSteps,
  type MoveKind,
} from './moves.js';
import { refuseBadTimes, stepRequest } from './step-times.js';

/**
 * Predicted seconds of every first move that an instance of a group can make: its RAM copies and its disk copy,
 * between the nodes that they really join. Small groups ask for every pair of nodes; large ones, where that would be
 * millions of questions, for one typical target an instance.
 */
export class MovePrices {
  readonly #nodes: number;
  readonly #pairwise: boolean;
  /** instances × nodes, or instances: primary to x, secondary to x, each a RAM copy or a disk copy. */
  readonly #goFromPrimary: Float64Array;
  readonly #goFromSecondary: Float64Array;
  readonly #copyFromPrimary: Float64Array;
  readonly #copyFromSecondary: Float64Array;
  /** Primary to secondary. */
  readonly #swap: Float64Array;

  private constructor(model: GroupModel, pairwise: boolean) {
    const { instanceCount: m, nodeCount: n } = model;
    this.#nodes = n;
    this.#pairwise = pairwise;
    const size = pairwise ? m * n : m;
    this.#goFromPrimary = new Float64Array(size).fill(Infinity);
    this.#goFromSecondary = new Float64Array(size).fill(Infinity);
    this.#copyFromPrimary = new Float64Array(size).fill(Infinity);
    this.#copyFromSecondary = new Float64Array(size).fill(Infinity);
    this.#swap = new Float64Array(m).fill(Infinity);
  }

  /** Asks for all prices in one call. `quantile` is 0.1 to 0.9; `others`: moves at work on the same nodes besides. */
  static async ask(model: GroupModel, costs: MoveCosts, quantile: number, others = 0): Promise<MovePrices> {
    if (!(quantile >= LEAST_QUANTILE && quantile <= MOST_QUANTILE))
      throw new UserError('input-invalid', QUANTILE_RANGE, 'quantile');
    const pairwise = model.instanceCount * model.nodeCount * 4 <= MOST_QUESTIONS;
    const prices = new MovePrices(model, pairwise);
    const requests: MoveRequest[] = [];
    const put: ((seconds: number) => void)[] = [];
    for (let i = 0; i < model.instanceCount; i++) prices.#collect(model, i, requests, put, others);
    const columns = await costs.durations(requests);
    refuseBadTimes(requests, columns);
    put.forEach((set, r) => set(priceAt(quantile, columns.p10[r]!, columns.p50[r]!, columns.p90[r]!)));
    return prices;
  }

  /** Seconds of a move of an instance from where it stood when the prices were asked for; Infinity if none was. */
  of(i: number, kind: MoveKind, target: number): number {
    return this.#at(i, kind, this.#pairwise ? i * this.#nodes + target : i);
  }

  /** The same for an instance that may have been moved since: to any target, from anywhere. */
  typical(i: number, kind: MoveKind, target: number): number {
    const seconds = this.of(i, kind, target);
    if (seconds < Infinity || !this.#pairwise || kind === FAILOVER) return seconds;
    for (let at = i * this.#nodes; at < (i + 1) * this.#nodes; at++)
      if (this.#at(i, kind, at) < Infinity) return this.#at(i, kind, at);
    return Infinity;
  }

  /** Seconds of such a move to the target that it is quickest to; Infinity if there is none. */
  least(i: number, kind: MoveKind): number {
    if (!this.#pairwise) return this.#at(i, kind, i);
    let least = Infinity;
    for (let at = i * this.#nodes; at < (i + 1) * this.#nodes; at++)
      least = Math.min(least, this.#at(i, kind, at));
    return least;
  }

  #at(i: number, kind: MoveKind, at: number): number {
    switch (kind) {
      case FAILOVER:
        return this.#swap[i]!;
      case FAILOVER_TO_ANY:
        return this.#goFromPrimary[at]!;
      case REPLACE_SECONDARY:
        return this.#copyFromPrimary[at]!;
      case REPLACE_AND_FAILOVER:
        return this.#copyFromPrimary[at]! + this.#goFromPrimary[at]!;
      case FAILOVER_AND_REPLACE:
        return this.#swap[i]! + this.#copyFromSecondary[at]!;
      case REPLACE_PRIMARY:
        return this.#swap[i]! + this.#copyFromSecondary[at]! + this.#goFromSecondary[at]!;
    }
  }

  #collect(
    model: GroupModel,
    i: number,
    requests: MoveRequest[],
    put: ((seconds: number) => void)[],
    others: number,
  ): void {
    const mirror = model.mirror[i]!;
    const p = model.primary[i]!;
    const s = model.secondary[i]!;
    if (mirror === MIRROR_NONE || s >= model.nodeCount) return;
    const mirrored = mirror === MIRROR_INTERNAL;
    if (mirrored && s < 0) return;
    /** Steps of a move, each put at one place of a column. */
    const ask = (kind: MoveKind, target: number, columns: readonly Float64Array[], at: number): void => {
      moveSteps(model, moveFrom(model, i, kind, target)).forEach((step, j) => {
        const column = columns[j];
        if (column === undefined) return;
        requests.push(stepRequest(model, i, step, others));
        put.push((seconds) => {
          column[at] = seconds;
        });
      });
    };
    if (mirrored) ask(FAILOVER, -1, [this.#swap], i);
    for (const x of this.#pairwise ? model.nodes.keys() : [otherNode(model, p, s)]) {
      if (x < 0 || x === p || x === s || model.online[x] === 0) continue;
      const at = this.#pairwise ? i * this.#nodes + x : i;
      if (!mirrored) {
        ask(FAILOVER_TO_ANY, x, [this.#goFromPrimary], at);
        continue;
      }
      ask(REPLACE_AND_FAILOVER, x, [this.#copyFromPrimary, this.#goFromPrimary], at);
      ask(REPLACE_PRIMARY, x, [this.#swap, this.#copyFromSecondary, this.#goFromSecondary], at);
    }
  }
}

/** Questions that a plan may ask for prices of pairs of nodes: a second or two of an in-process model. */
const MOST_QUESTIONS = 250_000;

/** Of a predicted duration no more is known than its p10 and p90. */
export const LEAST_QUANTILE = 0.1;
export const MOST_QUANTILE = 0.9;
const QUANTILE_RANGE = `the quantile of durations must be from ${LEAST_QUANTILE} to ${MOST_QUANTILE}`;

/** Seconds at a quantile from 0.1 to 0.9, on straight lines between the logarithms. */
export function priceAt(level: number, p10: number, p50: number, p90: number): number {
  return level < 0.5
    ? p10 * (p50 / p10) ** ((level - 0.1) / 0.4)
    : p50 * (p90 / p50) ** ((level - 0.5) / 0.4);
}

/** An online node that is neither of two, spread over the group by the primary's number; -1 where there is none. */
function otherNode(model: GroupModel, p: number, s: number): number {
  for (let k = 1; k <= model.nodeCount; k++) {
    const node = (p + k) % model.nodeCount;
    if (node !== p && node !== s && model.online[node] === 1) return node;
  }
  return -1;
}
