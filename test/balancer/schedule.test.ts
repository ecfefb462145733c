import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { jobsetsAsGiven, jobsetsOf, nodesOfMove, setBefore } from '../../src/balancer/jobsets.js';
import { placementAfter, type Move, type MoveKind } from '../../src/balancer/moves.js';
import { movesBefore, movesEndedBefore, playOrder } from '../../src/balancer/schedule.js';

/** Moves of instances between nodes of a small group, each from wherever: only their nodes matter to a schedule. */
const anyMove = fc
  .tuple(
    fc.constantFrom<MoveKind>(0, 1, 2, 3, 4, 5),
    fc.uniqueArray(fc.nat(7), { minLength: 3, maxLength: 3 }),
  )
  .map(([kind, [p, s, x]]): Move => {
    const shared = kind === 1;
    const fromSecondary = shared ? -1 : s!;
    const target = kind === 0 ? -1 : x!;
    const [toPrimary, toSecondary] = placementAfter(kind, p!, fromSecondary, target);
    return { instance: 0, kind, target, fromPrimary: p!, fromSecondary, toPrimary, toSecondary };
  });
const anyMoves = fc.array(anyMove, { maxLength: 14 });

/** From the fields themselves, so that no node can be forgotten. */
const locksOf = ({ fromPrimary, fromSecondary, toPrimary, toSecondary }: Move): number[] =>
  [fromPrimary, fromSecondary, toPrimary, toSecondary].filter((node) => node >= 0);
const shareNode = (a: Move, b: Move): boolean => locksOf(a).some((node) => locksOf(b).includes(node));

/** For each move, all that it waits for, through others as well. */
function waitedFor(before: readonly (readonly number[])[]): Set<number>[] {
  const waited: Set<number>[] = [];
  for (const list of before) waited.push(new Set(list.flatMap((w) => [w, ...waited[w]!])));
  return waited;
}

describe('the nodes of a move', () => {
  it.each([
    ['f', 0, [1, 2]],
    ['fa:x', 1, [1, 3]],
    ['r:x', 2, [1, 2, 3]],
    ['r:x f', 3, [1, 2, 3]],
    ['f r:x f', 4, [1, 2, 3]],
    ['f r:x', 5, [1, 2, 3]],
  ] as const)('of %s are those of its old and its new places', (_letters, kind, nodes) => {
    const s = kind === 1 ? -1 : 2;
    const x = kind === 0 ? -1 : 3;
    const [toPrimary, toSecondary] = placementAfter(kind, 1, s, x);
    const move = { instance: 0, kind, target: x, fromPrimary: 1, fromSecondary: s, toPrimary, toSecondary };
    expect([...nodesOfMove(move)].sort()).toEqual(nodes);
  });
});

describe('a schedule of one move at a time on a node', () => {
  it('has a move wait for all earlier ones that share any node with it, and for no other', () => {
    fc.assert(
      fc.property(anyMoves, (moves) => {
        const before = movesBefore(moves);
        const waited = waitedFor(before);
        moves.forEach((move, m) => {
          for (const w of before[m]!) expect([w < m, shareNode(moves[w]!, move)]).toEqual([true, true]);
          const sharing = [...moves.keys()].filter((w) => w < m && shareNode(moves[w]!, move));
          expect(sharing.filter((w) => !waited[m]!.has(w))).toEqual([]);
        });
      }),
    );
  });

  it('starts each move at the very moment when the last that it waits for ends', () => {
    fc.assert(
      fc.property(anyMoves, fc.infiniteStream(fc.integer({ min: 1, max: 100 })), (moves, stream) => {
        const seconds = moves.map(() => Number(stream.next().value));
        const ends = new Float64Array(moves.length);
        const last = playOrder(movesBefore(moves), seconds, ends);
        moves.forEach((move, m) => {
          const sharing = [...moves.keys()].filter((w) => w < m && shareNode(moves[w]!, move));
          expect(ends[m]! - seconds[m]!).toBe(Math.max(0, ...sharing.map((w) => ends[w]!)));
        });
        expect(last).toBe(Math.max(0, ...ends));
      }),
    );
  });
});

describe('a schedule of several moves at once on a node', () => {
  it('has a move wait for all that share a node and had ended when it started, and for none that ran or comes later', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyMove, fc.nat(30), fc.nat(20)), { maxLength: 14 }), (drawn) => {
        const byStart = [...drawn].sort((a, b) => a[1] - b[1]);
        const moves = byStart.map(([move]) => move);
        const starts = byStart.map(([, start]) => start);
        const ends = byStart.map(([, start, seconds]) => start + 1 + seconds);
        const before = movesEndedBefore(moves, starts, ends);
        const waited = waitedFor(before);
        moves.forEach((move, m) => {
          const ended = [...moves.keys()].filter(
            (w) => w < m && shareNode(moves[w]!, move) && ends[w]! <= starts[m]!,
          );
          expect(ended.filter((w) => !waited[m]!.has(w))).toEqual([]);
          expect(before[m]!.filter((w) => !ended.includes(w))).toEqual([]);
          // What waits for another that is waited for need not be named again.
          const named = before[m]!;
          expect(named.filter((w) => named.some((v) => waited[v]!.has(w)))).toEqual([]);
        });
      }),
    );
  });
});

describe('job sets', () => {
  it('share no node within, keep the order, and would not take the move in front of them', () => {
    fc.assert(
      fc.property(anyMoves, (moves) => {
        const sets = jobsetsOf(moves);
        expect(sets.flat()).toEqual([...moves.keys()]);
        sets.forEach((set, n) => {
          const clash = set.some((a, t) => set.slice(0, t).some((b) => shareNode(moves[a]!, moves[b]!)));
          expect(clash).toBe(false);
          const inFront = sets[n - 1]?.at(-1);
          expect(inFront === undefined || set.some((m) => shareNode(moves[m]!, moves[inFront]!))).toBe(true);
        });
        const before = setBefore(sets, moves.length);
        sets.forEach((set, n) => {
          for (const m of set) expect(before[m]).toEqual(sets[n - 1] ?? []);
        });
      }),
    );
  });

  it('hold the same moves when they are told by another order, also of an instance that moves twice', () => {
    fc.assert(
      fc.property(
        anyMoves,
        fc.array(fc.nat(2), { minLength: 14, maxLength: 14 }),
        fc.nat(),
        (some, whose, turn) => {
          const given = some.map((move, m) => ({ ...move, instance: whose[m]! }));
          const first = turn % 3;
          const isFirst = ({ instance }: Move): boolean => instance === first;
          const other = [...given.filter(isFirst), ...given.filter((move) => !isFirst(move))];
          const told = jobsetsAsGiven(given, other).map((set) => set.map((m) => other[m]));
          expect(told).toEqual(jobsetsOf(given).map((set) => set.map((m) => given[m])));
        },
      ),
    );
  });
});
