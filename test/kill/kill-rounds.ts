import { spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '../../src/store/open-store.js';

/** A server that the rounds may kill as well. */
export interface KillableServer {
  kill(): Promise<void>;
  start(): Promise<void>;
}

export interface KillRoundsOptions {
  /** Path of the built program. */
  program: string;
  rounds: number;
  /** The store's URL; in `sqlite:PATH` the path is made in the rounds' own folder. */
  store: string;
  /** In every round of so many the server is killed beside the program, and started again. */
  server?: { server: KillableServer; everyRounds: number };
  /** New records in each round. */
  recordsARound: number;
  /** 0 to 1, uniform. */
  random: () => number;
  onRound?: (line: string) => void;
}

export interface KillRoundsResult {
  records: number;
  /** Rounds in which the program was killed while it ran; in the others it was done before. */
  killed: number;
  /** Of those, the ones that left some of the round's records in the store and not all: killed in the middle of writing. */
  killedWhileWriting: number;
  serverKills: number;
  rotations: number;
  /** Ids that the store lacks, holds twice, or should not hold. */
  missing: number;
  twice: number;
  foreign: number;
}

/** The log is rotated after every so many rounds. */
const ROTATED_EVERY = 7;

/**
 * A log grows by some records in each round and is collected with `--resume` (every third time with `--follow`) by a
 * program that is killed with SIGKILL at a random moment; afterwards it is collected to the end. The store should then
 * hold every record once.
 */
export async function killRounds(options: KillRoundsOptions): Promise<KillRoundsResult> {
  const { program, rounds, server, recordsARound, random } = options;
  const folder = mkdtempSync(join(tmpdir(), 'movecast-kill-'));
  const store = options.store.startsWith('sqlite:') ? `sqlite:${join(folder, 'moves.db')}` : options.store;
  const log = join(folder, 'moves.jsonl');
  const args = ['collect', 'records', log, '--store', store, '--json', '--resume'];
  const result: KillRoundsResult = {
    records: 0,
    killed: 0,
    killedWhileWriting: 0,
    serverKills: 0,
    rotations: 0,
    missing: 0,
    twice: 0,
    foreign: 0,
  };
  const grow = (): void => {
    appendFileSync(log, recordLines(result.records, recordsARound));
    result.records += recordsARound;
  };
  try {
    // How long a whole run takes on this machine, and one that has nothing to do: the kills fall in between.
    writeFileSync(log, '');
    grow();
    const fullMs = await ran(program, args, folder);
    let idleMs = await ran(program, args, folder);
    let msARecord = Math.max(0, fullMs - idleMs) / recordsARound;
    for (let round = 1; round <= rounds; round++) {
      grow();
      const before = await countMoves(store);
      const isFollowing = round % 3 === 0;
      const beganMs = performance.now();
      const child = start(program, isFollowing ? [...args, '--follow'] : args, folder);
      const exit = ended(child);
      const killsServer = server !== undefined && round % server.everyRounds === 0;
      const wanted = result.records - before;
      const neededMs = idleMs + msARecord * wanted;
      const killAtMs = 0.9 * idleMs + random() * (1.1 * neededMs - 0.9 * idleMs);
      const serverAtMs = killAtMs * random();
      const serverDown = killsServer ? sleep(serverAtMs).then(() => server.server.kill()) : Promise.resolve();
      await Promise.race([exit, sleep(killAtMs)]);
      const wasRunning = child.exitCode === null && child.signalCode === null;
      if (!wasRunning && !killsServer) {
        // Done before it could be killed: the machine is quicker than it was.
        const tookMs = performance.now() - beganMs;
        idleMs = Math.min(idleMs, 0.8 * tookMs);
        msARecord = (tookMs - idleMs) / wanted;
      }
      child.kill('SIGKILL');
      await exit;
      await serverDown;
      if (killsServer) {
        result.serverKills++;
        await server.server.start();
      }
      const added = (await countMoves(store)) - before;
      if (wasRunning) result.killed++;
      if (wasRunning && added > 0 && added < wanted) result.killedWhileWriting++;
      options.onRound?.(
        `round ${round}: ${wasRunning ? 'killed' : 'done'} after ${Math.round(killAtMs)} ms` +
          `${killsServer ? ', and the server' : ''}; ${added} of ${wanted} new records are in the store`,
      );
      if (round % ROTATED_EVERY === 0) {
        // What was left unread stands in the rotated file now; the older ones go one further.
        for (let number = result.rotations; number >= 1; number--)
          renameSync(`${log}.${number}`, `${log}.${number + 1}`);
        renameSync(log, `${log}.1`);
        writeFileSync(log, '');
        result.rotations++;
      }
    }
    await ran(program, args, folder);
    await check(store, result);
    return result;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lines of records with ids `kill-N`. */
function recordLines(first: number, count: number): string {
  let lines = '';
  for (let number = first; number < first + count; number++) {
    lines += `${JSON.stringify({
      id: `kill-${number}`,
      instance: `vm${number % 500}`,
      source_node: `node${number % 7}`,
      target_node: `node${(number % 7) + 1}`,
      operation: 'live_migration',
      started_at: new Date(Date.UTC(2026, 0, 1) + number * 1000).toISOString(),
      duration_seconds: 5 + (number % 100),
      memory_mib: 4096,
    })}\n`;
  }
  return lines;
}

const start = (program: string, args: readonly string[], cwd: string): ChildProcess =>
  spawn(process.execPath, [program, ...args], { cwd, stdio: ['ignore', 'ignore', 'pipe'] });

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => child.once('close', () => resolve()));

/** Runs to the end, which must be a good one; gives the milliseconds that it took. */
async function ran(program: string, args: readonly string[], cwd: string): Promise<number> {
  const beganMs = performance.now();
  const child = start(program, args, cwd);
  let words = '';
  child.stderr?.on('data', (chunk: Buffer) => (words += String(chunk)));
  await ended(child);
  if (child.exitCode !== 0) throw new Error(`collect ended with ${child.exitCode}: ${words}`);
  return performance.now() - beganMs;
}

async function countMoves(url: string): Promise<number> {
  const store = await openStore(url);
  const { moves } = await store.info();
  await store.close();
  return moves;
}

/** Holds what the store has against what was written. */
async function check(url: string, result: KillRoundsResult): Promise<void> {
  const seen = new Uint8Array(result.records);
  const store = await openStore(url);
  for await (const { id } of store.moves()) {
    const number = Number(/^kill-(\d+)$/.exec(id)?.[1] ?? NaN);
    if (!(number < result.records)) result.foreign++;
    else if (seen[number] === 0) seen[number] = 1;
    else result.twice++;
  }
  await store.close();
  for (const count of seen) if (count === 0) result.missing++;
}
