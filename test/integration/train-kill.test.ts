import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { inventedMoves } from '../training/invented-moves.js';
import { ended, programForTests, type Ended } from './bundled-program.js';

const program = programForTests();
let folder: string;
let records: string;
beforeAll(() => {
  ({ folder } = program());
  records = join(folder, 'records.jsonl');
  writeFileSync(
    records,
    inventedMoves(260)
      .map((record) => `${JSON.stringify(record)}\n`)
      .join(''),
  );
});

/** Trains, and kills the process as soon as so many pieces have come to those that are there. */
async function train(models: string, newPieces = Infinity): Promise<Ended> {
  const killAtPieces = (await piecesIn(models)).length + newPieces;
  const child = program().start(['train', '--records', records, '--models', models, '--seed', '7'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const end = ended(child);
  while (child.exitCode === null && killAtPieces < Infinity) {
    if ((await piecesIn(models)).length >= killAtPieces) {
      child.kill('SIGKILL');
      break;
    }
  }
  return end;
}

/** Paths of the finished pieces of the one training that is under way. */
async function piecesIn(models: string): Promise<string[]> {
  const work = join(models, '.training');
  const [key] = await readdir(work).catch(() => []);
  if (key === undefined) return [];
  const names = await readdir(join(work, key)).catch(() => []);
  return names.filter((name) => name.endsWith('.piece')).map((name) => join(work, key, name));
}

/** The time of a promotion stands in the history; the lock is empty. */
const NOT_COMPARED = new Set(['history', '.lock']);

/** Every file below a folder, with its bytes. */
function bytesOf(root: string, below = ''): Record<string, string> {
  const all: Record<string, string> = {};
  for (const name of readdirSync(join(root, below)).sort()) {
    const path = join(below, name);
    if (statSync(join(root, path)).isDirectory()) Object.assign(all, bytesOf(root, path));
    else if (!NOT_COMPARED.has(name)) all[path] = readFileSync(join(root, path), 'base64');
  }
  return all;
}

describe('train, killed at any moment,', () => {
  it('goes on from what was finished and registers the same bytes as an unbroken run', async () => {
    const whole = join(folder, 'whole');
    const broken = join(folder, 'broken');
    expect(await train(whole)).toMatchObject({ code: 0, err: '' });
    for (const [run, newPieces] of [1, 8, 12, 12].entries()) {
      const before = (await piecesIn(broken)).length;
      const { signal, err } = await train(broken, newPieces);
      expect(signal).toBe('SIGKILL');
      expect(err).toBe(
        run === 0 ? '' : 'movecast: goes on from a training of the same data that was broken off\n',
      );
      expect(readdirSync(broken)).toEqual(['.training']);
      const pieces = await piecesIn(broken);
      expect(pieces.length).toBeGreaterThanOrEqual(before + newPieces);
      if (run < 2) continue;
      // A power cut may leave any of these.
      truncateSync(pieces[0]!, statSync(pieces[0]!).size >> 1);
      writeFileSync(pieces[1]!, '');
      writeFileSync(pieces[2]!, readFileSync(pieces[3]!));
      writeFileSync(`${pieces[4]!}.4711`, 'half a pie');
    }
    expect(await train(broken)).toMatchObject({ code: 0 });
    expect(bytesOf(broken)).toEqual(bytesOf(whole));
    expect(Object.keys(bytesOf(whole)).length).toBe(6); // model, card, metrics, backtest, report, current
    expect(existsSync(join(broken, '.training'))).toBe(false);
  });
});
