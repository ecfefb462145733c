import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { checkMoveRecord } from '../../src/collector/record-check.js';
import { moveRecordFields, parseMoveRecord } from '../../src/domain/move-record.js';

const good = {
  id: 'm1',
  instance: 'vm1',
  source_node: 'a',
  target_node: 'b',
  operation: 'live_migration',
  started_at: '2026-11-22T10:56:05.208Z',
  duration_seconds: 12.5,
};

const oddNumber = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(
    0,
    -0,
    -1,
    0.5,
    1e6,
    1e9,
    1e9 + 1,
    2 ** 40,
    2 ** 40 + 1,
    8_640_000,
    8_640_001,
    8.64e9,
    8.64e9 + 1,
  ),
);
const oddText = fc.oneof(
  fc.string({ maxLength: 5 }),
  fc.constantFrom(
    '',
    'a\nb',
    'x'.repeat(255),
    'x'.repeat(256),
    'x'.repeat(512),
    'x'.repeat(513),
    '\u2028',
    'é',
    '😀',
  ),
  fc.constantFrom('failover', 'disk_replication', 'completed', 'failed', 'cancelled', 'live_migration'),
);
const two = (largest: number) => fc.nat(largest).map((number) => String(number).padStart(2, '0'));
const oddTime = fc
  .tuple(
    fc.constantFrom('1999', '2000', '2024', '2025', '2199', '2200'),
    two(13),
    two(32),
    two(24),
    two(60),
    two(60),
  )
  .map(([year, month, day, hour, minute, second]) => `${year}-${month}-${day}T${hour}:${minute}:${second}`)
  .chain((text) => fc.constantFrom('.123Z', 'Z', '.5Z', '+02:00', '', '.000z').map((zone) => text + zone));
const oddValue = fc.oneof(
  oddNumber,
  oddText,
  oddTime,
  fc.boolean(),
  fc.constant(null),
  fc.constant(undefined),
  fc.array(fc.oneof(oddText, oddNumber), { maxLength: 3 }),
  fc.constant(Array.from({ length: 65 }, () => 'multifd')),
  fc.dictionary(
    fc.oneof(fc.string({ maxLength: 3 }), fc.constant('__proto__')),
    fc.oneof(oddNumber, oddText, fc.constant(null)),
  ),
);
const someField = fc.constantFrom(...moveRecordFields, 'unknown', '__proto__', 'toString');

describe('checkMoveRecord', () => {
  it('gives what the schema gives, to the last byte, for a record with any field replaced by anything', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(someField, oddValue), { maxLength: 4 }), (changes) => {
        const raw = (): Record<string, unknown> =>
          Object.fromEntries([...Object.entries(good), ...structuredClone(changes)]) as Record<
            string,
            unknown
          >;
        const expected = parseMoveRecord(raw());
        const found = checkMoveRecord(raw());
        expect(found).toEqual(expected);
        expect(JSON.stringify(found)).toBe(JSON.stringify(expected));
      }),
      { numRuns: 5000 },
    );
  });

  it('gives what the schema gives for every day of the calendar', () => {
    fc.assert(
      fc.property(oddTime, (time) => {
        expect(checkMoveRecord({ ...good, started_at: time })).toEqual(
          parseMoveRecord({ ...good, started_at: time }),
        );
      }),
      { numRuns: 2000 },
    );
  });

  it('gives what the schema gives for anything at all', () => {
    fc.assert(
      fc.property(fc.anything(), (raw) => {
        expect(checkMoveRecord(raw)).toEqual(parseMoveRecord(raw));
      }),
    );
  });

  it.each(['data/osic/records.jsonl', 'data/qemu-lab/records.jsonl'].filter((path) => existsSync(path)))(
    'gives what the schema gives for %s',
    (path) => {
      for (const line of readFileSync(path, 'utf8').trimEnd().split('\n')) {
        expect(JSON.stringify(checkMoveRecord(JSON.parse(line)))).toBe(
          JSON.stringify(parseMoveRecord(JSON.parse(line))),
        );
      }
    },
  );
});
