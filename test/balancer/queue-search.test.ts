import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ConstantMoveCosts } from '../../src/balancer/constant-move-costs.js';
import { GroupModel } from '../../src/balancer/group-model.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import { MovePrices } from '../../src/balancer/move-prices.js';
import { MoveTrial } from '../../src/balancer/move-trial.js';
import type { Move } from '../../src/balancer/moves.js';
import { searchQueues } from '../../src/balancer/queue-search.js';
import { seededRandom } from '../../src/balancer/random.js';
import { ScoreBoard } from '../../src/balancer/score.js';
import { defaultSearchOptions } from '../../src/balancer/search-options.js';
import { lastEnd, timedMove } from '../../src/balancer/timed-search.js';
import { generateCluster } from './cluster-generator.js';

/** Running sums of times are off by less. */
const ROUNDING = 1e-9;

async function plansOf(
  seed: number,
  maxSeconds: number,
  settings: { mostMoves?: number; given?: Move[] } = {},
) {
  const text = generateCluster({ seed, nodes: 4, instancesPerNode: 4, oddity: seed % 2 });
  const { cluster } = parseHtoolsText(text, { file: 'generated', duplicates: 'refuse' });
  const start = new GroupModel(cluster, { group: 0 });
  const prices = await MovePrices.ask(start, new ConstantMoveCosts({}), 0.5);
  const timed = (move: Move) => timedMove(start, prices, move);
  const { mostMoves = Infinity, given = [] } = settings;
  const plans = searchQueues(
    start,
    defaultSearchOptions,
    { maxSeconds, mostMoves, costOf: (score) => score },
    { given: given.map(timed), known: [], proposals: 400, random: seededRandom(seed), timedMove: timed },
  );
  return { start, timed, plans };
}

/** The score that moves lead to, one after another by every rule. */
function scoreAfter(start: GroupModel, moves: readonly Move[]): number {
  const trial = new MoveTrial(new ScoreBoard(start.copy()));
  for (const { instance, kind, target } of moves) {
    trial.begin(instance);
    expect(trial.allows(kind, target)).toBe(true);
    trial.commit();
  }
  return trial.board.score;
}

describe('queues of moves', () => {
  it('are plans that keep every rule, end in time, and are the better the later they end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5000 }),
        fc.integer({ min: 1, max: 1000 }),
        async (seed, maxSeconds) => {
          const { start, timed, plans } = await plansOf(seed, maxSeconds);
          let least = Infinity;
          for (const moves of plans) {
            expect(lastEnd(start, moves.map(timed))).toBeLessThanOrEqual(maxSeconds + ROUNDING);
            const score = scoreAfter(start, moves);
            expect(score).toBeLessThanOrEqual(least);
            least = score;
          }
          expect(least).toBeLessThanOrEqual(new ScoreBoard(start).score + ROUNDING);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('are no worse than the one given, and have no more moves than asked for', async () => {
    const { start, plans } = await plansOf(11, 600);
    const given = plans.at(-1)!;
    expect(given.length).toBeGreaterThan(2);
    const again = (await plansOf(11, 600, { given })).plans.at(-1)!;
    expect(scoreAfter(start, again)).toBeLessThanOrEqual(scoreAfter(start, given) + ROUNDING);
    const few = (await plansOf(11, 600, { mostMoves: 2 })).plans;
    for (const moves of few) expect(moves.length).toBeLessThanOrEqual(2);
  });

  it('may be without any move', async () => {
    expect((await plansOf(3, 1e-3)).plans).toEqual([[]]);
  });
});
