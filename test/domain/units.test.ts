import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fromIsoTime, mbpsToMibPerSecond, mibPerSecondToMbps, toIsoTime } from '../../src/domain/units.js';

describe('units', () => {
  it('1 MiB/s is 8.388608 Mbit/s', () => {
    expect(mibPerSecondToMbps(1)).toBeCloseTo(8.388608, 12);
    expect(mbpsToMibPerSecond(8.388608)).toBeCloseTo(1, 12);
  });

  it('a time goes out and comes back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), (ms) => {
        expect(fromIsoTime(toIsoTime(ms))).toBe(ms);
      }),
    );
  });

  it('reads zones, fractions and a blank in place of the T', () => {
    expect(fromIsoTime('2026-11-22 11:00:00.5+01:00')).toBe(Date.parse('2026-11-22T10:00:00.500Z'));
    expect(fromIsoTime('2024-02-29T23:59:59Z')).toBe(Date.parse('2024-02-29T23:59:59.000Z'));
  });

  it.each([
    '',
    'now',
    '2026-11-22',
    '2026-13-01T00:00:00Z',
    '2025-02-29T00:00:00Z',
    '2026-11-22T24:00:00Z',
    '2026-11-22T10:00:00',
  ])('refuses %j', (text) => {
    expect(fromIsoTime(text)).toBeNaN();
  });
});
