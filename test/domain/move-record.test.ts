import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  finishMs,
  isCompleted,
  parseMoveRecord,
  startMs,
  type MoveRecord,
} from '../../src/domain/move-record.js';

const good = Object.freeze({
  id: 'job-7',
  instance: 'web1',
  source_node: 'node1',
  target_node: 'node2',
  operation: 'live_migration',
  started_at: '2026-11-22T11:00:00+01:00',
  duration_seconds: 12.5,
});

const reasonFor = (change: Record<string, unknown>): string => {
  const parsed = parseMoveRecord({ ...good, ...change });
  return parsed.ok ? 'accepted' : parsed.reason;
};

describe('parseMoveRecord', () => {
  it('gives times in UTC with milliseconds', () => {
    expect(parseMoveRecord(good)).toEqual({
      ok: true,
      value: { ...good, started_at: '2026-11-22T10:00:00.000Z' },
    });
  });

  it('keeps unknown scalar fields under labels and drops what is no scalar', () => {
    const parsed = parseMoveRecord({
      ...good,
      rack: 'r7',
      hot: true,
      weird: { deep: 1 },
      labels: { rack: 'r8', os: 'linux', list: [1] },
    });
    expect(parsed.ok && parsed.value.labels).toEqual({ rack: 'r8', hot: true, os: 'linux' });
  });

  it('treats null as absent', () => {
    const parsed = parseMoveRecord({ ...good, memory_mib: null });
    expect(parsed.ok && 'memory_mib' in parsed.value).toBe(false);
  });

  it.each([
    [{ duration_seconds: -3 }, 'duration_seconds'],
    [{ duration_seconds: 0 }, 'duration_seconds'],
    [{ duration_seconds: 'NaN' }, 'duration_seconds'],
    [{ duration_seconds: NaN }, 'duration_seconds'],
    [{ duration_seconds: 200 * 86_400 }, 'duration_seconds'],
    [{ started_at: 'yesterday' }, 'started_at'],
    [{ started_at: '2026-02-30T00:00:00Z' }, 'started_at'],
    [{ started_at: '2026-11-22T10:00:00' }, 'started_at'],
    [{ started_at: '1970-01-01T00:00:00Z' }, 'between 2000'],
    [{ instance: '' }, 'instance is empty'],
    [{ instance: 'a\nb' }, 'control characters'],
    [{ instance: undefined }, 'instance is missing'],
    [{ operation: 'teleport' }, 'operation must be one of live_migration, failover, disk_replication'],
    [{ duration_seconds: '5' }, 'duration_seconds must be a number'],
    [{ duration_seconds: -3 }, 'duration_seconds must be greater than 0'],
    [{ memory_mib: -1 }, 'memory_mib'],
    [{ vcpus: 1.5 }, 'vcpus must be a whole number'],
    [{ labels: 'none' }, 'labels'],
  ])('refuses %j with a reason that names the field', (change, named) => {
    expect(reasonFor(change)).toContain(named);
  });

  it('refuses what is no object', () => {
    for (const raw of [null, undefined, 7, 'x', [good]]) expect(parseMoveRecord(raw).ok).toBe(false);
  });

  it('does not let a field named __proto__ touch prototypes', () => {
    const parsed = parseMoveRecord(
      JSON.parse(JSON.stringify(good).replace('{', '{"__proto__":"evil","labels":{"__proto__":"evil"},')),
    );
    expect(parsed.ok && Object.keys(parsed.value.labels ?? {})).toEqual([]);
    expect(({} as Record<string, unknown>)['evil']).toBeUndefined();
  });

  it('never throws, whatever comes in', () => {
    fc.assert(fc.property(fc.anything(), (raw) => expect(typeof parseMoveRecord(raw).ok).toBe('boolean')));
  });

  it('accepts its own output unchanged', () => {
    const text = fc.stringMatching(/^[a-z0-9.-]{1,20}$/);
    const record = fc.record(
      {
        id: text,
        instance: text,
        source_node: text,
        target_node: text,
        operation: fc.constantFrom('live_migration', 'failover', 'disk_replication'),
        started_at: fc
          .date({ min: new Date('2001-01-01'), max: new Date('2099-01-01'), noInvalidDate: true })
          .map((date) => date.toISOString()),
        duration_seconds: fc.double({ min: 0.001, max: 1e6, noNaN: true }),
        memory_mib: fc.nat(),
        extra: fc.oneof(text, fc.nat(), fc.boolean()),
      },
      {
        requiredKeys: [
          'id',
          'instance',
          'source_node',
          'target_node',
          'operation',
          'started_at',
          'duration_seconds',
        ],
      },
    );
    fc.assert(
      fc.property(record, (raw) => {
        const once = parseMoveRecord(raw);
        expect(once.ok).toBe(true);
        expect(parseMoveRecord(once.ok && once.value)).toEqual(once);
      }),
    );
  });
});

describe('a record', () => {
  const record = { ...good, started_at: '2026-11-22T10:00:00.000Z' } as MoveRecord;

  it('becomes history when it finished', () => {
    expect(finishMs(record) - startMs(record)).toBe(12_500);
  });

  it('counts as completed unless it says otherwise', () => {
    expect(
      [undefined, 'completed', 'failed', 'cancelled'].map((status) =>
        isCompleted({ ...record, status } as MoveRecord),
      ),
    ).toEqual([true, true, false, false]);
  });
});
