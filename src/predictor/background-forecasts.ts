import { DEFAULT_CLUSTER, finishMs, startMs, type MoveRecord } from '../domain/move-record.js';
import { pairLink, type LinkSample } from '../domain/samples.js';
import { fromIsoTime } from '../domain/units.js';
import type { DurationModel } from './duration-model.js';
import type { FilledInputs } from './instance-forecasts.js';
import { LinkForecasts } from './link-forecast.js';
import type { MoveInputs } from './move-inputs.js';

const { min } = Math;

/** Links of which traffic is followed for predictions; further ones are answered by their node or cluster. Some 0.3 MB each. */
const MOST_LINKS = 500;
/** Samples of a cluster that wait to be learnt, until a question or this many make it necessary. */
const MOST_WAITING = 500;
/** The oldest of them are learnt when there are more, so many in a go: about a millisecond. */
const LEARNT_AT_ONCE = 32;
/** Finished moves of a node that are remembered, to know their traffic from that of others. */
const MOST_MOVES = 128;
/** Links whose last gap is remembered. */
const MOST_GAPS = 10_000;
/** No sample is taken to stand for longer than this. */
const LONGEST_GAP_MS = 600_000;
const SEPARATOR = '\u001f';
/** Names of links that say what moves got of them, not what else goes over them. */
const BY_MOVES = /:moves(-at-least)?$/;

interface Ran {
  targetNode: string;
  startMs: number;
  finishMs: number;
}

/** The traffic that is expected on the link of a move when it starts: Mbit/s at p10, p50 and p90. */
export interface ExpectedBackground {
  p10: number;
  p50: number;
  p90: number;
}

/**
 * Other traffic on a move's link at its start, from link samples up to then: fills `background_mbps` where a request leaves it
 * out. From the link itself, else its source node, else its cluster.
 *
 * Monitors count moves as traffic like any other: a sample during which a finished move ran over the link is left out, for
 * traffic of the last move says nothing of what goes on beside the next. To know of them, samples wait until they are asked
 * for. Learning and asking are O(1) but for that.
 */
export class BackgroundForecasts {
  private readonly links = new LinkForecasts({ mostSeries: MOST_LINKS });
  /** Of each cluster, in order of time. */
  private readonly waiting = new Map<string, { sample: LinkSample; atMs: number; gapMs: number }[]>();
  private readonly lastMs = new Map<string, number>();
  /** Of each cluster the time of the last learnt sample. */
  private readonly learntMs = new Map<string, number>();
  private readonly ran = new Map<string, Ran[]>();

  /** True while no sample has come: then nothing is filled, and nothing costs time. */
  get isEmpty(): boolean {
    return this.lastMs.size === 0;
  }

  /** Callers give the samples of a cluster in order of time; one that is not later than the last of its link is left out. */
  learnSample(sample: LinkSample): void {
    if (BY_MOVES.test(sample.link)) return;
    const cluster = sample.cluster ?? DEFAULT_CLUSTER;
    const key = cluster + SEPARATOR + sample.link;
    const atMs = fromIsoTime(sample.at);
    const lastMs = this.lastMs.get(key);
    if (lastMs === undefined ? this.lastMs.size >= MOST_GAPS : !(atMs > lastMs)) return;
    this.lastMs.set(key, atMs);
    const gapMs = lastMs === undefined ? 0 : min(LONGEST_GAP_MS, atMs - lastMs);
    let queue = this.waiting.get(cluster);
    if (queue === undefined) this.waiting.set(cluster, (queue = []));
    queue.push({ sample, atMs, gapMs });
    if (queue.length > MOST_WAITING) this.absorb(cluster, queue[LEARNT_AT_ONCE]!.atMs);
  }

  /** Takes note of a finished move: its traffic is not that of others. */
  learnMove(record: MoveRecord): void {
    const key = (record.cluster ?? DEFAULT_CLUSTER) + SEPARATOR + record.source_node;
    let ran = this.ran.get(key);
    if (ran === undefined) this.ran.set(key, (ran = []));
    ran.push({ targetNode: record.target_node, startMs: startMs(record), finishMs: finishMs(record) });
    if (ran.length > MOST_MOVES) ran.shift();
  }

  /** Learns what waits of a cluster up to a moment. */
  private absorb(cluster: string, untilMs: number): void {
    const queue = this.waiting.get(cluster);
    if (queue === undefined) return;
    let k = 0;
    for (; k < queue.length && queue[k]!.atMs <= untilMs; k++) {
      const { sample, atMs, gapMs } = queue[k]!;
      if (!this.isOwn(cluster, sample.link, atMs, gapMs)) this.links.learn(sample);
      this.learntMs.set(cluster, atMs);
    }
    if (k > 0) queue.splice(0, k);
  }

  /** Whether a finished move ran over a link while a sample was taken: it stands for the time before `atMs`, or for that after. */
  private isOwn(cluster: string, link: string, atMs: number, gapMs: number): boolean {
    const node = link.replace(/(>.*|:egress)$/, '');
    const ran = this.ran.get(cluster + SEPARATOR + node);
    if (ran === undefined) return false;
    const isPair = link.includes('>');
    for (let k = ran.length - 1; k >= 0; k--) {
      const { targetNode, startMs: from, finishMs: to } = ran[k]!;
      if (from < atMs + gapMs && to > atMs - gapMs && (!isPair || link === pairLink(node, targetNode)))
        return true;
    }
    return false;
  }

  /**
   * What is expected on the link of a move at its start; undefined where nothing was sampled, or where samples from after the
   * start have been learnt: no forecast of the past knows its future.
   */
  expected({ cluster, sourceNode, targetNode, startMs: atMs }: MoveInputs): ExpectedBackground | undefined {
    if (this.isEmpty) return undefined;
    this.absorb(cluster, atMs);
    if ((this.learntMs.get(cluster) ?? Infinity) > atMs) return undefined;
    const traffic = this.links.at({ cluster, sourceNode, targetNode }, atMs)?.trafficMbps;
    if (traffic === undefined) return undefined;
    return { p10: traffic[1]!, p50: traffic[2]!, p90: traffic[3]! };
  }

  /** The record with the forecast of its start in the place of a background that was not measured; itself where none is known. */
  completed(record: MoveRecord, inputs: MoveInputs): MoveRecord {
    if (record.background_mbps !== undefined) return record;
    const expected = this.expected(inputs);
    return expected === undefined ? record : { ...record, background_mbps: expected.p50 };
  }
}

/**
 * Fills `background_mbps` where it is missing and the model has learnt from moves whose background was known: to a model
 * fitted without it, it is already in every duration.
 */
export function fillBackground(
  forecasts: BackgroundForecasts,
  model: DurationModel,
  inputs: MoveInputs,
): FilledInputs | undefined {
  if (inputs.backgroundMbps >= 0 || forecasts.isEmpty || !model.knowsBackground(inputs.cluster))
    return undefined;
  const expected = forecasts.expected(inputs);
  if (expected === undefined) return undefined;
  inputs.backgroundMbps = expected.p50;
  return {
    names: ['background_mbps'],
    low: { backgroundMbps: expected.p10 },
    high: { backgroundMbps: expected.p90 },
  };
}
