import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { build } from 'esbuild';

let folder: string;
let program: string;
beforeAll(async () => {
  const place = mkdtempSync(join(process.cwd(), 'node_modules', '.movecast-follow-')); // finds the packages from there
  folder = mkdtempSync(join(tmpdir(), 'movecast-follow-'));
  program = join(place, 'main.mjs');
  await build({
    entryPoints: ['src/main.ts'],
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'error',
    outfile: program,
  });
});
afterAll(() => {
  rmSync(join(program, '..'), { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
});

const line = (id: string): string =>
  `${JSON.stringify({
    id,
    instance: 'vm1',
    source_node: 'a',
    target_node: 'b',
    operation: 'failover',
    started_at: '2026-11-22T10:00:00.000Z',
    duration_seconds: 1,
  })}\n`;

it('collect --follow prints each record as its line is written, across rotation, and ends well when told to stop', async () => {
  const log = join(folder, 'moves.jsonl');
  writeFileSync(log, line('m1'));
  const child = spawn(process.execPath, [program, 'collect', 'records', log, '--follow', '--out', '-'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => (words += String(chunk)));
  const printed = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextId = async (): Promise<string> => {
    const next = await printed.next();
    return next.done === true ? `ended: ${words}` : (JSON.parse(next.value) as { id: string }).id;
  };
  expect(await nextId()).toBe('m1');
  appendFileSync(log, line('m2'));
  expect(await nextId()).toBe('m2');
  renameSync(log, `${log}.1`);
  writeFileSync(log, line('m3'));
  expect(await nextId()).toBe('m3');
  child.kill('SIGTERM');
  const [code] = (await once(child, 'close')) as [number | null];
  expect(code).toBe(0);
  expect(words).toContain('read 3: 3 written, 0 rejected');
}, 60_000);
