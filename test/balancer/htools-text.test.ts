import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  readFloat,
  readInteger,
  showFixed,
  showFloat,
  showGeneral,
} from '../../src/balancer/haskell-numbers.js';
import type { Cluster, InstanceSpec } from '../../src/balancer/cluster.js';
import { formatHtoolsText, parseHtoolsText } from '../../src/balancer/htools-text.js';
import { UserError } from '../../src/domain/errors.js';
import { generateCluster } from './cluster-generator.js';
import { strangeCluster } from './strange-cluster.js';

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

  it('loses nothing of a cluster on the way out and in again', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 0, max: 3 }),
        (seed, nodes, instancesPerNode) => {
          const cluster = strangeCluster(seed, { nodes, instancesPerNode });
          // Totals are written without decimals.
          for (const node of cluster.nodes)
            for (const total of ['totalMemory', 'totalDisk'] as const) node[total] = Math.round(node[total]);
          expect(parse(formatHtoolsText(cluster)).cluster).toEqual(cluster);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('has every column in its place', () => {
    const text = `g1|u1|preferred|old,north|net-1,net-2
g2|u2|last_resort||

n1|1000.5|10|600|10000.5|9000|4.5|M|u2|3|rack:1,hot|Y|2|5|1.5
n2|1001|11|601|10001|9001|5|Y|u1|4||N|0|6|0.5

i1|200|500|3|ADMIN_down|N|n1|n2|drbd|web,db|7|8|Y
i2|201|501|4|running|Y|n2||plain||1|-|N

htools:iextags:web
other

|1,2,3,4,5,6|7,8,9,10,11,12;13,14,15,16,17,18;19,20,21,22,23,24;25,26,27,28,29,30|drbd,ext|4.0|32.0
g1|1,2,3,4,5,6||plain|5.0|33.0
g2|1,2,3,4,5,6||file|6.0|34.0
`;
    const spec = (memory: number): InstanceSpec => ({
      memory,
      cpus: memory + 1,
      disk: memory + 2,
      disks: memory + 3,
      nics: memory + 4,
      spindleUse: memory + 5,
    });
    const policyOf = (
      ranges: Cluster['policy']['ranges'],
      templates: Cluster['policy']['templates'],
      vcpuRatio: number,
      spindleRatio: number,
    ): Cluster['policy'] => ({ standard: spec(1), ranges, templates, vcpuRatio, spindleRatio });
    const { cluster, remarks } = parse(text);
    expect(remarks).toEqual([]);
    // Totals are written as whole numbers, halves to even.
    expect(formatHtoolsText(cluster)).toBe(
      text.replace('n1|1000.5|', 'n1|1000|').replace('|10000.5|9000|4.5|', '|10000|9000|4|'),
    );
    expect(cluster).toEqual({
      groups: [
        {
          name: 'g1',
          uuid: 'u1',
          allocationPolicy: 'preferred',
          tags: ['old', 'north'],
          networks: ['net-1', 'net-2'],
        },
        { name: 'g2', uuid: 'u2', allocationPolicy: 'last_resort', tags: [], networks: [] },
      ],
      nodes: [
        {
          name: 'n1',
          totalMemory: 1000.5,
          nodeMemory: 10,
          freeMemory: 600,
          totalDisk: 10000.5,
          freeDisk: 9000,
          totalCpu: 4.5,
          offline: false,
          master: true,
          group: 1,
          spindles: 3,
          tags: ['rack:1', 'hot'],
          exclusiveStorage: true,
          freeSpindles: 2,
          nodeCpu: 5,
          cpuSpeed: 1.5,
        },
        {
          name: 'n2',
          totalMemory: 1001,
          nodeMemory: 11,
          freeMemory: 601,
          totalDisk: 10001,
          freeDisk: 9001,
          totalCpu: 5,
          offline: true,
          master: false,
          group: 0,
          spindles: 4,
          tags: [],
          exclusiveStorage: false,
          freeSpindles: 0,
          nodeCpu: 6,
          cpuSpeed: 0.5,
        },
      ],
      instances: [
        {
          name: 'i1',
          memory: 200,
          disk: 500,
          vcpus: 3,
          status: 'ADMIN_down',
          autoBalance: false,
          primary: 0,
          secondary: 1,
          template: 'drbd',
          tags: ['web', 'db'],
          spindleUse: 7,
          diskSpindles: 8,
          forthcoming: true,
        },
        {
          name: 'i2',
          memory: 201,
          disk: 501,
          vcpus: 4,
          status: 'running',
          autoBalance: true,
          primary: 1,
          secondary: -1,
          template: 'plain',
          tags: [],
          spindleUse: 1,
          diskSpindles: undefined,
          forthcoming: false,
        },
      ],
      tags: ['htools:iextags:web', 'other'],
      policy: policyOf(
        [
          { minimum: spec(7), maximum: spec(13) },
          { minimum: spec(19), maximum: spec(25) },
        ],
        ['drbd', 'ext'],
        4,
        32,
      ),
      groupPolicies: [policyOf([], ['plain'], 5, 33), policyOf([], ['file'], 6, 34)],
    });
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
    ['a size with a unit', SMALL.replace('i1|200', 'i1|200M'), "not a whole number: '200M'"],
    ['a total with a unit', SMALL.replace('n1|1000|', 'n1|1G|'), "not a number: '1G'"],
    ['a range without its end', `${SMALL}\n|1,1,1,1,1,1|1,1,1,1,1,1|drbd|4|32\n`, 'found 1'],
    ['a spec without its last number', `${SMALL}\n|1,1,1,1,1||drbd|4|32\n`, 'found 5'],
    ['a policy of a group that is not there', `${SMALL}\ng9|1,1,1,1,1,1||drbd|4|32\n`, "group 'g9'"],
    ['an unknown template in a policy', `${SMALL}\n|1,1,1,1,1,1||tape|4|32\n`, "'tape'"],
    ['a mark that is neither Y nor N', SMALL.replace('|running|Y|', '|running|y|'), 'must be Y or N'],
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
    [-4e-16, 3, '-0.000'],
    [-0, 3, '-0.000'],
    [0.4, 0, '0'],
    [9.995, 2, '10.00'],
    [1.5e22, 1, '15000000000000000000000.0'],
  ])('rounds %p to %i decimals as %s: halves of the shortest form to even', (value, decimals, text) => {
    expect(showFixed(value, decimals)).toBe(text);
  });

  it.each([
    [0.017578125, '1.757812e-2'],
    [0.01757813501, '1.757814e-2'],
    [0.0999999999, '1.000000e-1'],
    [-0.017578125, '-1.757812e-2'],
    [1e-9, '1.000000e-9'],
    [12_345_678, '1.234568e7'],
    [0.25, '0.250000'],
    [0, '0.000000'],
    [NaN, 'NaN'],
  ])('shows %p as %s with an exponent where it is small or large', (value, text) => {
    expect(showGeneral(value, 6)).toBe(text);
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
