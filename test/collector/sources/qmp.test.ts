import { describe, expect, it } from '@jest/globals';
import { qmpSource } from '../../../src/collector/sources/qmp.js';
import { fixture } from './fixtures.js';
import { movesOf, reasonsOf, runSource, runWithRestarts, samplesOf } from './run-source.js';

describe('qmp', () => {
  it('reads a completed answer of QEMU 10, its keys in any order', () => {
    const [move, ...more] = movesOf(runSource(qmpSource, fixture('qmp', 'qemu-10-completed.json')));
    expect(more).toEqual([]);
    expect(move).toMatchObject({
      origin: 'qemu',
      operation: 'live_migration',
      status: 'completed',
      duration_seconds: 31.25,
      memory_mib: 4113,
      downtime_ms: 61,
      setup_ms: 4,
      transferred_mib: 4000,
      throughput_mbps: 1073.74,
      dirty_sync_count: 7,
    });
  });

  it('takes names and start from the user where the answer tells none', () => {
    const options = {
      instance: 'vm1',
      sourceNode: 'a',
      targetNode: 'b',
      startedAtMs: Date.parse('2026-01-02T03:04:05Z'),
    };
    const [move] = movesOf(runSource(qmpSource, fixture('qmp', 'qemu-10-completed.json'), options));
    expect(move).toMatchObject({
      instance: 'vm1',
      source_node: 'a',
      target_node: 'b',
      started_at: '2026-01-02T03:04:05.000Z',
      labels: { started_at_from: 'option' },
    });
  });

  it('takes the given start for the first migration only', () => {
    const text = fixture('qmp', 'qemu-10-completed.json');
    const two = `${text}${text.replace('31250', '9000')}`;
    const moves = movesOf(
      runSource(qmpSource, two, { startedAtMs: 1_767_322_800_000, nowMs: 1_767_326_400_000 }),
    );
    expect(moves.map((move) => move['started_at'])).toEqual([
      '2026-01-02T03:00:00.000Z',
      '2026-01-02T03:59:51.000Z',
    ]);
  });

  it('keeps the id when the file is only touched', () => {
    const text = fixture('qmp', 'qemu-10-completed.json');
    const id = (nowMs: number): unknown => movesOf(runSource(qmpSource, text, { nowMs }))[0]!['id'];
    expect(id(Date.parse('2026-01-01T00:00:00Z'))).toBe(id(Date.parse('2026-06-01T00:00:00Z')));
  });

  it('rejects the answer of the destination, which knows no times', () => {
    const findings = runSource(qmpSource, fixture('qmp', 'qemu-10-destination.json'));
    expect(movesOf(findings)).toEqual([]);
    expect(reasonsOf(findings)).toEqual(["no times: the destination's answer; ask the source"]);
  });

  it('follows a series: events give the start, commands the settings, asking again gives no second move', () => {
    const findings = runSource(qmpSource, fixture('qmp', 'qemu-8-series.qmp'), {
      instance: 'vm8',
      sourceNode: 'a',
      targetNode: 'b',
    });
    expect(reasonsOf(findings)).toEqual([]);
    expect(movesOf(findings)).toEqual([
      expect.objectContaining({
        started_at: '2026-09-21T14:13:20.250Z',
        duration_seconds: 3.76,
        capabilities: ['multifd', 'auto-converge'],
        multifd_channels: 4,
        max_bandwidth_mib_s: 128,
        downtime_limit_ms: 200,
      }),
      expect.objectContaining({
        started_at: '2026-09-21T14:15:00.000Z',
        duration_seconds: 10.5,
        status: 'cancelled',
      }),
    ]);
    expect(samplesOf(findings, 'instance-sample')[0]).toEqual({
      at: '2026-09-21T14:13:22.250Z',
      instance: 'vm8',
      dirty_rate_mib_s: 20,
    });
    expect(samplesOf(findings, 'link-sample')).toContainEqual({
      at: '2026-09-21T14:13:21.250Z',
      link: 'a>b:moves-at-least',
      throughput_mbps: 1043.2,
    });
  });

  it('never takes what is seen during a move for an input of that move', () => {
    const moves = movesOf(runSource(qmpSource, fixture('qmp', 'qemu-8-series.qmp')));
    expect(moves).not.toEqual([]);
    for (const move of moves) expect(move).not.toHaveProperty('dirty_rate_mib_s');
  });

  it('reads -nan of QEMU 2.3 as unknown and works the throughput out of bytes and time', () => {
    const [move] = movesOf(runSource(qmpSource, fixture('qmp', 'qemu-2.3-nan.txt')));
    expect(move).toMatchObject({ duration_seconds: 4.41, throughput_mbps: 382.338, transferred_mib: 201 });
  });

  it("reads Python's form", () => {
    const [move] = movesOf(runSource(qmpSource, fixture('qmp', 'qemu-4-python.txt')));
    expect(move).toMatchObject({ duration_seconds: 5.034, transferred_mib: 161, downtime_ms: 77 });
  });

  it('rejects an answer that is cut off', () => {
    expect(reasonsOf(runSource(qmpSource, fixture('qmp', 'qemu-7-truncated.json')))).toEqual([
      'the text ends within the object',
    ]);
  });

  it.each([
    ['hmp-1.2.txt', { duration_seconds: 2.89, memory_mib: 528.188, transferred_mib: 96, downtime_ms: 31 }],
    [
      'hmp-2.12.txt',
      {
        duration_seconds: 8.123,
        memory_mib: 2064.82,
        transferred_mib: 511,
        capabilities: ['xbzrle'],
        dirty_sync_count: 4,
      },
    ],
    [
      'hmp-10.1.txt',
      {
        duration_seconds: 64.21,
        memory_mib: 4116.48,
        transferred_mib: 3082.24,
        throughput_mbps: 402.75,
        setup_ms: 9,
        downtime_ms: 112,
        capabilities: ['multifd'],
        dirty_sync_count: 6,
      },
    ],
  ])('reads the monitor text of %s', (name, expected) => {
    const findings = runSource(qmpSource, fixture('qmp', name));
    expect(reasonsOf(findings)).toEqual([]);
    expect(movesOf(findings)).toEqual([expect.objectContaining(expected)]);
  });

  it('tells a migration that the log leaves while it runs, and a COLO mirror, as no finished moves', () => {
    const active =
      '{"return": {"status": "active", "total-time": 2500, "ram": {"total": 1, "transferred": 1}}}';
    expect(reasonsOf(runSource(qmpSource, active))).toEqual([
      'the log ends while the migration is active after 2.5 s: not a finished move',
    ]);
    expect(
      reasonsOf(runSource(qmpSource, '{"return": {"info": {"status": "colo", "total-time": 9}}}'))[0],
    ).toMatch(/COLO/);
  });

  it('counts a failed migration as lasting until its last answer, and rejects one of unknown length', () => {
    const failed = '{"return": {"status": "failed", "error-desc": "gone"}}';
    const active =
      '{"return": {"status": "active", "total-time": 2500, "ram": {"total": 1048576, "transferred": 1}}}';
    expect(movesOf(runSource(qmpSource, `${active}\n${failed}`))[0]).toMatchObject({
      status: 'failed',
      duration_seconds: 2.5,
      labels: { error: 'gone' },
    });
    expect(reasonsOf(runSource(qmpSource, failed))).toEqual(['the duration is not known']);
  });

  it('goes on after a restart as if it had never stopped', () => {
    for (const name of ['qemu-8-series.qmp', 'qemu-4-python.txt', 'hmp-10.1.txt'])
      expect(runWithRestarts(qmpSource, fixture('qmp', name))).toEqual(
        runSource(qmpSource, fixture('qmp', name)),
      );
  });
});
