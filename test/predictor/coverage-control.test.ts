import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '../../training/seeded-random.js';
import { CoverageControl } from '../../src/predictor/coverage-control.js';

const random = seededRandom(3);

describe('coverage control', () => {
  it('brings intervals that are too narrow or too wide to what they promise', () => {
    for (const width of [0.6, 1.8]) {
      const control = new CoverageControl();
      let inside80 = 0;
      let inside90 = 0;
      for (let i = 0; i < 3000; i++) {
        // Even numbers between -1 and 1: their quantiles are known.
        const truth = random() * 2 - 1;
        const quantiles = Float64Array.of(-0.9 * width, -0.8 * width, 0, 0.8 * width, 0.9 * width);
        control.widen(['g'], quantiles);
        control.learn(['g'], quantiles, truth);
        if (i < 1000) continue;
        if (truth >= quantiles[1]! && truth <= quantiles[3]!) inside80++;
        if (truth >= quantiles[0]! && truth <= quantiles[4]!) inside90++;
        for (let j = 1; j < 5; j++) expect(quantiles[j]).toBeGreaterThanOrEqual(quantiles[j - 1]!);
      }
      expect(Math.abs(inside80 / 2000 - 0.8)).toBeLessThan(0.04);
      expect(Math.abs(inside90 / 2000 - 0.9)).toBeLessThan(0.03);
    }
  });

  it('leaves a band between the two intervals, however far one widens while the other narrows', () => {
    const control = new CoverageControl();
    const given = (): Float64Array => Float64Array.of(-1, -0.8, 0, 0.8, 1);
    for (let i = 0; i < 200; i++) control.learn(['g'], Float64Array.of(-9, -0.1, 0, 0.1, 9), 0.5); // in 90, never in 80
    const quantiles = given();
    control.widen(['g'], quantiles);
    expect(quantiles[3]).toBeGreaterThan(0.8);
    expect(quantiles[4]! - quantiles[3]!).toBeGreaterThan(0.01);
    expect(quantiles[1]! - quantiles[0]!).toBeGreaterThan(0.01);
  });
});
