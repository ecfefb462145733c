import type { Move } from './moves.js';

/** The nodes that Ganeti locks for a move: old and new primary, old and new secondary. */
export function nodesOfMove(move: Move): number[] {
  const nodes = new Set<number>([move.fromPrimary, move.toPrimary]);
  if (move.fromSecondary >= 0) nodes.add(move.fromSecondary);
  if (move.toSecondary >= 0) nodes.add(move.toSecondary);
  return [...nodes];
}

/**
 * hbal's job sets: greedy from the last move backwards, a move joins the set in front of it if it shares no node
 * with it. Each set runs at once; the next waits for all of it. Indexes into `moves`. O(moves).
 */
export function jobsetsOf(moves: readonly Move[]): number[][] {
  const sets: number[][] = [];
  let current: number[] = [];
  let used = new Set<number>();
  for (let m = moves.length - 1; m >= 0; m--) {
    const nodes = nodesOfMove(moves[m]!);
    if (current.length > 0 && nodes.some((node) => used.has(node))) {
      sets.unshift(current);
      current = [];
      used = new Set();
    }
    current.unshift(m);
    for (const node of nodes) used.add(node);
  }
  if (current.length > 0) sets.unshift(current);
  return sets;
}

/**
 * Job sets of moves in an order `given`, as indexes into the same moves in another order. Moves of one instance follow each
 * other in both.
 */
export function jobsetsAsGiven(given: readonly Move[], moves: readonly Move[]): number[][] {
  const places = new Map<number, number[]>();
  moves.forEach(({ instance }, m) => {
    const known = places.get(instance);
    if (known === undefined) places.set(instance, [m]);
    else known.push(m);
  });
  const times = new Map<number, number>();
  const placeOf = given.map(({ instance }) => {
    const time = times.get(instance) ?? 0;
    times.set(instance, time + 1);
    return places.get(instance)![time]!;
  });
  return jobsetsOf(given).map((set) => set.map((g) => placeOf[g]!));
}

/** For each of `count` moves, those that it waits for where sets run one after another: all of the set before its own. */
export function setBefore(jobsets: readonly (readonly number[])[], count: number): number[][] {
  const before = Array.from({ length: count }, (): number[] => []);
  let last: readonly number[] = [];
  for (const set of jobsets) {
    for (const m of set) before[m] = [...last];
    if (set.length > 0) last = set;
  }
  return before;
}
