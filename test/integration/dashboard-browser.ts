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

/** Runs in the page: the contrast of every text with what is behind it, as WCAG 2.2 computes it. */
export const CONTRASTS = `(() => {
  const luminance = (text) => {
    const [r, g, b] = text.match(/\\d+(\\.\\d+)?/g).map((value) => {
      const part = Number(value) / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (colour !== 'rgba(0, 0, 0, 0)') return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  return [...document.querySelectorAll('h1, h2, p, dt, td, th, label, button, a, .tag, .note, .unit')].map((element) => {
    const [a, b] = [luminance(getComputedStyle(element).color), luminance(behind(element))];
    return { text: element.textContent, ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) };
  });
})()`;
