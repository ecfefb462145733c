import type { Plan, PlanMove } from '../domain/plan.js';
import { MIRROR_SETUP_SECONDS } from './early-release.js';

/** The nodes that a move of a plan keeps busy: old and new primary, old and new secondary. */
export const nodesOf = ({ from, to }: PlanMove): string[] => [
  ...new Set([from.primary, from.secondary, to.primary, to.secondary].filter((name) => name !== undefined)),
];

/**
 * Ganeti's locks on nodes while a plan is played: a move takes all its nodes when it starts and gives them back when it
 * ends; an offline node that it lets go early (`releases_early`), once the new mirror is set up.
 */
export class NodeLocks {
  readonly #plan: Plan;
  readonly #nodes: readonly string[][];
  readonly #movesPerNode: number;
  /** By node, the moves that hold it and when each lets go: Infinity where that is not known yet. */
  readonly #holders = new Map<string, Map<number, number>>();

  /** `movesPerNode`: moves that a node takes part in at once; Ganeti's locks allow one. */
  constructor(plan: Plan, movesPerNode: number) {
    this.#plan = plan;
    this.#nodes = plan.moves.map(nodesOf);
    this.#movesPerNode = movesPerNode;
    for (const name of this.#nodes.flat()) this.#holders.set(name, new Map());
  }

  areFree(m: number, now: number): boolean {
    return this.#nodes[m]!.every((name) => {
      let count = 0;
      for (const until of this.#holders.get(name)!.values()) if (until > now) count += 1;
      return count < this.#movesPerNode;
    });
  }

  /** A step of a move begins: the first takes the nodes, a copy lets one go when its mirror is set up. */
  begin(m: number, step: number, now: number): void {
    if (step === 0) for (const name of this.#nodes[m]!) this.#holders.get(name)!.set(m, Infinity);
    const { releases_early: name, steps } = this.#plan.moves[m]!;
    if (name === undefined || steps[step]!.operation !== 'disk_replication') return;
    const holders = this.#holders.get(name);
    if (holders?.get(m) === Infinity) holders.set(m, now + MIRROR_SETUP_SECONDS);
  }

  end(m: number): void {
    for (const name of this.#nodes[m]!) this.#holders.get(name)!.delete(m);
  }

  /** When the next node is let go before a move's end; Infinity where none is known. */
  nextRelease(now: number): number {
    let next = Infinity;
    for (const holders of this.#holders.values())
      for (const until of holders.values()) if (until > now && until < next) next = until;
    return next;
  }
}
