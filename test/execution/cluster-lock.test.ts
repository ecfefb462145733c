import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { isLocked, lockCluster, type Processes } from '../../src/execution/cluster-lock.js';

let folder = '';
let path = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'movecast-lock-'));
  path = join(folder, 'below', 'cluster.lock');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A machine on which the given processes run, each with when it was started. */
const machine = (pid: number, running: Record<number, string>, host = 'a'): Processes => ({
  pid,
  host,
  startOf: (other) => running[other],
});

describe('the lock of a cluster', () => {
  it('is held by one process at a time, and free after it', () => {
    const running = { 1: 't1', 2: 't2' };
    const unlock = lockCluster(path, { processes: machine(1, running) });
    expect(() => lockCluster(path, { processes: machine(2, running) })).toThrow(
      /under way \(process 1 on a\)/,
    );
    unlock();
    expect(existsSync(path)).toBe(false);
    lockCluster(path, { processes: machine(2, running) })();
  });

  it('is taken over from a process that is gone, also where its number was given to another', () => {
    lockCluster(path, { processes: machine(1, { 1: 't1' }) });
    lockCluster(path, { processes: machine(2, { 2: 't2' }) });
    expect(readFileSync(path, 'utf8')).toContain('"pid":2');
    lockCluster(path, { processes: machine(3, { 2: 'later', 3: 't3' }) });
    expect(readFileSync(path, 'utf8')).toContain('"pid":3');
  });

  it('is taken over from a process that has ended, though its parent never asked how', async () => {
    // The parent becomes a program that has no idea of the child before that one ends.
    const script = 'exec 3<&0; cat <&3 & echo $!; exec sleep 60';
    const parent = spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'ignore'] });
    const stat = (pid: number): string[] => readFileSync(`/proc/${pid}/stat`, 'utf8').split(/ \(|\) | /);
    try {
      const [pid = 0] = (await once(parent.stdout, 'data')).map((line) => Number(String(line)));
      while (stat(parent.pid!)[1] !== 'sleep') await setImmediate();
      parent.stdin.end();
      while (stat(pid)[2] !== 'Z') await setImmediate();
      mkdirSync(dirname(path));
      writeFileSync(path, `${JSON.stringify({ pid, host: hostname(), started: stat(pid)[21] })}\n`);
      lockCluster(path)();
      expect(existsSync(path)).toBe(false);
    } finally {
      parent.kill();
    }
  });

  it('is never taken over from another machine, whose processes nobody here knows', () => {
    lockCluster(path, { processes: machine(1, { 1: 't1' }, 'a') });
    expect(() => lockCluster(path, { processes: machine(2, { 2: 't2' }, 'b') })).toThrow(
      /remove .*cluster\.lock/,
    );
  });

  it('can be asked for without being taken', () => {
    const running = { 1: 't1' };
    expect(isLocked(path, { processes: machine(2, running) })).toBe(false);
    expect(existsSync(dirname(path))).toBe(false);
    lockCluster(path, { processes: machine(1, running) });
    expect(isLocked(path, { processes: machine(2, running) })).toBe(true);
    expect(isLocked(path, { processes: machine(2, {}) })).toBe(false);
    expect(readFileSync(path, 'utf8')).toContain('"pid":1');
  });

  it('is given back only by whom it belongs to', () => {
    const unlock = lockCluster(path, { processes: machine(1, { 1: 't1' }) });
    lockCluster(path, { processes: machine(2, { 2: 't2' }) });
    unlock();
    expect(readFileSync(path, 'utf8')).toContain('"pid":2');
  });

  it('is not taken over by two at once, and a takeover that broke off is forgotten', () => {
    lockCluster(path, { processes: machine(1, { 1: 't1' }) });
    const guard = `${path}.takeover`;
    writeFileSync(guard, '');
    const next = { processes: machine(2, { 2: 't2' }) };
    expect(() => lockCluster(path, next)).toThrow(/under way/);
    utimesSync(guard, 1, 1);
    lockCluster(path, next);
    expect(existsSync(guard)).toBe(false);
  });

  it('that broke off before its line was written is forgotten after a while, one of something else never', () => {
    const next = { processes: machine(2, { 2: 't2' }) };
    mkdirSync(dirname(path));
    writeFileSync(path, '{"pid":1,');
    expect(() => lockCluster(path, next)).toThrow(/under way/);
    utimesSync(path, 1, 1);
    lockCluster(path, next)();
    writeFileSync(path, 'not a lock\n');
    utimesSync(path, 1, 1);
    expect(() => lockCluster(path, next)).toThrow(/under way/);
    expect(readFileSync(path, 'utf8')).toBe('not a lock\n');
  });

  it('knows its own process, and only its owner may read it', () => {
    const unlock = lockCluster(path);
    expect(() => lockCluster(path)).toThrow(`process ${process.pid}`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    unlock();
  });
});
