import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, describe, expect, it } from '@jest/globals';
import { parseCsvRow } from '../../src/collector/csv.js';
import type { Context } from '../../src/commands/context.js';
import { main } from '../../src/main.js';
import { frameColumns } from '../../src/predictor/frame-columns.js';
import { NamedTrees } from '../../src/predictor/imported-trees.js';
import { parseModelFile } from '../../src/predictor/model-file.js';

const PYTHON = process.env['MOVECAST_PYTHON'] ?? '/usr/bin/python3';
const folder = mkdtempSync(join(tmpdir(), 'python-model-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The commands of the page, in order, with its own files in a folder of the test. */
const page = readFileSync(join('docs', 'python.md'), 'utf8');
const commands = [...page.matchAll(/^\$ (.*)$/gm)].map(([, line]) =>
  line!
    .split(' ')
    .map((word) => (/^(frame|trees|default)\.|^my-models$/.test(word) ? join(folder, word) : word)),
);

async function run(words: readonly string[]): Promise<string> {
  if (words[0] === 'python3') {
    const { status, stdout, stderr } = spawnSync(PYTHON, words.slice(1), {
      encoding: 'utf8',
      env: { ...process.env, OMP_NUM_THREADS: '1' },
    });
    if (status !== 0) throw new Error(`${words.join(' ')}: ${stderr}`);
    return stdout;
  }
  expect(words.slice(0, 2)).toEqual(['npx', 'movecast']);
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const context: Context = {
    stdin: new PassThrough(),
    stdout,
    stderr,
    env: {},
    now: () => Date.UTC(2017, 2, 12),
  };
  const code = await main(words.slice(2), context);
  if (code !== 0) throw new Error(`${words.join(' ')}: ${String(stderr.read())}`);
  return String(stdout.read() ?? '');
}

/** Rows of a CSV file as text by column. */
function table(path: string): Record<string, string>[] {
  const [header, ...rows] = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const row = parseCsvRow(line, ',');
      return row.kind === 'fields' ? row.fields : [];
    });
  return rows.map((row) => Object.fromEntries(header!.map((name, j) => [name, row[j]!])));
}

function isInstalled(): boolean {
  const { status } = spawnSync(PYTHON, ['-c', 'import pandas, xgboost']);
  if (status === 0) return true;
  if (process.env['MOVECAST_REQUIRE_ALL'] === '1')
    throw new Error(
      'python3-pandas and python3-xgboost are needed, and MOVECAST_REQUIRE_ALL=1 allows no test to be left out',
    );
  process.stderr.write(
    'left out: the way of docs/python.md, which needs python3-pandas and python3-xgboost\n',
  );
  return false;
}

(isInstalled() ? describe : describe.skip)('docs/python.md, with the real pandas and XGBoost', () => {
  const printed: string[] = [];

  it('its commands work one after the other as they stand there', async () => {
    for (const words of commands) printed.push(await run(words));
    const [exported, trained, imported, promoted, predicted, compared, onnx] = printed;
    expect(exported).toContain('schema version 1');
    expect(trained).toMatch(/XGBoost +mean error +\d+\.\d % {2}median +\d+\.\d %/);
    expect(imported).toMatch(/registered xgboost@1;[\s\S]*90 % interval \d+\.\d %/);
    expect(promoted).toContain('xgboost@1 is in service');
    expect(predicted).toContain('xgboost@1');
    expect(compared).toMatch(/^xgboost@1 +1009 /m);
    expect(onnx).toContain('trees of default@');
    // The moment that the script prints is the one that the page gives to the import.
    const [from] = /--rows-from \S+/.exec(trained!)!;
    expect(page).toContain(from);
  });

  it('the registered trees answer as XGBoost did, to float32 rounding', () => {
    const model = JSON.parse(readFileSync(join(folder, 'my-models', 'xgboost', '1', 'model.json'), 'utf8'));
    const { imported } = parseModelFile(model);
    const trees = new NamedTrees(imported!);
    const rows = new Map(table(join(folder, 'frame.csv')).map((row) => [row['id']!, row]));
    const predictions = table(join(folder, 'trees.json.predictions.csv'));
    expect(predictions.length).toBe(811);
    const worst = predictions.map(({ id, seconds }) => {
      const row = rows.get(id!)!;
      const features = Float64Array.from(frameColumns, ({ name }) =>
        row[name] === '' ? NaN : Number(row[name]),
      );
      return Math.abs(trees.seconds(features, Number(row['log_physics_seconds'])) / Number(seconds) - 1);
    });
    expect(Math.max(...worst)).toBeLessThan(1e-5);
  });
});
