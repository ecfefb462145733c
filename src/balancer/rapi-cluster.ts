import { z } from 'zod';
import { UserError } from '../domain/errors.js';
import { firstIssue, identifier, name as properName } from '../domain/fields.js';
import {
  ALLOCATION_POLICIES,
  DISK_TEMPLATES,
  INSTANCE_STATUSES,
  STATIC_KVM_NODE_MEMORY,
  type Cluster,
  type ClusterNode,
  type InstancePolicy,
  type InstanceSpec,
} from './cluster.js';

/** The four replies of Ganeti's remote API out of which hbal builds a cluster. */
export interface RapiReplies {
  /** `/2/groups?bulk=1` */
  groups: unknown;
  /** `/2/nodes?bulk=1` */
  nodes: unknown;
  /** `/2/instances?bulk=1` */
  instances: unknown;
  /** `/2/info` */
  info: unknown;
}

const specSchema = z
  .object({
    'memory-size': z.number(),
    'cpu-count': z.number(),
    'disk-size': z.number(),
    'disk-count': z.number(),
    'nic-count': z.number(),
    'spindle-use': z.number(),
  })
  .transform((spec): InstanceSpec => ({
    memory: spec['memory-size'],
    cpus: spec['cpu-count'],
    disk: spec['disk-size'],
    disks: spec['disk-count'],
    nics: spec['nic-count'],
    spindleUse: spec['spindle-use'],
  }));

const policySchema = z
  .object({
    minmax: z.array(z.object({ min: specSchema, max: specSchema })),
    std: specSchema,
    'disk-templates': z.array(z.enum(DISK_TEMPLATES)),
    'vcpu-ratio': z.number(),
    'spindle-ratio': z.number(),
  })
  .transform((policy): InstancePolicy => ({
    standard: policy.std,
    ranges: policy.minmax.map(({ min, max }) => ({ minimum: min, maximum: max })),
    templates: policy['disk-templates'],
    vcpuRatio: policy['vcpu-ratio'],
    spindleRatio: policy['spindle-ratio'],
  }));

const tags = z.array(identifier).default([]);
const figure = z.number().nullish();

const groupsSchema = z.array(
  z.object({
    name: properName,
    uuid: z.string(),
    alloc_policy: z.enum(ALLOCATION_POLICIES),
    ipolicy: policySchema,
    tags,
  }),
);

const nodesSchema = z.array(
  z.object({
    name: properName,
    offline: z.boolean(),
    drained: z.boolean(),
    vm_capable: z.boolean().default(true),
    'group.uuid': z.string(),
    mtotal: figure,
    mnode: figure,
    mfree: figure,
    dtotal: figure,
    dfree: figure,
    ctotal: figure,
    cnos: figure,
    sptotal: figure,
    spfree: figure,
    ndparams: z.object({ spindle_count: z.number(), exclusive_storage: z.boolean() }),
    tags,
  }),
);

const instancesSchema = z.array(
  z.object({
    name: properName,
    disk_usage: z.number(),
    'disk.spindles': z.array(z.number().nullable()).nullish(),
    beparams: z.object({
      memory: z.number().optional(),
      maxmem: z.number().optional(),
      vcpus: z.number(),
      auto_balance: z.boolean(),
      spindle_use: z.number().default(1),
    }),
    oper_ram: z.unknown(),
    pnode: properName,
    snodes: z.array(properName),
    status: z.enum(INSTANCE_STATUSES),
    tags,
    disk_template: z.enum(DISK_TEMPLATES),
    forthcoming: z.boolean().default(false),
  }),
);

const infoSchema = z.object({
  master: z.string(),
  tags,
  ipolicy: policySchema,
  default_hypervisor: z.string(),
});

/**
 * Replies → cluster, by hbal's rules: a drained node is an offline one, a running instance counts the memory that it
 * really has, and on KVM the host's own memory is a fixed figure. Throws a `UserError` that names reply and field.
 */
export function clusterFromRapi(
  replies: RapiReplies,
  {
    address,
    staticKvmNodeMemory = STATIC_KVM_NODE_MEMORY,
  }: { address: string; staticKvmNodeMemory?: number },
): Cluster {
  const read = <T>(schema: z.ZodType<T>, value: unknown, what: string): T => {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const { field, message } = firstIssue(parsed.error);
    throw new UserError(
      'input-invalid',
      `${address}: its reply on ${what} is not Ganeti's: ${field} ${message}`,
    );
  };
  const groups = read(groupsSchema, replies.groups, 'groups');
  const nodes = read(nodesSchema, replies.nodes, 'nodes');
  const instances = read(instancesSchema, replies.instances, 'instances');
  const info = read(infoSchema, replies.info, 'the cluster');
  const indexOf = (names: readonly string[], name: string, what: string): number => {
    const index = names.indexOf(name);
    if (index < 0) throw new UserError('input-invalid', `${address}: ${what} ${name} is not in its own list`);
    return index;
  };
  const groupUuids = groups.map(({ uuid }) => uuid);
  const nodeNames = nodes.map(({ name }) => name);

  const ourNodes = nodes.map((node): ClusterNode => {
    const live = !node.offline && node.vm_capable;
    const needed = (value: number | null | undefined, field: string): number => {
      if (!live) return 0;
      if (typeof value === 'number') return value;
      throw new UserError(
        'input-invalid',
        `${address}: node ${node.name} is online but reports no ${field}; its node daemon does not answer, try again or treat it as offline with -O`,
      );
    };
    const exclusive = node.ndparams.exclusive_storage;
    const isMaster = node.name === info.master;
    const offline = !live || node.drained;
    return {
      name: node.name,
      totalMemory: needed(node.mtotal, 'mtotal'),
      nodeMemory:
        info.default_hypervisor === 'kvm' && staticKvmNodeMemory > 0
          ? staticKvmNodeMemory
          : needed(node.mnode, 'mnode'),
      freeMemory: needed(node.mfree, 'mfree'),
      totalDisk: live ? (node.dtotal ?? 0) : 0,
      freeDisk: live ? (node.dfree ?? 0) : 0,
      totalCpu: needed(node.ctotal, 'ctotal'),
      offline,
      ...(offline && !node.offline ? { isUp: true } : {}),
      master: isMaster && !offline,
      group: indexOf(groupUuids, node['group.uuid'], `the group of node ${node.name},`),
      spindles: exclusive ? (node.sptotal ?? 0) : node.ndparams.spindle_count,
      tags: node.tags,
      exclusiveStorage: exclusive,
      freeSpindles: live ? (node.spfree ?? 0) : 0,
      nodeCpu: needed(node.cnos, 'cnos'),
      cpuSpeed: 1,
    };
  });
  return {
    groups: groups.map(({ name, uuid, alloc_policy, tags: groupTags }) => ({
      name,
      uuid,
      allocationPolicy: alloc_policy,
      tags: groupTags,
      networks: [],
    })),
    nodes: ourNodes,
    instances: instances.map((instance) => {
      const { beparams, snodes, disk_template } = instance;
      const spindles = instance['disk.spindles'] ?? [null];
      return {
        name: instance.name,
        memory:
          typeof instance.oper_ram === 'number'
            ? instance.oper_ram
            : (beparams.memory ?? beparams.maxmem ?? 0),
        disk: instance.disk_usage,
        vcpus: beparams.vcpus,
        status: instance.status,
        autoBalance: beparams.auto_balance,
        primary: indexOf(nodeNames, instance.pnode, `the primary node of ${instance.name},`),
        secondary:
          snodes[0] === undefined
            ? -1
            : indexOf(nodeNames, snodes[0], `the secondary node of ${instance.name},`),
        template: disk_template,
        tags: instance.tags,
        spindleUse: beparams.spindle_use,
        diskSpindles: spindles.includes(null)
          ? undefined
          : spindles.reduce<number>((sum, value) => sum + (value ?? 0), 0),
        forthcoming: instance.forthcoming,
      };
    }),
    tags: info.tags,
    policy: info.ipolicy,
    groupPolicies: groups.map(({ ipolicy }) => ipolicy),
  };
}
