import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { blindSearch } from '../../src/balancer/blind-search.js';
import { ConstantMoveCosts } from '../../src/balancer/constant-move-costs.js';
import { earlyReleases } from '../../src/balancer/early-release.js';
import { GroupModel } from '../../src/balancer/group-model.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import { LimitedSearch, type LimitedSettings } from '../../src/balancer/limited-search.js';
import { MovePrices } from '../../src/balancer/move-prices.js';
import { MoveTrial } from '../../src/balancer/move-trial.js';
import { movesBefore, playOrder } from '../../src/balancer/schedule.js';
import { ScoreBoard } from '../../src/balancer/score.js';
import { defaultSearchOptions, type SearchOptions } from '../../src/balancer/search-options.js';
import { playMoves, type TimedPlan } from '../../src/balancer/timed-search.js';
import { generateCluster } from './cluster-generator.js';

const EFFORT = 0.01;
/** Scores nearer than this are the same but for rounding. */
const SAME = 1e-9;
/** Of all durations, those of the costs file that says nothing. */
const costs = new ConstantMoveCosts({});

interface Drawn {
  seed: number;
  nodes?: number;
  oddity?: number;
  offline?: boolean;
}

function modelOf({ seed, nodes = 5, oddity = 0, offline = false }: Drawn): GroupModel {
  const text = generateCluster({ seed, nodes, instancesPerNode: 5, oddity });
  const { cluster } = parseHtoolsText(text, { file: 'generated', duplicates: 'refuse' });
  if (offline) cluster.nodes[seed % nodes]!.offline = true;
  return new GroupModel(cluster, { group: 0 });
}

async function searchOf(
  start: GroupModel,
  options: Partial<SearchOptions> = {},
  settings: Partial<LimitedSettings> = {},
): Promise<{ search: LimitedSearch; prices: MovePrices }> {
  const all = { ...defaultSearchOptions, ...options };
  const prices = await MovePrices.ask(start, costs, 0.5, (all.parallelPerNode ?? 1) - 1);
  return { search: new LimitedSearch(start, all, prices, { seed: 1, effort: EFFORT, ...settings }), prices };
}

/** Moves by when they end, one at a time on each node. */
function ended(start: GroupModel, { moves }: Pick<TimedPlan, 'moves'>, prices: MovePrices) {
  const seconds = moves.map(({ instance, kind, target }) => prices.typical(instance, kind, target));
  const ends = new Float64Array(moves.length);
  playOrder(movesBefore(moves), seconds, ends);
  const order = [...moves.keys()].sort((a, b) => ends[a]! - ends[b]! || a - b);
  const played = playMoves(
    start.copy(),
    order.map((m) => moves[m]!),
    false,
  );
  return order.map((m, at) => ({ end: ends[m]!, seconds: seconds[m]!, score: played.steps[at]!.score }));
}

const drawn = fc.record({
  seed: fc.integer({ min: 1, max: 5000 }),
  nodes: fc.constantFrom(3, 5),
  oddity: fc.constantFrom(0, 0.5),
  offline: fc.boolean(),
});

describe('the best plan within a time', () => {
  it('ends in time, keeps every rule, and is no worse than any part of the plan without a limit that fits', async () => {
    await fc.assert(
      fc.asyncProperty(drawn, fc.double({ min: 0, max: 1.2, noNaN: true }), async (cluster, share) => {
        const start = modelOf(cluster);
        const { search, prices } = await searchOf(start);
        const maxSeconds = share * search.whole.seconds;
        const plan = search.within(maxSeconds);
        expect(plan.seconds).toBeLessThanOrEqual(maxSeconds);
        const { seconds, scoreAfter, scoreBefore } = search.whole;
        expect(plan.score).toBeLessThanOrEqual((seconds <= maxSeconds ? scoreAfter : scoreBefore) + SAME);
        // Where an offline node is let go early, moves end sooner than one after another.
        const parts =
          earlyReleases(start, search.whole.moves) === undefined ? ended(start, search.whole, prices) : [];
        for (const { score } of parts.filter(({ end }) => end <= maxSeconds))
          expect(plan.score).toBeLessThanOrEqual(score + SAME);
        const trial = new MoveTrial(new ScoreBoard(start.copy()));
        for (const { instance, kind, target } of plan.moves) {
          trial.begin(instance);
          expect(trial.allows(kind, target)).toBe(true);
          trial.commit();
        }
      }),
      { numRuns: 12 },
    );
  });

  it('has no worse a score for more time', async () => {
    await fc.assert(
      fc.asyncProperty(drawn, fc.constantFrom(1, 2), async (cluster, parallelPerNode) => {
        const { search } = await searchOf(modelOf(cluster), { parallelPerNode });
        let least = Infinity;
        for (const maxSeconds of [
          5,
          20,
          40,
          60,
          90,
          120,
          180,
          300,
          450,
          600,
          1200,
          3600,
          36_000,
          1e6,
          Infinity,
        ]) {
          const { score, seconds } = search.within(maxSeconds);
          expect(seconds).toBeLessThanOrEqual(maxSeconds);
          expect(score).toBeLessThanOrEqual(least + SAME);
          least = Math.min(least, score);
        }
      }),
      { numRuns: 10 },
    );
  });

  it('does not hang on what was searched for before', async () => {
    for (const seed of [31, 32, 33]) {
      const start = modelOf({ seed });
      const { search } = await searchOf(start);
      const longFirst = [3600, 300, 60].map((seconds) => search.within(seconds));
      for (const [at, seconds] of [3600, 300, 60].entries()) {
        const { search: fresh } = await searchOf(start);
        expect(fresh.within(seconds)).toEqual(longFirst[at]);
      }
    }
  });

  it('gives the same whether plans for any time were asked for before', async () => {
    const start = modelOf({ seed: 31 });
    const { search } = await searchOf(start);
    search.within(Infinity);
    expect(search.within(300)).toEqual((await searchOf(start)).search.within(300));
  });

  it('fills a time about as well whatever the seed', async () => {
    const start = modelOf({ seed: 2 });
    const before = new ScoreBoard(start).score;
    const searches: LimitedSearch[] = [];
    for (const seed of [1, 2]) searches.push((await searchOf(start, {}, { seed, effort: 0.3 })).search);
    const maxSeconds = 0.4 * searches[0]!.whole.seconds;
    const gains = searches.map((search) => before - search.within(maxSeconds).score);
    // Where queues were not made better, 0.91 of the other seed's gain was found.
    expect(Math.min(...gains)).toBeGreaterThan(0.97 * Math.max(...gains));
  });

  it('goes on while a move gains and time is left, as hbal would', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const start = modelOf({ seed });
      const { search } = await searchOf(start);
      const { moves, score } = search.within(1e6);
      const end = start.copy();
      playMoves(end, moves, false);
      expect(blindSearch(end, defaultSearchOptions).scoreAfter).toBeGreaterThan(score - 1e-4);
    }
  });

  it('moves nothing in no time, or where nobody may move', async () => {
    const start = modelOf({ seed: 51 });
    expect((await searchOf(start)).search.within(0).moves).toEqual([]);
    expect((await searchOf(start)).search.within(1e-300).moves).toEqual([]);
    const excluded = new Set(start.instances.map(({ name }) => name));
    expect((await searchOf(start, { excluded })).search.within(3600).moves).toEqual([]);
    expect((await searchOf(start, { maxLength: 0 })).search.within(3600).moves).toEqual([]);
    expect((await searchOf(start, { maxLength: 2 })).search.within(3600).moves.length).toBeLessThanOrEqual(2);
  });

  it('is content with what -e is content with', async () => {
    const start = modelOf({ seed: 61 });
    const before = new ScoreBoard(start).score;
    const minScore = (before - start.optimum) / 2;
    const { search } = await searchOf(start, { minScore });
    const content = search.within(36_000);
    const best = (await searchOf(start)).search.within(36_000);
    expect(content.score).toBeLessThanOrEqual(start.optimum + minScore + SAME);
    expect(content.moves.length).toBeLessThan(best.moves.length);
    expect(content.seconds).toBeLessThan(best.seconds);
    // The plan without a limit is content with the same: of all such plans the soonest is taken.
    expect(content.seconds).toBeLessThanOrEqual(search.whole.seconds);
  });

  it('has no moves that gain less than -g below --min-gain-limit', async () => {
    const start = modelOf({ seed: 61 });
    const any = (await searchOf(start)).search.within(36_000);
    const asked = { minGain: 0.5, minGainLimit: 1e6 };
    const { moves, score } = (await searchOf(start, asked)).search.within(36_000);
    expect(moves.length).toBeGreaterThan(0);
    expect(moves.length).toBeLessThan(any.moves.length);
    expect(new ScoreBoard(start).score - score).toBeGreaterThanOrEqual(0.5 * moves.length);
    const tooMuch = { minGain: 1e6, minGainLimit: 1e6 };
    expect((await searchOf(start, tooMuch)).search.within(36_000).moves).toEqual([]);
  });
});

describe('the plan whose hours of moving gain enough', () => {
  it('is worth no less than the plan without a limit, any part of it, or a plan within a time', async () => {
    for (const seed of [41, 42, 43])
      for (const gainPerHour of [0, 1, 30, 300]) {
        const start = modelOf({ seed });
        const { search, prices } = await searchOf(start, {}, { gainPerHour });
        const worth = (score: number, seconds: number): number => score + (gainPerHour * seconds) / 3600;
        const plan = search.within(Infinity);
        const cost = worth(plan.score, plan.movingSeconds);
        expect(cost).toBeLessThanOrEqual(new ScoreBoard(start).score);
        for (const maxSeconds of [300, 1e6]) {
          const { score, movingSeconds } = search.within(maxSeconds);
          expect(cost).toBeLessThanOrEqual(worth(score, movingSeconds) + SAME);
        }
        let moving = 0;
        for (const { score, seconds } of ended(start, search.whole, prices)) {
          moving += seconds;
          expect(cost).toBeLessThanOrEqual(worth(score, moving) + SAME);
        }
      }
  });

  it('moves less when an hour must gain more, within a time as well', async () => {
    const start = modelOf({ seed: 41 });
    for (const maxSeconds of [Infinity, 1200]) {
      const easy = (await searchOf(start, {}, { gainPerHour: 0.001 })).search.within(maxSeconds);
      const strict = (await searchOf(start, {}, { gainPerHour: 1e6 })).search.within(maxSeconds);
      expect(easy.moves.length).toBeGreaterThan(0);
      expect(strict.moves).toEqual([]);
    }
  });
});
