import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Prediction, PredictionError } from '../../src/domain/prediction.js';
import { finishMs, startMs } from '../../src/domain/move-record.js';
import { main } from '../../src/main.js';
import { ModelRegistry } from '../../src/store/model-registry.js';
import { fitModel } from '../../training/fit.js';
import { inventedMoves } from '../training/invented-moves.js';

const folder = mkdtempSync(join(tmpdir(), 'movecast-predict-'));
const models = join(folder, 'models');
const moves = inventedMoves(300);
const file = (name: string, lines: readonly unknown[]): string => {
  const path = join(folder, name);
  writeFileSync(
    path,
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  );
  return path;
};

async function run(args: readonly string[], stdin = ''): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const sink = (take: (text: string) => void): Writable =>
    new Writable({
      write(chunk, _encoding, done) {
        take(String(chunk));
        done();
      },
    });
  const code = await main(['predict', '--models', models, ...args], {
    stdin: Readable.from([stdin]),
    stdout: sink((text) => (out += text)),
    stderr: sink((text) => (err += text)),
    env: { MOVECAST_STORE: `sqlite:${join(folder, 'absent.db')}` },
    now: () => Date.UTC(2026, 0, 3),
  });
  return { code, out, err };
}
const answers = (out: string): (Prediction & PredictionError)[] =>
  out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Prediction & PredictionError);

beforeAll(async () => {
  const registry = new ModelRegistry(models);
  const model = fitModel(moves.slice(0, 150), { name: 'default', seed: 1 });
  await registry.register('default', model.version, { model, card: '# card\n', metrics: {} });
  await registry.promote('default', model.version);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('movecast predict', () => {
  it('answers one request from flags for a person, with what it stands on', async () => {
    const { code, out } = await run([
      '--cluster',
      'c',
      '--instance',
      'vm1',
      '--source-node',
      'n0',
      '--target-node',
      'n1',
    ]);
    expect(code).toBe(0);
    expect(out).toContain('vm1: n0 -> n1');
    expect(out).toMatch(/duration +about \d/);
    expect(out).toContain('past moves between these two nodes');
    expect(out).toMatch(/filled in from history +memory_mib/);
  });

  it('answers many in order, a bad one with its error in its place', async () => {
    const good = { request_id: 'a', instance: 'vm1', source_node: 'n0', target_node: 'n1' };
    const path = file('mixed.jsonl', [
      good,
      { request_id: 'b', instance: 'vm1' },
      '{"half',
      { ...good, request_id: 'd', memory_mib: -1 },
      { ...good, request_id: 'e' },
    ]);
    const lines = answers((await run(['--requests', path])).out);
    expect(lines.map((line) => line.request_id)).toEqual(['a', 'b', undefined, 'd', 'e']);
    expect(lines.map((line) => line.error?.field)).toEqual([
      undefined,
      'source_node',
      '',
      'memory_mib',
      undefined,
    ]);
    expect(lines[4]!.duration_seconds).toEqual(lines[0]!.duration_seconds);
  });

  it.each([
    ['--memory-mib', '4096'],
    ['--elapsed-seconds', '3'],
  ])('refuses %s beside a file of requests: nothing would come of it', async (flag, value) => {
    const requests = file('flagged.jsonl', [{ instance: 'vm1', source_node: 'n0', target_node: 'n1' }]);
    const { code, out, err } = await run(['--requests', requests, flag, value]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(`movecast: ${flag} is of one request, and --requests names a file of them`);
  });

  it('takes CSV and standard input', async () => {
    const { out } = await run(
      ['--requests', '-'],
      'instance,source_node,target_node,memory_mib,capabilities\nvm1,n0,n1,4096,xbzrle+multifd\n',
    );
    expect(answers(out)[0]!.duration_seconds.p50).toBeGreaterThan(0);
  });

  it('lets a request see of the history only what had finished when it starts, whatever the order', async () => {
    const asked = moves.slice(200, 280).map((record, i) => {
      const { cluster, instance, source_node, target_node, operation, memory_mib } = record;
      return {
        request_id: `r${i}`,
        cluster,
        instance,
        source_node,
        target_node,
        operation,
        memory_mib,
        start_at: record.started_at,
      };
    });
    const whole = file('whole.jsonl', moves);
    const requests = file('asked.jsonl', asked.toReversed());
    const seen = answers((await run(['--requests', requests, '--history', whole])).out).toReversed();
    for (const i of [3, 41, 77]) {
      const atMs = startMs(moves[200 + i]!);
      const cut = file(
        'cut.jsonl',
        moves.filter((record) => finishMs(record) <= atMs),
      );
      const [alone] = answers(
        (await run(['--requests', file('one.jsonl', [asked[i]]), '--history', cut])).out,
      );
      expect(alone).toEqual(seen[i]);
    }
  });

  it('is better for having been told what happened since the training', async () => {
    const slow = moves
      .slice(150)
      .map((record) => ({ ...record, duration_seconds: record.duration_seconds * 2 }));
    const last = slow.at(-1)!;
    const request = file('last.jsonl', [
      {
        cluster: 'c',
        instance: last.instance,
        source_node: last.source_node,
        target_node: last.target_node,
        memory_mib: last.memory_mib,
      },
    ]);
    const [untold] = answers((await run(['--requests', request])).out);
    const [told] = answers((await run(['--requests', request, '--history', file('slow.jsonl', slow)])).out);
    expect(told!.duration_seconds.p50).toBeGreaterThan(1.4 * untold!.duration_seconds.p50);
  });

  const vm1 = ['--cluster', 'c', '--instance', 'vm1', '--source-node', 'n0', '--target-node', 'n1'];

  it('says what remains of a running move, for a person and for programs', async () => {
    const shown = ['--elapsed-seconds', '20', '--transferred-mib', '1900', '--remaining-mib', '300'];
    const { code, out } = await run([...vm1, ...shown]);
    expect(code).toBe(0);
    expect(out).toMatch(/running for +20 s\n/);
    expect(out).toMatch(/remaining +about \d/);
    const [asJson] = answers((await run([...vm1, ...shown, '--json'])).out);
    expect(asJson!.duration_seconds.p50).toBeCloseTo(20 + asJson!.remaining_seconds!.p50, 9);
    const csv =
      'cluster,instance,source_node,target_node,progress.elapsed_seconds,progress.transferred_mib,progress.remaining_mib\n';
    const [asTable] = answers((await run(['--requests', '-'], `${csv}c,vm1,n0,n1,20,1900,300\n`)).out);
    expect(asTable).toEqual(asJson);
  });

  it('says of a move of 0 seconds what it says before the start', async () => {
    const [notYet] = answers((await run([...vm1, '--elapsed-seconds', '0', '--json'])).out);
    const [before] = answers((await run([...vm1, '--json'])).out);
    expect(notYet!.remaining_seconds!.p50).toBeCloseTo(before!.duration_seconds.p50, 3);
    expect(notYet!.transferred_mib!.p50).toBeCloseTo(before!.transferred_mib!.p50!, 3);
  });

  it.each<[string, string[], number, RegExp]>([
    [
      'progress without the time',
      ['--instance', 'a', '--source-node', 'b', '--target-node', 'c', '--remaining-mib', '5'],
      2,
      /--elapsed-seconds/,
    ],
    [
      'an elapsed time that is none',
      ['--instance', 'a', '--source-node', 'b', '--target-node', 'c', '--elapsed-seconds', '-1'],
      2,
      /progress\.elapsed_seconds must be at least 0/,
    ],
    ['an unknown model', ['--model', 'nosuch', '--requests', '-'], 2, /no model nosuch/],
    ['a file that is not there', ['--requests', 'absent.jsonl'], 2, /absent\.jsonl/],
    ['a request without a target', ['--instance', 'a', '--source-node', 'b'], 2, /--target-node/],
    ['a number that is none', ['--memory-mib', 'much'], 2, /must be a number/],
    [
      'a store that was named and is not there',
      ['--instance', 'a', '--source-node', 'b', '--target-node', 'c', '--store', 'sqlite:/nowhere/x.db'],
      1,
      /no store/,
    ],
  ])('refuses %s with one sentence and the right exit code', async (_what, args, code, sentence) => {
    const result = await run(args);
    expect(result.code).toBe(code);
    expect(result.err).toMatch(sentence);
    expect(result.err.trim().split('\n')).toHaveLength(1);
  });
});
