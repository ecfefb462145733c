import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { ConstantMoveCosts } from '../../src/balancer/constant-move-costs.js';
import { computePlan } from '../../src/service/plan-computation.js';
import { workerPlanner } from '../../src/service/planner.js';

const cluster = readFileSync('test/fixtures/clusters/mirrored-6.data', 'utf8');
const costs = new ConstantMoveCosts({}, []);

describe('plans in a thread of their own', () => {
  let folder: string;
  let workerUrl: URL;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'movecast-planner-'));
    const outfile = join(folder, 'plan-worker.mjs');
    await build({
      entryPoints: ['src/service/plan-worker.ts'],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
    });
    workerUrl = pathToFileURL(outfile);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('are the same as plans computed here, and the loop goes on turning meanwhile', async () => {
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    const plan = await workerPlanner(workerUrl)({ cluster, seed: 3, effort: 0.001 }, costs);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(10);
    expect(plan).toEqual(await computePlan({ cluster, seed: 3, effort: 0.001 }, costs));
    expect(plan.moves.length).toBeGreaterThan(0);
    expect(plan.score_after).toBeLessThan(plan.score_before);
  });

  it('refuse what cannot be read with the sentence that says where', async () => {
    await expect(workerPlanner(workerUrl)({ cluster: 'nonsense' }, costs)).rejects.toMatchObject({
      name: 'UserError',
      message: expect.stringContaining('cluster'),
    });
  });

  it('are ended when they take too long, and the next one is computed', async () => {
    const planner = workerPlanner(workerUrl, 5);
    await expect(planner({ cluster }, costs)).rejects.toMatchObject({ status: 503, code: 'too-slow' });
    await expect(planner({ cluster }, costs)).rejects.toMatchObject({ code: 'too-slow' });
  });

  it('wait for each other, but not without end', async () => {
    const planner = workerPlanner(workerUrl);
    const plans = [1, 2, 3, 4].map(() => planner({ cluster: 'nonsense' }, costs).catch(() => 'refused'));
    expect(() => planner({ cluster }, costs)).toThrow(/plans are waiting already/);
    expect(await Promise.all(plans)).toEqual(['refused', 'refused', 'refused', 'refused']);
  });
});
