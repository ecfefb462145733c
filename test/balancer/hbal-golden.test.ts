import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it, jest } from '@jest/globals';
import { expectAsHbal } from './hbal-parity.js';
import type { HbalRun } from './hbal-options.js';

/** What the real hbal 3.0.2 printed. The project's own cases always run; the larger shared collection where present. */

jest.setTimeout(120_000);

const read = (path: string): string => {
  const bytes = readFileSync(path);
  return (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes).toString('utf8');
};

const label = (run: HbalRun): string => (run.options.length === 0 ? 'no options' : run.options.join(' '));

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
    it.each(files.map(({ data, runs }) => [data, runs] as const))(
      '%s: every run the same to the last digit',
      (data, runs) => {
        const text = read(join(shared, 'ganeti-data', data));
        for (const run of runs.filter(({ outcome }) => outcome !== 'error')) expectAsHbal(text, run);
      },
    );
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
        120_000,
      );
    }
  },
);
