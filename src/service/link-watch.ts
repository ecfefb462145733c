import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { Logger } from 'pino';
import { UserError } from '../domain/errors.js';
import { DEFAULT_CLUSTER } from '../domain/move-record.js';
import { pairLink, type LinkSample } from '../domain/samples.js';
import { fromIsoTime, MS_PER_DAY, toIsoTime } from '../domain/units.js';
import { LinkForecasts, linkOfName, type LinkForecast, type LinkOf } from '../predictor/link-forecast.js';
import type { Store } from '../store/store.js';
import { CLOCK_TOLERANCE_MS } from './learning-model.js';

/** Samples older than this say nothing of the next hours that newer ones do not. */
const LONGEST_LOOK_BACK_DAYS = 60;
/** Newest samples that are learnt: at 24 us each about 7 s of one core, once. */
const MOST_SAMPLES = 300_000;
/** Links followed; samples of further ones are passed over. */
const MOST_LINKS = 2_000;
/** Samples learnt between two looks at the event loop: about a millisecond. */
const LEARN_SLICE = 40;
/** The store is looked at for new samples at most this often. */
const LOOK_AGAIN_MS = 2_000;
/** Samples of one moment arrive within this time of each other; later ones wait for the next reading from the start. */
const LATE_MS = 600_000;
/** Where more than this have come since the last look, reading from the start is as quick. */
const MOST_CAUGHT_UP = 20_000;
/** Read from the start at most this often … */
const READ_ANEW_PAUSE_MS = 60_000;
/** … and for at most this share of the time. */
const READ_ANEW_SHARE = 0.02;
/** Points of past traffic in an answer: of each so long a stretch the first sample. */
const SHOWN_EVERY_MS = 60_000;
const SEPARATOR = '\u001f';
/** Names in an error. */
const NAMED = 6;

/** One link as it is known. */
export interface WatchedLink {
  cluster: string;
  link: string;
  samples: number;
  lastMs: number;
}

/** What was read in one go, and how far. */
interface Reading {
  links: LinkForecasts;
  /** Time of the last sample of each series, by cluster and name. */
  lastMs: Map<string, number>;
  newestMs: number;
  /** Link samples in the store when it was read. */
  stored: number;
}

/**
 * Forecasts of links, as fresh as the store: its samples are read once, when first asked for, and then only what has come
 * since. Samples that come late are put right by reading anew beside what answers, as `LearningModel` does with moves.
 * Bounded: the newest 300,000 samples of 2,000 links.
 */
export class LinkWatch {
  private reading: Reading | undefined;
  private looking: Promise<void> | undefined;
  private readingAnew: Promise<void> | undefined;
  private lookedMs = -Infinity;
  private readMs = -Infinity;
  private readTookMs = 0;
  private stale = false;

  constructor(private readonly parts: { store: Store; now: () => number; log: Logger }) {}

  /** The forecasts, at most two seconds behind the store. Errors: as the store's. */
  async forecasts(): Promise<LinkForecasts> {
    if (this.reading === undefined) await this.readAnew();
    else if (this.parts.now() - this.lookedMs >= LOOK_AGAIN_MS)
      await (this.looking ??= this.look().finally(() => (this.looking = undefined)));
    return this.reading!.links;
  }

  /** Every link with samples, in order of cluster and name. */
  async watched(): Promise<WatchedLink[]> {
    const links = await this.forecasts();
    const found: WatchedLink[] = [];
    for (const cluster of links.clusters())
      for (const link of links.links(cluster)) {
        const asked = linkOfName(link);
        const forecast = asked && links.at({ ...asked, cluster }, this.parts.now());
        if (forecast?.basis === 'link')
          found.push({
            cluster,
            link,
            samples: forecast.samples,
            lastMs: this.lastSampleMs(cluster, forecast),
          });
      }
    return found;
  }

  /** Time of the newest sample behind a forecast; where several links stand for it, to the length of their usual gap. */
  lastSampleMs(cluster: string, { series, evidence, lastMs }: LinkForecast): number {
    const endings = evidence === 'moves' ? [':moves', ':moves-at-least'] : [''];
    const known = endings.flatMap((end) => this.reading?.lastMs.get(keyOf(cluster, series + end)) ?? []);
    return Math.max(lastMs, ...known);
  }

  /**
   * The measured values behind a forecast in the last 24 hours before its newest sample, one a minute, oldest first; none
   * where it stands on several links.
   */
  async samplesBehind(cluster: string, forecast: LinkForecast): Promise<LinkSample[]> {
    const { series, evidence } = forecast;
    if (!/[>:]/.test(series)) return []; // a node's or a cluster's links in turn
    const lastMs = this.lastSampleMs(cluster, forecast);
    const filter = {
      cluster,
      key: evidence === 'moves' ? `${series}:moves` : series,
      fromMs: lastMs - MS_PER_DAY,
      toMs: lastMs + 1,
    };
    const shown: LinkSample[] = [];
    let stretch = -Infinity;
    for await (const sample of this.parts.store.linkSamples(filter)) {
      const at = Math.floor(fromIsoTime(sample.at) / SHOWN_EVERY_MS);
      if (at > stretch) shown.push(sample);
      stretch = at;
    }
    return shown;
  }

  /** Takes in what has come since the last look. */
  private async look(): Promise<void> {
    const { store, now, log } = this.parts;
    const reading = this.reading!;
    const { link_samples: stored } = await store.info();
    const come = stored - reading.stored;
    if (come < 0 || come > MOST_CAUGHT_UP) this.stale = true;
    else if (come > 0) {
      let learned = 0;
      const range = { fromMs: reading.newestMs - LATE_MS, toMs: now() + CLOCK_TOLERANCE_MS };
      for await (const sample of store.linkSamples(range)) if (learn(reading, sample)) learned += 1;
      if (learned !== come) this.stale = true;
    }
    reading.stored = stored;
    this.lookedMs = now();
    const pauseMs = Math.max(READ_ANEW_PAUSE_MS, this.readTookMs / READ_ANEW_SHARE);
    if (this.stale && now() - this.readMs >= pauseMs)
      this.readAnew().catch((error: unknown) => {
        this.stale = true;
        log.warn(
          { event: 'link_samples_not_read', reason: (error as Error).message },
          'link samples not read',
        );
      });
  }

  private readAnew(): Promise<void> {
    this.readingAnew ??= this.read().finally(() => (this.readingAnew = undefined));
    return this.readingAnew;
  }

  private async read(): Promise<void> {
    const { store, now, log } = this.parts;
    const startedMs = now();
    this.stale = false;
    const { link_samples: stored } = await store.info();
    const reading: Reading = { links: new LinkForecasts(), lastMs: new Map(), newestMs: -Infinity, stored };
    const days = stored === 0 ? [] : await this.newestDays(startedMs + CLOCK_TOLERANCE_MS);
    let learned = 0;
    for (let day = days.pop(); day !== undefined; day = days.pop())
      for (const sample of day) {
        if (learn(reading, sample)) learned += 1;
        if (learned % LEARN_SLICE === 0) await yieldToLoop();
      }
    this.reading = reading;
    this.readMs = now();
    this.lookedMs = this.readMs;
    this.readTookMs = this.readMs - startedMs;
    log.info({ event: 'link_samples_read', samples: learned, took_ms: this.readTookMs }, 'link samples read');
  }

  /** The newest samples, a list a day, the newest day first: as many as are learnt and no more, however many there are. */
  private async newestDays(toMs: number): Promise<LinkSample[][]> {
    const days: LinkSample[][] = [];
    let left = MOST_SAMPLES;
    for (let ago = 0; ago < LONGEST_LOOK_BACK_DAYS && left > 0; ago += 1) {
      const range = { fromMs: toMs - (ago + 1) * MS_PER_DAY, toMs: toMs - ago * MS_PER_DAY };
      let day: LinkSample[] = [];
      for await (const sample of this.parts.store.linkSamples(range)) {
        day.push(sample);
        if (day.length >= 2 * left) day = day.slice(-left);
      }
      if (day.length > left) day = day.slice(-left);
      left -= day.length;
      days.push(day);
    }
    return days;
  }
}

const keyOf = (cluster: string, link: string): string => cluster + SEPARATOR + link;

/** Whether it was new: later than the last of its series, and of a link that is followed. */
function learn(reading: Reading, sample: LinkSample): boolean {
  const key = keyOf(sample.cluster ?? DEFAULT_CLUSTER, sample.link);
  const atMs = fromIsoTime(sample.at);
  const lastMs = reading.lastMs.get(key);
  if (lastMs === undefined ? reading.lastMs.size >= MOST_LINKS : atMs <= lastMs) return false;
  reading.lastMs.set(key, atMs);
  reading.newestMs = Math.max(reading.newestMs, atMs);
  reading.links.learn(sample);
  return true;
}

/**
 * The cluster that was named, else the only one that was sampled, else the only one that has the link.
 *
 * @throws UserError `not-found` where no samples tell of the link, `input-invalid` where several clusters have it
 */
export function clusterWith(links: LinkForecasts, asked: LinkOf): string {
  const all = links.clusters();
  const egress = `${asked.sourceNode}:egress`;
  const name = asked.targetNode === undefined ? egress : pairLink(asked.sourceNode, asked.targetNode);
  if (all.length === 0)
    throw new UserError(
      'not-found',
      'there are no link samples yet; send some to /v1/samples or read them with movecast collect link-samples FILE',
    );
  if (asked.cluster !== undefined) {
    if (all.includes(asked.cluster)) return asked.cluster;
    throw new UserError(
      'not-found',
      `no samples of cluster ${asked.cluster}; there are samples of ${someOf(all)}`,
      'cluster',
    );
  }
  if (all.length === 1) return all[0]!;
  const exact = links.clustersOf(name);
  const having = exact.length > 0 ? exact : links.clustersOf(egress);
  if (having.length === 1) return having[0]!;
  if (having.length > 1)
    throw new UserError(
      'input-invalid',
      `${name} is in clusters ${someOf(having)}; choose one with cluster`,
      'cluster',
    );
  throw new UserError('not-found', `no samples of ${name}; name a cluster, one of ${someOf(all)}`, 'cluster');
}

const someOf = (names: readonly string[]): string =>
  names.length <= NAMED
    ? names.join(', ')
    : `${names.slice(0, NAMED).join(', ')} and ${names.length - NAMED} more`;

/** How old the last sample behind a forecast is, as answers say it. */
export const ageOf = (lastMs: number, nowMs: number): { last_sample_at: string; age_seconds: number } => ({
  last_sample_at: toIsoTime(lastMs),
  age_seconds: Math.max(0, Math.round((nowMs - lastMs) / 1000)),
});
