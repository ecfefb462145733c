import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BusyNodes } from '../../src/balancer/placement-search.js';

const NODES = 6;
const change = fc.record({
  nodes: fc.array(fc.tuple(fc.nat(NODES - 1), fc.integer({ min: 0, max: 2000 })), {
    minLength: 1,
    maxLength: 8,
  }),
  keep: fc.boolean(),
});

describe('the busy nodes of a search', () => {
  it('have the power mean and the excess of their plain list, with what is staged, kept and dropped', () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 40 }),
        fc.constantFrom(8, 16, 32),
        fc.integer({ min: 1, max: 5000 }),
        (changes, power, unit) => {
          const busy = new BusyNodes(NODES, unit, power);
          let plain: number[] = Array.from({ length: NODES }, () => 0);
          const compare = (list: readonly number[]): void => {
            const sum = list.reduce((all, seconds) => all + (seconds / unit) ** power, 0);
            const mean = unit * sum ** (1 / power);
            expect(Math.abs(busy.mean() - mean)).toBeLessThanOrEqual(1e-6 * (1 + mean));
            const excess = list.reduce((all, seconds) => all + Math.max(0, seconds / 900 - 1), 0);
            expect(busy.excess(900)).toBeCloseTo(excess, 9);
          };
          for (const { nodes, keep } of changes) {
            const staged = [...plain];
            for (const [node, seconds] of nodes) {
              staged[node]! += seconds;
              busy.stage(node, seconds);
            }
            compare(staged);
            if (keep) {
              busy.keep();
              plain = staged;
            } else busy.drop();
            compare(plain);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});
