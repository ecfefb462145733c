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
