import { describe, expect, it } from '@jest/globals';
import { MovesBeside } from '../../src/predictor/moves-beside.js';

/** Pairs of moves of 10 s, the second 2 s after the first. */
function pairs(count: number): MovesBeside {
  const beside = new MovesBeside();
  for (let i = 0; i < count; i++) {
    beside.learn('pairs', 60_000 * i, 60_000 * i + 10_000, 0);
    beside.learn('pairs', 60_000 * i + 2_000, 60_000 * i + 12_000, 1);
  }
  return beside;
}

describe('moves beside', () => {
  it('expects those that run already, and none else, where nothing was seen', () => {
    const beside = new MovesBeside();
    expect(beside.expected('a', 0)).toBe(0);
    expect(beside.expected('a', 3)).toBe(3);
  });

  it('learns that a move which starts alone is soon joined', () => {
    // The second overlaps the last 8 of the 10 s of the first.
    expect(pairs(60).expected('pairs', 0)).toBeCloseTo(0.8, 1);
  });

  it('never falls with the number that runs', () => {
    const beside = pairs(60);
    for (let running = 0; running < 6; running++)
      expect(beside.expected('pairs', running + 1)).toBeGreaterThanOrEqual(beside.expected('pairs', running));
  });

  it('expects of a cluster never seen what others show, and unlearns it where moves stay alone', () => {
    const beside = pairs(60);
    expect(beside.expected('new', 0)).toBeGreaterThan(0.5);
    for (let i = 0; i < 100; i++) beside.learn('new', 60_000 * i, 60_000 * i + 10_000, 0);
    expect(beside.expected('new', 0)).toBeLessThan(0.1);
    expect(beside.expected('pairs', 0)).toBeGreaterThan(0.5);
  });

  it('goes on after being saved and restored as if it had not been', () => {
    const first = pairs(7);
    const second = new MovesBeside();
    second.restore(JSON.parse(JSON.stringify(first.save())));
    for (const beside of [first, second]) beside.learn('pairs', 420_000, 430_000, 0);
    expect(second.save()).toEqual(first.save());
    expect(second.expected('pairs', 0)).toBe(first.expected('pairs', 0));
  });
});
