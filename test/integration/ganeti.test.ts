import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MoveRecord } from '../../src/domain/move-record.js';
import { BundledProgram } from './bundled-program.js';
import { QUEUE, requireGaneti, startGaneti, type GanetiCluster, type Printed } from './ganeti-cluster.js';

interface WatchEvent {
  event: string;
  /** What the execution tells. */
  execution?: {
    event: string;
    score?: number;
    plan?: { score_after: number; moves: { instance: string; to: { primary: string } }[] };
  };
  score_before?: number;
  outcome?: string;
  reason?: string;
}

const MODELS = ['--models', join(process.cwd(), 'models')];

/** Against a real Ganeti: what it says, what it does with our moves, and what its job queue tells of them afterwards. */

(requireGaneti() ? describe : describe.skip)('a real Ganeti cluster', () => {
  let cluster: GanetiCluster;
  let folder = '';
  let program: BundledProgram;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'movecast-ganeti-'));
    const built = BundledProgram.build();
    cluster = await startGaneti();
    program = await built;
    for (const name of ['rapi-ca.pem', 'reader', 'balancer'])
      writeFileSync(join(folder, name), cluster.read(`/srv/${name}`), { mode: 0o600 });
  });
  afterAll(async () => {
    await cluster?.stop();
    rmSync(folder, { recursive: true, force: true });
    program?.remove();
  });

  const movecast = (...args: string[]): Promise<Printed> =>
    cluster.run([process.execPath, program.path, ...args], { cwd: folder });
  /** The score that the real hbal gives the cluster as it is now. */
  const hbalScore = (): string => /Initial score: (\S+)/.exec(cluster.onMaster('hbal', '-L'))?.[1] ?? 'none';
  const collect = (...args: string[]): Promise<Printed> => collectInto('moves.db', ...args);
  const collectInto = (store: string, ...args: string[]): Promise<Printed> =>
    movecast('collect', ...args, '--store', `sqlite:${store}`);
  const balance = (...args: string[]): Promise<Printed> =>
    movecast('balance', cluster.address, '--effort', '0.2', ...args, ...MODELS);
  /** Carries a plan out as a user, with a store. */
  const execute = (user: string, store: string): Promise<Printed> =>
    balance('--execute', '--yes', '--store', `sqlite:${store}`, ...access(user));
  const access = (user: string): string[] => ['--ca', 'rapi-ca.pem', '--credentials', user];
  /** Where each instance runs, as Ganeti says. */
  const places = (): Record<string, string> =>
    Object.fromEntries(
      cluster
        .onMaster('gnt-instance', 'list', '--no-headers', '--separator=:', '-o', 'name,pnode')
        .trim()
        .split('\n')
        .map((line) => line.split(':') as [string, string]),
    );
  const records = (file: string): MoveRecord[] =>
    readFileSync(join(folder, file), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as MoveRecord);

  /** Two windows, since nothing begins in the last minute of one. */
  const ALWAYS_OPEN = '00:00-24:00,12:00-11:59';
  /** A watch whose window is open; told to end once an event has come. */
  const watchUntil = async (
    isLast: (event: WatchEvent) => boolean,
    ...args: string[]
  ): Promise<WatchEvent[]> => {
    const options = `--window ${ALWAYS_OPEN} --store sqlite:watch.db --balance-options`.split(' ');
    const watch = cluster.start(
      [
        process.execPath,
        program.path,
        'watch',
        cluster.address,
        ...options,
        '--effort 0.2',
        ...args,
        ...MODELS,
      ],
      { cwd: folder },
    );
    const ended = once(watch, 'close') as Promise<[number | null]>;
    const events: WatchEvent[] = [];
    let words = '';
    let isTold = false;
    watch.stderr!.on('data', (chunk: Buffer) => (words += String(chunk)));
    for await (const line of createInterface({ input: watch.stdout! })) {
      const event = JSON.parse(line) as WatchEvent;
      events.push(event);
      // Once only: a second signal ends it at once, and several moves may start together.
      if (!isTold && (isLast(event) || event.event === 'retry')) isTold = watch.kill('SIGTERM');
    }
    expect(words).toMatch(/^movecast: watching [^\n]+\n$/); // no other complaint
    expect(await ended).toEqual([0, null]);
    return events;
  };
  const named = (events: WatchEvent[]): string[] => events.map(({ event }) => event);

  it('is read over its remote API with the score, and balanced with the words, of the real hbal', async () => {
    const theirs = cluster.onMaster('hbal', '-m', cluster.address);
    const ours = await movecast('balance', cluster.address, '--blind');
    expect(ours.stderr).toBe('');
    expect(ours.stdout).toBe(theirs);
  });

  it('gets a plan whose end is better than its start, from the score that hbal sees', async () => {
    const { stdout } = await balance('--json', '--quiet');
    const plan = JSON.parse(stdout) as { score_before: number; score_after: number; moves: unknown[] };
    expect(plan.score_before.toFixed(8)).toBe(hbalScore());
    expect(plan.score_after).toBeLessThan(plan.score_before / 2);
    expect(plan.moves.length).toBeGreaterThan(0);
  });

  it('has moves of its own in the queue, which are found with their places, sizes and times', async () => {
    const before = places();
    cluster.onMaster('gnt-instance', 'migrate', '-f', '-n', 'node3', 'instance1');
    cluster.onMaster('gnt-instance', 'failover', '-f', '-n', 'node4', 'instance2');
    const { stdout, stderr } = await collect('ganeti-rapi', cluster.address, ...access('reader'));
    expect(stderr).toBe('');
    expect(stdout).toBe('read 2: 2 new, 0 known, 0 rejected\n');
    await collect('ganeti-rapi', cluster.address, ...access('reader'), '--out', 'rapi.jsonl');
    const [migration, failover] = records('rapi.jsonl');
    expect(migration).toMatchObject({
      instance: 'instance1',
      operation: 'live_migration',
      source_node: before['instance1'],
      target_node: 'node3',
      memory_mib: 1024,
      status: 'completed',
    });
    expect(failover).toMatchObject({
      instance: 'instance2',
      operation: 'failover',
      source_node: before['instance2'],
      target_node: 'node4',
    });
    const [jobId] = cluster
      .onMaster('gnt-job', 'list', '--no-headers', '-o', 'id')
      .trim()
      .split('\n')
      .slice(-2);
    const job = JSON.parse(cluster.read(`${QUEUE}/job-${jobId}`)) as {
      ops: { exec_timestamp: [number, number]; end_timestamp: [number, number] }[];
    };
    const {
      exec_timestamp: [from, fromMicros],
      end_timestamp: [to, toMicros],
    } = job.ops[0]!;
    expect(migration!.duration_seconds).toBeCloseTo(to - from + (toMicros - fromMicros) / 1e6, 3);
  });

  it('tells the same of its moves by the files of its queue', async () => {
    mkdirSync(join(folder, 'queue'), { recursive: true });
    for (const name of cluster
      .onMaster('ls', QUEUE)
      .trim()
      .split('\n')
      .filter((file) => /^job-\d+$/.test(file)))
      writeFileSync(join(folder, 'queue', name), cluster.read(`${QUEUE}/${name}`));
    const { stdout } = await collect('ganeti-jobs', 'queue');
    expect(stdout).toBe('read 2: 0 new, 2 known, 0 rejected\n');
  });

  it('is not believed without its certificate, and refuses a wrong password with words', async () => {
    const unknown = await collect('ganeti-rapi', cluster.address, '--credentials', 'reader');
    expect(unknown).toMatchObject({ code: 1, stdout: '' });
    expect(unknown.stderr).toMatch(/certificate is not trusted: .*--ca/);
    writeFileSync(join(folder, 'stranger'), 'reader:wrong\n', { mode: 0o600 });
    const stranger = await collect('ganeti-rapi', cluster.address, ...access('stranger'));
    expect(stranger.stdout).toBe('');
    expect(stranger.stderr).toMatch(/^movecast: https:\/\/192\.0\.2\.10:5080: refuses the user/);
    expect(stranger.stderr).not.toContain('wrong');
    expect(stranger.code).not.toBe(0);
  });

  it('is not changed by a user who may only read, and says so', async () => {
    const before = places();
    const { code, stderr } = await execute('reader', 'refused.db');
    expect(stderr).toMatch(/^movecast: .*refuses the user .* the right as --credentials FILE/m);
    expect(code).toBe(1);
    expect(places()).toEqual(before);
  });

  it('is reported on by a watch that may not execute, which ends when it is told to', async () => {
    const before = places();
    const events = await watchUntil(({ event }) => event === 'would-execute', ...access('reader'));
    expect(named(events)).toEqual(
      expect.arrayContaining(['watch-started', 'slot-due', 'plan', 'would-execute', 'watch-ended']),
    );
    expect(named(events)).not.toContain('execution-started');
    expect(events.find(({ event }) => event === 'plan')!.score_before!.toFixed(8)).toBe(hbalScore());
    expect(places()).toEqual(before);
  });

  it('is left with no job under way by a watch that is told to end amid its moves', async () => {
    const events = await watchUntil(
      ({ execution }) => execution?.event === 'start',
      '--execute',
      '--state',
      'stopped.json',
      ...access('balancer'),
    );
    expect(events.find(({ event }) => event === 'execution-ended')).toMatchObject({ outcome: 'stopped' });
    expect(events.at(-1)).toMatchObject({ event: 'watch-ended', reason: 'SIGTERM' });
    const states = cluster.onMaster('gnt-job', 'list', '--no-headers', '-o', 'status').trim().split('\n');
    expect(new Set(states)).toEqual(new Set(['success']));
  });

  it('is balanced by a watch to the end that the plan foretold, and the queue tells of the same moves', async () => {
    const before = hbalScore();
    const events = await watchUntil(
      ({ event }) => event === 'execution-ended',
      '--execute',
      '--state',
      'whole.json',
      ...access('balancer'),
    );
    expect(events.find(({ event }) => event === 'execution-ended')).toMatchObject({ outcome: 'executed' });
    const { plan } = events.findLast(({ execution }) => execution?.event === 'plan')!.execution!;
    const planned = plan!.moves.map(({ instance, to }) => [instance, to.primary] as const);
    // The cluster is where the plan ends, by its own word and by the real hbal's.
    expect(places()).toMatchObject(Object.fromEntries(planned));
    const { score } = events.findLast(({ execution }) => execution?.event === 'end')!.execution!;
    expect(hbalScore()).toBe(score!.toFixed(8));
    expect(score).toBeLessThan(Number(before));
    // A plan made anew amid moves (the machine is slow, say) counts memory that is on two nodes just then.
    expect(Math.abs(plan!.score_after - score!)).toBeLessThan(0.05);
    // Every move went into the store as it ended: to the queue only the two from before are new.
    const { stdout } = await collectInto('watch.db', 'ganeti-rapi', cluster.address, ...access('reader'));
    expect(stdout).toMatch(/^read \d+: 2 new, \d+ known, 0 rejected\n$/);
    await collect('ganeti-rapi', cluster.address, ...access('reader'), '--out', 'after.jsonl');
    const found = records('after.jsonl').slice(-planned.length);
    expect(new Set(found.map(({ instance, target_node }) => `${instance} ${target_node}`))).toEqual(
      new Set(planned.map(([instance, node]) => `${instance} ${node}`)),
    );
  });

  it('is left alone once it is balanced', async () => {
    const jobs = (): string => cluster.onMaster('gnt-job', 'list', '--no-headers', '-o', 'id');
    const before = jobs();
    const events = await watchUntil(
      ({ event }) => event === 'skipped' || event === 'execution-started',
      '--execute',
      '--state',
      'again.json',
      ...access('balancer'),
    );
    expect(named(events)).not.toContain('execution-started');
    expect(jobs()).toBe(before);
  });

  it('leaves nothing behind', async () => {
    const brief = await startGaneti({ nodes: 1, instances: 0 });
    const { stdout: inside } = await brief.run(['readlink', '/proc/self/ns/net']);
    const namespaces = (): string =>
      execFileSync('lsns', ['--noheadings', '--output', 'NS', '--type', 'net'], { encoding: 'utf8' });
    const number = /\d+/.exec(inside)![0];
    expect(namespaces()).toContain(number);
    await brief.stop();
    expect(namespaces()).not.toContain(number);
  });
});
