import { median } from 'simple-statistics';
import { isCompleted, type MoveRecord } from '../../src/domain/move-record.js';
import { inputsOfRecord, type MoveInputs } from '../../src/predictor/move-inputs.js';
import { predictRow } from '../../src/predictor/trees.js';
import { trainForest } from '../boosting.js';
import { forecasterOf, type Candidate } from '../forecaster.js';
import { moveTable } from '../move-table.js';
import { inputColumns, TREE_OPTIONS } from './boosted-trees.js';
import { flavourOf } from './rolling-median.js';

/** What is remembered of each key. */
const WINDOW = 12;

/** Keys whose last moves a row tells of. */
const KEYS: readonly ((inputs: MoveInputs) => string)[] = [
  ({ cluster, operation }) => JSON.stringify([cluster, operation]),
  ({ cluster, operation, instance }) => JSON.stringify([cluster, operation, instance]),
  ({ cluster, operation, sourceNode }) => JSON.stringify([cluster, operation, sourceNode]),
  ({ cluster, operation, sourceNode, targetNode }) =>
    JSON.stringify([cluster, operation, sourceNode, targetNode]),
  flavourOf,
  (inputs) => JSON.stringify([flavourOf(inputs), inputs.capabilities, inputs.concurrentMoves]),
];

/** log seconds of the last moves of each key, as they are known at a moment. */
class RecentDurations {
  private readonly windows = KEYS.map(() => new Map<string, number[]>());

  learn(record: MoveRecord): void {
    if (!isCompleted(record)) return;
    const inputs = inputsOfRecord(record);
    for (const [k, keyOf] of KEYS.entries()) {
      const key = keyOf(inputs);
      const window = this.windows[k]!.get(key) ?? [];
      this.windows[k]!.set(key, window);
      window.push(Math.log(record.duration_seconds));
      if (window.length > WINDOW) window.shift();
    }
  }

  /** Of each key the last one and the median; NaN where there is none. */
  columns(inputs: MoveInputs): number[] {
    return KEYS.flatMap((keyOf, k) => {
      const window = this.windows[k]!.get(keyOf(inputs)) ?? [];
      return window.length === 0 ? [NaN, NaN] : [window.at(-1)!, median(window)];
    });
  }
}

const rowOf = (inputs: MoveInputs, recent: RecentDurations): number[] => [
  ...inputColumns(inputs),
  ...recent.columns(inputs),
];

/**
 * What one would try next: the same trees, told as well how long the last moves of the instance, the nodes and the flavour
 * took, in training as it was known when each move started. No physics.
 */
export const treesWithHistory: Candidate = {
  name: 'trees-with-history',
  kind: 'naive',
  summary: 'gradient-boosted trees on the inputs and the last durations of instance, nodes and flavour',
  fit(history, seed) {
    const { records, startMs, finishMs, byFinish } = moveTable(history.moves);
    const atStart = new RecentDurations();
    const rows: number[][] = [];
    const target: number[] = [];
    let finished = 0;
    records.forEach((record, i) => {
      while (finished < byFinish.length && finishMs[byFinish[finished]!]! <= startMs[i]!)
        atStart.learn(records[byFinish[finished++]!]!);
      if (!isCompleted(record)) return;
      rows.push(rowOf(inputsOfRecord(record), atStart));
      target.push(Math.log(record.duration_seconds));
    });
    const columns = rows[0]?.map((_, j) => Float64Array.from(rows, (row) => row[j]!));
    if (columns === undefined) return forecasterOf({ seconds: () => NaN, learn: () => undefined }, history);
    const options = { ...TREE_OPTIONS, seed };
    const forest = trainForest({ columns, rows: rows.length }, Float64Array.from(target), options);
    const recent = new RecentDurations();
    return forecasterOf(
      {
        seconds: (inputs) => Math.exp(predictRow(forest, Float64Array.from(rowOf(inputs, recent)), 0)),
        learn: (record) => recent.learn(record),
      },
      history,
    );
  },
};
