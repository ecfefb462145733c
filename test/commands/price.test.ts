import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { planSchema } from '../../src/domain/plan.js';
import { generateCluster } from '../balancer/cluster-generator.js';
import { runCommand } from './run-command.js';

let folder = '';
let cluster = '';
let costs = '';
let plan = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'movecast-price-'));
  const file = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  cluster = file('c.data', generateCluster({ seed: 6, nodes: 4, instancesPerNode: 4 }));
  costs = file('costs.json', '{}');
  plan = file('plan.txt', (await runCommand(['balance', cluster, '--blind', '-C'])).out);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const price = (...options: string[]): ReturnType<typeof runCommand> =>
  runCommand(['price', ...options, cluster, plan, '--costs', costs]);

describe('movecast price', () => {
  it('prints the commands of the better order, or writes them as a script', async () => {
    const { code, out } = await price('-C');
    expect([code, out.includes('\nCommands to run to reach the above solution:\n')]).toEqual([0, true]);
    const commands = (text: string): string[] => text.match(/gnt-instance .+/g) ?? [];
    expect(commands(out).length).toBeGreaterThan(5);
    const kept = commands((await price('-C', '--keep-order')).out);
    expect(kept).toEqual(
      commands(readFileSync(plan, 'utf8')).map((line) =>
        line.replace(/(inst|node)-\d+\b(?!\.)/g, '$&.example.com'),
      ),
    );
    expect(commands(out)).not.toEqual(kept);
    expect([...commands(out)].sort()).toEqual([...kept].sort());
    const script = join(folder, 'script.sh');
    const written = await price(`-C${script}`);
    expect(written.out).toContain(`The commands have been written to file '${script}'\n`);
    const text = readFileSync(script, 'utf8');
    expect(text).toMatch(/^#!\/bin\/sh\n/);
    expect(commands(text)).toEqual(commands(out));
  });

  it('keeps the job sets given where those of its own order take longer, set after set', async () => {
    const odd = 'test/fixtures/clusters/odd-9.data';
    const hbal = join(folder, 'odd.txt');
    writeFileSync(hbal, (await runCommand(['balance', odd, '--blind', '-C'])).out);
    const priced = (...options: string[]): ReturnType<typeof runCommand> =>
      runCommand(['price', odd, hbal, '--costs', costs, ...options]);
    const sets = (text: string): string[] => text.match(/echo jobset .+|gnt-instance .+/g) ?? [];
    const [own, given] = [(await priced('-C')).out, (await priced('-C', '--keep-order')).out];
    expect(own).toMatch(/\nThe job sets stay as given: those of the order above take no less, [^\n]+\.\n/);
    expect(given).not.toContain('stay as given');
    expect(sets(own)).toEqual(sets(given));
    const { moves, jobsets } = planSchema.parse(JSON.parse((await priced('--json')).out));
    expect(jobsets.flat()).not.toEqual([...moves.keys()]);
    expect(jobsets.flat().flatMap((m) => moves[m]!.commands)).toEqual(
      sets(given).filter((line) => line.startsWith('gnt')),
    );
  });

  it('draws the schedule, and keeps standard output for the plan alone with --json', async () => {
    const svg = join(folder, 'plan.svg');
    const { code, out } = await price('--svg', svg, '-C', '--json');
    expect([code, planSchema.safeParse(JSON.parse(out)).success]).toEqual([0, true]);
    expect(readFileSync(svg, 'utf8')).toMatch(/^<svg /);
  });

  it.each(['--svg=', '-C'])('does not write over what it reads: %s', async (option) => {
    for (const input of [cluster, plan, costs]) {
      const before = readFileSync(input, 'utf8');
      const { code, err } = await price(`${option}${input}`);
      expect([code, err.includes('would write over what is read'), readFileSync(input, 'utf8')]).toEqual([
        2,
        true,
        before,
      ]);
    }
  });

  it.each<[string, (file: (content: string) => string) => string[], RegExp]>([
    [
      'costs that are not JSON',
      (file) => [cluster, plan, '--costs', file('{\n "failover": {\n  "fixed_seconds": NaN\n }\n}\n')],
      /is not JSON \(/,
    ],
    [
      'a plan that is not JSON',
      (file) => [cluster, file('{\n "moves": [\n  NaN\n ]\n}\n')],
      /is not JSON \(/,
    ],
    [
      'an instance with too few columns',
      (file) => [file(readFileSync(cluster, 'utf8').replace(/^(inst-0002[^|]*\|\d+).*$/m, '$1')), plan],
      /: an instance needs at least \d+ columns/,
    ],
  ])('says in one line that it cannot read %s', async (_case, args, sentence) => {
    const file = (content: string): string => {
      const path = join(folder, 'broken');
      writeFileSync(path, content);
      return path;
    };
    const { code, err } = await runCommand(['price', ...args(file)]);
    expect([code, err]).toEqual([2, expect.stringMatching(sentence)]);
    expect(err).toMatch(/^movecast: [^\n]+\n$/);
  });

  it.each([
    [1, '1 row has columns'],
    [2, '2 rows have columns'],
  ])('remarks on %d instances with too many columns', async (count, words) => {
    const wide = join(folder, 'wide.data');
    let left = count;
    const text = readFileSync(cluster, 'utf8').replace(/^inst-.*$/gm, (line) =>
      left-- > 0 ? `${line}|more` : line,
    );
    writeFileSync(wide, text);
    const { err } = await runCommand(['price', wide, plan, '--costs', costs]);
    expect(err).toContain(`${words} that the format does not know; they are ignored (first at line`);
    expect(err).toMatch(/: an instance has \d+ columns, found \d+\)/);
  });
});
