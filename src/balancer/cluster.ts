/** A Ganeti cluster as its tools describe it: groups, nodes, instances, tags and policies. Memory and disk in MiB. */

/** Where an instance's disks live. */
export const DISK_TEMPLATES = [
  'diskless',
  'file',
  'sharedfile',
  'plain',
  'blockdev',
  'drbd',
  'rbd',
  'ext',
  'gluster',
] as const;
export type DiskTemplate = (typeof DISK_TEMPLATES)[number];

/** Status words of an instance. */
export const INSTANCE_STATUSES = [
  'running',
  'ERROR_up',
  'ERROR_wrongnode',
  'ERROR_nodedown',
  'ERROR_nodeoffline',
  'ADMIN_down',
  'ERROR_down',
  'USER_down',
  'ADMIN_offline',
] as const;
export type InstanceStatus = (typeof INSTANCE_STATUSES)[number];

export const ALLOCATION_POLICIES = ['preferred', 'last_resort', 'unallocable'] as const;
export type AllocationPolicy = (typeof ALLOCATION_POLICIES)[number];

export interface ClusterGroup {
  name: string;
  uuid: string;
  allocationPolicy: AllocationPolicy;
  tags: string[];
  networks: string[];
}

export interface ClusterNode {
  name: string;
  /** Total memory, MiB. */
  totalMemory: number;
  /** Memory that the host itself uses, MiB. */
  nodeMemory: number;
  /** Free memory as the node reports it, MiB. */
  freeMemory: number;
  totalDisk: number;
  freeDisk: number;
  /** Physical CPUs. */
  totalCpu: number;
  /** Offline, drained or not able to host: takes no instances. */
  offline: boolean;
  /** Of such a node, where it is known: it is up, only drained or not able to host. The text format does not tell. */
  isUp?: boolean;
  master: boolean;
  /** Index into `groups`. */
  group: number;
  spindles: number;
  tags: string[];
  exclusiveStorage: boolean;
  freeSpindles: number;
  /** CPUs that the host's own system uses. */
  nodeCpu: number;
  cpuSpeed: number;
}

export interface ClusterInstance {
  name: string;
  memory: number;
  disk: number;
  vcpus: number;
  status: InstanceStatus;
  autoBalance: boolean;
  /** Index into `nodes`. */
  primary: number;
  /** Index into `nodes`, or -1. */
  secondary: number;
  template: DiskTemplate;
  tags: string[];
  spindleUse: number;
  /** Sum over its disks; undefined where not known. */
  diskSpindles: number | undefined;
  /** Reserved in the configuration, not created yet. */
  forthcoming: boolean;
}

/** Limits of an instance's size: memory MiB, CPUs, disk MiB, disks, network cards, spindles. */
export interface InstanceSpec {
  memory: number;
  cpus: number;
  disk: number;
  disks: number;
  nics: number;
  spindleUse: number;
}

export interface InstancePolicy {
  standard: InstanceSpec;
  /** Allowed ranges. */
  ranges: { minimum: InstanceSpec; maximum: InstanceSpec }[];
  templates: DiskTemplate[];
  vcpuRatio: number;
  spindleRatio: number;
}

/** The order of groups, nodes and instances is the file's: it decides ties in hbal's search. */
export interface Cluster {
  groups: ClusterGroup[];
  nodes: ClusterNode[];
  instances: ClusterInstance[];
  tags: string[];
  policy: InstancePolicy;
  /** One for each group. */
  groupPolicies: InstancePolicy[];
}

/** Ganeti's built-in policy, for a group without one. */
export const builtInPolicy = (): InstancePolicy => ({
  standard: { memory: 128, cpus: 1, disk: 1024, disks: 1, nics: 1, spindleUse: 1 },
  ranges: [
    {
      minimum: { memory: 128, cpus: 1, disk: 1024, disks: 1, nics: 1, spindleUse: 1 },
      maximum: { memory: 32768, cpus: 8, disk: 1_048_576, disks: 16, nics: 8, spindleUse: 12 },
    },
  ],
  templates: ['diskless', 'file', 'sharedfile', 'plain', 'blockdev', 'drbd', 'rbd', 'ext', 'gluster'],
  vcpuRatio: 4,
  spindleRatio: 32,
});

/** hbal's own default: what a KVM node's own system is taken to use, MiB, for what it reports is not steady. */
export const STATIC_KVM_NODE_MEMORY = 4096;

/** True when the instance takes memory on its primary node. */
export const usesMemory = (instance: ClusterInstance): boolean =>
  !instance.forthcoming &&
  !['ADMIN_down', 'ERROR_down', 'USER_down', 'ADMIN_offline'].includes(instance.status);

/** True when Ganeti's commands migrate it; else they fail it over. */
export const isRunning = (instance: ClusterInstance): boolean =>
  instance.status === 'running' || instance.status === 'ERROR_up';

/** True when its disks lie on its nodes' own storage. */
export const usesLocalDisk = (template: DiskTemplate): boolean => template === 'drbd' || template === 'plain';

/** How the disks are reachable from other nodes: a DRBD mirror, shared storage, or not at all. */
export function mirrorOf(template: DiskTemplate): 'internal' | 'external' | 'none' {
  if (template === 'drbd') return 'internal';
  const external: DiskTemplate[] = ['sharedfile', 'blockdev', 'rbd', 'ext', 'gluster'];
  return external.includes(template) ? 'external' : 'none';
}
