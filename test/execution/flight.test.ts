import { describe, expect, it } from '@jest/globals';
import type { PlanMove } from '../../src/domain/plan.js';
import { Flight } from '../../src/execution/flight.js';
import { nodesOf } from '../../src/execution/move-commands.js';

const move: PlanMove = {
  index: 0,
  instance: 'a',
  letters: 'f r:n4',
  from: { primary: 'off', secondary: 'n3' },
  to: { primary: 'n3', secondary: 'n4' },
  after: [],
  start_seconds: 0,
  end_seconds: { p50: 140, p90: 150 },
  score_after: 1,
  steps: [],
  commands: [],
};

describe('a move under way', () => {
  it('keeps others off all its nodes, but for an offline one that Ganeti lets go early', () => {
    const nodesKept = (one: PlanMove): string[] => [...new Flight(one, [], 0).nodes].sort();
    expect(nodesKept(move)).toEqual(['n3', 'n4', 'off']);
    expect(nodesKept({ ...move, releases_early: 'off' })).toEqual(['n3', 'n4']);
  });

  it('needs the offline node itself all the same: whoever holds it to the end is waited for', () => {
    const early: PlanMove = { ...move, releases_early: 'off' };
    expect(nodesOf(early)).toContain('off');
  });
});
