import { describe, expect, it } from '@jest/globals';
import { durationModelOf } from '../../src/predictor/load-predictor.js';
import { fitModel } from '../../training/fit.js';
import { moveTable } from '../../training/move-table.js';
import { inventedMoves } from './invented-moves.js';

describe('a fitted model', () => {
  it('knows its errors from moves that it was not fitted to: a model of the first half goes through the second', () => {
    const settings = { name: 'm', seed: 1 };
    const { records, byFinish } = moveTable(inventedMoves(200));
    const inOrder = Array.from(byFinish, (i) => records[i]!);
    const ofHalf = durationModelOf(fitModel(inOrder.slice(0, 100), settings));
    for (const record of inOrder.slice(100)) ofHalf.learn(record);
    const { residuals, coverage, errors } = ofHalf.save();
    expect(fitModel(records, settings).state).toMatchObject({ residuals, coverage, errors });
  });
});
