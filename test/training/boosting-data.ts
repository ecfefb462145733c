/** Frames of real moves for comparing trainers on the same split: inputs known at the start, in order of time. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface SplitFrame {
  columns: Float64Array[];
  /** log of seconds */
  target: Float64Array;
  /** 1 where the move was broken off: it would have lasted at least this long. */
  censored: Uint8Array;
  rows: number;
  /** Rows from here on are for testing. */
  testFromRow: number;
}

type Row = Record<string, unknown>;

function records(folder: string): Row[] {
  const lines = readFileSync(join('data', folder, 'records.jsonl'), 'utf8')
    .trimEnd()
    .split('\n');
  return lines.map((line) => JSON.parse(line) as Row);
}

const number = (value: unknown): number => (typeof value === 'number' ? value : NaN);
const has = (row: Row, capability: string): number =>
  Array.isArray(row['capabilities']) && row['capabilities'].includes(capability) ? 1 : 0;

/** 4,252 moves on OpenStack clouds, tested on the last 1,000; the instance's move before is known once it has ended. */
export function osicFrame(): SplitFrame {
  const rows = records('osic');
  const lastOf = new Map<string, { endMs: number; seconds: number }[]>();
  const before = rows.map((row) => {
    const startMs = Date.parse(String(row['started_at']));
    const seconds = number(row['duration_seconds']);
    const past = lastOf.get(String(row['instance'])) ?? [];
    lastOf.set(String(row['instance']), [...past, { endMs: startMs + 1000 * seconds, seconds }]);
    return past.filter((move) => move.endMs <= startMs).at(-1)?.seconds ?? NaN;
  });
  return frameOf(rows, 3252, [
    (row) => number(row['memory_mib']),
    (row) => number(row['disk_mib']),
    (row) => number(row['vcpus']),
    (row) => number(row['concurrent_moves']),
    (row) => has(row, 'tunnelled'),
    (_, i) => before[i]!,
  ]);
}

/** 501 moves of QEMU guests, many broken off, tested on the last 150. */
export function qemuFrame(): SplitFrame {
  const keys = [
    'memory_mib',
    'used_memory_mib',
    'dirty_rate_mib_s',
    'link_mbps',
    'background_mbps',
    'cpu_load',
  ];
  const capabilities = ['xbzrle', 'auto-converge', 'compress', 'multifd', 'postcopy-ram'];
  return frameOf(records('qemu-lab'), 351, [
    ...keys.map((key) => (row: Row) => number(row[key])),
    (row) => number(row['concurrent_moves']),
    ...capabilities.map((name) => (row: Row) => has(row, name)),
  ]);
}

function frameOf(
  rows: Row[],
  testFromRow: number,
  features: ((row: Row, i: number) => number)[],
): SplitFrame {
  return {
    columns: features.map((feature) => Float64Array.from(rows, feature)),
    target: Float64Array.from(rows, (row) => Math.log(Math.max(0.001, number(row['duration_seconds'])))),
    censored: Uint8Array.from(rows, (row) => (row['status'] === 'completed' ? 0 : 1)),
    rows: rows.length,
    testFromRow,
  };
}
