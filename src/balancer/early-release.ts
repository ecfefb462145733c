import type { GroupModel } from './group-model.js';
import { nodesOfMove } from './jobsets.js';
import {
  FAILOVER_AND_REPLACE,
  REPLACE_AND_FAILOVER,
  REPLACE_PRIMARY,
  REPLACE_SECONDARY,
  type Move,
} from './moves.js';
import type { StepTimes } from './step-times.js';

/**
 * Ganeti's early release: where the old mirror of an instance is on an offline node, replacing it gives the locks back
 * as soon as the new mirror is set up, before the data is copied (`lib/cmdlib/instance_storage.py`, all versions since
 * 2.1.1). So moves off one offline node need not follow each other: only their failovers and set-ups do. The nodes that
 * are online stay with the move to its end all the same: two copies at once would share their network cards.
 */

/** Seconds until a new mirror is set up and its copy begins: the fixed part of a plain copy. */
export const MIRROR_SETUP_SECONDS = 10;

/** The offline node that a move lets go before it ends, or -1. */
export function releasedNode(
  model: GroupModel,
  { kind, fromPrimary: p, fromSecondary: s }: Pick<Move, 'kind' | 'fromPrimary' | 'fromSecondary'>,
): number {
  switch (kind) {
    case REPLACE_SECONDARY:
    case REPLACE_AND_FAILOVER:
      return model.isDead(s) && !model.isDead(p) ? s : -1;
    case REPLACE_PRIMARY:
    case FAILOVER_AND_REPLACE:
      return model.isDead(p) ? p : -1;
    default:
      return -1;
  }
}

/** True where a failover goes before the copy: the node that is let go is held through it. */
export const failsOverFirst = (kind: Move['kind']): boolean =>
  kind === REPLACE_PRIMARY || kind === FAILOVER_AND_REPLACE;

/** Which of a plan's moves let an offline node go early, and which wait for that. */
export interface EarlyReleases {
  /** Per move: the node, or -1. */
  node: Int32Array;
  /** Per move: 1 where the node is held through a failover first. */
  failsOver: Uint8Array;
  /** Per move: earlier moves that must have let go of a node. */
  letGo: number[][];
}

/** Of moves in their order; undefined where none lets a node go. O(moves). */
export function earlyReleases(model: GroupModel, moves: readonly Move[]): EarlyReleases | undefined {
  const node = Int32Array.from(moves, (move) => releasedNode(model, move));
  if (node.every((k) => k < 0)) return undefined;
  const last = new Map<number, number>();
  const letGo = moves.map((move, m) => {
    const before = new Set<number>();
    for (const k of nodesOfMove(move)) {
      const earlier = last.get(k);
      if (earlier !== undefined) before.add(earlier);
      // Who holds the node to the end is waited for to the end.
      if (node[m] === k) last.set(k, m);
      else last.delete(k);
    }
    return [...before];
  });
  return { node, failsOver: Uint8Array.from(moves, ({ kind }) => (failsOverFirst(kind) ? 1 : 0)), letGo };
}

/** Seconds for which each move holds the node that it lets go, if its steps take `stepSeconds`; 0 where it lets none go. */
export function heldSeconds(
  { node, failsOver }: EarlyReleases,
  { firstStep }: Pick<StepTimes, 'firstStep'>,
  stepSeconds: ArrayLike<number>,
): Float64Array {
  return Float64Array.from(node, (k, m) => {
    if (k < 0) return 0;
    const first = firstStep[m]!;
    const failover = failsOver[m]! * stepSeconds[first]!;
    return failover + Math.min(MIRROR_SETUP_SECONDS, stepSeconds[first + failsOver[m]!]!);
  });
}
