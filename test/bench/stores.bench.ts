/**
 * How many records a second go into each store: `npm run bench:store [records]`. InfluxDB (where `influxd` is
 * installed) beside the bare `influx` client, which writes the same points into the same server in turns: wall time,
 * medians and spread. Our side also looks for what is known already, the client does not.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { InfluxDB, type IPoint } from 'influx';
import { startMs, type MoveRecord } from '../../src/domain/move-record.js';
import type { InstanceSample } from '../../src/domain/samples.js';
import { toIsoTime } from '../../src/domain/units.js';
import { nanoTime, placeInMillisecond } from '../../src/store/line-protocol.js';
import { openStore } from '../../src/store/open-store.js';
import type { Store } from '../../src/store/store.js';
import { startInflux } from '../integration/influx-server.js';
import { requireOrSkip } from '../integration/real-servers.js';

const RECORDS = Number(process.argv[2] ?? 100_000);
const REPEATS = 5;
/** Records handed over at once. */
const BATCH = 5000;
const NODES = 50;
const INSTANCES = 1500;
/** Linux counts CPU time in hundredths of a second. */
const MICROS_PER_TICK = 10_000;
const FIRST_MS = Date.parse('2025-01-01T00:00:00Z');

const records: MoveRecord[] = Array.from({ length: RECORDS }, (_, i) => ({
  id: `move:${Math.imul(i, 2_654_435_761) >>> 0}-${i}`,
  origin: 'ganeti',
  cluster: 'east',
  instance: `vm${i % INSTANCES}.example.com`,
  source_node: `node${i % NODES}`,
  target_node: `node${(Math.floor(i / NODES) + i * 7 + 1) % NODES}`,
  operation: 'live_migration',
  started_at: toIsoTime(FIRST_MS + i * 3000),
  duration_seconds: 10 + (i % 1000) / 8,
  status: 'completed',
  memory_mib: 1024 * (1 + (i % 16)),
  vcpus: 1 + (i % 8),
  dirty_rate_mib_s: (i % 97) / 4,
  disk_mib: 0,
  link_mbps: 10_000,
  capabilities: ['auto-converge'],
}));

/** Records a second of wall time. */
async function rate(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (RECORDS / (performance.now() - startedMs)) * 1000;
}

async function fill(store: Store): Promise<void> {
  for (let from = 0; from < RECORDS; from += BATCH) await store.addMoves(records.slice(from, from + BATCH));
}

/** Microseconds of CPU that this process, and a server, have used so far. */
function cpuMicros(pid: number): number {
  const own = process.cpuUsage();
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ');
  return own.user + own.system + (Number(fields[13]) + Number(fields[14])) * MICROS_PER_TICK;
}

function line(name: string, rates: number[]): number {
  const sorted = rates.toSorted((a, b) => a - b);
  const median = sorted[sorted.length >> 1]!;
  const shown = (value: number): string => Math.round(value).toLocaleString('en');
  console.log(
    `${name.padEnd(44)}${shown(median).padStart(9)} records/s  (${shown(sorted[0]!)} to ${shown(sorted.at(-1)!)})`,
  );
  return median;
}

const folder = mkdtempSync(join(tmpdir(), 'movecast-bench-'));
console.log(
  `${cpus().length} x ${cpus()[0]?.model ?? 'unknown CPU'}, Node ${process.versions.node}, ${RECORDS} records, ${REPEATS} runs`,
);
try {
  const added: number[] = [];
  const known: number[] = [];
  const read: number[] = [];
  for (let run = 0; run < REPEATS; run++) {
    const store = await openStore(`sqlite:${join(folder, `${run}.db`)}`);
    added.push(await rate(() => fill(store)));
    known.push(await rate(() => fill(store)));
    read.push(
      await rate(async () => {
        for await (const move of store.moves()) if (move.id === '') throw new Error('no id');
      }),
    );
    await store.close();
  }
  line('SQLite, new', added);
  line('SQLite, known already', known);
  line('SQLite, read', read);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

if (requireOrSkip('influxd')) {
  const points: IPoint[] = records.map((record) => ({
    measurement: 'moves',
    tags: {
      cluster: record.cluster!,
      operation: record.operation,
      source_node: record.source_node,
    },
    fields: {
      target_node: record.target_node,
      id: record.id,
      instance: record.instance,
      origin: record.origin!,
      status: record.status!,
      duration_seconds: record.duration_seconds,
      memory_mib: record.memory_mib!,
      vcpus: record.vcpus!,
      dirty_rate_mib_s: record.dirty_rate_mib_s!,
      disk_mib: record.disk_mib!,
      link_mbps: record.link_mbps!,
      capabilities: JSON.stringify(record.capabilities),
    },
    timestamp: nanoTime(startMs(record), placeInMillisecond(record.id)),
  }));
  const server = await startInflux();
  try {
    const ours: number[] = [];
    const bare: number[] = [];
    const oursCpu: number[] = [];
    const bareCpu: number[] = [];
    const costing = async (costs: number[], work: () => Promise<number>): Promise<number> => {
      const before = cpuMicros(server.pid);
      const result = await work();
      costs.push((cpuMicros(server.pid) - before) / RECORDS);
      return result;
    };
    const read: number[] = [];
    for (let run = 0; run < REPEATS; run++) {
      const store = await openStore(server.url(`ours${run}`));
      ours.push(await costing(oursCpu, () => rate(() => fill(store))));
      if (run === 0) {
        read.push(
          await rate(async () => {
            for await (const move of store.moves()) if (move.id === '') throw new Error('no id');
          }),
        );
      }
      await store.close();
      const client = new InfluxDB({ host: '127.0.0.1', port: server.port, database: `bare${run}` });
      await client.createDatabase(`bare${run}`);
      bare.push(
        await costing(bareCpu, () =>
          rate(async () => {
            for (let from = 0; from < RECORDS; from += BATCH)
              await client.writePoints(points.slice(from, from + BATCH), { precision: 'n' });
          }),
        ),
      );
    }
    line('InfluxDB, new', ours);
    line('InfluxDB, the bare client', bare);
    line('InfluxDB, read', read);
    const median = (values: readonly number[]): number =>
      values.toSorted((a, b) => a - b)[values.length >> 1]!;
    const micros = (values: readonly number[]): string => median(values).toFixed(1);
    console.log(
      `CPU of client and server together: ours ${micros(oursCpu)}, the bare client ${micros(bareCpu)} microseconds a record`,
    );
    const ratio = (own: readonly number[], other: readonly number[]): string =>
      median(own.map((value, run) => value / other[run]!)).toFixed(2);
    console.log(
      `ratio to the bare client: ${ratio(ours, bare)} by wall time, ${ratio(bareCpu, oursCpu)} by CPU time`,
    );
    for (const instances of [1000, 10_000, 100_000]) {
      const store = await openStore(server.url(`series${instances}`));
      const samples: InstanceSample[] = Array.from({ length: RECORDS }, (_, i) => ({
        at: toIsoTime(FIRST_MS + Math.floor(i / instances) * 60_000),
        instance: `vm${i % instances}.example.com`,
        cpu_load: (i % 64) / 8,
        dirty_rate_mib_s: (i % 97) / 4,
      }));
      line(`InfluxDB, samples of ${instances.toLocaleString('en')} instances`, [
        await rate(async () => {
          for (let from = 0; from < RECORDS; from += BATCH)
            await store.addInstanceSamples(samples.slice(from, from + BATCH));
        }),
      ]);
      await store.close();
    }
  } finally {
    await server.remove();
  }
}
