import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

describe('the check of the house', () => {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'movecast-house-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const check = (folder: string): { status: number | null; stderr: string } =>
    spawnSync(process.execPath, ['scripts/check-house.mjs', folder], { encoding: 'utf8' });

  it('finds this house in order', () => {
    expect(check('.')).toMatchObject({ status: 0, stderr: '' });
  });

  it.each([
    ['src/predictor/a.ts', "import { x } from '../store/store.js';", 'predictor may not import store'],
    ['src/service/a.ts', "export * from '../../training/fit.js';", 'service may not import training'],
    [
      'src/balancer/a.ts',
      "const x = await import('../predictor/trees.js');",
      'balancer may not import predictor',
    ],
    [
      'src/domain/a.ts',
      "import { readFileSync } from 'node:fs';",
      'domain is pure and may not import node:fs',
    ],
    ['src/predictor/a.ts', 'export const now = Date.now();', 'predictor is pure but reads the clock'],
    ['src/balancer/a.ts', 'export const dice = Math.random();', 'balancer is pure but throws dice'],
    ['src/helpers/a.ts', 'export const x = 1;', 'there is no room called helpers'],
  ])('%s with %s is a fault', (path, text, fault) => {
    write(path, `${text}\n`);
    const { status, stderr } = check(root);
    expect(status).toBe(1);
    expect(stderr).toContain(fault);
  });

  it('lets a room import what the table allows', () => {
    write('src/domain/a.ts', 'export const a = 1;\n');
    write('src/predictor/b.ts', "import { a } from '../domain/a.js';\nexport const b = a;\n");
    write('training/c.ts', "import { b } from '../src/predictor/b.js';\nexport const c = b;\n");
    expect(check(root)).toMatchObject({ status: 0 });
  });
});
