import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { newPrecopyResult, precopy, type PrecopyInputs } from '../../src/predictor/precopy.js';

const quiet: PrecopyInputs = Object.freeze({
  volumeMib: 4096,
  bandwidthMibS: 100,
  dirtyMibS: 0,
  workingSetMib: 1000,
  downtimeLimitSeconds: 0.3,
  autoConverge: false,
  postcopy: false,
});
const run = (changes: Partial<PrecopyInputs>) => precopy({ ...quiet, ...changes }, newPrecopyResult());

describe('pre-copy rounds', () => {
  it('copies an idle guest once, at the speed of the link', () => {
    const result = run({});
    expect(result.seconds).toBeCloseTo(40.96, 10);
    expect(result.transferredMib).toBe(4096);
    expect(result.converged).toBe(true);
  });

  it('equals the closed series where dirtying does not saturate', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 0.9, noNaN: true }), (q) => {
        const result = run({ dirtyMibS: q * 100, workingSetMib: 1e12 });
        const n = result.rounds - 1; // the last round is the one while the guest stands still
        const closed = ((4096 / 100) * (1 - q ** (n + 1))) / (1 - q);
        expect(result.seconds / closed).toBeCloseTo(1, 6);
      }),
    );
  });

  it('takes longer with more memory and with a slower link', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1, max: 1e6, noNaN: true }),
        fc.double({ min: 1, max: 1e4, noNaN: true }),
        fc.double({ min: 0, max: 500, noNaN: true }),
        fc.boolean(),
        (volumeMib, bandwidthMibS, dirtyMibS, postcopy) => {
          const inputs = { volumeMib, bandwidthMibS, dirtyMibS, workingSetMib: volumeMib * 0.4, postcopy };
          const seconds = run(inputs).seconds;
          expect(
            run({ ...inputs, volumeMib: volumeMib * 2, workingSetMib: volumeMib * 0.8 }).seconds,
          ).toBeGreaterThan(seconds);
          expect(run({ ...inputs, bandwidthMibS: bandwidthMibS / 2 }).seconds).toBeGreaterThan(seconds);
        },
      ),
    );
  });

  it('does not end by itself when the guest dirties faster than the link carries', () => {
    expect(run({ dirtyMibS: 500, workingSetMib: 4096 }).converged).toBe(false);
  });

  /** What each round sends, told from where the move ends when the downtime limit just lets it stop before that round. */
  const expectRounds = (changes: Partial<PrecopyInputs>, volumesMib: readonly number[]): void => {
    const { bandwidthMibS } = { ...quiet, ...changes };
    for (const [i, lastMib] of volumesMib.entries()) {
      if (i === 0 || lastMib >= volumesMib[i - 1]!) continue;
      const result = run({ ...changes, downtimeLimitSeconds: (lastMib + 0.01) / bandwidthMibS });
      const sentMib = volumesMib.slice(0, i + 1).reduce((sum, mib) => sum + mib, 0);
      expect(result.rounds).toBe(i + 1);
      expect(result.transferredMib).toBeCloseTo(sentMib, 6);
      expect(result.seconds).toBeCloseTo(sentMib / bandwidthMibS, 6);
      expect(result.downtimeSeconds).toBeCloseTo(lastMib / bandwidthMibS, 6);
    }
  };

  it('lets dirtying within a round saturate at the working set: W·(1 − e^(−R·t/W))', () => {
    // R·t/W is 2 ln 2 in the first round of 10 s, ln 2 in the second of 5 s, ⅔ ln 2 in the third of 3⅓ s.
    expectRounds({ volumeMib: 3000, bandwidthMibS: 300, workingSetMib: 2000, dirtyMibS: 400 * Math.LN2 }, [
      3000,
      2000 * (1 - 1 / 4),
      2000 * (1 - 1 / 2),
      2000 * (1 - 2 ** (-2 / 3)),
    ]);
  });

  it('throttles by auto-converge at first by 20 %, then by 10 points more, whenever two rounds did not help', () => {
    // The guest dirties as fast as the stream carries: a round leaves the share 1 − s of what it sent.
    expectRounds(
      { volumeMib: 1000, dirtyMibS: 100, workingSetMib: 1e15, autoConverge: true },
      [1000, 1000, 1000, 800, 640, 448, 313.6, 188.16, 112.896],
    );
  });

  it('ends when auto-converge throttles such a guest, or post-copy switches over', () => {
    const busy = { dirtyMibS: 150, workingSetMib: 4096 };
    expect(run({ ...busy, autoConverge: true }).converged).toBe(true);
    const switched = run({ ...busy, postcopy: true });
    expect(switched.converged).toBe(true);
    expect(switched.rounds).toBe(2);
  });
});
