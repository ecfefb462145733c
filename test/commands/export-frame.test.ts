import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { inventedMoves } from '../training/invented-moves.js';
import { runCommand } from './run-command.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'export-frame-'));
  const lines = inventedMoves(130).map((record) => `${JSON.stringify(record)}\n`);
  writeFileSync(join(folder, 'moves.jsonl'), lines.join(''));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (...args: string[]) => runCommand(args);
const at = (name: string): string => join(folder, name);

describe('movecast export-frame', () => {
  it.each(['csv', 'parquet'])('writes a frame as %s with its schema and model beside it', async (format) => {
    const out = at(`frame.${format}`);
    const { code, out: said } = await run(
      'export-frame',
      '--records',
      at('moves.jsonl'),
      '--out',
      out,
      '--json',
    );
    expect(code).toBe(0);
    const report = JSON.parse(said) as Record<string, unknown>;
    const schema = JSON.parse(readFileSync(at('frame.schema.json'), 'utf8')) as {
      file: { sha256: string };
      model: { file: string; version: string };
    };
    expect(report).toMatchObject({ out, rows: 130, schema_version: 1 });
    expect(createHash('sha256').update(readFileSync(out)).digest('hex')).toBe(schema.file.sha256);
    const model = JSON.parse(readFileSync(at(schema.model.file), 'utf8')) as { version: string };
    expect(model.version).toBe(schema.model.version);
  });

  it('reads the store, and only the moves of the time asked for', async () => {
    const store = `sqlite:${at('m.db')}`;
    expect((await run('collect', 'records', at('moves.jsonl'), '--store', store, '--quiet')).code).toBe(0);
    const range = ['--to', '2026-01-01T00:10:00Z', '--out', at('early.csv')];
    const { out } = await run('export-frame', '--store', store, ...range, '--json');
    expect(JSON.parse(out)).toMatchObject({ rows: 40 });
  });

  it.each([
    [['--out', 'frame.xlsx'], 2, /must end in \.csv or \.parquet/],
    [['--out', 'frame.CSV'], 2, /in small letters/],
    [[], 2, /required option '--out <file>'/],
    [['--out', 'no/such/folder/frame.csv'], 1, /frame\.model\.json: no such file or folder/],
  ])('%s is refused with one sentence', async (args, code, sentence) => {
    const refused = await run('export-frame', '--records', at('moves.jsonl'), ...args);
    expect(refused.code).toBe(code);
    expect(refused.err).toMatch(sentence);
    expect(refused.err.trimEnd().split('\n')).toHaveLength(1);
  });

  it('a CSV and a Parquet of one name share schema and model, or the second is refused', async () => {
    const both = (name: string, ...more: readonly string[]) =>
      run('export-frame', '--records', at('moves.jsonl'), '--out', at(name), ...more);
    const sha256 = (name: string): string =>
      createHash('sha256')
        .update(readFileSync(at(name)))
        .digest('hex');
    for (const names of [
      ['both.csv', 'both.parquet'],
      ['again.parquet', 'again.csv'],
    ]) {
      for (const name of names) expect((await both(name)).code).toBe(0);
      const [stem] = names[0]!.split('.');
      const schema = JSON.parse(readFileSync(at(`${stem}.schema.json`), 'utf8')) as Record<string, unknown>;
      expect([schema['data_sha256'], schema['parquet_sha256']]).toEqual([
        sha256(`${stem}.csv`),
        sha256(`${stem}.parquet`),
      ]);
    }
    const files = ['both.csv', 'both.parquet', 'both.schema.json', 'both.model.json'];
    const before = files.map(sha256);
    for (const [name, ...other] of [
      ['both.csv', '--to', '2026-01-01T00:10:00Z'],
      ['both.parquet', '--seed', '7'],
    ]) {
      const refused = await both(name!, ...other);
      expect(refused.code).toBe(2);
      expect(refused.err).toMatch(/both\.schema\.json: describes \S+both\.\w+ too, .+ remove \S+\n$/);
      expect(refused.err.trimEnd().split('\n')).toHaveLength(1);
    }
    expect(files.map(sha256)).toEqual(before);
    rmSync(at('both.parquet'));
    expect((await both('both.csv', '--to', '2026-01-01T00:10:00Z')).code).toBe(0);
  });

  it('does not write over what it reads', async () => {
    const refused = await run('export-frame', '--records', at('frame.csv'), '--out', at('frame.csv'));
    expect(refused.code).toBe(2);
    expect(refused.err).toContain('would write over what is read');
  });

  it('without moves says what to do', async () => {
    writeFileSync(at('none.jsonl'), '');
    const refused = await run('export-frame', '--records', at('none.jsonl'), '--out', at('none.csv'));
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('no finished moves to make a frame of');
  });
});
