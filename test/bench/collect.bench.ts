/**
 * How fast the collector reads, and in how much memory: `npm run bench:collect [most lines of the memory series]`.
 * Parsing is timed in this process (lines → JSON → valid record → batch, dropped at the end), beside its parts alone:
 * `JSON.parse` and the schema. Memory is the peak resident size of the real program, fed through a pipe.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Checkpoints } from '../../src/collector/checkpoints.js';
import { Collector } from '../../src/collector/collector.js';
import { Collection } from '../../src/collector/pipeline.js';
import { checkMoveRecord } from '../../src/collector/record-check.js';
import { RejectsFile } from '../../src/collector/rejects.js';
import { recordsSource } from '../../src/collector/sources/records.js';
import { parseMoveRecord } from '../../src/domain/move-record.js';

const MOST_LINES = Number(process.argv[2] ?? 10_000_000);
const RECORDS = 20_000;
/** Each timed piece of work goes over them so often. */
const ROUNDS = 10;
const REPEATS = 5;
const CHUNK_BYTES = 1 << 18;

/** The shipped records of real clouds, over and over with ids of their own. */
const shipped = readFileSync('data/osic/records.jsonl', 'utf8').trimEnd().split('\n');
const lines = (first: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) =>
    shipped[(first + index) % shipped.length]!.replace('"osic:', `"${first + index}:`),
  );

const shown = (value: number): string => Math.round(value).toLocaleString('en');

/** Median records a second, by the wall and by processor time (all threads: on a busy machine the one to trust). */
async function timed(name: string, work: () => Promise<number> | number): Promise<void> {
  const walls: number[] = [];
  const processors: number[] = [];
  await work(); // warm
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const beganMs = performance.now();
    const before = process.cpuUsage();
    let records = 0;
    for (let round = 0; round < ROUNDS; round++) records += await work();
    const { user, system } = process.cpuUsage(before);
    walls.push((records / (performance.now() - beganMs)) * 1000);
    processors.push((records / (user + system)) * 1e6);
  }
  const of = (rates: number[]): string => {
    rates.sort((a, b) => a - b);
    return `${shown(rates[REPEATS >> 1]!).padStart(9)} (${shown(rates[0]!)} to ${shown(rates.at(-1)!)})`;
  };
  console.log(`${name.padEnd(46)}${of(walls).padEnd(36)}${of(processors)}`);
}

/** Everything but the store. */
async function collectFrom(text: Buffer): Promise<number> {
  let count = 0;
  const collection = new Collection({
    sink: {
      add: async ({ moves }) => {
        count += moves.length;
        return { new: moves.length, known: 0 };
      },
    },
    rejects: new RejectsFile(undefined),
  });
  const collector = new Collector({
    collection,
    checkpoints: new Checkpoints(undefined, Date.now),
    source: recordsSource,
    context: {},
    settings: '',
    resume: false,
    stdin: (async function* () {
      for (let at = 0; at < text.length; at += CHUNK_BYTES) yield text.subarray(at, at + CHUNK_BYTES);
    })(),
    now: Date.now,
    remark: () => undefined,
  });
  await collector.read({ files: [{ path: '-', bytes: 0, isNamed: true }], unreadable: [] });
  return count;
}

/** Peak resident MiB of the program reading so many lines from a pipe. */
async function peakMibOf(args: readonly string[], count: number): Promise<number> {
  const program = resolve('dist/src/main.js');
  const child = spawn(process.execPath, [program, 'collect', 'records', '-', '--json', ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += String(chunk)));
  let peakMib = 0;
  const look = setInterval(() => {
    const status = `/proc/${child.pid}/status`;
    const peak = existsSync(status) ? /VmHWM:\s+(\d+) kB/.exec(readFileSync(status, 'utf8')) : null;
    if (peak !== null) peakMib = Math.max(peakMib, Number(peak[1]) / 1024);
  }, 20);
  const closed = once(child, 'close');
  const PIECE = 1000;
  for (let first = 0; first < count; first += PIECE) {
    const piece = `${lines(first, Math.min(PIECE, count - first)).join('\n')}\n`;
    if (!child.stdin.write(piece)) await once(child.stdin, 'drain');
  }
  child.stdin.end();
  await closed;
  clearInterval(look);
  const { read, rejected } = JSON.parse(out) as { read: number; rejected: number };
  if (read !== count || rejected !== 0) throw new Error(`read ${read} of ${count}, ${rejected} rejected`);
  return peakMib;
}

console.log(`${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`);
const some = lines(0, RECORDS);
const text = Buffer.from(`${some.join('\n')}\n`);
console.log(
  `${shown(RECORDS)} records of ${Math.round(text.length / RECORDS)} bytes, ${ROUNDS} times; median of ${REPEATS} (slowest to fastest)\n`,
);
console.log(`${''.padEnd(46)}${'records/s of wall time'.padEnd(36)}records/s of processor time`);
await timed('JSON.parse alone', () => {
  let count = 0;
  for (const line of some) if (JSON.parse(line) !== null) count++;
  return count;
});
const values = some.map((line) => JSON.parse(line) as unknown);
await timed(
  'the schema alone (parseMoveRecord)',
  () => values.filter((value) => parseMoveRecord(value).ok).length,
);
await timed(
  'the check alone (checkMoveRecord)',
  () => values.filter((value) => checkMoveRecord(value).ok).length,
);
await timed('parsed from JSONL: lines, JSON, check, batch', () => collectFrom(text));

console.log('\npeak resident memory of the program, fed through a pipe');
const tell = (name: string, count: number, peakMib: number): void =>
  console.log(`${name.padEnd(16)}${shown(count).padStart(11)} lines ${peakMib.toFixed(0).padStart(5)} MiB`);
for (let count = 1000; count <= MOST_LINES; count *= 10)
  tell('--dry-run', count, await peakMibOf(['--dry-run'], count));
for (let count = 1000; count <= Math.min(MOST_LINES, 1_000_000); count *= 10) {
  const folder = mkdtempSync(join(tmpdir(), 'movecast-bench-'));
  try {
    tell('into SQLite', count, await peakMibOf(['--store', `sqlite:${join(folder, 'moves.db')}`], count));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
