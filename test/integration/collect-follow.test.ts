import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ended, programForTests } from './bundled-program.js';

const program = programForTests();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'movecast-follow-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

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
  const child = program().start(['collect', 'records', log, '--follow', '--out', '-'], { cwd: folder });
  const end = ended(child);
  const printed = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const nextId = async (): Promise<string> => {
    const next = await printed.next();
    return next.done === true ? `ended: ${(await end).err}` : (JSON.parse(next.value) as { id: string }).id;
  };
  expect(await nextId()).toBe('m1');
  appendFileSync(log, line('m2'));
  expect(await nextId()).toBe('m2');
  renameSync(log, `${log}.1`);
  writeFileSync(log, line('m3'));
  expect(await nextId()).toBe('m3');
  child.kill('SIGTERM');
  const { code, err } = await end;
  expect(code).toBe(0);
  expect(err).toContain('read 3: 3 written, 0 rejected');
});
