import type { Saved } from './saved.js';

/**
 * How many moves run beside one, on average over its duration. At its start only those that run already are known; where
 * moves come in pairs or in streams, others begin soon after. How many, each cluster's moves that began alone tell, by
 * the share of their duration that others overlapped; a cluster's own number is pulled to that of all clusters.
 */

const { max, min } = Math;

/** Overlaps are looked for among so many last finished moves of a cluster. */
const RING_LENGTH = 24;
/** So many moves' worth of the parent stands behind a cluster's own number; the parent of all is none. */
const PRIOR_MOVES = 6;
/** The number is that of about the last 1/(1 − this) moves. */
const KEPT = 0.99;

/** Start and finish (epoch ms) of a move, and 1 if it began alone. */
type Span = [startMs: number, finishMs: number, alone: number];
/** Overlapped shares of moves that began alone, and how many these were; both forgotten slowly. */
type Sums = [overlapped: number, moves: number];

export class MovesBeside {
  private readonly spans = new Map<string, Span[]>();
  private readonly sums = new Map<string, Sums>();

  /** Expected number beside a move of `cluster` that starts while `running` others run; never falls with it. O(1). */
  expected(cluster: string, running: number): number {
    let joining = 0;
    for (const key of [ALL, cluster]) {
      const seen = this.sums.get(key);
      if (seen !== undefined) joining = (joining * PRIOR_MOVES + seen[0]) / (PRIOR_MOVES + seen[1]);
    }
    return max(running, joining);
  }

  /** Takes in a finished move. O(ring). */
  learn(cluster: string, startMs: number, finishMs: number, running: number): void {
    let ring = this.spans.get(cluster);
    if (ring === undefined) this.spans.set(cluster, (ring = []));
    const alone = running > 0 ? 0 : 1;
    let overlapped = 0;
    for (const [otherStartMs, otherFinishMs, otherAlone] of ring) {
      const overlapMs = min(finishMs, otherFinishMs) - max(startMs, otherStartMs);
      if (!(overlapMs > 0)) continue;
      overlapped += (alone * overlapMs) / (finishMs - startMs);
      overlapped += (otherAlone * overlapMs) / (otherFinishMs - otherStartMs);
    }
    for (const key of [ALL, cluster]) {
      let seen = this.sums.get(key);
      if (seen === undefined) this.sums.set(key, (seen = [0, 0]));
      seen[0] = seen[0] * KEPT + overlapped;
      seen[1] = seen[1] * KEPT + alone;
    }
    ring.push([startMs, finishMs, alone]);
    if (ring.length > RING_LENGTH) ring.shift();
  }

  save(): { spans: Saved<Span[]>; sums: Saved<Sums> } {
    return {
      spans: [...this.spans].map(([key, ring]) => [key, ring.map((span): Span => [...span])]),
      sums: [...this.sums].map(([key, sums]) => [key, [...sums]]),
    };
  }

  restore(saved: { spans: Saved<Span[]>; sums: Saved<Sums> }): void {
    for (const [key, ring] of saved.spans)
      this.spans.set(
        key,
        ring.map((span): Span => [...span]),
      );
    for (const [key, sums] of saved.sums) this.sums.set(key, [...sums]);
  }
}

const ALL = '';
