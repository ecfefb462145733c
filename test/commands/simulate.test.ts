import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Plan } from '../../src/domain/plan.js';
import { moveOf, planOf } from '../balancer/invented-plan.js';
import { runCommand } from './run-command.js';

const CLUSTER = `g|u|preferred||

n1|65536|512|60000|1000000|900000|32|N|u|1
n2|4096|512|3584|1000000|900000|32|N|u|1
n3|65536|512|60000|1000000|900000|32|N|u|1

a|2048|0|1|running|Y|n1||ext|
b|2048|0|1|running|Y|n1||ext|
c|256|1000|1|running|Y|n1|n2|drbd|

`;

let folder = '';
const file = (name: string, content: unknown): string => {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'movecast-simulate-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const simulate = (plan: Plan, truth: object, ...options: string[]): ReturnType<typeof runCommand> =>
  runCommand(['simulate', file('plan.json', plan), '--truth', file('truth.json', truth), ...options]);
const seconds = {
  table: [
    { instance: 'a', seconds: 30 },
    { instance: 'b', seconds: 5 },
  ],
};

describe('movecast simulate', () => {
  it('refuses a node that is let go early though it is online, or no node of the move', async () => {
    const early = (node: string): Plan => {
      const from = { primary: 'n1', secondary: 'n2' };
      const move = moveOf(0, 'c', 'n1', 'n3');
      const step = { ...move.steps[0]!, operation: 'disk_replication' as const };
      const to = { primary: 'n1', secondary: 'n3' };
      return planOf([{ ...move, from, to, steps: [step], releases_early: node }], [[0]]);
    };
    const truth = { table: [{ instance: 'c', seconds: 30 }] };
    const online = file('cluster.data', CLUSTER);
    const refused = await simulate(early('n2'), truth, '--cluster', online);
    expect([refused.code, refused.err]).toEqual([
      2,
      expect.stringContaining('n2 early, which is not offline'),
    ]);
    const down = file(
      'down.data',
      CLUSTER.replace('n2|4096|512|3584|1000000|900000|32|N', 'n2|4096|512|3584|1000000|900000|32|Y'),
    );
    expect((await simulate(early('n2'), truth, '--cluster', down)).code).toBe(0);
    const stranger = await simulate(early('nosuch'), truth);
    expect([stranger.code, stranger.err]).toEqual([2, expect.stringContaining('is no node of it')]);
  });

  it('is no faster than the nodes allow, and says what waited for them', async () => {
    const plan = planOf([moveOf(0, 'a', 'n1', 'n2'), moveOf(1, 'b', 'n1', 'n3')], [[0, 1]]);
    const { code, out } = await simulate(plan, seconds);
    expect([code, out]).toEqual([
      0,
      'Done after 35 s; promised 20 s, nine times of ten 24 s.\n' +
        'No order of these moves could take less than 35 s.\n' +
        '2 moves completed, 0 failed, 0 not started.\n' +
        '1 move waited for nodes that others held, beyond what the plan says: 30 s at most.\n',
    ]);
  });

  it('ends well when moves fail, and says what was not started', async () => {
    const plan = planOf([moveOf(0, 'a', 'n1', 'n2'), moveOf(1, 'b', 'n1', 'n3', [0])], [[0], [1]]);
    const failing = { ...seconds, failures: [{ instance: 'a' }] };
    const { code, out } = await simulate(plan, failing);
    expect([code, out.split('\n').slice(2)]).toEqual([
      0,
      [
        '0 moves completed, 1 failed, 1 not started.',
        '  move 0 of a: failed',
        '  move 1 of b: not started',
        '',
      ],
    ]);
    const json = await simulate(plan, failing, '--json');
    const { moves } = JSON.parse(json.out) as { moves: { status: string }[] };
    expect(moves.map(({ status }) => status)).toEqual(['failed', 'not started']);
  });

  it('refuses a plan whose moves wait for each other, and job sets that leave moves out', async () => {
    const circle = planOf([moveOf(0, 'a', 'n1', 'n2', [1]), moveOf(1, 'b', 'n1', 'n3', [0])], []);
    const refused = await simulate(circle, seconds);
    expect([refused.code, refused.err]).toEqual([
      2,
      expect.stringMatching(/plan\.json: moves 0, 1 wait for each other in a circle; .+\n$/),
    ]);
    const straight = planOf([moveOf(0, 'a', 'n1', 'n2'), moveOf(1, 'b', 'n1', 'n3', [0])], []);
    expect((await simulate(straight, seconds)).code).toBe(0);
    const sets = await simulate(straight, seconds, '--jobsets');
    expect([sets.code, sets.err]).toEqual([
      2,
      expect.stringMatching(/plan\.json: move 0 is in no job set; .+\n$/),
    ]);
  });

  it('warns of moves without room on the cluster, and of names in the truth that it does not have', async () => {
    const plan = planOf([moveOf(0, 'a', 'n1', 'n2'), moveOf(1, 'b', 'n1', 'n2', [0])], [[0], [1]]);
    const cluster = file('c.data', CLUSTER);
    const truth = { table: ['a', 'b', 'd'].map((instance) => ({ instance, seconds: 5 })) };
    const { code, err } = await simulate(plan, truth, '--cluster', cluster);
    expect([code, err.trim().split('\n')]).toEqual([
      0,
      [
        `movecast: ${join(folder, 'truth.json')}: table names instance d, which is not there`,
        'movecast: move 1 of b: n2 has 1536 MiB of memory free when it starts, 2048 are needed',
      ],
    ]);
    expect((await simulate(plan, truth, '--cluster', cluster, '--quiet')).err).toBe('');
  });

  const elsewhere = `${CLUSTER.replace('\n\na|', '\nn4|65536|512|60000|1000000|900000|32|N|v|1\n\na|').replace('||\n', '||\nh|v|preferred||\n')}`;
  it.each<[string, Plan['moves'], string, string]>([
    ['an instance', [moveOf(0, 'x', 'n1', 'n2')], CLUSTER, 'move 0 is of instance x, which'],
    ['a node', [moveOf(0, 'a', 'n1', 'n7')], CLUSTER, 'move 0 names node n7, which'],
    [
      'one node group',
      [moveOf(0, 'a', 'n1', 'n4')],
      elsewhere,
      'move 0 names node n4, which is in another node group than n1',
    ],
    [
      'any instance in its place',
      [moveOf(0, 'a', 'n1', 'n2'), moveOf(1, 'b', 'n1', 'n3', [0])],
      CLUSTER.replaceAll('|n1||ext', '|n3||ext'),
      'no instance is in',
    ],
  ])('refuses a plan of a cluster that does not have %s', async (_what, moves, cluster, sentence) => {
    const { code, err } = await simulate(planOf(moves, []), seconds, '--cluster', file('o.data', cluster));
    expect([code, err]).toEqual([
      2,
      expect.stringMatching(
        /^movecast: [^\n]+plan\.json: [^\n]+; give the cluster that the plan was made for\n$/,
      ),
    ]);
    expect(err).toContain(sentence);
  });

  it('reads a plan that an editor has put a byte order mark before', async () => {
    const path = file('plan.json', `\ufeff${JSON.stringify(planOf([moveOf(0, 'a', 'n1', 'n2')], [[0]]))}`);
    expect((await runCommand(['simulate', path, '--truth', file('truth.json', seconds)])).code).toBe(0);
  });

  it('names what is wrong in a file that is no plan', async () => {
    const plan = planOf([moveOf(0, 'a', 'n1', 'n2')], [[0]]);
    const truth = file('truth.json', seconds);
    for (const [content, code, words] of [
      [JSON.stringify(plan).slice(0, 100), 2, /plan\.json: is not JSON/],
      ['[]', 2, /plan\.json: is not a plan: it must be an object; give one as/],
      ['{}', 2, /is not a plan: score_before is missing/],
      [JSON.stringify(plan).replace('"p50":20', '"p50":-20'), 2, /duration_seconds\.p50 must be at least 0/],
      [JSON.stringify(plan).replace('"p50":20', '"p50":NaN'), 2, /is not JSON/],
      [JSON.stringify(plan).replace('"p50":20', '"p50":1e999'), 2, /duration_seconds\.p50 must be/],
      [JSON.stringify(plan).replace('"a"', '"a\\nb"'), 2, /moves\[0\]\.instance must not contain control/],
    ] as const) {
      const broken = await runCommand(['simulate', file('plan.json', content), '--truth', truth]);
      expect([broken.code, broken.err]).toEqual([code, expect.stringMatching(words)]);
      expect(broken.err).toMatch(/^movecast: [^\n]+\n$/);
    }
  });
});
