import type { EarlyReleases } from './early-release.js';
import { nodesOfMove } from './jobsets.js';
import type { Move } from './moves.js';

/**
 * A schedule is an order of moves: a move starts as soon as the earlier ones that share a node with it are done. That
 * is what Ganeti's locks enforce, and it fixes on each node the order in which moves change it; moves without a common
 * node change different figures. So every order that respects `after` keeps the hard rules if the order itself does.
 */

/**
 * For each move, the earlier moves that it must wait for: the last one on each of its nodes. Waiting for them means
 * waiting for all earlier ones there. An offline node that a move lets go early is not waited for to that move's end:
 * nothing is put there, so that the sequence on it does not matter. O(moves).
 */
export function movesBefore(moves: readonly Move[], releases?: EarlyReleases): number[][] {
  const lastOnNode = new Map<number, number>();
  return moves.map((move, m) => {
    const nodes = nodesOfMove(move);
    const before = new Set<number>();
    for (const node of nodes) {
      const last = lastOnNode.get(node);
      if (last !== undefined) before.add(last);
      if (releases?.node[m] !== node) lastOnNode.set(node, m);
    }
    return [...before].sort((a, b) => a - b);
  });
}

/**
 * The same for nodes that take part in several moves at once: a move waits for each earlier one on its nodes that had
 * ended when it started. Times are those of the schedule in which every check held, with what runs at the same time
 * counted at its old and its new place. What waits for each other nowhere overlaps there at one moment, so that no
 * node ever takes part in more moves than in the schedule. O(moves² on a node).
 */
export function movesEndedBefore(
  moves: readonly Move[],
  starts: ArrayLike<number>,
  ends: ArrayLike<number>,
): number[][] {
  const onNode = new Map<number, number[]>();
  /** Everything that a move waits for, through others as well. */
  const waited: Set<number>[] = [];
  return moves.map((move, m) => {
    const ended = new Set<number>();
    for (const node of nodesOfMove(move)) {
      const earlier = onNode.get(node) ?? [];
      for (const w of earlier) if (ends[w]! <= starts[m]!) ended.add(w);
      earlier.push(m);
      onNode.set(node, earlier);
    }
    const all = new Set<number>();
    const needed: number[] = [];
    for (const w of [...ended].sort((a, b) => b - a)) {
      if (all.has(w)) continue;
      needed.push(w);
      all.add(w);
      for (const further of waited[w]!) all.add(further);
    }
    waited.push(all);
    return needed.sort((a, b) => a - b);
  });
}

/**
 * Times when moves end, each as soon as what it waits for has ended, and as the offline nodes that it needs have been
 * let go (`held`: seconds from a move's start until it lets its node go). `into` takes the ends. Returns the last end.
 */
export function playOrder(
  before: readonly (readonly number[])[],
  seconds: ArrayLike<number>,
  into: Float64Array,
  locks?: { letGo: readonly (readonly number[])[]; held: ArrayLike<number> },
): number {
  let last = 0;
  for (let m = 0; m < before.length; m++) {
    let start = 0;
    for (const b of before[m]!) if (into[b]! > start) start = into[b]!;
    if (locks !== undefined)
      for (const b of locks.letGo[m]!) start = Math.max(start, into[b]! - seconds[b]! + locks.held[b]!);
    into[m] = start + seconds[m]!;
    if (into[m]! > last) last = into[m]!;
  }
  return last;
}

/** How long the same moves take as hbal runs them: set after set, each as long as its slowest move. */
export function playJobsets(jobsets: readonly (readonly number[])[], seconds: ArrayLike<number>): number {
  let total = 0;
  for (const set of jobsets) {
    let slowest = 0;
    for (const m of set) slowest = Math.max(slowest, seconds[m]!);
    total += slowest;
  }
  return total;
}
