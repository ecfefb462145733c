import type { Cluster } from '../../src/balancer/cluster.js';
import type { GroupModel, GroupModelOptions } from '../../src/balancer/group-model.js';
import type { Move } from '../../src/balancer/moves.js';
import { LETTERS, slowAllows } from './slow-rules.js';
import { loadedPlacement, type SlowState } from './slow-score.js';

/** Moves made one after another, told by the cluster alone; the model gives no more than its nodes' numbers. */
export class SlowReplay {
  readonly state: SlowState & { touched: Set<number> };
  readonly #model: GroupModel;

  constructor(cluster: Cluster, options: GroupModelOptions, model: GroupModel) {
    this.#model = model;
    this.state = { cluster, options, now: loadedPlacement(cluster), touched: new Set() };
  }

  /** Does the move begin where its instance stands, and do hbal's checks hold? */
  allows({ instance, kind, target, fromPrimary, fromSecondary }: Move, ignoreSoftErrors: boolean): boolean {
    const { now } = this.state;
    const index = this.#model.instanceIndex[instance]!;
    return (
      now.primary[index] === this.#node(fromPrimary) &&
      now.secondary[index] === this.#node(fromSecondary) &&
      slowAllows(
        this.state,
        { instance: index, letters: LETTERS[kind], target: this.#node(target) },
        ignoreSoftErrors,
      )
    );
  }

  make({ instance, fromPrimary, fromSecondary, toPrimary, toSecondary }: Move): void {
    const { cluster, now, touched } = this.state;
    const index = this.#model.instanceIndex[instance]!;
    now.primary[index] = this.#node(toPrimary);
    now.secondary[index] = this.#node(toSecondary);
    if (cluster.instances[index]!.forthcoming) return;
    for (const k of [fromPrimary, fromSecondary, toPrimary, toSecondary])
      if (k >= 0) touched.add(this.#node(k));
  }

  #node(k: number): number {
    return k < 0 ? -1 : this.#model.nodeIndex[k]!;
  }
}
