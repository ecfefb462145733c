import { execFileSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';
import { GroupModel } from '../../src/balancer/group-model.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import {
  kindBetween,
  moveCommands,
  moveFrom,
  moveLetters,
  moveSteps,
  placementAfter,
  shellWord,
} from '../../src/balancer/moves.js';

/** hbal's moves from (primary 0, secondary 1), or from 0 alone on shared storage, towards 2. */
const MOVES = [
  ['f', 0, [1, 0]],
  ['fa:n2', 1, [2, -1]],
  ['r:n2', 2, [0, 2]],
  ['r:n2 f', 3, [2, 0]],
  ['f r:n2 f', 4, [2, 1]],
  ['f r:n2', 5, [1, 2]],
] as const;

describe('a kind of move', () => {
  it.each(MOVES)('%s leads to its placement, is found from it, and is written so', (letters, kind, after) => {
    const shared = kind === 1;
    const s = shared ? -1 : 1;
    const target = kind === 0 ? -1 : 2;
    expect(placementAfter(kind, 0, s, target)).toEqual(after);
    expect(kindBetween(0, s, after[0], after[1], shared)).toEqual({ kind, target });
    expect(moveLetters({ kind, target }, (node) => `n${node}`)).toBe(letters);
  });

  it('is none where nothing moves, two moves would be needed, or two copies would not be on two nodes', () => {
    expect(kindBetween(0, 1, 0, 1, false)).toBeUndefined();
    expect(kindBetween(0, -1, 0, -1, true)).toBeUndefined();
    expect(kindBetween(0, 1, 2, 3, false)).toBeUndefined();
    expect(kindBetween(0, 1, 0, 0, false)).toBeUndefined();
    expect(kindBetween(0, 1, 2, 2, false)).toBeUndefined();
    expect(kindBetween(0, 1, 0, -1, false)).toBeUndefined();
    expect(kindBetween(0, -1, 2, -1, false)).toBeUndefined();
  });
});

describe('what Ganeti is asked to do for a move', () => {
  const start = new GroupModel(
    parseHtoolsText(
      `g|u|preferred||

n0|65536|512|60000|1000000|900000|32|N|u|1
n1|65536|512|60000|1000000|900000|32|N|u|1
n2|65536|512|60000|1000000|900000|32|N|u|1
gone|65536|512|60000|1000000|900000|32|Y|u|1

runs|1024|6000|1|running|Y|n0|n1|drbd|
down|1024|6000|1|ADMIN_down|Y|n0|n1|drbd|
shared|1024|6000|1|running|Y|n0||ext|
stranded|1024|6000|1|running|Y|gone|n1|drbd|
lost|1024|6000|1|ERROR_wrongnode|Y|n0|n1|drbd|

`,
      { file: 'moves', duplicates: 'refuse' },
    ).cluster,
    { group: 0 },
  );
  const numberOf = (name: string): number => start.instances.findIndex((one) => one.name === name);

  it.each([
    ['runs', 0, ['gnt-instance migrate -f runs']],
    ['down', 0, ['gnt-instance failover -f down']],
    ['lost', 0, ['gnt-instance failover -f lost']],
    ['shared', 1, ['gnt-instance migrate -f -n n2 shared']],
    ['runs', 2, ['gnt-instance replace-disks -n n2 runs']],
    ['runs', 3, ['gnt-instance replace-disks -n n2 runs', 'gnt-instance migrate -f runs']],
    [
      'down',
      4,
      [
        'gnt-instance failover -f down',
        'gnt-instance replace-disks -n n2 down',
        'gnt-instance failover -f down',
      ],
    ],
    ['runs', 5, ['gnt-instance migrate -f runs', 'gnt-instance replace-disks -n n2 runs']],
  ] as const)('%s, kind %i: %j', (name, kind, commands) => {
    expect(moveCommands(start, moveFrom(start, numberOf(name), kind, kind === 0 ? -1 : 2))).toEqual(commands);
  });

  it.each([
    ['what is down is failed over', 'down', 4, ['failover', 'disk_replication', 'failover']],
    [
      'what leaves a node that is off is failed over, and lives from then on',
      'stranded',
      4,
      ['failover', 'disk_replication', 'live_migration'],
    ],
    ['what runs elsewhere takes memory along', 'lost', 0, ['live_migration']],
    ['shared disks stay', 'shared', 1, ['live_migration']],
  ] as const)('%s', (_case, name, kind, operations) => {
    const steps = moveSteps(start, moveFrom(start, numberOf(name), kind, kind === 0 ? -1 : 2));
    expect(steps.map(({ operation }) => operation)).toEqual(operations);
  });
});

describe('a name in a command', () => {
  it.each(['web;echo gone', '$(id)', '`id`', "it's", 'a b', '"', '*', '&& x', '', 'web1.example.com'])(
    'reaches the program as it is: %j',
    (name) => {
      const said = execFileSync('sh', ['-c', `printf '[%s]' ${shellWord(name)}`], { encoding: 'utf8' });
      expect(said).toBe(`[${name}]`);
    },
  );

  it('stands without quotes where it is that of a host, as in hbal', () => {
    expect(shellWord('web-1_a.example.com')).toBe('web-1_a.example.com');
  });
});
