import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '../../training/seeded-random.js';
import { ShiftDetector } from '../../src/predictor/shift-detector.js';

const random = seededRandom(5);
/** Repeatable, nearly normal, deviation 1: a sum of twelve even numbers. */
const errors = Array.from({ length: 1200 }, () => {
  let sum = -6;
  for (let k = 0; k < 12; k++) sum += random();
  return sum;
});
const error = (i: number): number => errors[i]!;

describe('shift detector', () => {
  it('gives no alarm in a thousand moves around zero', () => {
    const detector = new ShiftDetector();
    for (let i = 0; i < 1000; i++) detector.learn('g', error(i));
    expect(detector.alarms).toBe(0);
  });

  it('notices a shift of two deviations within 30 moves, either way', () => {
    for (const shift of [2, -2]) {
      const detector = new ShiftDetector();
      for (let i = 0; i < 200; i++) detector.learn('g', error(i));
      const before = detector.alarms;
      let noticed = 0;
      for (let i = 1; i <= 30 && noticed === 0; i++) if (detector.learn('g', error(i) + shift)) noticed = i;
      expect(noticed).toBeGreaterThan(0);
      expect(detector.alarms).toBe(before + 1);
    }
  });

  it('is not alarmed by one absurd move', () => {
    const detector = new ShiftDetector();
    for (let i = 0; i < 100; i++) detector.learn('g', 0);
    expect(detector.learn('g', 1e9)).toBe(false);
  });

  it('keeps quiet about a group that it does not know yet', () => {
    const detector = new ShiftDetector();
    for (let i = 0; i < 30; i++) expect(detector.learn('g', 3)).toBe(false);
  });
});
