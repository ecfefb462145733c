import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { blindSearch } from '../../src/balancer/blind-search.js';
import { releasedNode } from '../../src/balancer/early-release.js';
import { GroupModel } from '../../src/balancer/group-model.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import {
  bestOrder,
  inOrder,
  orderMoves,
  type Order,
  type TimedMove,
} from '../../src/balancer/list-schedule.js';
import { moveFrom } from '../../src/balancer/moves.js';
import { seededRandom } from '../../src/balancer/random.js';
import { defaultSearchOptions } from '../../src/balancer/search-options.js';
import { SlowReplay } from './slow-replay.js';
import { slowScore } from './slow-score.js';
import { strangeCluster } from './strange-cluster.js';

const rules = { ignoreSoftErrors: false };

/** hbal's moves for a strange cluster, with any seconds; some let a node that is off go early. */
function movesOf(seed: number, nodes: number, instancesPerNode: number) {
  const random = seededRandom(seed);
  const cluster = strangeCluster(seed, { nodes, instancesPerNode });
  const options = { group: seed % cluster.groups.length };
  const start = new GroupModel(cluster, options);
  const { steps } = blindSearch(start.copy(), { ...defaultSearchOptions, maxLength: 12 });
  const timed = steps.map(({ move }): TimedMove => {
    const seconds = 1 + Math.floor(random() * 50);
    const node = releasedNode(start, move);
    const heldSeconds = Math.ceil(seconds * random());
    return node < 0 ? { move, seconds } : { move, seconds, released: { node, heldSeconds } };
  });
  const priority = Float64Array.from(timed, () => Math.floor(random() * 5));
  return { start, timed, priority, replay: new SlowReplay(cluster, options, start) };
}

const nodesOf = ({ move }: TimedMove): number[] =>
  [move.fromPrimary, move.fromSecondary, move.toPrimary, move.toSecondary].filter((k) => k >= 0);

/** The obvious twin: whenever anything ends or lets a node go, all that can start does, by priority. */
function slowSchedule(timed: readonly TimedMove[], priority: Float64Array, replay: SlowReplay) {
  const startOf = timed.map(() => Infinity);
  const endOf = timed.map(() => Infinity);
  const sequence: number[] = [];
  const scores: number[] = [];
  const byPriority = [...timed.keys()].sort((a, b) => priority[b]! - priority[a]! || a - b);
  const isBusy = (node: number, now: number): boolean =>
    sequence.some((c) => {
      const { released, seconds } = timed[c]!;
      const held = released?.node === node ? Math.min(released.heldSeconds, seconds) : seconds;
      return nodesOf(timed[c]!).includes(node) && startOf[c]! + held > now;
    });
  for (let now = 0; now < Infinity;) {
    for (const c of byPriority) {
      if (startOf[c]! < Infinity) continue;
      const { move, seconds } = timed[c]!;
      const earlier = [...timed.keys()].filter((b) => b < c && timed[b]!.move.instance === move.instance);
      if (earlier.some((b) => endOf[b]! > now)) continue;
      if (nodesOf(timed[c]!).some((node) => isBusy(node, now)) || !replay.allows(move, false)) continue;
      replay.make(move);
      startOf[c] = now;
      endOf[c] = now + seconds;
      sequence.push(c);
      scores.push(slowScore(replay.state).score);
    }
    const later = sequence.flatMap((c) => {
      const { released } = timed[c]!;
      return [endOf[c]!, ...(released === undefined ? [] : [startOf[c]! + released.heldSeconds])];
    });
    now = Math.min(...later.filter((moment) => moment > now));
  }
  return { startOf, endOf, sequence, scores };
}

describe('a list schedule', () => {
  it('starts each move as soon as its nodes are free and its checks hold, by priority', () => {
    let moves = 0;
    let releases = 0;
    let waits = 0;
    const drawn = [
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.integer({ min: 2, max: 7 }),
      fc.integer({ min: 1, max: 5 }),
    ] as const;
    // The same in every run, so that moves, releases and waits are met whatever else is drawn.
    const examples = fc.sample(fc.tuple(...drawn), { seed: 1, numRuns: 50 });
    fc.assert(
      fc.property(...drawn, (seed, nodes, instancesPerNode) => {
        const { start, timed, priority, replay } = movesOf(seed, nodes, instancesPerNode);
        const { score: before } = slowScore(replay.state);
        const order = orderMoves(start, timed, priority, rules);
        const slow = slowSchedule(timed, priority, replay);
        expect(order.sequence).toEqual(slow.sequence);
        expect(order.moves).toEqual(slow.sequence.map((c) => timed[c]!.move));
        const count = slow.sequence.length;
        expect(Array.from(order.starts).slice(0, count)).toEqual(slow.sequence.map((c) => slow.startOf[c]!));
        expect(Array.from(order.ends).slice(0, count)).toEqual(slow.sequence.map((c) => slow.endOf[c]!));
        expect([...order.stuck].sort((a, b) => a - b)).toEqual(
          [...timed.keys()].filter((c) => !slow.sequence.includes(c)),
        );
        expect(order.makespan).toBe(Math.max(0, ...slow.sequence.map((c) => slow.endOf[c]!)));
        let area = 0;
        slow.sequence.forEach((c, t) => {
          // Running sums lose digits where a spread nearly vanishes.
          expect(order.scores[t]).toBeCloseTo(slow.scores[t]!, 5);
          area += slow.endOf[c]! * ((t === 0 ? before : slow.scores[t - 1]!) - slow.scores[t]!);
        });
        expect(Math.abs(order.area - area)).toBeLessThanOrEqual(1e-5 * (1 + order.makespan));
        moves += count;
        releases += timed.filter(({ released }) => released !== undefined).length;
        waits += slow.sequence.filter((c, t) => c !== t || slow.startOf[c]! > 0).length;
      }),
      { numRuns: 150, examples },
    );
    expect(moves).toBeGreaterThan(50);
    expect(releases).toBeGreaterThan(2);
    expect(waits).toBeGreaterThan(20);
  });

  it('chosen among several is no worse than the first of them, and has a node in one move at a time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), (seed) => {
        const { start, timed } = movesOf(seed, 6, 4);
        const chosenOf = (tries: number): Order =>
          bestOrder(start, timed, { tries, random: seededRandom(seed), ...rules });
        const first = chosenOf(1);
        const best = chosenOf(30);
        expect([...best.sequence, ...best.stuck].sort((a, b) => a - b)).toEqual([...timed.keys()]);
        expect(best.stuck.length).toBeLessThanOrEqual(first.stuck.length);
        // A hundredth is given away for the useful moves to come first.
        const most = best.stuck.length < first.stuck.length ? Infinity : 1.01 * first.makespan;
        expect(best.makespan).toBeLessThanOrEqual(most + 1e-9);
        best.sequence.forEach((c, t) => {
          for (let u = 0; u < t; u++) {
            const other = timed[best.sequence[u]!]!;
            for (const node of nodesOf(timed[c]!).filter((k) => nodesOf(other).includes(k))) {
              const held = other.released?.node === node ? other.released.heldSeconds : other.seconds;
              expect(best.starts[t]).toBeGreaterThanOrEqual(best.starts[u]! + held);
            }
          }
        });
      }),
      { numRuns: 60 },
    );
  });

  // Both leave node a, one after the other.
  const { cluster } = parseHtoolsText(
    `g|u|preferred||

a|65536|512|50000|1000000|900000|32|N|u|1
b|65536|512|60000|1000000|900000|32|N|u|1
c|65536|512|64000|1000000|900000|32|N|u|1

small|512|1000|1|running|Y|a||ext|
large|8192|1000|8|running|Y|a||ext|
other|512|1000|1|running|Y|a||ext|

`,
    { file: 'three', duplicates: 'refuse' },
  );
  const start = new GroupModel(cluster, { group: 0 });
  const timed: TimedMove[] = [
    { move: moveFrom(start, 0, 1, 1), seconds: 10 },
    { move: moveFrom(start, 1, 1, 2), seconds: 10 },
  ];

  it('takes what gains most a second first, if asked to', () => {
    const priority = Float64Array.of(1, 0);
    expect(orderMoves(start, timed, priority, rules).sequence).toEqual([0, 1]);
    expect(orderMoves(start, timed, priority, { ...rules, gainWeight: 100 }).sequence).toEqual([1, 0]);
    // Ten times as long for it, the other gains more a second.
    const slower = [timed[0]!, { ...timed[1]!, seconds: 100 }];
    expect(
      orderMoves(start, slower, Float64Array.of(0, 0.1), { ...rules, gainWeight: 100 }).sequence,
    ).toEqual([0, 1]);
  });

  it('has as many at once on a node as are allowed, and no more', () => {
    const third: TimedMove = { move: moveFrom(start, 2, 1, 1), seconds: 5 };
    const starts = (parallelPerNode: number): number[] => [
      ...inOrder(start, [...timed, third], { ...rules, parallelPerNode }).starts,
    ];
    expect(starts(1)).toEqual([0, 10, 20]);
    expect(starts(2)).toEqual([0, 0, 10]);
    expect(starts(3)).toEqual([0, 0, 0]);
  });
});
