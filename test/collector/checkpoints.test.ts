import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { Checkpoints } from '../../src/collector/checkpoints.js';

const folder = mkdtempSync(join(tmpdir(), 'movecast-checkpoints-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const now = (): number => 0;
let number = 0;
const fresh = (): string => join(folder, `${++number}`, 'checkpoints.json');

describe('Checkpoints', () => {
  it('come back from their file', async () => {
    const path = fresh();
    const first = new Checkpoints(path, now);
    first.set('a', { kind: 'file', version: '1:2' });
    await first.save();
    expect(new Checkpoints(path, now).get('a')).toEqual({ kind: 'file', version: '1:2' });
  });

  it('keep what another program wrote in the meantime', async () => {
    const path = fresh();
    const one = new Checkpoints(path, now);
    const other = new Checkpoints(path, now);
    one.set('one', { kind: 'file', version: '1' });
    other.set('other', { kind: 'file', version: '2' });
    await one.save();
    await other.save();
    const both = new Checkpoints(path, now);
    expect([both.get('one'), both.get('other')]).toEqual([
      { kind: 'file', version: '1' },
      { kind: 'file', version: '2' },
    ]);
  });

  it('that were forgotten do not come back with what is saved later, nor for the next program', async () => {
    const path = fresh();
    const before = new Checkpoints(path, now);
    before.set('read once', { kind: 'file', version: '1' });
    await before.save();
    const checkpoints = new Checkpoints(path, now);
    await checkpoints.clear();
    expect(new Checkpoints(path, now).size).toBe(0);
    checkpoints.set('read anew', { kind: 'file', version: '2' });
    await checkpoints.save();
    for (const one of [checkpoints, new Checkpoints(path, now)])
      expect([one.size, one.get('read once')]).toEqual([1, undefined]);
  });

  it.each(['', '{', '[]', '{"format": 99, "entries": {"a": {"kind": "file", "version": "1"}}}'])(
    'count as none when the file holds %j',
    (text) => {
      const path = join(folder, `broken-${++number}.json`);
      writeFileSync(path, text);
      expect(new Checkpoints(path, now).get('a')).toBeUndefined();
    },
  );

  it('are written in one step, for their owner alone, and leave nothing behind', async () => {
    const path = fresh();
    const checkpoints = new Checkpoints(path, now);
    checkpoints.set('a', { kind: 'remote', checkpoint: { job: 7 } });
    await checkpoints.save();
    expect(readdirSync(join(path, '..'))).toEqual(['checkpoints.json']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      format: 1,
      entries: { a: { kind: 'remote', checkpoint: { job: 7 } } },
    });
  });

  it('are saved only after a while by saveSometimes', async () => {
    const path = fresh();
    let ms = 0;
    const checkpoints = new Checkpoints(path, () => ms);
    checkpoints.set('a', { kind: 'file', version: '1' });
    await checkpoints.saveSometimes();
    expect(new Checkpoints(path, now).get('a')).toBeUndefined();
    ms = 100;
    await checkpoints.saveSometimes();
    expect(new Checkpoints(path, now).get('a')).toBeDefined();
  });

  it('that cannot be written are a sentence, exit code 1', async () => {
    const file = join(folder, 'a-file');
    writeFileSync(file, '');
    const checkpoints = new Checkpoints(join(file, 'checkpoints.json'), now);
    checkpoints.set('a', { kind: 'file', version: '1' });
    await expect(checkpoints.save()).rejects.toMatchObject({ code: 'cannot-write', exitCode: 1 });
  });
});
