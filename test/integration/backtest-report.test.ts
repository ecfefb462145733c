import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { runCommand } from '../commands/run-command.js';
import { inventedMoves } from '../training/invented-moves.js';
import { CONTRASTS, openBrowser, watchForErrors } from './dashboard-browser.js';
import { requireOrSkip } from './real-servers.js';

(requireOrSkip('chromium') ? describe : describe.skip)('the report of movecast backtest in a browser', () => {
  let folder: string;
  let report: string;
  let browser: Browser;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'movecast-report-'));
    const records = join(folder, 'records.jsonl');
    report = join(folder, 'backtest.html');
    writeFileSync(
      records,
      inventedMoves(250, (i) => ({ operation: i % 4 === 0 ? 'failover' : 'live_migration' }))
        .map((record) => `${JSON.stringify(record)}\n`)
        .join(''),
    );
    const ran = await runCommand(['backtest', '--records', records, '--report', report, '--quiet']);
    if (ran.code !== 0) throw new Error(ran.err);
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 390],
    ['dark', 360],
  ] as const)(
    'draws every plot in %s at %i pixels, without an error or a request, and reads well',
    async (colorScheme, width) => {
      const context = await browser.newContext({
        colorScheme,
        viewport: { width, height: 844 },
        offline: true,
      });
      const page = await context.newPage();
      const url = pathToFileURL(report).href;
      const errors = watchForErrors(page, url);
      await page.goto(url);
      expect(errors).toEqual([]);
      expect(await page.locator('h1').innerText()).toMatch(/^Half of \d+ moves/);
      for (const [id, plots] of [
        ['accuracy', 2],
        ['calibration', 1],
        ['coverage-over-time', 1],
        ['residuals', 1],
        ['learning', 3],
        ['links', 1],
      ] as const) {
        const section = page.locator('section', { has: page.locator(`#${id}`) });
        expect(await section.locator('.plot, .rowplot').count()).toBe(plots);
      }
      // What is drawn has a size, and stays inside of its plot.
      const boxes = await page.locator('.plot path:not(.grid)').all();
      expect(boxes.length).toBeGreaterThan(10);
      for (const drawn of await page.locator('.area').all()) {
        const box = (await drawn.boundingBox())!;
        expect(box.width).toBeGreaterThan(100);
        expect(box.height).toBeGreaterThan(100);
      }
      expect(await page.locator('.row .dot').count()).toBeGreaterThan(20);
      expect(await page.locator('section:has(#groups) table').count()).toBeGreaterThanOrEqual(3);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      const contrasts = (await page.evaluate(CONTRASTS)) as { text: string; ratio: number }[];
      expect(contrasts.length).toBeGreaterThan(50);
      expect(contrasts.filter(({ ratio }) => ratio < 4.5)).toEqual([]);
      await context.close();
    },
  );
});
