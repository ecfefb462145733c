import { describe, expect, it } from '@jest/globals';
import { novaSource } from '../../../src/collector/sources/nova.js';
import { fixture } from './fixtures.js';
import { movesOf, reasonsOf, runSource, runWithRestarts } from './run-source.js';

describe('nova', () => {
  it('reads the old wording: from the first progress to the last step, source from the user', () => {
    const findings = runSource(novaSource, fixture('nova', 'nova-compute-queens.log'), { node: 'cmp-1' });
    expect(movesOf(findings)).toEqual([
      expect.objectContaining({
        instance: '0f6b0f5e-1111-4222-8333-944455556666',
        source_node: 'cmp-1',
        target_node: 'cmp-2.example.net',
        started_at: '2018-03-05T10:00:02.500Z',
        duration_seconds: 51.75,
        memory_mib: 4113,
        status: 'completed',
      }),
    ]);
  });

  it('rejects what it cannot time: a failure without a beginning, a migration without an end', () => {
    const reasons = reasonsOf(runSource(novaSource, fixture('nova', 'nova-compute-queens.log')));
    expect(reasons).toHaveLength(2);
    expect(reasons[0]).toMatch(/does not tell when the migration .* began/);
    expect(reasons[1]).toMatch(/the log ends while the migration/);
  });

  it('reads the new wording through journald and colours, two migrations at a time, a cancelled one', () => {
    const findings = runSource(novaSource, fixture('nova', 'nova-compute-journald.log'));
    expect(reasonsOf(findings)).toEqual([]);
    expect(movesOf(findings)).toEqual([
      expect.objectContaining({
        status: 'cancelled',
        source_node: 'cmp-9',
        target_node: 'cmp-5.example.net',
        duration_seconds: 21,
      }),
      expect.objectContaining({
        status: 'completed',
        target_node: 'cmp-4.example.net',
        started_at: '2025-09-14T06:00:01.000Z',
        duration_seconds: 60,
        disk_mib: 10240,
      }),
    ]);
  });

  it('times migrations around the hour that comes twice in autumn, through syslog on local time', () => {
    const id = '0f6b0f5e-1111-4222-8333-944455556666';
    const line = (local: string, utc: string, message: string): string =>
      `Oct 26 ${local} cmp-9 nova_compute[2201]: 2025-10-26 ${utc} 2 INFO nova.virt.libvirt.driver [-] [instance: ${id}] ${message}\n`;
    const log = [
      line('02:58:00', '00:58:00.400', 'Took 1.40 seconds for pre_live_migration on destination host cmp-4'),
      line('02:58:00', '00:58:00.600', 'Migration running for 0 secs'),
      line('02:59:30', '00:59:30.100', 'Migration operation has completed'),
      line('02:59:30', '00:59:30.900', 'Migrating instance to cmp-4 finished successfully.'),
      line('02:59:40', '00:59:40.000', 'Took 1.00 seconds for pre_live_migration on destination host cmp-5'),
      line('02:00:01', '01:00:01.000', 'Migration operation has completed'),
      line('02:00:02', '01:00:02.000', 'Migrating instance to cmp-5 finished successfully.'),
    ].join('');
    expect(
      movesOf(
        runSource(novaSource, log, {
          timeZone: 'Europe/Berlin',
          nowMs: Date.parse('2025-11-01T00:00:00Z'),
        }),
      ),
    ).toEqual([
      expect.objectContaining({ started_at: '2025-10-26T00:57:59.000Z', duration_seconds: 91.9 }),
      expect.objectContaining({ started_at: '2025-10-26T00:59:39.000Z', duration_seconds: 23 }),
    ]);
  });

  it('reads the migrations API: live ones, a cold one, none that runs or changes size, none that ended unseen', () => {
    const findings = runSource(novaSource, fixture('nova', 'os-migrations.json'));
    expect(
      movesOf(findings).map((move) => [move['operation'], move['status'], move['duration_seconds']]),
    ).toEqual([
      ['live_migration', 'completed', 90],
      ['live_migration', 'failed', 20],
      ['failover', 'completed', 120],
    ]);
    expect(reasonsOf(findings)).toEqual([
      'a migration that was confirmed later: the time of its end is gone',
      'the times run backwards: the end lies before the start',
    ]);
    expect(movesOf(runSource(novaSource, fixture('nova', 'server-migrations.json')))[0]).toMatchObject({
      id: 'nova:default:migration:9e0e7c1a-5555-4666-8777-000000000041',
      memory_mib: 4113,
      transferred_mib: 3072,
      duration_seconds: 42,
    });
  });

  it('reads the JSON of the openstack command', () => {
    const row = {
      Id: 3,
      UUID: 'u-3',
      'Source Node': 'c0',
      'Dest Node': 'c1',
      'Source Compute': 'c0',
      'Dest Compute': 'c1',
      'Dest Host': '192.0.2.1',
      Status: 'completed',
      'Server UUID': 's-1',
      'Old Flavor': 1,
      'New Flavor': 1,
      Type: 'live-migration',
      'Created At': '2025-05-06T07:08:09.000000',
      'Updated At': '2025-05-06T07:08:29.000000',
    };
    const text = JSON.stringify([row, { ...row, Id: 4, UUID: 'u-4', Type: 'resize' }], undefined, 2);
    expect(novaSource.detect(text, '-')).toBeGreaterThan(0.9);
    expect(movesOf(runSource(novaSource, text))).toEqual([
      expect.objectContaining({ id: 'nova:default:migration:u-3', instance: 's-1', duration_seconds: 20 }),
    ]);
  });

  it("reads a container's log and Python's form of the API", () => {
    const lines = fixture('nova', 'nova-compute-queens.log')
      .split('\n')
      .map((log) => JSON.stringify({ log, stream: 'stderr' }));
    expect(movesOf(runSource(novaSource, lines.join('\n')))).toHaveLength(1);
    const row =
      "{'id': 4, 'source_compute': 'c0', 'dest_compute': 'c1', 'dest_host': None, 'instance_uuid': 'u', 'status': 'failed', 'migration_type': 'live-migration', 'created_at': '2023-12-16T11:07:37.000000', 'updated_at': '2023-12-16T11:07:45.000000'}";
    expect(movesOf(runSource(novaSource, row))[0]).toMatchObject({
      source_node: 'c0',
      target_node: 'c1',
      duration_seconds: 8,
      status: 'failed',
    });
  });

  it('goes on after a restart as if it had never stopped', () => {
    for (const name of ['nova-compute-journald.log', 'os-migrations.json'])
      expect(runWithRestarts(novaSource, fixture('nova', name))).toEqual(
        runSource(novaSource, fixture('nova', name)),
      );
  });
});
