import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { Collection } from '../../src/collector/pipeline.js';
import { RejectsFile } from '../../src/collector/rejects.js';
import { storeSink, type Batch } from '../../src/collector/sinks.js';
import type { MoveRecord } from '../../src/domain/move-record.js';
import { RefusedItemsError, type Store } from '../../src/store/store.js';

const folder = mkdtempSync(join(tmpdir(), 'movecast-pipeline-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const move = (id: string | undefined, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  ...(id === undefined ? {} : { id }),
  instance: 'vm1',
  source_node: 'a',
  target_node: 'b',
  operation: 'failover',
  started_at: '2026-11-22T10:00:00.000Z',
  duration_seconds: 1,
  ...more,
});
const ORIGIN = { file: 'a.log' };
const NO_REJECTS = new RejectsFile(undefined);

describe('Collection', () => {
  it('puts what the store refuses into the rejects file, with its line, and counts the rest', async () => {
    const refusing = {
      addMoves: (records: readonly MoveRecord[]) =>
        Promise.reject(
          new RefusedItemsError('one refused', [{ index: 1, reason: 'a backslash at the end' }], {
            new: records.length - 1,
            known: 0,
          }),
        ),
    } as Partial<Store> as Store;
    const rejects = new RejectsFile(join(folder, 'rejects.jsonl'));
    const collection = new Collection({ sink: storeSink(refusing), rejects });
    for (const line of [1, 2, 3]) collection.take({ kind: 'move', value: move(`m${line}`), line }, ORIGIN);
    await collection.flush();
    await rejects.close();
    expect(collection.counts).toEqual({ read: 3, new: 2, known: 0, rejected: 1 });
    expect(JSON.parse(readFileSync(join(folder, 'rejects.jsonl'), 'utf8'))).toMatchObject({
      file: 'a.log',
      line: 2,
      reason: 'the store refuses it: a backslash at the end',
    });
  });

  it('calls what is safe safe only after the sink has taken it', async () => {
    const events: string[] = [];
    const sink = {
      add: async ({ moves }: Batch) => {
        events.push(`stored ${moves.length}`);
        return { new: moves.length, known: 0 };
      },
    };
    const collection = new Collection({ sink, rejects: NO_REJECTS });
    collection.take({ kind: 'move', value: move('m1'), line: 1 }, ORIGIN);
    collection.whenSafe(() => events.push('safe'));
    expect(events).toEqual([]);
    await collection.flush();
    expect(events).toEqual(['stored 1', 'safe']);
  });

  it('gives a move without an id the same one each time, another one under another cluster', async () => {
    const ids: string[] = [];
    const sink = {
      add: async ({ moves }: Batch) => {
        ids.push(...moves.map(({ id }) => id));
        return { new: moves.length, known: 0 };
      },
    };
    for (const cluster of ['x', 'x', 'y']) {
      const collection = new Collection({ sink, rejects: NO_REJECTS, cluster });
      collection.take({ kind: 'move', value: move(undefined), line: 1 }, ORIGIN);
      await collection.flush();
    }
    expect(ids[0]).toBe(ids[1]);
    expect(ids[2]).not.toBe(ids[0]);
  });

  it('counts derived samples as nothing that was read', async () => {
    const stored: Batch[] = [];
    const sink = {
      add: async (batch: Batch) => {
        stored.push(batch);
        return { new: batch.moves.length + batch.linkSamples.length, known: 0 };
      },
    };
    const collection = new Collection({
      sink,
      rejects: NO_REJECTS,
      beforeStoring: async () => ({
        moves: [],
        linkSamples: [{ at: '2026-11-22T10:00:01.000Z', link: 'a>b:moves', throughput_mbps: 1 }],
        instanceSamples: [],
      }),
    });
    collection.take({ kind: 'move', value: move('m1'), line: 1 }, ORIGIN);
    await collection.flush();
    expect(collection.counts).toEqual({ read: 1, new: 1, known: 0, rejected: 0 });
    expect(stored).toHaveLength(2);
  });
});
