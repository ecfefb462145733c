import { DEFAULT_CLUSTER } from '../domain/move-record.js';
import { tagValue } from './line-protocol.js';

/** Ranges of time asked for at once when looking for what is known already. */
const MOST_WINDOWS = 500;
/** Times nearer than this are asked for in one range. */
const WINDOW_GAP_MS = 60_000;
/** A part of a WHERE clause, and the placeholder in it. */
export interface Condition {
  clause: string;
  name?: string;
  value?: string;
}

export const equals = (
  name: string,
  value: string | undefined,
  encode: (text: string) => string = (text) => text,
): Condition[] =>
  value === undefined ? [] : [{ clause: `"${name}" = $${name}`, name, value: encode(value) }];

/** A tag that is absent reads as empty. */
export const clusterCondition = (cluster: string | undefined): Condition[] =>
  cluster === DEFAULT_CLUSTER
    ? [{ clause: '("cluster" = $cluster OR "cluster" = \'\')', name: 'cluster', value: cluster }]
    : equals('cluster', cluster, tagValue);

/** Epoch milliseconds; any time of ours lies inside, and InfluxDB can hold both. */
const FIRST_MS = 0;
const LAST_MS = Date.parse('2262-01-01T00:00:00Z');

/** A WHERE clause of a range of time, [from, to) in epoch milliseconds, and further conditions. */
export function conditions(
  { fromMs = -Infinity, toMs = Infinity }: { fromMs?: number; toMs?: number },
  more: readonly Condition[],
): { where: string; placeholders: Record<string, string> } {
  const bound = (ms: number): number => Math.min(LAST_MS, Math.max(FIRST_MS, Math.ceil(ms)));
  const clauses = [`time >= ${bound(fromMs)}ms`, `time < ${bound(toMs)}ms`];
  const placeholders: Record<string, string> = {};
  for (const { clause, name, value } of more) {
    clauses.push(clause);
    if (name !== undefined && value !== undefined) placeholders[name] = value;
  }
  return { where: `WHERE ${clauses.join(' AND ')}`, placeholders };
}

/**
 * The fewest half-open ranges of milliseconds that cover the given times (in order) without covering gaps of more
 * than a minute; of larger gaps as many as there may be ranges. O(times · log gap).
 */
export function timeWindows(times: readonly number[]): [fromMs: number, toMs: number][] {
  for (let gapMs = WINDOW_GAP_MS; ; gapMs *= 4) {
    const windows: [number, number][] = [];
    for (const ms of times) {
      const last = windows[windows.length - 1];
      if (last !== undefined && ms < last[1] + gapMs) last[1] = Math.max(last[1], ms + 1);
      else windows.push([ms, ms + 1]);
    }
    if (windows.length <= MOST_WINDOWS) return windows;
  }
}
