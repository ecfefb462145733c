import { describe, expect, it } from '@jest/globals';
import { ConstantMoveCosts, parseCostsFile } from '../../src/balancer/constant-move-costs.js';
import { ganttSvg, ganttText } from '../../src/balancer/gantt.js';
import { parseTruthFile, playPlan } from '../../src/balancer/plan-simulator.js';
import type { Plan, PlanMove } from '../../src/domain/plan.js';

const moveOf = (
  index: number,
  instance: string,
  from: string,
  to: string,
  after: number[] = [],
): PlanMove => ({
  index,
  instance,
  letters: `fa:${to}`,
  from: { primary: from },
  to: { primary: to },
  after,
  start_seconds: 0,
  end_seconds: { p50: 10, p90: 12 },
  score_after: 1,
  steps: [
    {
      operation: 'live_migration',
      source_node: from,
      target_node: to,
      duration_seconds: { p10: 9, p50: 10, p90: 12 },
    },
  ],
  commands: [`gnt-instance migrate -f -n ${to} ${instance}`],
});

const planOf = (moves: PlanMove[], jobsets: number[][]): Plan => ({
  score_before: 2,
  score_after: 1,
  duration_seconds: { p50: 20, p90: 24 },
  bytes_mib: 2000,
  moves,
  jobsets,
});

const three = planOf(
  [moveOf(0, 'a', 'n1', 'n2'), moveOf(1, 'b', 'n3', 'n4'), moveOf(2, 'c', 'n3', 'n5', [1])],
  [[0, 1], [2]],
);
const seconds = (instance: string, value: number) => ({ instance, seconds: value });
const truth = { table: [seconds('a', 30), seconds('b', 5), seconds('c', 7)] };

describe('the plan simulator', () => {
  it('starts a move when what it waits for is done, not when a set is', () => {
    const played = playPlan(three, truth, 'schedule');
    expect(played.moves.map(({ start_seconds, end_seconds }) => [start_seconds, end_seconds])).toEqual([
      [0, 30],
      [0, 5],
      [5, 12],
    ]);
    expect(played.duration_seconds).toBe(30);
    expect(played.lower_bound_seconds).toBe(30);
  });

  it('waits for the slowest of a job set when asked to play as hbal runs them', () => {
    expect(playPlan(three, truth, 'jobsets').duration_seconds).toBe(37);
  });

  it('shares a network card among the copies that cross it', () => {
    const two = planOf([moveOf(0, 'a', 'n1', 'n2'), moveOf(1, 'b', 'n1', 'n3')], [[0, 1]]);
    const shared = {
      live_migration: { fixed_seconds: 0, mib_per_second: 100 },
      instances: [
        { instance: 'a', memory_mib: 1000, disk_mib: 0 },
        { instance: 'b', memory_mib: 2000, disk_mib: 0 },
      ],
      nic_mib_per_second: { n1: 100 },
    };
    const played = playPlan(two, shared, 'schedule');
    // 50 MiB/s each until a is over after 20 s; then b has the card for its other 1000 MiB.
    expect(played.moves.map(({ end_seconds }) => end_seconds)).toEqual([20, 30]);
  });

  it('breaks off what fails, and starts nothing that waits for it', () => {
    const failing = { ...truth, failures: [{ instance: 'b', after_share: 0.4 }] };
    const played = playPlan(three, failing, 'schedule');
    expect(played.moves.map(({ status }) => status)).toEqual(['completed', 'failed', 'not started']);
    expect(played.moves[1]!.end_seconds).toBeCloseTo(2);
  });

  it('gives the same deviations for the same seed and others for another', () => {
    const run = (seed: number): number =>
      playPlan(three, { ...truth, deviation: { sigma: 0.3, seed } }, 'schedule').duration_seconds;
    expect(run(1)).toBe(run(1));
    expect(run(1)).not.toBe(run(2));
  });

  it('says which size is missing when a duration goes by rate', () => {
    expect(() => playPlan(three, {}, 'schedule')).toThrow('add a row to table or to instances');
  });

  it('names the field of a truth or costs file that is wrong', () => {
    expect(() => parseTruthFile({ nic_mib_per_second: { n1: -1 } }, 't.json')).toThrow(
      'nic_mib_per_second.n1',
    );
    for (const [errors, field] of [
      [{ hours: [], most_factor: 2 }, 'errors.hours'],
      [{ hours: [[[]]], most_factor: 2 }, 'errors.hours[0][0]'],
      [{ hours: [[[0.1]]], most_factor: 0.5 }, 'errors.most_factor'],
      [{ hours: [[[0.1]]], most_factor: 1e300 }, 'errors.most_factor'],
    ] as const)
      expect(() => parseCostsFile({ errors }, 'c.json')).toThrow(`c.json: ${field}`);
    expect(() => parseCostsFile({ table: [{ instance: 'a', seconds: 0 }] }, 'c.json')).toThrow(
      'table[0].seconds',
    );
  });
});

describe('constant costs', () => {
  const request = { instance: 'a', source_node: 'n1', target_node: 'n2', memory_mib: 1000 };

  it('are a time plus the data at a rate, plain figures where nothing is given', async () => {
    const costs = new ConstantMoveCosts({ disk_replication: { fixed_seconds: 1, mib_per_second: 10 } });
    const { p50 } = await costs.durations([
      request,
      { ...request, operation: 'disk_replication', disk_mib: 500 },
    ]);
    expect([...p50]).toEqual([18, 51]);
  });

  it('come from the row of the table that names most of a step', async () => {
    const costs = new ConstantMoveCosts({
      table: [
        { instance: 'a', seconds: 1 },
        { instance: 'a', operation: 'live_migration', seconds: 2 },
        { instance: 'a', operation: 'live_migration', target_node: 'n2', seconds: 3, p10: 2, p90: 9 },
      ],
    });
    const { p10, p50, p90 } = await costs.durations([
      { ...request, operation: 'live_migration' },
      { ...request, operation: 'live_migration', target_node: 'n3' },
      { ...request, operation: 'failover' },
    ]);
    expect([...p50]).toEqual([3, 2, 1]);
    expect([p10[0], p90[0]]).toEqual([2, 9]);
  });
});

describe('the chart of a schedule', () => {
  it('has a line a node for a terminal', () => {
    const text = ganttText(three, 20);
    expect(text.split('\n').filter((line) => /^n\d \|/.test(line))).toHaveLength(5);
    expect(text).toContain('10 s');
  });

  it('is SVG with a bar for each node that a move keeps busy, and escapes names', () => {
    const odd = planOf([moveOf(0, 'a<b>&"', 'n1', 'n2')], [[0]]);
    const svg = ganttSvg(odd);
    expect(svg.match(/<title>/g)).toHaveLength(2);
    expect(svg).toContain('a&lt;b&gt;&amp;&quot;');
    expect(svg).not.toContain('a<b>');
  });
});
