import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { secondsUntil } from '../../src/commands/time-limit.js';
import { processContext } from '../../src/commands/context.js';
import { planSchema, type Plan } from '../../src/domain/plan.js';
import { main } from '../../src/main.js';
import { generateCluster } from '../balancer/cluster-generator.js';
import { runCommand } from './run-command.js';

class Sink extends Writable {
  text = '';
  override _write(chunk: Buffer | string, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

let folder = '';
const file = (name: string, content: string | Buffer): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const run = async (...args: string[]): Promise<{ code: number; out: string; err: string }> => {
  const stdout = new Sink();
  const stderr = new Sink();
  const code = await main(args, { ...processContext(), stdout, stderr });
  return { code, out: stdout.text, err: stderr.text };
};
const TEXT = generateCluster({ seed: 3, nodes: 4, instancesPerNode: 4 });
let cluster = '';
let costs = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'movecast-balance-'));
  cluster = file('c.data', TEXT);
  costs = file('costs.json', JSON.stringify({ live_migration: { fixed_seconds: 8, mib_per_second: 100 } }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('movecast balance', () => {
  it('prints a plan for a person, with its commands when asked', async () => {
    const { code, out } = await run('balance', cluster, '--costs', costs, '-C', '-v', '--effort', '0.01');
    expect(code).toBe(0);
    expect(out).toMatch(/Score \d+\.\d{8} -> \d+\.\d{8} in \d+ moves/);
    expect(out).toContain('nine times of ten');
    expect(out).toContain('gnt-instance');
  });

  it("prints the contract's plan as JSON, draws it as SVG, and shows score against time", async () => {
    const svg = join(folder, 'plan.svg');
    const { code, out } = await run(
      'balance',
      cluster,
      '--costs',
      costs,
      '--json',
      '--pareto',
      '--svg',
      svg,
      '--effort',
      '0.01',
    );
    expect(code).toBe(0);
    const plan = JSON.parse(out) as Plan & { pareto: Pick<Plan, 'score_after' | 'duration_seconds'>[] };
    expect(planSchema.safeParse(plan).success).toBe(true);
    const points = plan.pareto.map(({ score_after, duration_seconds }) => [
      score_after,
      duration_seconds.p50,
    ]);
    expect(points.at(-1)).toEqual([plan.score_after, plan.duration_seconds.p50]);
    expect(points.length).toBeGreaterThan(3);
    for (const [at, point] of points.slice(1).entries()) expect(point[0]).toBeLessThan(points[at]![0]!);
    const shares = points.slice(0, -1).map((point) => point[1]! / plan.duration_seconds.p50);
    for (const [at, share] of shares.toReversed().entries())
      expect(share).toBeLessThanOrEqual([0.7, 0.4, 0.2, 0.1, 0.05][at]!);
    expect(readFileSync(svg, 'utf8')).toMatch(/^<svg /);
  });

  /** A plan as JSON; durations are of the costs file. The clock stands still at `NOW`. */
  const planned = async (...more: string[]): Promise<Plan & { pareto?: Plan[] }> => {
    const args = ['balance', cluster, '--costs', costs, '--json', '--effort', '0.01', ...more];
    const { code, out, err } = await runCommand(args, { now: () => Date.parse(NOW) });
    expect([code, err]).toEqual([0, '']);
    return JSON.parse(out) as Plan;
  };
  const NOW = '2026-11-23T22:00:00Z';

  it.each([
    [120, ['--max-time', '2m']],
    [120, ['--finish-by', '2026-11-23T22:02:00Z']],
    [120, ['--max-time', '2m', '--finish-by', '2026-11-24T06:00:00Z']],
    [120, ['--max-time', '8h', '--finish-by', '2026-11-23T22:02:00Z']],
  ])('keeps to the %d s of %j', async (seconds, options) => {
    const plan = await planned(...options);
    expect(plan.moves.length).toBeGreaterThan(0);
    expect(plan.duration_seconds.p50).toBeLessThanOrEqual(seconds);
    const whole = await planned();
    expect(whole.duration_seconds.p50).toBeGreaterThan(seconds);
    expect(whole.score_after).toBeLessThan(plan.score_after);
  });

  it('counts the time that the search takes as gone, by --finish-by', async () => {
    let looks = 0;
    // The search begins at 22:00:00 and is over at 22:01:10, as whoever looks at the clock after it sees.
    const now = (): number => Date.parse(NOW) + (looks++ < 2 ? 0 : 70_000);
    const args = ['balance', cluster, '--costs', costs, '--json', '--effort', '0.01'];
    const { code, out } = await runCommand([...args, '--finish-by', '2026-11-23T22:02:00Z'], { now });
    const plan = JSON.parse(out) as Plan;
    expect([code, plan.moves.length > 0]).toEqual([0, true]);
    expect(plan.duration_seconds.p50).toBeLessThanOrEqual(50);
  });

  it('goes on beyond the plan without a limit where there is time, and stops with it where there is just enough', async () => {
    const whole = await planned();
    const justEnough = await planned('--max-time', `${Math.ceil(whole.duration_seconds.p50)}s`);
    expect(justEnough.score_after).toBeLessThanOrEqual(whole.score_after + 1e-9);
    const hours = await planned('--max-time', '10h');
    expect(hours.score_after).toBeLessThanOrEqual(justEnough.score_after + 1e-9);
  });

  it('makes only moves that gain enough an hour, the points of --pareto too', async () => {
    const plain = await planned('--pareto');
    const perHour = ({ score_after, duration_seconds }: Plan): number =>
      ((plain.score_before - score_after) * 3600) / duration_seconds.p50;
    const least = 1.5 * perHour(plain.pareto!.at(-1)!);
    const asked = await planned('--pareto', '--max-gain-cost', String(least));
    expect(asked.moves.length).toBeGreaterThan(0);
    expect(asked.duration_seconds.p50).toBeLessThan(plain.duration_seconds.p50);
    for (const point of asked.pareto!) expect(perHour(point)).toBeGreaterThan(least);
    const tooMuch = await planned('--quiet', '--pareto', '--max-gain-cost', '1000000');
    expect([tooMuch.moves, tooMuch.pareto!.length]).toEqual([[], 1]);
    expect(tooMuch.warnings).toEqual([expect.stringContaining('an hour of moving')]);
  });

  it('counts with the durations of --quantile', async () => {
    const wide = file('wide.json', JSON.stringify({ spread: 4 }));
    const usual = await planned('--costs', wide, '--max-time', '4m');
    const careful = await planned('--costs', wide, '--max-time', '4m', '--quantile', '0.9');
    expect(careful.moves.length).toBeGreaterThan(0);
    // p90 is four times the median: what is to end in time by p90 ends in little more than a quarter of it by medians.
    expect(careful.duration_seconds.p50).toBeLessThan(0.6 * 240);
    expect(usual.duration_seconds.p50).toBeGreaterThan(0.6 * 240);
  });

  it.each([
    ['--max-time', '10h'],
    ['--max-gain-cost', '0.01'],
  ])('counts -e and -g beside %s %s', async (...limit) => {
    const any = await planned(...limit);
    const content = await planned(...limit, '-e', '5');
    expect(content.moves.length).toBeLessThan(any.moves.length);
    const large = await planned(...limit, '--quiet', '-g', '1000', '--min-gain-limit', '1000');
    expect(large.moves).toEqual([]);
    const atOnce = await planned(...limit, '-g', '1', '--min-gain-limit', '1000');
    expect(atOnce.moves.length).toBeLessThan(any.moves.length);
    expect(atOnce.moves.length).toBeGreaterThan(0);
  });

  it('says why nothing is moved, in the plan and as a remark', async () => {
    const plan = await planned('--quiet', '--max-time', '1s');
    expect(plan.moves).toEqual([]);
    expect(plan.warnings).toEqual([expect.stringMatching(/quickest move .+ takes .+ s, and there are 1/)]);
    const { err } = await run('balance', cluster, '--costs', costs, '--max-time', '1s', '--effort', '0.01');
    expect(err).toBe(`movecast: ${plan.warnings![0]}\n`);
  });

  it('reads a gzip file as well', async () => {
    const { code, out } = await run('balance', file('c.data.gz', gzipSync(TEXT)), '--blind', '-l', '1');
    expect([code, out.includes('Solution length=1')]).toEqual([0, true]);
  });

  it("takes hbal's options whose value is left out without swallowing the file's name", async () => {
    const { code, out } = await run('balance', '--blind', '-l', '1', '-C', cluster);
    expect([code, out.includes('Commands to run')]).toEqual([0, true]);
  });

  it('writes the commands as a script and the cluster before and after', async () => {
    const script = join(folder, 'moves.sh');
    const saved = join(folder, 'saved');
    const { code } = await run('balance', cluster, '--blind', `-C${script}`, '-S', saved);
    expect(code).toBe(0);
    expect(readFileSync(script, 'utf8')).toMatch(/^#!\/bin\/sh/);
    expect([existsSync(`${saved}.original`), existsSync(`${saved}.balanced`)]).toEqual([true, true]);
  });

  it.each([
    ['a file that is not there', ['balance', '/nosuch.data'], 2, '/nosuch.data: no such file'],
    ['no cluster at all', ['balance'], 2, 'no cluster given'],
    ['two sources of the cluster', ['balance', 'a', '-t', 'b'], 2, 'exclude each other'],
    ['a quantile above 0.9', ['balance', 'a', '--quantile', '0.95'], 2, 'from 0.1 to 0.9'],
    ['a quantile below 0.1', ['balance', 'a', '--quantile', '0'], 2, 'from 0.1 to 0.9'],
    ['a quantile that is none', ['balance', 'a', '--quantile', 'NaN'], 2, 'must be a number'],
    ['a gain below 0', ['balance', 'a', '--max-gain-cost', '-1'], 2, '0 or more'],
    ['an endless gain', ['balance', 'a', '--max-gain-cost', 'Infinity'], 2, '0 or more'],
    ['a gain that is none', ['balance', 'a', '--max-gain-cost', 'NaN'], 2, 'must be a number'],
    ['a time that is none', ['balance', 'a', '--max-time', 'soon'], 2, 'must be a time'],
    ['a service address that is none', ['balance', 'CLUSTER', '--service', 'here'], 2, 'is no URL'],
    ['a costs file that is not there', ['balance', 'CLUSTER', '--costs', '/nosuch.json'], 2, '/nosuch.json'],
    ['a model that is not there', ['balance', 'CLUSTER', '--model', 'nosuch'], 2, 'nosuch'],
    ['a blind run on a file that is not there', ['balance', '/nosuch.data', '--blind'], 1, '/nosuch.data'],
    ['a folder that cannot be written', ['balance', 'CLUSTER', '--blind', '-S', '/nosuch/x'], 1, '/nosuch/x'],
  ])('refuses %s in one sentence', async (_case, args, code, words) => {
    const answer = await run(...args.map((word) => (word === 'CLUSTER' ? cluster : word)));
    expect(answer.err).toContain(words);
    expect(answer.code).toBe(code);
    expect(answer.err).not.toMatch(/\n\s+at /);
  });

  describe('with the model in this process', () => {
    const nowMs = Date.parse('2026-06-01T00:00:00Z');
    const slow = Array.from({ length: 30 }, (_, i) => ({
      id: `m${i}`,
      cluster: 'prod',
      instance: `i${i}`,
      source_node: `n${i % 4}`,
      target_node: `n${(i + 1) % 4}`,
      operation: 'live_migration',
      started_at: new Date(nowMs - (31 - i) * 3_600_000).toISOString(),
      duration_seconds: 900,
      memory_mib: 2048,
    }));
    const byModel = async (...args: string[]): Promise<Plan & { err: string }> => {
      const words = ['balance', cluster, '--json', '--effort', '0.01', '--no-disk-moves', ...args];
      const { code, out, err } = await runCommand(words, { now: () => nowMs });
      expect(code).toBe(0);
      return { ...(JSON.parse(out) as Plan), err };
    };
    let store = '';
    beforeAll(async () => {
      store = `sqlite:${join(folder, 'history.db')}`;
      const records = file('slow.jsonl', slow.map((record) => `${JSON.stringify(record)}\n`).join(''));
      await run('collect', 'records', records, '--store', store);
    });

    it('goes by what the store holds of the cluster since the training', async () => {
      const [asTrained, other, known] = [
        await byModel('--store', `sqlite:${join(folder, 'none.db')}`),
        await byModel('--store', store, '--cluster', 'other'),
        await byModel('--store', store, '--cluster', 'prod'),
      ];
      const seconds = ({ moves, duration_seconds }: Plan): number => duration_seconds.p50 / moves.length;
      expect(seconds(known!)).toBeGreaterThan(3 * seconds(asTrained!));
      expect(seconds(known!)).toBeGreaterThan(2 * seconds(other!));
      expect(existsSync(join(folder, 'none.db'))).toBe(false);
      const price = ['price', cluster, file('known.json', JSON.stringify(known)), '--json', '--store', store];
      const priced = await runCommand([...price, '--cluster', 'prod'], { now: () => nowMs });
      expect((JSON.parse(priced.out) as Plan).duration_seconds.p50).toBeGreaterThan(
        0.5 * known!.duration_seconds.p50,
      );
    });

    it('says so where the store cannot be read, and plans all the same', async () => {
      const missing = await byModel('--store', `sqlite:${join(folder, 'none.db')}`);
      const damaged = await byModel(
        '--store',
        `sqlite:${file('damaged.db', 'no database at all'.repeat(100))}`,
      );
      for (const { warnings, err } of [missing, damaged]) {
        const sentence = expect.stringMatching(/^durations do not know what happened since the training: /);
        expect(warnings).toEqual([sentence]);
        expect(err).toContain('what happened since the training');
      }
      const { code, err } = await runCommand(['balance', cluster, '--store', 'nosuch:x']);
      expect([code, err]).toEqual([2, expect.stringContaining('is not the URL of a store')]);
    });
  });

  it.each([
    ['--max-time', '30m'],
    ['--finish-by', '06:00'],
    ['--max-gain-cost', '1'],
    ['--pareto'],
    ['--quantile', '0.9'],
    ['--effort', '2'],
    ['--parallel-per-node', '2'],
    ['--svg', 'plan.svg'],
  ])('refuses %s with --blind rather than dropping it', async (...option) => {
    const { code, out, err } = await run('balance', cluster, '--blind', ...option);
    expect([code, out, err]).toEqual([2, '', expect.stringMatching(/^movecast: --.+--blind.+\n$/)]);
  });

  it.each([
    [['-qC'], ['-q', '-C']],
    [['-vvCSCRIPT'], ['-v', '-v', '-CSCRIPT']],
    [
      ['-vl', '-1'],
      ['-v', '--max-length=-1'],
    ],
    [
      ['-ql1', '-pname'],
      ['-q', '-l', '1', '--print-nodes=name'],
    ],
    [
      ['-CSCRIPT', '-qEt', 'CLUSTER'],
      ['--print-commands=SCRIPT', '-q', '-E', '-t', 'CLUSTER'],
    ],
  ])('takes short flags in one word as hbal does: %s', async (joined, apart) => {
    const told = (words: string[]): ReturnType<typeof run> => {
      const args = words.map((word) =>
        word.replace('CLUSTER', cluster).replace('SCRIPT', join(folder, 'joined.sh')),
      );
      return run('balance', '--blind', ...args, ...(args.includes(cluster) ? [] : [cluster]));
    };
    const { code, out, err } = await told(apart);
    expect(code).toBe(0);
    expect(await told(joined)).toEqual({ code, out, err });
  });

  it('draws the schedule of a blind plan that is asked for as JSON', async () => {
    const svg = join(folder, 'blind.svg');
    const { code } = await run('balance', cluster, '--blind', '--json', '--costs', costs, '--svg', svg);
    expect([code, readFileSync(svg, 'utf8').slice(0, 5)]).toEqual([0, '<svg ']);
  });

  it.each([
    ['-L'],
    ['-I', 'spec.json'],
    ['-X'],
    ['--first-job-group'],
    ['--mond=yes'],
    ['--mond-data', 'mond.json'],
    ['--mond-xen'],
    ['--exit-on-missing-mond-data'],
  ])("refuses hbal's %s with what there is in its place", async (...option) => {
    const { code, err } = await run('balance', '--blind', '-t', cluster, ...option);
    expect([code, err]).toEqual([1, expect.stringContaining(option[0]!.replace(/=.*/, ''))]);
    expect(err).not.toContain('unknown option');
  });

  it.each([
    ['--min-disk', '-3'],
    ['--min-disk', '1.5'],
    ['-l', '-7'],
    ['--static-kvm-node-memory', '-1'],
    ['--max-cpu', '0'],
    ['--reason', 'because'],
  ])('takes no %s %s, which would mean nothing', async (...option) => {
    const { code, err } = await run('balance', cluster, '--costs', costs, ...option);
    expect([code, err]).toEqual([2, expect.stringContaining(option[0]!)]);
  });

  it.each([
    ['a node named twice', (text: string) => text.replace('node-002.example.com|', 'node-001.example.com|')],
    ['an instance on no known node', (text: string) => text.replace('|node-001.example.com|', '|node-999|')],
    ['a group without nodes', () => 'g|u|preferred||\n\n\n\ni|1|1|1|running|Y|n||ext||1\n\n'],
  ])('refuses %s with exit code 2', async (_case, change) => {
    const { code, err } = await run('balance', file('bad.data', change(TEXT)), '--costs', costs);
    expect([code, err.trim().split('\n').length]).toEqual([2, 1]);
  });

  /** Changes fields of rows of one section of the text: 1 nodes, 2 instances. */
  const changed = (section: 1 | 2, change: (fields: string[]) => string[]): string =>
    TEXT.split('\n\n')
      .map((part, s) =>
        s === section
          ? part
              .split('\n')
              .map((row) => (row === '' ? row : change(row.split('|')).join('|')))
              .join('\n')
          : part,
      )
      .join('\n\n');
  const firstNode = TEXT.split('\n\n')[1]!.split('|')[0]!;

  it.each([
    [
      'a node that reports no free memory',
      () => changed(1, (f) => (f[0] === firstNode ? f.with(3, '0') : f)),
      /[1-9]\d* bad nodes/,
    ],
    [
      'nodes whose instances need more memory than they have',
      () => changed(2, (f) => (f[6] === firstNode ? f.with(1, '60000') : f)),
      /[1-9]\d* bad nodes/,
    ],
    [
      'an offline node with instances',
      () => changed(1, (f) => (f[0] === firstNode ? f.with(7, 'Y') : f)),
      /Solution length=[1-9]/,
    ],
  ])('improves %s, blind and timed', async (_case, text, words) => {
    const broken = file('broken.data', text());
    const blind = await run('balance', '--blind', broken);
    expect([blind.code, blind.out]).toEqual([0, expect.stringMatching(words)]);
    const timed = await run('balance', broken, '--costs', costs, '--json', '--effort', '0.01');
    expect(timed.code).toBe(0);
    const plan = JSON.parse(timed.out) as Plan;
    const reached = /(?:improved from \S+ to|Initial score:) (\S+)/.exec(
      blind.out.split('\n').toReversed().join('\n'),
    );
    expect(plan.score_after).toBeLessThanOrEqual(Number(reached![1]) + 1e-8);
    expect(plan.warnings?.filter((line) => line.includes('breaks a hard rule')) ?? []).toEqual([]);
  });

  it('says which columns it does not know, and plans all the same', async () => {
    const wide = file(
      'wide.data',
      changed(2, (f) => [...f, 'N', 'more', 'of it']),
    );
    const { code, err } = await run('balance', wide, '--costs', costs, '--effort', '0.01');
    expect([code, err]).toEqual([0, expect.stringMatching(/column/)]);
  });

  it.each([['0'], ['-1'], ['1.5'], ['many'], ['101']])('takes no %s moves at once on a node', async (n) => {
    const { code, err } = await run('balance', cluster, '--costs', costs, '--parallel-per-node', n);
    expect([code, err]).toEqual([2, expect.stringContaining('--parallel-per-node')]);
  });

  it('executes no plan of several moves at once on a node, which Ganeti would not run so', async () => {
    const url = 'https://127.0.0.1:1';
    const { code, err } = await run(
      'balance',
      url,
      '--costs',
      costs,
      '--execute',
      '--yes',
      '--parallel-per-node',
      '2',
    );
    expect([code, err]).toEqual([2, expect.stringContaining('one move at a time')]);
  });

  it('moves several instances of a node at once where that is allowed', async () => {
    const args = ['balance', cluster, '--costs', costs, '--json', '--effort', '0.01'];
    const { code, out } = await run(...args, '--parallel-per-node', '3');
    expect(code).toBe(0);
    const { moves } = JSON.parse(out) as Plan;
    const nodes = ({ from, to }: Plan['moves'][number]): Set<string | undefined> =>
      new Set([from.primary, from.secondary, to.primary, to.secondary]);
    const overlap = moves.some((a, m) =>
      moves
        .slice(0, m)
        .some(
          (b) =>
            [...nodes(a)].some((node) => node !== undefined && nodes(b).has(node)) &&
            b.end_seconds.p50 > a.start_seconds,
        ),
    );
    expect(overlap).toBe(true);
  });

  it('says why there is nothing to move where all nodes are offline', async () => {
    const offline = file('off.data', TEXT.replaceAll(/\|N\|uuid-1\|/g, '|Y|uuid-1|'));
    const { code, out, err } = await run('balance', offline, '--costs', costs);
    expect([code, out.includes('nothing to move')]).toEqual([0, true]);
    expect(err).toContain('every node of the group is offline');
    const json = await run('balance', offline, '--costs', costs, '--json', '--quiet');
    expect((JSON.parse(json.out) as Plan).warnings).toEqual([
      expect.stringContaining('every node of the group is offline'),
    ]);
  });

  it.each([
    ['total memory', 1, 'NaN', 'free_mem_cv'],
    ['spindles', 9, '0', 'spindles_cv'],
  ])(
    'refuses a cluster whose %s makes its score no number, with the node',
    async (_what, field, value, component) => {
      const text = changed(1, (f) => (f[0] === firstNode ? f.with(field, value) : f));
      const { code, out, err } = await run('balance', file('nan.data', text), '--costs', costs);
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain(`${firstNode} gives no ${component}`);
    },
  );

  it.each([
    ['{"live_migratoin": {"fixed_seconds": 1}}', 'the file has an unknown field live_migratoin'],
    ['{"failover": {"fixed_seconds": 1, "rate": 3}}', 'failover has an unknown field rate'],
    ['{"table": [{"instance": "a", "second": 1, "seconds": 2}]}', 'table[0] has an unknown field second'],
    ['{"table": [{"instance": "a", "seconds": 1e300}]}', 'table[0].seconds must be at most'],
    ['{"live_migration": {"fixed_seconds": 1, "mib_per_second": 1e-300}}', '30 years at most'],
  ])('refuses costs of %s', async (text, words) => {
    const { code, err } = await run('balance', cluster, '--costs', file('bad.json', text));
    expect([code, err]).toEqual([2, expect.stringContaining(words)]);
  });

  it('says which names of the costs file match nothing', async () => {
    const text = {
      table: [
        { instance: 'nosuch', seconds: 3 },
        { instance: 'inst-0001.example.com', target_node: 'nowhere', seconds: 3 },
        { instance: 'nosuch-either', seconds: 3 },
      ],
      nic_mib_per_second: { '*': 100, 'node-1': 10 },
    };
    const odd = file('odd.json', JSON.stringify(text));
    const { code, out } = await run(
      'balance',
      cluster,
      '--costs',
      odd,
      '--json',
      '--effort',
      '0.01',
      '--quiet',
    );
    expect(code).toBe(0);
    expect((JSON.parse(out) as Plan).warnings).toEqual([
      `${odd}: table names instance nosuch (and 1 more), which is not there`,
      `${odd}: table names node nowhere, which is not there`,
      `${odd}: nic_mib_per_second names node node-1, which is not there`,
    ]);
  });

  it.each([['-1'], ['"NaN"'], ['1e999'], ['null']])(
    'refuses costs of %s seconds, with the field',
    async (value) => {
      const bad = file('bad.json', `{"live_migration": {"fixed_seconds": ${value}}}`);
      const { code, err } = await run('balance', cluster, '--costs', bad);
      expect([code, err.includes('live_migration.fixed_seconds')]).toEqual([2, true]);
    },
  );
});

describe('movecast balance, asked to write where it reads,', () => {
  it.each([['--svg'], ['-C']])('refuses for %s and leaves the cluster as it is', async (option) => {
    const { code, err } = await run(
      'balance',
      cluster,
      ...(option === '-C' ? [`-C${cluster}`] : [option, cluster]),
    );
    expect([code, err]).toEqual([
      2,
      `movecast: ${option} ${cluster}: would write over what is read; name another file\n`,
    ]);
    expect(readFileSync(cluster, 'utf8')).toBe(TEXT);
  });
});

/** A plan as `price --json` prints it. */
type PricedPlan = Plan & { jobsets_seconds: number; jobsets_p90_seconds: number };

describe('movecast price and simulate', () => {
  it.each([['-1'], ['0'], ['Infinity']])('balance takes no effort of %s', async (effort) => {
    const { code, err } = await run('balance', cluster, '--costs', costs, '--effort', effort);
    expect([code, err.includes('It must be a number above 0')]).toEqual([2, true]);
  });

  it.each(['after', 'jobsets'])(
    'simulate refuses a plan whose %s speak of moves that it does not have',
    async (where) => {
      const { out } = await run('balance', cluster, '--costs', costs, '--json', '--effort', '0.01');
      const plan = JSON.parse(out) as Plan;
      if (where === 'after') plan.moves[0]!.after.push(999);
      else plan.jobsets.push([999]);
      const truth = file('no-truth.json', '{}');
      const { code, err } = await run('simulate', file('far.json', JSON.stringify(plan)), '--truth', truth);
      expect([code, err]).toEqual([
        2,
        expect.stringMatching(/far\.json: speaks of a move 999, but its moves are 0 to \d+; .+\n$/),
      ]);
    },
  );

  it('price a plan of hbal, and play it with a truth of its own', async () => {
    const { out: solution } = await run('balance', cluster, '--blind', '-C');
    const printed = file('hbal.txt', solution);
    const person = await run('price', cluster, printed, '--costs', costs);
    expect(person.out).toMatch(/As given, job set after job set, done in .+ \(nine times of ten in .+\)/);
    const { out } = await run('price', cluster, printed, '--costs', costs, '--json');
    const plan = JSON.parse(out) as PricedPlan;
    expect(planSchema.safeParse(plan).success).toBe(true);
    expect(plan.jobsets_p90_seconds).toBeGreaterThan(plan.jobsets_seconds);
    const planFile = file('plan.json', out);
    const truth = file('truth.json', '{"disk_replication": {"fixed_seconds": 5, "mib_per_second": 600}}');
    const played = await run('simulate', planFile, '--truth', truth, '--cluster', cluster, '--json');
    expect(played.code).toBe(0);
    const { duration_seconds: duration, within_p90 } = JSON.parse(played.out) as {
      duration_seconds: number;
      within_p90: boolean;
    };
    expect(duration).toBeGreaterThan(0);
    expect(within_p90).toBe(true);
  });

  it('simulate says which names of the truth match nothing', async () => {
    const { out } = await run('balance', cluster, '--costs', costs, '--json', '--effort', '0.01');
    const truth = { nic_mib_per_second: { nowhere: 1 }, failures: [{ instance: 'nosuch' }] };
    const truthFile = file('odd-truth.json', JSON.stringify(truth));
    const { code, err } = await run(
      'simulate',
      file('odd-plan.json', out),
      '--truth',
      truthFile,
      '--cluster',
      cluster,
    );
    expect([code, err.trim().split('\n')]).toEqual([
      0,
      [
        `movecast: ${truthFile}: nic_mib_per_second names node nowhere, which is not there`,
        `movecast: ${truthFile}: failures names instance nosuch, which is not there`,
      ],
    ]);
  });

  it('price job sets as later than the same moves in the same order without sets', async () => {
    const { out: solution } = await run('balance', cluster, '--blind', '-C');
    const printed = file('hbal-sets.txt', solution);
    const { out } = await run('price', cluster, printed, '--costs', costs, '--json', '--keep-order');
    const plan = JSON.parse(out) as PricedPlan;
    expect(plan.jobsets_seconds).toBeGreaterThanOrEqual(plan.duration_seconds.p50);
    expect(plan.jobsets_p90_seconds).toBeGreaterThanOrEqual(plan.duration_seconds.p90);
  });

  it.each([
    ['an offline node', ['-O', 'node-001.example.com']],
    ['no utilisation', ['--ignore-dynu']],
    ['a utilisation file', ['-U', 'UTILISATION']],
    ['other limits', ['--max-cpu', '2', '--min-disk', '0.2', '--exclusion-tags', 'service']],
    ['soft errors ignored', ['--max-cpu', '0.5', '--ignore-soft-errors']],
  ])('price a plan made with %s on that cluster', async (_case, given) => {
    const loads = file('loads', 'inst-0001.example.com 9 1 1 1\n');
    const options = given.map((word) => (word === 'UTILISATION' ? loads : word));
    const blind = await run('balance', cluster, '--blind', '-C', ...options);
    const scores = /improved from (\S+) to (\S+)/.exec(blind.out)!;
    const printed = file('hbal-options.txt', blind.out);
    const { code, out } = await run(
      'price',
      cluster,
      printed,
      '--costs',
      costs,
      '--json',
      '--keep-order',
      ...options,
    );
    expect(code).toBe(0);
    const plan = JSON.parse(out) as PricedPlan;
    expect([plan.score_before.toFixed(8), plan.score_after.toFixed(8)]).toEqual(scores.slice(1));
    expect(plan.warnings).toBeUndefined();
  });

  it('refuse a plan for another cluster', async () => {
    const plan = file('other.txt', 'gnt-instance migrate -f somewhere-else\n');
    const { code, err } = await run('price', cluster, plan, '--costs', costs);
    expect([code, err.includes('is the plan for this cluster?')]).toEqual([2, true]);
  });
});

describe('--finish-by', () => {
  const nowMs = Date.parse('2026-11-23T22:00:00Z');
  it('takes an RFC 3339 time, or a time of day that is still to come', () => {
    expect(secondsUntil('2026-11-23T23:30:00Z', nowMs)).toBe(5400);
    const untilClock = secondsUntil('06:00', nowMs);
    expect(untilClock).toBeGreaterThan(0);
    expect(untilClock).toBeLessThanOrEqual(86_400);
  });
  it.each(['yesterday', '2020-01-01T00:00:00Z', '25:00'])('refuses %s', (text) => {
    expect(() => secondsUntil(text, nowMs)).toThrow('--finish-by');
  });
});
