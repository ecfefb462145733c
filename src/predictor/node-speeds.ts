import type { Saved } from './saved.js';

const { max, min } = Math;

/** Speeds wander by so much variance a move. */
const DRIFT_VARIANCE = 1e-6;

/** How far nodes' speeds lie from the cluster's: the variance of their logarithm, of all clusters and of each that was fitted. */
export interface SpeedSpread {
  global: number;
  clusters: Readonly<Record<string, number>>;
}

/** Where speeds are not modelled: models made before they were. */
export const NO_SPREAD: SpeedSpread = { global: 0, clusters: {} };

interface Speed {
  mean: number;
  variance: number;
}

/**
 * The logarithm of how fast each node moves memory, against the median of its cluster. Unlike an effect on the duration it
 * acts inside of the physics: the slower of two nodes and the link decide, so that a fast node between slow ones is not
 * taken for a slow one, and a node's speed means the same beside any partner. An extended Kalman filter with a diagonal
 * covariance; a node that was never seen is at zero, with the variance of its cluster.
 */
export class NodeSpeeds {
  private readonly speeds = new Map<string, Speed>();
  private readonly spreads: ReadonlyMap<string, number>;

  constructor(private readonly spread: SpeedSpread = NO_SPREAD) {
    this.spreads = new Map(Object.entries(spread.clusters));
  }

  /** False of a node that never moved anything. */
  has(node: string): boolean {
    return this.speeds.has(node);
  }

  mean(node: string): number {
    return this.speeds.get(node)?.mean ?? 0;
  }

  variance(cluster: string, node: string): number {
    return this.speeds.get(node)?.variance ?? this.priorVariance(cluster);
  }

  private priorVariance(cluster: string): number {
    return this.spreads.get(cluster) ?? this.spread.global;
  }

  /**
   * Takes in what was left of log T: `slope` is d log T by the logarithm of the node's speed (0 or negative), `variance`
   * that of the whole sum it was a part of, as it was before.
   */
  learn(cluster: string, node: string, error: number, slope: number, variance: number): void {
    const prior = this.variance(cluster, node);
    if (!(prior > 0) || slope === 0) return;
    const gain = (prior * slope) / variance;
    this.speeds.set(node, {
      mean: this.mean(node) + gain * error,
      variance: min(max(prior, this.priorVariance(cluster)), prior * (1 - gain * slope) + DRIFT_VARIANCE),
    });
  }

  [Symbol.iterator](): Iterator<[string, Speed]> {
    return this.speeds[Symbol.iterator]();
  }

  save(): Saved<[number, number]> {
    return [...this.speeds].map(([key, { mean, variance }]) => [key, [mean, variance]]);
  }

  restore(saved: Saved<[number, number]>): void {
    for (const [key, [mean, variance]] of saved) this.speeds.set(key, { mean, variance });
  }
}
