import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { MoveRecord } from '../../src/domain/move-record.js';
import { fitModel } from '../../training/fit.js';
import { absurdMoves } from '../training/absurd-moves.js';
import { inventedMoves } from '../training/invented-moves.js';
import { runCommand, type Ran } from './run-command.js';

const linesOf = (records: readonly MoveRecord[]): string =>
  records.map((record) => `${JSON.stringify(record)}\n`).join('');
/** Enough for a version to go into service. */
const usual = inventedMoves(200);

describe('movecast train', () => {
  /** Where one training of the usual moves was made, at which several tests look. */
  let made: string;
  let usualTraining: Ran;
  let folder: string;
  beforeAll(async () => {
    made = mkdtempSync(join(tmpdir(), 'movecast-trained-'));
    const records = join(made, 'usual.jsonl');
    writeFileSync(records, linesOf(usual));
    usualTraining = await runCommand([
      'train',
      '--records',
      records,
      '--models',
      join(made, 'models'),
      '--json',
    ]);
  });
  afterAll(() => rmSync(made, { recursive: true, force: true }));
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'movecast-train-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const fileOf = (name: string, records: readonly MoveRecord[]): string => {
    const path = join(folder, name);
    writeFileSync(path, linesOf(records));
    return path;
  };
  const train = (records: string, models: string, ...more: string[]): Promise<Ran> =>
    runCommand(['train', '--records', records, '--models', join(folder, models), ...more]);
  const cardOf = (models: string, version: string): string =>
    readFileSync(join(folder, models, 'default', version, 'card.md'), 'utf8');

  it('registers a model with its card, figures and report, and puts it in service', () => {
    const { code, out, err } = usualTraining;
    expect([code, err]).toEqual([0, '']);
    const said = JSON.parse(out) as { version: string; accuracy: { intervals_95: { mape: number[] } } };
    expect(said).toMatchObject({ name: 'default', moves: 200, new: true, promoted: true, in_service: true });
    expect(said.accuracy.intervals_95.mape).toHaveLength(2);
    const registered = join(made, 'models', 'default', said.version);
    expect(readdirSync(registered).sort()).toEqual([
      'backtest.jsonl',
      'card.md',
      'metrics.json',
      'model.json',
      'report.html',
    ]);
    expect(readFileSync(join(registered, 'card.md'), 'utf8')).toMatch(/\| 95 % of MAPE \|/);
  });

  it('refuses to put ten rows in service, and says so on the card', async () => {
    const { code, out } = await train(fileOf('ten.jsonl', inventedMoves(10)), 'models');
    expect(code).toBe(0);
    expect(out).toMatch(/not promoted: 10 finished moves say too little to judge by: 100 are needed/);
    const version = readdirSync(join(folder, 'models', 'default')).find((name) => /^\d/.test(name));
    expect(cardOf('models', version!)).toContain('- Only 10 finished moves: predictions stand on physics');
    const request = join(folder, 'request.jsonl');
    writeFileSync(request, '{"instance":"vm1","source_node":"n0","target_node":"n1","memory_mib":4096}\n');
    const model = `default@${version}`;
    const predicted = await runCommand(
      [
        'predict',
        '--model',
        model,
        '--models',
        join(folder, 'models'),
        '--requests',
        request,
        '--history',
        request,
      ],
      {},
    );
    expect(predicted.out).toMatch(/"p50":[0-9.]+/);
  });

  it('leaves the model in service where it is when a hundred absurd records come among the real ones', async () => {
    cpSync(join(made, 'models'), join(folder, 'models'), { recursive: true });
    const { version, promoted } = JSON.parse(usualTraining.out) as { version: string; promoted: boolean };
    expect(promoted).toBe(true);
    const all = fileOf('poisoned.jsonl', [...usual, ...absurdMoves(100, usual)]);
    const second = await train(all, 'models', '--json');
    const said = JSON.parse(second.out) as { version: string; promoted: boolean; reason: string };
    expect(said.promoted).toBe(false);
    expect(said.reason).toMatch(/of 300 moves cannot be true/);
    expect(readFileSync(join(folder, 'models', 'default', 'current'), 'utf8')).toBe(`${version}\n`);
    expect(cardOf('models', said.version)).toMatch(/such as absurd-\d+: nothing is learnt from them/);
    expect(cardOf('models', said.version)).toContain(`Not promoted: ${said.reason}`);
  });

  it('stops after --max-minutes with nothing registered, and the same command then goes on to the same bytes', async () => {
    const records = fileOf('a.jsonl', usual);
    let nowMs = 0;
    const stopped = await runCommand(
      ['train', '--records', records, '--models', join(folder, 'models'), '--max-minutes', '1'],
      { now: () => (nowMs += 200) },
    );
    expect(stopped.code).toBe(1);
    expect(stopped.err).toMatch(
      /^movecast: training stopped after 1 minutes with \d+ % done, and nothing was registered; the same command goes on from there\n$/,
    );
    expect(readdirSync(join(folder, 'models'))).toEqual(['.training']);
    const resumed = await train(records, 'models');
    expect(resumed).toMatchObject({ code: 0 });
    expect(resumed.err).toContain('goes on from a training');
    const { version } = JSON.parse(usualTraining.out) as { version: string };
    for (const name of ['model.json', 'card.md', 'metrics.json', 'backtest.jsonl', 'report.html'])
      expect(readFileSync(join(folder, 'models', 'default', version, name), 'utf8')).toBe(
        readFileSync(join(made, 'models', 'default', version, name), 'utf8'),
      );
    expect(existsSync(join(folder, 'models', '.training'))).toBe(false);
  });

  it.each([
    ['a registry that cannot be written', [], 1, /a part of the path is not a folder/],
    ['a name that is none', ['--name', '../x'], 2, /model name \.\.\/x cannot be a folder name/],
  ])('refuses %s before it trains', async (_, more, exitCode, sentence) => {
    const records = fileOf('ten.jsonl', inventedMoves(10));
    const { code, err } = await train(records, 'ten.jsonl/below', '--max-moves', '5', ...more);
    expect(code).toBe(exitCode);
    expect(err).toMatch(sentence);
    expect(err.trim().split('\n')).toHaveLength(1); // nothing of the moves that would be left out
  });

  it('trains on the newest --max-moves, and says so on the card', async () => {
    const all = await train(fileOf('all.jsonl', usual), 'models', '--max-moves', '150', '--json');
    expect(all.err).toBe('movecast: 50 older moves are left out; --max-moves says how many are taken\n');
    const { version, moves: count } = JSON.parse(all.out) as { version: string; moves: number };
    expect(count).toBe(150);
    expect(cardOf('models', version)).toContain('50 older moves were left out');
    const finish = (move: MoveRecord): number => Date.parse(move.started_at) + 1000 * move.duration_seconds;
    const newest = usual.toSorted((a, b) => finish(a) - finish(b)).slice(50);
    expect(fitModel(newest, { name: 'default', seed: 1 }).version).toBe(version);
  });

  it.each([
    ['--max-minutes', '0'],
    ['--max-minutes', 'soon'],
    ['--max-moves', '1.5'],
    ['--max-moves', '-3'],
  ])('refuses %s %s', async (option, value) => {
    const { code, err } = await train(fileOf('a.jsonl', inventedMoves(3)), 'models', option, value);
    expect(code).toBe(2);
    expect(err).toMatch(/^movecast: .*must be a (whole )?number above 0.*\n$/);
  });
});
