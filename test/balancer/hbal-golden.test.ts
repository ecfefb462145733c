import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { blindSearch } from '../../src/balancer/blind-search.js';
import { GroupModel } from '../../src/balancer/group-model.js';
import { showFixed } from '../../src/balancer/haskell-numbers.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import { moveLetters } from '../../src/balancer/moves.js';
import { defaultSearchOptions } from '../../src/balancer/search-options.js';
import { runCommand } from '../commands/run-command.js';
import { expectAsHbal } from './hbal-parity.js';
import type { HbalRun } from './hbal-options.js';

/** What the real hbal 3.0.2 printed. The project's own cases always run; the larger shared collection where present. */

const read = (path: string): string => {
  const bytes = readFileSync(path);
  return (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes).toString('utf8');
};

const optionsLabel = (options: readonly string[]): string =>
  options.length === 0 ? 'no options' : options.join(' ');
const label = ({ options }: HbalRun): string => optionsLabel(options);

describe('hbal 3.0.2 on the clusters of this project', () => {
  const folder = join('test', 'fixtures', 'clusters');
  const goldens = readdirSync(folder).filter((file) => file.endsWith('.golden.json'));
  it('has cases', () => {
    expect(goldens.length).toBeGreaterThan(0);
  });
  for (const golden of goldens) {
    const name = golden.replace('.golden.json', '');
    const text = read(join(folder, `${name}.data`));
    const { runs } = JSON.parse(read(join(folder, golden))) as { runs: HbalRun[] };
    it.each(runs.map((run) => [label(run), run] as const))(
      `${name}, %s: the same to the last digit`,
      (_label, run) => {
        expectAsHbal(text, run);
      },
    );
  }
});

const shared = join('..', 'shared', 'peers', 'hbal');
(existsSync(shared) ? describe : describe.skip)(
  "hbal 3.0.2 on Ganeti's own files and larger clusters",
  () => {
    if (!existsSync(shared)) return;
    const { files } = JSON.parse(read(join(shared, 'golden-ganeti.json'))) as {
      files: { data: string; runs: HbalRun[] }[];
    };
    const answered = files.flatMap(({ data, runs }) => {
      const ended = runs.filter(({ outcome }) => outcome !== 'error');
      return ended.length === 0 ? [] : [[data, ended] as const];
    });
    it.each(answered)('%s: every run the same to the last digit', (data, runs) => {
      const text = read(join(shared, 'ganeti-data', data));
      for (const run of runs) expectAsHbal(text, run);
    });
    /** hbal crashes where an instance is split over two groups; ours leaves it where it is. */
    const OURS_GOES_ON = ['hbal-split-insts.data, with a group'];
    const refused = files.flatMap(({ data, runs }) =>
      runs
        .filter(({ outcome }) => outcome === 'error')
        .map(({ options, rc }) => ({ data, options, rc, title: `${data}, ${optionsLabel(options)}` })),
    );
    it.each(refused)(
      '$title: ends with 1 as hbal does, or goes on where hbal crashes',
      async ({ data, options, rc }) => {
        const file = join(shared, 'ganeti-data', data);
        const { code } = await runCommand(['balance', '--blind', '-t', file, ...options]);
        const group = options.includes('-G') ? ', with a group' : '';
        expect([rc, code]).toEqual([1, OURS_GOES_ON.includes(`${data}${group}`) ? 0 : 1]);
      },
    );
    it('n1-load-rule.data: N+1 by the free memory in 3.0, by the memory that is not reserved from 3.1 on', () => {
      const { hbal_3_0_2: run, expected_3_1: later } = JSON.parse(
        read(join(shared, 'extra', 'n1-load-rule.golden.json')),
      ) as {
        hbal_3_0_2: HbalRun;
        expected_3_1: { initial_score: string; steps: [string, string, string, string, string][] };
      };
      const text = read(join(shared, 'extra', 'n1-load-rule.data'));
      expectAsHbal(text, run);
      const { cluster } = parseHtoolsText(text, { file: 'n1-load-rule.data', duplicates: 'refuse' });
      const model = new GroupModel(cluster, { group: 0, loadRule: '3.1' });
      const { scoreBefore, steps } = blindSearch(model.copy(), defaultSearchOptions);
      expect(showFixed(scoreBefore, 8)).toBe(later.initial_score);
      expect(
        steps.map(({ move, score }) => [
          model.instances[move.instance]!.name,
          model.nodes[move.fromPrimary]!.name,
          model.nodes[move.toSecondary]!.name,
          moveLetters(move, (node) => model.nodes[node]!.name),
          showFixed(score, 8),
        ]),
      ).toEqual(later.steps);
    });
    const clusters = readdirSync(join(shared, 'clusters')).filter((file) => file.endsWith('.golden.json'));
    for (const golden of clusters) {
      const name = golden.replace('.golden.json', '');
      const plain = join(shared, 'clusters', `${name}.data`);
      const { runs } = JSON.parse(read(join(shared, 'clusters', golden))) as { runs: HbalRun[] };
      it.each(runs.map((run) => [label(run), run] as const))(
        `${name}, %s: the same to the last digit`,
        (_label, run) => {
          expectAsHbal(read(existsSync(plain) ? plain : `${plain}.gz`), run);
        },
      );
    }
  },
);
