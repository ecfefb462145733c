import { DEFAULT_CLUSTER } from '../domain/move-record.js';
import { QUANTILE_LEVELS, type Basis } from '../domain/prediction.js';
import { pairLink, type LinkSample } from '../domain/samples.js';
import { fromIsoTime } from '../domain/units.js';
import type { SeriesClass } from './series-class.js';
import {
  SeriesForecast,
  type SavedSeriesForecast,
  type SeriesCandidateName,
  type SeriesForecastOptions,
} from './series-forecast.js';

/** Ends the name of a link whose samples are what moves got of it. */
const BY_MOVES = ':moves';
/** The same, of moves that something else held back: the link would have given at least this much. */
const BY_MOVES_AT_LEAST = ':moves-at-least';
/** Ends the name of a node's port. */
const EGRESS = ':egress';
/** The name of the series that stands for a whole cluster; no link is called so. */
const WHOLE_CLUSTER = '*';
/** Links followed one by one; those seen after that speak through their node and cluster. About 150 KB each. */
const MOST_SERIES = 2000;
/** Links that take turns in one series, at most. */
const MOST_TURNS = 10_000;
/** Whose turn it is in a series that stands for many links changes this often. */
const TURN_MS = 300_000;
const SEPARATOR = '\u001f';
const LEVELS = QUANTILE_LEVELS.length;

/** A series holds traffic that goes over a link, or what moves got of it. */
export type LinkEvidence = 'traffic' | 'moves';

/** A link at one time to come. Quantiles are at QUANTILE_LEVELS, in order, finite, 0 or more, in Mbit/s. */
export interface LinkForecast {
  /** The most specific history that it stands on. */
  basis: Exclude<Basis, 'prior'>;
  /** The link or node that was measured; `*` is the whole cluster. */
  series: string;
  evidence: LinkEvidence;
  /** Other traffic on the link; undefined where only moves told of it. */
  trafficMbps: Float64Array | undefined;
  /** What is left for a move: capacity − traffic, or what moves got; undefined while the capacity is not known. */
  availableMbps: Float64Array | undefined;
  capacityMbps: number | undefined;
  /** Samples behind it, and the time of the last, epoch ms. */
  samples: number;
  lastMs: number;
  class: SeriesClass;
  model: SeriesCandidateName;
}

/** Which link is asked for. */
export interface LinkOf {
  cluster?: string | undefined;
  sourceNode: string;
  /** Without one, the port of the source is meant. */
  targetNode?: string | undefined;
  /** Nominal capacity where the asker knows it, Mbit/s; else what the samples said. */
  capacityMbps?: number | undefined;
}

/** `a>b`, `a` or `a:egress`, also with the endings that samples by moves have → the link it names; undefined for none. */
export function linkOfName(text: string): LinkOf | undefined {
  const name = text.replace(/:moves(-at-least)?$/, '').replace(/:egress$/, '');
  const [sourceNode = '', targetNode, more] = name.split('>').map((part) => part.trim());
  return sourceNode === '' || targetNode === '' || more !== undefined
    ? undefined
    : { sourceNode, targetNode };
}

interface Followed {
  forecast: SeriesForecast;
  samples: number;
  capacityMbps: number | undefined;
}

interface Pool extends Followed {
  /** Links that take turns in it, by the order in which they were first seen. */
  turns: Map<string, number>;
}

/** All that was learnt, as plain JSON. */
export interface SavedLinkForecasts {
  series: [string, { forecast: SavedSeriesForecast; samples: number; capacity_mbps: number | null }][];
  pools: [
    string,
    { forecast: SavedSeriesForecast; samples: number; capacity_mbps: number | null; turns: string[] },
  ][];
}

/**
 * Forecasts of every link of every cluster: learns sample by sample in O(1), answers in O(1) from the link itself, else
 * from its source node, else from its cluster.
 *
 * A node or a cluster without a port of its own is a series of its links in turn, one a time, so that its bands are those
 * of a single link and not of their mean.
 *
 * @example
 * const links = LinkForecasts.fit(samples);
 * links.at({ sourceNode: 'node1', targetNode: 'node2' }, Date.now() + 3_600_000)?.availableMbps; // p05 … p95
 */
export class LinkForecasts {
  private readonly series = new Map<string, Followed>();
  private readonly pools = new Map<string, Pool>();

  /** `mostSeries`: links followed one by one; those seen after that speak through their node and cluster. */
  constructor(private readonly options: SeriesForecastOptions & { mostSeries?: number } = {}) {}

  private get mostSeries(): number {
    return this.options.mostSeries ?? MOST_SERIES;
  }

  /** Learns samples in order of time, whatever order they come in. O(n log n). */
  static fit(samples: readonly LinkSample[], options: SeriesForecastOptions = {}): LinkForecasts {
    const links = new LinkForecasts(options);
    const timed = samples.map((sample) => ({ sample, atMs: fromIsoTime(sample.at) }));
    timed.sort(
      (a, b) =>
        a.atMs - b.atMs ||
        compare(a.sample.link, b.sample.link) ||
        compare(a.sample.cluster ?? '', b.sample.cluster ?? '') ||
        a.sample.throughput_mbps - b.sample.throughput_mbps,
    );
    for (const { sample } of timed) links.learn(sample);
    return links;
  }

  /** Takes in one sample. Callers give those of a link in order of time; one not later than the last is left out. */
  learn(sample: LinkSample): void {
    const atMs = fromIsoTime(sample.at);
    const cluster = sample.cluster ?? DEFAULT_CLUSTER;
    const { name, evidence, isAtLeast } = readLinkName(sample.link);
    const key = keyOf(cluster, evidence, name);
    let followed = this.series.get(key);
    if (followed === undefined && this.series.size < this.mostSeries)
      this.series.set(key, (followed = this.newFollowed()));
    if (followed !== undefined) learnInto(followed, atMs, sample, isAtLeast);
    const node = name.endsWith(EGRESS) ? undefined : sourceOf(name);
    for (const pooled of node === undefined ? [WHOLE_CLUSTER] : [node, WHOLE_CLUSTER]) {
      const poolKey = keyOf(cluster, evidence, pooled);
      let pool = this.pools.get(poolKey);
      if (pool === undefined) {
        if (this.pools.size >= this.mostSeries) continue;
        this.pools.set(poolKey, (pool = { ...this.newFollowed(), turns: new Map() }));
      }
      let turn = pool.turns.get(name);
      if (turn === undefined) {
        if (pool.turns.size >= MOST_TURNS) continue;
        pool.turns.set(name, (turn = pool.turns.size));
      }
      if (scattered(Math.floor(atMs / TURN_MS)) % pool.turns.size === turn)
        learnInto(pool, atMs, sample, isAtLeast);
    }
  }

  /**
   * The link at a time to come, epoch ms; a time that is past counts as the one after the last sample. Undefined when
   * nothing in the cluster was ever sampled. O(1).
   */
  at(
    { cluster = DEFAULT_CLUSTER, sourceNode, targetNode, capacityMbps }: LinkOf,
    atMs: number,
  ): LinkForecast | undefined {
    const link = targetNode === undefined ? undefined : pairLink(sourceNode, targetNode);
    const places: [LinkForecast['basis'], string, Map<string, Followed>][] = [];
    if (link !== undefined) places.push(['link', link, this.series]);
    places.push(
      [link === undefined ? 'link' : 'node', sourceNode + EGRESS, this.series],
      ['node', sourceNode, this.pools],
      ['cluster', WHOLE_CLUSTER, this.pools],
    );
    for (const [basis, series, among] of places) {
      const forecast = this.of(among, cluster, basis, series, atMs, capacityMbps);
      if (forecast !== undefined) return forecast;
    }
    return undefined;
  }

  /** Names of the links that were sampled in a cluster, in order; each name once. */
  links(cluster: string): string[] {
    return this.names()
      .filter(([of]) => of === cluster)
      .map(([, link]) => link);
  }

  /** Clusters in which a link (or the port of a node) was sampled. */
  clustersOf(link: string): string[] {
    return this.names()
      .filter(([, name]) => name === link)
      .map(([cluster]) => cluster);
  }

  /** Every cluster that was sampled. */
  clusters(): string[] {
    return [...new Set(this.names().map(([cluster]) => cluster))];
  }

  private names(): [string, string][] {
    const pairs = new Map<string, [string, string]>();
    for (const key of this.series.keys()) {
      const [cluster, , link] = key.split(SEPARATOR) as [string, string, string];
      pairs.set(cluster + SEPARATOR + link, [cluster, link]);
    }
    return [...pairs.values()].sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]));
  }

  /** From one place: its traffic when that tells what is left, else what moves got there, else its traffic alone. */
  private of(
    among: Map<string, Followed>,
    cluster: string,
    basis: LinkForecast['basis'],
    series: string,
    atMs: number,
    capacityMbps: number | undefined,
  ): LinkForecast | undefined {
    const traffic = among.get(keyOf(cluster, 'traffic', series));
    const moves = among.get(keyOf(cluster, 'moves', series));
    const capacity = capacityMbps ?? traffic?.capacityMbps ?? moves?.capacityMbps;
    const followed =
      traffic !== undefined && traffic.samples > 0 && (capacity !== undefined || !((moves?.samples ?? 0) > 0))
        ? traffic
        : moves;
    if (followed === undefined || followed.samples === 0) return undefined;
    const { forecast, samples } = followed;
    const quantiles = forecast.quantiles(atMs);
    const isTraffic = followed === traffic;
    return {
      basis,
      series,
      evidence: isTraffic ? 'traffic' : 'moves',
      trafficMbps: isTraffic ? quantiles : undefined,
      availableMbps: isTraffic ? left(capacity, quantiles) : within(capacity, quantiles),
      capacityMbps: capacity,
      samples,
      lastMs: forecast.lastMs,
      class: forecast.class(),
      model: forecast.answering(),
    };
  }

  private newFollowed(): Followed {
    return { forecast: new SeriesForecast(this.options), samples: 0, capacityMbps: undefined };
  }

  /** Everything learnt, as plain JSON: what is restored from it answers and goes on to the last digit the same. */
  save(): SavedLinkForecasts {
    const plain = ({ forecast, samples, capacityMbps }: Followed) => ({
      forecast: forecast.save(),
      samples,
      capacity_mbps: capacityMbps ?? null,
    });
    return {
      series: [...this.series].map(([key, followed]) => [key, plain(followed)]),
      pools: [...this.pools].map(([key, pool]) => [key, { ...plain(pool), turns: [...pool.turns.keys()] }]),
    };
  }

  /** What `save` gave. @throws Error when it was saved under another choice of models. */
  static restore(saved: SavedLinkForecasts, options: SeriesForecastOptions = {}): LinkForecasts {
    const links = new LinkForecasts(options);
    const followed = (of: SavedLinkForecasts['series'][number][1]): Followed => ({
      forecast: SeriesForecast.restore(of.forecast, options),
      samples: of.samples,
      capacityMbps: of.capacity_mbps ?? undefined,
    });
    for (const [key, of] of saved.series) links.series.set(key, followed(of));
    for (const [key, of] of saved.pools)
      links.pools.set(key, { ...followed(of), turns: new Map(of.turns.map((name, turn) => [name, turn])) });
    return links;
  }
}

function learnInto(followed: Followed, atMs: number, sample: LinkSample, isAtLeast: boolean): void {
  const { forecast } = followed;
  if (sample.capacity_mbps !== undefined && sample.capacity_mbps > 0)
    followed.capacityMbps = sample.capacity_mbps;
  // "At least this much" below what is expected anyway says nothing; above it, it says that more is to be had.
  if (isAtLeast && sample.throughput_mbps <= forecast.quantiles(atMs)[LEVELS >> 1]!) return;
  forecast.learn(atMs, sample.throughput_mbps);
  followed.samples++;
}

/** Capacity less traffic, in order: the most traffic leaves the least. */
function left(capacity: number | undefined, traffic: Float64Array): Float64Array | undefined {
  if (capacity === undefined) return undefined;
  const out = new Float64Array(LEVELS);
  for (let j = 0; j < LEVELS; j++) out[j] = Math.max(0, capacity - traffic[LEVELS - 1 - j]!);
  return out;
}

/** No move gets more than the link has. */
const within = (capacity: number | undefined, got: Float64Array): Float64Array =>
  capacity === undefined ? got : got.map((mbps) => Math.min(capacity, mbps));

function readLinkName(link: string): { name: string; evidence: LinkEvidence; isAtLeast: boolean } {
  if (link.endsWith(BY_MOVES_AT_LEAST))
    return { name: link.slice(0, -BY_MOVES_AT_LEAST.length), evidence: 'moves', isAtLeast: true };
  if (link.endsWith(BY_MOVES))
    return { name: link.slice(0, -BY_MOVES.length), evidence: 'moves', isAtLeast: false };
  return { name: link, evidence: 'traffic', isAtLeast: false };
}

/** The node that a directed pair starts from; undefined for what is no pair. */
function sourceOf(link: string): string | undefined {
  const at = link.indexOf('>');
  return at > 0 ? link.slice(0, at) : undefined;
}

const keyOf = (cluster: string, evidence: LinkEvidence, name: string): string =>
  cluster + SEPARATOR + evidence + SEPARATOR + name;

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** A whole number scattered over 32 bits (the last steps of MurmurHash3), so that turns keep no time with the sampling. */
const scattered = (n: number): number => {
  let x = n >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
};
