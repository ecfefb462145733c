import { cpSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { build } from 'esbuild';
import { chromium, type Browser, type Page } from 'playwright-core';

const PAGE = 'src/service/dashboard/page';

/** The dashboard's page bundled as the build does it, in a throw-away folder. */
export async function bundledPage(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'movecast-page-'));
  await build({
    entryPoints: [join(PAGE, 'app.ts')],
    outfile: join(folder, 'app.js'),
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    logLevel: 'error',
  });
  for (const name of readdirSync(PAGE))
    if (extname(name) !== '.ts') cpSync(join(PAGE, name), join(folder, name));
  cpSync('node_modules/uplot/dist/uPlot.min.css', join(folder, 'uplot.css'));
  return folder;
}

/** Debian's chromium, without a network of its own. */
export const openBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
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

/** Everything that a reader of the console would call an error, requests to other places included. */
export function watchForErrors(page: Page, ownUrl: string): string[] {
  const errors: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('request', (asked) => {
    if (!asked.url().startsWith(ownUrl) && !asked.url().startsWith('data:'))
      errors.push(`asked ${asked.url()}`);
  });
  return errors;
}

/** Opens a page of the dashboard and waits until it has been drawn. */
export async function openPage(page: Page, url: string, path = '/'): Promise<void> {
  await page.goto(url + path);
  await page.locator('main[aria-busy=false]').waitFor();
}
