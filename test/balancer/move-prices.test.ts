import { describe, expect, it } from '@jest/globals';
import { ConstantMoveCosts } from '../../src/balancer/constant-move-costs.js';
import { GroupModel } from '../../src/balancer/group-model.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import { MovePrices } from '../../src/balancer/move-prices.js';
import { moveFrom, type MoveKind } from '../../src/balancer/moves.js';
import { timedMove } from '../../src/balancer/timed-search.js';

const text = `g|u|preferred||

p|65536|512|60000|1000000|900000|32|N|u|1
s|65536|512|60000|1000000|900000|32|N|u|1
x|65536|512|60000|1000000|900000|32|N|u|1
y|65536|512|60000|1000000|900000|32|N|u|1

mirrored|1024|6000|1|running|Y|p|s|drbd|
shared|1024|0|1|running|Y|p||ext|

`;
const { cluster } = parseHtoolsText(text, { file: 'c', duplicates: 'refuse' });
const start = new GroupModel(cluster, { group: 0 });
/** Every step of its own power of ten: a sum shows its parts. */
const row = (instance: string, operation: string, route: string, seconds: number): object => ({
  instance,
  operation,
  source_node: route[0],
  target_node: route[1],
  seconds,
});
const costs = new ConstantMoveCosts({
  table: [
    row('mirrored', 'live_migration', 'ps', 1),
    row('mirrored', 'disk_replication', 'sx', 10),
    row('mirrored', 'live_migration', 'sx', 100),
    row('mirrored', 'disk_replication', 'px', 1000),
    row('mirrored', 'live_migration', 'px', 10_000),
    row('shared', 'live_migration', 'px', 7),
  ] as NonNullable<ConstructorParameters<typeof ConstantMoveCosts>[0]['table']>,
});

describe('the price of a move', () => {
  it.each<[string, number, MoveKind, number, number]>([
    ['f', 0, 0, -1, 1],
    ['fa:x', 1, 1, 2, 7],
    ['r:x', 0, 2, 2, 1000],
    ['r:x f', 0, 3, 2, 11_000],
    ['f r:x f', 0, 4, 2, 111],
    ['f r:x', 0, 5, 2, 11],
  ])(
    '%s is the sum of its steps, each between the nodes that it joins',
    async (_letters, i, kind, target, sum) => {
      const prices = await MovePrices.ask(start, costs, 0.5);
      expect(prices.of(i, kind, target)).toBe(sum);
      expect(timedMove(start, prices, moveFrom(start, i, kind, target)).seconds).toBe(sum);
    },
  );
});
