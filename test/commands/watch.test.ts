import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { watchCommand, type BalanceRun, type RunBalance } from '../../src/commands/watch.js';
import { UserError } from '../../src/domain/errors.js';
import type { Clock } from '../../src/ganeti/clock.js';

const root = mkdtempSync(join(tmpdir(), 'movecast-watch-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(root, 'case-'));
});

const PLAN = {
  score_before: 10.5,
  score_after: 2.25,
  duration_seconds: { p50: 100, p90: 160 },
  moves: [{}, {}, {}],
};
const END = { event: 'end', outcome: 'done', why: 'all moves are made', score: 2.25 };

/** Time that passes when someone sleeps; the watch gets SIGTERM, as from systemd, when it is over. */
class NightClock implements Clock {
  constructor(
    private nowMs: number,
    private readonly endMs: number,
  ) {}
  now(): number {
    return this.nowMs;
  }
  async sleep(milliseconds: number): Promise<void> {
    this.nowMs += milliseconds;
    if (this.nowMs >= this.endMs) process.emit('SIGTERM', 'SIGTERM');
  }
  deadline(): never {
    throw new Error('not used here');
  }
}

interface Night {
  args?: string[];
  env?: Record<string, string>;
  balance?: (args: readonly string[]) => Partial<BalanceRun> & { lines?: unknown[] };
  from?: string;
  to?: string;
}

async function night({
  args = [],
  env = {},
  balance = (words) => ({ lines: words.includes('--execute') ? [END] : [PLAN] }),
  from = '2026-07-01T00:30:00Z',
  to = '2026-07-01T04:00:00Z',
}: Night): Promise<{
  events: Record<string, unknown>[];
  runs: string[][];
  err: string;
  out: string;
  error: unknown;
}> {
  const runs: string[][] = [];
  const runBalance: RunBalance = async (words, variables, onLine) => {
    runs.push([...words]);
    expect(variables['MOVECAST_STORE']).toMatch(/^sqlite:/);
    const { lines = [], code = 0, words: said = '' } = balance(words);
    for (const line of lines) onLine(JSON.stringify(line));
    return { code, words: said };
  };
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  let out = '';
  let err = '';
  stdout.on('data', (chunk) => (out += String(chunk)));
  stderr.on('data', (chunk) => (err += String(chunk)));
  const context = { stdin: new PassThrough(), stdout, stderr, env, now: Date.now };
  const command = watchCommand(context, {
    runBalance,
    clock: new NightClock(Date.parse(from), Date.parse(to)),
  })
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  let error: unknown;
  await command.parseAsync(args, { from: 'user' }).catch((thrown: unknown) => (error = thrown));
  const events = out
    .split('\n')
    .filter((line) => line.startsWith('{"level"'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { events, runs, err, out, error };
}

const MASTER = 'https://master.example.com:5080';
const store = (): string => `sqlite:${join(folder, 'moves.db')}`;
const nightly = (...more: string[]): string[] => [
  MASTER,
  '--window',
  '01:00-03:00',
  '--store',
  store(),
  ...more,
];
const executing = (...more: string[]): string[] => {
  const credentials = join(folder, 'rapi.user');
  writeFileSync(credentials, 'movecast:secret\n', { mode: 0o600 });
  return nightly('--execute', '--credentials', credentials, ...more);
};
const statePath = (): string => join(folder, 'moves.master.example.com-5080.watch.json');
const named = (events: Record<string, unknown>[]): unknown[] => events.map(({ event }) => event);

describe('movecast watch', () => {
  it('only reports unless it is told to execute, in JSON lines with their times', async () => {
    const { events, runs, err } = await night({ args: nightly() });
    expect(named(events)).toEqual([
      'watch-started',
      'waiting',
      'slot-due',
      'plan',
      'would-execute',
      'waiting',
      'watch-ended',
    ]);
    expect(events[4]).toEqual({
      level: 'info',
      time: '2026-07-01T01:00:00.000Z',
      event: 'would-execute',
      cluster: MASTER,
      slot: '2026-07-01T01:00',
      moves: 3,
      score_before: 10.5,
      score_after: 2.25,
      duration_seconds: { p50: 100, p90: 160 },
    });
    expect(events.at(-1)).toMatchObject({ reason: 'SIGTERM' });
    expect(runs).toHaveLength(1);
    expect(runs[0]).toEqual(expect.arrayContaining(['--finish-by', '2026-07-01T03:00:00.000Z']));
    expect(err).toMatch(/plans are only reported/);
  });

  it('executes with --execute, within the window, and passes the news on', async () => {
    const { events, runs } = await night({
      args: executing('--max-gain-cost', '2', '--balance-options', '--no-disk-moves -l 20'),
    });
    expect(named(events).slice(3)).toEqual([
      'plan',
      'execution-started',
      'execution',
      'execution-ended',
      'waiting',
      'watch-ended',
    ]);
    expect(events[5]).toMatchObject({ execution: END });
    const [plan, execution] = runs;
    expect(plan).toEqual(expect.arrayContaining(['--max-gain-cost', '2', '--no-disk-moves', '-l', '20']));
    expect(plan).not.toContain('--execute');
    expect(execution).toEqual([...plan!, '--execute', '--yes', '--min-plan-gain', '0.1']);
    expect(JSON.parse(readFileSync(statePath(), 'utf8'))).toMatchObject({
      phase: 'ended',
      had: ['2026-07-01T01:00'],
      last: { outcome: 'executed', score_before: 10.5, score_after: 2.25, moves: 3 },
      next: { slot: '2026-07-02T01:00', at: '2026-07-02T01:00:00.000Z' },
    });
    expect(existsSync(`${statePath()}.lock`)).toBe(false);
  });

  it('says why an execution stopped', async () => {
    const stopped = { ...END, outcome: 'stopped', why: 'the queue is drained', score: 7 };
    const { events } = await night({
      args: executing(),
      balance: (words) => (words.includes('--execute') ? { lines: [stopped], code: 1 } : { lines: [PLAN] }),
    });
    expect(events.find(({ event }) => event === 'execution-ended')).toMatchObject({
      outcome: 'stopped',
      reason: 'the queue is drained',
      score_after: 7,
    });
  });

  it('tries again within the window while another execution holds the cluster', async () => {
    const held = 'another execution on this cluster is under way (process 7 on admin1); wait for its end';
    let executions = 0;
    const { events } = await night({
      args: executing(),
      balance: (words) => {
        if (!words.includes('--execute')) return { lines: [PLAN] };
        return ++executions < 3 ? { code: 1, words: held } : { lines: [END] };
      },
    });
    const tried = ['plan', 'execution-started', 'execution-ended', 'retry'];
    const done = ['plan', 'execution-started', 'execution', 'execution-ended', 'waiting', 'watch-ended'];
    expect(named(events).slice(3)).toEqual([...tried, ...tried, ...done]);
    expect(events[5]).toMatchObject({ outcome: 'not-begun', reason: held });
    expect(events[6]).toMatchObject({ level: 'warn', reason: held, at: '2026-07-01T01:01:00.000Z' });
    expect(JSON.parse(readFileSync(statePath(), 'utf8'))).toMatchObject({
      had: ['2026-07-01T01:00'],
      last: { outcome: 'executed' },
    });
  });

  it('says in its status what held it until the window was over', async () => {
    const held = 'another execution on this cluster is under way';
    const { events } = await night({
      args: executing(),
      balance: (words) => (words.includes('--execute') ? { code: 1, words: held } : { lines: [PLAN] }),
    });
    expect(events.find(({ event }) => event === 'window-over')).toMatchObject({ reason: held });
    const { out } = await night({ args: [MASTER, '--store', store(), '--status'] });
    expect(out).toContain(`2026-07-01T01:00: window-over (${held})`);
  });

  it('does not begin anew an execution that broke off after its beginning', async () => {
    let executions = 0;
    const { events } = await night({
      args: executing(),
      balance: (words) => {
        if (!words.includes('--execute')) return { lines: [PLAN] };
        executions++;
        return { lines: [{ event: 'begin' }], code: null, words: 'killed' };
      },
    });
    expect(executions).toBe(1);
    expect(events.find(({ event }) => event === 'execution-ended')).toMatchObject({ outcome: 'stopped' });
  });

  it('tries again while the cluster does not answer, and not when the command is wrong', async () => {
    const away = await night({
      args: nightly(),
      balance: () => ({ code: 1, words: 'master does not answer' }),
    });
    expect(away.events.filter(({ event }) => event === 'retry')[0]).toMatchObject({
      level: 'warn',
      reason: 'master does not answer',
      at: '2026-07-01T01:01:00.000Z',
    });
    const wrong = await night({
      args: nightly('--state', join(folder, 'x.json')),
      balance: () => ({ code: 2, words: 'no node group x' }),
    });
    expect(wrong.runs).toHaveLength(1);
    expect(wrong.events.find(({ event }) => event === 'slot-failed')).toMatchObject({
      reason: 'no node group x',
    });
  });

  it('takes its settings from flags before the environment before the file', async () => {
    const file = join(folder, 'movecast.json');
    writeFileSync(
      file,
      JSON.stringify({
        store: store(),
        port: 9000,
        watch: { master: MASTER, window: ['22:00-23:00'], days: 'mon', min_gain: 5, execute: true },
      }),
    );
    const { events } = await night({
      args: ['--config', file, '--window', '01:00-03:00', '--dry-run'],
      env: {
        MOVECAST_WATCH_DAYS: 'wed',
        MOVECAST_WATCH_WINDOW: '12:00-13:00',
        MOVECAST_WATCH_TIME_ZONE: 'UTC',
      },
    });
    expect(events[0]).toMatchObject({
      event: 'watch-started',
      cluster: MASTER,
      execute: false,
      window: ['01:00-03:00'],
      days: 'wed',
      min_gain: 5,
      time_zone: 'UTC',
    });
  });

  it('has a status for an operator', async () => {
    const none = await night({ args: [MASTER, '--store', store(), '--status'] });
    expect((none.error as UserError).message).toMatch(
      /no watch on https:\/\/master\.example\.com:5080 has run/,
    );
    await night({ args: executing() });
    const { out } = await night({ args: [MASTER, '--store', store(), '--status'] });
    expect(out).toBe(
      [
        'cluster  https://master.example.com:5080',
        'now      not running; ended at 2026-07-01T04:00:00.000Z',
        'last     2026-07-01T01:00: executed, 3 moves, score 10.5000 -> 2.2500',
        '',
      ].join('\n'),
    );
    const { out: json } = await night({ args: [MASTER, '--store', store(), '--status', '--json'] });
    expect(JSON.parse(json)).toMatchObject({ running: false, phase: 'ended', last: { outcome: 'executed' } });
  });

  it('runs once on a cluster', async () => {
    writeFileSync(`${statePath()}.lock`, JSON.stringify({ pid: 1, host: 'another-machine' }));
    const { error, runs } = await night({ args: executing() });
    expect((error as UserError).message).toMatch(/another watch is on this cluster already/);
    expect(runs).toEqual([]);
  });

  it('does not begin a slot anew after a restart', async () => {
    await night({ args: executing(), to: '2026-07-01T01:10:00Z' });
    const { runs } = await night({
      args: executing(),
      from: '2026-07-01T01:30:00Z',
      to: '2026-07-01T02:30:00Z',
    });
    expect(runs).toEqual([]);
  });

  it('refuses at once, not at night, credentials that others may read', async () => {
    const args = executing();
    chmodSync(join(folder, 'rapi.user'), 0o644);
    const { error, events } = await night({ args });
    expect((error as UserError).message).toMatch(/others may read or change this file/);
    expect(events).toEqual([]);
  });

  it.each<[string, string[], RegExp]>([
    ['an execution without a user', nightly0('--execute'), /needs a user with the right to write/],
    ['credentials that are not there', nightly0('--credentials', 'none'), /none: no such file/],
    ['an authority that is not there', nightly0('--ca', 'none'), /none: no such file/],
    ['a fingerprint that is none', nightly0('--pin-sha256', 'ab:cd'), /64 hexadecimal digits/],
    ['no window', [MASTER], /no window is given.*--window 01:00-05:00/],
    ['no cluster', ['--window', '01:00-03:00'], /no cluster given/],
    ['a file', ['cluster.data', '--window', '01:00-03:00'], /a file does not change/],
    ['a window of one time', [MASTER, '--window', '01:00'], /^--window must be windows such as/],
    ['an unknown zone', nightly0('--time-zone', 'Mars/Base'), /^--time-zone must be a time zone/],
    ['days that are none', nightly0('--days', 'someday'), /^--days must be days/],
    ['a start outside of windows', nightly0('--at', '06:00'), /--at 06:00 lies in no window/],
    ['two kinds of start', nightly0('--at', '02:00', '--every', '6h'), /exclude each other/],
    ['too many starts', nightly0('--every', '10s'), /^--every must be a time of 15m or more/],
    ['a gain below zero', nightly0('--min-gain', '-1'), /^--min-gain must be a number from 0 up/],
    [
      'a password for everyone to see',
      ['https://me:hunter2@master:5080', '--window', '01:00-03:00'],
      /seen by everyone on this machine; give it in a file/,
    ],
    ['both modes', nightly0('--execute', '--dry-run'), /exclude each other/],
    ['options that are its own', nightly0('--balance-options', '--yes'), /--yes is watch's own/],
    [
      'options that are its own in one word with others',
      nightly0('--balance-options', '-l 3 -vCscript'),
      /-vCscript is watch's own/,
    ],
    [
      'an option that balance refuses',
      nightly0('--balance-options', '--quantile 5'),
      /--balance-options: .*from 0\.1 to 0\.9/,
    ],
    [
      'an option that balance does not have',
      nightly0('--balance-options', '--nosuch'),
      /--balance-options: unknown option/,
    ],
  ])('refuses %s with a sentence', async (_case, args, words) => {
    const { error, runs } = await night({ args });
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toMatch(words);
    expect(runs).toEqual([]);
  });
});

function nightly0(...more: string[]): string[] {
  return [MASTER, '--window', '01:00-03:00', ...more];
}
