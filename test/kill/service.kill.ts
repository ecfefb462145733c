// Kills the service with SIGKILL while reports come in, fifty times for each store, and looks in the store whether every
// report that it had acknowledged is there, once: npm run test:kill:service [-- ROUNDS]
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '../../src/store/open-store.js';
import { startInflux } from '../integration/influx-server.js';
import { requireOrSkip } from '../integration/real-servers.js';
import { postJson, reportedMove, startServing } from './serving-process.js';

const ROUNDS = Number(process.argv[2] ?? 50);
const REPORTERS = 4;
const MOVES_A_REPORT = 3;
/** The kill comes after so many milliseconds of reports: sometimes in the first, mostly in the midst of many. */
const LEAST_MS = 20;
const MOST_MS = 350;

console.log(`${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`);
const folder = mkdtempSync(join(tmpdir(), 'movecast-service-kill-'));
let made = 0;
let failed = false;
try {
  await killRounds('SQLite', `sqlite:${join(folder, 'moves.db')}`);
  if (requireOrSkip('influxd')) {
    const influx = await startInflux();
    try {
      await killRounds('InfluxDB', influx.url('kills'));
    } finally {
      await influx.remove();
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;

async function killRounds(name: string, store: string): Promise<void> {
  const acknowledged = new Set<string>();
  let unanswered = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const { child, url } = await startServing(store);
    let isRunning = true;
    const reporters = Array.from({ length: REPORTERS }, async () => {
      while (isRunning) {
        const moves = Array.from({ length: MOVES_A_REPORT }, () => reportedMove(made++));
        const isTaken = await postJson(url, '/v1/moves', { moves }).then(
          ({ ok }) => ok,
          () => false,
        );
        if (isTaken) for (const { id } of moves) acknowledged.add(id);
        else unanswered += 1;
      }
    });
    await sleep(LEAST_MS + Math.random() * (MOST_MS - LEAST_MS));
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    isRunning = false;
    await Promise.all([ended, ...reporters]);
  }
  const opened = await openStore(store);
  const found = new Map<string, number>();
  for await (const { id } of opened.moves()) found.set(id, (found.get(id) ?? 0) + 1);
  await opened.close();
  const missing = [...acknowledged].filter((id) => !found.has(id)).length;
  const twice = [...found.values()].filter((count) => count > 1).length;
  console.log(
    `${name}: killed ${ROUNDS} times while ${REPORTERS} reporters were at it, ${unanswered} reports left without an answer; ` +
      `of ${acknowledged.size} moves acknowledged ${missing} missing, ${twice} twice`,
  );
  if (missing + twice > 0 || acknowledged.size === 0) failed = true;
}
