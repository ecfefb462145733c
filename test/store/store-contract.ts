import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { MoveRecord } from '../../src/domain/move-record.js';
import type { Prediction } from '../../src/domain/prediction.js';
import type { InstanceSample, LinkSample } from '../../src/domain/samples.js';
import { toIsoTime } from '../../src/domain/units.js';
import type { KeptPrediction, Store } from '../../src/store/store.js';

const START_MS = Date.parse('2026-03-01T00:00:00.000Z');
/** Seconds. */
const DAY = 86_400;
const at = (seconds: number): string => toIsoTime(START_MS + seconds * 1000);

/** A move `seconds` after the first moment of the tests. */
export const moveAt = (id: string, seconds: number, more: Partial<MoveRecord> = {}): MoveRecord => ({
  id,
  instance: 'vm1',
  source_node: 'node-a',
  target_node: 'node-b',
  operation: 'live_migration',
  started_at: at(seconds),
  duration_seconds: 10,
  ...more,
});

/** A move with every field that a record can have. */
const fullMove: MoveRecord = {
  id: 'job-1/step 2, "quoted" \\ = ü 漢字',
  origin: 'ganeti',
  cluster: 'east 1',
  instance: 'web, db = "a b".example\\x',
  source_node: 'node a',
  target_node: "node 'b'",
  operation: 'disk_replication',
  started_at: '2026-03-01T00:00:00.123Z',
  duration_seconds: 12.345678901234567,
  status: 'failed',
  memory_mib: 4096.5,
  used_memory_mib: 0,
  vcpus: 4,
  dirty_rate_mib_s: 0.1,
  disk_mib: 1e6,
  link_mbps: 10_000,
  background_mbps: 1e-9,
  max_bandwidth_mib_s: 32,
  downtime_limit_ms: 30,
  capabilities: ['auto-converge', 'xbzrle'],
  multifd_channels: 2,
  concurrent_moves: 0,
  cpu_load: 1.5,
  downtime_ms: 85,
  setup_ms: 3,
  transferred_mib: 1310,
  throughput_mbps: 941.3,
  dirty_sync_count: 5,
  labels: { 'a b': 'c,d=e', n: 1.5, yes: true, no: false, path: 'C:\\', lines: 'one\ntwo' },
};

const prediction: Prediction = {
  duration_seconds: { p05: 1, p10: 2, p50: 3.25, p90: 4, p95: 5, mean: 3.1 },
  downtime_ms: { p50: 85, p90: 240 },
  completion_probability: 0.97,
  basis: 'link',
  inputs_filled: ['dirty_rate_mib_s'],
  model: { name: 'default', version: '1' },
  warnings: ['memory_mib is "large"'],
};

export async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const ids = async (moves: AsyncIterable<MoveRecord>): Promise<string[]> =>
  (await collected(moves)).map((move) => move.id);

/**
 * What every store promises. `open` gives a new, empty store; `reopen` closes nothing and gives a second connection
 * to the same data, where there can be one.
 */
export function describeStore(
  name: string,
  { open, reopen }: { open: () => Promise<Store>; reopen?: (store: Store) => Promise<Store> },
): void {
  describe(`${name}: what every store promises`, () => {
    let store: Store;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(async () => {
      await store.close();
    });

    it('gives a record with every field back exactly as it went in', async () => {
      await store.addMoves([fullMove]);
      expect(await collected(store.moves())).toEqual([fullMove]);
      expect(await store.move(fullMove.id)).toEqual(fullMove);
    });

    it('gives a record with nothing but the required fields back without extra fields', async () => {
      const move = moveAt('bare', 0);
      await store.addMoves([move]);
      expect(await collected(store.moves())).toEqual([move]);
    });

    it('gives any valid record back exactly as it went in', async () => {
      const word = fc
        .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
        .filter((text) => !/[\p{Cc}\u2028\u2029]/u.test(text));
      const amount = fc.double({ min: 0, max: 1e12, noNaN: true }).map((x) => x + 0);
      const record = fc.record(
        {
          instance: word,
          source_node: word,
          target_node: word,
          cluster: word,
          operation: fc.constantFrom('live_migration', 'failover', 'disk_replication'),
          started_at: fc
            .integer({ min: Date.parse('2000-01-01T00:00:00Z'), max: Date.parse('2199-12-31T00:00:00Z') })
            .map(toIsoTime),
          duration_seconds: fc.double({ min: 1e-3, max: 8e6, noNaN: true }),
          memory_mib: amount,
          cpu_load: amount,
          vcpus: fc.nat(),
          labels: fc.dictionary(
            word.filter((key) => key !== '__proto__'),
            fc.oneof(fc.string(), amount, fc.boolean()),
            { noNullPrototype: true },
          ),
        },
        {
          requiredKeys: [
            'instance',
            'source_node',
            'target_node',
            'operation',
            'started_at',
            'duration_seconds',
          ],
        },
      );
      let run = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 10 }), async (records) => {
          run += 1;
          const moves = records.map((fields, i) => ({ ...fields, id: `${run}:${i}` }) as MoveRecord);
          expect(await store.addMoves(moves)).toEqual({ new: moves.length, known: 0 });
          const found = new Map((await collected(store.moves())).map((move) => [move.id, move]));
          for (const move of moves) expect(found.get(move.id)).toEqual(move);
        }),
        { numRuns: 10 },
      );
    }, 60_000);

    it('counts a known id as known and leaves the first record as it is', async () => {
      const first = moveAt('m1', 0);
      expect(await store.addMoves([first, moveAt('m2', 1)])).toEqual({ new: 2, known: 0 });
      expect(
        await store.addMoves([
          moveAt('m1', 0, { duration_seconds: 99, instance: 'vm2', source_node: 'node-z' }),
          moveAt('m3', 2),
        ]),
      ).toEqual({
        new: 1,
        known: 1,
      });
      expect(await store.move('m1')).toEqual(first);
      expect(await ids(store.moves())).toEqual(['m1', 'm2', 'm3']);
    });

    it('counts an id that comes twice in one call once', async () => {
      expect(
        await store.addMoves([moveAt('m1', 0), moveAt('m1', 0), moveAt('m1', 7, { instance: 'vm2' })]),
      ).toEqual({
        new: 1,
        known: 2,
      });
      expect(await collected(store.moves())).toEqual([moveAt('m1', 0)]);
    });

    it('keeps moves apart that are alike in everything but the id', async () => {
      const twins = Array.from({ length: 50 }, (_, i) => moveAt(`twin-${String(i).padStart(2, '0')}`, 0));
      expect(await store.addMoves(twins)).toEqual({ new: 50, known: 0 });
      expect(await collected(store.moves())).toEqual(twins);
      expect(await store.addMoves(twins)).toEqual({ new: 0, known: 50 });
    });

    it('reads moves by start, ties by id, oldest or newest first', async () => {
      await store.addMoves([moveAt('c', 5), moveAt('b', 5), moveAt('z', 1), moveAt('a', 9)]);
      expect(await ids(store.moves())).toEqual(['z', 'b', 'c', 'a']);
      expect(await ids(store.moves({ newestFirst: true }))).toEqual(['a', 'c', 'b', 'z']);
      expect(await ids(store.moves({ newestFirst: true, limit: 2 }))).toEqual(['a', 'c']);
      expect(await ids(store.moves({ limit: 0 }))).toEqual([]);
    });

    it('reads a half-open range of starts', async () => {
      await store.addMoves([moveAt('a', 0), moveAt('b', 1), moveAt('c', 2)]);
      expect(await ids(store.moves({ fromMs: START_MS + 1000, toMs: START_MS + 2000 }))).toEqual(['b']);
      expect(await ids(store.moves({ fromMs: START_MS + 1001 }))).toEqual(['c']);
      expect(await ids(store.moves({ toMs: START_MS }))).toEqual([]);
    });

    it('reads only what had finished at a moment', async () => {
      await store.addMoves([
        moveAt('long', 0, { duration_seconds: 100 }),
        moveAt('short', 50, { duration_seconds: 10 }),
        moveAt('later', 70, { duration_seconds: 0.25 }),
      ]);
      expect(await ids(store.moves({ finishedByMs: START_MS + 60_000 }))).toEqual(['short']);
      expect(await ids(store.moves({ finishedByMs: START_MS + 70_250 }))).toEqual(['short', 'later']);
      expect(await ids(store.moves({ finishedByMs: START_MS + 70_249 }))).toEqual(['short']);
      expect(await ids(store.moves({ finishedByMs: START_MS + 100_000, limit: 1 }))).toEqual(['long']);
    });

    it('reads by cluster, instance, nodes and operation, all at once', async () => {
      await store.addMoves([
        moveAt('a', 0),
        moveAt('b', 1, { instance: 'vm2' }),
        moveAt('c', 2, { cluster: 'east' }),
        moveAt('d', 3, { source_node: 'node-c' }),
        moveAt('e', 4, { target_node: 'node-c' }),
        moveAt('f', 5, { operation: 'failover' }),
        moveAt('g', 6, { instance: "x' OR '1'='1" }),
      ]);
      expect(await ids(store.moves({ instance: 'vm2' }))).toEqual(['b']);
      expect(await ids(store.moves({ cluster: 'east' }))).toEqual(['c']);
      expect(await ids(store.moves({ cluster: 'default', instance: 'vm1' }))).toEqual(['a', 'd', 'e', 'f']);
      expect(await ids(store.moves({ sourceNode: 'node-c' }))).toEqual(['d']);
      expect(await ids(store.moves({ targetNode: 'node-c' }))).toEqual(['e']);
      expect(await ids(store.moves({ operation: 'failover', sourceNode: 'node-a' }))).toEqual(['f']);
      expect(await ids(store.moves({ operation: 'failover', sourceNode: 'node-c' }))).toEqual([]);
      expect(await ids(store.moves({ instance: "x' OR '1'='1" }))).toEqual(['g']);
      expect(await ids(store.moves({ instance: "no' OR '1'='1" }))).toEqual([]);
    });

    it('reads across many pages without losing or doubling a move', async () => {
      const moves = Array.from({ length: 5000 }, (_, i) =>
        moveAt(`m${String(i).padStart(5, '0')}`, Math.floor(i / 7), { instance: `vm${i % 3}` }),
      );
      expect(await store.addMoves(moves)).toEqual({ new: 5000, known: 0 });
      const forwards = await ids(store.moves());
      expect(forwards).toEqual(moves.map((move) => move.id));
      expect(await ids(store.moves({ newestFirst: true }))).toEqual(forwards.toReversed());
      expect(await ids(store.moves({ instance: 'vm1', limit: 1500 }))).toEqual(
        moves
          .filter((move) => move.instance === 'vm1')
          .slice(0, 1500)
          .map((move) => move.id),
      );
    });

    it('lets a reader leave off early and read again', async () => {
      await store.addMoves(Array.from({ length: 2500 }, (_, i) => moveAt(`m${i}`, i)));
      for await (const move of store.moves()) {
        expect(move.id).toBe('m0');
        break;
      }
      expect((await store.info()).moves).toBe(2500);
    });

    it('gives undefined for an id that is not there', async () => {
      expect(await store.move('nobody')).toBeUndefined();
    });

    it('gives link samples back in order of time, by key, range and cluster, and takes each only once', async () => {
      const samples: LinkSample[] = [
        { at: at(2), link: 'a>b', throughput_mbps: 10.5, capacity_mbps: 1000 },
        { at: at(1), link: 'b>a', throughput_mbps: 0 },
        { at: at(1), link: 'a>b', throughput_mbps: 30 },
        { at: at(1), link: 'a>b', throughput_mbps: 31, cluster: 'east' },
      ];
      expect(await store.addLinkSamples(samples)).toEqual({ new: 4, known: 0 });
      expect(await store.addLinkSamples([{ ...samples[0]!, throughput_mbps: 99 }])).toEqual({
        new: 0,
        known: 1,
      });
      const inDefault = { toMs: START_MS + 3000, cluster: 'default' };
      expect(await collected(store.linkSamples(inDefault))).toEqual([samples[2], samples[1], samples[0]]);
      expect(await collected(store.linkSamples({ cluster: 'east' }))).toEqual([samples[3]]);
      expect(await collected(store.linkSamples({ key: 'b>a' }))).toEqual([samples[1]]);
      expect(await collected(store.linkSamples({ fromMs: START_MS + 1001 }))).toEqual([samples[0]]);
      expect(
        await collected(store.linkSamples({ fromMs: START_MS + 1000, toMs: START_MS + 2000 })),
      ).toHaveLength(3);
    });

    it('gives instance samples back in order of time, with the fields that they had', async () => {
      const samples: InstanceSample[] = [
        { at: at(1), instance: 'vm1', dirty_rate_mib_s: 12.5, used_memory_mib: 100, cpu_load: 0.5 },
        { at: at(2), instance: 'vm1', cpu_load: 0 },
        { at: at(3), instance: 'vm1' },
        { at: at(3), instance: 'vm2', used_memory_mib: 7 },
      ];
      expect(await store.addInstanceSamples(samples)).toEqual({ new: 4, known: 0 });
      expect(await store.addInstanceSamples(samples)).toEqual({ new: 0, known: 4 });
      expect(await collected(store.instanceSamples())).toEqual(samples);
      expect(await collected(store.instanceSamples({ key: 'vm2' }))).toEqual([samples[3]]);
    });

    it('reads thousands of samples across pages in order', async () => {
      const samples: InstanceSample[] = Array.from({ length: 4000 }, (_, i) => ({
        at: at(Math.floor(i / 4)),
        instance: `vm${i % 4}`,
        cpu_load: i,
      }));
      await store.addInstanceSamples(samples);
      expect(await collected(store.instanceSamples())).toEqual(samples);
    });

    it('gives the newest sample of an instance at or before a moment, never a later one', async () => {
      await store.addInstanceSamples([
        { at: at(1), instance: 'vm1', cpu_load: 1 },
        { at: at(5), instance: 'vm1', cpu_load: 5 },
        { at: at(4), instance: 'vm1', cpu_load: 4, cluster: 'east' },
        { at: at(3), instance: 'vm2', cpu_load: 3 },
      ]);
      expect((await store.latestInstanceSample('vm1', START_MS + 4999))?.cpu_load).toBe(4);
      expect((await store.latestInstanceSample('vm1', START_MS + 5000))?.cpu_load).toBe(5);
      expect((await store.latestInstanceSample('vm1', START_MS + 4999, 'default'))?.cpu_load).toBe(1);
      expect((await store.latestInstanceSample('vm1', START_MS + 9000, 'east'))?.cpu_load).toBe(4);
      expect(await store.latestInstanceSample('vm1', START_MS + 999)).toBeUndefined();
      expect(await store.latestInstanceSample('vm9', START_MS + 9000)).toBeUndefined();
    });

    it('keeps the first prediction for a move', async () => {
      const kept: KeptPrediction[] = [
        { move_id: 'm2', predicted_at: at(2), prediction },
        { move_id: 'm1', predicted_at: at(1), prediction: { ...prediction, basis: 'prior' } },
      ];
      expect(await store.keepPredictions(kept)).toEqual({ new: 2, known: 0 });
      expect(await store.keepPredictions([{ move_id: 'm1', predicted_at: at(9), prediction }])).toEqual({
        new: 0,
        known: 1,
      });
      expect(await collected(store.keptPredictions())).toEqual([kept[1], kept[0]]);
      expect(await collected(store.keptPredictions({ fromMs: START_MS + 1001 }))).toEqual([kept[0]]);
      expect(await collected(store.keptPredictions({ toMs: START_MS + 2000 }))).toEqual([kept[1]]);
    });

    it('says what it holds', async () => {
      const empty = await store.info();
      expect(empty).toMatchObject({ moves: 0, link_samples: 0, instance_samples: 0, kept_predictions: 0 });
      expect(empty.first_started_at).toBeUndefined();
      await store.addMoves([moveAt('b', 60), moveAt('a', 0.5)]);
      await store.addLinkSamples([{ at: at(0), link: 'a>b', throughput_mbps: 1 }]);
      await store.keepPredictions([{ move_id: 'b', predicted_at: at(0), prediction }]);
      expect(await store.info()).toMatchObject({
        url: store.url,
        format: expect.any(Number),
        moves: 2,
        first_started_at: at(0.5),
        last_started_at: at(60),
        link_samples: 1,
        instance_samples: 0,
        kept_predictions: 1,
      });
    });

    it('prunes what is older than a moment and nothing else', async () => {
      await store.addMoves([moveAt('a', 0), moveAt('b', 10), moveAt('c', 20)]);
      await store.addLinkSamples([
        { at: at(0), link: 'a>b', throughput_mbps: 1 },
        { at: at(10), link: 'a>b', throughput_mbps: 2 },
      ]);
      await store.addInstanceSamples([{ at: at(9.999), instance: 'vm1' }]);
      await store.keepPredictions([
        { move_id: 'a', predicted_at: at(0), prediction },
        { move_id: 'c', predicted_at: at(20), prediction },
      ]);
      expect(await store.prune(START_MS + 10_000)).toEqual({
        moves: 1,
        link_samples: 1,
        instance_samples: 1,
        kept_predictions: 1,
      });
      expect(await ids(store.moves())).toEqual(['b', 'c']);
      expect(await store.move('a')).toBeUndefined();
      expect(await collected(store.linkSamples())).toHaveLength(1);
      expect(await collected(store.instanceSamples())).toEqual([]);
      expect((await collected(store.keptPredictions())).map((kept) => kept.move_id)).toEqual(['c']);
      expect(await store.addMoves([moveAt('a', 0)])).toEqual({ new: 1, known: 0 });
    });

    it('remembers for how long what is to be kept', async () => {
      expect(await store.retention()).toEqual({});
      await store.setRetention({ moves_days: 800, samples_days: 30, coarse_samples_days: 400 });
      await store.setRetention({ samples_days: 30.5, coarse_samples_days: 0 });
      expect(await store.retention()).toEqual({ samples_days: 30.5, coarse_samples_days: 0 });
    });

    it('removes nothing while no retention is set', async () => {
      await store.addMoves([moveAt('a', 0)]);
      await store.addInstanceSamples([{ at: at(0), instance: 'vm1' }]);
      const nothing = { moves: 0, link_samples: 0, instance_samples: 0, kept_predictions: 0 };
      expect(await store.applyRetention(START_MS + 1e12)).toEqual(nothing);
      expect(await store.info()).toMatchObject({ moves: 1, instance_samples: 1 });
    });

    it('makes old samples coarse: means over ten minutes at their end, once, and keeps the newer as measured', async () => {
      const recent: LinkSample = { at: at(5 * DAY), link: 'a>b', throughput_mbps: 7.5 };
      await store.addLinkSamples([
        { at: at(0), link: 'a>b', throughput_mbps: 10, capacity_mbps: 1000 },
        { at: at(60), link: 'a>b', throughput_mbps: 20, capacity_mbps: 1000 },
        { at: at(60), link: 'b>a', throughput_mbps: 3, cluster: 'east' },
        { at: at(600), link: 'a>b', throughput_mbps: 5 },
        recent,
      ]);
      await store.addInstanceSamples([
        { at: at(30), instance: 'vm1', cpu_load: 1, used_memory_mib: 100 },
        { at: at(90), instance: 'vm1', cpu_load: 2 },
      ]);
      await store.setRetention({ samples_days: 3 });
      const nowMs = START_MS + 6 * DAY * 1000;
      expect(await store.applyRetention(nowMs)).toMatchObject({ link_samples: 4, instance_samples: 2 });
      const coarse: LinkSample[] = [
        { at: at(600), link: 'a>b', throughput_mbps: 15, capacity_mbps: 1000 },
        { at: at(600), link: 'b>a', throughput_mbps: 3, cluster: 'east' },
        { at: at(1200), link: 'a>b', throughput_mbps: 5 },
      ];
      expect(await collected(store.linkSamples())).toEqual([...coarse, recent]);
      expect(await collected(store.linkSamples({ key: 'a>b', fromMs: START_MS + 600_001 }))).toEqual([
        coarse[2],
        recent,
      ]);
      expect(await collected(store.linkSamples({ cluster: 'east' }))).toEqual([coarse[1]]);
      expect(await collected(store.instanceSamples())).toEqual([
        { at: at(600), instance: 'vm1', cpu_load: 1.5, used_memory_mib: 100 },
      ]);
      expect(await store.latestInstanceSample('vm1', START_MS + 599_999)).toBeUndefined();
      expect(await store.latestInstanceSample('vm1', START_MS + 600_000)).toMatchObject({ cpu_load: 1.5 });
      expect(await store.info()).toMatchObject({ link_samples: 4, instance_samples: 1 });

      expect(await store.applyRetention(nowMs)).toMatchObject({ link_samples: 0, instance_samples: 0 });
      expect(await collected(store.linkSamples())).toEqual([...coarse, recent]);
    });

    it('removes moves, predictions and means when they are too old', async () => {
      await store.addMoves([moveAt('a', 0), moveAt('b', 3 * DAY)]);
      await store.keepPredictions([{ move_id: 'a', predicted_at: at(0), prediction }]);
      await store.addLinkSamples([
        { at: at(0), link: 'a>b', throughput_mbps: 10 },
        { at: at(2 * DAY), link: 'a>b', throughput_mbps: 20 },
      ]);
      await store.setRetention({ moves_days: 4, samples_days: 1, coarse_samples_days: 4 });
      await store.applyRetention(START_MS + 1.5 * DAY * 1000);
      expect(await collected(store.linkSamples())).toHaveLength(2);
      expect(await store.applyRetention(START_MS + 5 * DAY * 1000)).toEqual({
        moves: 1,
        link_samples: 1,
        instance_samples: 0,
        kept_predictions: 1,
      });
      expect(await collected(store.linkSamples())).toEqual([
        { at: at(2 * DAY + 600), link: 'a>b', throughput_mbps: 20 },
      ]);
      expect(await ids(store.moves())).toEqual(['b']);
    });

    it('takes empty lists', async () => {
      expect(await store.addMoves([])).toEqual({ new: 0, known: 0 });
      expect(await store.addLinkSamples([])).toEqual({ new: 0, known: 0 });
    });

    it('refuses any call after it was closed, in a sentence', async () => {
      await store.close();
      await store.close();
      await expect(store.addMoves([moveAt('a', 0)])).rejects.toMatchObject({ code: 'store-unavailable' });
      await expect(store.info()).rejects.toThrow(/is closed$/);
      await expect(collected(store.moves())).rejects.toMatchObject({ code: 'store-unavailable' });
    });

    if (reopen !== undefined) {
      it('shows a second connection what the first has written, and knows its ids', async () => {
        await store.addMoves([moveAt('a', 0)]);
        const second = await reopen(store);
        try {
          expect(await second.move('a')).toEqual(moveAt('a', 0));
          expect(await second.addMoves([moveAt('a', 0), moveAt('b', 1)])).toEqual({ new: 1, known: 1 });
          expect(await ids(store.moves())).toEqual(['a', 'b']);
        } finally {
          await second.close();
        }
      });
    }
  });
}
