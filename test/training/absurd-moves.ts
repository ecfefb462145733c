import type { MoveRecord } from '../../src/domain/move-record.js';
import { seededRandom } from '../../training/seeded-random.js';

/**
 * Records that pass every check of a single record and yet cannot be true: durations from a millisecond to months that
 * have nothing to do with the bytes, sizes at both ends of what is allowed, times decades apart, a different kind of
 * nonsense in each. They name the instances, nodes and clusters of real moves as well as those of nobody.
 */
export function absurdMoves(count: number, among: readonly MoveRecord[], seed = 1): MoveRecord[] {
  const random = seededRandom(seed);
  const oneOf = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  return Array.from({ length: count }, (_, i): MoveRecord => {
    const real = oneOf(among);
    const absurd: MoveRecord = {
      ...real,
      id: `absurd-${i}`,
      started_at: new Date(
        Date.parse(oneOf(among).started_at) + Math.floor(random() * 3_600_000),
      ).toISOString(),
      duration_seconds: 10 ** (random() * 9 - 3),
      memory_mib: oneOf([0, 1, 4096, 2 ** 40]),
      disk_mib: oneOf([0, 0, 2 ** 40]),
      link_mbps: oneOf([0, 1e-3, 1000, 1e9]),
      dirty_rate_mib_s: oneOf([0, 2 ** 40]),
      vcpus: oneOf([0, 1, 1e9]),
      concurrent_moves: oneOf([0, 0, 1e9]),
      cpu_load: oneOf([0, 1e6]),
    };
    switch (i % 5) {
      case 0:
        return absurd;
      case 1:
        return { ...absurd, cluster: `nowhere-${i}`, instance: `nobody-${i}` };
      case 2:
        return { ...absurd, target_node: absurd.source_node, downtime_limit_ms: 0 };
      case 3:
        return { ...absurd, started_at: oneOf(['2000-01-01T00:00:00.000Z', '2199-12-31T23:59:59.999Z']) };
      default:
        return { ...real, id: `absurd-${i}`, duration_seconds: oneOf([0.001, 8_640_000]) };
    }
  });
}
