import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Browser, Page } from 'playwright-core';
import { parseMoveRecord, startMs, type MoveRecord } from '../../src/domain/move-record.js';
import type { LinkSample } from '../../src/domain/samples.js';
import { newToken, parseTokens } from '../../src/service/tokens.js';
import {
  finishedMove,
  hourlySamples,
  serviceFixture,
  type ServiceFixture,
} from '../service/service-fixture.js';
import { bundledPage, CONTRASTS, openBrowser, openPage, watchForErrors } from './dashboard-browser.js';
import { requireOrSkip } from './real-servers.js';

const suite = requireOrSkip('chromium') ? describe : describe.skip;

/** Moves of the shipped data, moved in time to the day before the test's now. */
async function shippedMoves(count: number, untilMs: number): Promise<MoveRecord[]> {
  const records: MoveRecord[] = [];
  for await (const line of createInterface({ input: createReadStream('data/osic/records.jsonl') })) {
    const parsed = parseMoveRecord(JSON.parse(line));
    if (parsed.ok) records.push(parsed.value);
    if (records.length === count) break;
  }
  const shiftMs = untilMs - startMs(records.at(-1)!) - 3_600_000;
  return records.map((record) => ({
    ...record,
    started_at: new Date(startMs(record) + shiftMs).toISOString(),
  }));
}

/** Four days of hourly samples of node1>node2 up to a moment. */
function sampledUntil(untilMs: number, cluster?: string): LinkSample[] {
  const samples = hourlySamples(96, cluster === undefined ? {} : { cluster });
  const shiftMs = untilMs - Date.parse(samples.at(-1)!.at);
  return samples.map((sample) => ({
    ...sample,
    at: new Date(Date.parse(sample.at) + shiftMs).toISOString(),
  }));
}

/** Runs in the page: what a screen reader could not name or reach, and headings that skip a level. */
const UNNAMED = `(() => {
  const nameOf = (one) =>
    (one.getAttribute('aria-label') ?? '') +
    (one.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join('') +
    [...(one.labels ?? [])].map((label) => label.textContent).join('') +
    (one.matches('button, a, summary') ? one.textContent : '');
  const named = 'input, select, textarea, button, a[href], summary, [role=img], [role=region], section[aria-labelledby]';
  const without = [...document.querySelectorAll(named)].filter((one) => nameOf(one).trim() === '').map((one) => one.outerHTML.slice(0, 120));
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
  const twice = ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => 'twice: ' + id);
  const jumped = [...document.querySelectorAll('[tabindex]')].filter((one) => one.tabIndex > 0).map((one) => 'tabindex: ' + one.outerHTML.slice(0, 120));
  const levels = [...document.querySelectorAll('main h1, main h2, main h3, main h4')].map(({ tagName }) => Number(tagName[1]));
  const skipped = levels.filter((level, i) => level > (levels[i - 1] ?? 0) + 1).map((level) => 'skipped to h' + level);
  const heads = [...document.querySelectorAll('th:not([scope])')].map((one) => 'no scope: ' + one.textContent);
  const landmarks = ['header', 'nav', 'main'].filter((name) => document.querySelectorAll(name).length !== 1);
  return [...without, ...twice, ...jumped, ...skipped, ...heads, ...landmarks, ...(document.documentElement.lang === '' ? ['no language'] : [])];
})()`;

suite('the dashboard in a browser', () => {
  let browser: Browser;
  let service: ServiceFixture;
  let server: Server;
  let url: string;
  let pageFolder: string;
  let pictures: string;

  const listening = async (app: ServiceFixture['app']): Promise<[Server, string]> => {
    const made = createServer(app);
    await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
    return [made, `http://127.0.0.1:${(made.address() as AddressInfo).port}`];
  };
  const closeServer = async (running: Server): Promise<void> => {
    running.closeAllConnections();
    await new Promise((resolve) => running.close(resolve));
  };
  const opened = async (
    at: string,
    path = '/',
    context: Parameters<Browser['newContext']>[0] = {},
  ): Promise<{ page: Page; errors: string[] }> => {
    const page = await (await browser.newContext(context)).newPage();
    const errors = watchForErrors(page, at);
    await openPage(page, at, path);
    return { page, errors };
  };

  beforeAll(async () => {
    pageFolder = await bundledPage();
    pictures = mkdtempSync(join(tmpdir(), 'movecast-pictures-'));
    const now = Date.now();
    service = await serviceFixture({
      now: () => now,
      moves: await shippedMoves(400, now),
      linkSamples: [...sampledUntil(now - 600_000), ...sampledUntil(now - 3 * 86_400_000, 'old')],
      options: { pageFolder, loopbackHostOnly: true },
    });
    [server, url] = await listening(service.app);
    browser = await openBrowser();
  });

  afterAll(async () => {
    await browser?.close();
    await closeServer(server);
    await service.close();
    rmSync(pageFolder, { recursive: true, force: true });
    rmSync(pictures, { recursive: true, force: true });
  });

  it('answers "can I trust the forecast?" from real moves, without an error, a violation or a foreign request', async () => {
    const { page, errors } = await opened(url);
    expect(await page.locator('h1').innerText()).toMatch(/\w/);
    expect(await page.locator('.lead').innerText()).toMatch(/400 finished moves compared/);
    expect(await page.locator('.tile').count()).toBe(4);
    expect(await page.locator('.chart canvas').count()).toBe(2);
    expect(await page.locator('tbody tr').count()).toBe(12);
    await page.screenshot({ path: join(pictures, 'overview.png'), fullPage: true });
    expect(existsSync(join(pictures, 'overview.png'))).toBe(true);
    expect(errors).toEqual([]);
  });

  it('predicts from the form, and marks the field that is wrong', async () => {
    const { page, errors } = await opened(url);
    await page.getByLabel('Instance').fill('web1');
    await page.getByLabel(/^Memory/).fill('8');
    await page.getByRole('button', { name: 'Predict' }).click();
    // The counting predictor: a second a GiB, and one more for each of the 400 moves it has learnt.
    await page.locator('.answer .figure').waitFor();
    expect(await page.locator('.answer .figure').innerText()).toMatch(/^6\smin 48\ss$/);
    await page.getByLabel('To node').fill('');
    await page.getByRole('button', { name: 'Predict' }).click();
    await page.locator('.answer .notice').waitFor();
    expect(await page.locator('.answer .notice').innerText()).toContain('target_node is missing');
    expect(await page.getByLabel('To node').getAttribute('aria-invalid')).toBe('true');
    expect(errors).toEqual([]);
  });

  it('shows every page from the navigation, each with real data and without an error', async () => {
    const { page, errors } = await opened(url);
    const titles = await page.locator('nav a').allInnerTexts();
    expect(titles).toEqual(['Overview', 'Links', 'Moves', 'Forecast', 'What if?', 'Plan', 'Models']);
    for (const title of titles) {
      await page.getByRole('link', { name: title, exact: true }).click();
      await page.locator(`nav a[aria-current=page]:text-is("${title}")`).waitFor();
      await page.locator('main[aria-busy=false]').waitFor();
      expect(await page.locator('h1').innerText()).not.toBe('This page could not be loaded.');
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    }
    expect(errors).toEqual([]);
  });

  it('fits every page on a phone, in the dark too, and names every field and button', async () => {
    const { page, errors } = await opened(url, '/', {
      colorScheme: 'dark',
      viewport: { width: 360, height: 740 },
    });
    for (const at of ['/', 'links', 'moves', 'forecast', 'what-if', 'plan', 'models']) {
      await openPage(page, url, at === '/' ? at : `/#/${at}`);
      expect([at, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([at, 360]);
      const contrasts = (await page.evaluate(CONTRASTS)) as { text: string; ratio: number }[];
      expect([at, contrasts.filter(({ ratio }) => ratio < 4.5)]).toEqual([at, []]);
      expect([at, await page.evaluate(UNNAMED)]).toEqual([at, []]);
    }
    expect(errors).toEqual([]);
  });

  it('leads from a link in the heat map to its moves, and from a move to why', async () => {
    const { page, errors } = await opened(url, '/#/links');
    await page.getByLabel('Show').selectOption('moves');
    const cell = page.locator('td.heat a').first();
    await cell.waitFor();
    await cell.click();
    await page.getByLabel('From node').waitFor();
    const source = await page.getByLabel('From node').inputValue();
    const target = await page.getByLabel('To node').inputValue();
    const shown = await page.locator('tbody tr:not(.detail) td:nth-child(3)').allInnerTexts();
    expect(new Set(shown)).toEqual(new Set([`${source} → ${target}`]));
    await page.getByRole('button', { name: 'Why?' }).first().click();
    expect(await page.locator('tr.detail').first().innerText()).toMatch(
      /Memory[\s\S]*default@1, from earlier moves/,
    );
    expect(errors).toEqual([]);
  });

  it('pages through all moves and filters them', async () => {
    const { page } = await opened(url, '/#/moves');
    const older = page.getByRole('button', { name: 'Older moves' });
    const said = page.locator('p[aria-live]').first();
    while (await older.isVisible()) {
      const before = await said.innerText();
      await older.click();
      await said.filter({ hasNotText: new RegExp(`^${before}$`) }).waitFor();
    }
    expect(await said.innerText()).toBe('400 moves shown.');
    await page.getByLabel('Instance').fill('nobody');
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.getByText('No move matches.').waitFor();
    expect(page.url()).toContain('instance=nobody');
  });

  it('shows a link’s next day with its band beside what was measured, and reads it out hour by hour', async () => {
    const { page, errors } = await opened(url, '/#/forecast');
    expect(await page.getByLabel('Cluster').inputValue()).toBe('default'); // the one with the newest sample
    expect(await page.getByLabel('Link').inputValue()).toBe('node1>node2');
    expect(await page.locator('.chart canvas').count()).toBe(1);
    expect(await page.locator('.chart').getAttribute('aria-label')).toMatch(
      /^node1 → node2 in Mbit\/s: 25 measured values up to .*; forecast until .*: median [\d,.]+/,
    );
    expect(await page.locator('tbody tr').count()).toBe(24);
    expect(await page.locator('tbody td').nth(2).innerText()).toMatch(/^[\d,.]+ to [\d,.]+$/);
    expect(await page.locator('.notice').count()).toBe(0);
    expect(errors).toEqual([]);
  });

  it('says how old the newest sample of a link is, and keeps the choice in the address', async () => {
    const { page, errors } = await opened(url, '/#/forecast');
    await page.getByLabel('Cluster').selectOption('old');
    await page.locator('.notice').waitFor();
    expect(await page.locator('.notice').innerText()).toContain('The newest sample is 3 days old');
    expect(await page.locator('.chart canvas').count()).toBe(2); // what was measured, and the forecast, apart
    expect(page.url()).toContain('cluster=old');
    await page.reload();
    await page.locator('main[aria-busy=false]').waitFor();
    expect(await page.getByLabel('Cluster').inputValue()).toBe('old');
    expect(errors).toEqual([]);
  });

  it.each([
    ['light', 1280],
    ['dark', 360],
  ] as const)('the forecast reads well in %s at %i pixels', async (colorScheme, width) => {
    const { page, errors } = await opened(url, '/#/forecast?cluster=old&link=node1%3Enode2', {
      colorScheme,
      viewport: { width, height: 800 },
    });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    const contrasts = (await page.evaluate(CONTRASTS)) as { text: string; ratio: number }[];
    expect(contrasts.filter(({ ratio }) => ratio < 4.5)).toEqual([]);
    expect(errors).toEqual([]);
  });

  it('says which inputs move a forecast', async () => {
    const { page, errors } = await opened(url, '/#/what-if');
    await page.getByRole('button', { name: 'Predict' }).click();
    await page.getByText('What would change it').waitFor();
    expect(await page.getByRole('row', { name: /twice the memory/ }).count()).toBe(1);
    expect(await page.locator('.answer').innerText()).toMatch(/No difference: .*two other moves/);
    expect(errors).toEqual([]);
  });

  it('makes a plan from an uploaded cluster, and gives its commands', async () => {
    const { page, errors } = await opened(url, '/#/plan');
    await page.locator('#cluster-file').setInputFiles('test/fixtures/clusters/mirrored-6.data');
    await page.getByLabel('Cluster, as hscan').filter({ visible: true }).waitFor();
    await page.getByRole('button', { name: 'Make a plan' }).click();
    await page.locator('.gantt rect').first().waitFor();
    expect(await page.locator('table').last().locator('tbody tr').count()).toBe(
      await page.locator('.gantt rect').count(),
    );
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download the commands' }).click(),
    ]);
    expect(saved.suggestedFilename()).toBe('movecast-plan.sh');
    expect(readFileSync(await saved.path(), 'utf8')).toContain('gnt-instance');
    await page.getByLabel('Cluster, as hscan').fill('nonsense');
    await page.getByRole('button', { name: 'Make a plan' }).click();
    await page.locator('.notice.bad').waitFor();
    expect(errors.filter((text) => !text.includes('422') && !text.includes('400'))).toEqual([]);
  });

  it('shows a model’s card and puts another version in service', async () => {
    const { page, errors } = await opened(url, '/#/models');
    expect(await page.locator('.card').innerText()).toContain('card');
    page.on('dialog', (dialog) => void dialog.accept());
    await page.getByRole('button', { name: 'Promote' }).click();
    await page.getByRole('row', { name: /default@2 in service/ }).waitFor();
    expect(await page.locator('.model').innerText()).toContain('default@2');
    expect(errors).toEqual([]);
  });

  it('shows why a version is in service, or is not', async () => {
    const { page, errors } = await opened(url, '/#/models');
    const row = page.getByRole('row', { name: /default@1/ });
    await row.getByRole('button', { name: 'Card' }).click();
    const contest = page.getByRole('region', { name: 'Champion against challenger' });
    await contest.getByText('default@1: it was the first').waitFor();
    await page
      .getByRole('row', { name: /default@2/ })
      .getByRole('button', { name: 'Card' })
      .click();
    await contest.getByText('default@2: its loss is lower').waitFor();
    expect(await contest.locator('tbody tr').allInnerTexts()).toEqual([
      expect.stringMatching(/^default@1 \(champion\)\s+120\s+2\.500$/),
      expect.stringMatching(/^default@2 \(challenger\)\s+120\s+2\.125$/),
    ]);
    expect(errors).toEqual([]);
  });

  it('marks in the errors where another version answered and where a drift began', async () => {
    const now = service.parts.now();
    await service.parts.model.report(
      Array.from({ length: 3 }, (_, i) => ({
        ...finishedMove(`after-${i}`, 0, 20),
        started_at: new Date(now - 60_000 + i).toISOString(),
      })),
    );
    const { page, errors } = await opened(url);
    const chart = page.getByRole('region', { name: 'Error of each move' });
    expect(await chart.locator('.chart-key').innerText()).toMatch(/default@2 since .*\n?.*drift since /s);
    expect(await chart.locator('.chart').getAttribute('aria-label')).toMatch(/default@2 since .*drift since/);
    expect(errors).toEqual([]);
  });

  it('works from the keyboard alone, and says what its charts show', async () => {
    const { page } = await opened(url);
    await page.keyboard.press('Tab');
    expect(await page.locator(':focus').innerText()).toBe('Skip to the content');
    await page.getByLabel('Instance').focus();
    await page.keyboard.press('Enter');
    await page.locator('.answer .figure').waitFor();
    expect(await page.locator('.chart[role=img]').first().getAttribute('aria-label')).toMatch(
      /of them lay inside the 80 % interval/,
    );
    const unlabelled = `[...document.querySelectorAll('form input, form select')].filter((one) => one.labels.length !== 1).length`;
    expect(await page.evaluate(unlabelled)).toBe(0);
  });

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 360],
  ] as const)(
    'reads well in %s at %i pixels: nothing sticks out, contrast holds',
    async (colorScheme, width) => {
      const { page, errors } = await opened(url, '/', { colorScheme, viewport: { width, height: 800 } });
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      const contrasts = (await page.evaluate(CONTRASTS)) as { text: string; ratio: number }[];
      expect(contrasts.filter(({ ratio }) => ratio < 4.5)).toEqual([]); // WCAG 2.2 AA
      expect(errors).toEqual([]);
    },
  );

  it('says what to do when there is nothing yet', async () => {
    const empty = await serviceFixture({ options: { pageFolder } });
    const [running, at] = await listening(empty.app);
    const { page, errors } = await opened(at);
    expect(await page.locator('h1').innerText()).toBe('Nothing to compare with yet.');
    expect(await page.locator('main').innerText()).toContain('movecast collect');
    await openPage(page, at, '/#/forecast');
    await page.getByText('No link has been sampled yet').waitFor();
    expect(await page.locator('main').innerText()).toContain('movecast collect link-samples');
    expect(errors).toEqual([]);
    await closeServer(running);
    await empty.close();
  });

  it('asks for a token where one is needed, and goes on with it', async () => {
    const { token, line } = newToken('operator', ['admin']);
    const guarded = await serviceFixture({ options: { pageFolder, tokens: parseTokens(line, 't') } });
    const [running, at] = await listening(guarded.app);
    const page = await browser.newPage();
    await openPage(page, at);
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByText('How long would a move take?').waitFor();
    expect(await page.locator('.model').innerText()).toContain('default@1');
    await closeServer(running);
    await guarded.close();
  });

  it('is light: no more than 300 kB over the wire', async () => {
    let bytes = 0;
    for (const path of ['/', '/app.js', '/style.css', '/uplot.css', '/favicon.svg']) {
      const answer = await fetch(url + path, { headers: { 'accept-encoding': 'gzip' } });
      bytes += Number(answer.headers.get('content-length') ?? (await answer.arrayBuffer()).byteLength);
    }
    expect(bytes).toBeLessThan(300_000);
  });
});
