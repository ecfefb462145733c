import { describe, expect, it } from '@jest/globals';
import { drbdSource } from '../../../src/collector/sources/drbd.js';
import { fixture } from './fixtures.js';
import { movesOf, reasonsOf, runSource, runWithRestarts, samplesOf } from './run-source.js';

describe('drbd', () => {
  it("reads resyncs out of the kernel's log, to the fineness of its stamps, with what was really sent", () => {
    const findings = runSource(drbdSource, fixture('drbd', 'kern-8.4.log'), { targetNode: 'stor-z' });
    expect(movesOf(findings)).toEqual([
      expect.objectContaining({
        instance: 'drbd5',
        status: 'failed',
        duration_seconds: 5,
        disk_mib: 200,
        target_node: 'stor-a',
      }),
      expect.objectContaining({
        instance: 'drbd4',
        operation: 'disk_replication',
        status: 'completed',
        source_node: 'stor-a',
        target_node: 'stor-z',
        started_at: '2026-03-03T04:00:00.000Z',
        duration_seconds: 170.666666,
        disk_mib: 10240,
        transferred_mib: 9011.199,
      }),
      expect.objectContaining({
        instance: 'drbd6',
        duration_seconds: 9,
        disk_mib: 120,
        labels: expect.objectContaining({ paused_seconds: 3 }),
      }),
    ]);
    expect(reasonsOf(findings)).toEqual([
      'the log ends while the resync of drbd7 is under way: not a finished move',
    ]);
  });

  it('knows both ends with DRBD 9', () => {
    expect(movesOf(runSource(drbdSource, fixture('drbd', 'journal-9.log')))).toEqual([
      expect.objectContaining({
        source_node: 'stor-c',
        target_node: 'stor-b',
        started_at: '2026-02-11T09:00:00.000Z',
        duration_seconds: 36,
        disk_mib: 2048,
      }),
    ]);
  });

  it('reads the wording of DRBD 8.0', () => {
    expect(movesOf(runSource(drbdSource, fixture('drbd', 'syslog-8.0.log')))).toEqual([
      expect.objectContaining({
        instance: 'drbd1',
        source_node: 'xen-1',
        duration_seconds: 10,
        disk_mib: 100,
        throughput_mbps: 83.886,
      }),
    ]);
  });

  it('places stamps since boot in time when the user says when the machine booted', () => {
    const text =
      '[100.000000] block drbd1: Began resync as SyncSource (will sync 1024 KB [256 bits set]).\n[101.500000] block drbd1: Resync done (total 1 sec; paused 0 sec; 1024 K/sec)\n';
    expect(
      movesOf(runSource(drbdSource, text, { startedAtMs: Date.parse('2026-01-01T00:00:00Z') }))[0],
    ).toMatchObject({
      started_at: '2026-01-01T00:01:40.000Z',
      duration_seconds: 1.5,
    });
  });

  it('makes link samples of /proc/drbd, added up over devices, with thousands commas, glued words and days to go', () => {
    const samples = samplesOf(
      runSource(drbdSource, fixture('drbd', 'proc-8.4-watch.txt'), { node: 'b', sourceNode: 'a' }),
      'link-sample',
    );
    expect(samples).toEqual([
      { at: '2026-03-10T09:00:00.000Z', link: 'a>b:moves-at-least', throughput_mbps: 1450.508 },
      { at: '2026-03-10T09:00:10.000Z', link: 'a>b:moves-at-least', throughput_mbps: 43.647 },
    ]);
    expect(
      samplesOf(
        runSource(drbdSource, fixture('drbd', 'proc-8.0.txt'), { nowMs: Date.parse('2026-03-01T00:00:00Z') }),
        'link-sample',
      ),
    ).toEqual([
      {
        at: '2026-03-01T00:00:00.000Z',
        link: 'unknown-source>unknown-target:moves-at-least',
        throughput_mbps: 0.066,
      },
    ]);
  });

  it('goes on after a restart as if it had never stopped', () => {
    for (const name of ['kern-8.4.log', 'journal-9.log', 'proc-8.4-watch.txt'])
      expect(runWithRestarts(drbdSource, fixture('drbd', name))).toEqual(
        runSource(drbdSource, fixture('drbd', name)),
      );
  });
});
