import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { MoveRecord } from '../../src/domain/move-record.js';
import { openStore } from '../../src/store/open-store.js';
import { runCommand } from './run-command.js';

const NOW_MS = Date.parse('2026-03-10T00:00:00Z');

const moves: MoveRecord[] = [
  {
    id: 'm1, "quoted"',
    instance: 'vm 1',
    source_node: 'node-a',
    target_node: 'node-b',
    operation: 'live_migration',
    started_at: '2026-03-01T00:00:00.000Z',
    duration_seconds: 10.25,
    capabilities: [],
    labels: { 'a,b': 'line one\nline "two"', n: 1.5, yes: true },
  },
  {
    id: 'm2',
    origin: 'ganeti',
    instance: 'vm2',
    source_node: 'node-a',
    target_node: 'node-b',
    operation: 'failover',
    started_at: '2026-03-05T00:00:00.000Z',
    duration_seconds: 3,
    status: 'failed',
    memory_mib: 4096,
    capabilities: ['xbzrle', 'auto-converge'],
  },
];

describe('movecast store', () => {
  let folder: string;
  let url: string;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'movecast-store-command-'));
    url = `sqlite:${join(folder, 'moves.db')}`;
    const store = await openStore(url);
    await store.addMoves(moves);
    await store.addLinkSamples([
      { at: '2026-03-01T00:00:00.000Z', link: 'node-a>node-b', throughput_mbps: 5, capacity_mbps: 1000 },
    ]);
    await store.addInstanceSamples([{ at: '2026-03-09T00:00:00.000Z', instance: 'vm2', cpu_load: 0.5 }]);
    await store.close();
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const run = (...args: string[]) => runCommand(['store', ...args], { now: () => NOW_MS });
  const contentOf = async (storeUrl: string): Promise<unknown[]> => {
    const store = await openStore(storeUrl);
    const found: unknown[] = [];
    for await (const move of store.moves()) found.push(move);
    for await (const sample of store.linkSamples()) found.push(sample);
    for await (const sample of store.instanceSamples()) found.push(sample);
    await store.close();
    return found;
  };

  it('does not export a store over itself', async () => {
    const path = url.slice('sqlite:'.length);
    for (const out of [path, `${path}-wal`]) {
      const { code, err } = await run('export', '--store', url, '--out', out);
      expect({ code, err }).toEqual({
        code: 2,
        err: `movecast: --out ${out}: would write over what is read; name another file\n`,
      });
    }
    expect(await contentOf(url)).toHaveLength(4);
  });

  it('says what the store holds', async () => {
    const { code, out } = await run('--store', url);
    expect(code).toBe(0);
    expect(out).toBe(
      `store             ${url} (format 2)\n` +
        'moves             2, started 2026-03-01T00:00:00.000Z to 2026-03-05T00:00:00.000Z\n' +
        'link samples      1\ninstance samples  1\nkept predictions  0\n',
    );
    expect(JSON.parse((await run('info', '--json', '--store', url)).out)).toMatchObject({ url, moves: 2 });
  });

  it.each(['jsonl', 'csv', 'parquet'])('exports as %s what an import takes back whole', async (format) => {
    const files: string[] = [];
    for (const what of ['moves', 'link-samples', 'instance-samples']) {
      const file = join(folder, `${what}.${format}`);
      files.push(file);
      expect(await run('export', '--what', what, '--out', file, '--store', url)).toMatchObject({ code: 0 });
    }
    const copy = `sqlite:${join(folder, 'copy.db')}`;
    const imported = await run('import', ...files, '--store', copy, '--json');
    expect(JSON.parse(imported.out)).toEqual({ read: 4, new: 4, known: 0, rejected: 0 });
    expect(await contentOf(copy)).toEqual(await contentOf(url));
    const again = await run('import', ...files, '--store', copy);
    expect(again.out).toBe('read 4: 0 new, 4 known, 0 rejected\n');
  });

  it('exports a range to standard output', async () => {
    const { out, err } = await run('export', '--from', '2026-03-02', '--store', url);
    expect(out).toBe(`${JSON.stringify(moves[1])}\n`);
    expect(err).toBe('');
  });

  it('keeps good rows around bad ones and says what was wrong', async () => {
    const file = join(folder, 'mixed.jsonl');
    const rejects = join(folder, 'rejects.jsonl');
    writeFileSync(
      file,
      `${JSON.stringify({ ...moves[0], id: 'new' })}\n{"id":\n${JSON.stringify({ ...moves[1], id: 'bad', duration_seconds: -1 })}\n`,
    );
    const { code, out, err } = await run('import', file, '--rejects', rejects, '--store', url);
    expect(code).toBe(0);
    expect(out).toBe('read 3: 1 new, 0 known, 2 rejected\n');
    expect(err).toMatch(/2 rejected: .*duration_seconds/);
    expect(readFileSync(rejects, 'utf8').split('\n')).toHaveLength(3);
  });

  it('prunes what is older than a time or a number of days', async () => {
    const { out } = await run('prune', '--older-than', '6d', '--store', url);
    expect(out).toBe(
      'removed what was before 2026-03-04T00:00:00.000Z: 1 moves, 1 link samples, 0 instance samples, 0 kept predictions\n',
    );
    const json = await run('prune', '--before', '2026-03-06T00:00:00Z', '--json', '--store', url);
    expect(JSON.parse(json.out)).toMatchObject({ moves: 1, link_samples: 0 });
  });

  it('keeps what the retention says, and removes the rest when it is pruned', async () => {
    expect((await run('retention', '--store', url)).out).toBe(
      'moves             forever\nsamples           forever\ncoarse samples    forever\n',
    );
    const set = await run(
      'retention',
      '--moves',
      '6d',
      '--samples',
      '3',
      '--coarse-samples',
      '0d',
      '--json',
      '--store',
      url,
    );
    expect(JSON.parse(set.out)).toEqual({ moves_days: 6, samples_days: 3, coarse_samples_days: 0 });
    expect((await run('retention', '--moves', 'forever', '--store', url)).out).toMatch(
      /^moves {13}forever\nsamples {11}3d\n/,
    );
    const { out } = await run('prune', '--store', url);
    expect(out).toBe(
      'removed what the retention does not keep: 0 moves, 1 link samples, 0 instance samples, 0 kept predictions\n',
    );
  });

  it.each([
    [['prune'], /needs --before TIME, --older-than DAYS, or a retention/],
    [['prune', '--before', '2026-01-01', '--older-than', '3d'], /takes either .+ not both/],
    [['retention', '--samples', '-3'], /--samples -3: is not a number of days/],
    [['prune', '--older-than', 'soon'], /is not a number of days/],
    [
      ['prune', '--before', 'yesterday'],
      /--before <time>' argument 'yesterday' is invalid\. It must be a time/,
    ],
    [['export', '--what', 'everything'], /--what/],
    [
      ['export', '--from', '31.12.2026'],
      /--from <time>' argument '31\.12\.2026' is invalid\. It must be a time/,
    ],
    [['export', '--format', 'parquet'], /Parquet cannot be written to standard output; name a file/],
    [['import', '/no/such/file.parquet'], /no such file/],
    [['import'], /missing required argument/],
    [['import', '/no/such/file.jsonl'], /no such file/],
  ])('answers %j with one sentence and exit code 2', async (args, sentence) => {
    const { code, out, err } = await run(...args, '--store', url);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toMatch(sentence);
    expect(err.trim().split('\n')).toHaveLength(1);
  });

  it('exits with 2 when no row of an import could be used, and when a folder holds no table', async () => {
    const file = join(folder, 'bad.jsonl');
    writeFileSync(file, '{"id": "no move"}\n');
    const all = await run('import', file, '--what', 'moves', '--store', url);
    expect(all).toMatchObject({ code: 2, out: 'read 1: 0 new, 0 known, 1 rejected\n' });
    expect(all.err).toMatch(/none of 1 row in .+ could be used/);
    const none = await run('import', mkdtempSync(join(folder, 'empty-')), '--store', url);
    expect(none.code).toBe(2);
    expect(none.err).toMatch(/no table in .+; name files/);
  });

  it('says when the file of an export cannot be written', async () => {
    const { code, err } = await run('export', '--out', join(folder, 'no', 'such', 'x.jsonl'), '--store', url);
    expect(code).toBe(1);
    expect(err).toMatch(/no such file or folder; name another file/);
  });

  it('says when a file is no Parquet although its name says so', async () => {
    const file = join(folder, 'notes.parquet');
    writeFileSync(file, 'nothing of the kind, but long enough to have a footer');
    const { code, err } = await run('import', file, '--store', url);
    expect(code).toBe(2);
    expect(err).toMatch(/notes\.parquet: is not a Parquet file that can be read/);
  });

  it('says when the file of a Parquet export cannot be written', async () => {
    const { code, err } = await run('export', '--out', join(folder, 'no', 'x.parquet'), '--store', url);
    expect(code).toBe(1);
    expect(err).toMatch(/no such file or folder; name another file/);
  });

  it('says when a file to be imported is none of the tables', async () => {
    const file = join(folder, 'notes.txt');
    writeFileSync(file, 'nothing that is known\n');
    const { code, err } = await run('import', file, '--store', url);
    expect(code).toBe(2);
    expect(err).toMatch(/is no table of moves, link-samples, instance-samples; say with --what/);
  });

  it.each([['info'], ['export'], ['prune', '--older-than', '1d'], ['retention']])(
    '%s names a store that is not there, and makes none',
    async (...args) => {
      const mistyped = `sqlite:${join(folder, 'movse.db')}`;
      const { code, out, err } = await run(...(args as string[]), '--store', mistyped);
      expect({ code, out }).toEqual({ code: 1, out: '' });
      expect(err).toBe(
        `movecast: ${mistyped}: there is no store; movecast collect makes one, --store names another\n`,
      );
      expect(readdirSync(folder).filter((name) => name.startsWith('movse'))).toEqual([]);
    },
  );
});
