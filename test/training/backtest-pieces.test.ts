import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { BacktestColumns } from '../../training/backtest-columns.js';
import {
  backtest,
  backtestEach,
  protocols,
  type BacktestRow,
  type Protocol,
} from '../../training/backtest.js';
import {
  PiecesFolder,
  piecesWithin,
  trainingKey,
  type BacktestPieces,
} from '../../training/backtest-pieces.js';
import { candidates } from '../../training/candidates/candidates.js';
import type { Candidate } from '../../training/forecaster.js';
import { inventedMoves } from './invented-moves.js';

const records = inventedMoves(240, (i) => ({ cluster: i < 150 ? 'c' : 'd' }));
const few = candidates.filter(({ name }) => ['median-of-instance', 'physics', 'movecast'].includes(name));

/** Counts the fits of candidates. */
function counted(of: readonly Candidate[]): { list: Candidate[]; fits: () => number } {
  let fits = 0;
  const list = of.map((candidate): Candidate => ({
    ...candidate,
    fit: (history, seed) => {
      fits++;
      return candidate.fit(history, seed);
    },
  }));
  return { list, fits: () => fits };
}

/** Ends like a killed process after so many pieces. */
function dying(pieces: BacktestPieces, after: number): BacktestPieces {
  let kept = 0;
  return {
    read: (name) => pieces.read(name),
    keep(name, rows) {
      pieces.keep(name, rows);
      if (++kept === after) throw new Error('killed');
    },
  };
}

describe('rows as columns', () => {
  it('come out as they went in, of moves that were broken off and of candidates without a chance to complete too', () => {
    const broken = records.map((record, i) =>
      i % 9 === 0 ? { ...record, status: 'failed' as const } : record,
    );
    const each = [
      ...backtestEach({ records: broken }, few, { protocol: 'rolling', seed: 5, originGrowth: 1.25 }),
    ];
    expect(each.map(({ candidate }) => candidate)).toEqual(few);
    for (const { rows } of each) {
      expect(new Set(rows.map(({ status }) => status)).size).toBe(2);
      const out = new BacktestColumns(rows).rows();
      expect(out).toEqual(rows);
      expect(JSON.stringify(out)).toBe(JSON.stringify(rows));
    }
    expect(new BacktestColumns([]).rows()).toEqual([]);
  });
});

describe('pieces of a backtest', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'movecast-pieces-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it.each(Object.keys(protocols) as Protocol[])(
    '%s: broken off again and again, gives the same rows, and no finished piece is fitted twice',
    (protocol) => {
      const options = { protocol, seed: 5, originGrowth: 1.25 };
      const whole = counted(few);
      const unbroken = backtest({ records }, whole.list, options);
      const pieces = new PiecesFolder(folder, 'key');
      const again = counted(few);
      let rows: BacktestRow[] | undefined;
      let kills = 0;
      while (rows === undefined) {
        try {
          rows = backtest({ records }, again.list, { ...options, pieces: dying(pieces, 2) });
        } catch (error) {
          if ((error as Error).message !== 'killed') throw error;
          if (++kills > 100) throw new Error('goes on from nothing that was finished', { cause: error });
        }
      }
      expect(rows).toEqual(unbroken);
      expect(kills).toBeGreaterThan(0);
      // A piece is kept when the next fit is due, so that each kill comes before that fit, not in its midst.
      expect(again.fits()).toBe(whole.fits());
    },
  );

  it('that are damaged, cut off, of another key or of another name are as good as none', () => {
    const pieces = new PiecesFolder(folder, 'key');
    const rows = backtest({ records }, few.slice(0, 1), { protocol: 'cold-start', seed: 1 });
    pieces.keep('a', rows);
    expect(pieces.read('a')).toEqual(rows);
    expect(pieces.read('b')).toBeUndefined();
    expect(new PiecesFolder(folder, 'other').read('a')).toBeUndefined();
    expect(piecesWithin(pieces, 'x').read('a')).toBeUndefined();
    const [name] = readdirSync(pieces.folder);
    const path = join(pieces.folder, name!);
    const bytes = readFileSync(path);
    for (let at = 0; at < bytes.length; at += 13) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 4;
      writeFileSync(path, damaged);
      expect(pieces.read('a')).toBeUndefined();
    }
    for (const length of [0, 10, 64, 65, bytes.length - 1]) {
      writeFileSync(path, bytes);
      truncateSync(path, length);
      expect(pieces.read('a')).toBeUndefined();
    }
    // The file of one piece in the place of another.
    writeFileSync(path, bytes);
    pieces.keep('b', rows.slice(0, 1));
    const other = readdirSync(pieces.folder).find((file) => file !== name)!;
    writeFileSync(join(pieces.folder, other), bytes);
    expect(pieces.read('b')).toBeUndefined();
    expect(pieces.read('a')).toEqual(rows);
  });

  it('are keyed by records, samples and seed, not by the order of the records', () => {
    const key = trainingKey({ records }, 1);
    expect(trainingKey({ records: records.toReversed() }, 1)).toBe(key);
    const sample = { at: '2026-01-01T00:00:00.000Z', link: 'a>b', throughput_mbps: 1 };
    const others = [
      trainingKey({ records }, 2),
      trainingKey({ records: records.slice(1) }, 1),
      trainingKey({ records: [{ ...records[0]!, duration_seconds: 1 }, ...records.slice(1)] }, 1),
      trainingKey({ records, linkSamples: [sample] }, 1),
    ];
    expect(new Set([key, ...others]).size).toBe(5);
  });

  it('are removed when done, with those that nobody took up for a week, and nothing else', () => {
    const old = new PiecesFolder(folder, 'old');
    const young = new PiecesFolder(folder, 'young');
    const own = new PiecesFolder(folder, 'own');
    for (const pieces of [old, young, own]) pieces.keep('a', []);
    const nowMs = Date.UTC(2026, 5, 20);
    utimesSync(old.folder, nowMs / 1000 - 8 * 86_400, nowMs / 1000 - 8 * 86_400);
    utimesSync(young.folder, nowMs / 1000 - 86_400, nowMs / 1000 - 86_400);
    own.remove(nowMs);
    expect([old.isBegun, young.isBegun, own.isBegun]).toEqual([false, true, false]);
    young.remove(nowMs);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('leave no half file where one cannot be finished', () => {
    const first = new PiecesFolder(folder, 'key');
    first.keep('a', []);
    const [file] = readdirSync(first.folder);
    rmSync(join(first.folder, file!));
    mkdirSync(join(first.folder, file!)); // what was written cannot take its place
    const second = new PiecesFolder(folder, 'key');
    second.keep('a', []);
    expect(second.failure).toBeDefined();
    expect(readdirSync(second.folder)).toEqual([file]);
  });

  it('cost nothing but the way back where they cannot be written', () => {
    writeFileSync(join(folder, '.training'), 'a file where the folder should be');
    const pieces = new PiecesFolder(folder, 'key');
    const options = { protocol: 'cold-start', seed: 1 } as const;
    const rows = backtest({ records }, few, { ...options, pieces });
    expect(rows).toEqual(backtest({ records }, few, options));
    expect(pieces.failure).toBeDefined();
    expect(pieces.isBegun).toBe(false);
  });
});
