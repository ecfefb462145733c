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

  it.each([
    ['through the secondary and back', ['migrate', 'replace', 'migrate'], [4]],
    ['to the secondary', ['migrate', 'replace'], [5]],
    ['a mirror, then there', ['replace', 'migrate'], [3]],
    ['two mirrors', ['replace', 'other'], [2, 2]],
    ['two mirrors after a migration', ['migrate', 'replace', 'other'], [5, 2]],
    ['a mirror, there and back', ['replace', 'migrate', 'migrate'], [3, 0]],
    ['failed over as it is migrated', ['failover', 'replace'], [5]],
  ] as const)('has as few moves as its commands can be: %s', (_case, verbs, kinds) => {
    const { instance, fromPrimary, fromSecondary } = moves.find(({ fromSecondary: s }) => s >= 0)!;
    const [x, y] = [...start.nodes.keys()].filter((k) => k !== fromPrimary && k !== fromSecondary);
    const { name } = start.instances[instance]!;
    const lines = {
      migrate: `gnt-instance migrate -f ${name}`,
      failover: `  sudo gnt-instance failover -f ${name}  `,
      replace: `gnt-instance replace-disks -n ${start.nodes[x!]!.name} ${name}`,
      other: `gnt-instance replace-disks --new-secondary ${start.nodes[y!]!.name} ${name}`,
    };
    const text = verbs.map((verb) => lines[verb]).join('\n');
    const read = parseForeignPlan(text, start, 'plan.sh');
    expect(read.map(({ kind }) => kind)).toEqual(kinds);
    // Each begins where the one before it ended.
    expect([read[0]!.fromPrimary, read[0]!.fromSecondary]).toEqual([fromPrimary, fromSecondary]);
    read.slice(1).forEach((move, m) => {
      expect([move.fromPrimary, move.fromSecondary]).toEqual([read[m]!.toPrimary, read[m]!.toSecondary]);
    });
  });

  it('leaves a job that another begins apart, and instances by their turn', () => {
    const [a, b] = moves.filter(({ fromSecondary: s }) => s >= 0).map(({ instance }) => instance);
    const migrate = (i: number): string => `gnt-instance migrate -f ${start.instances[i]!.name}`;
    const replace = (i: number): string => {
      const x = [...start.nodes.keys()].find((k) => k !== start.primary[i] && k !== start.secondary[i])!;
      return `gnt-instance replace-disks -n ${start.nodes[x]!.name} ${start.instances[i]!.name}`;
    };
    const kindsOf = (lines: readonly string[]): [number, number][] =>
      parseForeignPlan(lines.join('\n'), start, 'plan.sh').map(({ instance, kind }) => [instance, kind]);
    expect(kindsOf([migrate(a!), 'echo job 1/2', replace(a!)])).toEqual([
      [a, 0],
      [a, 2],
    ]);
    expect(kindsOf([migrate(a!), migrate(b!), replace(b!)])).toEqual([
      [a, 0],
      [b, 5],
    ]);
  });

  it('has shared instances go to the node that is named, and leaves out what moves nothing', () => {
    const i = start.instances.findIndex(({ template }) => ['ext', 'rbd', 'sharedfile'].includes(template));
    const { name } = start.instances[i]!;
    const here = start.nodes[start.primary[i]!]!.name;
    const x = [...start.nodes.keys()].find((k) => k !== start.primary[i])!;
    const there = start.nodes[x]!.name;
    const read = (text: string): unknown[] =>
      parseForeignPlan(text, start, 'plan').map(({ instance, kind, target }) => [instance, kind, target]);
    expect(read(`gnt-instance migrate --target-node ${there} -f ${name}`)).toEqual([[i, 1, x]]);
    expect(read(`  1. ${name} ${here} => ${there}  3.1 a=fa:${there}`)).toEqual([[i, 1, x]]);
    expect(read(`  1. ${name} ${here} => ${here}  3.1 a=fa:${here}`)).toEqual([]);
    const m = start.instances.findIndex(({ secondary }) => secondary >= 0);
    const both = `${start.nodes[start.primary[m]!]!.name}:${start.nodes[start.secondary[m]!]!.name}`;
    expect(read(`  1. ${start.instances[m]!.name} ${both} => ${both}  3.1 a=f`)).toEqual([]);
  });

  it('is refused where no single move leads to a place that it names', () => {
    const { instance, fromPrimary, fromSecondary } = moves.find(({ fromSecondary: s }) => s >= 0)!;
    const [x, y] = [...start.nodes.keys()].filter((k) => k !== fromPrimary && k !== fromSecondary);
    const [from, to] = [
      `${start.nodes[fromPrimary]!.name}:${start.nodes[fromSecondary]!.name}`,
      `${start.nodes[x!]!.name}:${start.nodes[y!]!.name}`,
    ];
    const { name } = start.instances[instance]!;
    const text = `  1. ${name} ${from} => ${to}  3.1 a=f r:x`;
    expect(() => parseForeignPlan(text, start, 'p.txt')).toThrow(
      `no single move takes ${name} from ${from} to ${to};`,
    );
  });

  it('is refused where its instance stands elsewhere than where it takes it from, unless it has been made', async () => {
    const [first] = moves;
    const elsewhere = start.copy();
    const [x, y] = [...start.nodes.keys()].filter((k) => k !== first!.toPrimary);
    elsewhere.primary[first!.instance] = x!;
    elsewhere.secondary[first!.instance] = y!;
    const { document } = await buildPlan(start, [first!], new ConstantMoveCosts({}));
    const lines = solutionLines([{ move: first!, score: 1 }], start, names).join('\n');
    const { name } = start.instances[first!.instance]!;
    for (const text of [JSON.stringify(document), lines]) {
      expect(() => parseForeignPlan(text, elsewhere, 'plan')).toThrow(
        `but it stands on ${start.nodes[x!]!.name}:${start.nodes[y!]!.name}; is the plan for this cluster?`,
      );
      expect(() => parseForeignPlan(text, elsewhere, 'plan')).toThrow(`takes ${name} from `);
      elsewhere.primary[first!.instance] = first!.toPrimary;
      elsewhere.secondary[first!.instance] = first!.toSecondary;
      expect(parseForeignPlan(text, elsewhere, 'plan')).toEqual([]);
      elsewhere.primary[first!.instance] = x!;
      elsewhere.secondary[first!.instance] = y!;
    }
  });

  it('is read with names in quotes, as they are written where a shell needs them', () => {
    const { instance, fromPrimary } = moves.find(({ fromSecondary: s }) => s >= 0)!;
    const text = `gnt-instance migrate -f '${start.instances[instance]!.name}'`;
    expect(parseForeignPlan(text, start, 'plan.sh')).toMatchObject([{ instance, kind: 0, fromPrimary }]);
  });

  const alone = start.instances[start.secondary.indexOf(-1)]!.name;
  const mirrored = start.instances.find(({ secondary }) => secondary >= 0)!;
  const [here, there] = [start.nodes[mirrored.primary]!.name, start.nodes[mirrored.secondary]!.name];

  it.each([
    ['a migration to nowhere', `gnt-instance migrate -f ${alone}`, 'names no node'],
    ['new disks for nowhere', `gnt-instance replace-disks -a ${mirrored.name}`, 'names no new node'],
    [
      'a mirrored instance that goes to a third node',
      `gnt-instance migrate -f -n ${there} ${mirrored.name}`,
      'can only go to its second one',
    ],
    ['both copies on one node', `gnt-instance replace-disks -n ${here} ${mirrored.name}`, 'no single move'],
    [
      'a mirrored instance without a second node',
      `  1. ${mirrored.name} ${here}:${there} => ${here}  3.1 a=r`,
      'no single move',
    ],
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
