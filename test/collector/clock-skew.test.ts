import { describe, expect, it } from '@jest/globals';
import { ClockSkews, skewSentence } from '../../src/collector/clock-skew.js';
import type { MoveRecord } from '../../src/domain/move-record.js';

const START_MS = Date.UTC(2026, 10, 22);
const told = (number: number, offsetSeconds: number, origin: string): MoveRecord => ({
  id: `${origin}-${number}`,
  origin,
  instance: `vm${number}`,
  source_node: 'a',
  target_node: 'b',
  operation: 'live_migration',
  started_at: new Date(START_MS + (number * 3600 + offsetSeconds) * 1000).toISOString(),
  duration_seconds: 60,
});

describe('ClockSkews', () => {
  it('finds by how much two logs differ that tell the same moves', () => {
    const skews = new ClockSkews();
    for (const number of [1, 2, 3]) {
      skews.note(told(number, 0, 'ganeti'), 'jobs', undefined);
      skews.note(told(number, 37, 'qemu'), 'qemu.log', undefined);
    }
    expect(skews.found()).toEqual([{ log: 'jobs', against: 'qemu.log', aheadMs: -37_000, moves: 3 }]);
    expect(skewSentence(skews.found()[0]!)).toBe(
      'the clock of jobs is 37 s behind that of qemu.log (3 moves told by both); check the clocks, or the time zone (--time-zone)',
    );
  });

  it('is silent about differences of a few seconds', () => {
    const skews = new ClockSkews();
    for (const number of [1, 2, 3]) {
      skews.note(told(number, 0, 'ganeti'), 'jobs', undefined);
      skews.note(told(number, 4, 'qemu'), 'qemu.log', undefined);
    }
    expect(skews.found()).toEqual([]);
  });

  it('takes one look-alike in two files of one kind for two moves', () => {
    const skews = new ClockSkews();
    skews.note(told(1, 0, 'qemu'), 'a.log', undefined);
    skews.note(told(1, 37, 'qemu'), 'b.log', undefined);
    expect(skews.found()).toEqual([]);
  });

  it('is silent where differences do not agree: those are different moves', () => {
    const skews = new ClockSkews();
    for (const [number, offset] of [
      [1, 20],
      [2, 300],
      [3, -200],
    ] as const) {
      skews.note(told(number, 0, 'ganeti'), 'jobs', undefined);
      skews.note(told(number, offset, 'qemu'), 'qemu.log', undefined);
    }
    expect(skews.found()).toEqual([]);
  });

  it('finds a log that tells of times after it was written', () => {
    const skews = new ClockSkews();
    skews.note(told(1, 0, 'nova'), 'nova.log', START_MS + 3600_000);
    expect(skews.found()).toEqual([{ log: 'nova.log', against: undefined, aheadMs: 60_000, moves: 1 }]);
    expect(skewSentence(skews.found()[0]!)).toMatch(
      /^the clock of nova.log is at least 60 s ahead of its file's time/,
    );
  });
});
