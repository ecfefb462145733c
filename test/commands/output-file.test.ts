import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { writeWhole, writtenWhole } from '../../src/commands/output-file.js';
import { UserError } from '../../src/domain/errors.js';

let folder = '';
const at = (name: string): string => join(folder, name);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'output-file-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a file that is written whole or not at all', () => {
  it('takes the place of the one before, with its permissions, and leaves nothing else', async () => {
    await writeWhole(at('new'), 'one');
    expect(readFileSync(at('new'), 'utf8')).toBe('one');
    chmodSync(at('new'), 0o640);
    await writeWhole(at('new'), 'two');
    expect(readFileSync(at('new'), 'utf8')).toBe('two');
    expect(statSync(at('new')).mode & 0o777).toBe(0o640);
    expect(readdirSync(folder)).toEqual(['new']);
  });

  it('writes through a link, which stays one', async () => {
    writeFileSync(at('real'), 'before');
    symlinkSync('real', at('link'));
    await writeWhole(at('link'), 'after');
    expect(lstatSync(at('link')).isSymbolicLink()).toBe(true);
    expect(readFileSync(at('real'), 'utf8')).toBe('after');
  });

  it('writes to a device as it stands, and says when there is no room', async () => {
    await expect(writeWhole('/dev/null', 'x')).resolves.toBeUndefined();
    await expect(writeWhole('/dev/full', 'x')).rejects.toMatchObject({ code: 'cannot-write' });
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });

  it('says in a sentence what it cannot write, and leaves nothing behind', async () => {
    mkdirSync(at('folder'));
    await expect(writeWhole(at('folder'), 'x')).rejects.toMatchObject({ code: 'cannot-write' });
    await expect(writeWhole(at('absent/x'), 'x')).rejects.toMatchObject({ code: 'cannot-write' });
    expect(readdirSync(folder)).toEqual(['folder']);
  });

  it('leaves what was there when its pieces end in an error, which passes as it is', async () => {
    writeFileSync(at('export'), 'older');
    const broken = new UserError('store-unavailable', 'the store is gone');
    async function* pieces(): AsyncGenerator<string> {
      yield 'newer ';
      await Promise.resolve();
      throw broken;
    }
    await expect(writeWhole(at('export'), pieces())).rejects.toBe(broken);
    expect(readFileSync(at('export'), 'utf8')).toBe('older');
    expect(readdirSync(folder)).toEqual(['export']);
    const half = writtenWhole(at('export'), async (place) => {
      writeFileSync(place, 'newer');
      await writeFile('/dev/full', 'x');
    });
    await expect(half).rejects.toMatchObject({
      code: 'cannot-write',
      message: expect.stringContaining('export'),
    });
    expect(readFileSync(at('export'), 'utf8')).toBe('older');
    expect(readdirSync(folder)).toEqual(['export']);
  });
});
