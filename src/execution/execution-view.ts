import { nodesHeldBy, nodesOf, secondsOf } from './move-commands.js';
import type { PlanRun } from './plan-run.js';

/** How far an execution is, for a picture of it. Epoch milliseconds; those of what has not ended are expected ones. */
export interface ExecutionView {
  beginMs: number;
  nowMs: number;
  moves: {
    instance: string;
    nodes: readonly string[];
    state: 'pending' | 'running' | 'done' | 'failed';
    startMs: number;
    endMs: number;
  }[];
}

/** How far a run is. O(moves²) at worst. */
export function viewOf({ clock, beginMs, past, flights, pending }: PlanRun): ExecutionView {
  const nowMs = clock.now();
  const moves = [...past];
  const freeMs = new Map<string, number>();
  const take = (
    { instance, nodes }: { instance: string; nodes: readonly string[] },
    state: 'running' | 'pending',
    startMs: number,
    endMs: number,
  ): void => {
    for (const node of nodes) freeMs.set(node, endMs);
    moves.push({ instance, nodes, state, startMs, endMs });
  };
  for (const { move, nodes, startedMs } of flights) {
    const expectedMs = startedMs + secondsOf(move, 'p50') * 1000;
    take({ instance: move.instance, nodes }, 'running', startedMs, Math.max(nowMs, expectedMs));
  }
  for (const move of pending) {
    const nodes = nodesOf(move);
    const startMs = Math.max(nowMs, ...nodes.map((node) => freeMs.get(node) ?? 0));
    take(
      { instance: move.instance, nodes: nodesHeldBy(move) },
      'pending',
      startMs,
      startMs + secondsOf(move, 'p50') * 1000,
    );
  }
  return { beginMs, nowMs, moves };
}
