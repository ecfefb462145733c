import { describe, expect, it } from '@jest/globals';
import type { MoveRecord } from '../../src/domain/move-record.js';
import { inputsOfRecord } from '../../src/predictor/move-inputs.js';
import { Level, moveKeys } from '../../src/predictor/move-keys.js';
import { movePhysics, newPhysicsResult } from '../../src/predictor/move-physics.js';
import { fitPhysicsByCluster, withSpeeds } from '../../training/physics-fit.js';
import { seededRandom } from '../../training/seeded-random.js';

const SENT_SHARE = 0.8;
const NODES_MIB_S = [120, 200, 220, 260, 300, 420];
const LINK_MIB_S = 250;

/** Invented moves of quiet guests: the slowest of source, target and link decides. */
function move(i: number, source: number, target: number, usedMemoryMib: number, noise: number): MoveRecord {
  const sentMib = SENT_SHARE * usedMemoryMib;
  const rateMibS = Math.min(LINK_MIB_S, NODES_MIB_S[source]!, NODES_MIB_S[target]!);
  return {
    id: `invented-${i}`,
    origin: 'synthetic',
    cluster: 'site',
    instance: `vm${i % 7}`,
    source_node: `node${source}`,
    target_node: `node${target}`,
    operation: 'live_migration',
    started_at: new Date(Date.UTC(2026, 0, 1) + i * 3_600_000).toISOString(),
    duration_seconds: (1 + sentMib / rateMibS) * Math.exp(noise),
    memory_mib: 2 * usedMemoryMib,
    used_memory_mib: usedMemoryMib,
    dirty_rate_mib_s: 0,
    link_mbps: (LINK_MIB_S * 8 * 2 ** 20) / 1e6,
    concurrent_moves: 0,
    transferred_mib: sentMib,
  };
}

function invented(count: number): MoveRecord[] {
  const random = seededRandom(3);
  const below = (n: number): number => Math.floor(n * random());
  return Array.from({ length: count }, (_, i) => {
    const source = below(NODES_MIB_S.length);
    const target = (source + 1 + below(NODES_MIB_S.length - 1)) % NODES_MIB_S.length;
    return move(i, source, target, 1000 + below(3000), 0.1 * (random() - 0.5));
  });
}

describe('fit of the physics', () => {
  const { clusters, speeds, speedSpread } = fitPhysicsByCluster(invented(300));
  const secondsOf = (record: MoveRecord): number => {
    const inputs = withSpeeds(speeds, inputsOfRecord)(record);
    return movePhysics(inputs, clusters['site']!, newPhysicsResult()).seconds;
  };

  it('tells much memory from a slow stream by what was sent', () => {
    expect(clusters['site']!.sentShare / SENT_SHARE).toBeGreaterThan(0.95);
    expect(clusters['site']!.sentShare / SENT_SHARE).toBeLessThan(1.05);
  });

  it('finds which nodes are slow, and how far nodes differ', () => {
    const speedOf = (node: number): number => {
      const keys = moveKeys(inputsOfRecord(move(0, node, (node + 1) % NODES_MIB_S.length, 1000, 0)));
      return speeds.get(keys[Level.source]!)!;
    };
    for (let node = 1; node < 4; node++) expect(speedOf(node)).toBeGreaterThan(speedOf(node - 1));
    // Of nodes faster than the link no move can tell how fast they are.
    expect(speedOf(0)).toBeLessThan(-0.3);
    expect(speedSpread.clusters['site']).toBeGreaterThan(speedSpread.global);
  });

  it('says of sizes four times as large, of every pair, how long they take', () => {
    for (let source = 0; source < NODES_MIB_S.length; source++) {
      for (let target = 0; target < NODES_MIB_S.length; target++) {
        if (source === target) continue;
        const large = move(0, source, target, 16_000, 0);
        expect(Math.abs(Math.log(secondsOf(large) / large.duration_seconds))).toBeLessThan(0.15);
      }
    }
  });

  it('knows of a node never seen that a slow partner decides all the same', () => {
    const never = { ...move(0, 0, 5, 4000, 0), target_node: 'never seen' };
    expect(Math.abs(Math.log(secondsOf(never) / never.duration_seconds))).toBeLessThan(0.15);
  });
});
