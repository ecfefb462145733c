import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cluster } from '../balancer/cluster.js';
import { clusterFromRapi } from '../balancer/rapi-cluster.js';
import { UserError } from '../domain/errors.js';
import { RapiClient, type RapiClientOptions } from '../ganeti/rapi-client.js';
import { readJsonFile } from './file-input.js';

/**
 * The cluster as Ganeti's remote API describes it: `https://[USER:PASSWORD@]MASTER[:5080]`, or `file:///DIR` with the
 * replies as groups.json, nodes.json, instances.json and info.json. Without a password, a CA or a pin the certificate
 * is not verified, as in hbal, since Ganeti's is self-signed and nothing secret is sent; with one it is.
 */
export async function readRapiCluster(
  address: string,
  staticKvmNodeMemory: number,
  options: RapiClientOptions = {},
): Promise<Cluster> {
  if (address.startsWith('file:')) {
    const folder = folderOf(address);
    const read = (name: string): Promise<unknown> => readJsonFile(join(folder, `${name}.json`));
    return clusterFromRapi(
      {
        groups: await read('groups'),
        nodes: await read('nodes'),
        instances: await read('instances'),
        info: await read('info'),
      },
      { address: folder, staticKvmNodeMemory },
    );
  }
  const client = new RapiClient(address, { verifyAlways: false, ...options });
  try {
    return clusterFromRapi(await client.clusterReplies(), { address: client.address, staticKvmNodeMemory });
  } finally {
    client.close();
  }
}

function folderOf(address: string): string {
  try {
    return fileURLToPath(address);
  } catch {
    throw new UserError('usage', `${address} names no folder; give one such as file:///var/tmp/replies`);
  }
}
