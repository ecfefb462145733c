import { median, medianSorted } from 'simple-statistics';
import { isCompleted, type MoveRecord } from '../src/domain/move-record.js';
import { inputsOfRecord, type MoveInputs } from '../src/predictor/move-inputs.js';
import { Level, moveKeys } from '../src/predictor/move-keys.js';
import {
  movePhysics,
  newPhysicsResult,
  secondsWhenSent,
  sentOf,
  type PhysicsConstants,
} from '../src/predictor/move-physics.js';
import type { Calibration } from '../src/predictor/physics-calibration.js';

/** Sizes of one family lie around its line by this much (log scale), beyond their noise. */
const CONFIG_DEVIATION = 0.05;
/** A size seen fewer times than this has no noise of its own: that of its cluster stands for it, at least this. */
const FEW_MOVES = 4;
const LONE_DEVIATION = 0.25;
/** Such a size draws its line by no more than so many deviations: one odd move must not tilt a family. */
const MOST_DEVIATIONS = 2;
/** Prior deviations of slopes: of clusters around 0, of families around their cluster. */
const CLUSTER_SLOPE_DEVIATION = 0.04;
const FAMILY_SLOPE_DEVIATION = 0.02;
/** Prior deviations of offsets: of clusters around 0, of families around their cluster's line. */
const CLUSTER_OFFSET_DEVIATION = 0.5;
const FAMILY_OFFSET_DEVIATION = 0.1;
/** No slope beyond this: a few sizes must not bend what lies far outside of them. */
const MOST_SLOPE = 0.3;
/** Fewer moves of a cluster calibrate nothing. */
const LEAST_MOVES = 10;

interface Residuals {
  x: number[];
  residual: number[];
}

interface Point {
  x: number;
  residual: number;
  weight: number;
}

/**
 * For each cluster and each family (way of moving) in it the line log T = log physics + offset + slope · (log physics −
 * center) through the medians of its configurations (sizes), weighted by how well they are known and pulled to the
 * cluster's line, which is pulled to physics as it is. O(n log n).
 */
export function calibratePhysics(
  records: readonly MoveRecord[],
  physics: { global: PhysicsConstants; clusters: Readonly<Record<string, PhysicsConstants>> },
  inputsOf: (record: MoveRecord) => MoveInputs = inputsOfRecord,
): Record<string, Calibration> {
  const result = newPhysicsResult();
  const clusters = new Map<string, Map<string, Map<string, Residuals>>>();
  const counts = new Map<string, number>();
  for (const record of records) {
    if (!isCompleted(record)) continue;
    const inputs = inputsOf(record);
    const keys = moveKeys(inputs);
    const constants = physics.clusters[inputs.cluster] ?? physics.global;
    movePhysics(inputs, constants, result);
    const sent = sentOf(record, inputs);
    const x = Math.log(sent > 0 ? secondsWhenSent(result, sent) : result.seconds);
    const cluster = keys[Level.cluster]!;
    counts.set(cluster, (counts.get(cluster) ?? 0) + 1);
    const families = entry(clusters, cluster, () => new Map<string, Map<string, Residuals>>());
    const configs = entry(families, keys[Level.family]!, () => new Map<string, Residuals>());
    const values = entry(configs, keys[Level.config]!, () => ({ x: [], residual: [] }));
    values.x.push(x);
    values.residual.push(Math.log(record.duration_seconds) - x);
  }
  const calibrations: Record<string, Calibration> = {};
  for (const [cluster, families] of clusters) {
    if (counts.get(cluster)! < LEAST_MOVES) continue;
    const { middle, deviation } = spreadOf(
      [...families.values()].flatMap((configs) => [...configs.values()]),
    );
    const points = new Map(
      [...families].map(([family, configs]) => [
        family,
        [...configs.values()].map((values) => pointOf(values, middle, deviation)),
      ]),
    );
    let xy = 0;
    let xx = 1 / CLUSTER_SLOPE_DEVIATION ** 2;
    const all: Point[] = [];
    for (const members of points.values()) {
      const { x: center, residual: level } = meanOf(members);
      for (const { x, residual, weight } of members) {
        xy += weight * (x - center) * (residual - level);
        xx += weight * (x - center) ** 2;
      }
      all.push(...members);
    }
    const slope = bounded(xy / xx);
    const whole = meanOf(all);
    const offset = (whole.weight * whole.residual) / (whole.weight + 1 / CLUSTER_OFFSET_DEVIATION ** 2);
    calibrations[cluster] = { offset, slope, center: whole.x };
    for (const [family, members] of points) {
      const { x: center, residual: level, weight } = meanOf(members);
      let ownXy = slope / FAMILY_SLOPE_DEVIATION ** 2;
      let ownXx = 1 / FAMILY_SLOPE_DEVIATION ** 2;
      for (const point of members) {
        ownXy += point.weight * (point.x - center) * (point.residual - level);
        ownXx += point.weight * (point.x - center) ** 2;
      }
      const expected = offset + slope * (center - whole.x);
      const prior = 1 / FAMILY_OFFSET_DEVIATION ** 2;
      calibrations[family] = {
        offset: (weight * level + prior * expected) / (weight + prior),
        slope: bounded(ownXy / ownXx),
        center,
      };
    }
  }
  return calibrations;
}

/** Median of all residuals of a cluster, and how far those of sizes seen but a few times lie from it. */
function spreadOf(configs: readonly Residuals[]): { middle: number; deviation: number } {
  const middle = median(configs.flatMap(({ residual }) => residual));
  const lone = configs.filter(({ residual }) => residual.length < FEW_MOVES);
  const sizes = lone.flatMap(({ residual }) => residual.map((value) => Math.abs(value - middle)));
  const deviation = sizes.length === 0 ? 0 : median(sizes) / 0.6745;
  return { middle, deviation: Math.max(LONE_DEVIATION, deviation) };
}

function pointOf({ x, residual }: Residuals, center: number, loneDeviation: number): Point {
  x.sort((a, b) => a - b);
  residual.sort((a, b) => a - b);
  const n = residual.length;
  const own = medianSorted(residual);
  const most = MOST_DEVIATIONS * loneDeviation;
  const middle = n < FEW_MOVES ? center + Math.max(-most, Math.min(most, own - center)) : own;
  // Half the distance between the quartiles is 0.6745 deviations of a normal distribution.
  const deviation =
    n < FEW_MOVES
      ? loneDeviation
      : (residual[Math.floor(0.75 * n)]! - residual[Math.floor(0.25 * n)]!) / (2 * 0.6745);
  return { x: medianSorted(x), residual: middle, weight: 1 / (CONFIG_DEVIATION ** 2 + deviation ** 2 / n) };
}

function meanOf(points: readonly Point[]): Point {
  let weight = 0;
  let x = 0;
  let residual = 0;
  for (const point of points) {
    weight += point.weight;
    x += point.weight * point.x;
    residual += point.weight * point.residual;
  }
  return { weight, x: x / weight, residual: residual / weight };
}

const bounded = (slope: number): number => Math.max(-MOST_SLOPE, Math.min(MOST_SLOPE, slope));

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
