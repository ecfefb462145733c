import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { finishedMove, impossible, nameOfFile } from '../../../src/collector/sources/finished-move.js';
import { plainLine } from '../../../src/collector/sources/log-prefix.js';
import { LogClock } from '../../../src/collector/sources/log-times.js';
import { ObjectScanner, parseLooseJson } from '../../../src/collector/sources/loose-json.js';
import {
  bytesOfUnit,
  parseAmount,
  parseBytes,
  parseClockSpan,
  parseMilliseconds,
  parseSpan,
} from '../../../src/collector/sources/sizes.js';

const nowMs = Date.parse('2026-03-10T12:00:00Z');
const iso = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString();

describe('sizes', () => {
  it.each([
    ['4.0 GiB', 4 * 2 ** 30],
    ['376292 kbytes', 376292 * 1024],
    ['0 B', 0],
    ['512.0 MB', 512 * 2 ** 20],
    ['1,024 K', 2 ** 20],
    ['17', 17],
  ])('%s is read in powers of 1024', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  it('takes a comma for a decimal point only where programs print one', () => {
    expect(parseAmount('137,984', 'thousands')).toBe(137984);
    expect(parseAmount('612,500', 'decimal')).toBe(612.5);
  });

  it.each(['', 'x', '1 parsec', '-1 MiB', '1e9', '1.2.3', '٣'])('%p is no amount', (text) => {
    expect(parseBytes(text)).toBeNaN();
  });

  it('knows no unit called constructor', () => {
    expect(bytesOfUnit('constructor')).toBeNaN();
    expect(parseMilliseconds('5 constructor')).toBeNaN();
  });

  it.each([
    ['11619 milliseconds', 11619],
    ['44 ms', 44],
    ['3 s', 3000],
    ['250 us', 0.25],
    ['7', 7],
  ])('%s is a span', (text, ms) => {
    expect(parseMilliseconds(text)).toBe(ms);
  });

  it('reads spans of words and of clocks, over a day too', () => {
    expect(parseSpan('1m 5s')).toBe(65);
    expect(parseSpan('2h 3m 4s')).toBe(7384);
    expect(parseSpan('')).toBeNaN();
    expect(parseClockSpan('304:53:21')).toBe(1097601);
    expect(parseClockSpan('00:61:00')).toBeNaN();
  });
});

describe('log times', () => {
  const read = (line: string, context: object = {}): string | undefined =>
    iso(new LogClock({ nowMs, ...context }).read(line)?.ms);

  it.each([
    ['2025-01-04 00:34:24 x', '2025-01-04T00:34:24.000Z'],
    ['2025-01-04T00:34:24.123456+01:00 x', '2025-01-03T23:34:24.123Z'],
    ['2025-01-04T00:34:24,250Z x', '2025-01-04T00:34:24.250Z'],
    ['2025-01-04 00:34:24.250+0000: 4711: info : x', '2025-01-04T00:34:24.250Z'],
    ['Mon Sep  9 19:50:24 2013 x', '2013-09-09T19:50:24.000Z'],
    ['[Mon Sep  9 19:50:24 2013] x', '2013-09-09T19:50:24.000Z'],
    ['Tue Mar 10 09:00:00 UTC 2026', '2026-03-10T09:00:00.000Z'],
    ['Mar 10 09:00:00 x', '2026-03-10T09:00:00.000Z'],
    ['Dec 31 23:59:59 x', '2025-12-31T23:59:59.000Z'],
    ['Feb 29 01:00:00 x', '2024-02-29T01:00:00.000Z'],
  ])('%s', (line, expected) => {
    expect(read(line)).toBe(expected);
  });

  it.each([
    '2025-02-30 00:00:00',
    '2025-01-04 24:00:00',
    'Foo 10 09:00:00',
    '10:00:00 x',
    '',
    'May 99 10:00:00',
  ])('%p is no time', (line) => {
    expect(read(line)).toBeUndefined();
  });

  it('reads times without a zone in the zone that the user said', () => {
    expect(read('2025-07-01 12:00:00', { timeZoneOffsetMinutes: 120 })).toBe('2025-07-01T10:00:00.000Z');
    expect(read('2025-07-01 12:00:00', { timeZone: 'Europe/Berlin' })).toBe('2025-07-01T10:00:00.000Z');
    expect(read('2025-01-01 12:00:00', { timeZone: 'Europe/Berlin' })).toBe('2025-01-01T11:00:00.000Z');
  });

  it('goes on without a step back when summer time ends', () => {
    const clock = new LogClock({ nowMs, timeZone: 'Europe/Berlin' });
    const times = [
      '2025-10-26 02:30:00',
      '2025-10-26 02:59:50',
      '2025-10-26 02:00:05',
      '2025-10-26 03:00:00',
    ];
    const moments = times.map((line) => clock.read(line)!.ms);
    expect(moments.map((ms, i) => (i === 0 ? 0 : (ms - moments[i - 1]!) / 1000))).toEqual([
      0, 1790, 15, 3595,
    ]);
  });

  it('is not thrown an hour ahead by lines a little out of order on that night', () => {
    const clock = new LogClock({ nowMs, timeZone: 'Europe/Berlin' });
    const times = ['2025-10-26 02:30:05.700', '2025-10-26 02:30:05', '2025-10-26 02:29:50.100'];
    expect(times.map((line) => iso(clock.read(line)?.ms))).toEqual([
      '2025-10-26T00:30:05.700Z',
      '2025-10-26T00:30:05.000Z',
      '2025-10-26T00:29:50.100Z',
    ]);
  });

  it('never runs off: any line gives a finite time or none', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (line) => {
        const found = new LogClock({ nowMs, timeZone: 'America/New_York' }).read(line);
        expect(found === undefined || Number.isFinite(found.ms)).toBe(true);
      }),
    );
  });
});

describe('prefixes', () => {
  const plain = (line: string, context: object = {}): ReturnType<typeof plainLine> =>
    plainLine(line, new LogClock({ nowMs, ...context }));

  it('takes colours, host and program off, and keeps the finer time', () => {
    const line = 'Mar  9 18:10:59 cmp1 nova_compute[9]: 2026-03-09 18:10:59.946 2 INFO x#033[00m';
    expect(plain(line)).toEqual({
      atMs: Date.parse('2026-03-09T18:10:59.946Z'),
      host: 'cmp1',
      text: '2 INFO x',
    });
  });

  it('reads an inner time as UTC when only that agrees with the outer one', () => {
    const line = 'Mar  9 20:10:59 cmp1 nova_compute[9]: 2026-03-09 18:10:59.946 2 INFO x';
    expect(iso(plain(line, { timeZoneOffsetMinutes: 120 }).atMs)).toBe('2026-03-09T18:10:59.946Z');
  });

  it('takes a message with a colon for no host', () => {
    expect(plain('2026-03-09 10:00:00 migration status: completed').text).toBe('migration status: completed');
  });

  it('reads the stamp of a kernel', () => {
    expect(plain('[335782.227461] block drbd1: x')).toEqual({
      uptimeSeconds: 335782.227461,
      text: 'block drbd1: x',
    });
  });
});

describe('loose JSON', () => {
  it.each<[string, unknown]>([
    ['{"a": -nan}', { a: null }],
    ["{'a': True, 'b': None, 'c': u'x', 'd': 12L}", { a: true, b: null, c: 'x', d: 12 }],
    ["{'at': datetime.datetime(2023, 12, 16, 11, 7), 'b': (1, 2,)}", { at: null, b: [1, 2] }],
    ['{"a": [1, 2,], }', { a: [1, 2] }],
    ['{"a": "\\u0041\\n"}', { a: 'A\n' }],
  ])('%s', (text, value) => {
    expect(parseLooseJson(text)).toEqual(value);
  });

  it('agrees with JSON.parse on all JSON', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(parseLooseJson(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseLooseJson(text)));
    expect(parseLooseJson('['.repeat(100_000))).toBeUndefined();
  });

  it('finds each object in lines, whole or amid text, and says which are cut off', () => {
    const scanner = new ObjectScanner();
    const found = ['# note', '[{"a": 1},', ' {"b":', '   2}]', 'x {"c": 3} y', '{"d": ', '{"e": 5}']
      .flatMap((line, index) => scanner.line(line, index + 1))
      .concat(scanner.end());
    expect(found.filter(({ kind }) => kind === 'object').map(({ text }) => parseLooseJson(text))).toEqual([
      { a: 1 },
      { b: 2 },
      { c: 3 },
    ]);
    expect(found.filter(({ kind }) => kind === 'broken')).toHaveLength(1);
  });
});

describe('a finished move', () => {
  it.each([NaN, -1, 0, 1e-9, 101 * 86_400, Infinity, -Infinity])('never lasts %p seconds', (seconds) => {
    expect(impossible(seconds)).toEqual(expect.any(String));
  });

  it('says which names and times are not from the log', () => {
    const finding = finishedMove(
      {
        key: ['k'],
        origin: 'qemu',
        instance: undefined,
        sourceNode: undefined,
        targetNode: 'b',
        operation: 'live_migration',
        startMs: undefined,
        durationSeconds: 60,
        status: 'completed',
        line: 1,
        text: '',
      },
      { fileName: '/logs/vm-3.qmp.gz', nowMs },
    );
    expect(finding).toMatchObject({
      value: {
        instance: 'vm-3',
        source_node: 'unknown-source',
        target_node: 'b',
        started_at: '2026-03-10T11:59:00.000Z',
        labels: { names_assumed: 'instance+source_node', started_at_from: 'file time' },
      },
    });
  });

  it.each([
    ['/a/b/vm-1.log', 'vm-1'],
    ['vm-1.log.3.gz', 'vm-1'],
    ['hmp-2.12.txt', 'hmp-2.12'],
    ['web1.example.org', 'web1.example.org'],
    ['-', 'unknown-instance'],
  ])('of the file %s is of %s', (path, name) => {
    expect(nameOfFile(path)).toBe(name);
  });
});
