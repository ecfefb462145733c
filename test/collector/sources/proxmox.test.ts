import { describe, expect, it } from '@jest/globals';
import { proxmoxSource } from '../../../src/collector/sources/proxmox.js';
import { fixture } from './fixtures.js';
import { movesOf, reasonsOf, runSource, runWithRestarts } from './run-source.js';

const UPID = 'UPID:pve-a:0001A2B3:00C0FFEE:68C5A0F0:qmigrate:210:root@pam:';

describe('proxmox', () => {
  it("takes source and start in UTC from the task's file name, whatever zone its lines are in", () => {
    const text = fixture('proxmox', 'pve-8-shared-storage.log');
    const [move] = movesOf(runSource(proxmoxSource, text, { fileName: `/var/log/pve/tasks/0/${UPID}` }));
    expect(move).toMatchObject({
      id: 'proxmox:default:UPID-pve-a-1757782256:210',
      instance: '210',
      source_node: 'pve-a',
      target_node: 'pve-b',
      started_at: '2025-09-13T16:50:56.000Z',
      duration_seconds: 31,
      memory_mib: 8192,
      disk_mib: 0,
      max_bandwidth_mib_s: 200,
      downtime_limit_ms: 100,
      downtime_ms: 88,
      capabilities: ['xbzrle'],
    });
  });

  it('takes the bytes that were sent from their own line, never from the "average migration speed"', () => {
    expect(
      movesOf(runSource(proxmoxSource, fixture('proxmox', 'pve-8-shared-storage.log')))[0],
    ).toMatchObject({ transferred_mib: 4710.4 });
    expect(movesOf(runSource(proxmoxSource, fixture('proxmox', 'pve-3.log')))[0]).not.toHaveProperty(
      'transferred_mib',
    );
  });

  it("derives memory from the speed where nothing else tells: PVE 3's is RAM ÷ whole seconds", () => {
    expect(movesOf(runSource(proxmoxSource, fixture('proxmox', 'pve-3.log')))[0]).toMatchObject({
      memory_mib: 1024,
    });
  });

  it('reads dates without a year over the turn of the year', () => {
    expect(movesOf(runSource(proxmoxSource, fixture('proxmox', 'pve-3.log')))[0]).toMatchObject({
      started_at: '2025-12-31T23:59:50.000Z',
      duration_seconds: 12,
    });
  });

  it('reads bytes without a unit and with a stray bracket', () => {
    expect(movesOf(runSource(proxmoxSource, fixture('proxmox', 'pve-4-bytes.log')))[0]).toMatchObject({
      memory_mib: 1032.629,
      downtime_limit_ms: 100,
      capabilities: ['xbzrle'],
    });
  });

  it('reads kilobytes of still older versions', () => {
    const text = fixture('proxmox', 'pve-4-bytes.log').replace(
      /transferred \d+, remaining \d+\), total \d+\)/,
      'transferred 175781KB, remaining 878906KB), total 1057408KB)',
    );
    expect(movesOf(runSource(proxmoxSource, text))[0]).toMatchObject({ memory_mib: 1032.625 });
  });

  it('reads mirrored disks, a cancelled and a broken migration until they broke, a container; a refused one is no move', () => {
    const findings = runSource(proxmoxSource, fixture('proxmox', 'pve-8-local-disks.log'));
    expect(reasonsOf(findings)).toEqual([]);
    expect(movesOf(findings)).toEqual([
      expect.objectContaining({
        instance: '410',
        operation: 'live_migration',
        disk_mib: 32768,
        duration_seconds: 302,
      }),
      expect.objectContaining({ instance: '411', status: 'cancelled', duration_seconds: 31 }),
      expect.objectContaining({ instance: '412', status: 'failed', duration_seconds: 4 }),
      expect.objectContaining({
        instance: '514',
        operation: 'disk_replication',
        disk_mib: 4608,
        duration_seconds: 43,
      }),
    ]);
  });

  it('reads a move to another cluster', () => {
    const findings = runSource(proxmoxSource, fixture('proxmox', 'pve-8-remote.log'));
    expect(reasonsOf(findings)).toEqual([]);
    expect(movesOf(findings)).toEqual([
      expect.objectContaining({
        target_node: 'far-1',
        duration_seconds: 110,
        labels: expect.objectContaining({ remote_cluster: true }),
      }),
    ]);
  });

  it('trusts the printed duration where the clock was set meanwhile', () => {
    const text = fixture('proxmox', 'pve-8-shared-storage.log').replace(
      /^.{19} migration finished/m,
      '2025-09-13 17:51:27 migration finished',
    );
    expect(movesOf(runSource(proxmoxSource, text))[0]).toMatchObject({ duration_seconds: 31 });
  });

  it('rejects parts of logs with a reason, and leaves other tasks alone', () => {
    expect(
      reasonsOf(runSource(proxmoxSource, 'migration finished successfully (duration 00:00:07)\n'))[0],
    ).toMatch(/which guest/);
    expect(
      reasonsOf(
        runSource(proxmoxSource, "2025-07-01 09:00:00 starting migration of VM 4 to node 'b' (x)\n"),
      )[0],
    ).toMatch(/under way/);
    const backup = UPID.replace('qmigrate', 'vzdump');
    expect(
      runSource(
        proxmoxSource,
        'TASK ERROR: job errors\ndrive-scsi0: transferred 1.0 GiB of 2.0 GiB (50%) in 1s\n',
        { fileName: backup },
      ),
    ).toEqual([]);
    expect(runSource(proxmoxSource, 'TASK OK\n')).toEqual([]);
  });

  it('goes on after a restart as if it had never stopped', () => {
    for (const name of ['pve-8-local-disks.log', 'pve-8-remote.log', 'pve-3.log'])
      expect(runWithRestarts(proxmoxSource, fixture('proxmox', name))).toEqual(
        runSource(proxmoxSource, fixture('proxmox', name)),
      );
  });
});
