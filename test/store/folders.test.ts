import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { makeFolders } from '../../src/store/folders.js';

const root = mkdtempSync(join(tmpdir(), 'movecast-folders-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('making folders', () => {
  it('makes all that lead to the last one, and leaves alone what is there', () => {
    const path = join(root, 'a', 'b', 'c');
    makeFolders(path);
    makeFolders(path);
    expect(statSync(path).isDirectory()).toBe(true);
    makeFolders('.');
    makeFolders('/');
  });

  it('refuses a path through a file, and one whose folder is a link to nowhere', () => {
    writeFileSync(join(root, 'file'), '');
    expect(() => makeFolders(join(root, 'file', 'x', 'y'))).toThrow(/ENOTDIR/);
    symlinkSync(join(root, 'nowhere'), join(root, 'link'));
    expect(() => makeFolders(join(root, 'link', 'x'))).toThrow(/EEXIST/);
  });
});

(existsSync('/proc/self') ? describe : describe.skip)('making folders below /proc', () => {
  it('comes to an end: nothing can be made there', () => {
    expect(() => makeFolders('/proc/none/such')).toThrow(/ENOENT/);
  });
});
