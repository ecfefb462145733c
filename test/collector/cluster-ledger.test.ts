import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ClusterLedger } from '../../src/collector/cluster-ledger.js';
import { noteSnapshot } from '../../src/collector/cluster-snapshot.js';
import { fixture } from './sources/fixtures.js';

describe('the ledger of a cluster', () => {
  it('answers as of a moment, whatever the order in which it was told', () => {
    const ledger = new ClusterLedger();
    ledger.note('vm', { at_ms: 300, primary_node: 'c' });
    ledger.note('vm', { at_ms: 100, memory_mib: 1024, primary_node: 'a' });
    ledger.note('vm', { at_ms: 200, memory_mib: 2048, changed: ['memory_mib'] });
    expect(ledger.asOf('vm', 150)).toEqual({ memory_mib: 1024, primary_node: 'a' });
    expect(ledger.asOf('vm', 250)).toEqual({ memory_mib: 2048, primary_node: 'a' });
    expect(ledger.asOf('vm', 300)).toEqual({ memory_mib: 2048, primary_node: 'c' });
    expect(ledger.asOf('other', 300)).toBeUndefined();
  });

  it('never answers with a later placement, and marks a size that only a later snapshot tells', () => {
    const ledger = new ClusterLedger();
    ledger.note('vm', { at_ms: 200, memory_mib: 2048, primary_node: 'b' });
    expect(ledger.asOf('vm', 100)).toEqual({ memory_mib: 2048, from_later: true });
  });

  it('takes no later size over a change of that size', () => {
    const ledger = new ClusterLedger();
    ledger.note('vm', { at_ms: 200, memory_mib: 2048, changed: ['memory_mib'] });
    ledger.note('vm', { at_ms: 300, memory_mib: 2048, vcpus: 2 });
    expect(ledger.asOf('vm', 100)).toEqual({ vcpus: 2, from_later: true });
  });

  it('forgets what was before an instance was made anew, not what came after', () => {
    const ledger = new ClusterLedger();
    ledger.note('vm', { at_ms: 100, memory_mib: 1 });
    ledger.note('vm', { at_ms: 300, memory_mib: 3 });
    ledger.forget('vm', 200);
    expect(ledger.asOf('vm', 250)).toEqual({ memory_mib: 3, from_later: true });
  });

  it('does not grow by snapshots that tell nothing new, nor without end', () => {
    const ledger = new ClusterLedger();
    for (let at = 1; at <= 50; at += 1) ledger.note('vm', { at_ms: at, memory_mib: 7 });
    expect(ledger.toJSON()['vm']).toHaveLength(1);
    for (let at = 100; at <= 2000; at += 1) ledger.note('vm', { at_ms: at, memory_mib: at });
    expect(ledger.toJSON()['vm']!.length).toBeLessThanOrEqual(365);
    expect(ledger.asOf('vm', 2000)).toEqual({ memory_mib: 2000 });
  });

  it('comes back from JSON as it went, and from anything else empty', () => {
    const ledger = new ClusterLedger();
    noteSnapshot(ledger, fixture('ganeti-jobs', 'cluster.data'), 1000);
    const back = ClusterLedger.from(JSON.parse(JSON.stringify(ledger)));
    expect(back.asOf('web1.example.org', 2000)).toEqual(ledger.asOf('web1.example.org', 2000));
    fc.assert(fc.property(fc.jsonValue(), (value) => void ClusterLedger.from(value)));
  });
});

describe('a cluster snapshot', () => {
  it('is read from htools text', () => {
    const ledger = new ClusterLedger();
    expect(noteSnapshot(ledger, fixture('ganeti-jobs', 'cluster.data'), 1000)).toBe(2);
    expect(ledger.asOf('web1.example.org', 1000)).toEqual({
      memory_mib: 8192,
      disk_mib: 30720,
      vcpus: 4,
      primary_node: 'gn1.example.org',
      secondary_node: 'gn2.example.org',
      disk_template: 'drbd',
    });
  });

  it("is read from RAPI's instances", () => {
    const ledger = new ClusterLedger();
    expect(noteSnapshot(ledger, fixture('ganeti-jobs', 'instances.json'), 1000)).toBe(1);
    expect(ledger.asOf('web1.example.org', 1000)).toMatchObject({
      memory_mib: 4096,
      disk_mib: 30720,
      vcpus: 2,
    });
  });

  it('tells nothing where it is neither, and never throws', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(noteSnapshot(new ClusterLedger(), text, 1)).toBeGreaterThanOrEqual(0);
      }),
    );
    expect(noteSnapshot(new ClusterLedger(), '{"a": 1}', 1)).toBe(0);
  });
});
