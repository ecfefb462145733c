import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boostingDefaults } from '../../training/boosting.js';
import { importLimits } from '../../src/predictor/tree-import/imported-forest.js';
import { forestFromAnyFormat } from '../../src/predictor/tree-import/any-format.js';
import { predictRow } from '../../src/predictor/trees.js';

/** Without the padding of its tables. */
const page = readFileSync(join('docs', 'trees.md'), 'utf8').replace(/ +/g, ' ');

describe('docs/trees.md', () => {
  it('names the defaults and limits that the code has', () => {
    const d = boostingDefaults;
    for (const said of [
      `| none, ${d.earlyStoppingRounds} |`,
      `| ${d.trees}, ${d.learningRate} |`,
      `| ${d.maxLeaves}, no limit |`,
      `| ${d.minChildWeight}, ${d.l2}, ${d.minSplitGain} |`,
      `| ${d.maxBins} |`,
      `${importLimits.trees.toLocaleString('en')} trees, ${importLimits.nodes.toLocaleString('en')} nodes`,
      `${importLimits.depth} splits deep, ${importLimits.features.toLocaleString('en')} columns`,
    ]) {
      expect(page).toContain(said);
    }
  });

  it('has an XGBoost script that works as it stands, and whose model answers the same here', () => {
    const script = /```python\n([\s\S]*?)```/.exec(readFileSync(join('docs', 'trees.md'), 'utf8'))![1]!;
    const folder = mkdtempSync(join(tmpdir(), 'trees-docs-'));
    try {
      const inFolder = script.replace("'model.json'", JSON.stringify(join(folder, 'model.json')));
      expect(inFolder).not.toBe(script);
      const python = process.env['MOVECAST_PYTHON'] ?? '/usr/bin/python3';
      const run = spawnSync(python, ['-c', inFolder], {
        encoding: 'utf8',
        env: { ...process.env, OMP_NUM_THREADS: '1' },
      });
      if (run.error !== undefined || /ModuleNotFoundError/.test(run.stderr)) {
        if (process.env['MOVECAST_REQUIRE_ALL'] === '1')
          throw new Error('python3-xgboost and python3-pandas are needed');
        console.log('skipped: python3-xgboost and python3-pandas are not installed');
        return;
      }
      expect(run.stderr).not.toContain('Traceback');
      const theirs = JSON.parse(run.stdout) as number[];
      const { forest, featureNames } = forestFromAnyFormat(readFileSync(join(folder, 'model.json')));
      const moves = readFileSync(join('data', 'osic', 'records.jsonl'), 'utf8')
        .trimEnd()
        .split('\n');
      const past = Math.floor(moves.length * 0.8);
      theirs.forEach((answer, i) => {
        const move = JSON.parse(moves[past + i]!) as Record<string, number>;
        const row = Float64Array.from(featureNames!, (name) => move[name]!);
        expect(Math.abs(predictRow(forest, row, 0) - answer)).toBeLessThan(1e-5);
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
