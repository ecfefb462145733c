import { describe, expect, it } from '@jest/globals';
import { blindSearch } from '../../src/balancer/blind-search.js';
import { ConstantMoveCosts } from '../../src/balancer/constant-move-costs.js';
import { parseForeignPlan } from '../../src/balancer/foreign-plan.js';
import { GroupModel } from '../../src/balancer/group-model.js';
import { ShortNames, commandLines, commandScript, solutionLines } from '../../src/balancer/hbal-report.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import { jobsetsOf } from '../../src/balancer/jobsets.js';
import { moveCommands, moveSteps, moveFrom, type MoveKind } from '../../src/balancer/moves.js';
import { buildPlan } from '../../src/balancer/plan-builder.js';
import { defaultSearchOptions } from '../../src/balancer/search-options.js';
import { generateCluster } from './cluster-generator.js';

const { cluster } = parseHtoolsText(generateCluster({ seed: 5, nodes: 7, instancesPerNode: 6 }), {
  file: 'generated',
  duplicates: 'refuse',
});
const start = new GroupModel(cluster, { group: 0 });
const result = blindSearch(start.copy(), defaultSearchOptions);
const moves = result.steps.map(({ move }) => move);
const names = new ShortNames(start);

describe('a plan made by someone else', () => {
  it("is read from hbal's solution lines, with short names", () => {
    const text = solutionLines(result.steps, start, names).join('\n');
    expect(parseForeignPlan(text, start, 'plan.txt')).toEqual(moves);
  });

  it.each([
    ['as hbal prints them', { checks: false, names }],
    ['as a script with full names', { checks: true }],
  ])("is read from hbal's commands, %s", (_case, options) => {
    const text = commandScript(commandLines(start, moves, jobsetsOf(moves), options));
    const read = parseForeignPlan(text, start, 'plan.sh');
    // Commands run in the order of job sets, which is the plan's.
    expect(read).toEqual(jobsetsOf(moves).flatMap((set) => set.map((m) => moves[m])));
  });

  it('is read from bare commands without job lines', () => {
    const text = moves.flatMap((move) => moveCommands(start, move)).join('\n');
    expect(parseForeignPlan(text, start, 'plan.sh')).toEqual(moves);
  });

  it('is read as two moves where two migrations of an instance follow each other', () => {
    const { instance, fromPrimary, fromSecondary } = moves.find(({ fromSecondary: s }) => s >= 0)!;
    const migrate = `gnt-instance migrate -f ${start.instances[instance]!.name}\n`;
    const read = parseForeignPlan(migrate.repeat(2), start, 'plan.sh');
    expect(read.map((move) => [move.instance, move.fromPrimary, move.toPrimary])).toEqual([
      [instance, fromPrimary, fromSecondary],
      [instance, fromSecondary, fromPrimary],
    ]);
  });

  it('is read from a plan of our own', async () => {
    const { document } = await buildPlan(start, moves, new ConstantMoveCosts({}));
    expect(parseForeignPlan(JSON.stringify(document), start, 'plan.json')).toEqual(moves);
  });

  const alone = start.instances[start.secondary.indexOf(-1)]!.name;

  it.each([
    ['a migration to nowhere', `gnt-instance migrate -f ${alone}`, 'names no node'],
    ['nothing of a plan', 'hello\n', 'holds no plan'],
    ['an instance that is not there', 'gnt-instance migrate -f nosuch', 'names instance nosuch'],
    ['broken JSON', '{"moves": [', 'is not JSON'],
    ['JSON of something else', '{"a": 1}', 'not a plan'],
  ])('is refused in one sentence when it holds %s', (_case, text, words) => {
    expect(() => parseForeignPlan(text, start, 'plan.txt')).toThrow(words);
  });
});

describe('the steps of a move', () => {
  const i = moves.find(({ fromSecondary }) => fromSecondary >= 0)!.instance;
  const p = start.primary[i]!;
  const s = start.secondary[i]!;
  const x = [...start.nodes.keys()].find((k) => k !== p && k !== s)!;

  it.each([
    ['f', 0, [['live_migration', p, s]]],
    ['r:x', 2, [['disk_replication', p, x]]],
    [
      'r:x f',
      3,
      [
        ['disk_replication', p, x],
        ['live_migration', p, x],
      ],
    ],
    [
      'f r:x f',
      4,
      [
        ['live_migration', p, s],
        ['disk_replication', s, x],
        ['live_migration', s, x],
      ],
    ],
    [
      'f r:x',
      5,
      [
        ['live_migration', p, s],
        ['disk_replication', s, x],
      ],
    ],
  ] as const)('of %s join the nodes that data really crosses', (_letters, kind, wanted) => {
    const steps = moveSteps(start, moveFrom(start, i, kind as MoveKind, kind === 0 ? -1 : x));
    expect(steps.map(({ operation, source, target }) => [operation, source, target])).toEqual(wanted);
  });
});
