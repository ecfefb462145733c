import { describe, expect, it } from '@jest/globals';
import { inputsOfRecord } from '../../src/predictor/move-inputs.js';
import { pooledEffects, treesOnPhysics, wholeModel } from '../../training/candidates/whole-model.js';
import { quantilesOfFlavour } from '../../training/candidates/quantiles-of-flavour.js';
import type { Candidate } from '../../training/forecaster.js';
import { historyOf } from '../../training/forecaster.js';
import { inventedMoves } from './invented-moves.js';

const moves = inventedMoves(240);
const inputs = () => inputsOfRecord(moves.at(-1)!);
const medianOf = (candidate: Candidate, history = moves.slice(0, 200)): number =>
  candidate.fit(historyOf(history), 1).predict(inputs()).seconds[2]!;

describe('a layer on its own', () => {
  it('answers without the others', () => {
    const answers = [pooledEffects, treesOnPhysics, wholeModel].map((candidate) => medianOf(candidate));
    expect(new Set(answers).size).toBe(3);
    for (const seconds of answers) expect(seconds).toBeGreaterThan(0);
  });

  it('leaves its answer to physics where it has none: too few moves to grow a tree', () => {
    const few = moves.slice(0, 12);
    expect(medianOf(treesOnPhysics, few)).toBeGreaterThan(0);
    expect(treesOnPhysics.fit(historyOf([]), 1).predict(inputs()).seconds.every(Number.isFinite)).toBe(true);
  });

  it('gives the quantiles of what moves of a flavour took, and of all where it saw fewer than five', () => {
    const one = moves[0]!;
    const taking = (duration_seconds: number, memory_mib: number) => ({
      ...one,
      duration_seconds,
      memory_mib,
    });
    const history = [
      ...Array.from({ length: 101 }, (_, k) => taking(k, 1024)),
      ...Array.from({ length: 4 }, () => taking(1e4, 2048)),
    ];
    const forecaster = quantilesOfFlavour.fit(historyOf(history), 1);
    const of = (memory_mib: number) => [...forecaster.predict(inputsOfRecord(taking(1, memory_mib))).seconds];
    // 1 to 100 are left of them: 1 + 99 p.
    [5.95, 10.9, 50.5, 90.1, 95.05].forEach((seconds, j) => expect(of(1024)[j]).toBeCloseTo(seconds, 9));
    expect(of(2048)[2]).toBeGreaterThan(50);
    expect(of(2048)[2]).toBeLessThan(100);
  });
});
