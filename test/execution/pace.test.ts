import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { liveGantt } from '../../src/execution/live-gantt.js';
import { commandsOf, commandText } from '../../src/execution/move-commands.js';
import { deviation, Pace } from '../../src/execution/pace.js';

const predicted = { p10: 5, p50: 10, p90: 20 };

describe('whether reality keeps within the band', () => {
  it('counts in standard deviations, equal at both ends of the band', () => {
    expect(deviation(10, predicted)).toBe(0);
    expect(deviation(20, predicted)).toBeCloseTo(1.2816, 3);
    expect(deviation(5, predicted)).toBeCloseTo(-1.2816, 3);
  });

  it('bears single moves outside, but not three of them in a row, nor one that is far off', () => {
    const pace = new Pace();
    pace.note('live_migration', 25, predicted);
    pace.note('live_migration', 25, predicted);
    expect(pace.isOut([])).toBe(false);
    pace.note('live_migration', 25, predicted);
    expect(pace.isOut([])).toBe(true);
    expect(pace.ratio('live_migration')).toBe(2.5);
    expect(pace.ratio('failover')).toBe(1);
    pace.reset();
    expect(pace.isOut([])).toBe(false);
    expect(pace.isOut([{ seconds: 19, predicted }])).toBe(false);
    expect(pace.isOut([{ seconds: 100, predicted }])).toBe(true);
  });

  it('never leaves the band with durations inside of it', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 5, max: 20, noNaN: true })), (durations) => {
        const pace = new Pace();
        for (const seconds of durations) pace.note('failover', seconds, predicted);
        expect(pace.isOut([])).toBe(false);
      }),
    );
  });
});

describe('the commands of a move', () => {
  it.each([
    ['f', true, ['gnt-instance migrate -f web1']],
    ['fa:n3', true, ['gnt-instance migrate -f -n n3 web1']],
    ['fa:n3', false, ['gnt-instance failover -f -n n3 web1']],
    ['r:n3', false, ['gnt-instance replace-disks -n n3 web1']],
    [
      'f r:n3 f',
      true,
      [
        'gnt-instance migrate -f web1',
        'gnt-instance replace-disks -n n3 web1',
        'gnt-instance migrate -f web1',
      ],
    ],
  ])('%s, running: %s', (letters, isRunning, wanted) => {
    expect(commandsOf({ instance: 'web1', letters }, isRunning).map(commandText)).toEqual(wanted);
  });
});

describe('the chart that fills', () => {
  const move = (node: string, state: 'done' | 'running' | 'pending', startMs: number, endMs: number) => ({
    instance: 'i',
    nodes: [node],
    state,
    startMs,
    endMs,
  });

  it('fills what has passed and leaves open what is to come', () => {
    const moves = [move('n1', 'done', 0, 40), move('n1', 'running', 40, 80), move('n2', 'pending', 80, 100)];
    expect(liveGantt({ beginMs: 0, nowMs: 60, moves }, 15, 10)).toEqual([
      'n1 |####>>>-  |',
      'n2 |        --|',
    ]);
  });

  it('shows the nodes at work first where there is no room for all', () => {
    const moves = ['a', 'b', 'c', 'd'].map((node) => move(node, node === 'd' ? 'running' : 'pending', 0, 10));
    const lines = liveGantt({ beginMs: 0, nowMs: 5, moves }, 30, 3);
    expect(lines[0]).toMatch(/^d /);
    expect(lines.at(-1)).toBe('… and 2 more nodes');
  });
});
