/**
 * The service over time: `npm run bench:soak [MINUTES]`, after `npm run build`. Predictions and reports go on while
 * another version of the model is promoted every 30 seconds. Prints the resident memory by the minute (mean and range of
 * a sample a second), how far it lay from its mean after the first minute, and how many requests were lost (none may be).
 */
import type { ChildProcess } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { postJson, reportedMove, startServing } from '../kill/serving-process.js';

const MINUTES = Number(process.argv[2] ?? 10);
const WARM_UP_SECONDS = 60;
const SWAP_MS = 30_000;
const SAMPLE_MS = 1_000;
const SAMPLES_A_LINE = 60;
const BATCH = 20;
/** Pause between two rounds of a caller: about a thousand predictions a second in all. */
const PAUSE_MS = 40;
const CALLERS = 2;
const PAGE_BYTES = 4096;

const folder = mkdtempSync(join(tmpdir(), 'movecast-soak-'));
const models = join(folder, 'models');
cpSync('models/default', join(models, 'default'), { recursive: true });
const current = readFileSync(join(models, 'default', 'current'), 'utf8').trim();
const other = `${current}-again`;
cpSync(join(models, 'default', current), join(models, 'default', other), { recursive: true });
const otherFile = join(models, 'default', other, 'model.json');
writeFileSync(otherFile, readFileSync(otherFile, 'utf8').replaceAll(current, other));

const residentMib = ({ pid }: ChildProcess): number =>
  (Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES) / 2 ** 20;

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const range = (values: readonly number[]): string =>
  `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`;

async function soak(): Promise<boolean> {
  const { child, url } = await startServing(`sqlite:${join(folder, 'soak.db')}`, ['--models', models]);
  const endMs = Date.now() + MINUTES * 60_000;
  let answered = 0;
  let lost = 0;
  let reported = 0;
  let swaps = 0;
  const attempt = async (path: string, body: object): Promise<void> => {
    const ok = await postJson(url, path, body).then(
      (answer) => answer.arrayBuffer().then(() => answer.ok),
      () => false,
    );
    if (ok) answered += 1;
    else lost += 1;
  };
  const callers = Array.from({ length: CALLERS }, async () => {
    while (Date.now() < endMs) {
      const move = reportedMove(reported++);
      await attempt('/v1/predictions', { requests: Array.from({ length: BATCH }, () => move) });
      await attempt('/v1/moves', { moves: [move] });
      await sleep(PAUSE_MS);
    }
  });
  const swapper = (async () => {
    while (Date.now() + SWAP_MS < endMs) {
      await sleep(SWAP_MS);
      swaps += 1;
      await attempt('/v1/models/default/promote', { version: swaps % 2 === 1 ? other : current });
    }
  })();
  const memory: number[] = [];
  while (Date.now() < endMs) {
    await sleep(SAMPLE_MS);
    memory.push(residentMib(child));
    if (memory.length % SAMPLES_A_LINE !== 0) continue;
    const minute = memory.slice(-SAMPLES_A_LINE);
    console.log(
      `  ${String(memory.length / SAMPLES_A_LINE).padStart(3)} min: ${mean(minute).toFixed(0)} MiB resident (${range(minute)}), ${answered} answered, ${lost} lost, ${reported} reported, ${swaps} swaps`,
    );
  }
  await Promise.all([...callers, swapper]);
  const warm = memory.slice(WARM_UP_SECONDS);
  if (warm.length > 0) {
    const middle = mean(warm);
    const off = Math.max(...warm.map((value) => Math.abs(value / middle - 1)));
    console.log(
      `  after ${WARM_UP_SECONDS} s: ${middle.toFixed(0)} MiB on average, ${range(warm)}: at most ${(100 * off).toFixed(1)} % from it`,
    );
  }
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const code = await ended;
  console.log(
    `  ${answered} requests answered, ${lost} lost, ${swaps} exchanges of the model, ended with ${String(code)}`,
  );
  return lost === 0 && code === 0;
}

try {
  console.log(`${cpus()[0]!.model}, ${cpus().length} cores, Node ${process.version}`);
  console.log(`\nsoak of ${MINUTES} minutes`);
  process.exitCode = (await soak()) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
