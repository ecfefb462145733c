import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { MoveRecord } from '../../src/domain/move-record.js';
import { KnownInputs } from '../../src/predictor/known-inputs.js';
import { inputsOfRecord, type MoveInputs } from '../../src/predictor/move-inputs.js';

const minute = (k: number): string => new Date(Date.UTC(2026, 0, 1) + k * 60_000).toISOString();
const move = (k: number, more: Partial<MoveRecord> = {}): MoveRecord => ({
  id: `m${k}`,
  cluster: 'c',
  instance: 'vm',
  source_node: 'a',
  target_node: 'b',
  operation: 'live_migration',
  started_at: minute(k),
  duration_seconds: 10,
  ...more,
});
const learn = (known: KnownInputs, record: MoveRecord): void =>
  known.learn(inputsOfRecord(record), Date.parse(record.started_at) + 1000 * record.duration_seconds);
const filled = (known: KnownInputs): MoveInputs => {
  const inputs = inputsOfRecord(move(1000));
  known.fill(inputs);
  return inputs;
};
const dirtyAfter = (rates: readonly number[]): number => {
  const known = new KnownInputs();
  rates.forEach((dirty_rate_mib_s, k) => learn(known, move(k, { dirty_rate_mib_s })));
  return filled(known).dirtyMibS;
};

describe('inputs known from history', () => {
  it('do not follow one measurement that is far off, but a second of its like', () => {
    expect(dirtyAfter([3, 2, 94])).toBe(3);
    expect(dirtyAfter([3, 2, 94, 90])).toBe(90);
    expect(dirtyAfter([4, 100])).toBe(20);
    expect(dirtyAfter([7])).toBe(7);
  });

  it('take the median of the last measurements in order of when they were taken, samples and moves alike, in whatever order they come', () => {
    const measurement = fc.record({
      at: fc.integer({ min: 0, max: 500 }),
      rate: fc.nat(100),
      isSample: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(measurement, { selector: ({ at }) => at, minLength: 3, maxLength: 12 }),
        (measurements) => {
          const known = new KnownInputs();
          for (const { at, rate, isSample } of measurements) {
            if (isSample)
              known.learnSample('c', {
                at: minute(at),
                cluster: 'c',
                instance: 'vm',
                dirty_rate_mib_s: rate,
              });
            else learn(known, move(at, { dirty_rate_mib_s: rate }));
          }
          const lastThree = measurements
            .toSorted((a, b) => a.at - b.at)
            .slice(-3)
            .map(({ rate }) => rate)
            .sort((a, b) => a - b);
          expect(filled(known).dirtyMibS).toBe(lastThree[1]);
        },
      ),
    );
  });

  it('are not changed by samples that are shown again, nor by older ones that come late', () => {
    const known = new KnownInputs();
    const samples = [10, 20, 30, 40].map((rate, k) => ({
      at: minute(100 + k),
      cluster: 'c',
      instance: 'vm',
      dirty_rate_mib_s: rate,
      used_memory_mib: 100 * rate,
    }));
    for (const sample of samples) known.learnSample('c', sample);
    const before = JSON.stringify(known.save());
    for (const sample of samples) known.learnSample('c', sample);
    known.learnSample('c', { ...samples[0]!, at: minute(3), dirty_rate_mib_s: 1 });
    expect(JSON.stringify(known.save())).toBe(before);
    expect(filled(known)).toMatchObject({ dirtyMibS: 30, usedMemoryMib: 3000 });
  });

  it('count what is configured as it was last seen, and a link as its last three', () => {
    const known = new KnownInputs();
    for (const [k, memory_mib, link_mbps] of [
      [0, 1024, 1000],
      [1, 1024, 10],
      [2, 2048, 1000],
    ] as const)
      learn(known, move(k, { memory_mib, link_mbps }));
    expect(filled(known)).toMatchObject({ memoryMib: 2048, linkMbps: 1000 });
  });

  it('say how far off a link that was filled in has been, of the pair, of its like in the cluster, of nothing else', () => {
    const known = new KnownInputs();
    const deviation = (fields: Partial<MoveRecord> = {}): number =>
      known.linkDeviation(inputsOfRecord(move(1000, fields)));
    expect(deviation()).toBe(0);
    for (let k = 0; k < 20; k++) learn(known, move(k, { link_mbps: 1000 }));
    expect(deviation()).toBe(0);
    for (let k = 20; k < 60; k++) learn(known, move(k, { link_mbps: k % 2 === 0 ? 1000 : 4000 }));
    // Off by ln 4 whenever the other comes: half of the time.
    expect(deviation()).toBeCloseTo(Math.log(4) * Math.SQRT1_2, 0);
    expect(deviation({ target_node: 'never' })).toBeGreaterThan(0.5);
    expect(deviation({ source_node: 'never' })).toBeGreaterThan(0.5);
    expect(deviation({ cluster: 'other' })).toBe(0);
    learn(known, move(60, { cluster: 'other', link_mbps: 100 }));
    expect(deviation({ cluster: 'other' })).toBe(0);
  });

  it('answer the same whatever was asked before: what is remembered of the last question is forgotten with each news', () => {
    const name = fc.constantFrom('vm', 'db');
    const node = fc.constantFrom('a', 'b', 'c');
    const value = fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined });
    const event = fc.record({
      isQuestion: fc.boolean(),
      instance: name,
      source_node: node,
      target_node: node,
      operation: fc.constantFrom('live_migration' as const, 'disk_replication' as const),
      memory_mib: value,
      disk_mib: value,
      link_mbps: value,
      dirty_rate_mib_s: value,
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        const known = new KnownInputs();
        events.forEach(({ isQuestion, ...fields }, k) => {
          if (!isQuestion) return learn(known, move(k, fields));
          const fresh = new KnownInputs();
          fresh.restore(known.save());
          const [asked, twin] = [inputsOfRecord(move(k, fields)), inputsOfRecord(move(k, fields))];
          expect(known.fill(asked)).toEqual(fresh.fill(twin));
          expect(asked).toEqual(twin);
        });
      }),
    );
  });

  it('go on from what was saved, and from what a program saved that knew the last value alone', () => {
    const known = new KnownInputs();
    for (const [k, rate] of [3, 2, 94].entries())
      learn(known, move(k, { dirty_rate_mib_s: rate, link_mbps: 10 * rate }));
    const restored = new KnownInputs();
    restored.restore(JSON.parse(JSON.stringify(known.save())) as ReturnType<KnownInputs['save']>);
    for (const one of [known, restored]) learn(one, move(5, { dirty_rate_mib_s: 90 }));
    expect(restored.save()).toEqual(known.save());
    const older = new KnownInputs();
    older.restore({ ...known.save(), measured: [] });
    expect(filled(older).dirtyMibS).toBe(90);
  });
});
