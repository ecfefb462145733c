import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { QUANTILE_LEVELS } from '../../src/domain/prediction.js';
import { CHOICE, SERIES_SCORES, type ClassScore } from '../../src/predictor/series-choice.js';
import { forwardPass, SERIES_FEATURES } from '../../src/predictor/series-network.js';
import {
  backtestSeries,
  chosen,
  pinballLoss,
  rollingForecasts,
  scoresByClass,
  type OriginForecasts,
} from '../../training/series-backtest.js';
import { readLabSeries, readNabSeries, type NamedSeries } from '../../training/series-data.js';
import {
  loadLayersModel,
  saveLayersModel,
  seriesRows,
  trainSeriesNetwork,
  weightsOf,
  type SavedLayersModel,
} from '../../training/series-network-training.js';
import {
  loadTensorFlow,
  putBackUtilHelpers,
  type TensorFlow,
  type TensorFlowBackend,
} from '../../training/series-tensorflow.js';

const STEP_MS = 300_000;
const wave = (n: number, name = 'wave'): NamedSeries => ({
  name,
  group: name,
  samples: Array.from({ length: n }, (_, i) => ({
    atMs: Date.UTC(2026, 0, 5) + i * STEP_MS,
    value: 300 + 200 * Math.sin((2 * Math.PI * i) / 288) + 30 * Math.sin(i * 7.3),
  })),
});

/** The native backend is tested where someone has installed it. */
const backends: TensorFlowBackend[] = ['wasm', 'cpu'];
try {
  createRequire(import.meta.url).resolve('@tensorflow/tfjs-node');
  backends.push('tensorflow');
} catch {
  // not installed
}

describe('the backtest of series', () => {
  it('weighs a miss above by the level and one below by what is left of it', () => {
    expect(pinballLoss(10, 8, 0.9)).toBeCloseTo(1.8);
    expect(pinballLoss(8, 10, 0.9)).toBeCloseTo(0.2);
  });

  it.each(['mixture', 'seasonal-naive'] as const)(
    'looks at nothing that came after an origin: %s says the same there, whatever follows',
    (candidate) => {
      const series = wave(1200);
      const clean = [...rollingForecasts(series, candidate)];
      const before = clean.length / 2;
      const poisonedAfterMs = clean[before - 1]!.originAtMs;
      const poisoned = {
        ...series,
        samples: series.samples.map((sample) =>
          sample.atMs > poisonedAfterMs ? { ...sample, value: 1e9 } : sample,
        ),
      };
      const again = [...rollingForecasts(poisoned, candidate)];
      // What came differs, and only that may.
      const said = (origins: OriginForecasts[]) =>
        origins.map(({ forecasts, ...origin }) => ({
          ...origin,
          forecasts: forecasts.map(({ targetAtMs, quantiles }) => ({ targetAtMs, quantiles })),
        }));
      expect(before).toBeGreaterThan(100);
      expect(clean[before - 1]!.forecasts).toHaveLength(4);
      expect(said(again.slice(0, before))).toEqual(said(clean.slice(0, before)));
      expect(said(again.slice(before, before + 1))).not.toEqual(said(clean.slice(before, before + 1)));
    },
  );

  it('finds that decomposition beats the naive marks on a daily wave', () => {
    const loss = (name: 'decomposition' | 'last-value' | 'seasonal-naive'): number =>
      backtestSeries(wave(2000), name).pinball;
    expect(loss('decomposition')).toBeLessThan(0.6 * loss('last-value'));
    expect(loss('decomposition')).toBeLessThan(loss('seasonal-naive'));
  });

  it('chooses the least loss, the mixture at a tie, no network for one series alone and none whose bands break their word', () => {
    const score = (
      candidate: ClassScore['candidate'],
      relativeLoss: number,
      series = 1,
      covered90 = 0.9,
    ): ClassScore => ({
      class: 'steady',
      candidate,
      series,
      relativeLoss,
      covered80: 0.8,
      covered90,
    });
    const of = (...scores: ClassScore[]) => chosen(scores).choice.steady;
    expect(of(score('mixture', 0.8), score('holt-winters', 0.7))).toBe('holt-winters');
    expect(of(score('mixture', 0.705), score('holt-winters', 0.7))).toBe('mixture');
    expect(of(score('mixture', 0.8), score('network', 0.6))).toBe('mixture');
    expect(of(score('mixture', 0.8, 3), score('network', 0.6, 3))).toBe('network');
    expect(of(score('mixture', 0.8), score('decomposition', 0.6, 1, 0.7))).toBe('mixture');
  });

  it('beats the naive marks with the choice that is served, on every public series', () => {
    const all = readNabSeries('data/nab-aws');
    expect(all.length).toBeGreaterThan(3);
    for (const series of all) {
      const naive = backtestSeries(series, 'last-value');
      const seasonal = backtestSeries(series, 'seasonal-naive');
      const served = backtestSeries(series, CHOICE[naive.class]);
      expect(served.pinball).toBeLessThan(Math.min(naive.pinball, seasonal.pinball));
      expect(served.covered90).toBeGreaterThan(0.85);
    }
  });

  it('serves what the kept scores choose, and the page prints the same scores', () => {
    expect(chosen(SERIES_SCORES).choice).toEqual(CHOICE);
    const page = readFileSync(join('docs', 'forecasts.md'), 'utf8').replace(/ +/g, ' ');
    for (const { candidate, series, relativeLoss, covered80, covered90, class: of } of SERIES_SCORES) {
      const shares = [covered80, covered90].map((share) => `${(100 * share).toFixed(1)} %`).join(' ');
      expect(page).toContain(`\n${of} ${candidate} ${series} ${relativeLoss.toFixed(3)} ${shares}\n`);
    }
  });

  it('gathers scores of series by their class', () => {
    const of = (series: string, candidate: 'last-value' | 'mixture', pinball: number) => ({
      series,
      candidate,
      class: 'steady' as const,
      forecasts: 1,
      pinball,
      covered80: 0.8,
      covered90: 0.9,
    });
    const [, mixture] = scoresByClass([
      of('a', 'last-value', 1),
      of('a', 'mixture', 0.5),
      of('b', 'last-value', 10),
      of('b', 'mixture', 8),
    ]);
    expect(mixture).toMatchObject({ candidate: 'mixture', series: 2 });
    expect(mixture!.relativeLoss).toBeCloseTo(Math.sqrt(0.5 * 0.8));
  });
});

describe('the series that are shipped', () => {
  it('are read whole: five public ones, and the links of the laboratory with their days stretched out', () => {
    const nab = readNabSeries('data/nab-aws');
    expect(nab).toHaveLength(5);
    expect(nab.reduce((sum, { samples }) => sum + samples.length, 0)).toBe(18_767);
    const lab = readLabSeries('data/qemu-lab/link-samples.csv');
    expect(lab).toHaveLength(18);
    const day = lab.find(({ name }) => name === 'lab-s3-day node-a:egress')!.samples;
    expect(day[1]!.atMs - day[0]!.atMs).toBe(600_000);
  });
});

describe('the network across series', () => {
  const rows = seriesRows([wave(1500), wave(900, 'other')], 1);

  it('is trained on the same rows from the same seed, each finite', () => {
    expect(rows).toEqual(seriesRows([wave(1500), wave(900, 'other')], 1));
    expect(rows.inputs).toHaveLength(rows.targets.length * SERIES_FEATURES);
    expect([...rows.inputs, ...rows.targets].every(Number.isFinite)).toBe(true);
  });

  const few = { inputs: rows.inputs.slice(0, 96 * SERIES_FEATURES), targets: rows.targets.slice(0, 96) };

  it.each(backends)(
    'trained by %s gives the same weights from the same seed, and leaves no tensor behind',
    async (backend) => {
      const tf = await loadTensorFlow(backend);
      expect(tf.core.getBackend()).toBe(backend);
      const before = tf.core.memory().numTensors;
      const weights = [];
      for (let k = 0; k < 2; k++) {
        const model = await trainSeriesNetwork(tf, few, 7);
        weights.push(weightsOf(model));
        model.dispose();
      }
      expect(weights[1]).toEqual(weights[0]);
      expect(tf.core.memory().numTensors).toBe(before);
    },
  );

  it.each(backends.flatMap((trainer) => backends.map((loader) => [trainer, loader] as const)))(
    'trained by %s fits its rows, and saved once answers the same to 1e-6 loaded by %s and in our own forward pass',
    async (trainer, loader) => {
      const { inputs, targets } = few;
      const answers = (tf: TensorFlow, model: LayersModel) => {
        expect(tf.core.getBackend()).toBe(tf.backend);
        const x = tf.core.tensor2d(inputs, [targets.length, SERIES_FEATURES]);
        const y = model.predict(x) as typeof x;
        const values = y.dataSync();
        tf.core.dispose([x, y]);
        return values;
      };

      const training = await loadTensorFlow(trainer);
      const trained = await trainSeriesNetwork(training, few, 3);
      const file = JSON.parse(JSON.stringify(await saveLayersModel(training, trained))) as SavedLayersModel;
      const weights = weightsOf(trained);
      const asTrained = answers(training, trained);
      trained.dispose();

      const loading = await loadTensorFlow(loader);
      const loaded = await loadLayersModel(loading, file);
      const asLoaded = answers(loading, loaded);
      loaded.dispose();

      const layers = weights.layers.map(({ kernel, bias, outputs }) => ({
        kernel: Float32Array.from(kernel),
        bias: Float32Array.from(bias),
        out: new Float32Array(outputs),
      }));
      const levels = QUANTILE_LEVELS.length;
      let loss = 0;
      let lossOfZero = 0;
      targets.forEach((target, i) => {
        const ours = forwardPass(layers, inputs.slice(i * SERIES_FEATURES, (i + 1) * SERIES_FEATURES));
        ours.forEach((value, j) => {
          expect(Math.abs(value - asTrained[i * levels + j]!)).toBeLessThan(1e-6);
          expect(Math.abs(value - asLoaded[i * levels + j]!)).toBeLessThan(1e-6);
          loss += pinballLoss(target, value, QUANTILE_LEVELS[j]!);
          lossOfZero += pinballLoss(target, 0, QUANTILE_LEVELS[j]!);
        });
      });
      expect(loss).toBeLessThan(0.7 * lossOfZero);
    },
  );

  it('puts back what newer versions of Node took from util, and nothing that is there', () => {
    const kept = (): boolean => true;
    const util: Record<string, unknown> = { isArray: kept };
    putBackUtilHelpers(util);
    expect(util['isArray']).toBe(kept);
    expect((util['isNullOrUndefined'] as (value: unknown) => boolean)(null)).toBe(true);
    expect((util['isNullOrUndefined'] as (value: unknown) => boolean)(0)).toBe(false);
  });

  it('is trained by TensorFlow.js alone: nothing in src imports it', () => {
    const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.ts'),
    );
    expect(files.length).toBeGreaterThan(50);
    for (const file of files) {
      const text = readFileSync(join('src', file), 'utf8');
      expect(text).not.toMatch(/@tensorflow|series-tensorflow|series-network-training/);
    }
  });
});
