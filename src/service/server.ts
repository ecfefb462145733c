import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemErrorSentence, UserError } from '../domain/errors.js';

/** Time for the header of a request, and for a whole one, in milliseconds: a slow sender does not hold a connection for ever. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 60_000;
/** How often connections are held against these times; by itself Node looks only every half minute. */
const LOOK_AT_CONNECTIONS_MS = 1_000;
/** Longer than the idle time of usual load balancers, so that they close first. */
const KEEP_ALIVE_MS = 65_000;
/** Connections at the same time. */
const MOST_CONNECTIONS = 2_000;
/** After the word to stop, requests that are on their way still arrive for so long. */
const GRACE_MS = 200;
/** What is not answered by then is broken off. */
const DEADLINE_MS = 8_000;
const LOOK_MS = 50;

export interface RunningServer {
  /** Such as `http://127.0.0.1:8080`. */
  url: string;
  /** Answers what is in flight, then closes. Resolves within ten seconds. */
  stop(): Promise<void>;
}

/**
 * Listens. Port 0 takes a free one.
 *
 * @throws UserError `cannot-listen`
 */
export async function listen(app: RequestListener, host: string, port: number): Promise<RunningServer> {
  const server = createServer(
    {
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      connectionsCheckingInterval: LOOK_AT_CONNECTIONS_MS,
    },
    app,
  );
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.maxConnections = MOST_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new UserError(
          'cannot-listen',
          `${systemErrorSentence(error, `cannot listen on ${host}:${port}`)}; choose another with --host or --port`,
        ),
      );
    });
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  const shownHost = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return { url: `http://${shownHost}:${address.port}`, stop: () => stop(server) };
}

async function stop(server: Server): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, GRACE_MS));
  await new Promise<void>((resolve) => {
    const look = setInterval(() => server.closeIdleConnections(), LOOK_MS);
    const deadline = setTimeout(() => server.closeAllConnections(), DEADLINE_MS);
    server.close(() => {
      clearInterval(look);
      clearTimeout(deadline);
      resolve();
    });
  });
}
