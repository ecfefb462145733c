import { STATIC_KVM_NODE_MEMORY, type Cluster } from '../balancer/cluster.js';
import type { KnownNames } from '../balancer/constant-move-costs.js';
import { parseHtoolsText, type HtoolsTextOptions, type ParsedCluster } from '../balancer/htools-text.js';
import { UserError, type ErrorCode } from '../domain/errors.js';
import type { RapiClientOptions } from '../ganeti/rapi-client.js';
import { readTextFile } from './file-input.js';

/** True for what names a cluster's remote API rather than a file. */
export const isRapiAddress = (text: string): boolean => /^(https?|file):\/\//.test(text);

/** The cluster of an htools text file or, for an address such as https://master:5080, of Ganeti's remote API. */
export async function readCluster(
  source: string,
  duplicates: HtoolsTextOptions['duplicates'],
  staticKvmNodeMemory = STATIC_KVM_NODE_MEMORY,
  rapi: RapiClientOptions = {},
): Promise<ParsedCluster> {
  if (isRapiAddress(source)) {
    const { readRapiCluster } = await import('./rapi-input.js'); // only then: a text file is read at once
    return { cluster: await readRapiCluster(source, staticKvmNodeMemory, rapi), remarks: [] };
  }
  return parseHtoolsText(await readTextFile(source), { file: source, duplicates });
}

export const namesOf = ({ instances, nodes }: Cluster): KnownNames => ({
  instances: new Set(instances.map(({ name }) => name)),
  nodes: new Set(nodes.map(({ name }) => name)),
});

/** Index of the group that a name or uuid names; without one the only group that has nodes, or a sentence. */
export function chooseGroup(
  cluster: Cluster,
  wanted: string | undefined,
  { emptyAllowed = false }: { emptyAllowed?: boolean } = {},
): number {
  const used = new Set(cluster.nodes.map((node) => node.group));
  const filled = cluster.groups.flatMap((_group, g) => (used.has(g) ? [g] : []));
  const names = filled.map((g) => cluster.groups[g]!.name).join(', ');
  if (wanted !== undefined) {
    const index = cluster.groups.findIndex((group) => group.name === wanted || group.uuid === wanted);
    if (index < 0) throw new UserError('not-found', `no node group ${wanted}; there is: ${names}`);
    if (!emptyAllowed && !used.has(index))
      throw new UserError('not-found', `node group ${wanted} has no nodes; there is: ${names}`);
    return index;
  }
  if (filled.length === 1) return filled[0]!;
  throw new UserError(
    'not-found',
    filled.length === 0
      ? 'the cluster has no node'
      : `the cluster has several node groups; choose one with -G: ${names}`,
  );
}

/** Full names for names or their unique prefixes that end at a dot; unknown ones make a sentence. */
export function fullNames(short: readonly string[], all: readonly string[], kind: string): Set<string> {
  const known = new Set(all);
  const full = new Set<string>();
  for (const name of short) {
    const matches = known.has(name) ? [name] : all.filter((other) => other.startsWith(`${name}.`));
    if (matches.length !== 1)
      throw new UserError(
        'not-found',
        `${matches.length === 0 ? 'no' : 'more than one'} ${kind} is named ${name}; give its full name`,
      );
    full.add(matches[0]!);
  }
  return full;
}

/** Refuses two sources of one thing at once. */
export function refuseTwoSources(given: Record<string, string | undefined>, code: ErrorCode = 'usage'): void {
  const named = Object.entries(given).filter(([, value]) => value !== undefined);
  if (named.length > 1)
    throw new UserError(code, `${named.map(([flag]) => flag).join(' and ')} exclude each other: give one`);
}
