import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A real InfluxDB 1.x on loopback with a folder of its own that goes with it. */
export interface InfluxServer {
  readonly port: number;
  readonly pid: number;
  /** `influx://127.0.0.1:PORT/DATABASE`. */
  url(database: string, credentials?: string): string;
  /** Kills the server as a power cut would. Its data stay. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data. */
  start(): Promise<void>;
  /** Ends the server and removes its data. */
  remove(): Promise<void>;
}

const READY_WITHIN_MS = 120_000;
const ASK_EVERY_MS = 25;
/** Between finding a port free and taking it, somebody else may have taken it. */
const MOST_TRIES = 3;

class EndedAtOnce extends Error {
  constructor() {
    super('influxd ended at once');
  }
}

/** Ports that nobody listens on at this moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.on('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Starts `influxd` and waits until it answers. `settings` are further environment variables of its configuration. */
export async function startInflux(settings: Record<string, string> = {}): Promise<InfluxServer> {
  let [port, controlPort] = (await freePorts(2)) as [number, number];
  const folder = mkdtempSync(join(tmpdir(), 'movecast-influx-'));
  let running: ChildProcess | undefined;

  const ended = (child: ChildProcess): Promise<void> =>
    child.exitCode !== null || child.signalCode !== null
      ? Promise.resolve()
      : new Promise((resolve) => child.once('exit', () => resolve()));

  const start = async (): Promise<void> => {
    const child = spawn('influxd', ['run', '-config', '/dev/null'], {
      stdio: 'ignore',
      env: {
        PATH: process.env['PATH'] ?? '/usr/bin:/bin',
        INFLUXDB_REPORTING_DISABLED: 'true',
        INFLUXDB_BIND_ADDRESS: `127.0.0.1:${controlPort}`,
        INFLUXDB_META_DIR: join(folder, 'meta'),
        INFLUXDB_DATA_DIR: join(folder, 'data'),
        INFLUXDB_DATA_WAL_DIR: join(folder, 'wal'),
        INFLUXDB_DATA_INDEX_VERSION: 'tsi1',
        INFLUXDB_HTTP_BIND_ADDRESS: `127.0.0.1:${port}`,
        INFLUXDB_HTTP_LOG_ENABLED: 'false',
        INFLUXDB_DATA_QUERY_LOG_ENABLED: 'false',
        INFLUXDB_MONITOR_STORE_ENABLED: 'false',
        INFLUXDB_LOGGING_LEVEL: 'error',
        ...settings,
      },
    });
    running = child;
    const deadline = Date.now() + READY_WITHIN_MS;
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null) throw new EndedAtOnce();
      try {
        const answer = await fetch(`http://127.0.0.1:${port}/ping`);
        if (answer.status === 204) return;
      } catch {
        // not yet
      }
      if (Date.now() > deadline) {
        child.kill('SIGKILL');
        throw new Error(`influxd did not answer within ${READY_WITHIN_MS} ms`);
      }
      await sleep(ASK_EVERY_MS);
    }
  };
  const kill = async (): Promise<void> => {
    const child = running;
    if (child === undefined) return;
    running = undefined;
    child.kill('SIGKILL');
    await ended(child);
  };
  for (let tries = 1; ; tries++) {
    try {
      await start();
      break;
    } catch (error) {
      if (tries === MOST_TRIES || !(error instanceof EndedAtOnce)) throw error;
      [port, controlPort] = (await freePorts(2)) as [number, number];
    }
  }
  return {
    port,
    get pid() {
      return running?.pid ?? 0;
    },
    url: (database, credentials) =>
      `influx://${credentials === undefined ? '' : `${credentials}@`}127.0.0.1:${port}/${database}`,
    kill,
    start,
    remove: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
