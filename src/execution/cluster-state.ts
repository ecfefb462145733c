import type { Cluster } from '../balancer/cluster.js';
import { MIRROR_EXTERNAL, RUNNING, type GroupModel } from '../balancer/group-model.js';
import { MoveTrial } from '../balancer/move-trial.js';
import { kindBetween } from '../balancer/moves.js';
import { clusterFromRapi } from '../balancer/rapi-cluster.js';
import { ScoreBoard } from '../balancer/score.js';
import type { PlanMove } from '../domain/plan.js';
import type { ClusterReplies } from '../ganeti/rapi-client.js';

/** Why a move may not start on the cluster as it is. */
export interface Refusal {
  /** `gone`: the instance or a node is not there; `offline`: a node takes nothing; `moved`; `rule`: a check fails. */
  kind: 'gone' | 'offline' | 'moved' | 'rule';
  sentence: string;
}

/** Node group of a cluster as the search saw it: with the same group, offline nodes, loads and limits. */
export type ModelOf = (cluster: Cluster) => GroupModel;

/** The cluster as it was at a moment, asked by names. */
export class ClusterState {
  readonly model: GroupModel;
  /** Epoch milliseconds at which it was asked for. */
  readonly atMs: number;
  readonly instancesReply: unknown;
  readonly #instances = new Map<string, number>();
  readonly #nodes = new Map<string, number>();

  constructor(model: GroupModel, { atMs, instancesReply }: { atMs: number; instancesReply: unknown }) {
    this.model = model;
    this.atMs = atMs;
    this.instancesReply = instancesReply;
    model.instances.forEach(({ name }, i) => this.#instances.set(name, i));
    model.nodes.forEach(({ name }, k) => this.#nodes.set(name, k));
  }

  /** From the replies of the remote API at `address`. @throws UserError for replies that are not Ganeti's */
  static from(
    replies: ClusterReplies,
    {
      address,
      atMs,
      staticKvmNodeMemory,
      modelOf,
    }: { address: string; atMs: number; staticKvmNodeMemory?: number | undefined; modelOf: ModelOf },
  ): ClusterState {
    const cluster = clusterFromRapi(replies, {
      address,
      ...(staticKvmNodeMemory === undefined ? {} : { staticKvmNodeMemory }),
    });
    return new ClusterState(modelOf(cluster), { atMs, instancesReply: replies.instances });
  }

  get score(): number {
    return new ScoreBoard(this.model).score;
  }

  has(instance: string): boolean {
    return this.#instances.has(instance);
  }

  isRunning(instance: string): boolean {
    return this.model.has(this.#instances.get(instance)!, RUNNING);
  }

  /** Where an instance is; undefined where it is not. */
  placementOf(instance: string): { primary: string; secondary: string | undefined } | undefined {
    const i = this.#instances.get(instance);
    if (i === undefined) return undefined;
    const { model } = this;
    return {
      primary: model.nodes[model.primary[i]!]!.name,
      // A mirror in another group has no name here, and no move.
      secondary: model.nodes[model.secondary[i]!]?.name,
    };
  }

  isAt(
    instance: string,
    { primary, secondary }: { primary: string; secondary?: string | undefined },
  ): boolean {
    const found = this.placementOf(instance);
    return found !== undefined && found.primary === primary && found.secondary === secondary;
  }

  /** Names of nodes that may hold instances. */
  onlineNodes(): string[] {
    return this.model.nodes.filter((_node, k) => this.model.online[k] === 1).map(({ name }) => name);
  }

  /** Undefined when the move may start now: the balancer's own hard rules, on what is there now. O(nodes). */
  refusalOf(
    move: Pick<PlanMove, 'instance' | 'from' | 'to'>,
    ignoreSoftErrors: boolean,
  ): Refusal | undefined {
    const { instance, from, to } = move;
    const { model } = this;
    const i = this.#instances.get(instance);
    if (i === undefined)
      return {
        kind: 'gone',
        sentence: `instance ${instance} is no longer there: it was renamed, removed or taken to another group`,
      };
    const found = this.placementOf(instance)!;
    if (!this.isAt(instance, from))
      return {
        kind: 'moved',
        sentence: `instance ${instance} is on ${placeText(found)} and not on ${placeText(from)}: somebody else moved it`,
      };
    for (const name of [to.primary, to.secondary]) {
      if (name === undefined) continue;
      const k = this.#nodes.get(name);
      if (k === undefined) return { kind: 'gone', sentence: `node ${name} is no longer there` };
      if (model.online[k] === 0 && name !== from.primary)
        return { kind: 'offline', sentence: `node ${name} is offline or drained` };
    }
    const nodeOf = (name: string | undefined): number => (name === undefined ? -1 : this.#nodes.get(name)!);
    const kind = kindBetween(
      model.primary[i]!,
      model.secondary[i]!,
      nodeOf(to.primary),
      nodeOf(to.secondary),
      model.mirror[i] === MIRROR_EXTERNAL,
    );
    const trial = new MoveTrial(new ScoreBoard(model), { ignoreSoftErrors });
    trial.begin(i);
    if (kind === undefined || !trial.allows(kind.kind, kind.target))
      return {
        kind: 'rule',
        sentence: `the move of ${instance} to ${placeText(to)} would break a rule now: memory, disk, N+1, CPUs or tags`,
      };
    return undefined;
  }

  /** A model in which moves that are under way have ended, whatever the checks say. */
  after(moves: readonly Pick<PlanMove, 'instance' | 'to'>[]): GroupModel {
    const model = this.model.copy();
    const trial = new MoveTrial(new ScoreBoard(model));
    for (const { instance, to } of moves) {
      const i = this.#instances.get(instance);
      const primary = this.#nodes.get(to.primary);
      const secondary = to.secondary === undefined ? -1 : this.#nodes.get(to.secondary);
      if (i === undefined || primary === undefined || secondary === undefined) continue;
      const shared = model.mirror[i] === MIRROR_EXTERNAL;
      const kind = kindBetween(model.primary[i]!, model.secondary[i]!, primary, secondary, shared);
      if (kind === undefined) continue;
      trial.begin(i);
      trial.insist(kind.kind, kind.target);
      trial.commit();
    }
    return model;
  }
}

export const placeText = ({
  primary,
  secondary,
}: {
  primary: string;
  secondary?: string | undefined;
}): string => (secondary === undefined ? primary : `${primary}:${secondary}`);
