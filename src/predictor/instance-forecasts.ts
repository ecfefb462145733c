import { DEFAULT_CLUSTER } from '../domain/move-record.js';
import type { InstanceSample } from '../domain/samples.js';
import { fromIsoTime } from '../domain/units.js';
import type { MoveInputs } from './move-inputs.js';
import type { SeriesClass } from './series-class.js';
import { SeriesForecast, type SeriesCandidateName } from './series-forecast.js';

/**
 * Which candidate answers for the load of an instance. While it is young the last value does: on the laboratory's instances it
 * beat every other for dirty rates (`npm run marks:inputs`). From two days on, as the public series of hosts' load chose.
 */
const CHOICE: Readonly<Record<SeriesClass, SeriesCandidateName>> = {
  young: 'last-value',
  bursty: 'mixture',
  seasonal: 'mixture',
  steady: 'mixture',
};
/** Instances that are followed; of further ones the last value is known (`KnownInputs`). Some 0.3 MB each. */
const MOST_INSTANCES = 200;
/** Of samples nearer together than this one counts: seasons of a day show in hours, and learning costs 24 us. */
const LEAST_GAP_MS = 15 * 60_000;
/** Samples of a cluster that wait for a question about a later moment; the older half is learnt when there are more. */
const MOST_WAITING = 512;
const SEPARATOR = '\u001f';

const fields = ['dirty_rate_mib_s', 'used_memory_mib'] as const;
type Field = (typeof fields)[number];

/** Quantiles at QUANTILE_LEVELS; undefined where an instance was never sampled, or where it is too young to tell. */
export interface InstanceForecast {
  dirtyMibS: Float64Array | undefined;
  usedMemoryMib: Float64Array | undefined;
  /** Of the dirty rate, else of the memory. */
  class: SeriesClass;
  model: SeriesCandidateName;
}

/** Forecasts of the dirty rate and the used memory of every sampled instance. Learning and asking are O(1). */
export class InstanceForecasts {
  private readonly series = new Map<string, SeriesForecast>();
  private readonly lastMs = new Map<string, number>();
  private readonly waiting = new Map<string, { sample: InstanceSample; atMs: number }[]>();
  private readonly learntMs = new Map<string, number>();

  get isEmpty(): boolean {
    return this.lastMs.size === 0;
  }

  /** Callers give the samples of a cluster in order of time. */
  learn(sample: InstanceSample): void {
    if (sample.dirty_rate_mib_s === undefined && sample.used_memory_mib === undefined) return;
    const cluster = sample.cluster ?? DEFAULT_CLUSTER;
    const key = cluster + SEPARATOR + sample.instance;
    const atMs = fromIsoTime(sample.at);
    const lastMs = this.lastMs.get(key);
    if (lastMs === undefined ? this.lastMs.size >= MOST_INSTANCES : atMs < lastMs + LEAST_GAP_MS) return;
    this.lastMs.set(key, atMs);
    let queue = this.waiting.get(cluster);
    if (queue === undefined) this.waiting.set(cluster, (queue = []));
    queue.push({ sample, atMs });
    if (queue.length > MOST_WAITING) this.absorb(cluster, queue[queue.length >> 1]!.atMs);
  }

  private absorb(cluster: string, untilMs: number): void {
    const queue = this.waiting.get(cluster);
    if (queue === undefined) return;
    let k = 0;
    for (; k < queue.length && queue[k]!.atMs <= untilMs; k++) {
      const { sample, atMs } = queue[k]!;
      for (const field of fields) {
        const value = sample[field];
        if (value === undefined) continue;
        const key = keyOf(cluster, sample.instance, field);
        let forecast = this.series.get(key);
        if (forecast === undefined) this.series.set(key, (forecast = new SeriesForecast({ choice: CHOICE })));
        forecast.learn(atMs, value);
      }
      this.learntMs.set(cluster, atMs);
    }
    if (k > 0) queue.splice(0, k);
  }

  /** The load of an instance at a moment, from samples up to it; undefined where later ones had to be learnt already. */
  at(cluster: string, instance: string, atMs: number): InstanceForecast | undefined {
    if (!this.lastMs.has(cluster + SEPARATOR + instance)) return undefined;
    this.absorb(cluster, atMs);
    if ((this.learntMs.get(cluster) ?? Infinity) > atMs) return undefined;
    const dirty = this.series.get(keyOf(cluster, instance, 'dirty_rate_mib_s'));
    const memory = this.series.get(keyOf(cluster, instance, 'used_memory_mib'));
    const first = dirty ?? memory;
    if (first === undefined) return undefined;
    return {
      dirtyMibS: dirty?.quantiles(atMs),
      usedMemoryMib: memory?.quantiles(atMs),
      class: first.class(),
      model: first.answering(),
    };
  }
}

const keyOf = (cluster: string, instance: string, field: Field): string =>
  cluster + SEPARATOR + instance + SEPARATOR + field;

/** Inputs that were filled by a forecast, by their names in the contract, and what they are at its p10 and p90. */
export interface FilledInputs {
  names: string[];
  low: Partial<MoveInputs>;
  high: Partial<MoveInputs>;
}

/**
 * Fills dirty rate and used memory where a request leaves them out and the instance has been sampled long enough for a forecast
 * to beat its last values (not `young`); before that, `KnownInputs` fills what was last measured.
 */
export function fillLoad(forecasts: InstanceForecasts, inputs: MoveInputs): FilledInputs | undefined {
  if (forecasts.isEmpty || (inputs.dirtyMibS >= 0 && inputs.usedMemoryMib >= 0)) return undefined;
  const forecast = forecasts.at(inputs.cluster, inputs.instance, inputs.startMs);
  if (forecast === undefined || forecast.class === 'young') return undefined;
  const low: Partial<MoveInputs> = {};
  const high: Partial<MoveInputs> = {};
  const names: string[] = [];
  const { dirtyMibS, usedMemoryMib } = forecast;
  if (usedMemoryMib !== undefined && !(inputs.usedMemoryMib >= 0)) {
    const most = inputs.memoryMib > 0 ? inputs.memoryMib : Infinity;
    low.usedMemoryMib = Math.min(most, usedMemoryMib[1]!);
    inputs.usedMemoryMib = Math.min(most, usedMemoryMib[2]!);
    high.usedMemoryMib = Math.min(most, usedMemoryMib[3]!);
    names.push('used_memory_mib');
  }
  if (dirtyMibS !== undefined && !(inputs.dirtyMibS >= 0)) {
    low.dirtyMibS = dirtyMibS[1]!;
    inputs.dirtyMibS = dirtyMibS[2]!;
    high.dirtyMibS = dirtyMibS[3]!;
    names.push('dirty_rate_mib_s');
  }
  return names.length === 0 ? undefined : { names, low, high };
}
