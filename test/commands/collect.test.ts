import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Context } from '../../src/commands/context.js';
import type { MoveRecord } from '../../src/domain/move-record.js';
import { main } from '../../src/main.js';
import { openStore } from '../../src/store/open-store.js';

let folder: string;
let fileNumber = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'movecast-collect-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fresh = (ending: string): string => join(folder, `${++fileNumber}.${ending}`);
const file = (ending: string, content: string | Buffer): string => {
  const path = fresh(ending);
  writeFileSync(path, content);
  return path;
};

interface Ran {
  code: number;
  out: string;
  err: string;
  json: unknown;
}

async function run(
  args: readonly string[],
  stdin: Iterable<Buffer | string> = [],
  env: Context['env'] = {},
): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const stream = (parts: string[]): PassThrough => {
    const through = new PassThrough();
    through.on('data', (chunk: Buffer) => parts.push(String(chunk)));
    return through;
  };
  const stdout = stream(out);
  const stderr = stream(err);
  const context: Context = {
    stdin: Readable.from(stdin),
    stdout,
    stderr,
    env,
    now: () => 1_700_000_000_000,
  };
  const code = await main(['collect', ...args], context);
  for (const through of [stdout, stderr]) {
    through.end();
    await new Promise((resolve) => through.on('close', resolve));
  }
  const text = out.join('');
  let json: unknown;
  try {
    json = JSON.parse(text.trim().split('\n').at(-1) ?? '');
  } catch {
    json = undefined;
  }
  return { code, out: text, err: err.join(''), json };
}

const move = (number: number, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  id: `move-${number}`,
  instance: `vm${number}`,
  source_node: 'node1',
  target_node: 'node2',
  operation: 'live_migration',
  started_at: new Date(Date.UTC(2026, 10, 22) + number * 60_000).toISOString(),
  duration_seconds: 10 + number,
  ...more,
});
const jsonl = (values: readonly unknown[]): string =>
  values.map((value) => `${JSON.stringify(value)}\n`).join('');
const rejectsIn = (path: string): { file: string; line: number; reason: string; text: string }[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { file: string; line: number; reason: string; text: string });
const HEADER =
  'instance,source_node,target_node,operation,started_at,duration_seconds,memory_mib,capabilities';

/** Collects into a store of its own and gives what the store then holds. */
async function collected(args: readonly string[], stdin?: Iterable<Buffer | string>) {
  const db = fresh('db');
  const ran = await run([...args, '--store', `sqlite:${db}`, '--json'], stdin);
  const moves: MoveRecord[] = [];
  if (existsSync(db)) {
    const store = await openStore(`sqlite:${db}`);
    for await (const record of store.moves()) moves.push(record);
    await store.close();
  }
  return { ...ran, moves, rejects: db.replace(/db$/, 'rejects.jsonl') };
}

describe('collect records', () => {
  it('stores good rows around bad ones; each bad one is in the rejects file with its line and reason', async () => {
    const path = file(
      'jsonl',
      jsonl([move(1), move(2, { duration_seconds: -3 }), move(3, { started_at: '1970-01-01T00:00:00Z' })]) +
        `${JSON.stringify(move(4)).replace(':14}', ':NaN}')}\n` +
        `{"id": "half\n` +
        jsonl([move(5, { duration_seconds: 'NaN' }), {}, move(6), [1]]) +
        JSON.stringify(move(7)).slice(0, 60),
    );
    const { code, json, moves, rejects, err } = await collected(['records', path]);
    expect(code).toBe(0);
    expect(json).toEqual({ read: 10, new: 2, known: 0, rejected: 8 });
    expect(moves.map(({ id }) => id)).toEqual(['move-1', 'move-6']);
    expect(rejectsIn(rejects).map(({ file: name, line, reason }) => [name, line, reason])).toEqual([
      [path, 2, expect.stringMatching(/^duration_seconds /)],
      [path, 3, 'started_at must lie between 2000 and 2200'],
      [path, 4, 'is not valid JSON'],
      [path, 5, 'is not valid JSON; it seems to be cut off'],
      [path, 6, expect.stringMatching(/^duration_seconds /)],
      [path, 7, 'instance is missing'],
      [path, 8 + 1, 'is not a JSON object'],
      [path, 10, 'is not valid JSON; it seems to be cut off'],
    ]);
    expect(err).toContain('8 rejected: is not valid JSON; it seems to be cut off (2); ');
    expect(err).toContain(rejects);
  });

  it.each(['--out', '--rejects'])(
    'never writes %s over a file that it reads, by whatever name',
    async (option) => {
      const path = file('jsonl', `${JSON.stringify(move(1))}\n`);
      const link = fresh('jsonl');
      symlinkSync(path, link);
      for (const name of [path, link, join(folder, '.', 'x', '..', basename(path))]) {
        const { code, err } = await run(['records', path, option, name, '--store', `sqlite:${fresh('db')}`]);
        expect({ code, err }).toEqual({
          code: 2,
          err: `movecast: ${option} ${name}: would write over what is read; name another file\n`,
        });
        expect(readFileSync(path, 'utf8')).toBe(`${JSON.stringify(move(1))}\n`);
      }
    },
  );

  (existsSync('/dev/full') ? describe : describe.skip)('when the disk is full', () => {
    it('says so', async () => {
      const path = file('jsonl', `${JSON.stringify(move(1))}\n`.repeat(20_000));
      const { code, err } = await run(['records', path, '--out', '/dev/full', '--quiet']);
      expect({ code, err }).toEqual({
        code: 1,
        err: 'movecast: /dev/full: no space left on the disk; name another file with --out\n',
      });
    });
  });

  it('counts what is there already as known', async () => {
    const path = file('jsonl', jsonl([move(1), move(2)]));
    const db = fresh('db');
    await run(['records', path, '--store', `sqlite:${db}`]);
    const again = await run(['records', path, '--store', `sqlite:${db}`, '--json']);
    expect(again.json).toEqual({ read: 2, new: 0, known: 2, rejected: 0 });
  });

  it('reads CSV: CRLF, byte order mark, quotes, empty fields, capabilities, and makes the same ids each time', async () => {
    const path = file(
      'csv',
      `\ufeff${HEADER},note\r\n` +
        'vm1,a,b,live_migration,2026-11-22T10:00:00+01:00,12.5,4096,auto-converge+xbzrle,"said ""no"",\r\nthen yes"\r\n' +
        'vm2,a,b,failover,2026-11-22T10:00:00Z,1e1,,,\r\n',
    );
    const first = await collected(['records', path]);
    expect(first.json).toEqual({ read: 2, new: 2, known: 0, rejected: 0 });
    expect(first.moves).toEqual([
      {
        id: expect.stringMatching(/^move:[0-9a-f]{32}$/),
        instance: 'vm1',
        source_node: 'a',
        target_node: 'b',
        operation: 'live_migration',
        started_at: '2026-11-22T09:00:00.000Z',
        duration_seconds: 12.5,
        memory_mib: 4096,
        capabilities: ['auto-converge', 'xbzrle'],
        labels: { note: 'said "no",\nthen yes' },
      },
      {
        id: expect.stringMatching(/^move:/),
        instance: 'vm2',
        source_node: 'a',
        target_node: 'b',
        operation: 'failover',
        started_at: '2026-11-22T10:00:00.000Z',
        duration_seconds: 10,
      },
    ]);
    const second = await collected(['records', path]);
    expect(second.moves.map(({ id }) => id)).toEqual(first.moves.map(({ id }) => id));
  });

  it('keeps the rows after a stray quote, a short row and a row that is not closed at the end', async () => {
    const row = (name: string): string => `${name},a,b,live_migration,2026-11-22T10:00:00Z,12,4096,\n`;
    const path = file(
      'csv',
      `${HEADER}\n${row('vm1')}${row('"vm2')}${row('vm3')}vm4,a,b\n${row('vm5')}${row('"vm6')}${row('vm7')}`,
    );
    const { json, moves, rejects } = await collected(['records', path]);
    expect(moves.map(({ instance }) => instance).toSorted()).toEqual(['vm1', 'vm3', 'vm5', 'vm7']);
    expect(json).toEqual({ read: 7, new: 4, known: 0, rejected: 3 });
    expect(rejectsIn(rejects).map(({ line, reason }) => [line, reason])).toEqual([
      [3, 'has a stray quote'],
      [5, 'has 3 columns where the header has 8'],
      [7, 'has a quote that is never closed'],
    ]);
  });

  it.each([
    ['semicolons', ';'],
    ['tabs', '\t'],
  ])('reads tables with %s', async (_, delimiter) => {
    const text = `${HEADER}\nvm1,a,b,live_migration,2026-11-22T10:00:00Z,12,4096,\n`.replaceAll(
      ',',
      delimiter,
    );
    expect((await collected(['records', file('csv', text)])).json).toMatchObject({ new: 1 });
  });

  it('refuses a CSV with a missing column in one sentence, exit code 2', async () => {
    const path = file('csv', `${HEADER.replace('duration_seconds,', '')}\nvm1,a,b\n`);
    const { code, err, moves } = await collected(['records', path]);
    expect(code).toBe(2);
    expect(err).toBe(
      `movecast: ${path}: the CSV header lacks the column duration_seconds, which a move record must have; add it\n`,
    );
    expect(moves).toEqual([]);
  });

  it('refuses a text that is no table at all', async () => {
    const path = file('csv', 'dear diary\ntoday I moved a machine\n');
    const { code, err } = await collected(['records', path]);
    expect(code).toBe(2);
    expect(err).toBe(
      `movecast: ${path}: begins neither with a JSON object nor with a CSV header that has columns of a move record\n`,
    );
  });

  it('reads gzip by its first bytes, whatever it is called', async () => {
    const { json } = await collected(['records', file('log', gzipSync(jsonl([move(1), move(2)])))]);
    expect(json).toMatchObject({ new: 2 });
  });

  it('reads what stands before the cut of a gzip file, and says that it is cut', async () => {
    const packed = gzipSync(jsonl(Array.from({ length: 500 }, (_, number) => move(number))));
    const path = file('gz', packed.subarray(0, packed.length / 2));
    const { code, json, rejects } = await collected(['records', path]);
    expect(code).toBe(0);
    expect((json as { new: number }).new).toBeGreaterThan(50);
    expect(rejectsIn(rejects).map(({ reason }) => reason)).toContain(
      'the gzip file is cut off; what stands before the cut was read',
    );
  });

  it('reads UTF-16 with its mark, as some shells write it', async () => {
    const text = Buffer.from(`\ufeff${jsonl([move(1, { instance: 'bjørn' })])}`, 'utf16le');
    expect((await collected(['records', file('jsonl', text)])).moves[0]?.instance).toBe('bjørn');
  });

  it('reads standard input, its last line without an end', async () => {
    const { json } = await collected(['records', '-'], [jsonl([move(1)]), JSON.stringify(move(2))]);
    expect(json).toEqual({ read: 2, new: 2, known: 0, rejected: 0 });
  });

  it('rejects 2 MB of one line and reads on', async () => {
    const long = Array.from({ length: 32 }, () => 'x'.repeat(1 << 16));
    const { json, rejects } = await collected(
      ['records', '-'],
      [jsonl([move(1)]), ...long, `\n${jsonl([move(2)])}`],
    );
    expect(json).toEqual({ read: 3, new: 2, known: 0, rejected: 1 });
    expect(rejectsIn(rejects)[0]?.reason).toBe(
      'the line has 2097152 bytes, more than the 1048576 that a line may have',
    );
  });

  it('masks credentials in the rejects file, and cuts its text', async () => {
    const path = file('jsonl', `{"password": "hunter2", "x": "${'y'.repeat(5000)}\n${jsonl([move(1)])}`);
    const { rejects } = await collected(['records', path]);
    const [reject] = rejectsIn(rejects);
    expect(reject?.text).toMatch(/^\{"password": "\*\*\*", "x": "y+$/);
    expect(reject?.text.length).toBeLessThanOrEqual(2000);
  });

  it('reads the tables of a folder and its subfolders, and nothing else in it', async () => {
    const logs = join(folder, `logs-${++fileNumber}`);
    mkdirSync(join(logs, 'deep'), { recursive: true });
    writeFileSync(join(logs, 'a.jsonl'), jsonl([move(1)]));
    writeFileSync(join(logs, 'deep', 'b.jsonl.gz'), gzipSync(jsonl([move(2)])));
    writeFileSync(join(logs, 'README'), 'not a table');
    writeFileSync(join(logs, '.hidden.jsonl'), 'not a table');
    expect((await collected(['records', logs])).json).toEqual({ read: 2, new: 2, known: 0, rejected: 0 });
  });

  it('does not read its own rejects and checkpoints in a folder that it reads', async () => {
    const inside = join(folder, 'with-store');
    mkdirSync(inside);
    writeFileSync(join(inside, 'moves.jsonl'), `${JSON.stringify(move(1))}\n{"id": "no move"}\n`);
    const args = ['records', inside, '--store', `sqlite:${join(inside, 'moves.db')}`, '--json'];
    expect((await run(args)).json).toEqual({ read: 2, new: 1, known: 0, rejected: 1 });
    expect((await run(args)).json).toEqual({ read: 2, new: 0, known: 1, rejected: 1 });
  });

  it('keeps what is good of several files when one is unreadable, and exits with 2', async () => {
    const good = file('jsonl', jsonl([move(1)]));
    const bad = file('jsonl', 'no table');
    const { code, err, json, moves } = await collected(['records', bad, good]);
    expect(code).toBe(2);
    expect(err).toContain(`${bad}: begins neither`);
    expect(json).toEqual({ read: 1, new: 1, known: 0, rejected: 0 });
    expect(moves).toHaveLength(1);
  });

  it('gives --cluster to records that name none', async () => {
    const path = file('jsonl', jsonl([move(1), move(2, { cluster: 'own' })]));
    const { moves } = await collected(['records', path, '--cluster', 'given']);
    expect(moves.map(({ cluster }) => cluster)).toEqual(['given', 'own']);
  });

  it('takes only what started in [--since, --until)', async () => {
    const path = file('jsonl', jsonl([move(1), move(2), move(3), move(4)]));
    const range = ['--since', '2026-11-22T00:02:00Z', '--until', '2026-11-22T00:04:00Z'];
    const { moves, json, err } = await collected(['records', path, ...range]);
    expect(moves.map(({ id }) => id)).toEqual(['move-2', 'move-3']);
    expect(json).toEqual({ read: 2, new: 2, known: 0, rejected: 0 });
    expect(err).toBe('movecast: 2 left out because of --since and --until\n');
  });
});

describe('collect --out and --dry-run', () => {
  it('--out - writes records alone on standard output', async () => {
    const { out, code } = await run(['records', file('jsonl', jsonl([move(1), move(2)])), '--out', '-']);
    expect(code).toBe(0);
    expect(out).toBe(jsonl([move(1), move(2)].map((value) => ({ id: value['id'], ...value }))));
  });

  it('--out FILE writes a file, and rejects beside it', async () => {
    const out = fresh('jsonl');
    const { json } = await run(['records', file('jsonl', jsonl([move(1), {}])), '--out', out, '--json']);
    expect(json).toEqual({ read: 2, new: 1, known: 0, rejected: 1 });
    expect(readFileSync(out, 'utf8')).toBe(jsonl([move(1)]));
    expect(rejectsIn(`${out}.rejects.jsonl`)).toHaveLength(1);
  });

  it('--out into a folder that is not there exits 1 with a sentence', async () => {
    const out = join(folder, 'no-such-folder', 'x.jsonl');
    const { code, err } = await run(['records', file('jsonl', jsonl([move(1)])), '--out', out]);
    expect(code).toBe(1);
    expect(err).toBe(`movecast: ${out}: no such file or folder; name another file with --out\n`);
  });

  it('--dry-run shows the first moves and counts the rest', async () => {
    const moves = Array.from({ length: 22 }, (_, number) => move(number + 1));
    const { out } = await run(['records', file('jsonl', jsonl(moves)), '--dry-run']);
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toBe('2026-11-22T00:01:00.000Z  vm1   node1 > node2  live_migration  11.0 s  completed');
    expect(lines.slice(20)).toEqual([
      '… and 2 more moves',
      'read 22: 22 would be offered to the store, 0 rejected',
    ]);
  });

  it('exits with 2 when every line was rejected, after the counts; with --resume a single bad line is none', async () => {
    const db = fresh('db');
    const bad = file('jsonl', jsonl([{}, { id: 'x' }]));
    const { code, json, err } = await run(['records', bad, '--store', `sqlite:${db}`, '--json']);
    expect(code).toBe(2);
    expect(json).toEqual({ read: 2, new: 0, known: 0, rejected: 2 });
    expect(err).toContain(`movecast: none of 2 lines in ${bad} could be used, the first reason: `);
    expect(err).toContain('is records the right source?');
    const again = await run(['records', bad, '--store', `sqlite:${db}`, '--json', '--resume']);
    expect(again.code).toBe(0);
    const empty = await run(['records', file('jsonl', ''), '--store', `sqlite:${db}`, '--json']);
    expect(empty.code).toBe(0);
  });

  it('--dry-run stores nothing', async () => {
    const db = fresh('db');
    const path = file('jsonl', jsonl([move(1), {}]));
    const { json } = await run(['records', path, '--store', `sqlite:${db}`, '--dry-run', '--json']);
    expect(json).toEqual({ read: 2, new: 0, known: 0, rejected: 1, dry_run: true });
    expect(existsSync(db)).toBe(false);
    expect(existsSync(db.replace(/db$/, 'rejects.jsonl'))).toBe(false);
  });
});

describe('collect --resume', () => {
  it('reads nothing twice and skips nothing', async () => {
    const db = fresh('db');
    const path = file('jsonl', jsonl([move(1)]));
    const again = ['records', path, '--store', `sqlite:${db}`, '--json', '--resume'];
    const first = await run(again);
    appendFileSync(path, jsonl([move(2)]));
    const second = await run(again);
    const third = await run(again);
    expect([first.json, second.json, third.json]).toEqual([
      { read: 1, new: 1, known: 0, rejected: 0 },
      { read: 1, new: 1, known: 0, rejected: 0 },
      { read: 0, new: 0, known: 0, rejected: 0 },
    ]);
  });

  it('reads everything again into a store that was emptied', async () => {
    const db = fresh('db');
    const path = file('jsonl', jsonl([move(1)]));
    const again = ['records', path, '--store', `sqlite:${db}`, '--json', '--resume'];
    await run(again);
    for (const ending of ['', '-wal', '-shm']) rmSync(`${db}${ending}`, { force: true });
    expect((await run(again)).json).toEqual({ read: 1, new: 1, known: 0, rejected: 0 });
  });

  it('reads every log again into a store that was emptied, also those of a later run', async () => {
    const db = fresh('db');
    const [one, other] = [1, 2].map((n) => file('jsonl', jsonl([move(n)])));
    const into = ['--store', `sqlite:${db}`, '--json'];
    await run(['records', one!, other!, ...into, '--resume']);
    for (const ending of ['', '-wal', '-shm']) rmSync(`${db}${ending}`, { force: true });
    expect((await run(['records', one!, ...into])).json).toMatchObject({ new: 1 });
    expect((await run(['records', one!, other!, ...into, '--resume'])).json).toMatchObject({ new: 1 });
  });

  it('reads everything again when it is told something else of the log', async () => {
    const db = fresh('db');
    const path = file('jsonl', jsonl([move(1)]));
    const again = ['records', path, '--store', `sqlite:${db}`, '--json', '--resume'];
    await run([...again, '--until', '2026-11-22']);
    expect((await run(again)).json).toMatchObject({ new: 1 });
  });
});

describe('collect --help', () => {
  it('takes a MOVECAST_STORE that is empty for none', async () => {
    const { out } = await run(['--help'], [], { MOVECAST_STORE: '' });
    expect(out).toMatch(/default:\s+"sqlite:\.movecast\/movecast\.db"/);
  });

  it('keeps the password in MOVECAST_STORE to itself', async () => {
    const { out } = await run(['--help'], [], { MOVECAST_STORE: 'influx://me:topsecret@db:8086/moves' });
    expect(out).toContain('what MOVECAST_STORE says');
    expect(out).not.toContain('topsecret');
  });
});

describe('collect of samples', () => {
  it('reads link samples by link or by the two nodes', async () => {
    const path = file(
      'csv',
      'at,source_node,target_node,throughput_mbps,capacity_mbps\n2026-11-22T10:00:00Z,a,b,12.5,\n',
    );
    const { out } = await run(['link-samples', path, '--out', '-']);
    expect(JSON.parse(out)).toEqual({ at: '2026-11-22T10:00:00.000Z', link: 'a>b', throughput_mbps: 12.5 });
  });

  it('reads instance samples', async () => {
    const path = file(
      'csv',
      'at,instance,dirty_rate_mib_s\n2026-11-22T10:00:00Z,vm1,3\n2026-11-22T10:00:00Z,,3\n',
    );
    const db = fresh('db');
    const { json } = await run(['instance-samples', path, '--store', `sqlite:${db}`, '--json']);
    expect(json).toEqual({ read: 2, new: 1, known: 0, rejected: 1 });
  });

  it('names the column that a CSV of link samples lacks', async () => {
    const path = file('csv', 'at,source_node,throughput_mbps\n');
    const { code, err } = await run(['link-samples', path, '--out', '-']);
    expect(code).toBe(2);
    expect(err).toBe(
      `movecast: ${path}: the CSV header lacks the column link (or source_node and target_node), which a link sample must have; add it\n`,
    );
  });
});

describe('collect auto', () => {
  it('names what it found and reads each in its own way', async () => {
    const records = file('jsonl', jsonl([move(1)]));
    const samples = file('csv', 'at,link,throughput_mbps\n2026-11-22T10:00:00Z,a>b,12.5\n');
    const { json, err } = await collected(['auto', records, samples]);
    expect(json).toEqual({ read: 2, new: 2, known: 0, rejected: 0 });
    expect(err).toContain(`${records}: records (`);
    expect(err).toContain(`${samples}: link-samples (`);
  });

  it('refuses what it does not know', async () => {
    const path = file('txt', 'dear diary\n');
    const { code, err } = await collected(['auto', path]);
    expect(code).toBe(2);
    expect(err).toBe(`movecast: ${path}: is no log that is known here; name its source instead of auto\n`);
  });
});

describe('collect refuses, with one sentence and its exit code,', () => {
  it('an unknown source', async () => {
    const { code, err } = await run(['tea-leaves', 'x']);
    expect(code).toBe(2);
    expect(err).toMatch(/^movecast: there is no source "tea-leaves"; give one of .*records.*\n$/);
  });

  it('no path', async () => {
    const { code, err } = await run(['records']);
    expect(code).toBe(2);
    expect(err).toBe(
      'movecast: collect records needs the path of a file or folder, or - for standard input\n',
    );
  });

  it('a file that is not there, before anything is read', async () => {
    const path = join(folder, 'absent.jsonl');
    const { code, err, moves } = await collected(['records', file('jsonl', jsonl([move(1)])), path]);
    expect(code).toBe(2);
    expect(err).toBe(
      `movecast: ${path}: no such file or folder; give the path of a file or folder that can be read\n`,
    );
    expect(moves).toEqual([]);
  });

  it('a folder without rights', async () => {
    const locked = join(folder, `locked-${++fileNumber}`);
    mkdirSync(locked);
    chmodSync(locked, 0o000);
    const { code, err } = await collected(['records', locked]);
    chmodSync(locked, 0o700);
    expect(code).toBe(2);
    expect(err).toContain(process.getuid?.() === 0 ? locked : 'permission denied'); // root may read everything
  });

  it('a folder with nothing in it', async () => {
    const empty = join(folder, `empty-${++fileNumber}`);
    mkdirSync(empty);
    const { code, err } = await collected(['records', empty]);
    expect(code).toBe(2);
    expect(err).toBe(`movecast: no file of records in ${empty}; name the files themselves\n`);
  });

  it('a binary file', async () => {
    const path = file('db', Buffer.from([0x53, 0x51, 0x00, 0x01]));
    const { code, err } = await collected(['records', path]);
    expect(code).toBe(2);
    expect(err).toBe(
      `movecast: ${path}: is a binary file (2 control bytes among the first 4); give a text file\n`,
    );
  });

  it('a file packed with xz, and says how to unpack it', async () => {
    const path = file('xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]));
    const { code, err } = await collected(['records', path]);
    expect(code).toBe(2);
    expect(err).toContain(`is packed with xz; pipe it in with "xz -dc ${path} | movecast collect … -"`);
  });

  it('a time that is none', async () => {
    const { code, err } = await run(['records', '-', '--since', 'yesterday']);
    expect(code).toBe(2);
    expect(err).toBe(
      "movecast: option '--since <time>' argument 'yesterday' is invalid. It must be a time such as 2026-11-22T10:56:05Z, or the day alone.; see movecast --help\n",
    );
  });

  it('an end before the beginning', async () => {
    const { code, err } = await run(['records', '-', '--since', '2026-02-01', '--until', '2026-01-01']);
    expect(code).toBe(2);
    expect(err).toMatch(/^movecast: --since is not before --until/);
  });

  it('a store in a place that cannot be written: exit code 1', async () => {
    const path = file('jsonl', jsonl([move(1)]));
    const place = join(path, 'x.db'); // not even root may write below a file
    const { code, err } = await run(['records', path, '--store', `sqlite:${place}`]);
    expect(code).toBe(1);
    expect(err).toMatch(/^movecast: .*\n$/);
    expect(err).toContain(path);
  });

  it('a rejects file that cannot be written: exit code 1', async () => {
    const path = file('jsonl', jsonl([{}]));
    const { code, err } = await collected(['records', path, '--rejects', join(path, 'rejects')]);
    expect(code).toBe(1);
    expect(err).toContain(`${join(path, 'rejects')}: `);
    expect(err).toContain('name a file for rejected lines with --rejects');
  });
});
