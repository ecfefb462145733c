import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from '@jest/globals';
import { buildSync } from 'esbuild';
import { UserError } from '../../src/domain/errors.js';
import { openStore } from '../../src/store/open-store.js';
import { StoreUnreachableError } from '../../src/store/retry.js';
import { Spool } from '../../src/store/spool.js';
import { SpooledStore, type SpoolEvent } from '../../src/store/spooled-store.js';
import { RefusedItemsError, type Store } from '../../src/store/store.js';
import { collected, describeStore, moveAt } from './store-contract.js';

const root = mkdtempSync(join(tmpdir(), 'movecast-spool-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let files = 0;
const freshPath = (): string => join(root, String((files += 1)), 'store.spool');

/** A store that is away when it is told to be. */
async function flickering(): Promise<{
  store: Store;
  inner: Store;
  away: { now: boolean };
  calls: string[];
}> {
  const inner = await openStore('sqlite::memory:');
  const away = { now: false };
  const calls: string[] = [];
  const store = new Proxy(inner, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        calls.push(String(name));
        if (away.now && name !== 'close') {
          if (name === 'moves') return failing();
          return Promise.reject(new StoreUnreachableError('the store is away'));
        }
        return Reflect.apply(member, target, args) as unknown;
      };
    },
  });
  return { store, inner, away, calls };
}

// eslint-disable-next-line require-yield
async function* failing(): AsyncGenerator<never> {
  throw new StoreUnreachableError('the store is away');
}

/** No attempt but those that a test makes. */
const NEVER = { firstPauseMs: 1e8, longestPauseMs: 1e8, random: () => 1 };

function spooled(
  store: Store,
  {
    path = freshPath(),
    limitMib = 16,
    events = [],
  }: { path?: string; limitMib?: number; events?: SpoolEvent[] } = {},
): SpooledStore {
  return new SpooledStore({
    connect: async () => store,
    spool: Spool.open(path, limitMib),
    url: store.url,
    onEvent: (event) => events.push(event),
    retry: NEVER,
  });
}

describeStore('a store with a spool in front of it', {
  open: async () => spooled(await openStore('sqlite::memory:')),
});

describe('a spool in front of a store', () => {
  it('keeps what cannot be stored, and gives it on in order once the store is back', async () => {
    const { store, inner, away } = await flickering();
    const events: SpoolEvent[] = [];
    const front = spooled(store, { events });
    await front.addMoves([moveAt('a', 0)]);
    away.now = true;
    expect(await front.addMoves([moveAt('b', 1), moveAt('c', 2)])).toEqual({ new: 2, known: 0 });
    expect(await front.addMoves([moveAt('b', 1, { duration_seconds: 99 })])).toEqual({ new: 1, known: 0 });
    expect(await front.addInstanceSamples([{ at: moveAt('x', 0).started_at, instance: 'vm1' }])).toEqual({
      new: 1,
      known: 0,
    });
    expect(front.waiting()).toMatchObject({ batches: 3, items: 4 });
    expect(await front.drain()).toBe(false);
    await expect(collected(front.moves())).rejects.toThrow('the store is away');
    away.now = false;
    expect(await front.drain()).toBe(true);
    expect(front.waiting().batches).toBe(0);
    expect(await collected(inner.moves())).toEqual([moveAt('a', 0), moveAt('b', 1), moveAt('c', 2)]);
    expect((await inner.info()).instance_samples).toBe(1);
    expect(events.map((event) => event.kind)).toEqual(['down', 'drained']);
    await front.close();
  });

  it('lets nothing overtake what waits', async () => {
    const { store, inner, away } = await flickering();
    const front = spooled(store);
    away.now = true;
    await front.addMoves([moveAt('m', 0, { duration_seconds: 1 })]);
    away.now = false;
    await front.addMoves([moveAt('m', 0, { duration_seconds: 2 })]);
    await front.drain();
    expect((await inner.move('m'))?.duration_seconds).toBe(1);
    await front.close();
  });

  it('is there again after a restart, and is emptied before anything newer', async () => {
    const { store, inner, away } = await flickering();
    const path = freshPath();
    const first = spooled(store, { path });
    away.now = true;
    await first.addMoves([moveAt('a', 0)]);
    await first.close().catch(() => undefined);
    const { store: again, away: nowAway } = { store: inner, away };
    nowAway.now = false;
    const reopened = await openStore('sqlite::memory:');
    const second = spooled(reopened, { path });
    expect(second.waiting().items).toBe(1);
    await second.drain();
    expect(await reopened.move('a')).toEqual(moveAt('a', 0));
    await second.close();
    await again.close();
  });

  it('does not put a batch into the store twice when its acknowledgement was lost', async () => {
    const { store, inner, away } = await flickering();
    const path = freshPath();
    const front = spooled(store, { path });
    away.now = true;
    await front.addMoves([moveAt('a', 0), moveAt('b', 1)]);
    await inner.addMoves([moveAt('a', 0), moveAt('b', 1)]); // it had arrived, the answer had not
    away.now = false;
    await front.drain();
    expect((await inner.info()).moves).toBe(2);
    await front.close();
  });

  it('says when it is full, keeps what it has, and takes more once there is room', async () => {
    const { store, inner, away } = await flickering();
    const front = spooled(store, { limitMib: 0.001 });
    away.now = true;
    let stored = 0;
    const error = await (async () => {
      for (;;) {
        await front.addMoves([moveAt(`m${stored}`, stored)]);
        stored += 1;
      }
    })().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'store-unavailable', exitCode: 1 });
    expect((error as UserError).message).toMatch(
      /^the spool .+store\.spool is full \(0\.001 MiB .+bring the store back/,
    );
    expect(front.waiting().items).toBe(stored);
    expect(stored).toBeGreaterThan(2);
    away.now = false;
    await front.drain();
    expect((await inner.info()).moves).toBe(stored);
    expect(await front.addMoves([moveAt('later', 9999)])).toEqual({ new: 1, known: 0 });
    await front.close();
  });

  it('tells what the store refused of what had waited, and goes on with the rest', async () => {
    const inner = await openStore('sqlite::memory:');
    const events: SpoolEvent[] = [];
    const path = freshPath();
    const queue = Spool.open(path);
    queue.append('moves', [moveAt('bad', 0)]);
    queue.append('moves', [moveAt('good', 1)]);
    queue.close();
    const choosy: Store = new Proxy(inner, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (name === 'addMoves') {
          return async (moves: { id: string }[]) => {
            if (moves[0]!.id === 'bad')
              throw new RefusedItemsError('no', [{ index: 0, reason: 'bad' }], { new: 0, known: 0 });
            return inner.addMoves(moves as never);
          };
        }
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    });
    const front = spooled(choosy, { path, events });
    expect(await front.drain()).toBe(true);
    expect((await inner.info()).moves).toBe(1);
    expect(events[0]).toMatchObject({
      kind: 'refused',
      batch: { items: [{ id: 'bad' }] },
      refused: [{ index: 0, reason: 'bad' }],
    });
    await front.close();
  });

  it('does not spool what would fail again', async () => {
    const inner = await openStore('sqlite::memory:');
    const front = new SpooledStore({
      connect: async () => {
        throw new UserError('store-unavailable', 'wrong password');
      },
      spool: Spool.open(freshPath()),
      url: 'influx://db/x',
      retry: NEVER,
    });
    await expect(front.addMoves([moveAt('a', 0)])).rejects.toThrow('wrong password');
    expect(front.waiting().batches).toBe(0);
    await front.close();
    await inner.close();
  });
});

describe('a spool', () => {
  it('holds every batch that was acknowledged to a writer that is killed, whole and in order', async () => {
    const project = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
    const writer = join(root, 'writer.cjs');
    buildSync({
      stdin: {
        contents: `
          import { Spool } from './src/store/spool.ts';
          const spool = Spool.open(process.argv[2]);
          for (let n = 0; ; n++) {
            spool.append('moves', Array.from({ length: 50 }, (_, i) => ({ id: n + ':' + i, text: 'x'.repeat(200) })));
            process.stdout.write(n + '\\n');
          }`,
        resolveDir: project,
        loader: 'ts',
      },
      bundle: true,
      platform: 'node',
      format: 'cjs',
      external: ['libsql'],
      outfile: writer,
      logLevel: 'error',
    });
    for (const killAfter of [1, 7, 23]) {
      const path = freshPath();
      const child = spawn(process.execPath, [writer, path], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, NODE_PATH: join(project, 'node_modules') },
      });
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (said.split('\n').length > killAfter) child.kill('SIGKILL');
      });
      await once(child, 'close');
      const acknowledged = said.split('\n').filter((line) => line !== '').length;
      const spool = Spool.open(path);
      const last: string[] = [];
      for (let batch = spool.first(); batch !== undefined; batch = spool.first()) {
        expect(batch.items).toHaveLength(50);
        last.push((batch.items[49] as { id: string }).id);
        spool.acknowledge(batch.number);
      }
      expect(acknowledged).toBeGreaterThanOrEqual(killAfter);
      expect(last.length).toBeGreaterThanOrEqual(acknowledged);
      expect(last).toEqual(last.map((_, n) => `${n}:49`));
      spool.close();
    }
  });
});
