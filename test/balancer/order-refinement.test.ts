import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { blindSearch } from '../../src/balancer/blind-search.js';
import { ConstantMoveCosts } from '../../src/balancer/constant-move-costs.js';
import { earlyReleases } from '../../src/balancer/early-release.js';
import { GroupModel } from '../../src/balancer/group-model.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import type { TimedMove } from '../../src/balancer/list-schedule.js';
import { MovePrices } from '../../src/balancer/move-prices.js';
import { FAILOVER } from '../../src/balancer/moves.js';
import { possibleKinds } from '../../src/balancer/candidates.js';
import { MoveTrial } from '../../src/balancer/move-trial.js';
import { EARLY_SHARE, OrderPlayer, refineOrder } from '../../src/balancer/order-refinement.js';
import { seededRandom, type Random } from '../../src/balancer/random.js';
import { movesBefore, playOrder } from '../../src/balancer/schedule.js';
import { ScoreBoard } from '../../src/balancer/score.js';
import { defaultSearchOptions } from '../../src/balancer/search-options.js';
import { playMoves, timedMove } from '../../src/balancer/timed-search.js';
import { generateCluster } from './cluster-generator.js';

/** hbal's own moves on a generated cluster, one node of it off where asked. */
async function movesOf(seed: number, emptied: boolean): Promise<{ start: GroupModel; timed: TimedMove[] }> {
  const text = generateCluster({ seed, nodes: 6, instancesPerNode: 6, oddity: 0 });
  const { cluster } = parseHtoolsText(text, { file: 'generated', duplicates: 'refuse' });
  if (emptied) cluster.nodes[seed % 6]!.offline = true;
  const start = new GroupModel(cluster, { group: 0 });
  const prices = await MovePrices.ask(start, new ConstantMoveCosts({}), 0.5);
  const { steps } = blindSearch(start.copy(), defaultSearchOptions);
  return { start, timed: steps.map(({ move }) => timedMove(start, prices, move)) };
}

/** The obvious twin: the schedule from what moves wait for, and the whole score anew after every end. */
function slowWorth(
  start: GroupModel,
  timed: readonly TimedMove[],
): { makespan: number; area: number; early: number } {
  const moves = timed.map(({ move }) => move);
  const releases = earlyReleases(start, moves);
  const ends = new Float64Array(moves.length);
  const seconds = timed.map((one) => one.seconds);
  const held = timed.map(({ released }) => released?.heldSeconds ?? 0);
  const locks = releases && { letGo: releases.letGo, held };
  const makespan = playOrder(movesBefore(moves, releases), seconds, ends, locks);
  const byEnd = [...moves.keys()].sort((a, b) => ends[a]! - ends[b]!);
  const { scoreBefore, scoreAfter, steps } = playMoves(
    start.copy(),
    byEnd.map((m) => moves[m]!),
    false,
  );
  let area = 0;
  let moment = 0;
  let score = scoreBefore;
  let early = Infinity;
  byEnd.forEach((m, t) => {
    area += (ends[m]! - moment) * (score - scoreAfter);
    moment = ends[m]!;
    score = steps[t]!.score;
    if (scoreBefore - score >= EARLY_SHARE * (scoreBefore - scoreAfter) - 1e-7)
      early = Math.min(early, ends[m]!);
  });
  return { makespan, area, early };
}

/** Moves that keep every rule one after another, whatever they do to the score; each instance once. */
function anyMoves(start: GroupModel, prices: MovePrices, random: Random, count: number): TimedMove[] {
  const trial = new MoveTrial(new ScoreBoard(start.copy()));
  const timed: TimedMove[] = [];
  const moved = new Set<number>();
  while (timed.length < count) {
    const instance = Math.floor(random() * start.instanceCount);
    if (moved.has(instance)) continue;
    const kinds = possibleKinds(trial.model, instance, defaultSearchOptions);
    const kind = kinds[Math.floor(random() * kinds.length)];
    const node = Math.floor(random() * start.nodeCount);
    if (
      kind === undefined ||
      node === trial.model.primary[instance] ||
      node === trial.model.secondary[instance]
    )
      continue;
    const target = kind === FAILOVER ? -1 : node;
    trial.begin(instance);
    if (!trial.allows(kind, target)) continue;
    if (prices.of(instance, kind, target) === Infinity) continue;
    moved.add(instance);
    timed.push(timedMove(start, prices, trial.commit()));
  }
  return timed;
}

const rules = { ignoreSoftErrors: false };

describe('an order that is made better', () => {
  it('is worth what the schedule and the scores computed anew say', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5000 }), fc.boolean(), async (seed, emptied) => {
        const { start, timed } = await movesOf(seed, emptied);
        fc.pre(timed.length > 1);
        const worth = new OrderPlayer(start, timed, rules).play([...timed.keys()])!;
        const slow = slowWorth(start, timed);
        expect(worth.makespan).toBeCloseTo(slow.makespan, 9);
        // Running sums of the score are good for about ten digits.
        expect(Math.abs(worth.area - slow.area)).toBeLessThan(1e-8 * (1 + slow.area));
        expect(worth.early).toBeCloseTo(slow.early, 9);
      }),
      { numRuns: 25 },
    );
  });

  it('has every move once, ends no later, and every prefix of it keeps the hard rules', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5000 }), fc.boolean(), async (seed, emptied) => {
        const { start, timed } = await movesOf(seed, emptied);
        fc.pre(timed.length > 1);
        const random = seededRandom(seed);
        const { sequence } = refineOrder(start, timed, [...timed.keys()], { tries: 60, random, ...rules });
        expect([...sequence].sort((a, b) => a - b)).toEqual([...timed.keys()]);
        const trial = new MoveTrial(new ScoreBoard(start.copy()));
        for (const c of sequence) {
          trial.begin(timed[c]!.move.instance);
          const { kind, target } = timed[c]!.move;
          expect(trial.allows(kind, target)).toBe(true);
          expect(trial.commit()).toEqual(timed[c]!.move);
        }
        const given = slowWorth(start, timed);
        const found = slowWorth(
          start,
          sequence.map((c) => timed[c]!),
        );
        expect(found.makespan).toBeLessThanOrEqual(given.makespan + 1e-9);
      }),
      { numRuns: 25 },
    );
  });

  it.each([2, 71])(
    'ends sooner first of all, also where moves pass better scores than they end with (%i)',
    async (seed) => {
      const text = readFileSync(join('test', 'fixtures', 'clusters', 'mirrored-6.data'), 'utf8');
      const { cluster } = parseHtoolsText(text, { file: 'mirrored', duplicates: 'refuse' });
      const start = new GroupModel(cluster, { group: 0 });
      const prices = await MovePrices.ask(start, new ConstantMoveCosts({}), 0.5);
      const timed = anyMoves(start, prices, seededRandom(seed), 12);
      const given = [...timed.keys()];
      const first = new OrderPlayer(start, timed, rules).play(given)!;
      expect(first.area).toBeLessThan(0);
      expect(first.swing).toBeGreaterThan(-first.area);
      const { worth } = refineOrder(start, timed, given, { tries: 800, random: seededRandom(1), ...rules });
      expect(worth!.makespan).toBeLessThan(0.95 * first.makespan);
    },
  );

  it('brings forward what gains most, where that costs no time', () => {
    // Both leave node a, one after the other: the sooner the large instance is gone, the better.
    const text = `g|u|preferred||

a|65536|512|50000|1000000|900000|32|N|u|1
b|65536|512|60000|1000000|900000|32|N|u|1
c|65536|512|64000|1000000|900000|32|N|u|1

small|512|1000|1|running|Y|a||ext|
large|8192|1000|8|running|Y|a||ext|
other|512|1000|1|running|Y|a||ext|

`;
    const { cluster } = parseHtoolsText(text, { file: 'three', duplicates: 'refuse' });
    const start = new GroupModel(cluster, { group: 0 });
    const move = (instance: number, target: number): TimedMove => ({
      move: {
        instance,
        kind: 1,
        target,
        fromPrimary: 0,
        fromSecondary: -1,
        toPrimary: target,
        toSecondary: -1,
      },
      seconds: 10,
    });
    const timed = [move(0, 1), move(1, 2)];
    const player = new OrderPlayer(start, timed, rules);
    const { sequence } = refineOrder(start, timed, [0, 1], { tries: 50, random: seededRandom(1), ...rules });
    const other = sequence[0] === 0 ? [1, 0] : [0, 1];
    expect(player.play(sequence)!.area).toBeLessThan(player.play(other)!.area);
  });
});
