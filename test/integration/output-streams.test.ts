import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, closeSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { build } from 'esbuild';

const run = promisify(execFile);

let folder: string;
let program: string;
beforeAll(async () => {
  folder = mkdtempSync(join(process.cwd(), 'node_modules', '.movecast-streams-')); // finds the packages from there
  program = join(folder, 'main.mjs');
  await build({
    entryPoints: ['src/main.ts'],
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'error',
    outfile: program,
  });
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const FULL = '/dev/full';

/** Runs the program with the output or the remarks going to a disk that is full. */
async function runOnFullDisk(
  which: 'stdout' | 'stderr',
  args: readonly string[],
): Promise<{ code: number | null; other: string }> {
  const full = openSync(FULL, 'w');
  try {
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ['ignore', which === 'stdout' ? full : 'pipe', which === 'stderr' ? full : 'pipe'],
    });
    let other = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (other += String(text)));
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { code, other };
  } finally {
    closeSync(full);
  }
}

(existsSync(FULL) ? describe : describe.skip)('the program, when what it prints cannot be written,', () => {
  it.each([['--help'], ['models', '--json']])('says so in one sentence and exits 1 (%s)', async (...args) => {
    const { code, other } = await runOnFullDisk('stdout', args);
    expect({ code, other }).toEqual({
      code: 1,
      other: 'movecast: standard output: no space left on the disk; send it elsewhere\n',
    });
  });

  it('does its work all the same when only the remarks are lost', async () => {
    const table = join(folder, 'moves.csv');
    writeFileSync(
      table,
      'instance,source_node,target_node,operation,started_at,duration_seconds\n' +
        'a,n1,n2,live_migration,2026-01-01T00:00:00Z,10\nb,n1,n2,live_migration,2026-01-01T00:00:00Z,-1\n',
    );
    const store = ['--store', `sqlite:${join(folder, 'moves.db')}`];
    const { code, other } = await runOnFullDisk('stderr', ['collect', 'records', table, ...store]);
    expect({ code, other }).toEqual({ code: 0, other: 'read 2: 1 new, 0 known, 1 rejected\n' });
    const { stdout } = await run(process.execPath, [program, 'store', '--json', ...store]);
    expect(JSON.parse(stdout)).toMatchObject({ moves: 1 });
  });
});
