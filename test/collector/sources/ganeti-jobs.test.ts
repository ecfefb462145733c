import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ClusterLedger } from '../../../src/collector/cluster-ledger.js';
import { noteSnapshot } from '../../../src/collector/cluster-snapshot.js';
import { ganetiJobsSource } from '../../../src/collector/sources/ganeti-jobs.js';
import type { Finding, SourceContext } from '../../../src/collector/sources/source.js';
import { fixture, fixtureNames, sharedFolder } from './fixtures.js';
import { movesOf, reasonsOf, runSource, samplesOf } from './run-source.js';

/** The whole queue, file after file, as the collector reads it. */
function queue(context: Partial<SourceContext> = {}): Finding[] {
  const ledger = context.ledger ?? new ClusterLedger();
  return fixtureNames('ganeti-jobs')
    .filter((name) => name.startsWith('queue'))
    .flatMap((name) =>
      runSource(ganetiJobsSource, fixture('ganeti-jobs', name), { ...context, ledger, fileName: name }),
    );
}

const moveOfJob = (id: string, context: Partial<SourceContext> = {}): Record<string, unknown> | undefined =>
  movesOf(queue(context)).find((move) => move['id'] === `ganeti:${context.cluster ?? 'default'}:job-${id}`);

describe('ganeti-jobs', () => {
  it('tells one move an opcode that moved, in order, and nothing of waiting, refused, cleaned-up or other jobs', () => {
    const findings = queue();
    expect(reasonsOf(findings)).toEqual([]);
    expect(
      movesOf(findings).map((move) => [
        String(move['id']).split(':').slice(2).join(':'),
        move['operation'],
        move['status'],
      ]),
    ).toEqual([
      ['job-4711:0', 'live_migration', 'completed'],
      ['job-4712:0', 'failover', 'completed'],
      ['job-4713:0', 'disk_replication', 'completed'],
      ['job-4714:0', 'live_migration', 'failed'],
      ['job-4716:0', 'failover', 'completed'],
      ['job-4720:0', 'disk_replication', 'completed'],
      ['job-4721:0', 'disk_replication', 'completed'],
      ['job-4721:1', 'live_migration', 'completed'],
    ]);
  });

  it("times a move from its locks to its opcode's end, and keeps the waits apart", () => {
    expect(moveOfJob('4711:0', { cluster: 'prod' })).toMatchObject({
      cluster: 'prod',
      instance: 'web1.example.org',
      source_node: 'gn1.example.org',
      target_node: 'gn2.example.org',
      started_at: '2026-05-28T20:43:20.000Z',
      duration_seconds: 36.5,
      disk_mib: 0,
      labels: {
        lock_wait_seconds: 2,
        queue_wait_seconds: 1,
        memory_transfer_seconds: 26,
        balancer: 'hbal',
        disk_template: 'drbd',
      },
    });
  });

  it('knows memory, vcpus and disks from the jobs that made or changed the instance', () => {
    expect(moveOfJob('4711:0')).toMatchObject({ memory_mib: 4096, vcpus: 2 });
    expect(moveOfJob('4713:0')).toMatchObject({
      memory_mib: 4096,
      disk_mib: 30720,
      labels: { disk_sync_seconds: 354 },
    });
  });

  it('replays placements where a log names no source: a DRBD failover, the second opcode of a job', () => {
    expect(moveOfJob('4712:0')).toMatchObject({
      source_node: 'gn2.example.org',
      target_node: 'gn1.example.org',
    });
    expect(moveOfJob('4721:1')).toMatchObject({
      source_node: 'gn1.example.org',
      labels: { mode: 'non-live' },
    });
  });

  it('knows sizes and places from a snapshot where the queue does not tell', () => {
    const ledger = new ClusterLedger();
    noteSnapshot(ledger, fixture('ganeti-jobs', 'cluster.data'), Date.parse('2026-05-01T00:00:00Z'));
    const [move] = movesOf(runSource(ganetiJobsSource, fixture('ganeti-jobs', 'queue/job-4712'), { ledger }));
    expect(move).toMatchObject({ source_node: 'gn1.example.org', memory_mib: 8192, vcpus: 4 });
    const later = new ClusterLedger();
    noteSnapshot(later, fixture('ganeti-jobs', 'cluster.data'), Date.parse('2026-11-01T00:00:00Z'));
    expect(
      movesOf(runSource(ganetiJobsSource, fixture('ganeti-jobs', 'queue/job-4712'), { ledger: later }))[0],
    ).toMatchObject({
      source_node: 'unknown-source',
      memory_mib: 8192,
      labels: { size_from: 'a later snapshot', names_assumed: 'source_node' },
    });
  });

  it('ends a failed migration where it failed, not where its reverting ended', () => {
    expect(moveOfJob('4714:0')).toMatchObject({ status: 'failed', duration_seconds: 18 });
  });

  it('calls a migration that fell back to a failover what it was', () => {
    expect(moveOfJob('4716:0')).toMatchObject({
      operation: 'failover',
      source_node: 'gn5.example.org',
      labels: { opcode: 'INSTANCE_MIGRATE' },
    });
  });

  it('reads a move of disks and the speed that it reported', () => {
    expect(moveOfJob('4720:0')).toMatchObject({
      source_node: 'gn4.example.org',
      target_node: 'gn7.example.org',
      labels: { mode: 'move' },
    });
    expect(samplesOf(queue(), 'link-sample')).toEqual([
      {
        at: '2026-05-28T22:07:50.000Z',
        link: 'gn4.example.org>gn7.example.org:moves-at-least',
        throughput_mbps: 858.993,
      },
    ]);
  });

  it('rejects a job file that is cut off', () => {
    const text = fixture('ganeti-jobs', 'queue/job-4711').slice(0, 900);
    expect(reasonsOf(runSource(ganetiJobsSource, text))).toEqual([
      'not whole JSON: the file is cut off, or was read while it was written',
    ]);
  });

  it('reads gnt-job info of new and old versions', () => {
    expect(
      movesOf(
        runSource(ganetiJobsSource, fixture('ganeti-jobs', 'job-info-3.1.txt'), {
          timeZoneOffsetMinutes: 120,
        }),
      ),
    ).toEqual([
      expect.objectContaining({
        id: 'ganeti:default:job-88:0',
        source_node: 'gn8.example.org',
        target_node: 'gn9.example.org',
        started_at: '2026-04-06T09:27:21.290Z',
        duration_seconds: 52,
      }),
    ]);
    expect(movesOf(runSource(ganetiJobsSource, fixture('ganeti-jobs', 'job-info-2.1.txt')))).toEqual([
      expect.objectContaining({
        source_node: 'on1.example.org',
        target_node: 'on2.example.org',
        duration_seconds: 37.752,
      }),
    ]);
  });

  it('reads what gnt-* commands printed: migrations, a failure, an evacuation of Ganeti 2.1', () => {
    const findings = runSource(ganetiJobsSource, fixture('ganeti-jobs', 'gnt-instance-migrate-2.7.txt'));
    expect(movesOf(findings)).toEqual([
      expect.objectContaining({
        instance: 'db1.example.org',
        source_node: 'vh1.example.org',
        target_node: 'vh2.example.org',
        duration_seconds: 30,
      }),
      expect.objectContaining({ instance: 'db2.example.org', status: 'failed', duration_seconds: 17 }),
    ]);
    expect(reasonsOf(findings)).toEqual([
      'the log ends while the move of db3.example.org is under way: not a finished move',
    ]);
    expect(movesOf(runSource(ganetiJobsSource, fixture('ganeti-jobs', 'gnt-node-evacuate-2.1.txt')))).toEqual(
      [
        expect.objectContaining({
          instance: 'app1',
          operation: 'disk_replication',
          source_node: 'nodea',
          target_node: 'nodeb',
          duration_seconds: 12,
        }),
        expect.objectContaining({
          instance: 'app2',
          source_node: 'nodeb',
          target_node: 'nodec',
          duration_seconds: 10,
        }),
      ],
    );
  });

  it('reads moves that an old version made one after another within one opcode', () => {
    const at = (seconds: number): [number, number] => [1_600_000_000 + seconds, 0];
    const log = [
      'Migrating instance a',
      '* preparing n2 to accept the instance',
      '* done',
      'Migrating instance b',
      '* preparing n3 to accept the instance',
      'Migration failed, aborting',
    ];
    const op = {
      input: { OP_ID: 'OP_NODE_MIGRATE', node_name: 'n1' },
      status: 'error',
      result: ['OpExecError', ['no']],
      log: log.map((text, index) => [index + 1, at(index * 10), 'message', text]),
      exec_timestamp: at(0),
      end_timestamp: at(90),
    };
    expect(movesOf(runSource(ganetiJobsSource, JSON.stringify({ id: 5, ops: [op] })))).toEqual([
      expect.objectContaining({ instance: 'a', status: 'completed', duration_seconds: 30 }),
      expect.objectContaining({ instance: 'b', status: 'failed', duration_seconds: 20 }),
    ]);
  });

  it('takes no name of an object property for an opcode or a status', () => {
    const op = {
      input: { OP_ID: 'constructor', instance_name: 'x' },
      status: 'constructor',
      log: [],
      exec_timestamp: [1.6e9, 0],
      end_timestamp: [1.6e9 + 9, 0],
    };
    expect(runSource(ganetiJobsSource, JSON.stringify({ id: 5, ops: [op] }))).toEqual([]);
  });

  const capture = sharedFolder('ganeti-capture');
  // Defined only where the capture stands beside the repository.
  if (capture !== undefined)
    it('reads the queue captured from a real cluster, and the same job the same from its RAPI', () => {
      const ledger = new ClusterLedger();
      const read = (path: string): Finding[] =>
        runSource(ganetiJobsSource, readFileSync(join(capture, path), 'utf8'), {
          ledger,
          fileName: path,
          nowMs: Date.parse('2026-11-23T00:00:00Z'),
        });
      const moves = Array.from({ length: 35 }, (_, index) => movesOf(read(`queue/job-${index + 1}`))).flat();
      expect(moves.map((move) => String(move['id']).split('-')[1])).toEqual([
        '19:0',
        '20:0',
        '21:0',
        '22:0',
        '26:0',
        '27:0',
        '28:0',
        '29:0',
        '30:0',
        '33:0',
      ]);
      expect(moves[0]).toMatchObject({
        instance: 'instance3',
        source_node: 'node2',
        target_node: 'node3',
        memory_mib: 2048,
        vcpus: 1,
        duration_seconds: 2.529804,
      });
      expect(moves.every((move) => typeof move['memory_mib'] === 'number')).toBe(true);
      expect(movesOf(read('rapi/query_job.json'))).toHaveLength(1);
    });
});
