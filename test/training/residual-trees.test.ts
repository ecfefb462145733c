import { describe, expect, it } from '@jest/globals';
import { moveFeatures } from '../../src/predictor/move-features.js';
import { predictRow } from '../../src/predictor/trees.js';
import { ResidualFrame } from '../../training/residual-trees.js';

/** The first column that trees may use in either direction. */
const COLUMN = moveFeatures.findIndex(({ monotone }) => monotone === 0);
const rowAt = (value: number): Float64Array => {
  const row = new Float64Array(moveFeatures.length);
  row[COLUMN] = value;
  return row;
};

describe('trees on what physics misses', () => {
  /** 200 moves as physics has them, and where the column is 1 as many that were broken off at `brokenAt`. */
  const answers = (brokenAt: number): [number, number] => {
    const frame = new ResidualFrame();
    for (let i = 0; i < 200; i++) {
      frame.add(rowAt(i % 2), 0.05 * Math.sin(i), true);
      if (i % 2 === 1) frame.add(rowAt(1), brokenAt, false);
    }
    expect(frame.completedRows).toBe(200);
    const forest = frame.forest(1);
    return [predictRow(forest, rowAt(0), 0), predictRow(forest, rowAt(1), 0)];
  };

  it('a move that was broken off late says that such moves take longer', () => {
    const [other, like] = answers(1);
    expect(Math.abs(other)).toBeLessThan(0.1);
    expect(like).toBeGreaterThan(0.15);
  });

  it('one that was broken off early says nothing', () => {
    const [other, like] = answers(-2);
    expect(Math.abs(other)).toBeLessThan(0.1);
    expect(Math.abs(like)).toBeLessThan(0.1);
  });
});
