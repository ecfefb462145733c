import { beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { median, sampleRankCorrelation } from 'simple-statistics';
import { isCompleted, moveRecordSchema, type MoveRecord } from '../../src/domain/move-record.js';
import { Capability, inputsOfRecord } from '../../src/predictor/move-inputs.js';
import { movePhysics, newPhysicsResult, sentOf } from '../../src/predictor/move-physics.js';
import { fitPhysicsByCluster } from '../../training/physics-fit.js';

interface Compared {
  rounds: number;
  syncs: number;
  expectedMib: number;
  sentMib: number;
}

/**
 * The rounds and the bytes that QEMU counted for real moves, against those of the physics. The constants are fitted to
 * how long these moves took: neither count is shown to the fit.
 */
describe('pre-copy against the rounds that QEMU recorded', () => {
  let compared: Compared[];
  beforeAll(() => {
    const records: MoveRecord[] = readFileSync('data/qemu-lab/records.jsonl', 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => moveRecordSchema.parse(JSON.parse(line)));
    const { global, clusters } = fitPhysicsByCluster(records);
    compared = records.flatMap((record) => {
      const inputs = inputsOfRecord(record);
      const isPrecopy = (inputs.capabilities & Capability.postcopy) === 0;
      const sentMib = sentOf(record, inputs);
      if (!isCompleted(record) || !isPrecopy || !(sentMib > 0) || record.dirty_sync_count === undefined)
        return [];
      const physics = movePhysics(inputs, clusters[inputs.cluster] ?? global, newPhysicsResult());
      return {
        rounds: physics.rounds,
        syncs: record.dirty_sync_count,
        expectedMib: physics.transferredMib,
        sentMib,
      };
    });
  });

  it('expects about as many MiB as were sent', () => {
    expect(compared.length).toBeGreaterThan(300);
    const errors = compared.map(({ expectedMib, sentMib }) => Math.log(expectedMib / sentMib));
    expect(Math.abs(median(errors))).toBeLessThan(0.1);
    expect(median(errors.map(Math.abs))).toBeLessThan(0.15);
  });

  it('expects more rounds where QEMU read its dirty bitmap more often, a time or two more than there are rounds', () => {
    const rounds = compared.map((move) => move.rounds);
    const syncs = compared.map((move) => move.syncs);
    expect(sampleRankCorrelation(rounds, syncs)).toBeGreaterThan(0.5);
    const beyond = median(compared.map((move) => move.syncs - move.rounds));
    expect(beyond).toBeGreaterThanOrEqual(0);
    expect(beyond).toBeLessThanOrEqual(2);
  });
});
