/**
 * The service over time and under the axe: `npm run bench:soak [MINUTES] [KILLS]`, after `npm run build`.
 *
 * Soak: predictions and reports go on while another version of the model is promoted every 30 seconds; prints the
 * resident memory by the minute and how many requests were lost (none may be). Axe: `kill -9` while reports come in,
 * so many times; after each start every report that had been acknowledged must be there.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';

const MINUTES = Number(process.argv[2] ?? 10);
const KILLS = Number(process.argv[3] ?? 50);
const SWAP_MS = 30_000;
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

async function serve(store: string): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(
    process.execPath,
    ['dist/src/main.js', 'serve', '--port', '0', '--json', '--store', store, '--models', models],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout!.once('data', (chunk) => resolve(String(chunk)));
    child.once('exit', (code) => reject(new Error(`the service ended with ${code}`)));
  });
  child.removeAllListeners('exit');
  return { child, url: (JSON.parse(line) as { url: string }).url };
}

const residentMib = ({ pid }: ChildProcess): number =>
  (Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES) / 2 ** 20;

const post = (url: string, path: string, body: object): Promise<Response> =>
  fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

let next = 0;
const record = (): Record<string, unknown> => {
  next += 1;
  return {
    id: `soak-${next}`,
    instance: `vm${next % 500}`,
    source_node: `n${next % 20}`,
    target_node: `n${(next + 7) % 20}`,
    operation: 'live_migration',
    started_at: new Date(Date.now() - 30_000).toISOString(),
    duration_seconds: 5 + (next % 17),
    memory_mib: 1024 * (1 + (next % 8)),
  };
};
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function soak(): Promise<boolean> {
  const { child, url } = await serve(`sqlite:${join(folder, 'soak.db')}`);
  const endMs = Date.now() + MINUTES * 60_000;
  let answered = 0;
  let lost = 0;
  let reported = 0;
  let swaps = 0;
  const attempt = async (path: string, body: object): Promise<void> => {
    const ok = await post(url, path, body).then(
      (answer) => answer.arrayBuffer().then(() => answer.ok),
      () => false,
    );
    if (ok) answered += 1;
    else lost += 1;
  };
  const callers = Array.from({ length: CALLERS }, async () => {
    while (Date.now() < endMs) {
      const moves = [record()];
      await attempt('/v1/predictions', { requests: Array.from({ length: BATCH }, () => moves[0]!) });
      await attempt('/v1/moves', { moves });
      reported += 1;
      await pause(PAUSE_MS);
    }
  });
  const swapper = (async () => {
    while (Date.now() + SWAP_MS < endMs) {
      await pause(SWAP_MS);
      swaps += 1;
      await attempt('/v1/models/default/promote', { version: swaps % 2 === 1 ? other : current });
    }
  })();
  const memory: number[] = [];
  while (Date.now() < endMs) {
    await pause(Math.min(60_000, Math.max(1000, endMs - Date.now())));
    memory.push(residentMib(child));
    console.log(
      `  ${String(memory.length).padStart(3)} min: ${memory.at(-1)!.toFixed(0)} MiB resident, ${answered} answered, ${lost} lost, ${reported} reported, ${swaps} swaps`,
    );
  }
  await Promise.all([...callers, swapper]);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const code = await ended;
  console.log(
    `  ${answered} requests answered, ${lost} lost, ${swaps} exchanges of the model, ended with ${String(code)}`,
  );
  return lost === 0 && code === 0;
}

async function axe(): Promise<boolean> {
  const store = `sqlite:${join(folder, 'axe.db')}`;
  const acknowledged = new Set<string>();
  let missing = 0;
  for (let kill = 1; kill <= KILLS; kill += 1) {
    const { child, url } = await serve(store);
    if (acknowledged.size > 0) {
      const answer = await post(url, '/v1/moves', {
        moves: [...acknowledged].slice(-5000).map((id) => ({ ...record(), id })),
      });
      const { new: added } = (await answer.json()) as { new: number };
      missing += added;
    }
    const diesMs = 50 + ((kill * 37) % 300);
    const running = { still: true };
    const reporting = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (running.still) {
          const moves = [record(), record(), record()];
          const ok = await post(url, '/v1/moves', { moves }).then(
            (answer) => answer.ok,
            () => false,
          );
          if (ok) for (const { id } of moves) acknowledged.add(String(id));
        }
      }),
    );
    await pause(diesMs);
    child.kill('SIGKILL');
    running.still = false;
    await reporting;
  }
  console.log(
    `  killed ${KILLS} times; ${acknowledged.size} reports acknowledged, ${missing} of them missing`,
  );
  return missing === 0;
}

try {
  console.log(`${cpus()[0]!.model}, ${cpus().length} cores, Node ${process.version}`);
  console.log(`\nkill -9 under load`);
  const kept = await axe();
  console.log(`\nsoak of ${MINUTES} minutes`);
  const held = await soak();
  process.exitCode = kept && held ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
