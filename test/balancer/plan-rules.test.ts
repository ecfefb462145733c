import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ConstantMoveCosts } from '../../src/balancer/constant-move-costs.js';
import { GroupModel, type GroupModelOptions } from '../../src/balancer/group-model.js';
import { MovePrices } from '../../src/balancer/move-prices.js';
import { buildPlan } from '../../src/balancer/plan-builder.js';
import { seededRandom } from '../../src/balancer/random.js';
import { defaultSearchOptions } from '../../src/balancer/search-options.js';
import { timedSearch } from '../../src/balancer/timed-search.js';
import { SlowReplay } from './slow-replay.js';
import { slowScore } from './slow-score.js';
import { strangeCluster, strangeLoads } from './strange-cluster.js';

/** Plans for clusters with everything that the format allows, held against score and rules computed from nothing. */

interface Drawn {
  seed: number;
  nodes: number;
  instancesPerNode: number;
  withLoads: boolean;
  online: boolean;
  emptied: boolean;
  ignoreSoftErrors: boolean;
}

/** An order that respects what each move waits for, drawn at random. */
function anyOrder(after: readonly (readonly number[])[], random: () => number): number[] {
  const done = new Set<number>();
  while (done.size < after.length) {
    const ready = [...after.keys()].filter((m) => !done.has(m) && after[m]!.every((w) => done.has(w)));
    done.add(ready[Math.floor(random() * ready.length)]!);
  }
  return [...done];
}

/** Clusters whose plans have many moves and orders, so that every run looks at some. */
const wide = (seed: number): [Drawn] => [
  {
    seed,
    nodes: 7,
    instancesPerNode: 5,
    withLoads: false,
    online: true,
    emptied: false,
    ignoreSoftErrors: false,
  },
];

describe('a plan for a strange cluster', () => {
  it.each([1, 2, 3])(
    'of %i moves at once on a node keeps every rule in every order that `after` allows, and ends with the score it says',
    async (parallelPerNode) => {
      let plans = 0;
      let otherOrders = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.record({
            seed: fc.integer({ min: 1, max: 1_000_000 }),
            nodes: fc.integer({ min: 2, max: 7 }),
            instancesPerNode: fc.integer({ min: 1, max: 5 }),
            withLoads: fc.boolean(),
            online: fc.boolean(),
            emptied: fc.boolean(),
            ignoreSoftErrors: fc.boolean(),
          }),
          async ({ seed, nodes, instancesPerNode, withLoads, online, emptied, ignoreSoftErrors }) => {
            const cluster = strangeCluster(seed, {
              nodes,
              instancesPerNode,
              offline: !online,
              sharedSpindles: parallelPerNode === 1,
            });
            const options: GroupModelOptions = {
              group: seed % cluster.groups.length,
              ...(withLoads ? { loads: strangeLoads(seed, cluster) } : {}),
            };
            if (!online && emptied) cluster.nodes[seed % nodes]!.offline = true;
            const start = new GroupModel(cluster, options);
            const costs = new ConstantMoveCosts({});
            const search = { ...defaultSearchOptions, parallelPerNode, ignoreSoftErrors };
            const prices = await MovePrices.ask(start, costs, 0.5, parallelPerNode - 1);
            const found = timedSearch(start, search, prices, { seed, effort: 0.005 });
            const { moves, document } = await buildPlan(start, found.moves, costs, {
              parallelPerNode,
              ignoreSoftErrors,
            });
            const random = seededRandom(seed);
            const after = document.moves.map((move) => move.after);
            const { score: before } = slowScore(new SlowReplay(cluster, options, start).state);
            expect(Math.abs(found.scoreBefore - before)).toBeLessThan(1e-8 * (1 + before));
            const given = [...moves.keys()];
            for (const order of [given, anyOrder(after, random), anyOrder(after, random)]) {
              const replay = new SlowReplay(cluster, options, start);
              // Of moves at once, only memory, disk and spindles are sure in every order: a soft rule, N+1 among them,
              // may hold before what has begun beside a move and not after it.
              const forced = order !== given && parallelPerNode > 1;
              order.forEach((m, t) => {
                expect(replay.allows(moves[m]!, ignoreSoftErrors || forced)).toBe(true);
                replay.make(moves[m]!);
                if (m !== t) otherOrders += 1;
              });
              const { score } = slowScore(replay.state);
              expect(Math.abs(found.scoreAfter - score)).toBeLessThan(1e-7 * (1 + score));
              expect(Math.abs(document.score_after - score)).toBeLessThan(1e-7 * (1 + score));
            }
            if (moves.length > 1) plans += 1;
          },
        ),
        { numRuns: 25, examples: [7, 8, 9].map(wide) },
      );
      expect(plans).toBeGreaterThan(2);
      expect(otherOrders).toBeGreaterThan(2);
    },
  );
});
