import { isCompleted, type MoveRecord } from '../../src/domain/move-record.js';
import { mbpsToMibPerSecond } from '../../src/domain/units.js';
import { Capability, inputsOfRecord, type MoveInputs } from '../../src/predictor/move-inputs.js';
import { solveLinear } from '../linear-solver.js';
import { forecasterOf, type Candidate } from '../forecaster.js';

/** Columns of the regression; what is missing counts as zero. */
const COLUMNS = 12;
/** A little ridge, in units of a standardised column, so that constant and collinear columns do no harm. */
const RIDGE = 1e-3;
/** No prediction below this share of the smallest duration seen: a line may go below zero. */
const LEAST_SHARE = 0.5;

const orZero = (value: number): number => (value >= 0 ? value : 0);

function row(inputs: MoveInputs): number[] {
  const linkMibS = inputs.linkMbps > 0 ? mbpsToMibPerSecond(inputs.linkMbps) : 0;
  const bit = (capability: number): number => ((inputs.capabilities & capability) !== 0 ? 1 : 0);
  return [
    1,
    orZero(inputs.memoryMib),
    orZero(inputs.usedMemoryMib),
    orZero(inputs.diskMib),
    orZero(inputs.dirtyMibS),
    linkMibS > 0 ? (orZero(inputs.memoryMib) + orZero(inputs.diskMib)) / linkMibS : 0,
    orZero(inputs.backgroundMbps),
    orZero(inputs.concurrentMoves),
    orZero(inputs.cpuLoad),
    bit(Capability.tunnelled) * orZero(inputs.memoryMib),
    bit(Capability.autoConverge),
    bit(Capability.postcopy),
  ];
}

/** Multiple linear regression of the duration on the inputs, by least squares at each origin. */
export const linearRegression: Candidate = {
  name: 'linear-regression',
  kind: 'naive',
  summary: 'multiple linear regression on the inputs',
  fit(history) {
    const completed = history.moves.filter(isCompleted);
    const weights = leastSquares(completed);
    let least = Infinity;
    for (const record of completed) least = Math.min(least, record.duration_seconds);
    return forecasterOf(
      {
        seconds: (inputs) =>
          Math.max(
            LEAST_SHARE * least,
            row(inputs).reduce((sum, value, j) => sum + value * weights[j]!, 0),
          ),
        learn: () => undefined,
      },
      history,
    );
  },
};

/** Ridge regression by the normal equations on columns scaled by their root mean square. O(n · columns²). */
export function leastSquares(records: readonly MoveRecord[]): Float64Array {
  const rows = records.map((record) => row(inputsOfRecord(record)));
  const scale = new Float64Array(COLUMNS);
  for (const values of rows) for (let j = 0; j < COLUMNS; j++) scale[j]! += values[j]! * values[j]!;
  for (let j = 0; j < COLUMNS; j++) scale[j] = Math.sqrt(scale[j]! / Math.max(1, rows.length)) || 1;
  const matrix = Array.from({ length: COLUMNS }, () => new Float64Array(COLUMNS + 1));
  rows.forEach((values, i) => {
    const y = records[i]!.duration_seconds;
    for (let a = 0; a < COLUMNS; a++) {
      const left = values[a]! / scale[a]!;
      for (let b = 0; b < COLUMNS; b++) matrix[a]![b]! += (left * values[b]!) / scale[b]!;
      matrix[a]![COLUMNS]! += left * y;
    }
  });
  for (let j = 0; j < COLUMNS; j++) matrix[j]![j]! += RIDGE * Math.max(1, rows.length);
  const solution = solveLinear(matrix);
  return solution.map((weight, j) => weight / scale[j]!);
}
