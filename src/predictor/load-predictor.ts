import { finishMs, DEFAULT_CLUSTER, type MoveRecord } from '../domain/move-record.js';
import type { MoveProgress } from '../domain/move-progress.js';
import type { MoveRequest } from '../domain/move-request.js';
import type { PastErrors } from '../domain/past-errors.js';
import {
  QUANTILE_LEVELS,
  QUANTILE_NAMES,
  type Basis,
  type ModelReference,
  type Prediction,
} from '../domain/prediction.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';
import { moveFeatures } from './move-features.js';
import { fromJson } from './trees.js';
import { UserError } from '../domain/errors.js';
import {
  DurationModel,
  meanOfQuantiles,
  newEstimate,
  type DurationEstimate,
  type Member,
} from './duration-model.js';
import { ImportedTreesModel } from './imported-trees.js';
import { ForecastInputs, widenByForecasts } from './forecast-inputs.js';
import { estimateInFlight, memoryShown, newInFlightEstimate, type InFlightEstimate } from './in-flight.js';
import { parseModelFile, type ModelFile } from './model-file.js';
import { Capability, inputsOfRequest, type MoveInputs } from './move-inputs.js';
import { DEFAULT_DOWNTIME_LIMIT_MS, newStream } from './move-physics.js';
import { implausibility } from './plausibility.js';
import type { DurationColumns, Predictor } from './predictor.js';

/** So far (as a factor) beyond the trained range an input is worth a warning. */
const RANGE_FACTOR = 2;
/** A poll that counts so many times the guest's memory is worth a warning: video memory and firmware are counted with it. */
const COUNTED_FACTOR = 1.25;
/** A move that has sent nothing for so long is worth a warning: setting up takes a second or two. */
const STALLED_SECONDS = 5;

/**
 * A model file, as parsed from JSON, ready to predict. The history inside the model is already learnt.
 *
 * @throws UserError `model-unusable` when it is not a model, is damaged, or is of a newer format.
 * @example
 * const predictor = loadPredictor(JSON.parse(text));
 * predictor.predict({ instance: 'web1', source_node: 'a', target_node: 'b', memory_mib: 4096 }, Date.now());
 */
export function loadPredictor(model: unknown): Predictor {
  return new LoadedPredictor(parseModelFile(model));
}

class LoadedPredictor implements Predictor {
  readonly model: ModelReference;
  private readonly durationModel: DurationModel;
  private readonly untilMs: Map<string, number>;
  private readonly ranges: [string, keyof MoveInputs, number, number][];
  private readonly estimate: DurationEstimate = newEstimate();
  private readonly inFlight: InFlightEstimate = newInFlightEstimate();
  private readonly stream = newStream();
  private readonly forecasts = new ForecastInputs();

  constructor(file: ModelFile) {
    this.model = { name: file.name, version: file.version };
    this.durationModel = durationModelOf(file);
    this.untilMs = new Map(Object.entries(file.trained_on.until_ms));
    this.ranges = [];
    for (const [field, key] of rangeInputs) {
      const range = file.ranges[field];
      if (range !== undefined) this.ranges.push([field, key, range[0], range[1]]);
    }
  }

  predict(request: MoveRequest, nowMs: number): Prediction {
    const inputs = inputsOfRequest(request, nowMs);
    const warnings: string[] = [];
    for (const [field, key, low, high] of this.ranges) {
      const value = inputs[key] as number;
      if (value > high * RANGE_FACTOR)
        warnings.push(
          `${field} ${round(value)} is far above what the model was trained on (up to ${round(high)})`,
        );
      else if (value > 0 && value < low / RANGE_FACTOR)
        warnings.push(
          `${field} ${round(value)} is far below what the model was trained on (from ${round(low)})`,
        );
    }
    const untilMs = this.untilMs.get(inputs.cluster);
    if (untilMs !== undefined && inputs.startMs < untilMs)
      warnings.push(
        `start_at lies before the end of what the model was trained on for cluster ${inputs.cluster}: it knows moves from later`,
      );
    if (inputs.sourceNode === inputs.targetNode)
      warnings.push(
        `source_node and target_node are both ${inputs.sourceNode}: predicted as if there were a second node of that name`,
      );
    if (inputs.usedMemoryMib > inputs.memoryMib)
      warnings.push(
        `used_memory_mib ${round(inputs.usedMemoryMib)} is more than memory_mib ${round(inputs.memoryMib)}, which bounds what is sent`,
      );
    const filled: string[] = [];
    const forecast = this.forecasts.fillIn(inputs, this.durationModel, filled);
    const { progress } = request;
    if (progress !== undefined) {
      const told = inputs.memoryMib;
      inputs.memoryMib = memoryShown(inputs, progress);
      if (inputs.memoryMib > told * COUNTED_FACTOR) warnings.push(memoryWarning(inputs.memoryMib, told));
    }
    const e = this.durationModel.estimate(inputs, this.estimate);
    widenByForecasts(forecast, this.durationModel, inputs, e);
    const [p05, p10, p50, p90, p95] = e.seconds as unknown as [number, number, number, number, number];
    const prediction: Prediction = {
      duration_seconds: { p05, p10, p50, p90, p95, mean: e.mean },
      downtime_ms: { p50: e.downtimeMs[0], p90: e.downtimeMs[1] },
      transferred_mib: { p50: e.transferredMib, p90: e.mostTransferredMib },
      completion_probability: e.completionProbability,
      basis: basisOf(e),
      inputs_filled: filled,
      model: this.model,
      warnings,
    };
    let diverging = e.divergingSeconds;
    if (progress !== undefined) diverging = this.continue(prediction, inputs, progress) ?? diverging;
    if (diverging > 0) warnings.push(divergingWarning(diverging, inputs));
    return request.request_id === undefined ? prediction : { request_id: request.request_id, ...prediction };
  }

  /**
   * Puts what is expected of a move under way in the place of what was expected before its start. Gives the seconds by
   * which it does not converge, see `InFlightEstimate`.
   */
  private continue(prediction: Prediction, inputs: MoveInputs, progress: MoveProgress): number | undefined {
    const inFlight = this.inFlightOf(inputs, progress);
    const { remaining, completionProbability, divergingSeconds } = inFlight;
    const elapsed = progress.elapsed_seconds;
    const [p05, p10, p50, p90, p95] = remaining as unknown as [number, number, number, number, number];
    const mean = meanOfQuantiles(remaining);
    const left = { p05, p10, p50, p90, p95, mean };
    prediction.remaining_seconds = left;
    for (const name of [...QUANTILE_NAMES, 'mean'] as const)
      prediction.duration_seconds[name] = elapsed + left[name];
    prediction.completion_probability = completionProbability;
    prediction.transferred_mib = { p50: inFlight.transferredMib, p90: inFlight.mostTransferredMib };
    if (isStalled(inputs, progress, inFlight)) prediction.warnings.push(stalledWarning(progress));
    return divergingSeconds;
  }

  /** After `estimate` of the same move: what is still to come of it. */
  private inFlightOf(inputs: MoveInputs, progress: MoveProgress): InFlightEstimate {
    const stream = this.durationModel.stream(inputs, this.stream);
    return estimateInFlight({ ...this.estimate, inputs, progress, stream }, this.inFlight);
  }

  predictAll(requests: readonly MoveRequest[], nowMs: number): Prediction[] {
    return requests.map((request) => this.predict(request, nowMs));
  }

  durations(requests: readonly MoveRequest[], nowMs: number): DurationColumns {
    const n = requests.length;
    const column = (): Float64Array => new Float64Array(n);
    const columns = {
      p05: column(),
      p10: column(),
      p50: column(),
      p90: column(),
      p95: column(),
      mean: column(),
    };
    for (let i = 0; i < n; i++) {
      const inputs = inputsOfRequest(requests[i]!, nowMs);
      const forecast = this.forecasts.fillIn(inputs, this.durationModel);
      const { estimate } = this;
      const { progress } = requests[i]!;
      if (progress !== undefined) inputs.memoryMib = memoryShown(inputs, progress);
      if (progress === undefined) this.durationModel.estimateSeconds(inputs, estimate);
      else this.durationModel.estimate(inputs, estimate);
      widenByForecasts(forecast, this.durationModel, inputs, estimate);
      const { seconds } = estimate;
      let { mean } = estimate;
      if (progress !== undefined) {
        const { remaining } = this.inFlightOf(inputs, progress);
        for (let j = 0; j < seconds.length; j++) seconds[j] = progress.elapsed_seconds + remaining[j]!;
        mean = meanOfQuantiles(seconds);
      }
      columns.p05[i] = seconds[0]!;
      columns.p10[i] = seconds[1]!;
      columns.p50[i] = seconds[2]!;
      columns.p90[i] = seconds[3]!;
      columns.p95[i] = seconds[4]!;
      columns.mean[i] = mean;
    }
    return columns;
  }

  moveCosts(
    instances: readonly Omit<MoveRequest, 'target_node'>[],
    targetNodes: readonly string[],
    quantile: number,
    nowMs: number,
  ): Float32Array {
    const nodes = targetNodes.length;
    const costs = new Float32Array(instances.length * nodes);
    for (let i = 0; i < instances.length; i++) {
      const instance = instances[i]!;
      const known = inputsOfRequest({ ...instance, target_node: '' }, nowMs);
      for (let k = 0; k < nodes; k++) {
        const target = targetNodes[k]!;
        if (target === instance.source_node) {
          costs[i * nodes + k] = NaN;
          continue;
        }
        const inputs = { ...known, targetNode: target };
        const forecast = this.forecasts.fillIn(inputs, this.durationModel);
        const { estimate } = this;
        this.durationModel.estimateSeconds(inputs, estimate);
        if (quantile !== 0.5) widenByForecasts(forecast, this.durationModel, inputs, estimate);
        costs[i * nodes + k] = atQuantile(estimate.seconds, quantile);
      }
    }
    return costs;
  }

  pastErrors(cluster = DEFAULT_CLUSTER): PastErrors | undefined {
    return this.durationModel.pastErrors(cluster);
  }

  learn(record: MoveRecord): void {
    if (implausibility(record) !== undefined) return;
    this.forecasts.learnMove(record);
    // What the model was trained on is inside it: it is not learnt a second time.
    const untilMs = this.untilMs.get(record.cluster ?? DEFAULT_CLUSTER);
    if (untilMs !== undefined && finishMs(record) <= untilMs) return;
    this.durationModel.learn(this.forecasts.completed(record));
  }

  learnLinkSample(sample: LinkSample): void {
    this.forecasts.learnLinkSample(sample);
  }

  learnInstanceSample(sample: InstanceSample): void {
    this.durationModel.learnInstanceSample(sample.cluster ?? DEFAULT_CLUSTER, sample);
    this.forecasts.learnInstanceSample(sample);
  }
}

/** The model in a file, with the history inside it learnt; `members`: see `DurationModelParts`. */
export function durationModelOf(file: ModelFile, members?: readonly Member[]): DurationModel {
  const { imported } = file;
  const model =
    imported === undefined ? new DurationModel({ ...file, members }) : new ImportedTreesModel(file, imported);
  model.restore(file.state);
  if (file.forest !== undefined) {
    const forest = fromJson(file.forest);
    if (forest.features !== moveFeatures.length)
      throw new UserError(
        'model-unusable',
        `the trees of the model read ${forest.features} features, this program knows ${moveFeatures.length}; train it again`,
      );
    model.setForest(forest);
  }
  return model;
}

/** Inputs that are compared with the trained range. */
export const rangeInputs: readonly (readonly [string, keyof MoveInputs])[] = [
  ['memory_mib', 'memoryMib'],
  ['disk_mib', 'diskMib'],
  ['link_mbps', 'linkMbps'],
  ['concurrent_moves', 'concurrentMoves'],
  ['dirty_rate_mib_s', 'dirtyMibS'],
];

export const basisOf = (e: DurationEstimate): Basis =>
  e.pairCount > 0 ? 'link' : e.nodeCount > 0 ? 'node' : e.clusterCount > 0 ? 'cluster' : 'prior';

const memoryWarning = (countedMib: number, memoryMib: number): string =>
  `progress counts ${round(countedMib)} MiB of the guest's memory, but memory_mib says ${round(memoryMib)}: ` +
  'the move is predicted by what progress counts';

const isStalled = (
  { operation }: MoveInputs,
  { elapsed_seconds, remaining_mib, throughput_mbps }: MoveProgress,
  { hasSentNothing }: InFlightEstimate,
): boolean =>
  operation !== 'failover' &&
  elapsed_seconds >= STALLED_SECONDS &&
  remaining_mib !== 0 &&
  (throughput_mbps === 0 || hasSentNothing);

function stalledWarning({ elapsed_seconds, transferred_mib }: MoveProgress): string {
  const what = transferred_mib === 0 ? 'nothing was sent' : 'nothing is being sent';
  return `${what} after ${round(elapsed_seconds)} s: the move waits or hangs, and what remains is predicted as if it went on now`;
}

/** `seconds`: what each round leaves to be sent would take so long. */
function divergingWarning(seconds: number, { capabilities, downtimeLimitMs }: MoveInputs): string {
  const limitMs = downtimeLimitMs >= 0 ? downtimeLimitMs : DEFAULT_DOWNTIME_LIMIT_MS;
  const leftMs = Math.ceil(1000 * seconds);
  const help =
    (capabilities & Capability.autoConverge) === 0 ? 'auto-converge, postcopy-ram' : 'postcopy-ram';
  return (
    `physics expects pre-copy not to converge: sending what each round leaves would stop the guest for ${leftMs} ms, ` +
    `its downtime limit is ${round(limitMs)} ms, so the move goes on until it is broken off; ` +
    `${help} or a downtime_limit_ms above ${leftMs} would help`
  );
}

const round = (value: number): string => String(Math.round(value * 10) / 10);

/** Seconds at a probability between the levels, linear in between; outside of them the nearest level. */
function atQuantile(seconds: Float64Array, quantile: number): number {
  const last = QUANTILE_LEVELS.length - 1;
  if (quantile <= QUANTILE_LEVELS[0]) return seconds[0]!;
  for (let j = 1; j <= last; j++) {
    const high = QUANTILE_LEVELS[j]!;
    if (quantile > high) continue;
    const low = QUANTILE_LEVELS[j - 1]!;
    return seconds[j - 1]! + ((quantile - low) / (high - low)) * (seconds[j]! - seconds[j - 1]!);
  }
  return seconds[last]!;
}
