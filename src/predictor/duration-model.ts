import { finishMs, isCompleted, type MoveRecord } from '../domain/move-record.js';
import type { PastErrors } from '../domain/past-errors.js';
import { QUANTILE_LEVELS } from '../domain/prediction.js';
import type { InstanceSample } from '../domain/samples.js';
import { BusyPeriods } from './busy-periods.js';
import { ClusterLines } from './cluster-lines.js';
import { Committee } from './committee.js';
import { CoverageControl } from './coverage-control.js';
import { ErrorHistory } from './error-history.js';
import { KnownInputs } from './known-inputs.js';
import type { ModelFile } from './model-file.js';
import { LevelShifts } from './level-shifts.js';
import { fillFrameRow, HISTORY_COLUMNS } from './frame-columns.js';
import { fillMoveFeatures, moveFeatures } from './move-features.js';
import { Capability, inputsOfRecord, type MoveInputs } from './move-inputs.js';
import { Level, moveKeys, MoveKeys } from './move-keys.js';
import {
  DEFAULT_DOWNTIME_LIMIT_MS,
  bandwidthSlope,
  movePhysics,
  newPhysicsResult,
  secondsWhenSent,
  sentOf,
  type PhysicsConstants,
} from './move-physics.js';
import { NewClusters, type NewClusterKnowledge } from './new-clusters.js';
import { NodeSpeeds, type SpeedSpread } from './node-speeds.js';
import { expectedBeyond } from './normal-distribution.js';
import { NORMAL_QUANTILES } from './normal-quantiles.js';
import { calibrated, type Calibration } from './physics-calibration.js';
import { implausibility } from './plausibility.js';
import { PooledEffects, type EffectLevel, type EffectSum } from './pooled-effects.js';
import type { PrecopyInputs, PrecopyResult } from './precopy.js';
import { probabilityBelow, valueAt } from './quantile-curve.js';
import { QueuePlaces } from './queue-places.js';
import { RecentResiduals } from './recent-residuals.js';
import { ResidualQuantiles } from './residual-quantiles.js';
import { ShiftDetector } from './shift-detector.js';
import { predictRow, type Forest } from './trees.js';

// Bound once: a lookup through the global object costs more than the function itself where it is not inlined.
const { abs, exp, log, log2, max, min, round, sqrt } = Math;

/** Errors beyond so many standard deviations lose force in proportion: effects follow the middle, not the mean. */
const CLIP_DEVIATIONS = 1.2;
/** The same clip for the estimate of the noise itself, wider, so that it stays a standard deviation. */
const NOISE_CLIP_DEVIATIONS = 2.5;
/** The variance of a move around its effects, before any was seen (log scale), and what the seen must outweigh. */
const PRIOR_NOISE_VARIANCE = 0.04;
const NOISE_PRIOR_WEIGHT = 8;
/** The noise of a group is that of about its last 1/(1 − this) moves. */
const NOISE_KEPT = 0.99;
const LEAST_NOISE_VARIANCE = 1e-6;
/**
 * Moves completed and broken off before any was seen: 97 in 100 complete. A group's outcomes stand against as many of the
 * group above it.
 */
const PRIOR_COMPLETED = 9.7;
const PRIOR_BROKEN = 0.3;
/**
 * The same of moves whose pre-copy physics expects not to converge. Nothing but its manager ends such a move, and physics may
 * be wrong about the guest: undecided, and soon outvoted by how such moves of the cluster have ended.
 */
const PRIOR_DIVERGING_COMPLETED = 2;
const PRIOR_DIVERGING_BROKEN = 2;
/** Nothing is more certain than this. */
const MOST_SURE = 0.995;
/** Outcomes are forgotten a little with each new one. */
const OUTCOME_KEPT = 0.998;
/** log T is kept in the range of a duration between a millisecond and the longest move that a record may have. */
const LEAST_LOG = log(1e-3);
const MOST_LOG = log(100 * 86_400);
/** No quantile lies further beyond the shortest and the longest move ever learnt, and what physics says, than this (log scale). */
const MOST_BEYOND = log(10);

/**
 * What an instance sends, over what physics expects of its memory (log scale): how much of it is zero, how much is
 * dirtied again. Varies from instance to instance, little from move to move.
 */
const VOLUME_LEVELS: readonly EffectLevel[] = [
  { priorVariance: 0.02, driftVariance: 1e-4, memoryHours: 1e6 }, // cluster
  { priorVariance: 0.02, driftVariance: 2e-3, memoryHours: 1e6 }, // instance
];
const CLUSTER_VOLUME = 0;
const VOLUME_NOISE_VARIANCE = 0.01;
/** A record that says the move sent this many times more or less than expected says something else. */
const MOST_VOLUME_ERROR = log(8);

/** Errors of expected bytes (log scale) are kept in units of this: what stands for one standard deviation before any was seen. */
const TRANSFER_SCALE = 0.15;

/** As Math.hypot, which costs ten times as much. */
const hypotenuse = (a: number, b: number): number => sqrt(a * a + b * b);

/** After a shift was noticed: 15 % either way would be no surprise. */
const AFTER_SHIFT_VARIANCE = 0.02;

/** Stopping, the last state and starting take this long at least. */
const DOWNTIME_FLOOR_MS = 10;
/** Weight of the configured limit against physics in the expected downtime, as a power (of 0.5, 0.8 and 1 the best by pinball). */
const LIMIT_SHARE = 0.8;

/** The members of the committee, in the order of their answers. */
const MEMBERS = [
  'effects',
  'instance',
  'visit',
  'stretch',
  'config',
  'physics',
  'trees',
  'duration',
] as const;
export type Member = (typeof MEMBERS)[number];
const DURATION = MEMBERS.indexOf('duration');
/**
 * Whom to trust depends on how much is known of moves like this one: warm when its configuration was seen, cold when it
 * was not, far when nothing near its size was. The losses are what is taken for granted of the members at first: far
 * from all that was seen, physics alone can extrapolate.
 */
const PRIOR_LOSSES = {
  warm: [0.1, 0.13, 0.13, 0.13, 0.13, 0.1, 0.1, 0.13],
  cold: [0.1, 0.13, 0.13, 0.13, 0.13, 0.1, 0.1, 0.13],
  far: [0.15, 0.15, 0.15, 0.15, 0.15, 0.05, 0.3, 0.15],
};
/** From so many moves of its configuration on, a move is among its like. */
const WARM_MOVES = 3;
/** A size counts as seen from so many moves within the same fourth of an octave on. */
const SIZE_SEEN_MOVES = 5;
const SIZES_AN_OCTAVE = 4;
/** Of an instance and a visit the last 5 moves; of a stretch, a configuration, and durations as they are, the last 12. */
const SHORT_WINDOW = 5;
const LONG_WINDOW = 12;

/** What is predicted of a move, before it is put into the words of the contract. Reused between calls. */
export interface DurationEstimate {
  /** Seconds at QUANTILE_LEVELS. */
  seconds: Float64Array;
  mean: number;
  completionProbability: number;
  /** Moves that the pair, the source or target, and the cluster have seen. */
  pairCount: number;
  nodeCount: number;
  clusterCount: number;
  transferredMib: number;
  /** 90 % quantile. */
  mostTransferredMib: number;
  /** Median and 90 % quantile. */
  downtimeMs: [number, number];
  /** Where physics expects pre-copy not to converge: what each round leaves would take so long to send; else 0. */
  divergingSeconds: number;
}

export const newEstimate = (): DurationEstimate => ({
  seconds: new Float64Array(QUANTILE_LEVELS.length),
  mean: 0,
  completionProbability: 1,
  pairCount: 0,
  nodeCount: 0,
  clusterCount: 0,
  transferredMib: 0,
  mostTransferredMib: 0,
  downtimeMs: [0, 0],
  divergingSeconds: 0,
});

/** What moves have in common that differ in nothing but their target: thousands of them are asked for in a row. */
interface Shared {
  /** Of which moves, see `MoveKeys`. */
  keys: readonly string[] | undefined;
  startMs: number;
  /** The effects that do not know the target. */
  effects: EffectSum;
  /** What the instance sends, see VOLUME_LEVELS; and as factor. */
  volumes: EffectSum;
  volumeFactor: number;
  /** How unsure that is; 0 where no record of the cluster tells: then it is a matter of the effects. */
  volumeVariance: number;
  noiseVariance: number;
  /** True when no moves of nearly this size were seen, in any cluster. */
  isFar: boolean;
  /** The committee's groups, and its trust in each member. */
  groups: readonly string[];
  trust: Float64Array;
  /** Quantiles of the error around the median, in standard deviations. */
  shape: Float64Array;
  /** log seconds of the instance's last moves. */
  lastDurations: number;
  /** Whether durations of such moves were fitted; else how they lie is learnt move by move. */
  isCalibrated: boolean;
  /** Mean of the effects that stand for a calibration where there is none. */
  offset: number;
  /** Squared scale of how far its cluster may lie from physics, as long as none of its moves is known; else 0. */
  newClusterVariance: number;
}

export interface DurationModelParts {
  physics: { global: PhysicsConstants; clusters: Readonly<Record<string, PhysicsConstants>> };
  /** By family and by cluster key. */
  calibrations: Readonly<Record<string, Calibration>>;
  levels: readonly EffectLevel[];
  /** Those of the committee that are heard, for the worth of a layer on its own; all unless given. */
  members?: readonly Member[] | undefined;
  speedSpread?: SpeedSpread | undefined;
  /** Unless given, a new cluster is as unsure as its effects are. */
  newClusters?: NewClusterKnowledge | undefined;
}

/**
 * The model and all that it has learnt. A prediction goes through these layers:
 * physics with what the instance is known to send → what the committee of pooled effects and recent medians says of
 * log(actual ÷ physics) → the distribution of the last errors around that.
 */
export class DurationModel {
  private readonly effects: PooledEffects;
  private readonly speeds: NodeSpeeds;
  private readonly newClusters: NewClusters | undefined;
  private readonly lines = new ClusterLines();
  private readonly volumes = new PooledEffects(VOLUME_LEVELS);
  private readonly recent = [SHORT_WINDOW, SHORT_WINDOW, LONG_WINDOW, LONG_WINDOW].map(
    (length) => new RecentResiduals(length),
  );
  /** log seconds, of moves on their own: whatever is wrong with what physics is told, an instance mostly takes as long as it did. */
  private readonly durations = new RecentResiduals(LONG_WINDOW);
  private readonly committee = new Committee(PRIOR_LOSSES);
  private readonly noise = new Map<string, { variance: number; weight: number }>();
  private readonly residuals = new ResidualQuantiles();
  private readonly coverage = new CoverageControl();
  private readonly errorHistory = new ErrorHistory();
  private readonly queue = new QueuePlaces();
  private readonly shifts = new ShiftDetector();
  private readonly levelShifts = new LevelShifts();
  private readonly busyPeriods = new BusyPeriods();
  /** log seconds of the shortest and the longest completed move ever learnt; the first above the second before any was. */
  private readonly learntLogs: [number, number] = [Infinity, -Infinity];
  private readonly downtimes = new ResidualQuantiles();
  private readonly transfers = new ResidualQuantiles();
  private readonly transferQuantiles = new Float64Array(QUANTILE_LEVELS.length);
  private readonly downtimeQuantiles = new Float64Array(QUANTILE_LEVELS.length);
  /** Moves by operation and size. */
  private readonly sizes = new Map<string, number>();
  private readonly known = new KnownInputs();
  private readonly outcomes = new Map<string, { completed: number; broken: number }>();
  private readonly clusterConstants: Map<string, PhysicsConstants>;
  private readonly calibrations: Map<string, Calibration>;

  private readonly estimateKeys = new MoveKeys();
  // What `center` leaves behind for its callers.
  private readonly physics: PrecopyResult = newPhysicsResult();
  private readonly sum: EffectSum = { mean: 0, variance: 0 };
  private readonly volumeSum: EffectSum = { mean: 0, variance: 0 };
  private readonly shared: Shared = {
    keys: undefined,
    startMs: NaN,
    effects: { mean: 0, variance: 0 },
    volumes: { mean: 0, variance: 0 },
    volumeFactor: 1,
    volumeVariance: 0,
    noiseVariance: PRIOR_NOISE_VARIANCE,
    isFar: true,
    groups: [],
    trust: new Float64Array(MEMBERS.length),
    shape: new Float64Array(QUANTILE_LEVELS.length),
    lastDurations: NaN,
    isCalibrated: false,
    offset: 0,
    newClusterVariance: 0,
  };
  private readonly answers: number[] = MEMBERS.map(() => NaN);
  /** Members whose answers are dropped. */
  private readonly unheard: readonly number[];
  private physicsLog = 0;
  /** How far the moves of a cluster or family without a calibration have lain from physics (log scale); else 0. */
  private offset = 0;
  /** d log T by the logarithm of the speeds of source and target. */
  private sourceSlope = 0;
  private targetSlope = 0;
  /** What effects take for the variance of a cluster that nothing was fitted to. */
  private readonly uncalibratedVariance: number;
  /** What `speedVariance` holds of nodes that never moved anything. */
  private newNodeVariance = 0;
  private readonly features = new Float64Array(moveFeatures.length);
  private forest: Forest | undefined;
  private readonly standard = new Float64Array(QUANTILE_LEVELS.length);

  constructor(private readonly parts: DurationModelParts) {
    this.clusterConstants = new Map(Object.entries(parts.physics.clusters));
    this.calibrations = new Map(Object.entries(parts.calibrations));
    this.speeds = new NodeSpeeds(parts.speedSpread);
    this.newClusters =
      parts.newClusters === undefined ? undefined : new NewClusters(parts.newClusters, parts.physics.global);
    this.effects = new PooledEffects(parts.levels, (key) => this.calibrations.has(key));
    this.uncalibratedVariance = parts.levels[Level.cluster]?.uncalibratedVariance ?? 0;
    const { members = MEMBERS } = parts;
    this.unheard = [...MEMBERS.keys()].filter((m) => !members.includes(MEMBERS[m]!));
  }

  /** Variance of log T that comes from not knowing how fast the nodes are. */
  private speedVariance(inputs: MoveInputs, keys: readonly string[]): number {
    const { sourceSlope, targetSlope, speeds } = this;
    const ofSource = sourceSlope * sourceSlope * speeds.variance(inputs.cluster, keys[Level.source]!);
    const ofTarget = targetSlope * targetSlope * speeds.variance(inputs.cluster, keys[Level.target]!);
    this.newNodeVariance =
      (speeds.has(keys[Level.source]!) ? 0 : ofSource) + (speeds.has(keys[Level.target]!) ? 0 : ofTarget);
    return ofSource + ofTarget;
  }

  /** Variance of log T that comes from not knowing how much the instance sends. After `center`. */
  private volumeVariance({ operation }: MoveInputs): number {
    if (operation !== 'live_migration') return 0;
    const { transferredMib, seconds } = this.physics;
    const slope = min(1, -bandwidthSlope(this.physics, transferredMib, seconds));
    return slope * slope * this.shared.volumeVariance;
  }

  private constantsFor(cluster: string): PhysicsConstants {
    return this.clusterConstants.get(cluster) ?? this.parts.physics.global;
  }

  /** Trees on what physics misses; without them that member of the committee abstains. */
  setForest(forest: Forest | undefined): void {
    this.forest = forest;
  }

  /**
   * What trees learn of a move that finished or was broken off, before it is learnt: its features into `out`, and
   * log(actual ÷ physics) beyond `offset`, of a broken-off one by how long it had lasted; NaN where the move's place
   * in a queue hides it.
   */
  trainingRow(record: MoveRecord, out: Float64Array): number {
    const inputs = inputsOfRecord(record);
    this.known.fill(inputs);
    const keys = moveKeys(inputs);
    this.center(inputs, keys);
    out.set(this.features);
    if (this.placesOf(inputs, keys[Level.config]!) !== undefined) return NaN;
    return log(record.duration_seconds) - this.physicsLog - this.offset;
  }

  /**
   * Whatever trees may read of a move, as of now, into `out` (see `frameColumns`); gives log(seconds) by physics.
   * `inputs` after `fillKnown`.
   */
  frameRow(inputs: MoveInputs, out: Float64Array): number {
    this.center(inputs, this.estimateKeys.of(inputs));
    const { offset } = this;
    const recent = this.answers.slice(1, 1 + HISTORY_COLUMNS).map((answer) => answer - offset);
    fillFrameRow(inputs, this.features, recent, out);
    return this.physicsLog + offset;
  }

  /** True when a manager's queue hides how long the move itself takes. `inputs` after `fillKnown`. */
  isQueued(inputs: MoveInputs): boolean {
    return this.placesOf(inputs, moveKeys(inputs)[Level.config]!) !== undefined;
  }

  /** Fills what history knows into `inputs`; gives the names of what was filled. */
  fillKnown(inputs: MoveInputs): string[] {
    return this.known.fill(inputs);
  }

  /** See `KnownInputs`: how far off a link that `fillKnown` filled in may be. */
  linkDeviation(inputs: MoveInputs): number {
    return this.known.linkDeviation(inputs);
  }

  /** `inputs` after `fillKnown`. O(1) in the length of the history. */
  estimate(inputs: MoveInputs, out: DurationEstimate): DurationEstimate {
    const inTime = this.estimateSeconds(inputs, out);
    const keys = this.estimateKeys.current;
    out.pairCount = this.effects.count(Level.pair, keys[Level.pair]!);
    out.nodeCount = max(
      this.effects.count(Level.source, keys[Level.source]!),
      this.effects.count(Level.target, keys[Level.target]!),
    );
    out.clusterCount = this.effects.count(Level.cluster, keys[Level.cluster]!);
    // Where the time-out is known, it is what breaks moves off; else the past of moves like it says how often. However long it
    // may take, a move that does not converge has to be ended by somebody.
    const { converged, downtimeSeconds } = this.physics;
    out.completionProbability =
      inputs.timeoutSeconds > 0
        ? min(MOST_SURE, max(1 - MOST_SURE, converged ? inTime : min(inTime, this.completion(keys))))
        : this.completion(keys);
    out.divergingSeconds = converged ? 0 : downtimeSeconds;
    this.fillDowntime(inputs, keys, out);
    const sent = this.transfers.quantiles(downtimeGroups(keys), QUANTILE_LEVELS, this.transferQuantiles);
    const spread = TRANSFER_SCALE * max(0, sent[3]! - sent[2]!);
    out.transferredMib = this.physics.transferredMib * exp(TRANSFER_SCALE * sent[2]!);
    out.mostTransferredMib = out.transferredMib * exp(spread);
    return out;
  }

  /** The seconds alone and their mean, into `out`; gives the probability that the move ends before its manager breaks it off. */
  estimateSeconds(inputs: MoveInputs, out: DurationEstimate): number {
    const keys = this.estimateKeys.of(inputs);
    const center = this.center(inputs, keys);
    const scale = this.scaleAround(
      this.sum.variance + this.shared.noiseVariance + this.volumeVariance(inputs),
    );
    const { standard } = this;
    const config = keys[Level.config]!;
    const hasPlaces = this.placesOf(inputs, config) !== undefined;
    let factor = NaN;
    if (hasPlaces) factor = this.queue.distribution(config, keys[Level.instance]!, QUANTILE_LEVELS, standard);
    else this.standardQuantiles(scale, inputs.operation, standard);
    this.coverage.widen(this.coverageGroups(keys), standard);
    let inTime = 1;
    if (inputs.timeoutSeconds > 0) {
      const limit = log(inputs.timeoutSeconds) - center;
      inTime = probabilityBelow(standard, limit);
      truncate(standard, limit);
    }
    const [shortest, longest] = this.learntLogs;
    const knows = shortest <= longest;
    const least = knows ? max(LEAST_LOG, min(shortest, this.physicsLog) - MOST_BEYOND) : LEAST_LOG;
    const most = knows ? min(MOST_LOG, max(longest, this.physicsLog) + MOST_BEYOND) : MOST_LOG;
    let previous = 0;
    for (let j = 0; j < QUANTILE_LEVELS.length; j++) {
      const logSeconds = min(most, max(least, center + standard[j]!));
      const seconds = max(previous, exp(logSeconds));
      out.seconds[j] = seconds;
      previous = seconds;
    }
    out.mean = hasPlaces ? exp(min(MOST_LOG, max(LEAST_LOG, center))) * factor : meanOfQuantiles(out.seconds);
    return inTime;
  }

  /** What physics expects a live migration to send, and how fast. `inputs` after `fillKnown`. */
  stream(inputs: MoveInputs, out: PrecopyInputs): PrecopyInputs {
    const keys = moveKeys(inputs);
    this.setSpeeds(inputs, keys);
    const factor = exp(this.volumesOf(inputs, keys).mean);
    movePhysics(inputs, this.constantsFor(inputs.cluster), this.physics, factor, out);
    return out;
  }

  /** Seconds by physics alone, with what the instance is known to send. `inputs` after `fillKnown`. */
  physicsSeconds(inputs: MoveInputs): number {
    const keys = moveKeys(inputs);
    return exp(this.physicsNow(inputs, keys, exp(this.volumesOf(inputs, keys).mean)));
  }

  /** Whether the background of most of a cluster's last moves, if any, was known when they were learnt. */
  knowsBackground(cluster: string): boolean {
    return this.known.knowsBackground(cluster);
  }

  /** Physics says how long the rest takes; past downtimes of the family say how far that is off. */
  private fillDowntime(inputs: MoveInputs, keys: readonly string[], out: DurationEstimate): void {
    if (inputs.operation === 'disk_replication') out.downtimeMs = [0, 0];
    else if (inputs.operation === 'failover')
      out.downtimeMs = [1000 * out.seconds[2]!, 1000 * out.seconds[3]!];
    else {
      const expected = this.expectedDowntimeMs(inputs);
      const q = this.downtimes.quantiles(downtimeGroups(keys), QUANTILE_LEVELS, this.downtimeQuantiles);
      out.downtimeMs = [expected * exp(q[2]!), expected * exp(q[3]!)];
    }
  }

  /** A hypervisor stops the guest as soon as it reckons with less than the limit: most of the downtime is that limit. */
  private expectedDowntimeMs(inputs: MoveInputs): number {
    const physicsMs = 1000 * this.physics.downtimeSeconds;
    if ((inputs.capabilities & Capability.postcopy) !== 0) return DOWNTIME_FLOOR_MS + physicsMs;
    const limitMs = inputs.downtimeLimitMs >= 0 ? inputs.downtimeLimitMs : DEFAULT_DOWNTIME_LIMIT_MS;
    return DOWNTIME_FLOOR_MS + limitMs ** LIMIT_SHARE * max(1, physicsMs) ** (1 - LIMIT_SHARE);
  }

  /**
   * Standard deviation of log T around the center: `variance` around the effects, and, as in any mixture, that of the
   * members' answers around what they decided. After a change they disagree long before errors have added up.
   */
  private scaleAround(variance: number): number {
    return sqrt(variance + this.committee.spread);
  }

  /**
   * Quantiles of the error around the center, on the log scale: what past errors were in units of their scale. Errors of
   * clusters and nodes that were known say nothing of how near those lie that were not: they widen the interval there,
   * and do not narrow it.
   */
  private standardQuantiles(scale: number, operation: string, out: Float64Array): void {
    const { shape, newClusterVariance } = this.shared;
    const { newNodeVariance } = this;
    const isNewCluster = newClusterVariance > 0;
    if (newNodeVariance === 0 && !isNewCluster) {
      for (let j = 0; j < out.length; j++) out[j] = shape[j]! * scale;
      return;
    }
    const replaced = isNewCluster ? this.uncalibratedVariance : 0;
    const own = sqrt(max(0, scale * scale - newNodeVariance - replaced));
    const ofNewNodes = sqrt(newNodeVariance);
    const ofNewCluster = sqrt(newClusterVariance);
    const student = isNewCluster ? this.newClusters!.quantiles(operation) : NORMAL_QUANTILES;
    for (let j = 0; j < out.length; j++) {
      const ofNodes = max(abs(shape[j]!), abs(NORMAL_QUANTILES[j]!)) * ofNewNodes;
      let size = hypotenuse(shape[j]! * own, ofNodes);
      if (isNewCluster) size = max(hypotenuse(size, student[j]! * ofNewCluster), abs(shape[j]!) * scale);
      out[j] = shape[j]! < 0 ? -size : size;
    }
  }

  /** What past moves of the instance sent, over what physics expected (log scale). Valid until the next call. */
  private volumesOf(inputs: MoveInputs, keys: readonly string[]): EffectSum {
    return this.volumes.sum(volumeKeys(keys, inputs), inputs.startMs, this.volumeSum);
  }

  /** See `Shared`: the same as before where only the target has changed, and nothing was learnt. */
  private share(inputs: MoveInputs, keys: readonly string[]): Shared {
    const { shared } = this;
    if (shared.keys === keys && shared.startMs === inputs.startMs) return shared;
    shared.keys = keys;
    shared.startMs = inputs.startMs;
    shared.effects.mean = 0;
    shared.effects.variance = 0;
    this.effects.add(keys, inputs.startMs, 0, Level.target, shared.effects);
    const { mean, variance } = this.volumesOf(inputs, keys);
    shared.volumes.mean = mean;
    shared.volumes.variance = variance;
    shared.volumeFactor = exp(mean);
    shared.volumeVariance = this.volumes.count(CLUSTER_VOLUME, keys[Level.cluster]!) > 0 ? variance : 0;
    shared.noiseVariance = this.noiseVariance(keys);
    shared.isFar = (this.sizes.get(sizeKey(inputs)) ?? 0) < SIZE_SEEN_MOVES;
    shared.groups = this.committeeGroups(shared.isFar, keys);
    this.committee.trust(shared.groups, shared.trust);
    const { shape } = shared;
    this.residuals.quantiles(residualGroups(keys), QUANTILE_LEVELS, shape);
    // Where the errors lie is the committee's business: a middle learnt where the scale was small must not be stretched.
    const middle = shape[2]!;
    for (let j = 0; j < shape.length; j++) shape[j]! -= middle;
    shared.lastDurations = this.durations.median(durationKey(keys, inputs));
    shared.isCalibrated =
      this.calibrations.has(keys[Level.family]!) || this.calibrations.has(keys[Level.cluster]!);
    shared.offset = this.effects.uncalibratedMean(keys, inputs.startMs);
    const isNew = this.effects.count(Level.cluster, keys[Level.cluster]!) === 0;
    shared.newClusterVariance =
      isNew && this.newClusters !== undefined
        ? max(this.uncalibratedVariance, this.newClusters.variance(inputs))
        : 0;
    return shared;
  }

  /** log seconds by physics and committee; leaves physics, variance and the members' answers in `this`. */
  private center(inputs: MoveInputs, keys: readonly string[]): number {
    const shared = this.share(inputs, keys);
    this.physicsLog = this.physicsNow(inputs, keys, shared.volumeFactor);
    this.sum.mean = shared.effects.mean;
    this.sum.variance = shared.effects.variance;
    this.effects.add(keys, inputs.startMs, Level.target, keys.length, this.sum);
    this.sum.variance += this.speedVariance(inputs, keys);
    const line = this.lineMean(keys, this.physicsLog);
    this.sum.mean += line;
    this.sum.variance += this.lineVariance(keys, this.physicsLog);
    const { answers, recent } = this;
    answers[0] = this.sum.mean;
    for (let j = 0; j < recent.length; j++) answers[j + 1] = recent[j]!.median(keys[recentLevels[j]!]!);
    // Where nothing was fitted to the cluster, what its moves have shown takes the place of a calibration.
    const offset = (this.offset = shared.offset + line);
    answers[recent.length + 1] = offset;
    const { forest, features } = this;
    fillMoveFeatures(
      inputs,
      this.physics,
      this.physicsLog + offset,
      shared.volumes.mean,
      this.sum.mean - offset,
      features,
    );
    // Trees can not extrapolate.
    answers[recent.length + 2] =
      forest === undefined || shared.isFar ? NaN : offset + predictRow(forest, features, 0);
    // In parallel, an instance's durations are those of its places among the others.
    answers[DURATION] = inputs.concurrentMoves > 0 ? NaN : shared.lastDurations - this.physicsLog;
    for (const member of this.unheard) answers[member] = NaN;
    const decision = this.committee.decide(shared.trust, answers);
    // Where nobody who is heard has an answer, physics stands as it is.
    return decision === decision ? this.physicsLog + decision : this.physicsLog;
  }

  /** Losses are kept by how much is known of moves like this one, and there by cluster and family. */
  private committeeGroups(isFar: boolean, keys: readonly string[]): string[] {
    const isWarm = this.effects.count(Level.config, keys[Level.config]!) >= WARM_MOVES;
    const warmth = isWarm ? 'warm' : isFar ? 'far' : 'cold';
    return [warmth, `${warmth} ${keys[Level.cluster]!}`, `${warmth} ${keys[Level.family]!}`];
  }

  /**
   * log seconds by physics on the cluster's line, with what the instance is now known to send, or with what the move
   * did send where that is told.
   */
  private physicsNow(
    inputs: MoveInputs,
    keys: readonly string[],
    volumeFactor: number,
    sentMib = NaN,
  ): number {
    const constants = this.constantsFor(inputs.cluster);
    this.setSpeeds(inputs, keys);
    const result = movePhysics(inputs, constants, this.physics, volumeFactor);
    const isKnown = abs(log(sentMib / result.transferredMib)) < MOST_VOLUME_ERROR;
    const seconds = isKnown ? secondsWhenSent(result, sentMib) : result.seconds;
    const slope = bandwidthSlope(result, isKnown ? sentMib : result.transferredMib, seconds);
    this.sourceSlope = slope * result.sourceLimits;
    this.targetSlope = slope * result.targetLimits;
    return calibrated(this.calibrations, keys[Level.family]!, keys[Level.cluster]!, log(seconds));
  }

  /** What is added to physics where no calibration is, and its variance. After `share`. */
  private lineMean(keys: readonly string[], physicsLog: number): number {
    return this.shared.isCalibrated ? 0 : this.lines.mean(keys[Level.cluster]!, physicsLog);
  }

  private lineVariance(keys: readonly string[], physicsLog: number): number {
    return this.shared.isCalibrated ? 0 : this.lines.variance(keys[Level.cluster]!, physicsLog);
  }

  private setSpeeds(inputs: MoveInputs, keys: readonly string[]): void {
    inputs.sourceSpeed = this.speeds.mean(keys[Level.source]!);
    inputs.targetSpeed = this.speeds.mean(keys[Level.target]!);
  }

  /** Offsets of the places in a manager's queue, where a group of parallel moves shows them. */
  private placesOf(inputs: MoveInputs, config: string): number[] | undefined {
    return inputs.concurrentMoves > 0 ? this.queue.places(config, inputs.concurrentMoves + 1) : undefined;
  }

  private noiseVariance(keys: readonly string[]): number {
    let variance = PRIOR_NOISE_VARIANCE;
    for (const level of noiseLevels) {
      const seen = this.noise.get(keys[level]!);
      if (seen !== undefined)
        variance =
          (variance * NOISE_PRIOR_WEIGHT + seen.variance * seen.weight) / (NOISE_PRIOR_WEIGHT + seen.weight);
    }
    return max(LEAST_NOISE_VARIANCE, variance);
  }

  /** After `center`, for whether the move is expected to converge. */
  private completion(keys: readonly string[]): number {
    const { converged } = this.physics;
    let completed = converged ? PRIOR_COMPLETED : PRIOR_DIVERGING_COMPLETED;
    let broken = converged ? PRIOR_BROKEN : PRIOR_DIVERGING_BROKEN;
    const prior = completed + broken;
    for (const level of outcomeLevels) {
      const seen = this.outcomes.get(outcomeKey(keys[level]!, converged));
      if (seen === undefined) continue;
      const share = completed / (completed + broken);
      completed = share * prior + seen.completed;
      broken = (1 - share) * prior + seen.broken;
    }
    return completed / (completed + broken);
  }

  /** Takes in one finished or broken-off move. O(1) in the length of the history, but for a shift that is noticed: O(keys). */
  learn(record: MoveRecord): void {
    if (implausibility(record) !== undefined) return;
    const inputs = inputsOfRecord(record);
    this.known.fill(inputs);
    const keys = moveKeys(inputs);
    const completed = isCompleted(record);
    const hasShifted = completed && inputs.concurrentMoves > 0 && this.learnBusy(record, inputs, keys);
    const center = this.center(inputs, keys);
    this.learnOutcome(keys, completed);
    const truth = log(record.duration_seconds);
    const { noiseVariance: noise, groups } = this.shared;
    const variance = this.sum.variance + noise;
    const scale = sqrt(variance);
    if (completed) {
      const downtimeMs = record.downtime_ms;
      if (downtimeMs !== undefined && downtimeMs > 0 && inputs.operation === 'live_migration')
        this.downtimes.learn(downtimeGroups(keys), log(downtimeMs / this.expectedDowntimeMs(inputs)));
      this.learnFinished(
        inputs,
        keys,
        truth - center,
        this.scaleAround(variance + this.volumeVariance(inputs)),
      );
    }
    if (completed) this.learnVolume(record, inputs, keys);
    // With what was sent now known, what is left is the business of nodes and links: how much there was to send no
    // longer stands between.
    const volumeFactor = exp(this.volumesOf(inputs, keys).mean);
    const physicsLog = this.physicsNow(inputs, keys, volumeFactor, completed ? sentOf(record, inputs) : NaN);
    this.sum.mean += this.lineMean(keys, physicsLog) - this.lineMean(keys, this.physicsLog);
    const places = this.placesOf(inputs, keys[Level.config]!);
    const place = places === undefined ? 0 : QueuePlaces.nearest(places, truth - center);
    let residual = truth - physicsLog - place;
    const config = keys[Level.config]!;
    if (completed) {
      this.learntLogs[0] = min(this.learntLogs[0], truth);
      this.learntLogs[1] = max(this.learntLogs[1], truth);
      // What was sent excuses only those who reckon with it.
      this.answers[DURATION]! += this.physicsLog - physicsLog;
      // The first few moves of a new size are seldom like those that follow: who was near them proves nothing.
      if (groups[0] !== 'far') this.committee.learn(groups, this.answers, residual);
      for (let j = 0; j < this.recent.length; j++)
        this.recent[j]!.learn(keys[recentLevels[j]!]!, config, residual);
      if (inputs.concurrentMoves > 0) this.queue.learn(config, keys[Level.instance]!, truth - center);
      else this.durations.learn(durationKey(keys, inputs), config, truth);
    } else {
      // It would have taken longer than it was let: the expected value beyond that point takes its place.
      residual = this.sum.mean + expectedBeyond((residual - this.sum.mean) / scale) * scale;
    }
    const error = residual - this.sum.mean;
    const deviations = abs(error) / scale;
    const weight = deviations > CLIP_DEVIATIONS ? CLIP_DEVIATIONS / deviations : 1;
    const spread = this.speedVariance(inputs, keys) + this.lineVariance(keys, physicsLog);
    const total = this.effects.learn(
      keys,
      max(inputs.startMs, finishMs(record)),
      error,
      noise,
      weight,
      spread,
    );
    this.speeds.learn(inputs.cluster, keys[Level.source]!, error, this.sourceSlope, total);
    this.speeds.learn(inputs.cluster, keys[Level.target]!, error, this.targetSlope, total);
    const cluster = keys[Level.cluster]!;
    if (!this.shared.isCalibrated) this.lines.learn(cluster, physicsLog, error, weight, total);
    this.lines.see(cluster, physicsLog);
    if (completed) {
      this.learnNoise(keys, error, variance, noise);
      this.noticeShift(inputs, keys, groups, residual, error / scale, hasShifted);
    }
    const size = sizeKey(inputs);
    this.sizes.set(size, (this.sizes.get(size) ?? 0) + 1);
    this.known.learn(inputsOfRecord(record), finishMs(record));
    this.shared.keys = undefined;
  }

  learnInstanceSample(cluster: string, sample: InstanceSample): void {
    this.known.learnSample(cluster, sample);
  }

  /** After `center`, for whether the move had been expected to converge. */
  private learnOutcome(keys: readonly string[], completed: boolean): void {
    for (const level of outcomeLevels) {
      const key = outcomeKey(keys[level]!, this.physics.converged);
      let seen = this.outcomes.get(key);
      if (seen === undefined) this.outcomes.set(key, (seen = { completed: 0, broken: 0 }));
      seen.completed = seen.completed * OUTCOME_KEPT + (completed ? 1 : 0);
      seen.broken = seen.broken * OUTCOME_KEPT + (completed ? 0 : 1);
    }
  }

  /** Intervals of clusters that nothing was fitted to are a matter of their own: what they miss or hold says nothing of the others. */
  private coverageGroups(keys: readonly string[]): string[] {
    const operation = keys[Level.operation]!;
    return [
      this.shared.isCalibrated ? operation : `new ${operation}`,
      keys[Level.cluster]!,
      keys[Level.family]!,
    ];
  }

  /** Scores the interval that would have been given, then takes the error into the distribution. */
  private learnFinished(inputs: MoveInputs, keys: readonly string[], error: number, scale: number): void {
    const { standard } = this;
    const config = keys[Level.config]!;
    const hasPlaces = this.placesOf(inputs, config) !== undefined;
    if (hasPlaces) this.queue.distribution(config, keys[Level.instance]!, QUANTILE_LEVELS, standard);
    else this.standardQuantiles(scale, inputs.operation, standard);
    const groups = this.coverageGroups(keys);
    this.coverage.widen(groups, standard);
    this.coverage.learn(groups, standard, error);
    // How long a manager lets a move wait is no error that a plan could make: it starts its moves itself.
    if (!hasPlaces) this.keepError(inputs, error - standard[2]!, standard);
    this.residuals.learn(residualGroups(keys), error / scale);
  }

  /** `error` = log(actual ÷ median), `quantiles` what had been promised, on the log scale. */
  protected keepError(
    { cluster, sourceNode, startMs }: MoveInputs,
    error: number,
    quantiles: Float64Array,
  ): void {
    const below = quantiles[2]! - quantiles[1]!;
    const above = quantiles[3]! - quantiles[2]!;
    this.errorHistory.learn({ cluster, host: sourceNode, startMs }, error, below, above);
  }

  /** How the last moves of a cluster deviated from their bands; undefined where too few are known. */
  pastErrors(cluster: string): PastErrors | undefined {
    return this.errorHistory.of(cluster);
  }

  /** Alarms since the model was made: shifts of durations of a cluster, between two nodes, or of one kind of move. */
  get shiftAlarms(): number {
    return this.shifts.alarms + this.levelShifts.alarms + this.busyPeriods.alarms;
  }

  /** Takes a parallel move into its busy period; true when the one before shows that durations have shifted. */
  private learnBusy(record: MoveRecord, inputs: MoveInputs, keys: readonly string[]): boolean {
    const alone = aloneOf(inputs);
    const { startMs, concurrentMoves } = inputs;
    return this.busyPeriods.learn(
      moveKeys(alone)[Level.config]!,
      this.placesOf(inputs, keys[Level.config]!) !== undefined,
      {
        startMs,
        seconds: record.duration_seconds,
        together: concurrentMoves + 1,
        aloneSeconds: this.physicsSeconds(alone),
      },
    );
  }

  /**
   * `groups` of the committee, `residual` against physics, `error` against what was predicted, in deviations;
   * `hasShifted`: whether busy periods show a shift.
   */
  private noticeShift(
    inputs: MoveInputs,
    keys: readonly string[],
    groups: readonly string[],
    residual: number,
    error: number,
    hasShifted: boolean,
  ): void {
    const config = keys[Level.config]!;
    let noticed = this.levelShifts.learn(config, residual);
    for (const level of shiftLevels) if (this.shifts.learn(keys[level]!, error)) noticed = true;
    if (!noticed && !hasShifted) return;
    this.levelShifts.forget(config);
    this.busyPeriods.forget(moveKeys(aloneOf(inputs))[Level.config]!);
    this.effects.loosen(keys, loosenedLevels, AFTER_SHIFT_VARIANCE);
    // Busy periods take so many moves to show it that the last ones are all from after the shift.
    if (!noticed) return;
    for (const residuals of this.recent) residuals.forget(config);
    this.durations.forget(config);
    // The outermost group is what all clusters share.
    this.committee.forget(groups.slice(1));
  }

  private learnVolume(record: MoveRecord, inputs: MoveInputs, keys: readonly string[]): void {
    const sent = sentOf(record, inputs);
    if (!(sent > 0)) return;
    const error = log(sent / this.physics.transferredMib);
    if (!(abs(error) < MOST_VOLUME_ERROR)) return;
    this.transfers.learn(downtimeGroups(keys), error / TRANSFER_SCALE);
    const scale = sqrt(this.shared.volumes.variance + VOLUME_NOISE_VARIANCE);
    const weight = min(1, (CLIP_DEVIATIONS * scale) / abs(error));
    this.volumes.learn(volumeKeys(keys, inputs), finishMs(record), error, VOLUME_NOISE_VARIANCE, weight);
  }

  private learnNoise(keys: readonly string[], error: number, variance: number, noise: number): void {
    const limit = NOISE_CLIP_DEVIATIONS * NOISE_CLIP_DEVIATIONS * variance;
    // Of the squared error only the share that is noise, not the effects' own uncertainty.
    const own = (min(error * error, limit) * noise) / variance;
    for (const level of noiseLevels) {
      const key = keys[level]!;
      let seen = this.noise.get(key);
      if (seen === undefined) this.noise.set(key, (seen = { variance: own, weight: 0 }));
      seen.weight = seen.weight * NOISE_KEPT + 1;
      seen.variance += (own - seen.variance) / seen.weight;
    }
  }

  save(): ModelFile['state'] {
    return {
      effects: this.effects.save(),
      speeds: this.speeds.save(),
      lines: this.lines.save(),
      volumes: this.volumes.save(),
      recent: this.recent.map((residuals) => residuals.save()),
      durations: this.durations.save(),
      committee: this.committee.save(),
      noise: [...this.noise].map(([key, n]) => [key, n.variance, n.weight]),
      residuals: this.residuals.save(),
      coverage: this.coverage.save(),
      errors: this.errorHistory.save(),
      downtimes: this.downtimes.save(),
      transfers: this.transfers.save(),
      shifts: this.shifts.save(),
      levelShifts: this.levelShifts.save(),
      busyPeriods: this.busyPeriods.save(),
      sizes: [...this.sizes],
      ...(this.learntLogs[0] <= this.learntLogs[1] ? { learntLogs: [...this.learntLogs] } : {}),
      queue: this.queue.save(),
      known: this.known.save(),
      outcomes: [...this.outcomes].map(([key, o]) => [key, o.completed, o.broken]),
    };
  }

  restore(state: ModelFile['state']): void {
    this.shared.keys = undefined;
    this.effects.restore(state.effects);
    this.speeds.restore(state.speeds ?? []);
    this.lines.restore(state.lines ?? []);
    this.volumes.restore(state.volumes);
    state.recent.forEach((saved, j) => this.recent[j]?.restore(saved));
    this.durations.restore(state.durations ?? []);
    this.committee.restore(state.committee);
    for (const [key, variance, weight] of state.noise) this.noise.set(key, { variance, weight });
    this.residuals.restore(state.residuals);
    this.coverage.restore(state.coverage);
    this.errorHistory.restore(state.errors ?? []);
    this.downtimes.restore(state.downtimes);
    this.transfers.restore(state.transfers ?? []);
    this.shifts.restore(state.shifts);
    this.levelShifts.restore(state.levelShifts ?? []);
    this.busyPeriods.restore(state.busyPeriods ?? []);
    for (const [key, count] of state.sizes) this.sizes.set(key, count);
    if (state.learntLogs !== undefined) [this.learntLogs[0], this.learntLogs[1]] = state.learntLogs;
    this.queue.restore(state.queue);
    this.known.restore(state.known);
    for (const [key, completed, broken] of state.outcomes) this.outcomes.set(key, { completed, broken });
  }
}

const recentLevels = [Level.instance, Level.visit, Level.stretch, Level.config] as const;
const noiseLevels = [Level.cluster, Level.family, Level.config] as const;
const outcomeLevels = [Level.cluster, Level.family] as const;

/** How moves end that are not expected to converge says nothing of the others. */
const outcomeKey = (key: string, converged: boolean): string => (converged ? key : `diverging ${key}`);

/** From the whole to the particular: all moves, cluster and operation, how it is moved, sizes. */
const residualGroups = (keys: readonly string[]): string[] => [
  '',
  keys[Level.cluster]!,
  keys[Level.family]!,
  keys[Level.config]!,
];

/** Operation and size (memory, or the disk that is replicated) in steps of a fourth of an octave. */
function sizeKey(inputs: MoveInputs): string {
  const sizeMib = inputs.operation === 'disk_replication' ? inputs.diskMib : inputs.memoryMib;
  return `${inputs.operation} ${round(SIZES_AN_OCTAVE * log2(sizeMib + 1))}`;
}

const shiftLevels = [Level.cluster, Level.pair] as const;
const loosenedLevels = [Level.config, Level.stretch, Level.pair] as const;

const downtimeGroups = (keys: readonly string[]): string[] => [
  keys[Level.operation]!,
  keys[Level.cluster]!,
  keys[Level.family]!,
];

/** The same move, were it asked for on its own. */
const aloneOf = (inputs: MoveInputs): MoveInputs => ({ ...inputs, concurrentMoves: 0, besideMoves: 0 });

/** The instance as large as it is now: a duration says nothing of another size. */
const durationKey = (keys: readonly string[], { memoryMib, diskMib }: MoveInputs): string =>
  `${keys[Level.instance]!}\u001f${memoryMib}\u001f${diskMib}`;

const volumeKeys = (keys: readonly string[], inputs: MoveInputs): string[] => [
  keys[Level.cluster]!,
  `${keys[Level.cluster]!}\u001f${inputs.instance}`,
];

/**
 * Quantiles given that a limit was not passed: a move that would last longer than its manager waits is broken off, and
 * has no duration. In place.
 */
function truncate(quantiles: Float64Array, limit: number): void {
  const share = max(LEAST_SHARE, probabilityBelow(quantiles, limit));
  const original = quantiles.slice();
  for (let j = 0; j < quantiles.length; j++)
    quantiles[j] = min(limit, valueAt(original, QUANTILE_LEVELS[j]! * share));
}

/** So that its logarithm is finite. */
const LEAST_SHARE = 1e-300;

/** Mean of a distribution given by its five quantiles: the area under the piecewise linear quantile function. */
export function meanOfQuantiles(q: Float64Array): number {
  return (
    0.05 * q[0]! +
    (0.05 * (q[0]! + q[1]!)) / 2 +
    (0.4 * (q[1]! + q[2]!)) / 2 +
    (0.4 * (q[2]! + q[3]!)) / 2 +
    (0.05 * (q[3]! + q[4]!)) / 2 +
    0.05 * q[4]!
  );
}
