import { usesLocalDisk, usesMemory, type Cluster, type ClusterInstance } from '../../src/balancer/cluster.js';
import type { GroupModel, GroupModelOptions } from '../../src/balancer/group-model.js';
import { METRICS } from '../../src/balancer/score.js';

/**
 * The score of a group computed from nothing, straight from what is known of hbal 3.0.2: no running sums, no rows, no
 * tags in tables. Slow and obvious: what the fast one must equal.
 */

/** Where every instance of a cluster stands: indexes into its nodes; -1: nowhere. */
export interface Placement {
  primary: number[];
  secondary: number[];
}

export const loadedPlacement = ({ instances }: Cluster): Placement => ({
  primary: instances.map(({ primary }) => primary),
  secondary: instances.map(({ secondary }) => secondary),
});

/** That of a group's model; instances of other groups stand where they were loaded. */
export function placementOf(model: GroupModel): Placement {
  const placement = loadedPlacement(model.cluster);
  const nodeOf = (local: number, loaded: number): number =>
    local < 0 ? -1 : local < model.nodeCount ? model.nodeIndex[local]! : loaded;
  model.instanceIndex.forEach((index, i) => {
    placement.primary[index] = nodeOf(model.primary[i]!, placement.primary[index]!);
    placement.secondary[index] = nodeOf(model.secondary[i]!, placement.secondary[index]!);
  });
  return placement;
}

/** A node of the group with what stands on it. Memory and disk in MiB; `forth` counts forthcoming instances in. */
export interface SlowNode {
  /** Index into the cluster's nodes. */
  index: number;
  online: boolean;
  totalMemory: number;
  totalDisk: number;
  totalCpu: number;
  /** Instances that exist, of which it is the primary or the secondary. */
  primaries: ClusterInstance[];
  secondaries: ClusterInstance[];
  unallocated: number;
  freeMemoryForth: number;
  /** What it would have to start if the one node died that needs most here. */
  reserved: number;
  /** The same for each node that could die, by index into the cluster's nodes. */
  needs: number[];
  failsN1: boolean;
  freeDisk: number;
  freeDiskForth: number;
  exclusive: boolean;
  spindles: number;
  freeSpindles: number;
  freeSpindlesForth: number;
  spindleUse: number;
  spindleUseForth: number;
  highSpindles: number;
  cpus: number;
  cpusForth: number;
  cpuSpeed: number;
  load: [number, number, number, number];
  /** Exclusion tags of its primaries, forthcoming ones too, as often as they have them. */
  exclusionTags: string[];
  locationTags: string[];
  locationScore: number;
  /** A location tag of the node with an exclusion tag of one of its primaries, each time. */
  pairs: string[];
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)];
const startsWithOneOf = (prefixes: readonly string[]) => (tag: string) =>
  prefixes.some((prefix) => tag.startsWith(prefix));

/** What the cluster's tags say. */
function tagRules({ tags }: Cluster, { exclusionTags = [] }: Pick<GroupModelOptions, 'exclusionTags'>) {
  const named = (rule: string): string[] =>
    tags.filter((tag) => tag.startsWith(rule)).map((tag) => tag.slice(rule.length));
  return {
    isExclusion: startsWithOneOf([
      ...named('htools:iextags:').filter((prefix) => prefix !== ''),
      ...exclusionTags.map((prefix) => `${prefix}:`),
    ]),
    isLocation: startsWithOneOf(named('htools:nlocation:').map((prefix) => `${prefix}:`)),
    isDesired: startsWithOneOf(named('htools:desiredlocation:')),
    isMigration: startsWithOneOf(named('htools:migration:').map((prefix) => `${prefix}:`)),
    allowed: named('htools:allowmigration:')
      .map((text) => text.split('::'))
      .filter((parts) => parts.length === 2),
  };
}

export const exclusionTagsOf = (
  cluster: Cluster,
  instance: ClusterInstance,
  options: Pick<GroupModelOptions, 'exclusionTags'> = {},
): string[] => instance.tags.filter(tagRules(cluster, options).isExclusion);

/** May an instance go from one node to another, by their migration tags? Indexes into the cluster's nodes. */
export function mayMigrate(cluster: Cluster, from: number, to: number): boolean {
  const { isMigration, allowed } = tagRules(cluster, {});
  const own = cluster.nodes[to]!.tags.filter(isMigration);
  const received = [...own, ...allowed.filter(([, y]) => own.includes(y!)).map(([x]) => x!)];
  return cluster.nodes[from]!.tags.filter(isMigration).every((tag) => received.includes(tag));
}

/** Memory that an instance would need on its secondary. */
export const needOf = ({ autoBalance, status, memory }: ClusterInstance): number =>
  autoBalance && status !== 'ADMIN_offline' ? memory : 0;

/** A state of a group: where all stands now. */
export interface SlowState {
  cluster: Cluster;
  options: GroupModelOptions;
  now: Placement;
  /**
   * Nodes that a move of an existing instance has changed since the load; the others keep the verdict on N+1 of the
   * load, which has a rule of its own. Indexes into the cluster's nodes.
   */
  touched: ReadonlySet<number>;
}

/** The group's nodes with instances where they stand now. */
export function slowNodes({ cluster, options, now, touched }: SlowState): SlowNode[] {
  const { instances } = cluster;
  const loaded = loadedPlacement(cluster);
  const policy = cluster.groupPolicies[options.group]!;
  const { isExclusion, isLocation, isDesired } = tagRules(cluster, options);
  const loadOf = ({ name }: ClusterInstance): readonly number[] =>
    options.ignoreLoads === true ? [0, 0, 0, 0] : (options.loads?.get(name) ?? [1, 1, 1, 1]);
  const locationTagsOf = (k: number): string[] => distinct(cluster.nodes[k]?.tags ?? []).filter(isLocation);
  const on = (k: number, where: readonly number[]): ClusterInstance[] =>
    instances.filter((_instance, i) => where[i] === k);
  const exists = ({ forthcoming }: ClusterInstance): boolean => !forthcoming;
  const isLocal = ({ template }: ClusterInstance): boolean => usesLocalDisk(template);
  const isCounted = ({ status }: ClusterInstance): boolean => status !== 'ADMIN_offline';

  return cluster.nodes.flatMap((node, k): SlowNode[] => {
    if (node.group !== options.group) return [];
    const primariesForth = on(k, now.primary);
    const hostedForth = [...primariesForth, ...on(k, now.secondary)];
    const loadedForth = [...on(k, loaded.primary), ...on(k, loaded.secondary)];
    const primaries = primariesForth.filter(exists);
    const secondaries = on(k, now.secondary).filter(exists);

    const explained = Math.trunc(node.totalMemory) - node.nodeMemory;
    const inUse = (list: readonly ClusterInstance[]): number =>
      sum(list.filter(usesMemory).map(({ memory }) => memory));
    const missing = explained - inUse(on(k, loaded.primary)) - node.freeMemory;
    const unallocated = explained - inUse(primaries) - Math.max(0, missing);
    const memoryOf = (list: readonly ClusterInstance[]): number => sum(list.map(({ memory }) => memory));
    const idle = on(k, loaded.primary).filter((instance) => !usesMemory(instance));
    const freeMemoryForth =
      node.freeMemory - memoryOf(idle) + memoryOf(on(k, loaded.primary)) - memoryOf(primariesForth);

    const needs = cluster.nodes.map((_peer, q) =>
      sum(secondaries.filter((one) => now.primary[instances.indexOf(one)] === q).map(needOf)),
    );
    const reserved = Math.max(0, ...needs);
    const failedAtLoad = options.loadRule === '3.1' ? unallocated <= reserved : node.freeMemory < reserved;

    // Free disk and spindles are given for the load, without what is forthcoming: what came and went since is counted.
    const since = (of: (list: readonly ClusterInstance[]) => number): number =>
      of(hostedForth.filter(exists)) - of(loadedForth.filter(exists));
    const forthcoming = (of: (list: readonly ClusterInstance[]) => number): number =>
      of(hostedForth.filter((instance) => !exists(instance)));
    const diskOf = (list: readonly ClusterInstance[]): number =>
      sum(list.filter(isLocal).map(({ disk }) => disk));
    const ownSpindles = (list: readonly ClusterInstance[]): number =>
      sum(list.map(({ diskSpindles }) => diskSpindles ?? 0));
    const useOf = (list: readonly ClusterInstance[]): number =>
      node.exclusiveStorage ? 0 : sum(list.filter(isLocal).map(({ spindleUse }) => spindleUse));
    const freeDisk = node.freeDisk - since(diskOf);
    const freeSpindles = node.freeSpindles - since(ownSpindles);
    const cpusOf = (list: readonly ClusterInstance[]): number =>
      node.nodeCpu + sum(list.filter(isCounted).map(({ vcpus }) => vcpus));

    const locationTags = locationTagsOf(k);
    const locationScore = sum(
      primaries.map((instance) => {
        const other = locationTagsOf(now.secondary[instances.indexOf(instance)]!);
        const shared = locationTags.filter((tag) => other.includes(tag));
        const missed = distinct(instance.tags.filter(isDesired)).filter((tag) => !locationTags.includes(tag));
        return shared.length + missed.length;
      }),
    );
    return [
      {
        index: k,
        online: !node.offline && options.offline?.has(node.name) !== true,
        totalMemory: node.totalMemory,
        totalDisk: node.totalDisk,
        totalCpu: node.totalCpu,
        primaries,
        secondaries,
        unallocated,
        freeMemoryForth,
        reserved,
        needs,
        failsN1: touched.has(k) ? unallocated <= reserved : failedAtLoad,
        freeDisk,
        freeDiskForth: freeDisk - forthcoming(diskOf),
        exclusive: node.exclusiveStorage,
        spindles: node.spindles,
        freeSpindles,
        freeSpindlesForth: freeSpindles - forthcoming(ownSpindles),
        spindleUse: useOf(hostedForth.filter(exists)),
        spindleUseForth: useOf(hostedForth),
        highSpindles: policy.spindleRatio * node.spindles,
        cpus: cpusOf(primaries),
        cpusForth: cpusOf(primariesForth),
        cpuSpeed: node.cpuSpeed,
        load: [0, 1, 2, 3].map(
          (c) =>
            sum(primaries.map((one) => loadOf(one)[c]!)) +
            (c === 2 ? sum(secondaries.map((one) => loadOf(one)[c]!)) : 0),
        ) as SlowNode['load'],
        exclusionTags: primariesForth.flatMap(({ tags }) => tags.filter(isExclusion)),
        locationTags,
        locationScore,
        pairs: primaries.flatMap(({ tags }) =>
          tags.filter(isExclusion).flatMap((tag) => locationTags.map((place) => `${place} ${tag}`)),
        ),
      },
    ];
  });
}

export function slowScore(state: SlowState): { score: number; components: number[] } {
  const all = slowNodes(state);
  const online = all.filter((node) => node.online);
  const offline = all.filter((node) => !node.online);
  if (online.length === 0) return { score: 0, components: METRICS.map(() => 0) };
  const spread = (of: (node: SlowNode) => number): number => {
    const values = online.map(of);
    const mean = sum(values) / values.length;
    return Math.sqrt(sum(values.map((value) => (value - mean) ** 2)) / values.length);
  };
  const total = (of: (node: SlowNode) => number): number => sum(online.map(of));
  const excess = (values: readonly string[]): number => values.length - distinct(values).length;
  const hosted = (node: SlowNode): number => node.primaries.length + node.secondaries.length;
  const share = (free: number, whole: number): number => (whole === 0 ? 1 : free / whole);
  const diskShare = (node: SlowNode, free: number, freeSpindles: number): number =>
    node.exclusive ? share(freeSpindles, node.spindles) : share(free, node.totalDisk);
  const values: Record<(typeof METRICS)[number]['name'], number> = {
    free_mem_cv: 0.5 * spread((node) => node.unallocated / node.totalMemory),
    free_disk_cv: 0.5 * spread((node) => diskShare(node, node.freeDisk, node.freeSpindles)),
    n1_cnt: total((node) => (node.failsN1 ? hosted(node) : 0)),
    reserved_mem_cv: spread((node) => node.reserved / node.totalMemory),
    offline_all_cnt: 4 * sum(offline.map(hosted)),
    offline_pri_cnt: 16 * sum(offline.map((node) => node.primaries.length)),
    vcpu_ratio_cv: 0.5 * spread((node) => node.cpus / node.totalCpu / node.cpuSpeed),
    cpu_load_cv: spread((node) => node.load[0]),
    mem_load_cv: spread((node) => node.load[1]),
    disk_load_cv: spread((node) => node.load[2]),
    net_load_cv: spread((node) => node.load[3]),
    pri_tags_score: 2 * total((node) => excess(node.exclusionTags)),
    spindles_cv: 0.5 * spread((node) => node.spindleUse / node.highSpindles),
    free_mem_cv_forth: 0.5 * spread((node) => node.freeMemoryForth / node.totalMemory),
    free_disk_cv_forth: 0.5 * spread((node) => diskShare(node, node.freeDiskForth, node.freeSpindlesForth)),
    vcpu_ratio_cv_forth: 0.5 * spread((node) => node.cpusForth / node.totalCpu / node.cpuSpeed),
    spindles_cv_forth: 0.5 * spread((node) => node.spindleUseForth / node.highSpindles),
    location_score: total((node) => node.locationScore),
    location_exclusion_score: excess(online.flatMap((node) => node.pairs)),
    reserved_mem_rtotal: 0.25 * total((node) => node.reserved / node.totalMemory),
  };
  // The weights stand above, beside what they weigh; components are told without them.
  return {
    score: sum(Object.values(values)),
    components: METRICS.map(({ name, weight }) => values[name] / weight),
  };
}

/** The part of the reserved memory's score that no placement avoids: 0.25 × D × (1 / (T - M) - 1 / T). */
export function slowOptimum(cluster: Cluster, options: GroupModelOptions): number {
  const all = slowNodes({ cluster, options, now: loadedPlacement(cluster), touched: new Set() });
  const reserves = sum(all.flatMap(({ needs }) => needs));
  const total = sum(all.map(({ totalMemory }) => totalMemory));
  const most = Math.max(...all.map(({ totalMemory }) => totalMemory));
  return all.length < 2 || total === most ? 0 : 0.25 * reserves * (1 / (total - most) - 1 / total);
}
