import { describe, expect, it } from '@jest/globals';
import { inputsOfRecord } from '../../src/predictor/move-inputs.js';
import { Level, moveKeys } from '../../src/predictor/move-keys.js';
import { movePhysics, newPhysicsResult, priorConstants } from '../../src/predictor/move-physics.js';
import type { MoveRecord } from '../../src/domain/move-record.js';
import { calibratePhysics } from '../../training/physics-calibration.js';
import { inventedMoves } from './invented-moves.js';

const physics = { global: priorConstants(), clusters: {} };
const bySize = (factorOf: (i: number) => number): MoveRecord[] =>
  inventedMoves(40).map((record, i) => {
    const sized = {
      ...record,
      cluster: 'c',
      memory_mib: 1024 + 64 * i,
      capabilities: [],
      concurrent_moves: 0,
    };
    delete sized.transferred_mib;
    const { seconds } = movePhysics(inputsOfRecord(sized), physics.global, newPhysicsResult());
    return { ...sized, status: 'completed', duration_seconds: seconds * factorOf(i) };
  });
const offset = (records: readonly MoveRecord[]): number =>
  calibratePhysics(records, physics)[moveKeys(inputsOfRecord(records[0]!))[Level.cluster]!]!.offset;

describe('calibration of physics', () => {
  it('finds by what factor durations of a cluster differ from physics', () => {
    expect(offset(bySize(() => 1.5))).toBeCloseTo(Math.log(1.5), 1);
  });

  it('is hardly moved by a few sizes that are far off', () => {
    const clean = offset(bySize(() => 1.2));
    const spoilt = offset(bySize((i) => (i % 10 === 5 ? 40 : 1.2)));
    expect(Math.abs(spoilt - clean)).toBeLessThan(0.1);
  });

  it('tells what was sent from how fast: moves that sent half as much, in half the time, are not fast ones', () => {
    const records = bySize(() => 1).map((record): MoveRecord => {
      const result = movePhysics(inputsOfRecord(record), physics.global, newPhysicsResult());
      const sent = result.transferredMib / 2;
      return {
        ...record,
        transferred_mib: sent,
        duration_seconds: result.seconds - sent / result.bandwidthMibS,
      };
    });
    expect(offset(records)).toBeCloseTo(0, 6);
  });
});
