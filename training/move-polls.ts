import { readFileSync } from 'node:fs';
import { UserError } from '../src/domain/errors.js';
import { parseMoveRecord, type MoveRecord } from '../src/domain/move-record.js';
import { moveProgressSchema, type MoveProgress } from '../src/domain/move-progress.js';
import { BYTES_PER_MIB, MS_PER_SECOND } from '../src/domain/units.js';

/** A finished or broken-off move, with what it showed while it ran, in order of time. */
export interface PolledMove {
  record: MoveRecord;
  polls: MoveProgress[];
}

/** Bytes of a page, by which QEMU counts dirty pages. */
const PAGE_BYTES = 4096;
/** While a move shows one of these it is under way. */
const UNDER_WAY = new Set(['active', 'postcopy-active']);

interface LabLine {
  id: string;
  progress: Record<
    't_ms' | 'remaining' | 'transferred' | 'dirty_sync_count' | 'dirty_pages_rate' | 'mbps',
    (number | null)[]
  > & { status: string[] };
}

/** The laboratory's moves with their polls of `query-migrate`; polls at or after the end are left out. */
export function readLabPolls(folder: string): PolledMove[] {
  const lines = (name: string): unknown[] =>
    readFileSync(`${folder}/${name}`, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as unknown);
  const polls = new Map((lines('progress.jsonl') as LabLine[]).map((line) => [line.id, line.progress]));
  return lines('records.jsonl').map((raw, index) => {
    const parsed = parseMoveRecord(raw);
    if (!parsed.ok)
      throw new UserError('input-invalid', `${folder}/records.jsonl:${index + 1}: ${parsed.reason}`);
    const record = parsed.value;
    const progress = polls.get(record.id);
    return { record, polls: progress === undefined ? [] : pollsOf(progress, record.duration_seconds) };
  });
}

function pollsOf(progress: LabLine['progress'], durationSeconds: number): MoveProgress[] {
  const polls: MoveProgress[] = [];
  progress.t_ms.forEach((ms, k) => {
    const elapsed = (ms ?? 0) / MS_PER_SECOND;
    if (!(elapsed > 0 && elapsed < durationSeconds) || !UNDER_WAY.has(progress.status[k] ?? '')) return;
    polls.push(
      moveProgressSchema.parse({
        elapsed_seconds: elapsed,
        transferred_mib: (progress.transferred[k] ?? 0) / BYTES_PER_MIB,
        remaining_mib: (progress.remaining[k] ?? 0) / BYTES_PER_MIB,
        dirty_rate_mib_s: ((progress.dirty_pages_rate[k] ?? 0) * PAGE_BYTES) / BYTES_PER_MIB,
        throughput_mbps: progress.mbps[k] ?? 0,
        dirty_sync_count: progress.dirty_sync_count[k] ?? 0,
      }),
    );
  });
  return polls;
}
