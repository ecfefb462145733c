import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ConstantMoveCosts } from '../../src/balancer/constant-move-costs.js';
import { GroupModel } from '../../src/balancer/group-model.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import { PlanSearch, type PlanSearchSettings } from '../../src/balancer/plan-search.js';
import { defaultSearchOptions, type SearchOptions } from '../../src/balancer/search-options.js';
import type { Plan } from '../../src/domain/plan.js';
import { generateCluster } from './cluster-generator.js';

const modelOf = (text: string): GroupModel =>
  new GroupModel(parseHtoolsText(text, { file: 'given', duplicates: 'refuse' }).cluster, { group: 0 });
const generated = (seed: number): GroupModel =>
  modelOf(generateCluster({ seed, nodes: 5, instancesPerNode: 5 }));

/** Of constants, with errors of past moves: later than predicted, as predicted, sooner, and now this, now that. */
const COSTS = {
  late: new ConstantMoveCosts({ errors: { hours: [[[0.5, 1, 2]], [[1, 3]]], most_factor: 20 } }),
  unknown: new ConstantMoveCosts({}),
  early: new ConstantMoveCosts({ errors: { hours: [[[-0.5, -1, -2]]], most_factor: 20 } }),
  wild: new ConstantMoveCosts({ spread: 4, errors: { hours: [[[-2, 3]], [[0, 2, -1]]], most_factor: 50 } }),
};

const plans = (
  start: GroupModel,
  costs: ConstantMoveCosts = COSTS.unknown,
  settings: Partial<PlanSearchSettings> = {},
  options: Partial<SearchOptions> = {},
): Promise<PlanSearch> =>
  PlanSearch.ask(start, { ...defaultSearchOptions, ...options }, costs, {
    seed: 1,
    effort: 0.01,
    quantile: 0.5,
    ...settings,
  });

const document = async (search: PlanSearch, maxSeconds?: number): Promise<Plan> =>
  (await search.plan(maxSeconds)).built.document;

describe('a plan within a time', () => {
  it('ends in time by its own median, whatever past moves erred', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5000 }),
        fc.constantFrom(...Object.values(COSTS)),
        fc.constantFrom(0.1, 0.5, 0.9),
        fc.constantFrom(1, 2),
        fc.constantFrom(0.05, 0.3, 0.9, 3),
        async (seed, costs, quantile, parallelPerNode, share) => {
          const search = await plans(generated(seed), costs, { quantile }, { parallelPerNode });
          const limit = share * (await document(search)).duration_seconds.p50;
          const plan = await document(search, limit);
          expect(plan.duration_seconds.p50).toBeLessThanOrEqual(limit);
          expect(plan.score_after).toBeLessThanOrEqual(plan.score_before);
        },
      ),
      { numRuns: 12 },
    );
  });

  it.each(Object.entries(COSTS))(
    'is as good as the plan without a limit where that ends in time (errors: %s)',
    async (_errors, costs) => {
      for (const seed of [1, 2, 3]) {
        const search = await plans(generated(seed), costs);
        const whole = await document(search);
        for (const limit of [whole.duration_seconds.p50, 10 * whole.duration_seconds.p50])
          expect((await document(search, limit)).score_after).toBeLessThanOrEqual(whole.score_after + 1e-9);
      }
    },
  );

  it.each(Object.entries(COSTS))('uses the time that it has (errors: %s)', async (_errors, costs) => {
    for (const seed of [4, 5, 6]) {
      const search = await plans(generated(seed), costs);
      const whole = await document(search);
      const limit = whole.duration_seconds.p50 / 2;
      const plan = await document(search, limit);
      expect(plan.duration_seconds.p50).toBeGreaterThan(0.6 * limit);
    }
  });

  it('counts with late durations where it is asked to', async () => {
    const start = generated(7);
    const costs = new ConstantMoveCosts({ spread: 4 });
    const lateEnd = ({ moves }: Plan): number => {
      const ends: number[] = [];
      for (const { after, steps } of moves)
        ends.push(
          Math.max(0, ...after.map((a) => ends[a]!)) +
            steps.reduce((sum, { duration_seconds }) => sum + duration_seconds.p90, 0),
        );
      return Math.max(...ends);
    };
    const whole = await document(await plans(start, costs));
    for (const limit of [0.5, 1.2].map((share) => share * whole.duration_seconds.p50)) {
      const usual = await document(await plans(start, costs, { quantile: 0.5 }), limit);
      const careful = await document(await plans(start, costs, { quantile: 0.9 }), limit);
      expect(careful.moves.length).toBeGreaterThan(0);
      expect(lateEnd(careful)).toBeLessThanOrEqual(limit + 0.01); // durations in the document are rounded
      expect(lateEnd(usual)).toBeGreaterThan(limit);
    }
  });

  it.each([0, 0.09, 0.91, 1, NaN])('is not searched by a quantile of %p', async (quantile) => {
    await expect(plans(generated(1), COSTS.unknown, { quantile })).rejects.toThrow('from 0.1 to 0.9');
  });
});

describe('a plan of no moves says why', () => {
  const SWAP = `g|u|preferred||

a|1000|0|50|10000|9000|8|N|u|1
b|1000|0|50|10000|9000|8|N|u|1

big|950|100|4|running|Y|a||ext||1
other|950|100|1|running|Y|b||ext||1

`;
  const ONE_SIDED = SWAP.replace('other|950|100|1|running|Y|b||ext||1\n', '')
    .replace('b|1000|0|50|10000', 'b|1000|0|1000|10000')
    .replace('big|950|100|4', 'big|475|100|2\nsecond|475|100|2'.split('\n')[0]!)
    .replace('|running|Y|a||ext||1', '|running|Y|a||ext||1\nsecond|475|100|2|running|Y|a||ext||1');
  const OTHER_DISKS = ONE_SIDED.replaceAll('ext', 'plain');

  it.each<[string, string, Partial<PlanSearchSettings>, Partial<SearchOptions>, number | undefined]>([
    ['breaks a rule', SWAP, {}, {}, undefined],
    ['breaks a rule', SWAP, {}, {}, 3600],
    ['quickest move that makes the score better takes 12.8 s, and there are 5', ONE_SIDED, {}, {}, 5],
    ['an hour of moving; the best gains', ONE_SIDED, { maxGainCost: 1e9 }, {}, undefined],
    ['2 not selected', ONE_SIDED, {}, { selected: new Set() }, undefined],
    ['1 excluded, 1 not selected', ONE_SIDED, {}, { excluded: new Set(['big']), selected: new Set() }, 60],
    ['2 on no offline node', ONE_SIDED, {}, { evacuate: true }, undefined],
    ['2 with disks on one node alone', OTHER_DISKS, {}, {}, undefined],
    ['-l 0', ONE_SIDED, {}, { maxLength: 0 }, undefined],
    ['no kind of move', ONE_SIDED, {}, { instanceMoves: false }, 60],
    ['(-g)', ONE_SIDED, {}, { minGain: 1e9, minGainLimit: 1e9 }, undefined],
    ['(-g)', ONE_SIDED, {}, { minGain: 1e9, minGainLimit: 1e9 }, 3600],
  ])('%s', async (words, text, settings, options, maxSeconds) => {
    const plan = await document(await plans(modelOf(text), COSTS.unknown, settings, options), maxSeconds);
    expect(plan.moves).toEqual([]);
    expect(plan.warnings).toEqual([expect.stringMatching(/^nothing is moved: /)]);
    expect(plan.warnings![0]).toContain(words);
  });

  it('but not where nothing is to be gained', async () => {
    const search = await plans(modelOf(ONE_SIDED), COSTS.unknown, {}, { minScore: 1e9 });
    expect((await document(search)).warnings).toBeUndefined();
    const empty = modelOf(SWAP.replace(/^(big|other).*\n/gm, ''));
    expect((await document(await plans(empty))).warnings).toBeUndefined();
  });
});
