/**
 * The service beside a bare express app that answers a constant, and beside Node's own server, in one run: `npm run bench:service [SECONDS]`, after
 * `npm run build`. Prints the machine, requests a second, CPU time a request (of the server's process, from the kernel),
 * latency at a fixed rate, and the time for 10,000 pairs of `move-costs`. Rounds alternate, so that load from outside
 * meets both; figures are medians of the rounds.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { closedLoop, openLoop, percentile, requestBytes } from './http-load.js';

const SECONDS = Number(process.argv[2] ?? 3);
const ROUNDS = 5;
const CONNECTIONS = 16;
const RATE = 2000;
const RATE_CONNECTIONS = 64;
const RATE_SECONDS = 4;
const WARM_SECONDS = 6;
const INSTANCES = 100;
const NODES = 100;
const PAIRS_REPEATS = 15;
/** The kernel counts CPU time in such ticks a second (getconf CLK_TCK). */
const TICKS_PER_SECOND = 100;

const folder = mkdtempSync(join(tmpdir(), 'movecast-bench-'));
const children: ChildProcess[] = [];

function start(args: string[]): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.stdout!.once('data', (chunk) => resolve({ child, line: String(chunk) }));
    child.once('exit', (code) => reject(new Error(`${args.join(' ')} ended with ${code}`)));
  });
}

/** CPU seconds that a process has used. */
function cpuSeconds({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Every thread of a process goes before those of other programs; false where that is not allowed. */
const putFirst = ({ pid }: { pid?: number | undefined }): boolean =>
  spawnSync('chrt', ['--all-tasks', '--fifo', '--pid', '1', String(pid)]).status === 0;

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const spread = (values: readonly number[]): string =>
  `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`;

try {
  const store = `sqlite:${join(folder, 'moves.db')}`;
  spawnSync(process.execPath, [
    'dist/src/main.js',
    'collect',
    'records',
    'data/osic/records.jsonl',
    '--store',
    store,
    '--quiet',
  ]);
  const bare = await start(['test/bench/bare-express.mjs']);
  const node = await start(['test/bench/bare-http.mjs']);
  const spawnedMs = performance.now();
  const served = await start([
    'dist/src/main.js',
    'serve',
    '--port',
    '0',
    '--json',
    '--store',
    store,
    '--requests-per-second',
    '1000000',
  ]);
  const port = Number(new URL((JSON.parse(served.line) as { url: string }).url).port);
  for (;;)
    if (
      await fetch(`http://127.0.0.1:${port}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      break;
  const readyMs = performance.now() - spawnedMs;
  console.log(
    `${cpus()[0]!.model}, ${cpus().length} cores, load ${loadavg()[0]!.toFixed(1)}, Node ${process.version}`,
  );
  console.log(`ready after ${readyMs.toFixed(0)} ms with the committed model and 4,252 moves in the store`);

  const one = requestBytes(
    '/v1/predictions',
    JSON.stringify({
      requests: [
        { instance: 'web1', source_node: 'node1', target_node: 'node2', memory_mib: 4096, link_mbps: 10000 },
      ],
    }),
  );
  const measured = (name: string, at: number, child: ChildProcess) => ({
    name,
    port: at,
    child,
    perSecond: [] as number[],
    cpuMicros: [] as number[],
  });
  const sides = [
    measured('bare express', Number(bare.line), bare.child),
    measured('bare node:http', Number(node.line), node.child),
    measured('movecast', port, served.child),
  ];
  const [express, , movecast] = sides as [(typeof sides)[0], (typeof sides)[0], (typeof sides)[0]];
  for (const { port: at } of sides) await closedLoop(at, one, CONNECTIONS, WARM_SECONDS);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const side of sides) {
      const before = cpuSeconds(side.child);
      const { answered, failed, seconds } = await closedLoop(side.port, one, CONNECTIONS, SECONDS);
      if (failed > 0) throw new Error(`${side.name}: ${failed} requests failed`);
      side.perSecond.push(answered / seconds);
      side.cpuMicros.push(((cpuSeconds(side.child) - before) / answered) * 1e6);
    }
  }
  console.log(
    `\nsingle prediction, ${CONNECTIONS} connections, ${ROUNDS} rounds of ${SECONDS} s: median (spread)`,
  );
  for (const { name, perSecond, cpuMicros } of sides)
    console.log(
      `  ${name.padEnd(14)} ${median(perSecond).toFixed(0).padStart(6)} requests/s (${spread(perSecond)})   ${median(cpuMicros).toFixed(0).padStart(4)} us CPU a request (${spread(cpuMicros)})`,
    );
  console.log(
    `  movecast to bare express: ${((100 * median(movecast.perSecond)) / median(express.perSecond)).toFixed(0)} % of the requests a second, ${((100 * median(express.cpuMicros)) / median(movecast.cpuMicros)).toFixed(0)} % by CPU time`,
  );

  const pairs = JSON.stringify({
    instances: Array.from({ length: INSTANCES }, (_, i) => ({
      instance: `i${i}`,
      source_node: `n${i % NODES}`,
      memory_mib: 1024 * (1 + (i % 8)),
      link_mbps: 10000,
    })),
    target_nodes: Array.from({ length: NODES }, (_, k) => `n${k}`),
  });
  console.log(`\nbeside whatever else runs here`);
  await latencies();
  await moveCosts();
  if ([process, ...sides.map(({ child }) => child)].every(putFirst)) {
    console.log(`\nput before whatever else runs here (chrt --fifo, caller and servers)`);
    await latencies();
    await moveCosts();
  }

  async function latencies(): Promise<void> {
    console.log(
      `latency at ${RATE} requests/s, ${ROUNDS} rounds of ${RATE_SECONDS} s from when each was due: median of the rounds (spread)`,
    );
    const rounds = sides.map((): Float64Array[] => []);
    for (let round = 0; round < ROUNDS; round += 1)
      for (const [index, side] of sides.entries()) {
        const { latenciesMs, failed } = await openLoop(side.port, one, RATE_CONNECTIONS, RATE, RATE_SECONDS);
        if (failed > 0) throw new Error(`${side.name}: ${failed} requests failed`);
        rounds[index]!.push(latenciesMs);
      }
    for (const [index, { name }] of sides.entries()) {
      const at = (p: number): string => {
        const values = rounds[index]!.map((sorted) => percentile(sorted, p));
        return `${median(values).toFixed(2)} ms (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`;
      };
      console.log(`  ${name.padEnd(14)} p50 ${at(0.5)}, p99 ${at(0.99)}, p99.9 ${at(0.999)}`);
    }
    console.log(`  load of the machine ${loadavg()[0]!.toFixed(1)}`);
  }

  async function moveCosts(): Promise<void> {
    console.log(`${INSTANCES * NODES} pairs in one move-costs call, ${PAIRS_REPEATS} calls: median (spread)`);
    for (const accept of ['application/json', 'application/octet-stream']) {
      const times: number[] = [];
      const before = cpuSeconds(served.child);
      for (let i = 0; i < PAIRS_REPEATS; i += 1) {
        const sentMs = performance.now();
        const answer = await fetch(`http://127.0.0.1:${port}/v1/move-costs`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', accept },
          body: pairs,
        });
        await answer.arrayBuffer();
        times.push(performance.now() - sentMs);
      }
      console.log(
        `  ${accept.padEnd(26)} median ${median(times).toFixed(0)} ms (${spread(times)}), ${((1000 * (cpuSeconds(served.child) - before)) / PAIRS_REPEATS).toFixed(0)} ms CPU`,
      );
    }
  }
} finally {
  for (const child of children) child.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
}
