import { describe, expect, it } from '@jest/globals';
import {
  F_DSK,
  F_DSK_FORTH,
  F_MEM_FORTH,
  F_SPIN,
  F_SPIN_FORTH,
  FAILS_N1,
  GroupModel,
  I_SPIN,
  I_SPIN_FORTH,
  R_MEM,
  ROW,
  U_CPU,
  U_CPU_FORTH,
  U_MEM,
} from '../../src/balancer/group-model.js';
import { HeldResources } from '../../src/balancer/held-resources.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import { moveFrom, type MoveKind } from '../../src/balancer/moves.js';

/** Nodes a, b and c share disks by size alone; on e spindles are given to instances whole. */
const start = new GroupModel(
  parseHtoolsText(
    `g|u|preferred||

a|65536|0|40000|1000000|500000|32|N|u|8
b|65536|0|60000|1000000|500000|32|N|u|8
c|65536|0|60000|1000000|500000|32|N|u|8
e|65536|0|60000|1000000|500000|32|N|u|20||Y|10

mirrored|1000|2000|3|running|Y|a|b|drbd|web|2|4
down|1000|2000|3|ADMIN_down|Y|a|b|drbd|web|2|4
off|1000|2000|3|ADMIN_offline|Y|a|b|drbd|web|2|4
planned|1000|2000|3|running|Y|a|b|drbd|web|2|4|Y
shared|1000|2000|3|running|Y|a||ext|web|2|4
onspindles|1000|2000|3|running|Y|e|b|drbd|web|2|4
sharedonspindles|1000|2000|3|running|Y|e||ext|web|2|4

htools:iextags:web
`,
    { file: 'held', duplicates: 'refuse' },
  ).cluster,
  { group: 0 },
);
const [A, B, C, E] = [0, 1, 2, 3];
const FIELDS = {
  U_MEM,
  F_MEM_FORTH,
  F_DSK,
  F_DSK_FORTH,
  F_SPIN,
  F_SPIN_FORTH,
  I_SPIN,
  I_SPIN_FORTH,
  U_CPU,
  U_CPU_FORTH,
};
type Difference = Partial<Record<keyof typeof FIELDS | 'tags', number>>;

const memory = { U_MEM: -1000, F_MEM_FORTH: -1000 };
const cpus = { U_CPU: 3, U_CPU_FORTH: 3 };
const disk = { F_DSK: -2000, F_DSK_FORTH: -2000 };
const spindles = { I_SPIN: 2, I_SPIN_FORTH: 2 };
const freeSpindles = { F_SPIN: -4, F_SPIN_FORTH: -4 };
const tags = { tags: 1 };

/** What holding a move changes on a node while it is imposed; afterwards nothing may be left. */
function heldOn(node: number, name: string, kind: MoveKind, target: number): Difference {
  const model = start.copy();
  const held = new HeldResources(model);
  const instance = model.instances.findIndex((one) => one.name === name);
  const read = (): number[] => [
    ...Object.values(FIELDS).map((field) => model.rows[node * ROW + field]!),
    model.tagCounts[node * model.exclusionTagCount]!,
  ];
  const before = read();
  held.hold(7, moveFrom(model, instance, kind, target));
  held.impose([node]);
  const during = read();
  held.lift([node]);
  expect(read()).toEqual(before);
  held.release(7, moveFrom(model, instance, kind, target));
  expect(held.any([A, B, C, E])).toBe(false);
  held.impose([node]);
  expect(read()).toEqual(before);
  const names = [...Object.keys(FIELDS), 'tags'];
  return Object.fromEntries(
    names.flatMap((what, f) => (during[f] === before[f] ? [] : [[what, during[f]! - before[f]!]])),
  );
}

describe('what a running move holds', () => {
  it.each([
    [
      'a failover leaves its disks, and its memory until it ends',
      'mirrored',
      0,
      -1,
      A,
      { ...memory, ...cpus, ...tags },
    ],
    ['a failover takes nothing from where it goes', 'mirrored', 0, -1, B, {}],
    ['a new mirror leaves the old one until it ends', 'mirrored', 2, C, B, { ...disk, ...spindles }],
    ['a new mirror changes nothing of the primary', 'mirrored', 2, C, A, {}],
    ['a new primary keeps its mirror here', 'mirrored', 3, C, A, { ...memory, ...cpus, ...tags }],
    ['the old mirror goes', 'mirrored', 3, C, B, { ...disk, ...spindles }],
    [
      'it goes from here with its disks',
      'mirrored',
      4,
      C,
      A,
      { ...memory, ...cpus, ...tags, ...disk, ...spindles },
    ],
    ['it runs here for a moment', 'mirrored', 4, C, B, { ...memory, ...cpus }],
    [
      'it goes from here, mirrored elsewhere',
      'mirrored',
      5,
      C,
      A,
      { ...memory, ...cpus, ...tags, ...disk, ...spindles },
    ],
    ['what is down is promised memory', 'down', 0, -1, A, { F_MEM_FORTH: -1000, ...cpus, ...tags }],
    ['what is offline takes no CPUs', 'off', 0, -1, A, { F_MEM_FORTH: -1000, ...tags }],
    [
      'what is forthcoming is promised all of it',
      'planned',
      4,
      C,
      A,
      { F_MEM_FORTH: -1000, U_CPU_FORTH: 3, F_DSK_FORTH: -2000, I_SPIN_FORTH: 2, ...tags },
    ],
    ['shared disks take none here', 'shared', 1, C, A, { ...memory, ...cpus, ...tags }],
    [
      'spindles that are its own',
      'onspindles',
      4,
      C,
      E,
      { ...memory, ...cpus, ...tags, ...disk, ...freeSpindles },
    ],
    [
      'spindles of shared disks',
      'sharedonspindles',
      1,
      C,
      E,
      { ...memory, ...cpus, ...tags, ...freeSpindles },
    ],
  ] as const)('%s', (_case, name, kind, target, node, wanted) => {
    expect(heldOn(node, name, kind, target)).toEqual(wanted);
  });

  it('is held on every node of the move, old and new', () => {
    const held = new HeldResources(start.copy());
    held.hold(1, moveFrom(start, 0, 2, C));
    expect([A, B, C, E].map((node) => held.any([node]))).toEqual([true, true, true, false]);
  });

  it('keeps the memory reserved on a mirror that goes, and says where that breaks N+1', () => {
    const model = start.copy();
    const held = new HeldResources(model);
    const reserved = model.rows[B * ROW + R_MEM]!;
    expect(reserved).toBeGreaterThan(0);
    const move = moveFrom(model, 0, 2, C);
    held.hold(1, move);
    model.rows[B * ROW + R_MEM] = 0; // as if the mirror had been the only one
    expect(held.impose([B])).toBe(true);
    expect(model.rows[B * ROW + R_MEM]).toBe(reserved);
    held.lift([B]);
    expect(model.rows[B * ROW + R_MEM]).toBe(0);
    model.rows[B * ROW + U_MEM] = reserved;
    expect(held.impose([A, B])).toBe(false);
    held.lift([A, B]);
    // Where it is broken already, nothing more is.
    model.rows[B * ROW + FAILS_N1] = 1;
    expect(held.impose([B])).toBe(true);
    held.lift([B]);
    model.rows[B * ROW + FAILS_N1] = 0;
    model.rows[B * ROW + U_MEM] = reserved + 1;
    expect(held.impose([B])).toBe(true);
    held.lift([B]);
    held.release(1, move);
    held.impose([B]);
    expect(model.rows[B * ROW + R_MEM]).toBe(0);
  });
});
