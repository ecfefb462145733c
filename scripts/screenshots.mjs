// Takes the pictures in docs/images/ from the built service: `npm run screenshots [OUT]`. Needs Debian's chromium.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { fail } from './installed.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = resolve(process.argv[2] ?? join(root, 'docs', 'images'));
const movecast = join(root, 'dist', 'src', 'main.js');
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Name of the picture, page, colour scheme and size. */
const wide = { width: 1280, height: 900 };
const phone = { width: 390, height: 844 };
const pictures = [
  ['overview', '/', 'light', wide],
  ['overview-dark', '/', 'dark', wide],
  ['overview-phone', '/', 'light', phone],
  ['links', '/#/links', 'light', wide],
  ['moves', '/#/moves', 'light', wide],
  ['forecast', '/#/forecast?cluster=lab-s3-day&link=node-a:egress', 'light', wide],
  ['what-if', '/#/what-if', 'light', wide],
  ['plan', '/#/plan', 'light', wide],
  ['models', '/#/models', 'light', wide],
];
/** `--all` takes every page in both colour schemes and on a phone as well: to look at, not to keep. */
if (process.argv.includes('--all'))
  pictures.push(
    ...pictures
      .filter(([name]) => !/dark|phone/.test(name))
      .flatMap(([name, page]) => [
        [`${name}-dark`, page, 'dark', wide],
        [`${name}-phone`, page, 'light', phone],
        [`${name}-phone-dark`, page, 'dark', phone],
      ]),
  );

/** The report of a backtest: name of the picture, colour scheme, size, and the part that it shows ('': from the top). */
const tall = { width: 1280, height: 1560 };
const reports = [
  ['backtest-report', 'light', tall, ''],
  ['backtest-report-dark', 'dark', wide, '#residuals'],
  ['backtest-report-phone', 'light', phone, '#accuracy'],
];

const folder = mkdtempSync(join(tmpdir(), 'movecast-screenshots-'));
const store = `sqlite:${join(folder, 'moves.db')}`;
let service;
try {
  for (const set of ['osic', 'qemu-lab']) {
    const loaded = spawnSync(
      process.execPath,
      [movecast, 'collect', 'records', join(root, 'data', set, 'records.jsonl'), '--store', store, '--quiet'],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    if (loaded.status !== 0) fail(`data/${set} could not be loaded; run npm run build first`);
  }
  const sampled = spawnSync(
    process.execPath,
    [
      movecast,
      'collect',
      'link-samples',
      join(root, 'data/qemu-lab/link-samples.csv'),
      '--store',
      store,
      '--quiet',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  if (sampled.status !== 0) fail('data/qemu-lab/link-samples.csv could not be loaded');
  service = spawn(
    process.execPath,
    [movecast, 'serve', '--port', '0', '--json', '--store', store, '--models', join(root, 'models')],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const url = await new Promise((found, failed) => {
    service.stdout.once('data', (line) => found(JSON.parse(String(line)).url));
    service.once('exit', (code) => failed(new Error(`the service ended with ${code}`)));
  });
  mkdirSync(out, { recursive: true });
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  for (const [name, page, colorScheme, viewport] of pictures) {
    const context = await browser.newContext({ colorScheme, viewport, timezoneId: 'UTC' });
    const tab = await context.newPage();
    await tab.goto(url + page);
    await tab.locator('main[aria-busy=false]').waitFor();
    const predict = tab.getByRole('button', { name: 'Predict' });
    if (await predict.count()) {
      await predict.click();
      await tab.locator('.answer .figure').waitFor();
    }
    const plan = tab.getByRole('button', { name: 'Make a plan' });
    if (await plan.count()) {
      await tab.locator('#cluster-file').setInputFiles(join(root, 'test/fixtures/clusters/mirrored-6.data'));
      await tab.waitForTimeout(200);
      await plan.click();
      await tab.locator('.gantt').waitFor();
    }
    const why = tab.getByRole('button', { name: 'Why?' }).first();
    if (await why.count()) await why.click();
    await tab.evaluate(() =>
      document.fonts.ready.then(() => new Promise((shown) => requestAnimationFrame(shown))),
    );
    await tab.screenshot({ path: join(out, `${name}.png`), fullPage: true });
    console.error(`wrote ${join(out, `${name}.png`)}`);
    await context.close();
  }
  const report = join(folder, 'backtest.html');
  const backtested = spawnSync(
    process.execPath,
    [movecast, 'backtest', '--records', join(root, 'data/osic/records.jsonl'), '--report', report, '--quiet'],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  if (backtested.status !== 0) fail('the backtest of data/osic failed');
  for (const [name, colorScheme, viewport, part] of reports) {
    const context = await browser.newContext({ colorScheme, viewport });
    const tab = await context.newPage();
    await tab.goto(pathToFileURL(report).href);
    if (part === '') await tab.screenshot({ path: join(out, `${name}.png`) });
    else
      await tab.locator('section', { has: tab.locator(part) }).screenshot({ path: join(out, `${name}.png`) });
    console.error(`wrote ${join(out, `${name}.png`)}`);
    await context.close();
  }
  await browser.close();
} finally {
  service?.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
}
