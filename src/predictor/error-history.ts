import type { PastErrors } from '../domain/past-errors.js';
import { MS_PER_HOUR } from '../domain/units.js';

/**
 * The last standardised errors of each cluster (`pastErrorsSchema` says what that is), those of one hour and one source
 * host together: the promise of a plan is drawn from them. They were made before their moves were learnt, so that they
 * are honest.
 */

/** So many last errors of a cluster are kept, give or take an hour: 1 in 100 is then seen five times. */
const KEPT_ERRORS = 512;
/** Fewer say nothing about one plan in ten. */
const LEAST_ERRORS = 50;
/** A band narrower than this (log scale) is none: an error has no place in it. */
const LEAST_WIDTH = 1e-4;
/** Errors are kept to a thousandth of a band. */
const STEPS = 1000;

const { abs, exp, floor, max, round } = Math;

interface Hour {
  /** Hours since 1970. */
  hour: number;
  /** By host. */
  errors: Map<string, number[]>;
  count: number;
  /** Largest |ln(actual / p50)|. */
  most: number;
}

export type SavedErrors = [
  cluster: string,
  [hour: number, most: number, [host: string, errors: number[]][]][],
][];

export class ErrorHistory {
  private readonly clusters = new Map<string, Hour[]>();

  /**
   * `error` = ln(actual / p50) of a move that left `host` at `startMs`; `below` and `above` are the widths of its band,
   * ln(p50 / p10) and ln(p90 / p50). O(hours kept) at most.
   */
  learn(
    { cluster, host, startMs }: { cluster: string; host: string; startMs: number },
    error: number,
    below: number,
    above: number,
  ): void {
    const width = error < 0 ? below : above;
    if (!(width > LEAST_WIDTH) || !Number.isFinite(error)) return;
    let hours = this.clusters.get(cluster);
    if (hours === undefined) this.clusters.set(cluster, (hours = []));
    const hour = floor(startMs / MS_PER_HOUR);
    let at = hours.findLast((one) => one.hour === hour);
    if (at === undefined) hours.push((at = { hour, errors: new Map(), count: 0, most: 0 }));
    let ofHost = at.errors.get(host);
    if (ofHost === undefined) at.errors.set(host, (ofHost = []));
    ofHost.push(round((STEPS * error) / width) / STEPS + 0); // + 0: no -0, which JSON does not know
    at.count += 1;
    at.most = max(at.most, abs(error));
    while (countOf(hours) - hours[0]!.count >= KEPT_ERRORS) hours.shift();
  }

  /** Undefined where too little is known of a cluster. */
  of(cluster: string): PastErrors | undefined {
    const hours = this.clusters.get(cluster) ?? [];
    if (countOf(hours) < LEAST_ERRORS) return undefined;
    return {
      hours: hours.map(({ errors }) => [...errors.values()].map((ofHost) => [...ofHost])),
      most_factor: exp(hours.reduce((most, one) => max(most, one.most), 0)),
    };
  }

  save(): SavedErrors {
    return [...this.clusters].map(([cluster, hours]) => [
      cluster,
      hours.map(({ hour, most, errors }) => [
        hour,
        most,
        [...errors].map(([host, ofHost]) => [host, [...ofHost]]),
      ]),
    ]);
  }

  restore(saved: SavedErrors): void {
    for (const [cluster, hours] of saved)
      this.clusters.set(
        cluster,
        hours.map(([hour, most, hosts]) => ({
          hour,
          most,
          errors: new Map(hosts.map(([host, ofHost]) => [host, [...ofHost]])),
          count: hosts.reduce((sum, [, ofHost]) => sum + ofHost.length, 0),
        })),
      );
  }
}

const countOf = (hours: readonly Hour[]): number => hours.reduce((sum, { count }) => sum + count, 0);
