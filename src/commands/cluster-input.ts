import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import type { Cluster } from '../balancer/cluster.js';
import { parseHtoolsText, type HtoolsTextOptions, type ParsedCluster } from '../balancer/htools-text.js';
import { systemErrorSentence, UserError } from '../domain/errors.js';

/** A text file's content; a gzip file is unpacked. Throws a sentence that names the file. */
export async function readTextFile(path: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new UserError('input-unreadable', systemErrorSentence(error, path));
  }
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.toString('utf8');
  try {
    return gunzipSync(bytes).toString('utf8');
  } catch {
    throw new UserError('input-unreadable', `${path}: looks like a gzip file but cannot be unpacked`);
  }
}

/** Parsed JSON of a file. Throws a sentence that names the file. */
export async function readJsonFile(path: string): Promise<unknown> {
  const text = await readTextFile(path);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UserError('input-unreadable', `${path}: is not JSON (${(error as Error).message})`);
  }
}

/** The cluster of an htools text file. */
export async function readCluster(
  path: string,
  duplicates: HtoolsTextOptions['duplicates'],
): Promise<ParsedCluster> {
  return parseHtoolsText(await readTextFile(path), { file: path, duplicates });
}

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
