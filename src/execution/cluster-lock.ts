import { closeSync, fsyncSync, openSync, readFileSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { z } from 'zod';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { makeFolders } from '../store/folders.js';

/**
 * One execution at a time on a cluster, by a file beside the store. A file whose process is gone is taken over: the
 * process is known by its number and, where the system tells, by when it was started, since numbers are used again.
 */

const ownerSchema = z.object({ pid: z.int().positive(), host: z.string(), started: z.string().optional() });
type Owner = z.infer<typeof ownerSchema>;

/** Who looks after a process; a test hands in another one. */
export interface Processes {
  pid: number;
  host: string;
  /** When a process was started, as the system counts it; undefined where it is gone, `unknown` where it does not tell. */
  startOf(pid: number): string | undefined;
}

const ourProcesses: Processes = {
  pid: process.pid,
  host: hostname(),
  startOf(pid) {
    try {
      process.kill(pid, 0);
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ESRCH') return undefined;
    }
    try {
      // The 3rd field is the state, the 22nd the start; the second may hold blanks and brackets.
      const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      // Ended, but its parent has not asked how: in a container without an init nobody ever does.
      if (fields[0] === 'Z') return undefined;
      return fields[19] ?? 'unknown';
    } catch {
      return 'unknown';
    }
  },
};

/** Who takes over a file of a process that is gone holds this beside it, for a few milliseconds. */
const TAKEOVER_ENDING = '.takeover';
const STALE_TAKEOVER_MS = 10_000;

/** Takes the lock; returns what gives it back. @throws UserError `not-carried-out` when another execution has it. */
export function lockCluster(
  path: string,
  { processes = ourProcesses, now = Date.now }: { processes?: Processes; now?: () => number } = {},
): () => void {
  const { pid, host } = processes;
  const started = processes.startOf(pid);
  const own: Owner = { pid, host, ...(started === undefined ? {} : { started }) };
  const text = `${JSON.stringify(own)}\n`;
  try {
    makeFolders(dirname(path));
    if (!create(path, text)) takeOver(path, text, processes, now);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(
      'cannot-write',
      `${systemErrorSentence(error, path)}; the lock of the cluster stands beside the store and must be writable`,
    );
  }
  return () => {
    if (read(path) === text) unlinkSync(path);
  };
}

function takeOver(path: string, text: string, processes: Processes, now: () => number): void {
  const guard = `${path}${TAKEOVER_ENDING}`;
  const guardMs = statSync(guard, { throwIfNoEntry: false })?.mtimeMs;
  if (guardMs !== undefined && now() - guardMs > STALE_TAKEOVER_MS) unlinkSync(guard);
  if (!create(guard, text)) throw taken(path, undefined);
  try {
    const found = read(path);
    if (found !== undefined) {
      if (!isLeftBehind(path, found, processes, now)) throw taken(path, ownerOf(found));
      unlinkSync(path);
    }
    if (!create(path, text)) throw taken(path, undefined);
  } finally {
    unlinkSync(guard);
  }
}

/** Whether somebody has the lock; takes nothing and changes nothing. */
export function isLocked(
  path: string,
  { processes = ourProcesses, now = Date.now }: { processes?: Processes; now?: () => number } = {},
): boolean {
  const found = read(path);
  return found !== undefined && !isLeftBehind(path, found, processes, now);
}

function isLeftBehind(path: string, found: string, processes: Processes, now: () => number): boolean {
  const owner = ownerOf(found);
  return owner === undefined ? isBrokenOff(path, found, now) : isGone(owner, processes);
}

/** True when whoever took the lock was killed before its one line stood there, which takes milliseconds. */
function isBrokenOff(path: string, found: string, now: () => number): boolean {
  return !found.endsWith('\n') && now() - statSync(path).mtimeMs > STALE_TAKEOVER_MS;
}

function isGone(owner: Owner, processes: Processes): boolean {
  if (owner.host !== processes.host) return false; // nobody here can tell
  const started = processes.startOf(owner.pid);
  if (started === undefined) return true;
  return owner.started !== undefined && started !== 'unknown' && started !== owner.started;
}

const taken = (path: string, owner: Owner | undefined): UserError =>
  new UserError(
    'not-carried-out',
    `another execution on this cluster is under way${
      owner === undefined ? '' : ` (process ${owner.pid} on ${owner.host})`
    }; wait for its end, or if there is none, remove ${path}`,
  );

/** False when it is there already. */
function create(path: string, text: string): boolean {
  let file: number;
  try {
    file = openSync(path, 'wx', 0o600);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'EEXIST') return false;
    throw error;
  }
  try {
    writeSync(file, text);
    fsyncSync(file);
  } catch (error) {
    unlinkSync(path); // a full disk: half a lock would hold everybody off
    throw error;
  } finally {
    closeSync(file);
  }
  return true;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
    throw error;
  }
}

function ownerOf(text: string): Owner | undefined {
  try {
    return ownerSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
