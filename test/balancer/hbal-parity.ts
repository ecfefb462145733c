import { createHash } from 'node:crypto';
import { expect } from '@jest/globals';
import { blindSearch } from '../../src/balancer/blind-search.js';
import { GroupModel } from '../../src/balancer/group-model.js';
import { ShortNames, countBad } from '../../src/balancer/hbal-report.js';
import { showFixed } from '../../src/balancer/haskell-numbers.js';
import { formatHtoolsText, parseHtoolsText } from '../../src/balancer/htools-text.js';
import { jobsetsOf } from '../../src/balancer/jobsets.js';
import { moveCommands, moveLetters } from '../../src/balancer/moves.js';
import { METRICS } from '../../src/balancer/score.js';
import { optionsOf, type HbalRun } from './hbal-options.js';

/**
 * Runs the search as hbal ran and expects what hbal printed: score and components, every step, job sets, saved files.
 */
export function expectAsHbal(text: string, run: HbalRun): void {
  const { cluster } = parseHtoolsText(text, { file: 'cluster', duplicates: 'later-wins' });
  if (run.outcome === 'empty') {
    expect(cluster.instances).toEqual([]);
    return;
  }
  const options = optionsOf(run, cluster);
  const model = new GroupModel(cluster, options.model);
  const start = model.copy();
  const names = new ShortNames(model);
  const bad = countBad(model);
  const result = blindSearch(model, options.search);
  const pair = (p: number, s: number): string =>
    s < 0 ? names.node(p) : `${names.node(p)}:${names.node(s)}`;
  const components = (values: Float64Array): { name: string; value: string; weight: number }[] =>
    METRICS.map(({ name, weight }, c) => ({ name, value: showFixed(values[c]!, 8), weight }));

  expect(showFixed(result.scoreBefore, 8)).toBe(run.initial_score);
  if (run.initial_metrics !== undefined)
    expect(components(result.componentsBefore)).toEqual(run.initial_metrics);
  if (run.bad_nodes !== undefined)
    expect(bad).toEqual({ nodes: run.bad_nodes, instances: run.bad_instances });
  expect(result.alreadyBalanced).toBe(run.outcome === 'well balanced');
  expect(
    result.steps.map(({ move, score }) => ({
      instance: names.instance(move.instance),
      from: pair(move.fromPrimary, move.fromSecondary),
      to: pair(move.toPrimary, move.toSecondary),
      score: showFixed(score, 8),
      action: moveLetters(move, names.node),
    })),
  ).toEqual(
    run.steps.map(({ instance, from, to, score, action }) => ({ instance, from, to, score, action })),
  );
  if (run.final_score !== null) expect(showFixed(result.scoreAfter, 8)).toBe(run.final_score);
  if (run.final_metrics !== undefined) expect(components(result.componentsAfter)).toEqual(run.final_metrics);
  const moves = result.steps.map(({ move }) => move);
  if (run.jobsets !== undefined)
    expect(jobsetsOf(moves).map((set) => set.map((m) => moveCommands(start, moves[m]!, names)))).toEqual(
      run.jobsets,
    );
  if (run.saved_original_sha256 !== undefined)
    expect(sha256(formatHtoolsText(cluster))).toBe(run.saved_original_sha256);
  if (run.saved_balanced_sha256 !== undefined)
    expect(sha256(formatHtoolsText(model.currentGroup()))).toBe(run.saved_balanced_sha256);
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
