import { beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { median, sampleRankCorrelation } from 'simple-statistics';
import {
  finishMs,
  isCompleted,
  moveRecordSchema,
  startMs,
  type MoveRecord,
} from '../../src/domain/move-record.js';
import { Capability, inputsOfRecord } from '../../src/predictor/move-inputs.js';
import { movePhysics, newPhysicsResult, sentOf } from '../../src/predictor/move-physics.js';
import { fitPhysicsByCluster } from '../../training/physics-fit.js';

interface Compared {
  rounds: number;
  syncs: number;
  expectedMib: number;
  sentMib: number;
}

/** The fit sees the moves that had finished before this share of all started; the others are judged. */
const FITTED_SHARE = 0.6;

/**
 * The rounds and the bytes that QEMU counted for real moves, against those of the physics. The constants are fitted to how
 * long earlier moves took and to what they sent; rounds are never shown to the fit, and of the moves judged here nothing is.
 */
describe('pre-copy against the rounds that QEMU recorded', () => {
  let compared: Compared[];
  beforeAll(() => {
    const records: MoveRecord[] = readFileSync('data/qemu-lab/records.jsonl', 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => moveRecordSchema.parse(JSON.parse(line)));
    records.sort((a, b) => startMs(a) - startMs(b));
    const splitMs = startMs(records[Math.floor(FITTED_SHARE * records.length)]!);
    const { global, clusters } = fitPhysicsByCluster(records.filter((record) => finishMs(record) <= splitMs));
    const later = records.filter((record) => startMs(record) >= splitMs);
    compared = later.flatMap((record) => {
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
    expect(compared.length).toBeGreaterThan(100);
    const errors = compared.map(({ expectedMib, sentMib }) => Math.log(expectedMib / sentMib));
    expect(Math.abs(median(errors))).toBeLessThan(0.1);
    expect(median(errors.map(Math.abs))).toBeLessThan(0.15);
  });

  it('expects more rounds where QEMU read its dirty bitmap more often, a time or two more than there are rounds', () => {
    const rounds = compared.map((move) => move.rounds);
    const syncs = compared.map((move) => move.syncs);
    expect(sampleRankCorrelation(rounds, syncs)).toBeGreaterThan(0.5);
    const beyond = compared.map((move) => move.syncs - move.rounds);
    expect(median(beyond)).toBeGreaterThanOrEqual(0);
    expect(median(beyond)).toBeLessThanOrEqual(2);
    const near = beyond.filter((times) => times >= 0 && times <= 3).length;
    expect(near / beyond.length).toBeGreaterThan(0.9);
  });
});
