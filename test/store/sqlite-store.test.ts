import { spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import Database from 'libsql';
import { openStore } from '../../src/store/open-store.js';
import { collected, describeStore, moveAt } from './store-contract.js';

const root = mkdtempSync(join(tmpdir(), 'movecast-store-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const freshFile = (): string => join(root, String((folders += 1)), 'moves.db');
const freshFolder = (): string => {
  const folder = join(root, String((folders += 1)));
  mkdirSync(folder);
  return folder;
};

describeStore('a SQLite file', {
  open: () => openStore(`sqlite:${freshFile()}`),
  reopen: (store) => openStore(store.url),
});
describeStore('SQLite in memory', { open: () => openStore('sqlite::memory:') });

/** Runs a script against the database at `path` in a process of its own; resolves with what it printed. */
function inAnotherProcess(script: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(out) : reject(new Error(`exit code ${code}`))));
  });
}

/** What another program (or another movecast) does to the file: transactions of 50 rows, as fast as it can. */
const WRITER = `
import Database from 'libsql';
const database = new Database(process.argv[1]);
database.exec('PRAGMA busy_timeout = 10000; PRAGMA synchronous = NORMAL');
const insert = database.prepare(\`INSERT INTO moves (id, started_ms, finished_ms, cluster, instance, source_node, target_node, operation, record)
  VALUES (?, ?, ?, 'default', 'vm', 'a', 'b', 'failover', ?) ON CONFLICT DO NOTHING\`);
for (let batch = 0; batch < 40; batch++) {
  database.exec('BEGIN IMMEDIATE');
  for (let i = 0; i < 50; i++) {
    const id = 'other-' + (batch * 50 + i);
    insert.run(id, 1e12 + batch, 1e12 + batch + 1, JSON.stringify({ id }));
  }
  database.exec('COMMIT');
}
database.close();
process.stdout.write('done');
`;

describe('a SQLite file', () => {
  it('loses nothing when two processes write at once', async () => {
    const url = `sqlite:${freshFile()}`;
    const store = await openStore(url);
    try {
      const other = inAnotherProcess(WRITER, url.slice('sqlite:'.length));
      for (let batch = 0; batch < 40; batch++) {
        await store.addMoves(Array.from({ length: 50 }, (_, i) => moveAt(`own-${batch}-${i}`, batch)));
      }
      expect(await other).toBe('done');
      expect((await store.info()).moves).toBe(4000);
      const ids = new Set((await collected(store.moves())).map((move) => move.id));
      expect(ids.size).toBe(4000);
    } finally {
      await store.close();
    }
  });

  it('can be opened for the first time by several at once', async () => {
    const url = `sqlite:${freshFile()}`;
    const stores = await Promise.all(Array.from({ length: 8 }, () => openStore(url)));
    try {
      for (const [i, store] of stores.entries()) await store.addMoves([moveAt(`m${i}`, i)]);
      expect((await stores[0]!.info()).moves).toBe(8);
    } finally {
      for (const store of stores) await store.close();
    }
  });

  it('knows an id even when the move is said to have started at another time', async () => {
    const store = await openStore('sqlite::memory:');
    await store.addMoves([moveAt('m1', 0)]);
    expect(await store.addMoves([moveAt('m1', 500)])).toEqual({ new: 0, known: 1 });
    await store.close();
  });

  it('gives a reader rows that were there when it came to them, while another writes', async () => {
    const url = `sqlite:${freshFile()}`;
    const reader = await openStore(url);
    const writer = await openStore(url);
    try {
      await writer.addMoves(
        Array.from({ length: 3000 }, (_, i) => moveAt(`a${String(i).padStart(4, '0')}`, i)),
      );
      const seen: string[] = [];
      for await (const move of reader.moves()) {
        if (seen.length === 10) await writer.addMoves([moveAt('late', 2999.5), moveAt('early', 0)]);
        seen.push(move.id);
      }
      expect(seen).toContain('late');
      expect(seen).not.toContain('early');
      expect(new Set(seen).size).toBe(seen.length);
    } finally {
      await reader.close();
      await writer.close();
    }
  });
});

describe('a SQLite file that cannot be used', () => {
  it('that is no database: says so and changes nothing', async () => {
    const path = join(freshFolder(), 'notes.txt');
    writeFileSync(path, 'these are my notes, not a database; '.repeat(100));
    await expect(openStore(`sqlite:${path}`)).rejects.toMatchObject({
      code: 'store-format',
      exitCode: 1,
      message: expect.stringMatching(/notes\.txt is not a SQLite database; .+--store/),
    });
  });

  it('of another program: refuses it', async () => {
    const path = join(freshFolder(), 'other.db');
    const other = new Database(path);
    other.exec('CREATE TABLE invoices (n INTEGER)');
    other.close();
    await expect(openStore(`sqlite:${path}`)).rejects.toMatchObject({
      code: 'store-format',
      message: expect.stringMatching(/another program/),
    });
  });

  it('of a newer format: says which format it has and which can be read', async () => {
    const path = freshFile();
    await (await openStore(`sqlite:${path}`)).close();
    const newer = new Database(path);
    newer.exec('PRAGMA user_version = 99');
    newer.close();
    await expect(openStore(`sqlite:${path}`)).rejects.toMatchObject({
      code: 'store-format',
      message: expect.stringMatching(/has format 99, .*newer movecast.*upgrade/),
    });
  });

  it('of format 1: brings it to the present one, with what it holds', async () => {
    const path = freshFile();
    await (await openStore(`sqlite:${path}`)).close();
    const older = new Database(path);
    older.exec(`
      DROP TABLE link_samples; DROP TABLE instance_samples; DROP TABLE settings;
      CREATE TABLE link_samples (link TEXT NOT NULL, at_ms INTEGER NOT NULL, cluster TEXT NOT NULL,
        throughput_mbps REAL NOT NULL, capacity_mbps REAL, PRIMARY KEY (link, at_ms, cluster)) WITHOUT ROWID;
      CREATE UNIQUE INDEX link_samples_by_time ON link_samples (at_ms, link, cluster);
      CREATE TABLE instance_samples (instance TEXT NOT NULL, at_ms INTEGER NOT NULL, cluster TEXT NOT NULL,
        dirty_rate_mib_s REAL, used_memory_mib REAL, cpu_load REAL, PRIMARY KEY (instance, at_ms, cluster)) WITHOUT ROWID;
      CREATE UNIQUE INDEX instance_samples_by_time ON instance_samples (at_ms, instance, cluster);
      INSERT INTO link_samples VALUES ('a>b', 1772323200000, 'default', 12.5, NULL);
      INSERT INTO instance_samples VALUES ('vm1', 1772323200000, 'east', 1, 2, NULL);
      PRAGMA user_version = 1`);
    older.close();
    const store = await openStore(`sqlite:${path}`);
    expect(await collected(store.linkSamples())).toEqual([
      { at: '2026-03-01T00:00:00.000Z', link: 'a>b', throughput_mbps: 12.5 },
    ]);
    expect(await collected(store.instanceSamples())).toEqual([
      {
        at: '2026-03-01T00:00:00.000Z',
        cluster: 'east',
        instance: 'vm1',
        dirty_rate_mib_s: 1,
        used_memory_mib: 2,
      },
    ]);
    expect((await store.info()).format).toBe(2);
    await store.close();
  });

  it('in a place where no file can be made: says what to do', async () => {
    const folder = freshFolder();
    writeFileSync(join(folder, 'file'), '');
    await expect(openStore(`sqlite:${join(folder, 'file', 'moves.db')}`)).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringMatching(/cannot make the folder .+ another path with --store/),
    });
    await expect(openStore(`sqlite:${folder}`)).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringMatching(/cannot be opened/),
    });
  });

  it.each([
    ['removed', (path: string) => rmSync(path)],
    [
      'replaced',
      (path: string) => {
        copyFileSync(path, `${path}.copy`);
        renameSync(`${path}.copy`, path);
      },
    ],
  ])('that was %s while it was open: takes nothing that would be lost', async (_, change) => {
    const path = freshFile();
    const store = await openStore(`sqlite:${path}`);
    try {
      await store.addMoves([moveAt('before', 0)]);
      change(path);
      await expect(store.addMoves([moveAt('after', 1)])).rejects.toMatchObject({
        code: 'store-unavailable',
        message: expect.stringMatching(/was removed or replaced while it was in use; start again/),
      });
    } finally {
      await store.close();
    }
  });

  it('in a folder that may only be read: says so', async () => {
    const folder = freshFolder();
    const path = join(folder, 'moves.db');
    const database = new Database(path);
    database.exec('PRAGMA journal_mode = WAL; CREATE TABLE moves (id TEXT)');
    database.close();
    chmodSync(root, 0o755);
    chmodSync(folder, 0o555);
    const isRoot = process.geteuid?.() === 0; // whom no permissions hold
    if (isRoot) process.seteuid?.(65534);
    try {
      await expect(openStore(`sqlite:${path}`)).rejects.toMatchObject({
        code: 'store-unavailable',
        message: expect.stringMatching(/is read-only; make its file and its folder writable/),
      });
    } finally {
      if (isRoot) process.seteuid?.(0);
      chmodSync(folder, 0o755);
    }
  });

  it('when its pages run out (as on a full disk): says so, keeps what was stored', async () => {
    const path = freshFile();
    const store = await openStore(`sqlite:${path}`);
    try {
      await store.addMoves([moveAt('first', 0)]);
      const { database } = store as unknown as { database: Database.Database };
      database.exec('PRAGMA max_page_count = 20');
      const many = Array.from({ length: 2000 }, (_, i) =>
        moveAt(`m${i}`, i, { labels: { text: 'x'.repeat(500) } }),
      );
      await expect(store.addMoves(many)).rejects.toMatchObject({
        code: 'store-unavailable',
        message: expect.stringMatching(/no space left on the disk for the store .+; make room/),
      });
      database.exec('PRAGMA max_page_count = 1000000');
      expect((await collected(store.moves())).map((move) => move.id)).toEqual(['first']);
    } finally {
      await store.close();
    }
  });
});
