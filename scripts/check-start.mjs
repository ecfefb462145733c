// Clones this repository into an empty folder and does there what a newcomer does: `npm start`, one prediction, stop,
// `npm start` again. Needs the npm registry. Prints how long the second start took; no timing decides.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serviceUrl } from './service-url.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const folder = mkdtempSync(join(tmpdir(), 'movecast-start-'));
const clone = join(folder, 'movecast');
const env = { ...process.env };
for (const name of Object.keys(env)) if (name.startsWith('MOVECAST_')) delete env[name];
try {
  const cloned = spawnSync('git', ['clone', '--quiet', '--depth', '1', `file://${root}`, clone], {
    encoding: 'utf8',
  });
  if (cloned.status !== 0) throw new Error(cloned.stderr);
  await startAndAsk('the first start');
  await startAndAsk('the second start');
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function startAndAsk(which) {
  const startedMs = Date.now();
  const npm = spawn('npm', ['start', '--silent', '--', '--port', '0'], { cwd: clone, env, detached: true });
  const ended = new Promise((resolve) => npm.on('exit', resolve));
  try {
    const url = await serviceUrl(npm, 'npm start');
    const ready = await fetch(`${url}/readyz`);
    const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
    const body = JSON.stringify({
      requests: [{ instance: 'web1', source_node: 'node1', target_node: 'node2', memory_mib: 4096 }],
    });
    const answer = await fetch(`${url}/v1/predictions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    const { predictions } = await answer.json();
    const moves = await (await fetch(`${url}/v1/moves?limit=1`)).json();
    const kept =
      ready.ok && predictions[0].duration_seconds.p50 > 0 && JSON.stringify(moves).includes('"id"');
    console.log(
      `${kept ? 'ok' : 'NOT OK'}: ${which} of a fresh clone serves predictions and the shipped moves (${seconds} s)`,
    );
    if (!kept) process.exitCode = 1;
  } finally {
    try {
      process.kill(-npm.pid, 'SIGTERM');
    } catch {
      // it has ended by itself
    }
    await ended;
  }
}
