import { describe, expect, it } from '@jest/globals';
import { ConstantMoveCosts, parseCostsFile } from '../../src/balancer/constant-move-costs.js';
import { ganttSvg, ganttText } from '../../src/balancer/gantt.js';
import { blindSearch } from '../../src/balancer/blind-search.js';
import { GroupModel } from '../../src/balancer/group-model.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import { buildPlan } from '../../src/balancer/plan-builder.js';
import { parseTruthFile, playPlan, type TruthFile } from '../../src/balancer/plan-simulator.js';
import { refuseUnplayable, type PlayMode } from '../../src/balancer/playable-plan.js';
import { RoomWatch } from '../../src/balancer/room-watch.js';
import { defaultSearchOptions } from '../../src/balancer/search-options.js';
import type { Plan, PlanMove } from '../../src/domain/plan.js';
import { generateCluster } from './cluster-generator.js';
import { moveOf, planOf } from './invented-plan.js';

const three = planOf(
  [moveOf(0, 'a', 'n1', 'n2'), moveOf(1, 'b', 'n3', 'n4'), moveOf(2, 'c', 'n3', 'n5', [1])],
  [[0, 1], [2]],
);
const seconds = (instance: string, value: number) => ({ instance, seconds: value });
const truth = { table: [seconds('a', 30), seconds('b', 5), seconds('c', 7)] };

describe('the plan simulator', () => {
  it('starts a move when what it waits for is done, not when a set is', () => {
    const played = playPlan(three, truth, 'schedule');
    expect(played.moves.map(({ start_seconds, end_seconds }) => [start_seconds, end_seconds])).toEqual([
      [0, 30],
      [0, 5],
      [5, 12],
    ]);
    expect(played.duration_seconds).toBe(30);
    expect(played.lower_bound_seconds).toBe(30);
  });

  it('waits for the slowest of a job set when asked to play as hbal runs them', () => {
    expect(playPlan(three, truth, 'jobsets').duration_seconds).toBe(37);
  });

  it('shares a network card among the copies that cross it', () => {
    const two = planOf([moveOf(0, 'a', 'n1', 'n2'), moveOf(1, 'b', 'n1', 'n3')], [[0, 1]]);
    const shared = {
      live_migration: { fixed_seconds: 0, mib_per_second: 100 },
      instances: [
        { instance: 'a', memory_mib: 1000, disk_mib: 0 },
        { instance: 'b', memory_mib: 2000, disk_mib: 0 },
      ],
      nic_mib_per_second: { n1: 100 },
      moves_per_node: 2,
    };
    const played = playPlan(two, shared, 'schedule');
    // 50 MiB/s each until a is over after 20 s; then b has the card for its other 1000 MiB.
    expect(played.moves.map(({ end_seconds }) => end_seconds)).toEqual([20, 30]);
  });

  it('takes a card that is not given to carry what one copy does, as the constants do', async () => {
    const two = planOf([moveOf(0, 'a', 'n1', 'n2'), moveOf(1, 'b', 'n1', 'n3')], [[0, 1]]);
    const request = {
      instance: 'a',
      source_node: 'n1',
      target_node: 'n2',
      memory_mib: 3000,
      concurrent_moves: 1,
    };
    for (const file of [{}, { nic_mib_per_second: { n2: 1000 } }, { nic_mib_per_second: { '*': 150 } }]) {
      const { p50 } = await new ConstantMoveCosts(file).durations([request]);
      const instances = ['a', 'b'].map((instance) => ({ instance, memory_mib: 3000, disk_mib: 0 }));
      const atOnce = playPlan(two, { ...file, instances, moves_per_node: 2 }, 'schedule');
      expect([atOnce.duration_seconds, atOnce.lower_bound_seconds]).toEqual([p50[0], p50[0]]);
      const alone = playPlan(planOf([two.moves[0]!], [[0]]), { ...file, instances }, 'schedule');
      expect(alone.duration_seconds).toBe(38);
    }
  });

  it('lets a node take part in one move at a time, as its locks do, whatever the plan says', () => {
    const two = planOf([moveOf(0, 'b', 'n1', 'n2'), moveOf(1, 'c', 'n3', 'n1')], [[0, 1]]);
    for (const mode of ['schedule', 'jobsets'] as const) {
      const played = playPlan(two, truth, mode);
      expect(played.moves.map(({ start_seconds, lock_seconds }) => [start_seconds, lock_seconds])).toEqual([
        [0, 0],
        [5, 5],
      ]);
      expect([played.duration_seconds, played.lower_bound_seconds]).toEqual([12, 12]);
    }
    const both = playPlan(two, { ...truth, moves_per_node: 2 }, 'schedule');
    expect(both.moves.map(({ start_seconds }) => start_seconds)).toEqual([0, 0]);
    expect([both.duration_seconds, both.lower_bound_seconds]).toEqual([7, 7]);
  });

  it('gives the locks of a move back that failed', () => {
    const two = planOf([moveOf(0, 'b', 'n1', 'n2'), moveOf(1, 'c', 'n3', 'n1')], [[0, 1]]);
    const played = playPlan(two, { ...truth, failures: [{ instance: 'b', after_share: 0.4 }] }, 'schedule');
    expect(played.moves[1]).toMatchObject({ status: 'completed', start_seconds: 2 });
  });

  it('waits for the set before its own also across an empty one', () => {
    const gap = planOf(three.moves, [[0, 1], [], [2]]);
    expect(playPlan(gap, truth, 'jobsets').duration_seconds).toBe(37);
  });

  it('plays plans of this project as they were promised: they wait for no lock that they do not speak of', async () => {
    const costs = new ConstantMoveCosts({});
    let moves = 0;
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const text = generateCluster({ seed, nodes: 4 + seed, instancesPerNode: 5 });
      const { cluster } = parseHtoolsText(text, { file: 'c', duplicates: 'refuse' });
      const start = new GroupModel(cluster, { group: 0 });
      const given = blindSearch(start.copy(), { ...defaultSearchOptions, maxLength: 25 }).steps;
      const { document } = await buildPlan(
        start,
        given.map(({ move }) => move),
        costs,
      );
      const room = new RoomWatch(cluster, document);
      const instances = cluster.instances.map(({ name, memory, disk }) => ({
        instance: name,
        memory_mib: memory,
        disk_mib: disk,
      }));
      const deviating = { instances, deviation: { sigma: 0.7, seed } };
      const played = playPlan(document, deviating, 'schedule', room);
      moves += played.moves.length;
      expect(played.moves.map(({ lock_seconds }) => lock_seconds)).toEqual(played.moves.map(() => 0));
      expect(room.sentences()).toEqual([]);
    }
    expect(moves).toBeGreaterThan(50);
  });

  it('breaks off what fails, and starts nothing that waits for it', () => {
    const failing = { ...truth, failures: [{ instance: 'b', after_share: 0.4 }] };
    const played = playPlan(three, failing, 'schedule');
    expect(played.moves.map(({ status }) => status)).toEqual(['completed', 'failed', 'not started']);
    expect(played.moves[1]!.end_seconds).toBeCloseTo(2);
  });

  it('gives the same deviations for the same seed and others for another', () => {
    const run = (seed: number): number =>
      playPlan(three, { ...truth, deviation: { sigma: 0.3, seed } }, 'schedule').duration_seconds;
    expect(run(1)).toBe(run(1));
    expect(run(1)).not.toBe(run(2));
  });

  it('says which size is missing when a duration goes by rate', () => {
    expect(() => playPlan(three, {}, 'schedule')).toThrow('add a row to table or to instances');
  });

  it('takes no field of the costs file that would change nothing', () => {
    expect(() => parseTruthFile({ spread: 2 }, 't.json')).toThrow(/^t\.json: spread .+ true durations/);
    expect(() => parseTruthFile({ errors: { hours: [[[1]]], most_factor: 2 } }, 't.json')).toThrow(
      /^t\.json: errors .+ true durations/,
    );
  });

  it('names the field of a truth or costs file that is wrong', () => {
    expect(() => parseTruthFile({ nic_mib_per_second: { n1: -1 } }, 't.json')).toThrow(
      'nic_mib_per_second.n1',
    );
    for (const [errors, field] of [
      [{ hours: [], most_factor: 2 }, 'errors.hours'],
      [{ hours: [[[]]], most_factor: 2 }, 'errors.hours[0][0]'],
      [{ hours: [[[0.1]]], most_factor: 0.5 }, 'errors.most_factor'],
      [{ hours: [[[0.1]]], most_factor: 1e300 }, 'errors.most_factor'],
    ] as const)
      expect(() => parseCostsFile({ errors }, 'c.json')).toThrow(`c.json: ${field}`);
    expect(() => parseCostsFile({ table: [{ instance: 'a', seconds: 0 }] }, 'c.json')).toThrow(
      'table[0].seconds',
    );
  });
});

describe('a plan that cannot be played', () => {
  const chain = (...after: number[][]): Plan =>
    planOf(
      after.map((list, m) => moveOf(m, `i${m}`, `a${m}`, `b${m}`, list)),
      [[...after.keys()]],
    );
  const stepless = chain([]);
  stepless.moves[0]!.steps = [];

  it.each<[string, Plan, PlayMode, string]>([
    ['waits for itself', chain([], [1]), 'schedule', 'move 1 waits for itself'],
    [
      'waits in a circle',
      chain([2], [0], [1], [0]),
      'schedule',
      'moves 0, 2, 1 wait for each other in a circle',
    ],
    ['waits for a circle', chain([1], [2], [1]), 'schedule', 'moves 1, 2 wait for each other in a circle'],
    ['waits for what is not there', chain([7]), 'schedule', 'speaks of a move 7, but its moves are 0 to 0'],
    ['has sets of no moves', planOf([], [[0]]), 'schedule', 'speaks of a move 0, but it has none'],
    [
      'numbers its moves oddly',
      planOf([moveOf(3, 'a', 'n1', 'n2')], [[0]]),
      'schedule',
      'the move at place 0 has the index 3',
    ],
    ['has a move of no steps', stepless, 'schedule', 'move 0 has no steps'],
    [
      'leaves a move out of the job sets',
      planOf(three.moves, [[0, 1]]),
      'jobsets',
      'move 2 is in no job set',
    ],
    ['has no job sets', planOf(three.moves, []), 'jobsets', 'move 0 is in no job set'],
    [
      'has a move in two sets',
      planOf(three.moves, [
        [0, 1],
        [2, 0],
      ]),
      'jobsets',
      'move 0 is in job sets 2 times',
    ],
    [
      'has a move in a set twice',
      planOf(three.moves, [
        [0, 1],
        [2, 2],
      ]),
      'jobsets',
      'move 2 is in job sets 2 times',
    ],
  ])('is refused in a sentence: it %s', (_what, plan, mode, sentence) => {
    expect(() => refuseUnplayable(plan, mode, 'p.json')).toThrow(
      `p.json: ${sentence}; give the plan as it was printed`,
    );
  });

  /** A mirrored instance's move, by steps such as 'm:n1>n2' (memory) and 'd:n2>n3' (disks). */
  const mirrored = (
    from: [string, string],
    to: [string, string],
    steps: string[],
    more: Partial<PlanMove> = {},
  ): PlanMove => ({
    ...moveOf(0, 'a', from[0], to[0]),
    from: { primary: from[0], secondary: from[1] },
    to: { primary: to[0], secondary: to[1] },
    steps: steps.map((text) => ({
      operation: text.startsWith('d') ? 'disk_replication' : 'live_migration',
      source_node: text.slice(2, 4),
      target_node: text.slice(5),
      duration_seconds: { p10: 9, p50: 10, p90: 12 },
    })),
    ...more,
  });
  const twice = (from: string, after: number[]): PlanMove[] => [
    moveOf(0, 'a', 'n1', 'n2'),
    moveOf(1, 'a', from, 'n3', after),
  ];

  it.each<[string, PlanMove[], string]>([
    ['ends where it begins', [moveOf(0, 'a', 'n1', 'n1')], 'move 0 ends where it begins, on n1'],
    [
      'has both copies on one node',
      [mirrored(['n1', 'n2'], ['n2', 'n2'], ['m:n1>n2'])],
      'move 0 has n2 as primary and as secondary node at once',
    ],
    [
      'needs several moves',
      [mirrored(['n1', 'n2'], ['n3', 'n4'], ['d:n1>n3', 'm:n1>n3'])],
      'move 0 goes from n1:n2 to n3:n4, which no single move does',
    ],
    [
      'loses its mirror',
      [{ ...moveOf(0, 'a', 'n1', 'n2'), from: { primary: 'n1', secondary: 'n2' } }],
      'move 0 goes from n1:n2 to n2, which no single move does',
    ],
    [
      'has steps between other nodes',
      [{ ...moveOf(0, 'a', 'n1', 'n2'), to: { primary: 'n3' } }],
      'move 0 has the step live_migration from n1 to n2, but a move from n1 to n3 has there a migration or failover from n1 to n3',
    ],
    [
      'copies disks where it migrates',
      [mirrored(['n1', 'n2'], ['n3', 'n1'], ['m:n1>n3', 'm:n1>n3'])],
      'move 0 has the step live_migration from n1 to n3, but a move from n1:n2 to n3:n1 has there a disk_replication from n1 to n3',
    ],
    [
      'leaves steps out',
      [mirrored(['n1', 'n2'], ['n3', 'n2'], ['m:n1>n2'])],
      'move 0 has 1 step, but a move from n1:n2 to n3:n2 takes 3 steps',
    ],
    [
      'lets go of a node that it keeps',
      [mirrored(['n1', 'n2'], ['n1', 'n3'], ['d:n1>n3'], { releases_early: 'n1' })],
      'move 0 releases n1 early, which it does not leave by a copy of disks',
    ],
    [
      'lets go of a node without a copy',
      [moveOf(0, 'a', 'n1', 'n2', []), { ...moveOf(1, 'b', 'n1', 'n2'), releases_early: 'n1' }],
      'move 1 releases n1 early, which it does not leave by a copy of disks',
    ],
    [
      'takes an instance from where it is not',
      twice('n4', [0]),
      'move 1 takes a from n4, but move 0 leaves it on n2',
    ],
    ['moves an instance twice at once', twice('n2', []), 'move 1 of a does not wait for move 0 of it'],
    [
      'ends before it starts',
      [{ ...moveOf(0, 'a', 'n1', 'n2'), start_seconds: 11 }],
      'move 0 ends before it starts',
    ],
    [
      'has a p90 before its p50',
      [{ ...moveOf(0, 'a', 'n1', 'n2'), end_seconds: { p50: 10, p90: 9 } }],
      'move 0 has quantiles that cross',
    ],
  ])('is refused where a move %s', (_what, moves, sentence) => {
    expect(() => refuseUnplayable(planOf(moves, []), 'schedule', 'p.json')).toThrow(
      `p.json: ${sentence}; give the plan as it was printed`,
    );
  });

  it('is refused where it promises nine times of ten sooner than every other time', () => {
    expect(() =>
      refuseUnplayable({ ...three, duration_seconds: { p50: 20, p90: 19 } }, 'schedule', 'p.json'),
    ).toThrow('p.json: promises its p90 before its p50; give');
  });

  it('is none where every kind of move goes by its own steps, and an instance moves on from where it is', () => {
    for (const move of [
      mirrored(['n1', 'n2'], ['n2', 'n1'], ['m:n1>n2']),
      mirrored(['n1', 'n2'], ['n1', 'n3'], ['d:n1>n3'], { releases_early: 'n2' }),
      mirrored(['n1', 'n2'], ['n3', 'n1'], ['d:n1>n3', 'm:n1>n3'], { releases_early: 'n2' }),
      mirrored(['n1', 'n2'], ['n3', 'n2'], ['m:n1>n2', 'd:n2>n3', 'm:n2>n3'], { releases_early: 'n1' }),
      mirrored(['n1', 'n2'], ['n2', 'n3'], ['m:n1>n2', 'd:n2>n3'], { releases_early: 'n1' }),
    ])
      expect(() => refuseUnplayable(planOf([move], [[0]]), 'jobsets', 'p.json')).not.toThrow();
    const through = [
      moveOf(0, 'a', 'n1', 'n2'),
      moveOf(1, 'b', 'n4', 'n2', [0]),
      moveOf(2, 'a', 'n2', 'n3', [1]),
    ];
    expect(() => refuseUnplayable(planOf(through, []), 'schedule', 'p.json')).not.toThrow();
    const sets = planOf(twice('n2', []), [[0], [1]]);
    expect(() => refuseUnplayable(sets, 'jobsets', 'p.json')).not.toThrow();
    expect(() => refuseUnplayable({ ...sets, jobsets: [[0, 1]] }, 'jobsets', 'p.json')).toThrow(
      'move 1 of a does not wait for move 0 of it',
    );
  });

  it('is none where moves wait for the same one, or job sets are not asked for', () => {
    expect(() => refuseUnplayable(chain([], [0], [0, 1], [1, 2, 2]), 'schedule', 'p.json')).not.toThrow();
    expect(() => refuseUnplayable(planOf(three.moves, []), 'schedule', 'p.json')).not.toThrow();
    expect(() => refuseUnplayable(three, 'jobsets', 'p.json')).not.toThrow();
  });
});

describe('the room for moves when they start', () => {
  // n2 has room for one of a and b, and for c's memory only where a or b is gone; its disk is full for a copy of c.
  const text = `g|u|preferred||

n1|65536|512|60000|1000000|900000|32|N|u|1
n2|8192|512|3072|100000|3000|32|N|u|1
n3|65536|512|60000|1000000|900000|32|N|u|1
n4|65536|512|60000|1000000|900000|32|N|u|1

a|2048|0|1|running|Y|n1||ext|
b|2048|0|1|running|Y|n1||ext|
c|2048|6000|1|running|Y|n3|n4|drbd|
off|4096|0|1|ADMIN_down|Y|n1||ext|
own|4608|0|1|running|Y|n2||ext|

`;
  const { cluster } = parseHtoolsText(text, { file: 'c', duplicates: 'refuse' });
  const sentencesOf = (moves: PlanMove[], further: TruthFile = {}): readonly string[] => {
    const plan = planOf(moves, [[...moves.keys()]]);
    const room = new RoomWatch(cluster, plan);
    playPlan(plan, { live_migration: { fixed_seconds: 10 }, ...further }, 'schedule', room);
    return room.sentences();
  };
  const mirrored = (
    index: number,
    from: [string, string],
    to: [string, string],
    after: number[] = [],
  ): PlanMove => ({
    ...moveOf(index, 'c', from[0], to[0], after),
    from: { primary: from[0], secondary: from[1] },
    to: { primary: to[0], secondary: to[1] },
  });

  it('is asked of the memory of the target as moves before it have left it', () => {
    expect(sentencesOf([moveOf(0, 'a', 'n1', 'n2')])).toEqual([]);
    expect(sentencesOf([moveOf(0, 'a', 'n1', 'n2'), moveOf(1, 'b', 'n1', 'n2')])).toEqual([
      'move 1 of b: n2 has 1024 MiB of memory free when it starts, 2048 are needed',
    ]);
    expect(
      sentencesOf([
        moveOf(0, 'a', 'n1', 'n2'),
        moveOf(1, 'a', 'n2', 'n3', [0]),
        moveOf(2, 'b', 'n1', 'n2', [1]),
      ]),
    ).toEqual([]);
    expect(sentencesOf([moveOf(0, 'off', 'n1', 'n2')])).toEqual([]);
  });

  it('is taken from the start of a move, and given back when it fails', () => {
    const both = [moveOf(0, 'a', 'n1', 'n2'), moveOf(1, 'b', 'n1', 'n2')];
    expect(sentencesOf(both, { moves_per_node: 2 })).toHaveLength(1);
    expect(sentencesOf(both, { failures: [{ instance: 'a' }] })).toEqual([]);
  });

  it('is asked of disks, and of the secondary through which an instance goes', () => {
    expect(sentencesOf([mirrored(0, ['n3', 'n4'], ['n3', 'n2'])])).toEqual([
      'move 0 of c: n2 has 3000 MiB of disk free when it starts, 6000 are needed',
    ]);
    const full = structuredClone(cluster);
    full.instances[2]!.secondary = 1;
    const plan = planOf([mirrored(0, ['n3', 'n2'], ['n4', 'n2'])], [[0]]);
    const room = new RoomWatch(
      {
        ...full,
        nodes: full.nodes.map((node) => (node.name === 'n2' ? { ...node, freeMemory: 512 } : node)),
      },
      plan,
    );
    playPlan(plan, { live_migration: { fixed_seconds: 10 } }, 'schedule', room);
    expect(room.sentences()).toEqual([
      'move 0 of c: n2 has 512 MiB of memory free when it starts, 2048 are needed',
    ]);
  });

  it('says when an instance is not where a move takes it from', () => {
    expect(sentencesOf([moveOf(0, 'a', 'n1', 'n3'), moveOf(1, 'a', 'n4', 'n1', [0])])).toEqual([
      'move 1 of a: its instance is on n3 when it starts, not on n4',
    ]);
    expect(sentencesOf([mirrored(0, ['n3', 'n1'], ['n1', 'n3'])])).toEqual([
      'move 0 of c: its instance is on n3:n4 when it starts, not on n3:n1',
    ]);
  });

  it('is not asked on nodes and of instances that the cluster does not have', () => {
    expect(sentencesOf([moveOf(0, 'nosuch', 'n1', 'n2'), moveOf(1, 'a', 'n1', 'nowhere')])).toEqual([]);
    expect(sentencesOf([moveOf(0, 'a', 'nowhere', 'n2')])).toEqual([]);
    expect(sentencesOf([])).toEqual([]);
  });
});

describe('constant costs', () => {
  const request = { instance: 'a', source_node: 'n1', target_node: 'n2', memory_mib: 1000 };

  it('are a time plus the data at a rate, plain figures where nothing is given', async () => {
    const costs = new ConstantMoveCosts({ disk_replication: { fixed_seconds: 1, mib_per_second: 10 } });
    const { p50 } = await costs.durations([
      request,
      { ...request, operation: 'disk_replication', disk_mib: 500 },
    ]);
    expect([...p50]).toEqual([18, 51]);
  });

  it('come from the row of the table that names most of a step', async () => {
    const costs = new ConstantMoveCosts({
      table: [
        { instance: 'a', seconds: 1 },
        { instance: 'a', operation: 'live_migration', seconds: 2 },
        { instance: 'a', operation: 'live_migration', target_node: 'n2', seconds: 3, p10: 2, p90: 9 },
      ],
    });
    const { p10, p50, p90 } = await costs.durations([
      { ...request, operation: 'live_migration' },
      { ...request, operation: 'live_migration', target_node: 'n3' },
      { ...request, operation: 'failover' },
    ]);
    expect([...p50]).toEqual([3, 2, 1]);
    expect([p10[0], p90[0]]).toEqual([2, 9]);
  });
});

describe('the chart of a schedule', () => {
  it('has a line a node for a terminal', () => {
    const text = ganttText(three, 20);
    expect(text.split('\n').filter((line) => /^n\d \|/.test(line))).toHaveLength(5);
    expect(text).toContain('10 s');
  });

  it('fits into a narrow terminal, down to ten columns of time', () => {
    const longest = (text: string): number => Math.max(...text.split('\n').map((line) => line.length));
    expect(longest(ganttText(three, 72, 200))).toBe(2 + 4 + 72);
    expect(longest(ganttText(three, 72, 40))).toBe(40);
    expect(longest(ganttText(three, 72, 5))).toBe(2 + 4 + 10);
  });

  const inTime: Plan = planOf(
    [
      { ...moveOf(0, 'a', 'n1', 'n2'), end_seconds: { p50: 30, p90: 90 } },
      {
        ...moveOf(1, 'b', 'n3', 'n1', [0]),
        start_seconds: 30,
        end_seconds: { p50: 40, p90: 99 },
        steps: [{ ...moveOf(1, 'b', 'n3', 'n1').steps[0]!, operation: 'disk_replication' }],
        releases_early: 'n3',
      },
    ],
    [[0], [1]],
  );

  it('has its bars on the lines of their nodes, from start to end', () => {
    expect(ganttText(inTime, 8).split('\n')).toEqual([
      'n1 |00000011|',
      'n2 |000000..|',
      'n3 |........|',
      '    0 s   40 s',
      '',
    ]);
    const bars = ganttSvg(inTime).matchAll(
      /<rect x="([\d.]+)" y="(\d+)" width="([\d.]+)" height="(\d+)" fill="([^"]+)"[^>]*><title>(\d)/g,
    );
    expect([...bars].map((found) => found.slice(1))).toEqual([
      ['220.0', '34', '720.0', '20', '#3b7dd8', '0'],
      ['220.0', '56', '720.0', '20', '#3b7dd8', '0'],
      ['940.0', '34', '240.0', '20', '#d98c2b', '1'],
    ]);
    const ticks = ganttSvg(inTime).matchAll(/<text x="([\d.]+)" y="118" text-anchor="middle">(\d+) s/g);
    expect([...ticks].map((found) => found.slice(1).map(Number))).toEqual(
      [0, 1, 2, 3, 4, 5, 6].map((t) => [220 + 160 * t, Math.round((40 * t) / 6)]),
    );
  });

  it('is SVG with a bar for each node that a move keeps busy, and escapes names', () => {
    const odd = planOf([moveOf(0, 'a<b>&"', 'n1', 'n2')], [[0]]);
    const svg = ganttSvg(odd);
    expect(svg.match(/<title>/g)).toHaveLength(2);
    expect(svg).toContain('a&lt;b&gt;&amp;&quot;');
    expect(svg).not.toContain('a<b>');
  });
});
