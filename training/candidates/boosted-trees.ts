import { isCompleted } from '../../src/domain/move-record.js';
import { Capability, inputsOfRecord, type MoveInputs } from '../../src/predictor/move-inputs.js';
import { predictRow } from '../../src/predictor/trees.js';
import { trainForest } from '../boosting.js';
import { forecasterOf, type Candidate } from '../forecaster.js';

export const TREE_OPTIONS = {
  loss: 'l1',
  trees: 150,
  learningRate: 0.1,
  maxLeaves: 15,
  minChildWeight: 5,
} as const;

/** Boosted trees on the inputs, as one would try first: no physics, nothing learnt between origins. */
export const boostedTrees: Candidate = {
  name: 'boosted-trees',
  kind: 'naive',
  summary: 'gradient-boosted trees on the inputs alone',
  fit(history, seed) {
    const completed = history.moves.filter(isCompleted);
    const rows = completed.map((record) => inputColumns(inputsOfRecord(record)));
    const columns = rows[0]?.map((_, j) => Float64Array.from(rows, (row) => row[j]!));
    if (columns === undefined) return forecasterOf({ seconds: () => NaN, learn: () => undefined }, history);
    const target = Float64Array.from(completed, (record) => Math.log(record.duration_seconds));
    const forest = trainForest({ columns, rows: rows.length }, target, { ...TREE_OPTIONS, seed });
    const row = new Float64Array(columns.length);
    return forecasterOf(
      {
        seconds(inputs) {
          row.set(inputColumns(inputs));
          return Math.exp(predictRow(forest, row, 0));
        },
        learn: () => undefined,
      },
      history,
    );
  },
};

/** What a request says, as columns; NaN where it does not. */
export function inputColumns(inputs: MoveInputs): number[] {
  const bit = (capability: number): number => ((inputs.capabilities & capability) !== 0 ? 1 : 0);
  return [
    inputs.memoryMib,
    inputs.usedMemoryMib,
    inputs.vcpus,
    inputs.dirtyMibS,
    inputs.diskMib,
    inputs.linkMbps,
    inputs.backgroundMbps,
    inputs.capMibS,
    inputs.downtimeLimitMs,
    inputs.channels,
    inputs.concurrentMoves,
    inputs.cpuLoad,
    bit(Capability.autoConverge),
    bit(Capability.xbzrle),
    bit(Capability.multifd),
    bit(Capability.postcopy),
    bit(Capability.tunnelled),
  ];
}
