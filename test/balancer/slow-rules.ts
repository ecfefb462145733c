import { usesLocalDisk, usesMemory } from '../../src/balancer/cluster.js';
import {
  FAILOVER,
  FAILOVER_AND_REPLACE,
  FAILOVER_TO_ANY,
  REPLACE_AND_FAILOVER,
  REPLACE_PRIMARY,
  REPLACE_SECONDARY,
  type MoveKind,
} from '../../src/balancer/moves.js';
import {
  exclusionTagsOf,
  mayMigrate,
  needOf,
  slowNodes,
  type Placement,
  type SlowNode,
  type SlowState,
} from './slow-score.js';

/**
 * hbal's checks of one move, out of the nodes computed from nothing with the instance taken off. Slow and obvious: what
 * the trial of a move must say.
 */

export interface SlowMove {
  /** Index into the cluster's instances. */
  instance: number;
  letters: 'f' | 'fa' | 'r' | 'r f' | 'f r f' | 'f r';
  /** Index into the cluster's nodes; -1 for `f`. */
  target: number;
}

export const LETTERS: Record<MoveKind, SlowMove['letters']> = {
  [FAILOVER]: 'f',
  [FAILOVER_TO_ANY]: 'fa',
  [REPLACE_SECONDARY]: 'r',
  [REPLACE_AND_FAILOVER]: 'r f',
  [REPLACE_PRIMARY]: 'f r f',
  [FAILOVER_AND_REPLACE]: 'f r',
};

/** May the instance make this move? */
export function slowAllows(
  state: SlowState,
  { instance, letters, target: x }: SlowMove,
  ignoreSoftErrors: boolean,
): boolean {
  const p = state.now.primary[instance]!;
  const s = state.now.secondary[instance]!;
  const { addPrimary, addSecondary, isOffline } = additions(state, instance);
  const goes = (from: number, to: number): boolean => mayMigrate(state.cluster, from, to);
  const F = ignoreSoftErrors || isOffline(p);
  if (letters === 'fa') return goes(p, x) && addPrimary(x, F);
  const G = ignoreSoftErrors || isOffline(s);
  switch (letters) {
    case 'f':
      return goes(p, s) && addPrimary(s, F) && addSecondary(p, s, F, isOffline(p));
    case 'r':
      return addSecondary(x, p, G) && addPrimary(p, true);
    case 'r f':
      return goes(p, x) && addPrimary(x, ignoreSoftErrors) && addSecondary(p, x, G);
    case 'f r':
      return goes(p, s) && addPrimary(s, F) && addSecondary(x, s, F);
    case 'f r f':
      return goes(p, s) && goes(s, x) && addPrimary(s, F) && addPrimary(x, F) && addSecondary(s, x, F);
  }
}

/** May it stand there (`secondary` -1: no mirror), however it got there? What it keeps is not asked about. */
export function slowMayStand(
  state: SlowState,
  instance: number,
  [primary, secondary]: readonly [number, number],
  [keepsPrimary, keepsSecondary]: readonly [boolean, boolean],
): boolean {
  const { addPrimary, addSecondary } = additions(state, instance);
  return (
    (keepsPrimary || addPrimary(primary, false)) &&
    (secondary < 0 || keepsSecondary || addSecondary(secondary, primary, false))
  );
}

/** The checks of putting an instance on a node, once it has been taken off its own. */
function additions({ cluster, options, now, touched }: SlowState, instance: number) {
  const moved = cluster.instances[instance]!;
  const left: Placement = { primary: [...now.primary], secondary: [...now.secondary] };
  left.primary[instance] = -1;
  left.secondary[instance] = -1;
  const changed = [now.primary[instance]!, now.secondary[instance]!];
  const nodes = new Map(
    slowNodes({
      cluster,
      options,
      now: left,
      touched: new Set(moved.forthcoming ? touched : [...touched, ...changed]),
    }).map((node) => [node.index, node]),
  );
  const policy = cluster.groupPolicies[options.group]!;
  const vcpuRatio = options.maxCpuRatio ?? policy.vcpuRatio;
  const lowDisk = ({ totalDisk }: SlowNode): number => Math.floor((options.minDiskRatio ?? 0) * totalDisk);
  const local = usesLocalDisk(moved.template);
  const vcpus = moved.status === 'ADMIN_offline' ? 0 : moved.vcpus;
  const tags = exclusionTagsOf(cluster, moved, options);
  const spindlesFit = (node: SlowNode, free: number): boolean =>
    !node.exclusive || (moved.diskSpindles !== undefined && free - moved.diskSpindles >= 0);
  const useFits = (node: SlowNode, use: number): boolean =>
    node.exclusive || use + moved.spindleUse <= node.highSpindles;

  /** With what is forthcoming counted in; asked only where nothing is forced. */
  const diskFitsForth = (node: SlowNode): boolean =>
    node.freeDiskForth - moved.disk > 0 &&
    node.freeDiskForth - moved.disk >= lowDisk(node) &&
    spindlesFit(node, node.freeSpindlesForth) &&
    useFits(node, node.spindleUseForth);

  const addPrimary = (k: number, force: boolean): boolean => {
    const node = nodes.get(k)!;
    const memory = node.unallocated - (usesMemory(moved) ? moved.memory : 0);
    const disk = node.freeDisk - moved.disk;
    const hard = memory > 0 && (!local || (disk > 0 && spindlesFit(node, node.freeSpindles)));
    const soft =
      (!local || (disk >= lowDisk(node) && useFits(node, node.spindleUse))) &&
      (memory > node.reserved || node.failsN1) &&
      (node.cpus + vcpus) / node.totalCpu <= vcpuRatio &&
      !tags.some((tag) => node.exclusionTags.includes(tag));
    const forth =
      node.freeMemoryForth - moved.memory > 0 &&
      (!local || diskFitsForth(node)) &&
      (node.cpusForth + vcpus) / node.totalCpu <= vcpuRatio;
    return (moved.forthcoming || (hard && (force || soft))) && (force || forth);
  };
  const addSecondary = (k: number, primary: number, force: boolean, ignoreDisks = false): boolean => {
    const node = nodes.get(k)!;
    const need = needOf(moved);
    const disk = node.freeDisk - moved.disk;
    const reserved = Math.max(node.reserved, node.needs[primary]! + need);
    const hard = (disk > 0 || ignoreDisks) && spindlesFit(node, node.freeSpindles);
    const soft =
      disk >= lowDisk(node) &&
      useFits(node, node.spindleUse) &&
      need < node.unallocated &&
      (node.unallocated > reserved || node.failsN1);
    const forth = diskFitsForth(node) && need < node.freeMemoryForth;
    return (moved.forthcoming || (hard && (force || soft))) && (force || forth);
  };

  return { addPrimary, addSecondary, isOffline: (k: number): boolean => !nodes.get(k)!.online };
}
