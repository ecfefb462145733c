import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { recordsSource } from '../../../src/collector/sources/records.js';
import { linkSamplesSource } from '../../../src/collector/sources/samples.js';
import type { Finding } from '../../../src/collector/sources/source.js';

const CONTEXT = { fileName: 'a.csv', nowMs: 0 };

/** What comes out of lines, with the parser saved and restored before the given lines. */
function findings(lines: readonly string[], restartedBefore: ReadonlySet<number> = new Set()): Finding[] {
  const found: Finding[] = [];
  let parser = recordsSource.parser(CONTEXT);
  lines.forEach((line, index) => {
    if (restartedBefore.has(index))
      parser = recordsSource.parser(CONTEXT, JSON.parse(JSON.stringify(parser.state())));
    found.push(...parser.line(line, index + 1));
  });
  found.push(...parser.end());
  return found;
}

const HEADER = 'id,instance,source_node,target_node,operation,started_at,duration_seconds';
const row = (id: string): string => `${id},vm,a,b,failover,2026-11-22T10:00:00Z,1`;
const odd = fc.string({
  unit: fc.constantFrom('"', ',', ';', '\t', '\r', 'a', '1', '{', '}', ' ', '\\', 'é'),
  maxLength: 12,
});

describe('a table', () => {
  it('never throws, whatever its lines are, and gives the same after a restart at any line', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(HEADER, HEADER.replaceAll(',', ';'), '{"id": "m0"}'),
        fc.array(fc.oneof(odd, fc.constant(row('m1')), fc.constant('{"id": "m1"}'))),
        fc.array(fc.nat(20)),
        (first, lines, restarts) => {
          const all = [first, ...lines];
          expect(findings(all, new Set(restarts))).toEqual(findings(all));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('finds every good row of JSONL, whatever stands between', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(odd, fc.constant('good'))), (kinds) => {
        const lines = [
          '{"id": "first"}',
          ...kinds.map((kind, index) => (kind === 'good' ? `{"id": "m${index}"}` : kind)),
        ];
        const ids = findings(lines).flatMap((found) => (found.kind === 'move' ? [found.value['id']] : []));
        const wanted = kinds.flatMap((kind, index) => (kind === 'good' ? [`m${index}`] : []));
        expect(ids.filter((id) => id !== undefined)).toEqual(['first', ...wanted]);
      }),
    );
  });

  it('gives up a stray quote after a hundred lines, and then reads them', () => {
    const lines = [HEADER, '"stray', ...Array.from({ length: 150 }, (_, index) => row(`m${index}`))];
    const found = findings(lines);
    expect(found.filter(({ kind }) => kind === 'move')).toHaveLength(150);
    expect(found.filter(({ kind }) => kind === 'reject')).toEqual([
      { kind: 'reject', line: 2, reason: 'has a stray quote', text: '"stray' },
    ]);
  });

  it('takes as numbers what tables write as numbers, and nothing else', () => {
    const values = ['1', '-1.5', '+2e3', ' 7 ', '.5', '0x10', 'NaN', 'Infinity', '1,5', '1_000', '12 s'];
    const lines = [
      HEADER.replaceAll(',', ';'),
      ...values.map((value) =>
        row('m').replace(/,1$/, `,${value}`).replaceAll(',', ';').replace('1;5', '1,5'),
      ),
    ];
    const durations = findings(lines).map(
      (found) => found.kind === 'move' && found.value['duration_seconds'],
    );
    expect(durations).toEqual([1, -1.5, 2000, 7, 0.5, '0x10', 'NaN', 'Infinity', '1,5', '1_000', '12 s']);
  });

  it.each([
    ['at,link', 'throughput_mbps'],
    ['link,throughput_mbps', 'at'],
    ['at,source_node,throughput_mbps', 'link (or source_node and target_node)'],
  ])('of link samples with the header %s lacks %s', (header, missing) => {
    expect([...linkSamplesSource.parser(CONTEXT).line(header, 1)]).toEqual([
      {
        kind: 'unreadable',
        line: 1,
        reason: `the CSV header lacks the column ${missing}, which a link sample must have; add it`,
      },
    ]);
  });

  it('with a column twice is refused', () => {
    expect(findings([`${HEADER},instance`])).toEqual([
      { kind: 'unreadable', line: 1, reason: 'the CSV header has the column "instance" twice; rename one' },
    ]);
  });
});
