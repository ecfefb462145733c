import { quantileSorted } from 'simple-statistics';
import { isCompleted } from '../../src/domain/move-record.js';
import { QUANTILE_LEVELS } from '../../src/domain/prediction.js';
import { meanOfQuantiles } from '../../src/predictor/duration-model.js';
import { inputsOfRecord } from '../../src/predictor/move-inputs.js';
import type { Candidate, Forecaster } from '../forecaster.js';
import { flavourOf } from './rolling-median.js';

/** Quantiles of so many last moves. */
const WINDOW = 100;
/** With fewer of its flavour, a move is judged by all moves. */
const LEAST_MOVES = 5;
/** What is answered before anything was seen, in seconds. */
const UNKNOWN_SECONDS = 30;

/** The plain empirical distribution: quantiles of the last 100 completed moves of the same flavour, else of all. */
export const quantilesOfFlavour: Candidate = {
  name: 'quantiles-of-flavour',
  kind: 'naive',
  summary: 'quantiles of the last 100 moves of the same memory, disk and vcpus',
  fit(history) {
    const windows = new Map<string, number[]>();
    const all: number[] = [];
    const forecaster: Forecaster = {
      predict(inputs) {
        const own = windows.get(flavourOf(inputs)) ?? [];
        const window = own.length >= LEAST_MOVES ? own : all;
        const sorted = window.length === 0 ? [UNKNOWN_SECONDS] : window.toSorted((a, b) => a - b);
        const seconds = Float64Array.from(QUANTILE_LEVELS, (level) => quantileSorted(sorted, level));
        return { seconds, mean: meanOfQuantiles(seconds), basis: 'cluster' };
      },
      learn(record) {
        if (!isCompleted(record)) return;
        const key = flavourOf(inputsOfRecord(record));
        let window = windows.get(key);
        if (window === undefined) windows.set(key, (window = []));
        for (const values of [window, all]) {
          values.push(record.duration_seconds);
          if (values.length > WINDOW) values.shift();
        }
      },
    };
    for (const record of history.moves) forecaster.learn(record);
    return forecaster;
  },
};
