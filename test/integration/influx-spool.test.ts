import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openStore } from '../../src/store/open-store.js';
import type { SpooledStore } from '../../src/store/spooled-store.js';
import { collected, moveAt } from '../store/store-contract.js';
import { freePorts, startInflux, type InfluxServer } from './influx-server.js';
import { requireOrSkip } from './real-servers.js';

(requireOrSkip('influxd') ? describe : describe.skip)('a spool in front of a real InfluxDB', () => {
  let server: InfluxServer;
  let folder: string;
  beforeAll(async () => {
    server = await startInflux();
    folder = mkdtempSync(join(tmpdir(), 'movecast-influx-spool-'));
  });
  afterAll(async () => {
    await server.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const open = async (database: string): Promise<SpooledStore> =>
    (await openStore(server.url(database), {
      spool: { folder },
      retry: { deadlineMs: 0, firstPauseMs: 1e8, longestPauseMs: 1e8 },
    })) as SpooledStore;

  it('loses nothing and doubles nothing while the server is killed and restarted again and again', async () => {
    const expected = [];
    let front = await open('killed');
    for (let round = 0; round < 6; round++) {
      for (let batch = 0; batch < 4; batch++) {
        const moves = Array.from({ length: 300 }, (_, i) => {
          const n = (round * 4 + batch) * 300 + i;
          return moveAt(`m${String(n).padStart(6, '0')}`, n / 4);
        });
        expected.push(...moves);
        // The second batch is on its way when the server is killed: whether it arrived, nobody knows.
        const adding = front.addMoves(moves);
        if (batch === 1) await server.kill();
        await adding;
      }
      expect(front.waiting().items).toBeGreaterThanOrEqual(600);
      if (round % 2 === 0) {
        await front.close(); // and the collector itself begins anew
        front = await open('killed');
      }
      await server.start();
      expect(await front.drain()).toBe(true);
    }
    expect(await collected(front.moves())).toEqual(expected);
    await front.close();
  });

  it('is not begun for a server that was never there: that is a slip in the URL', async () => {
    const [port] = await freePorts(1);
    const fresh = join(folder, 'fresh');
    await expect(openStore(`influx://127.0.0.1:${port}/moves`, { spool: { folder: fresh } })).rejects.toThrow(
      /cannot be reached: connection refused/,
    );
    expect(readdirSync(folder)).not.toContain('fresh');
  });
});
