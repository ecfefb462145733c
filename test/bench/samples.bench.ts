/**
 * A million link samples and a million instance samples: what `train`, `backtest` and `predict` make of them, in seconds of
 * processor time and peak memory. Moves and samples are made up: how fast and how large, not how good.
 * `node scripts/run.mjs test/bench/samples.bench.ts [samples of each kind] [moves]`
 */
import { spawnSync } from 'node:child_process';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SAMPLES = Number(process.argv[2] ?? 1_000_000);
const MOVES = Number(process.argv[3] ?? 2000);
const NODES = 40;
const INSTANCES = 400;
const LINK_GAP_MS = 60_000;
const DAY_MS = 86_400_000;
const startMs = Date.UTC(2026, 0, 1);
const rounds = Math.ceil(SAMPLES / NODES);
const spanMs = rounds * LINK_GAP_MS;

const time = (ms: number): string => new Date(Math.round(ms)).toISOString();
const wave = (ms: number, i: number): number => Math.sin((2 * Math.PI * ms) / DAY_MS + i) ** 2;
const rateOf = (ms: number, instance: number): number =>
  Math.round(2 + (instance % 40) * (0.5 + wave(ms, instance)));

function* linkLines(): Generator<string> {
  yield 'at,cluster,link,throughput_mbps,capacity_mbps';
  for (let k = 0; k < SAMPLES; k++) {
    const node = k % NODES;
    const ms = startMs + Math.floor(k / NODES) * LINK_GAP_MS;
    yield `${time(ms)},made-up,n${node}:egress,${(4000 * wave(ms, node)).toFixed(1)},10000`;
  }
}

function* instanceLines(): Generator<string> {
  yield 'at,cluster,instance,dirty_rate_mib_s,used_memory_mib';
  const gapMs = spanMs / Math.ceil(SAMPLES / INSTANCES);
  for (let k = 0; k < SAMPLES; k++) {
    const instance = k % INSTANCES;
    const ms = startMs + Math.floor(k / INSTANCES) * gapMs;
    yield `${time(ms)},made-up,vm${instance},${rateOf(ms, instance)},${1000 + 10 * instance}`;
  }
}

function* moveLines(): Generator<string> {
  for (let i = 0; i < MOVES; i++) {
    const ms = startMs + ((i + 0.5) * spanMs) / MOVES;
    const instance = (i * 7) % INSTANCES;
    const node = (i * 3) % NODES;
    const memory = 2048 * (1 + (instance % 4));
    const freeMibS = (10_000 - 4000 * wave(ms, node)) / 8.4;
    yield JSON.stringify({
      id: `m${i}`,
      cluster: 'made-up',
      instance: `vm${instance}`,
      source_node: `n${node}`,
      target_node: `n${(node + 1 + (i % 5)) % NODES}`,
      operation: 'live_migration',
      started_at: time(ms),
      duration_seconds:
        (2 + (0.7 * memory) / Math.max(50, freeMibS - rateOf(ms, instance))) * (1 + 0.1 * Math.sin(i)),
      memory_mib: memory,
      link_mbps: 10_000,
      ...(i % 2 === 0 ? { background_mbps: Math.round(4000 * wave(ms, node)) } : {}),
    });
  }
}

async function write(path: string, lines: Iterable<string>): Promise<void> {
  const stream = createWriteStream(path);
  for (const line of lines) if (!stream.write(`${line}\n`)) await once(stream, 'drain');
  stream.end();
  await once(stream, 'close');
}

/** Writes what a process had used when it ends, after its other output. */
const REPORTS =
  'data:text/javascript,process.on("exit",()=>{const{maxRSS,userCPUTime,systemCPUTime}=process.resourceUsage();process.stderr.write(`\\nused ${maxRSS/1024} ${(userCPUTime+systemCPUTime)/1e6}`)})';

const folder = mkdtempSync(join(tmpdir(), 'movecast-samples-'));
try {
  const at = (name: string): string => join(folder, name);
  await write(at('links.csv'), linkLines());
  await write(at('instances.csv'), instanceLines());
  await write(at('moves.jsonl'), moveLines());
  await write(at('requests.jsonl'), [
    JSON.stringify({
      cluster: 'made-up',
      instance: 'vm7',
      source_node: 'n1',
      target_node: 'n2',
      start_at: time(startMs + spanMs),
    }),
  ]);
  const both = ['--link-samples', at('links.csv'), '--instance-samples', at('instances.csv')];
  const model = ['--models', at('models')];
  console.log(`${SAMPLES} link samples, ${SAMPLES} instance samples, ${MOVES} moves, all made up\n`);
  for (const [name, args] of [
    ['train, no samples', ['train', ...model, '--name', 'bare', '--records', at('moves.jsonl')]],
    ['train', ['train', ...model, '--records', at('moves.jsonl'), ...both]],
    ['predict', ['predict', '--requests', at('requests.jsonl'), '--history', at('moves.jsonl'), ...both]],
  ] as const) {
    const done = spawnSync(process.execPath, ['--import', REPORTS, 'dist/src/main.js', ...args], {
      encoding: 'utf8',
    });
    const used = /used ([\d.]+) ([\d.]+)/.exec(done.stderr);
    if (done.status !== 0 || used === null) throw new Error(`${name}: ${done.stderr}`);
    console.log(
      `${name.padEnd(20)}${Number(used[2]).toFixed(1).padStart(8)} s of processor time${Number(used[1]).toFixed(0).padStart(7)} MiB at the peak`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
