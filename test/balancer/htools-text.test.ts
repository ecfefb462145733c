import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readFloat, readInteger, showFixed, showFloat } from '../../src/balancer/haskell-numbers.js';
import { formatHtoolsText, parseHtoolsText } from '../../src/balancer/htools-text.js';
import { UserError } from '../../src/domain/errors.js';
import { generateCluster } from './cluster-generator.js';

const parse = (text: string, duplicates: 'refuse' | 'later-wins' = 'refuse') =>
  parseHtoolsText(text, { file: 'c.data', duplicates });

const SMALL = `g1|u1|preferred||

n1|1000|0|600|10000|9000|4|N|u1|1
n2|1000|0|1000|10000|10000|4|N|u1|1

i1|200|500|1|running|Y|n1|n2|drbd||1

`;

describe('htools text', () => {
  it('reads what it wrote, and writes the same again', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), (seed) => {
        const { cluster } = parse(
          generateCluster({ seed, nodes: 5, instancesPerNode: 4, oddity: 1, groups: 1 + (seed % 2) }),
        );
        const written = formatHtoolsText(cluster);
        const again = parse(written).cluster;
        expect(again).toEqual(cluster);
        expect(formatHtoolsText(again)).toBe(written);
      }),
      { numRuns: 50 },
    );
  });

  it('fills short rows with the defaults of the format', () => {
    const { nodes, instances, groupPolicies } = parse(SMALL).cluster;
    expect(nodes[0]).toMatchObject({ nodeCpu: 1, cpuSpeed: 1, spindles: 1, exclusiveStorage: false });
    expect(instances[0]).toMatchObject({ spindleUse: 1, diskSpindles: undefined, forthcoming: false });
    expect(groupPolicies[0]).toMatchObject({ vcpuRatio: 4, spindleRatio: 32 });
  });

  it('takes a node with a question mark as offline and without resources', () => {
    const { nodes } = parse(SMALL.replace('n2|1000|0|1000', 'n2|?|0|1000')).cluster;
    expect(nodes[1]).toMatchObject({ offline: true, totalMemory: 0, spindles: 0, nodeCpu: 0 });
  });

  it('says which columns it does not know and reads the rest', () => {
    const { remarks, cluster } = parse(SMALL.replace('|drbd||1\n', '|drbd||1|-|N|future|more\n'));
    expect(cluster.instances).toHaveLength(1);
    expect(remarks.join()).toContain('columns that the format does not know');
  });

  it.each([
    ['an instance on a node that does not exist', SMALL.replace('|n2|drbd', '|n9|drbd'), "node 'n9'"],
    ['a row with too few columns', SMALL.replace('n2|1000|0|1000', 'n2'), 'at least 9 columns'],
    ['a word where a number belongs', SMALL.replace('i1|200', 'i1|much'), 'not a whole number'],
    ['a fraction where a whole number belongs', SMALL.replace('i1|200', 'i1|200.5'), 'not a whole number'],
    ['an unknown status', SMALL.replace('running', 'walking'), 'status must be one of'],
    ['an unknown group', SMALL.replace('|N|u1|1\nn2', '|N|u7|1\nn2'), "'u7' of node n1"],
    ['a mirror on one node', SMALL.replace('|n1|n2|', '|n1|n1|'), 'two nodes'],
    ['lines that end in CR LF', SMALL.replaceAll('\n', '\r\n'), 'CR LF'],
    [
      'a name that would write to the terminal',
      SMALL.replace('i1|200', 'i\u001b[2J1|200'),
      /line \d+: character 2 is a control character \(U\+001B\)/,
    ],
    ['a tag with a line separator', `${SMALL}\n\nhtools:\u2028x`, 'U+2028'],
    ['an empty file', '', '0 of the 4 sections'],
    ['a node named twice', SMALL.replace('n2|1000', 'n1|1000'), 'stands twice'],
  ])('refuses %s in one sentence that names the file', (_case, text, words) => {
    const attempt = (): unknown => parse(text);
    expect(attempt).toThrow(UserError);
    expect(attempt).toThrow(words);
    expect(attempt).toThrow('c.data');
  });

  it('takes a name that stands twice as hbal does when asked to, and says so', () => {
    const { cluster, remarks } = parse(
      SMALL.replace('n2|1000', 'n1|1000').replace('|n2|drbd', '||ext'),
      'later-wins',
    );
    expect(cluster.instances[0]!.primary).toBe(1);
    expect(remarks.join()).toContain('stands twice');
  });
});

describe("numbers as Ganeti's tools write them", () => {
  it.each([
    [4, '4.0'],
    [0.05, '5.0e-2'],
    [1e7, '1.0e7'],
    [0.1, '0.1'],
    [-2.5, '-2.5'],
    [NaN, 'NaN'],
  ])('shows %p as %s', (value, text) => {
    expect(showFloat(value)).toBe(text);
  });

  it.each([
    [1.125, 2, '1.12'],
    [1.135, 2, '1.14'],
    [2.5, 0, '2'],
    [3.5, 0, '4'],
    [0.06, 0, '0'],
    [12.3456, 3, '12.346'],
    [-1.005, 2, '-1.00'],
  ])('rounds %p to %i decimals as %s: halves of the shortest form to even', (value, decimals, text) => {
    expect(showFixed(value, decimals)).toBe(text);
  });

  it('reads Haskell literals and nothing else', () => {
    expect([readInteger('0x10'), readInteger(' 12'), readInteger('-3')]).toEqual([16, 12, -3]);
    expect([readInteger('+1'), readInteger('1.0'), readInteger('1 ')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect([readFloat('1e3'), readFloat('12.5'), readFloat('NaN')]).toEqual([1000, 12.5, NaN]);
    expect([readFloat('.5'), readFloat('5.')]).toEqual([undefined, undefined]);
  });
});
