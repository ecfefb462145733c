import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MoveRecord } from '../../src/domain/move-record.js';
import { main } from '../../src/main.js';
import { protocols } from '../../training/backtest.js';
import { inventedMoves } from '../training/invented-moves.js';
import { runCommand, type Ran } from './run-command.js';

/** A naive mark, a layer and the whole: where leaving things out asks for many fits. */
const FEW = ['--candidates', 'median-of-pair', 'physics', 'movecast'];
const moves = inventedMoves(260, (i) => ({ cluster: i < 140 ? 'c' : 'd' }));
/** A first fit needs a hundred moves; where nodes are left out, six of ten are known. */
const movesUnder = (protocol: string): MoveRecord[] => moves.slice(0, protocol === 'new-node' ? 260 : 200);

describe('movecast backtest', () => {
  let folder: string;
  let records: string;
  const fileOf = (name: string, of: readonly MoveRecord[]): string => {
    const path = join(folder, name);
    writeFileSync(path, of.map((record) => `${JSON.stringify(record)}\n`).join(''));
    return path;
  };
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'movecast-backtest-'));
    records = fileOf('records.jsonl', movesUnder('rolling'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const backtest = (...args: string[]): Promise<Ran> => runCommand(['backtest', ...args]);
  const linesOf = (path: string): Record<string, unknown>[] =>
    readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  const whole = new Map<string, Promise<{ ran: Ran; out: string }>>();
  /** A backtest of all moves, run once a protocol: in order of time with every candidate, else with a few. */
  const wholeOf = (protocol: string): Promise<{ ran: Ran; out: string }> => {
    const known = whole.get(protocol);
    if (known !== undefined) return known;
    const out = join(folder, `${protocol}.jsonl`);
    const only = protocol === 'rolling' ? [] : FEW;
    const of = fileOf(`${protocol}.records.jsonl`, movesUnder(protocol));
    const args = ['--records', of, '--protocol', protocol, '--out', out, '--json', ...only];
    const running = backtest(...args).then((ran) => ({ ran, out }));
    whole.set(protocol, running);
    return running;
  };

  it.each(Object.keys(protocols))(
    '%s: a line a predicted move and candidate, and the table as JSON',
    async (protocol) => {
      const { ran, out } = await wholeOf(protocol);
      expect(ran).toMatchObject({ code: 0, err: '' });
      const said = JSON.parse(ran.out) as {
        protocol: string;
        candidates: Record<string, { moves: number; intervals_95: { mape: [number, number] }; mape: number }>;
        groups: Record<string, Record<string, unknown>>;
      };
      expect(said.protocol).toBe(protocol);
      const lines = linesOf(out);
      const names = Object.keys(said.candidates);
      expect(new Set(lines.map(({ candidate }) => candidate))).toEqual(new Set(names));
      for (const { moves: count, mape, intervals_95: chance } of Object.values(said.candidates)) {
        expect(count).toBe(lines.length / names.length);
        expect(mape).toBeGreaterThanOrEqual(chance.mape[0]);
        expect(mape).toBeLessThanOrEqual(chance.mape[1]);
      }
      for (const line of lines) {
        expect(Object.keys(line).slice(0, 7)).toEqual([
          'id',
          'candidate',
          'origin',
          'actual_seconds',
          'status',
          'duration_seconds',
          'basis',
        ]);
      }
      expect(Object.keys(said.groups)).toEqual(['movecast']);
    },
  );

  it('shift: counts the moves until it is noticed and recovered from, in clusters that have enough of them', async () => {
    const steady = inventedMoves(250, (i) => ({
      cluster: i < 240 ? 'c' : 'd',
      memory_mib: 2048,
      duration_seconds: 13 + 0.3 * Math.sin(i * 12.9898),
    }));
    const shift = ['--records', fileOf('steady.jsonl', steady), '--protocol', 'shift', '--candidates'];
    const { reactions } = JSON.parse((await backtest(...shift, 'movecast', '--json')).out) as {
      reactions: Record<string, number>[];
    };
    expect(reactions).toEqual([
      {
        cluster: 'c',
        noticed_after_moves: expect.any(Number),
        recovered_after_moves: expect.any(Number),
        shifted_moves: 80,
        false_alarms: 0,
        unshifted_moves: 160,
      },
    ]);
    const [{ noticed_after_moves: noticed, recovered_after_moves: recovered } = {}] = reactions;
    expect([noticed! <= 30, recovered! <= 60]).toEqual([true, true]);
    const { out } = await backtest(...shift, 'movecast');
    const table = /\ncluster +noticed after +recovered after +of moves +false alarms\n(.*)\n$/.exec(out)!;
    expect(table[1]!.split(/ {2,}/)).toEqual([
      'c',
      `${noticed} moves`,
      `${recovered} moves`,
      '80',
      '0 in 160',
    ]);
    expect((await backtest(...shift, 'physics')).out).not.toContain('noticed');
  });

  it.each(['rolling', 'new-instance', 'new-link', 'new-node', 'cold-start'])(
    '%s: with the end of the file cut off, earlier lines stay the same to the last digit',
    async (protocol) => {
      const { out } = await wholeOf(protocol);
      const cut = join(folder, `${protocol}-cut.jsonl`);
      const known = movesUnder(protocol);
      const head = fileOf('head.jsonl', known.slice(0, (known.length * 7) / 8));
      await backtest('--records', head, '--protocol', protocol, '--out', cut, '--quiet', ...FEW);
      const textOf = (line: Record<string, unknown>): string => JSON.stringify(line);
      const all = new Set(linesOf(out).map(textOf));
      const earlier = linesOf(cut).map(textOf);
      expect(earlier.length).toBeGreaterThan(100);
      expect(earlier.filter((line) => !all.has(line))).toEqual([]);
    },
  );

  it('the same seed and data give the same bytes, lines and report', async () => {
    const bytes: string[] = [];
    const few = fileOf('same.jsonl', moves.slice(0, 150));
    for (const run of ['a', 'b']) {
      const [out, report] = [join(folder, `${run}.out`), join(folder, `${run}.html`)];
      await backtest('--records', few, '--out', out, '--report', report, '--seed', '3', '--quiet', ...FEW);
      bytes.push(readFileSync(out, 'utf8') + readFileSync(report, 'utf8'));
    }
    expect(bytes[1]).toBe(bytes[0]);
    expect(bytes[0]).toContain('<!doctype html>');
  });

  it('--candidates runs only those, and names what there is for one that is not', async () => {
    const ran = await backtest('--records', records, '--candidates', 'physics', 'median-of-pair', '--json');
    expect(Object.keys((JSON.parse(ran.out) as { candidates: object }).candidates)).toEqual([
      'median-of-pair',
      'physics',
    ]);
    const wrong = await backtest('--records', records, '--candidates', 'oracle');
    expect(wrong).toMatchObject({ code: 2, out: '' });
    expect(wrong.err).toMatch(/^movecast: there is no candidate oracle; there is: .*movecast\n$/);
  });

  it('--help shows examples and says what each protocol leaves out', async () => {
    const { code, out } = await backtest('--help');
    expect(code).toBe(0);
    for (const [name, what] of Object.entries(protocols)) expect(out).toContain(`${name.padEnd(14)}${what}`);
    expect(out).toMatch(/\$ movecast backtest --records moves\.csv --report backtest\.html/);
  });

  it('draws a bar on a terminal when it takes longer than a second, and takes it away', async () => {
    const stderr = Object.assign(new PassThrough(), { isTTY: true });
    const stdout = new PassThrough();
    let nowMs = 0;
    const printed = text(stderr);
    const code = await main(['backtest', '--records', records, '--candidates', 'physics'], {
      stdin: new PassThrough(),
      stdout: stdout.resume() && stdout,
      stderr,
      env: {},
      now: () => (nowMs += 50),
    });
    stderr.end();
    expect(code).toBe(0);
    const err = await printed;
    expect(err).toMatch(/Backtest \[#+\.+\] \d+ %/);
    expect(err).toContain('\r\u001b[Kfigures in percent');
  });

  it.each([
    [['--protocol', 'random'], 2, /Allowed choices are rolling/],
    [['--out', 'RECORDS'], 2, /would write over what is read/],
    [['--report', 'RECORDS'], 2, /would write over what is read/],
    [['--out', 'SAME', '--report', 'SAME'], 2, /--out and --report both name/],
    [['--report', 'ABSENT/report.html'], 1, /report\.html: no such file or folder/],
  ] as const)('refuses %j in one sentence', async (args, code, words) => {
    const named = args.map((arg) =>
      arg
        .replace('RECORDS', records)
        .replace('SAME', join(folder, 'same'))
        .replace('ABSENT', join(folder, 'absent')),
    );
    const before = readFileSync(records, 'utf8');
    const ran = await backtest('--records', records, '--candidates', 'physics', ...named);
    expect(ran).toMatchObject({ code, out: '' });
    expect(ran.err).toMatch(words);
    expect(ran.err.trimEnd().split('\n')).toHaveLength(1);
    expect(readFileSync(records, 'utf8')).toBe(before);
  });

  it('says what is missing when there is no store, or too little in the file', async () => {
    const url = `sqlite:${join(folder, 'mistyped.db')}`;
    const nowhere = await backtest('--store', url);
    expect(nowhere).toMatchObject({ code: 1, out: '' });
    expect(nowhere.err).toBe(
      `movecast: ${url}: there is no store; movecast collect makes one, --store names another\n`,
    );
    expect(existsSync(join(folder, 'mistyped.db'))).toBe(false);
    const few = await backtest('--records', fileOf('few.jsonl', moves.slice(0, 10)));
    expect(few).toMatchObject({ code: 1, out: '' });
    expect(few.err).toMatch(/finds nothing to predict in 10 moves: a first fit needs 100 finished ones/);
    const ofOneLink = moves.slice(0, 140).map((move) => ({ ...move, source_node: 'a', target_node: 'b' }));
    const file = fileOf('one-link.jsonl', ofOneLink);
    const one = await backtest('--records', file, '--protocol', 'new-link', '--candidates', 'mean-of-past');
    expect(one.code).toBe(1);
    expect(one.err).toMatch(
      /in 140 moves: a first fit needs 100 finished ones beside those that it leaves out/,
    );
  });
});
