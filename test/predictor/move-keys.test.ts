import { describe, expect, it } from '@jest/globals';
import { inputsOfRecord } from '../../src/predictor/move-inputs.js';
import { keyLevels, moveKeys, MoveKeys } from '../../src/predictor/move-keys.js';
import { inventedMoves } from '../training/invented-moves.js';

describe('keys of a move', () => {
  it('are one a level, and differ between moves that differ at that level', () => {
    const [first, other] = inventedMoves(2).map((record) => moveKeys(inputsOfRecord(record)));
    expect(first).toHaveLength(keyLevels.length);
    expect(new Set(first).size).toBe(keyLevels.length);
    expect(other![0]).toBe(first![0]);
    expect(other![4]).not.toBe(first![4]);
  });

  it('are the same whether made at once or from those of the move before', () => {
    const reused = new MoveKeys();
    for (const record of inventedMoves(40)) {
      for (const target_node of ['n1', 'n2', 'n9']) {
        const inputs = inputsOfRecord({ ...record, target_node });
        expect(reused.of(inputs)).toEqual(moveKeys(inputs));
      }
    }
  });
});
