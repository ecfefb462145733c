import { isCompleted, type MoveRecord } from '../src/domain/move-record.js';
import type { DurationModel } from '../src/predictor/duration-model.js';
import { frameColumns } from '../src/predictor/frame-columns.js';
import type { ModelFile } from '../src/predictor/model-file.js';
import type { MoveInputs } from '../src/predictor/move-inputs.js';
import { backtest, type BacktestData } from './backtest.js';
import { modelForecaster } from './candidates/whole-model.js';
import { fitModel } from './fit.js';
import type { Candidate } from './forecaster.js';
import { moveTable } from './move-table.js';
import { inOrderOfTime } from './sample-feed.js';
import { replaySamples } from './sample-replay.js';

/**
 * The training frame: of every move what was known when it started, and what became of it. Made like a rolling
 * backtest: a row's features are those of a model that was fitted to what had finished before the row's origin and has
 * since learnt what finished until the start. Rows in order of start.
 */
export interface Dataset {
  rows: number;
  records: readonly MoveRecord[];
  /** Of each row: when the model that computed its features was fitted (ISO), and to how many moves. */
  origin: readonly string[];
  originMoves: Int32Array;
  /** In the order of `frameColumns`; NaN is missing. */
  features: readonly Float64Array[];
  /** log(actual ÷ physics) with the physics of the row's origin; of a move that was broken off a lower bound. */
  residual: Float64Array;
  /** 1 where our own trees learn from the row, 0 where not: broken off, or hidden by its place in a manager's queue. */
  weight: Float64Array;
  /** Fitted to all of the moves, as `train` does: computes the features of moves that start after the last one finished. */
  model: ModelFile;
}

/** O(origins · fit). Rows of `data.records` with an id seen before are dropped. */
export function trainingDataset(
  data: BacktestData,
  {
    name = 'frame',
    seed,
    onProgress = () => undefined,
  }: { name?: string; seed: number; onProgress?: (done: number, total: number) => void },
): Dataset {
  const features = frameColumns.map((): number[] => []);
  const physicsLog: number[] = [];
  const queued: boolean[] = [];
  const originMoves: number[] = [];
  const recorder: Candidate = {
    name: 'frame',
    kind: 'layer',
    summary: 'writes down what the trees are shown',
    fit(history, fitSeed) {
      const { moves, forecasts, instanceSamples } = replaySamples(history);
      const file = fitModel(moves, { name, seed: fitSeed, instanceSamples });
      const row = new Float64Array(frameColumns.length);
      const onAsked = (model: DurationModel, inputs: MoveInputs): void => {
        physicsLog.push(model.frameRow(inputs, row));
        row.forEach((value, j) => features[j]!.push(value));
        queued.push(model.isQueued(inputs));
        originMoves.push(history.moves.length);
      };
      return modelForecaster(file, forecasts, { onAsked });
    },
  };
  const rows = backtest(data, [recorder], { protocol: 'rolling', seed, firstOriginMoves: 0, onProgress });
  const { records } = moveTable(data.records);
  const instanceSamples = inOrderOfTime(data.instanceSamples ?? []);
  const { moves } = replaySamples({ moves: data.records, linkSamples: data.linkSamples ?? [] });
  return {
    rows: rows.length,
    records,
    origin: rows.map((row) => row.origin),
    originMoves: Int32Array.from(originMoves),
    features: features.map((values) => Float64Array.from(values)),
    residual: Float64Array.from(records, (record, i) => Math.log(record.duration_seconds) - physicsLog[i]!),
    weight: Float64Array.from(records, (record, i) => (isCompleted(record) && !queued[i]! ? 1 : 0)),
    model: fitModel(moves, { name, seed, instanceSamples }),
  };
}
