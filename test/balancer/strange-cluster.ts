import {
  ALLOCATION_POLICIES,
  DISK_TEMPLATES,
  INSTANCE_STATUSES,
  usesLocalDisk,
  usesMemory,
  type Cluster,
  type ClusterInstance,
  type ClusterNode,
  type InstancePolicy,
  type InstanceSpec,
} from '../../src/balancer/cluster.js';
import { seededRandom } from '../../src/balancer/random.js';
import type { Load } from '../../src/balancer/utilisation.js';

/**
 * Clusters with everything that the format allows, and with so little room that every check fails now and then: several
 * groups, tags of every kind (near misses of prefixes too), forthcoming instances, exclusive storage on all nodes or
 * some, nodes that are off, without disks or without any figures.
 */

export interface StrangeOptions {
  nodes: number;
  instancesPerNode: number;
  /** Mirrors in another group or nowhere, on which hbal crashes. */
  split?: boolean;
  /** False: every node is up. */
  offline?: boolean;
  /** False: instances on shared storage take no spindles, which hbal counts but does not check. */
  sharedSpindles?: boolean;
}

/** The same cluster for the same seed and options, always. */
export function strangeCluster(
  seed: number,
  { nodes: count, instancesPerNode, split = true, offline = true, sharedSpindles = true }: StrangeOptions,
): Cluster {
  const random = seededRandom(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(items: readonly T[]): T => items[below(items.length)]!;
  const chance = (share: number): boolean => random() < share;
  const some = <T>(items: readonly T[], share: number): T[] => items.filter(() => chance(share));

  const groupCount = Math.min(count, pick([1, 1, 2, 3]));
  const exclusiveShare = pick([0, 0, 0.5, 1]);
  const nodes = Array.from({ length: count }, (_, k): ClusterNode => ({
    name: `node${k + 1}.example.com`,
    totalMemory: 0,
    nodeMemory: pick([0, 512, 1024]),
    freeMemory: 0,
    totalDisk: 0,
    freeDisk: 0,
    totalCpu: pick([2, 8, 32]),
    offline: chance(offline ? 0.12 : 0),
    master: false,
    group: k % groupCount,
    spindles: pick([1, 2, 8]),
    tags: [
      ...some([`rack:${below(3)}`], 0.7),
      ...some([`power:${below(2)}`, 'racks', 'rack'], 0.2),
      ...some([`hv:${below(2)}`], 0.5),
      ...some([`fw:${pick(['a', 'b'])}`], 0.1),
    ],
    exclusiveStorage: chance(exclusiveShare),
    freeSpindles: 0,
    nodeCpu: pick([0, 1, 2]),
    cpuSpeed: pick([1, 1, 1.5, 0.8]),
  }));

  const instances = Array.from({ length: count * instancesPerNode }, (_, i): ClusterInstance => {
    // A few nodes take more than their share, so that there is something to balance.
    const primary = Math.min(below(count), below(count));
    const peers = [...nodes.keys()].filter((k) => k !== primary);
    const sameGroup = peers.filter((k) => nodes[k]!.group === nodes[primary]!.group);
    const wanted = random();
    let template: ClusterInstance['template'] =
      wanted < 0.6
        ? 'drbd'
        : wanted < 0.8
          ? pick(['ext', 'rbd', 'sharedfile', 'gluster', 'blockdev'])
          : 'plain';
    if (wanted > 0.9) template = pick(['file', 'diskless']);
    let secondary = -1;
    if (template === 'drbd') {
      const strays = split && chance(0.08);
      if (strays) secondary = chance(0.3) || peers.length === 0 ? -1 : pick(peers);
      else if (sameGroup.length > 0) secondary = pick(sameGroup);
      else template = 'plain';
    }
    const forthcoming = chance(0.08);
    const needsSpindles = forthcoming || !usesLocalDisk(template) || chance(0.9);
    return {
      name: `inst${i + 1}.example.com`,
      memory: pick([0, 512, 1024, 2048, 4096, 8192]),
      disk: template === 'diskless' ? 0 : pick([1024, 10_240, 20_480, 51_200]),
      vcpus: pick([1, 1, 2, 4]),
      status: chance(0.7) ? 'running' : pick(INSTANCE_STATUSES),
      autoBalance: chance(0.9),
      primary,
      secondary,
      template,
      tags: [
        ...some([`service:${below(4)}`], 0.4),
        ...some([`service:${below(2)}`, 'services', 'role:db', 'role', `rack:${below(3)}`, 'rackless'], 0.08),
        ...some([`power:${below(2)}`, `rack:${below(3)}`], 0.15),
      ],
      spindleUse: pick([0, 1, 1, 2]),
      diskSpindles:
        exclusiveShare > 0 && needsSpindles
          ? below(sharedSpindles || usesLocalDisk(template) ? 3 : 1)
          : undefined,
      forthcoming,
    };
  });

  const sumOf = (k: number, list: readonly ClusterInstance[], of: (one: ClusterInstance) => number): number =>
    list.reduce(
      (sum, one) => sum + (!one.forthcoming && (one.primary === k || one.secondary === k) ? of(one) : 0),
      0,
    );
  nodes.forEach((node, k) => {
    const onPrimary = instances.filter(({ primary }) => primary === k);
    const memory = sumOf(k, onPrimary.filter(usesMemory), (one) => one.memory);
    const disk = sumOf(k, instances, (one) => (usesLocalDisk(one.template) ? one.disk : 0));
    const spindles = sumOf(k, instances, (one) => one.diskSpindles ?? 0);
    const freeMemory = pick([below(1500), 2048 + below(8000), 2048 + below(40_000)]);
    const unexplained = chance(0.3) ? below(3000) - 1500 : 0;
    node.totalMemory = node.nodeMemory + memory + freeMemory + pick([1, 1, 1.5]);
    node.freeMemory = freeMemory + unexplained;
    node.freeDisk = pick([below(8000), 20_000 + below(30_000), 100_000 + below(300_000)]);
    node.totalDisk = disk + node.freeDisk + pick([1, 1, below(50_000) + 1.5]);
    if (node.exclusiveStorage) {
      node.freeSpindles = below(8);
      node.spindles = spindles + node.freeSpindles + 1;
    }
    if (chance(0.05)) Object.assign(node, { totalDisk: 0, freeDisk: 0 });
    if (node.offline && chance(0.3))
      Object.assign(node, {
        totalMemory: 0,
        nodeMemory: 0,
        freeMemory: 0,
        totalDisk: 0,
        freeDisk: 0,
        totalCpu: 0,
      });
  });
  const master = pick(nodes);
  master.master = !master.offline;

  const spec = (): InstanceSpec => ({
    memory: below(9000),
    cpus: below(8),
    disk: below(90_000),
    disks: below(16),
    nics: below(8),
    spindleUse: below(12),
  });
  const policy = (): InstancePolicy => ({
    standard: spec(),
    ranges: Array.from({ length: below(4) }, () => ({ minimum: spec(), maximum: spec() })),
    templates: some(DISK_TEMPLATES, 0.8),
    vcpuRatio: pick([1, 2.5, 8]),
    spindleRatio: pick([1.5, 4, 32]),
  });
  return {
    groups: Array.from({ length: groupCount }, (_, g) => ({
      name: `group${g + 1}`,
      uuid: `uuid-${g + 1}`,
      allocationPolicy: pick(ALLOCATION_POLICIES),
      tags: some(['site:north', 'old'], 0.3),
      networks: some(['net-uuid-1', 'net-uuid-2'], 0.3),
    })),
    nodes,
    instances,
    tags: [
      ...some(['htools:iextags:service', 'htools:nlocation:rack', 'htools:desiredlocation:rack'], 0.7),
      ...some(['htools:iextags:role', 'htools:nlocation:power', 'htools:desiredlocation:power:'], 0.4),
      ...some(['htools:migration:hv', 'htools:migration:fw', 'htools:allowmigration:hv:0::hv:1'], 0.4),
      ...some(['htools:allowmigration:fw:a::fw:b', 'htools:allowmigration:hv:1::hv:0::hv:0'], 0.3),
      ...some(['htools:iextags:', 'prod', 'htools:iextags:service:1'], 0.1),
    ],
    policy: policy(),
    groupPolicies: Array.from({ length: groupCount }, policy),
  };
}

/** Loads of most of its instances. */
export function strangeLoads(seed: number, { instances }: Cluster): Map<string, Load> {
  const random = seededRandom(seed);
  const value = (): number => (random() < 0.2 ? 0 : Math.floor(random() * 4000) / 1000);
  return new Map(
    instances
      .filter(() => random() < 0.7)
      .map(({ name }) => [name, [value(), value(), value(), value()] as const]),
  );
}
