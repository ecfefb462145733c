import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Context } from '../../src/commands/context.js';
import { executionEventSchema } from '../../src/execution/execution-events.js';
import { main } from '../../src/main.js';
import { openStore } from '../../src/store/open-store.js';
import type { KeptPrediction } from '../../src/store/store.js';
import { FakeRapi, READER, WRITER } from '../ganeti/fake-rapi.js';
import { crookedCluster } from '../ganeti/small-cluster.js';

let folder = '';
let cluster = crookedCluster();
let server = new FakeRapi(cluster);
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'movecast-execute-'));
  writeFileSync(join(folder, 'writer'), WRITER, { mode: 0o600 });
  writeFileSync(join(folder, 'reader'), READER, { mode: 0o600 });
  writeFileSync(
    join(folder, 'costs.json'),
    JSON.stringify({
      live_migration: { fixed_seconds: 4, mib_per_second: 200 },
      disk_replication: { fixed_seconds: 10, mib_per_second: 60 },
    }),
  );
  cluster = crookedCluster();
  server = new FakeRapi(cluster);
  await server.start();
});
afterEach(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

interface Ran {
  code: number;
  out: string;
  err: string;
}

/** Runs the program; `answer` is typed at a terminal, undefined: there is none. */
async function run(args: string[], answer?: string): Promise<Ran> {
  const stdin = Object.assign(new PassThrough(), { isTTY: answer !== undefined });
  const stdout = new PassThrough();
  const stderr = Object.assign(new PassThrough(), { isTTY: answer !== undefined, columns: 100, rows: 30 });
  stdin.end(answer);
  let out = '';
  let err = '';
  stdout.on('data', (part: Buffer) => (out += part.toString()));
  stderr.on('data', (part: Buffer) => (err += part.toString()));
  const context: Context = {
    stdin,
    stdout,
    stderr,
    env: {},
    now: () => cluster.clock.now(),
    clock: cluster.clock,
  };
  const code = await main(args, context);
  return { code, out, err };
}
const balance = (...more: string[]): string[] => [
  'balance',
  server.url,
  '--costs',
  join(folder, 'costs.json'),
  '--store',
  `sqlite:${join(folder, 'moves.db')}`,
  '--effort',
  '0.01',
  ...more,
];
const execute = (...more: string[]): string[] =>
  balance('--execute', '--credentials', join(folder, 'writer'), ...more);
const withModel = (...more: string[]): string[] => [
  'balance',
  server.url,
  '--model',
  'default',
  '--store',
  `sqlite:${join(folder, 'moves.db')}`,
  '--effort',
  '0.01',
  '--credentials',
  join(folder, 'writer'),
  ...more,
];
const changes = (): string[] => server.asked.filter((asked) => /^(POST|PUT \/2\/inst|DELETE)/.test(asked));

describe('balance --execute', () => {
  it('carries the plan out, one event a line, and collect knows every move of it', async () => {
    const { code, out, err } = await run(execute('--yes', '--json'));
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const events = out
      .trim()
      .split('\n')
      .map((line) => executionEventSchema.parse(JSON.parse(line)));
    const end = events.at(-1)!;
    expect(end).toMatchObject({ event: 'end', outcome: 'done', failed: 0, left: 0 });
    const steps = events.filter(({ event }) => event === 'step').length;
    expect(steps).toBeGreaterThan(2);
    const collected = await run([
      'collect',
      'ganeti-rapi',
      server.url,
      '--credentials',
      join(folder, 'reader'),
      '--store',
      `sqlite:${join(folder, 'moves.db')}`,
      '--json',
    ]);
    expect(JSON.parse(collected.out.trim().split('\n').at(-1)!)).toMatchObject({ new: 0, known: steps });
    expect(existsSync(join(folder, 'moves.cluster.example.org.lock'))).toBe(false);
    expect(readFileSync(join(folder, 'moves.cluster.example.org.audit.jsonl'), 'utf8')).toContain('"intent"');
  });

  it('keeps what the model predicted for each move, so that accuracy shows them', async () => {
    const store = `sqlite:${join(folder, 'moves.db')}`;
    const { code, out, err } = await run(withModel('--execute', '--yes', '--json'));
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const events = out
      .trim()
      .split('\n')
      .map((line) => executionEventSchema.parse(JSON.parse(line)));
    const steps = events.filter(({ event }) => event === 'step').length;
    const plans = events.flatMap((event) => (event.event === 'plan' ? [event.plan] : []));
    const accuracy = await run(['accuracy', '--store', store, '--window', 'all', '--by', 'model', '--json']);
    const { version } = plans[0]!.model!;
    expect(JSON.parse(accuracy.out)).toMatchObject({
      moves: steps,
      scored_moves: steps,
      groups: [{ key: `default@${version}`, figures: { moves: steps } }],
    });
    // Given out before each move started, and the very figures of the plan.
    const db = await openStore(store);
    const kept = new Map<string, KeptPrediction>();
    for await (const item of db.keptPredictions()) kept.set(item.move_id, item);
    for await (const record of db.moves()) {
      const { predicted_at, prediction } = kept.get(record.id)!;
      expect(Date.parse(predicted_at)).toBeLessThanOrEqual(Date.parse(record.started_at));
      const planned = plans
        .flatMap(({ moves }) => moves)
        .filter(({ instance }) => instance === record.instance)
        .flatMap((move) => move.steps)
        .map(({ duration_seconds }) => duration_seconds.p50);
      expect(planned).toContainEqual(Number(prediction.duration_seconds.p50.toFixed(3)));
    }
    await db.close();
  });

  it('asks at a terminal, draws a chart that fills, and removes it again', async () => {
    const { code, err, out } = await run(execute(), 'y\n');
    expect(code).toBe(0);
    expect(err).toMatch(/Carry out these \d+ moves on cluster cluster\.example\.org/);
    expect(err).toMatch(/n\d \|[ >-]*#/);
    expect(err).toContain('\u001b[J');
    expect(out).toContain('the plan is carried out.');
  });

  it.each([
    ['n\n', 1],
    ['\n', 1],
    ['', 1],
  ])('changes nothing when the answer is %j', async (answer, wanted) => {
    const { code, err } = await run(execute(), answer);
    expect(code).toBe(wanted);
    expect(err).toContain('nothing was changed');
    expect(changes()).toEqual([]);
  });

  it.each([
    ['no terminal and no --yes', () => execute(), 'add --yes'],
    ['no user', () => balance('--execute', '--yes'), '--credentials FILE'],
    ['--blind', () => execute('--yes', '--blind'), 'exclude each other'],
    ['--min-plan-gain alone', () => balance('--min-plan-gain', '1'), 'goes with --execute'],
    ['a least gain below 0', () => execute('--yes', '--min-plan-gain', '-1'), '--min-plan-gain'],
    ['an endless least gain', () => execute('--yes', '--min-plan-gain', 'Infinity'), '--min-plan-gain'],
    ['--yes alone', () => balance('--yes'), 'goes with --execute'],
    [
      'a file',
      () => ['balance', join(folder, 'costs.json'), '--execute', '--yes'],
      "needs a cluster's remote API",
    ],
  ])('refuses %s before it asks the cluster anything', async (_case, args, words) => {
    const { code, err } = await run(args());
    expect(code).toBe(2);
    expect(err).toContain(words);
    expect(server.asked).toEqual([]);
  });

  it('stops with 1 and a sentence where the user may not write', async () => {
    const { code, err } = await run(
      balance('--execute', '--yes', '--credentials', join(folder, 'reader'), '--quiet'),
    );
    expect(code).toBe(1);
    expect(err).toMatch(/^movecast: the job of \S+ is not taken: .*has the right/);
    expect(cluster.jobs).toEqual([]);
  });

  it('changes nothing without --execute', async () => {
    const { code, out } = await run(balance('--credentials', join(folder, 'writer')));
    expect(code).toBe(0);
    expect(out).toContain('Score ');
    expect(changes()).toEqual([]);
  });

  it('changes nothing for a plan that gains less than --min-plan-gain', async () => {
    const { code, err } = await run(execute('--yes', '--min-plan-gain', '1000'));
    expect(code).toBe(1);
    expect(err).toMatch(/movecast: the plan gains \d\S* of score, less than 1000; nothing was changed/);
    expect(changes()).toEqual([]);
  });

  it('judges a new plan by --min-plan-gain too', async () => {
    // With all but one move failing, little is left to gain for a second plan.
    const usual = cluster.outcomeOf;
    cluster.outcomeOf = (job) => (cluster.jobs.length > 2 ? { kind: 'failure', seconds: 1 } : usual(job));
    const plan = JSON.parse((await run(balance('--json'))).out) as {
      score_before: number;
      score_after: number;
    };
    const whole = plan.score_before - plan.score_after;
    const { code, out } = await run(execute('--yes', '--json', '--min-plan-gain', String(whole * 0.9)));
    expect(code).toBe(1);
    const events = out
      .trim()
      .split('\n')
      .map((line) => executionEventSchema.parse(JSON.parse(line)));
    const plans = events.flatMap((event) => (event.event === 'plan' ? [event.plan] : []));
    for (const { score_before, score_after } of plans)
      expect(score_before - score_after).toBeGreaterThanOrEqual(whole * 0.9);
    expect(events.at(-1)).toMatchObject({
      outcome: 'stopped',
      why: expect.stringMatching(/failed .*a new plan is not worth its moves: the plan gains .* less than/),
    });
  });

  it('starts nothing that would end after --max-time', async () => {
    const { out } = await run(execute('--yes', '--json', '--max-time', '60s'));
    expect(JSON.parse(out.trim().split('\n').at(-1)!)).toMatchObject({ event: 'end' });
    const begin = Date.parse('2026-06-01T00:00:00Z');
    for (const job of cluster.jobs) expect(job.endMs! - begin).toBeLessThanOrEqual(60_000);
    expect(cluster.jobs.length).toBeGreaterThan(0);
  });
});
