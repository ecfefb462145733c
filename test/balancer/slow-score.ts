import { usesLocalDisk, usesMemory, type Cluster } from '../../src/balancer/cluster.js';
import { METRICS } from '../../src/balancer/score.js';

/**
 * The score computed from nothing, straight from the definitions: no running sums, no rows, no tags in tables. Slow and
 * obvious: what the fast one must equal. For clusters of one group without forthcoming instances, exclusive storage or
 * tags; those are held against the real hbal instead.
 */
export function slowScore(
  loaded: Cluster,
  primary: ArrayLike<number>,
  secondary: ArrayLike<number>,
  touched: ReadonlySet<number>,
): { score: number; components: number[] } {
  const { nodes, instances } = loaded;
  const memoryOn = (node: number, where: ArrayLike<number>): number =>
    instances.reduce(
      (sum, instance, i) => sum + (where[i] === node && usesMemory(instance) ? instance.memory : 0),
      0,
    );
  const loadedPrimary = instances.map((instance) => instance.primary);
  const diskOn = (node: number, p: ArrayLike<number>, s: ArrayLike<number>): number =>
    instances.reduce(
      (sum, instance, i) =>
        sum + (usesLocalDisk(instance.template) && (p[i] === node || s[i] === node) ? instance.disk : 0),
      0,
    );
  const loadedSecondary = instances.map((instance) => instance.secondary);
  const policy = loaded.groupPolicies[0]!;
  const perNode = nodes.map((node, k) => {
    const explained = Math.trunc(node.totalMemory) - node.nodeMemory;
    const missing = explained - memoryOn(k, loadedPrimary) - node.freeMemory;
    const free = explained - memoryOn(k, primary) - Math.max(0, missing);
    const needs = nodes.map((_peer, q) =>
      instances.reduce(
        (sum, instance, i) =>
          sum +
          (secondary[i] === k &&
          primary[i] === q &&
          instance.autoBalance &&
          instance.status !== 'ADMIN_offline'
            ? instance.memory
            : 0),
        0,
      ),
    );
    const reserved = Math.max(0, ...needs);
    const own = instances.filter((_instance, i) => primary[i] === k);
    const mirrored = instances.filter((_instance, i) => secondary[i] === k);
    const idle = instances.reduce(
      (sum, instance, i) => sum + (loadedPrimary[i] === k && !usesMemory(instance) ? instance.memory : 0),
      0,
    );
    const whole = (p: ArrayLike<number>): number =>
      instances.reduce((sum, instance, i) => sum + (p[i] === k ? instance.memory : 0), 0);
    const disk = node.freeDisk + diskOn(k, loadedPrimary, loadedSecondary) - diskOn(k, primary, secondary);
    const cpus =
      node.nodeCpu +
      own.reduce((sum, instance) => sum + (instance.status === 'ADMIN_offline' ? 0 : instance.vcpus), 0);
    const spindles = [...own, ...mirrored].reduce(
      (sum, instance) => sum + (usesLocalDisk(instance.template) ? instance.spindleUse : 0),
      0,
    );
    const failsN1 = touched.has(k) ? free <= reserved : node.freeMemory < reserved;
    const freeForth = node.freeMemory - idle + whole(loadedPrimary) - whole(primary);
    return {
      online: !node.offline,
      free: free / node.totalMemory,
      freeForth: freeForth / node.totalMemory,
      disk: node.totalDisk === 0 ? 1 : disk / node.totalDisk,
      reserved: reserved / node.totalMemory,
      cpu: cpus / node.totalCpu / node.cpuSpeed,
      primaries: own.length,
      all: own.length + mirrored.length,
      failing: failsN1 ? own.length + mirrored.length : 0,
      spindles: spindles / (policy.spindleRatio * node.spindles),
    };
  });
  const online = perNode.filter((node) => node.online);
  const offline = perNode.filter((node) => !node.online);
  const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
  const spread = (values: number[]): number => {
    const mean = sum(values) / values.length;
    return Math.sqrt(sum(values.map((value) => (value - mean) * (value - mean))) / values.length);
  };
  const values: Record<(typeof METRICS)[number]['name'], number> = {
    free_mem_cv: spread(online.map((node) => node.free)),
    free_disk_cv: spread(online.map((node) => node.disk)),
    n1_cnt: sum(online.map((node) => node.failing)),
    reserved_mem_cv: spread(online.map((node) => node.reserved)),
    offline_all_cnt: sum(offline.map((node) => node.all)),
    offline_pri_cnt: sum(offline.map((node) => node.primaries)),
    vcpu_ratio_cv: spread(online.map((node) => node.cpu)),
    cpu_load_cv: spread(online.map((node) => node.primaries)),
    mem_load_cv: spread(online.map((node) => node.primaries)),
    disk_load_cv: spread(online.map((node) => node.all)),
    net_load_cv: spread(online.map((node) => node.primaries)),
    pri_tags_score: 0,
    spindles_cv: spread(online.map((node) => node.spindles)),
    free_mem_cv_forth: spread(online.map((node) => node.freeForth)),
    free_disk_cv_forth: spread(online.map((node) => node.disk)),
    vcpu_ratio_cv_forth: spread(online.map((node) => node.cpu)),
    spindles_cv_forth: spread(online.map((node) => node.spindles)),
    location_score: 0,
    location_exclusion_score: 0,
    reserved_mem_rtotal: sum(online.map((node) => node.reserved)),
  };
  const components = METRICS.map(({ name }) => values[name]);
  const score =
    online.length === 0 ? 0 : METRICS.reduce((total, { weight }, c) => total + weight * components[c]!, 0);
  return { score, components };
}
