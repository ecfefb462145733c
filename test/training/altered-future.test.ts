import { describe, expect, it } from '@jest/globals';
import {
  moveRecordFields,
  moveRecordSchema,
  startMs,
  type MoveRecord,
} from '../../src/domain/move-record.js';
import { moveRequestFields } from '../../src/domain/move-request.js';
import { alteredFuture, isInFlight, knownAtStart } from './altered-future.js';
import { fullyToldMoves } from './invented-moves.js';

const moves = fullyToldMoves(60);
const [told] = moves as [MoveRecord];
const altered = (record: MoveRecord): MoveRecord => alteredFuture([record], startMs(record))[0]!;

describe('the future that leak tests alter', () => {
  it('is every field of a record but those known at its start: whoever adds one says here which it is', () => {
    const same = moveRecordFields.filter(
      (field) => JSON.stringify(altered(told)[field]) === JSON.stringify(told[field]),
    );
    expect([...same].sort()).toEqual([...knownAtStart].sort());
  });

  it('leaves known what a request may tell, and of its labels those that are inputs', () => {
    const asked = new Set<string>(moveRequestFields);
    const named = new Set<string>(['id', 'origin', 'started_at']);
    expect(knownAtStart.filter((field) => !asked.has(field) && !named.has(field))).toEqual([]);
    const { labels } = altered(told);
    const kept = Object.keys(told.labels!).filter((key) => labels![key] === told.labels![key]);
    expect(kept.sort()).toEqual(['target_background_mbps', 'timeout_seconds']);
    expect(Object.keys(labels!)).toEqual(Object.keys(told.labels!));
  });

  it('is of invented moves that tell all there is, records as the contract has them, some broken off', () => {
    for (const record of moves) {
      expect(moveRecordSchema.safeParse(record).success).toBe(true);
      expect(moveRecordSchema.safeParse(altered(record)).success).toBe(true);
    }
    expect(moveRecordFields.filter((field) => told[field] === undefined)).toEqual([]);
    expect(new Set(moves.map(({ status }) => status))).toEqual(new Set(['completed', 'failed', 'cancelled']));
    const untold = new Set(
      moves.flatMap((record) => moveRecordFields.filter((field) => record[field] === undefined)),
    );
    // History has something to fill in.
    expect(untold).toEqual(new Set(['memory_mib', 'dirty_rate_mib_s', 'link_mbps', 'background_mbps']));
  });

  it('leaves what had finished as it was, and takes away what had not started', () => {
    const atMs = startMs(moves[30]!);
    const then = alteredFuture(moves, atMs);
    expect(then.map(({ id }) => id)).toEqual(moves.slice(0, 31).map(({ id }) => id));
    const changed = then.filter((record, i) => record !== moves[i]).map(({ id }) => id);
    expect(changed).toEqual(moves.filter((record) => isInFlight(record, atMs)).map(({ id }) => id));
    expect(changed.length).toBeGreaterThan(3);
    expect(changed).toContain(moves[30]!.id);
  });
});
