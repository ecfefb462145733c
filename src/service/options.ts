import { fileURLToPath } from 'node:url';
import type { Token } from './tokens.js';

/** Limits of the service. Each has a reason; the command line and a test may set others. */
export interface ServiceOptions {
  /** Who may call; undefined: everyone who reaches the address. */
  tokens: readonly Token[] | undefined;
  /** Answer only to a Host header that names this machine: stops web pages that rebind their name to the loopback address. */
  loopbackHostOnly: boolean;
  /** Largest body after decompression, in bytes. 10,000 requests with every field set are about 6 MB. */
  bodyLimitBytes: number;
  /** Requests a second for each client; about two thirds of what one event loop answers one by one. */
  requestsPerSecond: number;
  /** Requests answered at the same time; one more waits at the caller. */
  concurrentRequests: number;
  /** Longest time for one request, in milliseconds. */
  timeoutMs: number;
  /** Folder of the dashboard's page. */
  pageFolder: string;
}

export const defaultServiceOptions: Readonly<ServiceOptions> = {
  tokens: undefined,
  loopbackHostOnly: false,
  bodyLimitBytes: 10 * 2 ** 20,
  requestsPerSecond: 20_000,
  concurrentRequests: 256,
  timeoutMs: 30_000,
  pageFolder: fileURLToPath(new URL('dashboard/page/', import.meta.url)),
};

/** Most requests in one batch, as the contract says. */
export const MOST_REQUESTS = 10_000;
/** Most instance–node pairs in one call of move-costs: 10,000 instances to 100 nodes. */
export const MOST_PAIRS = 1_000_000;
/** Most target nodes and instances in one call. */
export const MOST_NODES = 10_000;
/** Work done between two looks at the event loop, in predictions: a few milliseconds. */
export const SLICE = 250;
