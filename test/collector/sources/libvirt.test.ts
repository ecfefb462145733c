import { describe, expect, it } from '@jest/globals';
import { libvirtSource } from '../../../src/collector/sources/libvirt.js';
import { fixture } from './fixtures.js';
import { movesOf, reasonsOf, runSource, runWithRestarts } from './run-source.js';

describe('libvirt', () => {
  it('reads a completed job: name from the prompt, end from the date before it', () => {
    const [move] = movesOf(
      runSource(libvirtSource, fixture('libvirt', 'libvirt-9-completed.txt'), {
        node: 'kvm-1',
        targetNode: 'kvm-2',
      }),
    );
    expect(move).toMatchObject({
      origin: 'libvirt',
      instance: 'web-7',
      source_node: 'kvm-1',
      target_node: 'kvm-2',
      started_at: '2026-10-03T12:00:00.127Z',
      duration_seconds: 41.873,
      memory_mib: 8209.408,
      transferred_mib: 5248,
      downtime_ms: 187,
      setup_ms: 5,
      dirty_sync_count: 6,
    });
  });

  it('knows a completed job again when it is asked for at another time', () => {
    const text = fixture('libvirt', 'libvirt-9-completed.txt');
    const later = text.replace('T14:00:42', 'T15:30:00');
    const [first, second] = [text, later].map(
      (answer) => movesOf(runSource(libvirtSource, answer))[0]!['id'],
    );
    expect(second).toBe(first);
  });

  it('follows several guests, tells the failed one, rejects the view of the destination, leaves dumps alone', () => {
    const findings = runSource(libvirtSource, fixture('libvirt', 'libvirt-8-running.txt'));
    expect(movesOf(findings)).toEqual([
      expect.objectContaining({
        instance: 'db-1',
        status: 'failed',
        duration_seconds: 30.5,
        memory_mib: 4106.24,
      }),
    ]);
    expect(reasonsOf(findings)).toEqual(["the destination's view of a migration; read the source's"]);
  });

  it('reads a decimal comma and the few fields of old versions', () => {
    const [move] = movesOf(runSource(libvirtSource, fixture('libvirt', 'libvirt-1.0-decimal-comma.txt')));
    expect(move).toMatchObject({
      duration_seconds: 5.21,
      memory_mib: 1152,
      transferred_mib: 612.5,
      throughput_mbps: 986.185,
    });
  });

  it.each([
    ['Time elapsed:     90 s', 90],
    ['Time elapsed:     90000', 90],
    ['Time elapsed: 90000         ms', 90],
  ])('takes any unit: %s', (line, seconds) => {
    expect(
      movesOf(runSource(libvirtSource, `Job type: Completed\n${line}\nMemory total: 1024 KiB\n`))[0],
    ).toMatchObject({
      duration_seconds: seconds,
      memory_mib: 1,
    });
  });

  it('goes on after a restart as if it had never stopped', () => {
    const text = fixture('libvirt', 'libvirt-8-running.txt');
    expect(runWithRestarts(libvirtSource, text)).toEqual(runSource(libvirtSource, text));
  });
});
