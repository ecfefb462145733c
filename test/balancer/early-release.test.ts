import { describe, expect, it } from '@jest/globals';
import { possibleKinds } from '../../src/balancer/candidates.js';
import { ConstantMoveCosts } from '../../src/balancer/constant-move-costs.js';
import { earlyReleases, heldSeconds, releasedNode } from '../../src/balancer/early-release.js';
import { GroupModel } from '../../src/balancer/group-model.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import { bestOrder } from '../../src/balancer/list-schedule.js';
import { MovePrices } from '../../src/balancer/move-prices.js';
import { moveFrom, type Move, type MoveKind } from '../../src/balancer/moves.js';
import { buildPlan } from '../../src/balancer/plan-builder.js';
import { parseTruthFile, playPlan } from '../../src/balancer/plan-simulator.js';
import { seededRandom } from '../../src/balancer/random.js';
import { movesBefore, playOrder } from '../../src/balancer/schedule.js';
import { defaultSearchOptions } from '../../src/balancer/search-options.js';
import { timedMove } from '../../src/balancer/timed-search.js';

/** A node that is off, with two mirrors and a primary on it, and six that are up. */
const text = `g|u|preferred||

off|65536|512|60000|1000000|900000|32|Y|u|1
n1|65536|512|60000|1000000|900000|32|N|u|1
n2|65536|512|60000|1000000|900000|32|N|u|1
n3|65536|512|60000|1000000|900000|32|N|u|1
n4|65536|512|60000|1000000|900000|32|N|u|1
n5|65536|512|60000|1000000|900000|32|N|u|1
n6|65536|512|60000|1000000|900000|32|N|u|1

a|1024|6000|1|running|Y|n1|off|drbd|
b|1024|6000|1|running|Y|n2|off|drbd|
c|1024|6000|1|running|Y|off|n3|drbd|

`;
const { cluster } = parseHtoolsText(text, { file: 'off', duplicates: 'refuse' });
const start = new GroupModel(cluster, { group: 0 });
const kinds: Record<string, MoveKind> = { f: 0, r: 2, 'r f': 3, 'f r f': 4, 'f r': 5 };
const moveOf = (instance: number, letters: keyof typeof kinds & string, target: number): Move =>
  moveFrom(start, instance, kinds[letters]!, target);
const costs = new ConstantMoveCosts({});

describe('a move off an offline node', () => {
  it('lets it go once the new mirror is set up, after a failover where one goes first', () => {
    expect(releasedNode(start, moveOf(0, 'r', 4))).toBe(0);
    expect(releasedNode(start, moveOf(0, 'r f', 4))).toBe(0);
    expect(releasedNode(start, moveOf(2, 'f r', 4))).toBe(0);
    expect(releasedNode(start, moveOf(2, 'f r f', 4))).toBe(0);
  });

  it('holds it to the end when nothing but a failover is done, or the copy comes from it', () => {
    expect(releasedNode(start, moveOf(2, 'f', -1))).toBe(-1);
    expect(releasedNode(start, moveOf(2, 'r', 4))).toBe(-1);
    const bothOff = structuredClone(cluster);
    bothOff.nodes[1]!.offline = true;
    expect(releasedNode(new GroupModel(bothOff, { group: 0 }), moveOf(0, 'r', 4))).toBe(-1);
  });

  it('holds it to the end where it is only drained or called offline by -O, for Ganeti does not let it go', () => {
    const drained = structuredClone(cluster);
    drained.nodes[0]!.isUp = true;
    expect(releasedNode(new GroupModel(drained, { group: 0 }), moveOf(0, 'r', 4))).toBe(-1);
    const up = structuredClone(cluster);
    up.nodes[0]!.offline = false;
    const called = new GroupModel(up, { group: 0, offline: new Set(['off']) });
    expect(called.online[0]).toBe(0);
    expect(releasedNode(called, moveOf(0, 'r', 4))).toBe(-1);
  });

  it('does not copy from it where the instance can go to its secondary first', () => {
    expect(possibleKinds(start, 2, defaultSearchOptions)).toEqual([4, 5]);
    expect(possibleKinds(start, 0, defaultSearchOptions)).toEqual([2, 3]);
  });
});

describe('the seconds for which a node that is let go is held', () => {
  it('are those of a failover that goes first, and of setting the mirror up, which is no longer than its copy', () => {
    // A failover and a long copy; a failover and a short one; nothing let go; a copy and a failover.
    const releases = {
      node: Int32Array.of(0, 3, -1, 3),
      failsOver: Uint8Array.of(1, 1, 0, 0),
      letGo: [[], [], [], []],
    };
    const times = { firstStep: Int32Array.of(0, 2, 4, 5, 7) };
    expect([...heldSeconds(releases, times, [30, 110, 25, 4, 77, 120, 33])]).toEqual([40, 29, 0, 10]);
  });
});

describe('moves off one offline node', () => {
  // Plain figures: a failover 30 s, a new mirror of 6000 MiB 110 s; a mirror is set up in 10 s.
  const moves = [moveOf(2, 'f r', 6), moveOf(0, 'r', 4), moveOf(1, 'r', 5)];

  it('wait for each other only until it is let go', async () => {
    const prices = await MovePrices.ask(start, costs, 0.5);
    const timed = moves.map((move) => timedMove(start, prices, move));
    const releases = earlyReleases(start, moves)!;
    const before = movesBefore(moves, releases);
    expect(before).toEqual([[], [], []]);
    expect(releases.letGo).toEqual([[], [0], [1]]);
    const ends = new Float64Array(3);
    const held = timed.map(({ released }) => released!.heldSeconds);
    expect(held).toEqual([40, 10, 10]);
    const seconds = timed.map((one) => one.seconds);
    expect(playOrder(before, seconds, ends, { letGo: releases.letGo, held })).toBe(160);
    expect([...ends]).toEqual([140, 150, 160]);
    const order = bestOrder(start, timed, { tries: 20, random: seededRandom(1), ignoreSoftErrors: false });
    expect(order.makespan).toBeLessThanOrEqual(160);
    expect(order.stuck).toEqual([]);
  });

  it('wait to the end for one that holds it to the end, and it waits for them to let go', () => {
    const mixed = [moveOf(0, 'r', 4), moveOf(2, 'f', -1), moveOf(1, 'r', 5)];
    const releases = earlyReleases(start, mixed)!;
    expect(movesBefore(mixed, releases)).toEqual([[], [], [1]]);
    expect(releases.letGo).toEqual([[], [0], []]);
  });

  it('are named in the plan, and the simulator plays them as the plan promises', async () => {
    const { document } = await buildPlan(start, moves, costs);
    expect(document.moves.map((move) => move.releases_early)).toEqual(['off', 'off', 'off']);
    const instances = start.instances.map(({ name, memory, disk }) => ({
      instance: name,
      memory_mib: memory,
      disk_mib: disk,
    }));
    const played = playPlan(document, parseTruthFile({ instances }, 'truth'), 'schedule');
    expect(played.moves.map(({ start_seconds }) => start_seconds)).toEqual([0, 40, 50]);
    expect(played.duration_seconds).toBe(160);
    expect(played.lower_bound_seconds).toBe(140);
  });

  it('hold it by turns even where one takes longer to fail over than was promised', async () => {
    const { document } = await buildPlan(start, moves, costs);
    const table = start.instances.map(({ name }) => ({ instance: name, seconds: 100 }));
    const played = playPlan(document, parseTruthFile({ table }, 'truth'), 'schedule');
    expect(played.moves.map(({ start_seconds }) => start_seconds)).toEqual([0, 110, 120]);
  });
});
