import type { Command } from 'commander';
import { STATIC_KVM_NODE_MEMORY, type Cluster } from '../balancer/cluster.js';
import type { GroupModelOptions } from '../balancer/group-model.js';
import { parseUtilisation } from '../balancer/utilisation.js';
import { UserError } from '../domain/errors.js';
import type { RapiClientOptions } from '../ganeti/rapi-client.js';
import { fullNames } from './cluster-input.js';
import { readTextFile } from './file-input.js';
import { aboveZero, collect, integer, list, number } from './option-values.js';

/**
 * Options that say how a cluster is read and what counts as allowed on it. A plan that hbal made with some of them is
 * judged on the same cluster only when `price` is given them too.
 */
export interface ClusterOptions {
  group?: string;
  offline: string[];
  dynuFile?: string;
  ignoreDynu?: boolean;
  maxCpu?: number;
  minDisk?: number;
  exclusionTags?: string[];
  ignoreSoftErrors?: boolean;
  staticKvmNodeMemory: number;
  ca?: string;
  pinSha256?: string;
  credentials?: string;
}

/** Adds them, with hbal's names where hbal has them. */
export const withClusterOptions = (command: Command): Command =>
  command
    .option('-G, --group <group>', 'node group, by name or uuid')
    .option('-O, --offline <node>', 'treat the node as offline (repeatable)', collect, [])
    .option('-U, --dynu-file <file>', 'dynamic utilisation: lines of name cpu mem disk net')
    .option('--ignore-dynu', 'count no utilisation at all')
    .option('--max-cpu <ratio>', 'virtual to physical CPUs at most', aboveZero)
    .option('--min-disk <share>', 'share of disk to keep free', number)
    .option('--exclusion-tags <tags>', 'prefixes of exclusion tags (comma list)', list)
    .option('--ignore-soft-errors', 'ignore limits that are policy, not physics')
    .option(
      '--static-kvm-node-memory <mib>',
      "a KVM host's own memory; 0 takes what it reports",
      integer,
      STATIC_KVM_NODE_MEMORY,
    )
    .option('--credentials <file>', 'remote API: file with user:password in its first line')
    .option('--ca <file>', "remote API: PEM of the certificate's authority, or of that very certificate")
    .option('--pin-sha256 <hex>', "remote API: fingerprint of the server's certificate");

export const rapiOptions = ({ ca, pinSha256, credentials }: ClusterOptions): RapiClientOptions => ({
  caFile: ca,
  pinSha256,
  credentialsFile: credentials,
});

/** Refuses values that hbal takes without a word though they mean nothing. */
export function refuseSenselessLimits({ minDisk = 0, staticKvmNodeMemory }: ClusterOptions): void {
  if (minDisk < 0 || minDisk > 1)
    throw new UserError('usage', `--min-disk ${minDisk}: it must be a share of a node's disk, from 0 to 1`);
  if (staticKvmNodeMemory < 0)
    throw new UserError('usage', `--static-kvm-node-memory ${staticKvmNodeMemory}: it must be 0 MiB or more`);
}

/** What the options make of a group; which group is chosen apart from them. */
export async function modelSettings(
  cluster: Cluster,
  options: ClusterOptions,
): Promise<Omit<GroupModelOptions, 'group'>> {
  const { dynuFile } = options;
  return {
    offline: fullNames(
      options.offline,
      cluster.nodes.map(({ name }) => name),
      'node',
    ),
    ...(dynuFile === undefined ? {} : { loads: parseUtilisation(await readTextFile(dynuFile), dynuFile) }),
    ignoreLoads: options.ignoreDynu === true,
    ...(options.maxCpu === undefined ? {} : { maxCpuRatio: options.maxCpu }),
    ...(options.minDisk === undefined ? {} : { minDiskRatio: options.minDisk }),
    exclusionTags: options.exclusionTags ?? [],
  };
}
