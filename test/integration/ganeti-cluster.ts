import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { requireOrSkip } from './real-servers.js';

/** What a program printed, and its exit code. */
export interface Printed {
  stdout: string;
  stderr: string;
  code: number | null;
}

/** A real Ganeti cluster of virtual nodes in namespaces of its own, which go with this process however it ends. */
export interface GanetiCluster {
  /** Of its remote API, from inside its network only. */
  readonly address: string;
  /** Runs one of Ganeti's own programs on the master and gives what it printed; a failure throws. */
  onMaster(...command: string[]): string;
  /** The text of a file of the cluster. */
  read(path: string): string;
  /** Runs a program of this machine in the cluster's network. */
  run(command: readonly string[], options?: { cwd?: string }): Promise<Printed>;
  /** The same, still running. */
  start(command: readonly string[], options?: { cwd?: string }): ChildProcess;
  stop(): Promise<void>;
}

const SCRIPT = 'test/integration/ganeti-cluster.sh';
/** Virtual nodes inside, as the script names them. */
export const MASTER = '/srv/cluster/node1';
export const QUEUE = `${MASTER}/var/lib/ganeti/queue`;

/** True where a virtual cluster can be started, else false with a remark, or an error where nothing may be left out. */
export function requireGaneti(): boolean {
  const installed = ['gnt-cluster', 'hbal', 'fping', 'sshd', 'tools/vcluster-setup'].every(requireOrSkip);
  if (!installed) return false;
  if (process.getuid?.() === 0) return true;
  const words = 'tests with a real Ganeti need root, for its namespaces';
  if (process.env['MOVECAST_REQUIRE_ALL'] === '1') throw new Error(words);
  process.stderr.write(`left out: ${words}\n`);
  return false;
}

/** Starts a cluster; some 30 s on an idle machine. */
export async function startGaneti(size: { nodes?: number; instances?: number } = {}): Promise<GanetiCluster> {
  const holder = spawn('bash', [SCRIPT, 'hold'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      ...(size.nodes === undefined ? {} : { MOVECAST_GANETI_NODES: String(size.nodes) }),
      ...(size.instances === undefined ? {} : { MOVECAST_GANETI_INSTANCES: String(size.instances) }),
    },
  });
  let said = '';
  holder.stderr.on('data', (chunk: Buffer) => (said += String(chunk)));
  const ended = once(holder, 'exit');
  const lines = createInterface({ input: holder.stdout })[Symbol.asyncIterator]();
  const pid = /^holder (\d+)$/.exec(String((await lines.next()).value))?.[1];
  const ready: unknown = (await lines.next()).value;
  if (pid === undefined || ready !== 'ready')
    throw new Error(`the virtual cluster did not start: ${said || String(ready)}`);

  const space = (name: string): string => `/proc/${pid}/ns/${name}`;
  const everything = [
    `--pid=${space('pid_for_children')}`,
    `--mount=${space('mnt')}`,
    `--uts=${space('uts')}`,
  ];
  const network = `--net=${space('net')}`;
  const inside = (command: readonly string[]): string => {
    const { stdout, stderr, status } = spawnSync('nsenter', [network, ...everything, ...command], {
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    });
    if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}: ${stderr}${stdout}`);
    return stdout;
  };
  const start = (command: readonly string[], { cwd }: { cwd?: string } = {}): ChildProcess =>
    spawn('nsenter', [network, ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(cwd === undefined ? {} : { cwd }),
    });
  return {
    address: 'https://192.0.2.10:5080',
    onMaster: (...command) => inside([`${MASTER}/cmd`, ...command]),
    read: (path) => inside(['cat', path]),
    start,
    run: async (command, options = {}) => {
      const child = start(command, options);
      const printed: Printed = { stdout: '', stderr: '', code: null };
      child.stdout!.on('data', (chunk: Buffer) => (printed.stdout += String(chunk)));
      child.stderr!.on('data', (chunk: Buffer) => (printed.stderr += String(chunk)));
      [printed.code] = (await once(child, 'close')) as [number | null];
      return printed;
    },
    stop: async () => {
      holder.stdin.end();
      await ended;
    },
  };
}
