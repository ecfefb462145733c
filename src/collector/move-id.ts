import { createHash } from 'node:crypto';
import { fromIsoTime } from '../domain/units.js';

/**
 * The id of a move that came without one: a hash of cluster, instance, operation, nodes and start, so that the same
 * move read twice has the same id. Takes the raw value, before it is validated.
 */
export function moveIdFor(value: Readonly<Record<string, unknown>>): string {
  const startedAt = value['started_at'];
  const ms = typeof startedAt === 'string' ? fromIsoTime(startedAt) : NaN;
  const parts = ['cluster', 'instance', 'operation', 'source_node', 'target_node'].map(
    (key) => value[key] ?? null,
  );
  const hash = createHash('sha256').update(JSON.stringify([...parts, ms]));
  return `move:${hash.digest('hex').slice(0, 32)}`;
}
