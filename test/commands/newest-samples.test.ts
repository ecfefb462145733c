import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NewestSamples } from '../../src/commands/newest-samples.js';

const sampleAt = (minute: number) => ({
  at: new Date(Date.UTC(2026, 0, 1) + minute * 60_000).toISOString(),
  link: `n${minute % 3}`,
});

describe('the newest samples', () => {
  it('are kept in order of time, in whatever order they come, and the others are counted', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 0, max: 10_000 }), { maxLength: 60 }),
        fc.integer({ min: 1, max: 20 }),
        (minutes, most) => {
          const newest = new NewestSamples<ReturnType<typeof sampleAt>>(most);
          for (const minute of minutes) newest.add(sampleAt(minute));
          expect(newest.values()).toEqual(
            minutes
              .toSorted((a, b) => a - b)
              .slice(-most)
              .map(sampleAt),
          );
          expect(newest.leftOut).toBe(Math.max(0, minutes.length - most));
        },
      ),
    );
  });

  it('are those of the range that is looked at', () => {
    const [from, to] = [sampleAt(2), sampleAt(5)];
    const newest = new NewestSamples<ReturnType<typeof sampleAt>>(2, {
      fromMs: Date.parse(from.at),
      toMs: Date.parse(to.at),
    });
    for (const minute of [1, 2, 3, 4, 5, 6]) newest.add(sampleAt(minute));
    expect(newest.values()).toEqual([sampleAt(3), sampleAt(4)]);
    expect(newest.leftOut).toBe(1);
  });

  it('are all, where nothing bounds them', () => {
    const all = new NewestSamples<ReturnType<typeof sampleAt>>(Infinity);
    for (const minute of [5, 1, 3]) all.add(sampleAt(minute));
    expect(all.values()).toEqual([1, 3, 5].map(sampleAt));
    expect(all.leftOut).toBe(0);
  });
});
