import type { LayersModel } from '@tensorflow/tfjs-layers';
import { QUANTILE_LEVELS } from '../src/domain/prediction.js';
import { usualStepMs } from '../src/predictor/series-forecast.js';
import { SERIES_FEATURES, SeriesNetwork, type NetworkWeights } from '../src/predictor/series-network.js';
import { seededRandom } from './seeded-random.js';
import type { NamedSeries } from './series-data.js';
import type { TensorFlow } from './series-tensorflow.js';

/** Two layers of so many: some 2,000 weights for some thousands of rows. */
const HIDDEN = 32;
/** Rows of a series: a long one must not drown the short ones. */
const MOST_ROWS_OF_SERIES = 900;
/** The first values of a series only warm up the state. */
const WARM_UP = 20;
/** Distances ahead: 1 to 288 steps, evenly on the scale of logarithms. */
const FARTHEST_STEPS = 288;
const BATCH = 64;
/** Rounds over all rows, and how fast in each: first far, then fine. */
const STAGES = [
  { epochs: 12, rate: 3e-3 },
  { epochs: 8, rate: 5e-4 },
] as const;
/** A target further from decomposition's point than so many scales counts as so far: one burst must not steer the fit. */
const MOST_SCALES = 8;

const LEVELS = QUANTILE_LEVELS.length;

/** Training rows: `inputs` rows × SERIES_FEATURES, `targets` one a row. */
export interface SeriesRows {
  inputs: Float32Array;
  targets: Float32Array;
}

/** What the network sees at chance moments of each series and what came at a chance distance after. Same seed, same rows. */
export function seriesRows(series: readonly NamedSeries[], seed: number): SeriesRows {
  const random = seededRandom(seed);
  const inputs: number[] = [];
  const targets: number[] = [];
  const features = new Float32Array(SERIES_FEATURES);
  for (const { samples } of series) {
    const sorted = [...samples].sort((a, b) => a.atMs - b.atMs || a.value - b.value);
    const stepMs = usualStepMs(sorted.slice(0, 24).map(({ atMs }) => atMs));
    const bins = sorted.map(({ atMs }) => Math.floor(atMs / stepMs));
    const roots = sorted.map(({ value }) => Math.sqrt(Math.sqrt(value)));
    const rootOf = new Map(bins.map((bin, i) => [bin, roots[i]!]));
    const network = new SeriesNetwork({ layers: [] }, stepMs);
    const chance = MOST_ROWS_OF_SERIES / Math.max(1, sorted.length - WARM_UP);
    let last = -Infinity;
    for (let i = 0; i < bins.length; i++) {
      if (bins[i]! <= last) continue;
      last = bins[i]!;
      network.learn(last, roots[i]!);
      if (i < WARM_UP) continue;
      for (let due = chance; random() < due; due--) {
        const target = last + Math.max(1, Math.floor(FARTHEST_STEPS ** random()));
        const value = rootOf.get(target);
        if (value === undefined) continue;
        network.features(target, features);
        inputs.push(...features);
        const scaled = (value - network.base(target)) / network.scale();
        targets.push(Math.max(-MOST_SCALES, Math.min(MOST_SCALES, scaled)));
      }
    }
  }
  return shuffled({ inputs: Float32Array.from(inputs), targets: Float32Array.from(targets) }, random);
}

/** TensorFlow.js would shuffle with Math.random: rows are shuffled once, here. */
function shuffled({ inputs, targets }: SeriesRows, random: () => number): SeriesRows {
  const rows = targets.length;
  const order = Array.from({ length: rows }, (_, i) => i);
  for (let i = rows - 1; i > 0; i--) {
    const k = Math.floor(random() * (i + 1));
    [order[i], order[k]] = [order[k]!, order[i]!];
  }
  const out = { inputs: new Float32Array(inputs.length), targets: new Float32Array(rows) };
  order.forEach((from, to) => {
    out.inputs.set(
      inputs.subarray(from * SERIES_FEATURES, (from + 1) * SERIES_FEATURES),
      to * SERIES_FEATURES,
    );
    out.targets[to] = targets[from]!;
  });
  return out;
}

/** Fits the network to the mean pinball loss over QUANTILE_LEVELS. Same rows, seed and backend give the same weights. */
export async function trainSeriesNetwork(
  { core, layers }: TensorFlow,
  { inputs, targets }: SeriesRows,
  seed: number,
): Promise<LayersModel> {
  const dense = (units: number, k: number, activation?: 'relu') =>
    layers.layers.dense({
      units,
      kernelInitializer: layers.initializers.glorotUniform({ seed: seed + k }),
      ...(activation === undefined ? {} : { activation }),
      ...(k === 0 ? { inputShape: [SERIES_FEATURES] } : {}),
    });
  const model = layers.sequential({
    layers: [dense(HIDDEN, 0, 'relu'), dense(HIDDEN, 1, 'relu'), dense(LEVELS, 2)],
  });
  const repeated = new Float32Array(targets.length * LEVELS);
  for (let i = 0; i < repeated.length; i++) repeated[i] = targets[Math.floor(i / LEVELS)]!;
  const x = core.tensor2d(inputs, [targets.length, SERIES_FEATURES]);
  const y = core.tensor2d(repeated, [targets.length, LEVELS]);
  const levels = core.tensor1d([...QUANTILE_LEVELS]);
  try {
    for (const { epochs, rate } of STAGES) {
      const optimizer = core.train.adam(rate);
      model.compile({
        optimizer,
        loss: (actual, predicted) =>
          core.tidy(() => {
            const over = core.sub(actual, predicted);
            return core.mean(core.maximum(core.mul(levels, over), core.mul(core.sub(levels, 1), over)));
          }),
      });
      await model.fit(x, y, { epochs, batchSize: BATCH, shuffle: false, verbose: 0, yieldEvery: 'never' });
      optimizer.dispose();
    }
  } finally {
    core.dispose([x, y, levels]);
  }
  return model;
}

/** The weights of a trained model for our own forward pass. */
export function weightsOf(model: LayersModel): NetworkWeights {
  return {
    layers: model.layers.map((layer) => {
      const [kernel, bias] = layer.getWeights();
      const [inputs, outputs] = kernel!.shape as [number, number];
      return { inputs, outputs, kernel: Array.from(kernel!.dataSync()), bias: Array.from(bias!.dataSync()) };
    }),
  };
}

/** A trained model as one piece of JSON that every backend loads. */
export interface SavedLayersModel {
  topology: object;
  weight_specs: unknown[];
  weights_base64: string;
}

export async function saveLayersModel({ core }: TensorFlow, model: LayersModel): Promise<SavedLayersModel> {
  let saved: SavedLayersModel | undefined;
  await model.save(
    core.io.withSaveHandler((artifacts) => {
      const bytes = core.io.CompositeArrayBuffer.join(artifacts.weightData!);
      saved = {
        topology: artifacts.modelTopology as object,
        weight_specs: artifacts.weightSpecs!,
        weights_base64: Buffer.from(bytes).toString('base64'),
      };
      return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } });
    }),
  );
  return saved!;
}

export function loadLayersModel({ core, layers }: TensorFlow, saved: SavedLayersModel): Promise<LayersModel> {
  const bytes = Buffer.from(saved.weights_base64, 'base64');
  const artifacts = {
    modelTopology: saved.topology,
    weightSpecs: saved.weight_specs as Parameters<typeof core.io.decodeWeights>[1],
    weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength),
  };
  return layers.loadLayersModel({ load: () => Promise.resolve(artifacts) });
}
