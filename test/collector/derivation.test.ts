import { describe, expect, it } from '@jest/globals';
import { ClusterLedger } from '../../src/collector/cluster-ledger.js';
import { Derivation } from '../../src/collector/derivation.js';
import { joinInstanceFacts } from '../../src/collector/instance-facts.js';
import { linkSampleOf } from '../../src/collector/link-throughput.js';
import { emptyBatch } from '../../src/collector/sinks.js';
import type { MoveRecord } from '../../src/domain/move-record.js';
import type { InstanceSample } from '../../src/domain/samples.js';
import { openStore } from '../../src/store/open-store.js';

const LOG = { log: 'a log', writtenMs: undefined, tellsEveryMove: false };
const START = '2026-11-22T10:00:00.000Z';
const startMs = Date.parse(START);
const at = (seconds: number): string => new Date(startMs + seconds * 1000).toISOString();
const move = (more: Partial<MoveRecord> = {}): MoveRecord => ({
  id: 'm1',
  instance: 'vm1',
  source_node: 'a',
  target_node: 'b',
  operation: 'live_migration',
  started_at: START,
  duration_seconds: 10,
  ...more,
});

describe('joinInstanceFacts', () => {
  const ledgerAt = (seconds: number): ClusterLedger => {
    const ledger = new ClusterLedger();
    ledger.note('vm1', { at_ms: startMs + seconds * 1000, memory_mib: 4096, vcpus: 2, disk_mib: 100 });
    return ledger;
  };
  const sampleAt = (seconds: number) => async (): Promise<InstanceSample> => ({
    at: at(seconds),
    instance: 'vm1',
    dirty_rate_mib_s: 30,
    used_memory_mib: 1000,
    cpu_load: 3,
  });

  it('joins size and load as of the start; neither disk size nor the load of the guest', async () => {
    const record = move();
    await joinInstanceFacts(record, { ledger: ledgerAt(-60), latestSample: sampleAt(-60) });
    expect(record).toEqual(move({ memory_mib: 4096, vcpus: 2, dirty_rate_mib_s: 30, used_memory_mib: 1000 }));
  });

  it.each([
    ['from later than the start', 1],
    ['older than a quarter of an hour', -901],
  ])('joins no sample %s', async (_, seconds) => {
    const record = move();
    await joinInstanceFacts(record, { latestSample: sampleAt(seconds) });
    expect(record).toEqual(move());
  });

  it('joins no size from later than the start', async () => {
    const record = move();
    await joinInstanceFacts(record, { ledger: ledgerAt(1) });
    expect(record).toEqual(move());
  });

  it('leaves what the record says', async () => {
    const own = { memory_mib: 1, vcpus: 1, dirty_rate_mib_s: 1, used_memory_mib: 1 };
    const record = move(own);
    await joinInstanceFacts(record, { ledger: ledgerAt(-60), latestSample: sampleAt(-60) });
    expect(record).toEqual(move(own));
  });
});

describe('linkSampleOf', () => {
  it('tells what the link gave, as of the finish', () => {
    expect(linkSampleOf(move({ throughput_mbps: 940, link_mbps: 1000, cluster: 'c' }))).toEqual({
      at: at(10),
      cluster: 'c',
      link: 'a>b:moves',
      throughput_mbps: 940,
      capacity_mbps: 1000,
    });
  });

  it('counts from bytes and time where the log gives no throughput, without the setup', () => {
    const sample = linkSampleOf(move({ transferred_mib: 1000, setup_ms: 2000 }));
    expect(sample?.throughput_mbps).toBeCloseTo((1000 * 2 ** 20 * 8) / 8 / 1e6, 6);
  });

  it.each([
    ['its cap', { max_bandwidth_mib_s: 110 }],
    ['other moves', { concurrent_moves: 1 }],
    ['packing', { capabilities: ['xbzrle'] }],
  ])('says "at least" when the move was limited by %s', (_, more) => {
    expect(linkSampleOf(move({ throughput_mbps: 900, ...more }))?.link).toBe('a>b:moves-at-least');
  });

  it.each([
    ['a move that was broken off', { throughput_mbps: 900, status: 'failed' as const }],
    ['a move that tells no bytes', {}],
    ['a move from nobody knows where', { throughput_mbps: 900, source_node: 'unknown-source' }],
    ['a move of a moment', { throughput_mbps: 900, duration_seconds: 0.5 }],
    ['a move within a node', { throughput_mbps: 900, target_node: 'a' }],
  ])('tells nothing from %s', (_, more) => {
    expect(linkSampleOf(move(more))).toBeUndefined();
  });
});

describe('Derivation', () => {
  const derived = async (records: MoveRecord[], monitored: boolean) => {
    const store = await openStore('sqlite::memory:');
    if (monitored) await store.addLinkSamples([{ at: START, link: 'a:egress', throughput_mbps: 1 }]);
    const derivation = new Derivation('all', undefined, store);
    for (const record of records) derivation.note(record, LOG);
    const batch = await derivation.complete({ ...emptyBatch(), moves: records });
    await store.close();
    return batch;
  };

  it('gives link samples where nothing monitors the link', async () => {
    const batch = await derived([move({ throughput_mbps: 900 })], false);
    expect(batch.linkSamples.map(({ link }) => link)).toEqual(['a>b:moves']);
  });

  it('gives none where something does', async () => {
    expect((await derived([move({ throughput_mbps: 900 })], true)).linkSamples).toEqual([]);
  });

  it('joins samples out of the store', async () => {
    const store = await openStore('sqlite::memory:');
    await store.addInstanceSamples([
      { at: at(-5), instance: 'vm1', dirty_rate_mib_s: 30 },
      { at: at(5), instance: 'vm1', dirty_rate_mib_s: 99 },
    ]);
    const record = move();
    const derivation = new Derivation('all', undefined, store);
    derivation.note(record, LOG);
    await derivation.complete({ ...emptyBatch(), moves: [record] });
    await store.close();
    expect(record.dirty_rate_mib_s).toBe(30);
  });

  it('counts moves that an earlier run stored, not the same move again', async () => {
    const store = await openStore('sqlite::memory:');
    const record = move();
    await store.addMoves([
      move({ id: 'earlier', instance: 'vm2', started_at: at(-3600), duration_seconds: 7200 }),
      move({ id: 'over', instance: 'vm3', started_at: at(-3600), duration_seconds: 60 }),
      record,
    ]);
    const derivation = new Derivation('all', undefined, store);
    derivation.note(record, LOG);
    await derivation.complete({ ...emptyBatch(), moves: [record] });
    await store.close();
    expect(record.concurrent_moves).toBe(1);
  });

  it('takes no start that is only assumed for an overlap', async () => {
    const assumed = move({ labels: { started_at_from: 'file time' } });
    const other = move({ id: 'm2', instance: 'vm2' });
    const derivation = new Derivation('all', undefined, undefined);
    for (const record of [assumed, other]) derivation.note(record, { ...LOG, tellsEveryMove: true });
    await derivation.complete({ ...emptyBatch(), moves: [assumed, other] });
    expect([assumed.concurrent_moves, other.concurrent_moves]).toEqual([undefined, 0]);
  });

  it('completes nothing that was not noted: tables are taken as they are', async () => {
    const record = move();
    const derivation = new Derivation('all', undefined, undefined);
    await derivation.complete({ ...emptyBatch(), moves: [record, move({ id: 'm2', instance: 'vm2' })] });
    expect(record).toEqual(move());
  });
});
