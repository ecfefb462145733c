import type { InstanceSample } from '../domain/samples.js';
import { fromIsoTime } from '../domain/units.js';
import { FilledErrors } from './filled-errors.js';
import type { MoveInputs } from './move-inputs.js';
import { MovesBeside } from './moves-beside.js';

/**
 * What history last said of the inputs that a request may leave out: of the instance first, then the median of the
 * cluster; of a link the pair, then the source node, then the cluster. What is configured counts as it was last seen. What
 * is measured anew each time (dirty rate, used memory, link) counts as the median of its last three measurements by moves and samples,
 * in order of when they were taken: one that is far off does not show, a change does after the second.
 */

/** So many last values of a cluster stand for it. */
const CLUSTER_VALUES = 64;

/** Inputs that an instance keeps from one move to the next, and their names in the contract. */
const instanceInputs = [
  ['memoryMib', 'memory_mib'],
  ['usedMemoryMib', 'used_memory_mib'],
  ['vcpus', 'vcpus'],
  ['diskMib', 'disk_mib'],
  ['dirtyMibS', 'dirty_rate_mib_s'],
] as const;
/** These are measured, the others configured. */
const measuredInputs = new Set<string>(['usedMemoryMib', 'dirtyMibS']);
/** Measurements of which the median counts. */
const MEASUREMENTS = 3;
/** Inputs for which another instance's value is better than none. */
const clusterInputs = new Set<string>(['memoryMib', 'diskMib']);

/** Of each move of a cluster 1 when its background was known, else 0. */
const BACKGROUND_KNOWN = 'background_mbps known';

export type SavedValues = [string, number[]][];
/** When it was taken (epoch milliseconds), and what it said. */
type Measurement = [atMs: number, value: number];

class ValueRing {
  constructor(readonly values: number[] = []) {}
  add(value: number): void {
    if (this.values.length >= CLUSTER_VALUES) this.values.shift();
    this.values.push(value);
  }
  median(): number {
    const sorted = [...this.values].sort((a, b) => a - b);
    return sorted[(sorted.length - 1) >> 1] ?? NaN;
  }
}

const SEPARATOR = '\u001f';
const NONE = new ValueRing();

/** What was looked up for one instance on one node: undefined where it was not yet, NaN where nothing is known. */
class Lookups {
  values: (number | undefined)[] = [];
  sourceLink: number | undefined;
  private cluster: string | undefined;
  private instance = '';
  private operation = '';
  private sourceNode = '';

  isFor({ cluster, instance, operation, sourceNode }: MoveInputs): boolean {
    return (
      this.instance === instance &&
      this.sourceNode === sourceNode &&
      this.cluster === cluster &&
      this.operation === operation
    );
  }

  /** Makes room for what is asked for next. */
  begin({ cluster, instance, operation, sourceNode }: MoveInputs): void {
    this.forget();
    this.cluster = cluster;
    this.instance = instance;
    this.operation = operation;
    this.sourceNode = sourceNode;
  }

  /** History has changed. */
  forget(): void {
    this.cluster = undefined;
    this.values = [];
    this.sourceLink = undefined;
  }
}

export class KnownInputs {
  /** What a request that leaves an input out is filled with. */
  private readonly last = new Map<string, number>();
  /** In order of time. */
  private readonly measured = new Map<string, Measurement[]>();
  private readonly rings = new Map<string, ValueRing>();
  private readonly beside = new MovesBeside();
  private readonly linkErrors = new FilledErrors();
  /** Clusters of which a link has ever been another than what would have been filled in: seldom any, and asked for each pair. */
  private readonly changingLinks = new Set<string>();
  /** The last answer of `beside`: thousands of pairs that are asked for at once share it, and making its key takes longest. */
  private readonly besideFor = {
    cluster: undefined as string | undefined,
    operation: '',
    others: 0,
    moves: 0,
  };

  /** What was looked up last, for the same reason. */
  private readonly asked = new Lookups();

  /**
   * Whether most of the last moves of a cluster came with their background, so that what was learnt of it is about the rest;
   * true of a cluster without moves, where all is left to physics.
   */
  knowsBackground(cluster: string): boolean {
    const { values } = this.rings.get(cluster + SEPARATOR + BACKGROUND_KNOWN) ?? NONE;
    let known = 0;
    for (const value of values) known += value;
    return values.length === 0 || 2 * known > values.length;
  }

  /** `inputs` as the record had them, `finishMs` when the move ended. */
  learn(inputs: MoveInputs, finishMs: number): void {
    this.besideFor.cluster = undefined;
    this.asked.forget();
    this.beside.learn(besideKey(inputs), inputs.startMs, finishMs, othersOf(inputs));
    this.ring(inputs.cluster + SEPARATOR + BACKGROUND_KNOWN).add(inputs.backgroundMbps >= 0 ? 1 : 0);
    const instance = inputs.cluster + SEPARATOR + inputs.instance;
    for (const [key, field] of instanceInputs) {
      const value = inputs[key];
      if (!(value >= 0)) continue;
      // The disk that a move copies depends on the kind of move: it is remembered for each operation apart.
      const place = key === 'diskMib' ? `${field}:${inputs.operation}` : field;
      if (measuredInputs.has(key)) this.measure(instance + SEPARATOR + place, inputs.startMs, value);
      else this.last.set(instance + SEPARATOR + place, value);
      if (clusterInputs.has(key)) this.ring(inputs.cluster + SEPARATOR + place).add(value);
    }
    if (inputs.linkMbps > 0) this.learnLink(inputs);
  }

  private learnLink(inputs: MoveInputs): void {
    const { startMs, linkMbps } = inputs;
    linkPlaces(inputs).forEach((key, place) => {
      const isCluster = place === CLUSTER_PLACE;
      const filled = isCluster ? this.rings.get(key)?.median() : this.last.get(key);
      this.linkErrors.learn(linkPool(inputs, place), key, filled ?? NaN, linkMbps);
      if (filled !== undefined && filled !== linkMbps) this.changingLinks.add(inputs.cluster);
      if (isCluster) this.ring(key).add(linkMbps);
      else this.measure(key, startMs, linkMbps);
    });
  }

  /**
   * Standard deviation (log scale) by which the link that `fill` names has lately been off where it was measured after all; 0
   * where nothing is known.
   */
  linkDeviation(inputs: MoveInputs): number {
    if (!this.changingLinks.has(inputs.cluster)) return 0;
    const keys = linkPlaces(inputs);
    const place = keys.findIndex((key, k) => k === CLUSTER_PLACE || this.last.has(key));
    return Math.sqrt(this.linkErrors.variance(linkPool(inputs, place), keys[place]!));
  }

  learnSample(cluster: string, sample: InstanceSample): void {
    const instance = cluster + SEPARATOR + sample.instance + SEPARATOR;
    const atMs = fromIsoTime(sample.at);
    if (sample.dirty_rate_mib_s !== undefined)
      this.measure(instance + 'dirty_rate_mib_s', atMs, sample.dirty_rate_mib_s);
    if (sample.used_memory_mib !== undefined)
      this.measure(instance + 'used_memory_mib', atMs, sample.used_memory_mib);
  }

  /** What history says of an input of an instance. */
  private lookUp(inputs: MoveInputs, key: string, field: string): number {
    // The disk that a move copies depends on the kind of move: it is remembered for each operation apart.
    const place = key === 'diskMib' ? `${field}:${inputs.operation}` : field;
    const value = this.last.get(inputs.cluster + SEPARATOR + inputs.instance + SEPARATOR + place);
    if (value !== undefined || !clusterInputs.has(key)) return value ?? NaN;
    return this.rings.get(inputs.cluster + SEPARATOR + place)?.median() ?? NaN;
  }

  /** What was taken at the same moment is the same measurement: samples that are shown again change nothing. */
  private measure(key: string, atMs: number, value: number): void {
    let recent = this.measured.get(key);
    if (recent === undefined) this.measured.set(key, (recent = []));
    let k = recent.length;
    while (k > 0 && recent[k - 1]![0] > atMs) k--;
    if (k > 0 && recent[k - 1]![0] === atMs) recent[k - 1]![1] = value;
    else recent.splice(k, 0, [atMs, value]);
    if (recent.length > MEASUREMENTS) recent.shift();
    this.asked.forget();
    this.last.set(key, medianOf(recent));
  }

  /** Fills in place what is NaN and known from history; gives the contract's names of what was filled. */
  fill(inputs: MoveInputs): string[] {
    const filled: string[] = [];
    inputs.besideMoves = this.besideOf(inputs);
    const { asked } = this;
    if (!asked.isFor(inputs)) asked.begin(inputs);
    for (let k = 0; k < instanceInputs.length; k++) {
      const [key, field] = instanceInputs[k]!;
      if (inputs[key] >= 0) continue;
      const value = (asked.values[k] ??= this.lookUp(inputs, key, field));
      if (Number.isNaN(value)) continue;
      inputs[key] = value;
      filled.push(field);
    }
    if (!(inputs.linkMbps > 0)) {
      const value =
        this.last.get(linkKey(inputs, inputs.sourceNode, inputs.targetNode)) ??
        (asked.sourceLink ??=
          this.last.get(linkKey(inputs, inputs.sourceNode, '')) ??
          this.rings.get(inputs.cluster + SEPARATOR + 'link_mbps')?.median() ??
          NaN);
      if (!Number.isNaN(value)) {
        inputs.linkMbps = value;
        filled.push('link_mbps');
      }
    }
    return filled;
  }

  private besideOf(inputs: MoveInputs): number {
    const last = this.besideFor;
    const others = othersOf(inputs);
    if (last.cluster !== inputs.cluster || last.operation !== inputs.operation || last.others !== others) {
      last.cluster = inputs.cluster;
      last.operation = inputs.operation;
      last.others = others;
      last.moves = this.beside.expected(besideKey(inputs), others);
    }
    return last.moves;
  }

  private ring(key: string): ValueRing {
    let ring = this.rings.get(key);
    if (ring === undefined) this.rings.set(key, (ring = new ValueRing()));
    return ring;
  }

  save(): {
    last: [string, number][];
    measured: [string, Measurement[]][];
    rings: SavedValues;
    beside: ReturnType<MovesBeside['save']>;
    linkErrors: ReturnType<FilledErrors['save']>;
  } {
    return {
      linkErrors: this.linkErrors.save(),
      beside: this.beside.save(),
      last: [...this.last],
      measured: [...this.measured].map(([key, recent]) => [
        key,
        recent.map(([atMs, value]) => [atMs, value]),
      ]),
      rings: [...this.rings].map(([key, ring]) => [key, [...ring.values]]),
    };
  }

  restore(saved: ReturnType<KnownInputs['save']>): void {
    this.besideFor.cluster = undefined;
    this.asked.forget();
    this.beside.restore(saved.beside);
    this.linkErrors.restore(saved.linkErrors);
    for (const [key, [sum]] of saved.linkErrors)
      if (sum > 0) this.changingLinks.add(key.slice(0, key.indexOf(SEPARATOR)));
    for (const [key, value] of saved.last) this.last.set(key, value);
    for (const [key, recent] of saved.measured)
      this.measured.set(
        key,
        recent.map(([atMs, value]) => [atMs, value]),
      );
    for (const [key, values] of saved.rings) this.rings.set(key, new ValueRing([...values]));
  }
}

/** Of one to three; of two the middle as rates go, by their ratio. */
function medianOf(recent: readonly Measurement[]): number {
  const [a, b, c] = [recent[0]![1], recent[1]?.[1], recent[2]?.[1]];
  if (b === undefined) return a;
  if (c === undefined) return Math.sqrt(a * b);
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

const linkKey = (inputs: MoveInputs, source: string, target: string): string =>
  `${inputs.cluster}${SEPARATOR}link_mbps${SEPARATOR}${source}${SEPARATOR}${target}`;

/** From the particular to the whole: the pair, all that leaves its source, the cluster. */
const linkPlaces = (inputs: MoveInputs): string[] => [
  linkKey(inputs, inputs.sourceNode, inputs.targetNode),
  linkKey(inputs, inputs.sourceNode, ''),
  inputs.cluster + SEPARATOR + 'link_mbps',
];
const CLUSTER_PLACE = 2;
/** All links of a cluster that are filled in from the same place. */
const linkPool = ({ cluster }: MoveInputs, place: number): string =>
  `${cluster}${SEPARATOR}link_mbps${SEPARATOR}${place}`;

const besideKey = (inputs: MoveInputs): string => inputs.cluster + SEPARATOR + inputs.operation;
const othersOf = (inputs: MoveInputs): number => (inputs.concurrentMoves > 0 ? inputs.concurrentMoves : 0);
