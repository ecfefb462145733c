import type { ClusterInfo } from '../ganeti/rapi-client.js';
import { ClusterState } from './cluster-state.js';
import type { PlanRun } from './plan-run.js';

/** The cluster that is moved on: asked for anew before moves start, and watched to be the one that was planned for. */
export class LiveCluster {
  readonly #run: PlanRun;
  #info: ClusterInfo | undefined;
  #last: ClusterState | undefined;
  #askedMs = 0;
  #online: ReadonlySet<string> | undefined;

  constructor(run: PlanRun) {
    this.#run = run;
  }

  /** The last state that was answered. */
  get last(): ClusterState | undefined {
    return this.#last;
  }

  /** Since the last state was answered. */
  get ageMs(): number {
    return this.#run.clock.now() - this.#askedMs;
  }

  /** What the cluster says of itself at the beginning: it stays so, or the run ends. */
  async begin(): Promise<ClusterInfo> {
    this.#info = await this.#run.client.info();
    return this.#info;
  }

  /** The cluster as it is now, if it is still the cluster that was planned for; else the run is stopped. */
  async fresh(): Promise<ClusterState | undefined> {
    const run = this.#run;
    const info = await run.master.reach('queue', () => run.client.info());
    if (info === undefined) return undefined;
    const { name, uuid, master } = this.#info!;
    if (info.name !== name || info.uuid !== uuid)
      await run.stop(`another cluster answers: ${info.name} in place of ${name}`);
    else if (info.master !== master)
      await run.stop(`the master failed over from ${master} to ${info.master}`);
    if (!run.mayStart) return undefined;
    const state = await run.master.reach('state', () => this.ask());
    if (state === undefined) return undefined;
    this.#last = state;
    this.#askedMs = run.clock.now();
    run.finished.noteInstances(state.instancesReply, state.atMs);
    const online = new Set(state.onlineNodes());
    const lost = [...(this.#online ?? [])].filter((node) => !online.has(node));
    this.#online = online;
    if (lost.length > 0) {
      await run.stop(`node ${lost.join(', ')} went offline, was drained or is no longer there`);
      return undefined;
    }
    for (const { instance } of run.pending) {
      if (state.has(instance)) continue;
      const nowhere = { instance, from: { primary: '' }, to: { primary: '' } };
      await run.stop(state.refusalOf(nowhere, false)!.sentence);
      return undefined;
    }
    return state;
  }

  /** The cluster as it is now. */
  async ask(): Promise<ClusterState> {
    const { clock, client, settings } = this.#run;
    const { staticKvmNodeMemory, modelOf } = settings;
    const { address } = client;
    const atMs = clock.now();
    return ClusterState.from(await client.clusterReplies(), { address, atMs, staticKvmNodeMemory, modelOf });
  }
}
