import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cluster } from '../balancer/cluster.js';
import { clusterFromRapi } from '../balancer/rapi-cluster.js';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { readJsonFile } from './file-input.js';

/** hbal's own limit for a whole request. */
const REQUEST_TIMEOUT_MS = 60_000;
/** A bulk reply on some 50,000 instances. */
const LONGEST_REPLY_BYTES = 256 << 20;
const DEFAULT_PORT = '5080';

/**
 * The cluster as Ganeti's remote API describes it: `https://[USER:PASSWORD@]MASTER[:5080]`, or `file:///DIR` with the
 * replies as groups.json, nodes.json, instances.json and info.json. Without a password the certificate is not verified,
 * as in hbal, since Ganeti's is self-signed and nothing secret is sent; with one it is.
 */
export async function readRapiCluster(address: string, staticKvmNodeMemory: number): Promise<Cluster> {
  const url = parseAddress(address);
  if (url.protocol === 'file:') {
    const folder = fileURLToPath(url);
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
  const shown = `${url.protocol}//${url.host}`;
  const [groups, nodes, instances, info] = await Promise.all(
    ['/2/groups?bulk=1', '/2/nodes?bulk=1', '/2/instances?bulk=1', '/2/info'].map((path) =>
      getJson(url, path, shown),
    ),
  );
  return clusterFromRapi({ groups, nodes, instances, info }, { address: shown, staticKvmNodeMemory });
}

function parseAddress(address: string): URL {
  try {
    const url = new URL(/^(https?|file):/.test(address) ? address : `https://${address}`);
    if (url.protocol === 'https:' && url.port === '') url.port = DEFAULT_PORT;
    return url;
  } catch {
    throw new UserError(
      'usage',
      'the address of the cluster is no URL; give one such as https://master:5080',
    );
  }
}

function getJson(url: URL, path: string, shown: string): Promise<unknown> {
  const hasPassword = url.password !== '';
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void =>
      reject(new UserError('service-unavailable', systemErrorSentence(error, shown)));
    const request = (url.protocol === 'http:' ? httpRequest : httpsRequest)(
      new URL(path, url),
      {
        timeout: REQUEST_TIMEOUT_MS,
        rejectUnauthorized: hasPassword,
        ...(hasPassword
          ? { auth: `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}` }
          : {}),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > LONGEST_REPLY_BYTES) request.destroy(new Error(`its reply on ${path} is too long`));
          chunks.push(chunk);
        });
        response.on('error', fail);
        response.on('aborted', () => fail(new Error('the connection was broken off')));
        response.on('end', () => {
          if (response.statusCode !== 200) {
            fail(
              new Error(
                `answers ${response.statusCode} to ${path}; is the address that of a Ganeti remote API?`,
              ),
            );
            return;
          }
          try {
            resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
          } catch {
            fail(new Error(`answers ${path} with something that is not JSON`));
          }
        });
      },
    );
    request.on('timeout', () => request.destroy(new Error('does not answer within 60 s')));
    request.on('error', fail);
    request.end();
  });
}
