import type { Plan, PlanMove } from '../domain/plan.js';
import type { Cluster } from './cluster.js';
import {
  F_DSK,
  FORTHCOMING,
  GroupModel,
  LOCAL_DISK,
  MIRROR_INTERNAL,
  ROW,
  U_MEM,
  USES_MEMORY,
} from './group-model.js';

type Placement = PlanMove['from'];

/** What an instance takes up where it runs and where its disks are. MiB. */
interface Instance extends Placement {
  memory: number;
  disk: number;
}

/**
 * Watches a plan being played on its cluster: is there room for each move when it starts? Memory and disk of the new
 * place are taken from a move's start, those of the old one given back at its end. What Ganeti itself would stop at
 * counts, not the policy (N+1, CPU ratios, spindles, tags).
 */
export class RoomWatch {
  readonly #plan: Plan;
  readonly #instances = new Map<string, Instance>();
  readonly #freeMemory = new Map<string, number>();
  readonly #freeDisk = new Map<string, number>();
  readonly #sentences: string[] = [];

  /** The cluster as it stands before the plan; of it the node group of the first move. */
  constructor(cluster: Cluster, plan: Plan) {
    this.#plan = plan;
    const first = plan.moves[0]?.from.primary;
    const group = cluster.nodes.find(({ name }) => name === first)?.group;
    if (group === undefined) return;
    const model = new GroupModel(cluster, { group });
    model.nodes.forEach(({ name }, k) => {
      this.#freeMemory.set(name, model.rows[k * ROW + U_MEM]!);
      this.#freeDisk.set(name, model.rows[k * ROW + F_DSK]!);
    });
    const there = (i: number, flag: number): boolean => model.has(i, flag) && !model.has(i, FORTHCOMING);
    model.instances.forEach(({ name, secondary }, i) => {
      this.#instances.set(name, {
        primary: model.nodes[model.primary[i]!]!.name,
        ...(model.mirror[i] === MIRROR_INTERNAL && secondary >= 0
          ? { secondary: cluster.nodes[secondary]!.name }
          : {}),
        memory: there(i, USES_MEMORY) ? model.memory[i]! : 0,
        disk: there(i, LOCAL_DISK) ? model.disk[i]! : 0,
      });
    });
  }

  /** One for each move that had no room, or whose instance was not where the plan takes it from. */
  sentences(): readonly string[] {
    return this.#sentences;
  }

  started(m: number): void {
    const { instance: name, from, to } = this.#plan.moves[m]!;
    const instance = this.#instances.get(name);
    if (instance === undefined) return;
    if (instance.primary !== from.primary || instance.secondary !== from.secondary)
      this.#say(m, `its instance is on ${placeText(instance)} when it starts, not on ${placeText(from)}`);
    for (const node of newHosts(instance, to))
      this.#take('memory', this.#freeMemory, node, instance.memory, m);
    for (const node of newDisks(instance, to)) this.#take('disk', this.#freeDisk, node, instance.disk, m);
  }

  ended(m: number, completed: boolean): void {
    const { instance: name, to } = this.#plan.moves[m]!;
    const instance = this.#instances.get(name);
    if (instance === undefined) return;
    const { primary, secondary } = instance;
    const left = { primary, secondary };
    const giveBack = (free: Map<string, number>, nodes: readonly string[], amount: number): void => {
      for (const node of nodes) if (free.has(node)) free.set(node, free.get(node)! + amount);
    };
    if (!completed) {
      // Where an instance is left by half a move is not known: it is taken to be where it was.
      giveBack(this.#freeMemory, newHosts(instance, to), instance.memory);
      giveBack(this.#freeDisk, newDisks(instance, to), instance.disk);
      return;
    }
    const hosts = [primary, ...newHosts(instance, to)].filter((node) => node !== to.primary);
    giveBack(this.#freeMemory, hosts, instance.memory);
    giveBack(this.#freeDisk, newDisks(to, left), instance.disk);
    instance.primary = to.primary;
    instance.secondary = to.secondary;
  }

  #take(what: string, freeByNode: Map<string, number>, node: string, amount: number, m: number): void {
    const free = freeByNode.get(node);
    if (free === undefined || amount === 0) return;
    freeByNode.set(node, free - amount);
    if (amount > free)
      this.#say(
        m,
        `${node} has ${Math.max(0, Math.floor(free))} MiB of ${what} free when it starts, ${amount} are needed`,
      );
  }

  #say(m: number, what: string): void {
    this.#sentences.push(`move ${m} of ${this.#plan.moves[m]!.instance}: ${what}`);
  }
}

const placeText = ({ primary, secondary }: Placement): string =>
  secondary === undefined ? primary : `${primary}:${secondary}`;

/** Where the instance comes to run that it did not before: a new primary, and the old secondary on the way to a third. */
function newHosts(from: Placement, to: Placement): string[] {
  if (to.primary === from.primary) return [];
  const through = from.secondary !== undefined && to.secondary === from.secondary ? [from.secondary] : [];
  return [...through, to.primary];
}

/** Nodes that get a copy of its disks. */
const newDisks = (from: Placement, to: Placement): string[] =>
  [to.primary, to.secondary].filter(
    (node) => node !== undefined && node !== from.primary && node !== from.secondary,
  ) as string[];
