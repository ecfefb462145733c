import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { QUANTILE_NAMES } from '../../src/domain/prediction.js';
import { main } from '../../src/main.js';
import { runCommand } from './run-command.js';

const LAB = ['--link-samples', 'data/qemu-lab/link-samples.csv', '--from', '2026-11-22T11:58:30Z'];
const DAY = ['--cluster', 'lab-s3-day', ...LAB];

const run = (...args: string[]) =>
  runCommand(['forecast', ...args], { now: () => Date.UTC(2026, 10, 22, 12) });

interface Answer {
  basis: string;
  series: string;
  samples: number;
  capacity_mbps: number | null;
  last_sample_at: string;
  forecasts: {
    at: string;
    throughput_mbps: Record<string, number>;
    available_mbps: Record<string, number> | null;
  }[];
}

describe('movecast forecast', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'movecast-forecast-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('prints the coming hours with bands for a person', async () => {
    const { code, out, err } = await run('node-a', ...DAY, '--hours', '2');
    expect(err).toBe('');
    expect(code).toBe(0);
    expect(out).toContain('node-a in cluster lab-s3-day, capacity 1000 Mbit/s');
    expect(out).toContain('From 145 samples of this link');
    expect(out).toMatch(/p50 [▁▂▃▄▅▆▇█]{24}\n/);
    expect(out).toMatch(/\n2026-11-22 12:03 +\d/);
  });

  it('shows the step that it takes by itself in the words that it is given in', async () => {
    expect((await run('--help')).out).toMatch(/30s, 5m, 1h \(default:\s+5m\)/);
  });

  it('gives programs every step with ordered quantiles of what flows and what is left', async () => {
    const { code, out } = await run('node-a:egress', ...DAY, '--hours', '6', '--step', '30m', '--json');
    expect(code).toBe(0);
    const answer = JSON.parse(out) as Answer;
    expect(answer).toMatchObject({
      basis: 'link',
      series: 'node-a:egress',
      samples: 145,
      capacity_mbps: 1000,
    });
    expect(answer.forecasts).toHaveLength(12);
    expect(answer.forecasts[0]!.at).toBe('2026-11-22T12:28:30.000Z');
    for (const { throughput_mbps: traffic, available_mbps: available } of answer.forecasts) {
      expect(Object.keys(traffic)).toEqual([...QUANTILE_NAMES]);
      const values = QUANTILE_NAMES.map((name) => traffic[name]!);
      expect(values).toEqual([...values].sort((a, b) => a - b));
      expect(available!['p50']).toBeCloseTo(Math.max(0, 1000 - traffic['p50']!), 2);
    }
  });

  it('looks at nothing after --from', async () => {
    const early = ['--link-samples', 'data/qemu-lab/link-samples.csv', '--from', '2026-11-22T11:40:00Z'];
    const { out } = await run('node-a', '--cluster', 'lab-s3-day', ...early, '--json');
    const answer = JSON.parse(out) as Answer;
    expect(answer.samples).toBeLessThan(40);
    expect(Date.parse(answer.last_sample_at)).toBeLessThan(Date.parse('2026-11-22T11:40:00Z'));
  });

  it('names what it falls back to', async () => {
    expect((await run('node-a>node-b', ...DAY)).out).toContain(
      'of its source node (node-a:egress), as none are of node-a>node-b',
    );
    expect((await run('x>y', ...DAY)).out).toContain('of links of the whole cluster, as none are of x>y');
  });

  it('says how old the samples are', async () => {
    const old = ['--link-samples', 'data/qemu-lab/link-samples.csv', '--from', '2026-11-25T12:00:00Z'];
    expect((await run('node-a', '--cluster', 'lab-s3-day', ...old)).err).toMatch(/is 3 days old/);
    expect((await run('node-a', '--cluster', 'lab-s3-day', ...old, '--quiet')).err).toBe('');
  });

  it.each([
    ['a store that is not there', 1, ['node-a'], /there is no store; movecast collect makes one/],
    [
      'a link of several clusters',
      2,
      ['node-a', ...LAB],
      /node-a:egress is in clusters .*choose one with --cluster/,
    ],
    [
      'a cluster without samples',
      2,
      ['node-a', '--cluster', 'nowhere', ...LAB],
      /no samples of cluster nowhere/,
    ],
    ['what is no link', 2, ['a>b>c', ...DAY], /names no link/],
    [
      'an empty name, before it looks for samples',
      2,
      [''],
      /^movecast: an empty name names no link; write \S/,
    ],
    ['too many steps', 2, ['node-a', ...DAY, '--hours', '300', '--step', '1s'], /1 to 10080/],
    ['a wrong span', 2, ['node-a', ...DAY, '--step', 'soon'], /30s, 5m or 1h/],
    ['hours without end', 2, ['node-a', ...DAY, '--hours', '1e9'], /up to 336/],
    ['a file that is not there', 2, ['node-a', '--link-samples', 'none.csv'], /none\.csv: no such file/],
  ])('answers %s with one sentence', async (_name, exitCode, args, words) => {
    const { code, out, err } = await run(...args, '--store', `sqlite:${join(folder, 'store.db')}`);
    expect(out).toBe('');
    expect(err).toMatch(words);
    expect(err.trim().split('\n')).toHaveLength(1);
    expect(code).toBe(exitCode);
  });

  it('reads the store, and what finished moves tell of a link that nobody monitors', async () => {
    const file = join(folder, 'samples.jsonl');
    const lines = Array.from({ length: 30 }, (_, i) =>
      JSON.stringify({
        at: new Date(Date.UTC(2026, 10, 22, 9, i * 5)).toISOString(),
        link: 'a>b:moves',
        throughput_mbps: 700 + i,
      }),
    );
    writeFileSync(file, `${lines.join('\n')}\n`);
    const store = ['--store', `sqlite:${join(folder, 'moves.db')}`];
    const stdout = new PassThrough();
    const context = {
      stdin: new PassThrough(),
      stdout,
      stderr: new PassThrough(),
      env: {},
      now: () => Date.UTC(2026, 10, 22, 12),
    };
    expect(await main(['collect', 'link-samples', file, ...store], context)).toBe(0);
    const { code, out } = await run('a>b', ...store);
    expect(code).toBe(0);
    expect(out).toContain('From 30 samples by finished moves of this link');
    expect(out).toContain('capacity not known');
  });
});
