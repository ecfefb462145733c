/**
 * The dashboard over many moves: `npm run bench:dashboard [MOVES]` (100,000 when absent). The moves are generated for
 * this and stand in a throw-away store. Prints how long the service takes to be ready, what the answers behind the pages
 * cost it, and for each page in a real Chromium the time until it is drawn and the bytes over the wire.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MoveRecord } from '../../src/domain/move-record.js';
import { openStore } from '../../src/store/open-store.js';
import { openBrowser } from '../integration/dashboard-browser.js';
import { startServing } from '../kill/serving-process.js';

const MOVES = Number(process.argv[2] ?? 100_000);
const NODES = 40;
const INSTANCES = 2_000;
const BATCH = 5_000;
/** A move every so often, up to now. */
const EVERY_MS = 20_000;
const REPEATS = 5;

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

const generated = (number: number, nowMs: number): MoveRecord => ({
  id: `generated-${number}`,
  instance: `vm${(number * 7919) % INSTANCES}`,
  source_node: `node${number % NODES}`,
  target_node: `node${(number + 1 + (number % 13)) % NODES}`,
  operation: number % 4 === 3 ? 'disk_replication' : 'live_migration',
  started_at: new Date(nowMs - (MOVES - number) * EVERY_MS - 600_000).toISOString(),
  duration_seconds: 10 + ((number * 31) % 97) / 3,
  memory_mib: 1024 * (1 + (number % 16)),
  ...(number % 4 === 3 ? { disk_mib: 20_480 } : {}),
  link_mbps: 10_000,
});

const folder = mkdtempSync(join(tmpdir(), 'movecast-dashboard-'));
try {
  const url = `sqlite:${join(folder, 'moves.db')}`;
  const store = await openStore(url);
  const nowMs = Date.now();
  for (let from = 0; from < MOVES; from += BATCH)
    await store.addMoves(
      Array.from({ length: Math.min(BATCH, MOVES - from) }, (_, i) => generated(from + i, nowMs)),
    );
  await store.close();
  console.log(
    `${cpus()[0]!.model}, ${cpus().length} cores, load ${loadavg()[0]!.toFixed(1)}, Node ${process.version}; ${MOVES} generated moves`,
  );
  for (const start of ['first start, every move predicted', 'second start, predictions kept']) {
    const startedMs = performance.now();
    const { child, url: at } = await startServing(url, ['--timeout-seconds', '120']);
    console.log(`${start}: ready after ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    if (start.startsWith('second')) await look(at);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function look(at: string): Promise<void> {
  for (const path of [
    '/v1/accuracy?window=7d',
    '/v1/accuracy?window=all',
    '/v1/accuracy?window=all&by=link',
    '/v1/moves?limit=300',
    '/v1/alarms',
    '/metrics',
  ]) {
    const times: number[] = [];
    let bytes = 0;
    for (let i = 0; i < REPEATS; i += 1) {
      const sentMs = performance.now();
      const answer = await fetch(at + path);
      bytes = (await answer.arrayBuffer()).byteLength;
      if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
      times.push(performance.now() - sentMs);
    }
    console.log(
      `  GET ${path.padEnd(34)} median ${median(times).toFixed(0).padStart(5)} ms, ${(bytes / 1000).toFixed(0)} kB unpacked`,
    );
  }
  const browser = await openBrowser();
  try {
    for (const page of ['/', '/#/links', '/#/moves', '/#/forecast', '/#/what-if', '/#/plan', '/#/models']) {
      const times: number[] = [];
      let bytes = 0;
      for (let i = 0; i < REPEATS; i += 1) {
        const context = await browser.newContext();
        const tab = await context.newPage();
        const session = await context.newCDPSession(tab);
        await session.send('Network.enable');
        bytes = 0;
        session.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));
        const openedMs = performance.now();
        await tab.goto(at + page);
        await tab.locator('main[aria-busy=false]').waitFor();
        times.push(performance.now() - openedMs);
        await context.close();
      }
      console.log(
        `  page ${page.padEnd(12)} drawn after ${median(times).toFixed(0).padStart(5)} ms, ${(bytes / 1000).toFixed(0)} kB over the wire`,
      );
    }
  } finally {
    await browser.close();
  }
}
