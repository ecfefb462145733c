import { createHash } from 'node:crypto';
import {
  finishMs,
  isCompleted,
  startMs,
  DEFAULT_CLUSTER,
  type MoveRecord,
} from '../src/domain/move-record.js';
import type { InstanceSample } from '../src/domain/samples.js';
import { fromIsoTime } from '../src/domain/units.js';
import { DurationModel, type Member } from '../src/predictor/duration-model.js';
import { durationModelOf, rangeInputs } from '../src/predictor/load-predictor.js';
import { MODEL_FORMAT, type ModelFile } from '../src/predictor/model-file.js';
import { inputsOfRecord, type MoveInputs } from '../src/predictor/move-inputs.js';
import { implausibility } from '../src/predictor/plausibility.js';
import { moveFeatures } from '../src/predictor/move-features.js';
import { toJson } from '../src/predictor/trees.js';
import type { EffectLevel } from '../src/predictor/pooled-effects.js';
import { dataHash } from './data-hash.js';
import { dictionary } from './dictionary.js';
import { inputsAtStart } from './inputs-at-start.js';
import { moveTable, type MoveTable } from './move-table.js';
import { calibratePhysics } from './physics-calibration.js';
import { newClusterKnowledge } from './new-cluster-knowledge.js';
import { fitPhysicsByCluster, withSpeeds } from './physics-fit.js';
import { SampleFeed } from './sample-feed.js';
import { LEAST_TREE_MOVES, ResidualFrame } from './residual-trees.js';

/** Effects wander by so much a move, for each level in the order of `keyLevels`. */
export const defaultLevels: EffectLevel[] = [
  { priorVariance: 0.0005, driftVariance: 0, memoryHours: 1e6 }, // operation
  { priorVariance: 0.005, uncalibratedVariance: 0.3, driftVariance: 1e-7, memoryHours: 1e6 }, // cluster
  { priorVariance: 0.003, uncalibratedVariance: 0.05, driftVariance: 0, memoryHours: 1e6 }, // family
  { priorVariance: 0.02, driftVariance: 3e-5, memoryHours: 1e6 }, // config
  { priorVariance: 0.002, driftVariance: 1e-6, memoryHours: 1e6 }, // instance
  { priorVariance: 0.002, driftVariance: 5e-7, memoryHours: 1e6 }, // source
  { priorVariance: 0.002, driftVariance: 5e-7, memoryHours: 1e6 }, // target
  { priorVariance: 0.002, driftVariance: 5e-7, memoryHours: 1e6 }, // pair
  { priorVariance: 0.005, driftVariance: 1e-5, memoryHours: 6 }, // stretch
  { priorVariance: 0.0003, driftVariance: 1e-6, memoryHours: 1e6 }, // visit
];

export interface FitSettings {
  name: string;
  seed: number;
  /** Of the committee, those that are heard; trees are grown for the member of that name only. All unless given. */
  members?: readonly Member[] | undefined;
  /** In order of time: a move that does not say its dirty rate or used memory gets what they had last said at its start. */
  instanceSamples?: readonly InstanceSample[];
}

/** Fits a model to finished moves. The same moves, samples and seed give the same bytes. */
export function fitModel(records: Iterable<MoveRecord>, settings: FitSettings): ModelFile {
  const { name, seed, members, instanceSamples = [] } = settings;
  const leastTreeMoves = members?.includes('trees') === false ? Infinity : LEAST_TREE_MOVES;
  const table = moveTable(records);
  const atStart = inputsAtStart(table, instanceSamples);
  const inputsOf = (record: MoveRecord): MoveInputs => atStart.get(record)!;
  const learnable = table.records.filter((record) => implausibility(record) === undefined);
  const { global, clusters, speedSpread, speeds } = fitPhysicsByCluster(learnable, inputsOf);
  const physics = { global, clusters };
  const calibrations = calibratePhysics(learnable, physics, withSpeeds(speeds, inputsOf));
  const newClusters = newClusterKnowledge(learnable, global, inputsOf);
  const model = new DurationModel({
    physics,
    calibrations,
    levels: defaultLevels,
    speedSpread,
    newClusters,
    members,
  });
  const feed = sampleFeed(model, instanceSamples);
  const untilMs = dictionary<number>();
  // While history is replayed, trees are grown anew whenever there is twice as much of it: what they answer in the
  // replay is always about moves that they have not seen, so that the committee learns how far to trust them.
  const frame = new ResidualFrame();
  const features = new Float64Array(moveFeatures.length);
  let nextForestAt = leastTreeMoves;
  for (const i of table.byFinish) {
    const record = table.records[i]!;
    feed.until(startMs(record));
    if (implausibility(record) === undefined) {
      const residual = model.trainingRow(record, features);
      if (Number.isFinite(residual)) frame.add(features, residual, isCompleted(record));
      model.learn(record);
    }
    if (frame.completedRows >= nextForestAt) {
      model.setForest(frame.forest(seed));
      nextForestAt *= 2;
    }
    const cluster = record.cluster ?? DEFAULT_CLUSTER;
    untilMs[cluster] = Math.max(untilMs[cluster] ?? 0, finishMs(record));
  }
  feed.until(Infinity);
  const ranges: Record<string, [number, number]> = {};
  for (const record of learnable) {
    const inputs = inputsOfRecord(record);
    for (const [field, key] of rangeInputs) {
      const value = inputs[key] as number;
      if (!(value > 0)) continue;
      const range = ranges[field];
      if (range === undefined) ranges[field] = [value, value];
      else ranges[field] = [Math.min(range[0], value), Math.max(range[1], value)];
    }
  }
  const forest = frame.completedRows < leastTreeMoves ? undefined : frame.forest(seed);
  const file: ModelFile = {
    format: MODEL_FORMAT,
    name,
    version: '',
    trained_on: { moves: table.records.length, data_hash: dataHash(table.records), seed, until_ms: untilMs },
    physics,
    calibrations,
    levels: defaultLevels,
    speedSpread,
    newClusters,
    ranges,
    ...(forest === undefined ? {} : { forest: toJson(forest) }),
    state: { ...model.save(), ...honestErrors(table, settings) },
  };
  file.version = versionOf(file);
  return file;
}

/** Fewer moves than this are not halved. */
const LEAST_HALVED_MOVES = 100;

/**
 * What the model knows of its own errors, from moves that it was not fitted to: a model of the first half of the history
 * goes through the second, as in service. Taken from the replay of what the constants were fitted to, errors would be
 * too small, and with them the intervals. Costs as much again as the rest of the fit: T(n) = T(n/2) + O(n).
 */
function honestErrors(table: MoveTable, settings: FitSettings): Partial<ModelFile['state']> {
  if (table.records.length < LEAST_HALVED_MOVES) return { errors: [] };
  const { members, instanceSamples = [] } = settings;
  const inOrder = Array.from(table.byFinish, (i) => table.records[i]!);
  const half = Math.floor(inOrder.length / 2);
  const halfMs = finishMs(inOrder[half - 1]!);
  const first = instanceSamples.filter((sample) => fromIsoTime(sample.at) <= halfMs);
  const model = durationModelOf(
    fitModel(inOrder.slice(0, half), { ...settings, name: '', instanceSamples: first }),
    members,
  );
  const feed = sampleFeed(model, instanceSamples.slice(first.length));
  for (const record of inOrder.slice(half)) {
    feed.until(startMs(record));
    model.learn(record);
  }
  const { residuals, coverage, errors } = model.save();
  return { residuals, coverage, errors };
}

const sampleFeed = (model: DurationModel, samples: readonly InstanceSample[]): SampleFeed =>
  new SampleFeed(samples, (sample) => model.learnInstanceSample(sample.cluster ?? DEFAULT_CLUSTER, sample));

/** A version is named by what it holds, not by the clock: the same data, seed and program give the same name. */
function versionOf(file: ModelFile): string {
  const hash = createHash('sha256').update(JSON.stringify({ ...file, name: '', version: '' }));
  return `${MODEL_FORMAT}-${hash.digest('hex').slice(0, 12)}`;
}
