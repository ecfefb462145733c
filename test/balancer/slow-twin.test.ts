import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Cluster } from '../../src/balancer/cluster.js';
import {
  FORTHCOMING,
  GroupModel,
  MIRROR_INTERNAL,
  MIRROR_NONE,
  type GroupModelOptions,
} from '../../src/balancer/group-model.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import { MoveBound } from '../../src/balancer/move-bound.js';
import { MoveTrial } from '../../src/balancer/move-trial.js';
import {
  FAILOVER,
  FAILOVER_TO_ANY,
  REPLACE_PRIMARY,
  REPLACE_SECONDARY,
  type Move,
} from '../../src/balancer/moves.js';
import { seededRandom } from '../../src/balancer/random.js';
import { METRICS, ScoreBoard } from '../../src/balancer/score.js';
import { LETTERS, slowAllows, slowMayStand, type SlowMove } from './slow-rules.js';
import { placementOf, slowOptimum, slowScore, type SlowState } from './slow-score.js';
import { strangeCluster, strangeLoads } from './strange-cluster.js';

/** Score and checks beside twins that compute them from nothing, on clusters with everything that the format allows. */

const cases = fc.record({
  seed: fc.integer({ min: 1, max: 1_000_000 }),
  nodes: fc.integer({ min: 1, max: 6 }),
  instancesPerNode: fc.integer({ min: 1, max: 5 }),
  withLoads: fc.boolean(),
  ignoreLoads: fc.boolean(),
  calledOffline: fc.boolean(),
  loadRule: fc.constantFrom('3.0' as const, '3.1' as const),
  exclusionTags: fc.constantFrom([], ['role']),
  minDiskRatio: fc.constantFrom(0, 0.3),
  maxCpuRatio: fc.constantFrom(undefined, 1.5),
  ignoreSoftErrors: fc.boolean(),
});

/** The same in every run, so that every component and kind of move is met whatever else is drawn. */
const sameEachTime = fc.sample(fc.tuple(cases), { seed: 1, numRuns: 150 });

type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never;

/** Made of a case within a property, so that a failing one is told by its few numbers. */
function groupOf({ seed, nodes, instancesPerNode, withLoads, calledOffline, maxCpuRatio, ...plain }: Case): {
  cluster: Cluster;
  options: GroupModelOptions;
} {
  const cluster = strangeCluster(seed, { nodes, instancesPerNode });
  const { ignoreLoads, loadRule, exclusionTags, minDiskRatio } = plain;
  const options = {
    group: seed % cluster.groups.length,
    ignoreLoads,
    loadRule,
    exclusionTags,
    minDiskRatio,
    ...(withLoads ? { loads: strangeLoads(seed, cluster) } : {}),
    ...(calledOffline ? { offline: new Set([cluster.nodes[seed % nodes]!.name]) } : {}),
    ...(maxCpuRatio === undefined ? {} : { maxCpuRatio }),
  };
  return { cluster, options };
}

const nodesOf = ({ fromPrimary, fromSecondary, toPrimary, toSecondary }: Move): number[] =>
  [fromPrimary, fromSecondary, toPrimary, toSecondary].filter((k) => k >= 0);

const isClose = (fast: number, slow: number): boolean => Math.abs(fast - slow) <= 1e-9 * (1 + Math.abs(slow));

describe('beside a twin that computes from nothing', () => {
  it('score, components and checks are the same before every move, and after those that are made', () => {
    const allowed = new Map<string, number>();
    const refused = new Map<string, number>();
    const positive = new Set<number>();
    const count = (where: Map<string, number>, what: string): unknown =>
      where.set(what, (where.get(what) ?? 0) + 1);
    fc.assert(
      fc.property(cases, (one) => {
        const { seed, ignoreSoftErrors } = one;
        const { cluster, options } = groupOf(one);
        const model = new GroupModel(cluster, options);
        const board = new ScoreBoard(model);
        const trial = new MoveTrial(board, { ignoreSoftErrors });
        const bound = new MoveBound(board, trial);
        const random = seededRandom(seed);
        const below = (n: number): number => Math.floor(random() * n);
        const touched = new Set<number>();
        const state = (): SlowState => ({ cluster, options, now: placementOf(model), touched });
        const compare = (): void => {
          const slow = slowScore(state());
          const wrong = METRICS.filter((_metric, c) => !isClose(board.components[c]!, slow.components[c]!));
          expect(wrong).toEqual([]);
          expect(isClose(board.score, slow.score)).toBe(true);
          slow.components.forEach((value, c) => value > 0 && positive.add(c));
        };
        compare();
        expect(isClose(model.optimum, slowOptimum(cluster, options))).toBe(true);
        for (let step = 0; step < 25 && model.instanceCount > 0; step++) {
          const i = below(model.instanceCount);
          const s = model.secondary[i]!;
          const x = below(model.nodeCount);
          const mirrored = model.mirror[i] === MIRROR_INTERNAL;
          if (model.mirror[i] === MIRROR_NONE || s >= model.nodeCount || (mirrored && s < 0)) continue;
          trial.begin(i);
          const y = mirrored ? below(model.nodeCount) : -1;
          // Where it stands already is no place to ask for.
          const elsewhere = x !== y && (x !== model.primary[i] || y !== s);
          const place = [model.nodeIndex[x]!, y < 0 ? -1 : model.nodeIndex[y]!] as const;
          const keeps = [random() < 0.2, random() < 0.2] as const;
          const stands = elsewhere && slowMayStand(state(), model.instanceIndex[i]!, place, keeps);
          expect(elsewhere && trial.allowsPlacement(x, y, ...keeps)).toBe(stands);
          if (elsewhere) count(stands ? allowed : refused, 'stand');
          if (x === model.primary[i] || x === s) continue;
          const kind = mirrored ? ([0, 2, 3, 4, 5] as const)[below(5)]! : FAILOVER_TO_ANY;
          const move: SlowMove = {
            instance: model.instanceIndex[i]!,
            letters: LETTERS[kind],
            target: kind === FAILOVER ? -1 : model.nodeIndex[x]!,
          };
          const may = slowAllows(state(), move, ignoreSoftErrors);
          expect([move.letters, trial.allows(kind, kind === FAILOVER ? -1 : x)]).toEqual([move.letters, may]);
          count(may ? allowed : refused, move.letters);
          if (!may) continue;
          const promised = trial.exactScore();
          expect(isClose(trial.approximateScore(), promised)).toBe(true);
          bound.begin(i);
          expect(bound.least(kind, x)).toBeLessThanOrEqual(promised);
          expect(trial.approximateScore(promised + 1e-9 * (1 + promised))).toBeLessThan(Infinity);
          for (const k of nodesOf(trial.commit()))
            if (!model.has(i, FORTHCOMING)) touched.add(model.nodeIndex[k]!);
          expect(board.score).toBe(promised);
          compare();
        }
      }),
      { numRuns: 300, examples: sameEachTime },
    );
    // Every component, and every kind of move both ways: else nothing was compared.
    expect(positive.size).toBe(20);
    for (const letters of [...Object.values(LETTERS), 'stand']) {
      expect(allowed.get(letters)).toBeGreaterThan(3);
      expect(refused.get(letters)).toBeGreaterThan(3);
    }
  });

  it.each([
    ['goes', 1, 2, 1],
    ['comes', 2, 1, 3],
  ] as const)(
    'a node whose memory is just what is reserved fails N+1 once what %s is made',
    (name, i, x, n1) => {
      const { cluster } = parseHtoolsText(
        `g|u|preferred||

a|1000|0|800|10000|9000|8|N|u|1
b|300|0|200|10000|9000|8|N|u|1
c|1000|0|900|10000|9000|8|N|u|1

mirrored|${name === 'goes' ? 300 : 100}|500|1|running|Y|a|b|drbd||1
goes|100|500|1|running|Y|b||ext||1
comes|100|500|1|running|Y|c||ext||1

`,
        { file: 'just', duplicates: 'refuse' },
      );
      const options = { group: 0 };
      const model = new GroupModel(cluster, options);
      const board = new ScoreBoard(model);
      const trial = new MoveTrial(board, { ignoreSoftErrors: true });
      trial.begin(i);
      expect(trial.allows(FAILOVER_TO_ANY, x)).toBe(true);
      trial.commit();
      const slow = slowScore({ cluster, options, now: placementOf(model), touched: new Set([1, 2]) });
      const failing = METRICS.findIndex(({ name: metric }) => metric === 'n1_cnt');
      expect([board.components[failing], slow.components[failing]]).toEqual([n1, n1]);
      expect(isClose(board.score, slow.score)).toBe(true);
    },
  );
});

it('leaves memory beside what is promised to instances that are down, to the last MiB', () => {
  for (const [free, fits] of [
    [1524, false],
    [1525, true],
  ] as const) {
    const text = `g|u|preferred||

n0|65536|512|60000|1000000|900000|32|N|u|1
n1|65536|512|60000|1000000|900000|32|N|u|1
n2|65536|512|${free}|1000000|900000|32|N|u|1

moves|1024|6000|1|running|Y|n0|n1|drbd|
down|500|6000|1|ADMIN_down|Y|n2||plain|

`;
    const { cluster } = parseHtoolsText(text, { file: 'tight', duplicates: 'refuse' });
    const trial = new MoveTrial(new ScoreBoard(new GroupModel(cluster, { group: 0 })));
    trial.begin(0);
    expect(trial.allows(REPLACE_SECONDARY, 2)).toBe(fits);
    expect(trial.allows(REPLACE_PRIMARY, 2)).toBe(fits);
  }
});
