import { describe, expect, it } from '@jest/globals';
import { newEstimate } from '../../src/predictor/duration-model.js';
import { durationModelOf } from '../../src/predictor/load-predictor.js';
import { inputsOfRecord } from '../../src/predictor/move-inputs.js';
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

  it('hears from its trees that moves like those that were broken off late take longer', () => {
    const broken = { status: 'cancelled', duration_seconds: 200 } as const;
    const moves = inventedMoves(400, (i) => ({
      vcpus: i % 2 === 0 ? 2 : 8,
      concurrent_moves: 0,
      ...(i % 4 === 1 ? broken : {}),
    }));
    const model = durationModelOf(fitModel(moves, { name: 'm', seed: 1, members: ['trees'] }), ['trees']);
    const medianWith = (vcpus: number): number => {
      const inputs = inputsOfRecord({ ...moves[0]!, vcpus });
      return model.estimate(inputs, newEstimate()).seconds[2]!;
    };
    expect(medianWith(8) / medianWith(2)).toBeGreaterThan(1.2);
  });
});
