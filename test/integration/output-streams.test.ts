import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ended, programForTests } from './bundled-program.js';

const program = programForTests();

const FULL = '/dev/full';

/** Runs the program with the output or the remarks going to a disk that is full. */
async function runOnFullDisk(
  which: 'stdout' | 'stderr',
  args: readonly string[],
): Promise<{ code: number | null; other: string }> {
  const full = openSync(FULL, 'w');
  try {
    const stdio = ['ignore', which === 'stdout' ? full : 'pipe', which === 'stderr' ? full : 'pipe'] as const;
    const { code, out, err } = await ended(program().start(args, { stdio: [...stdio] }));
    return { code, other: out + err };
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
    const table = join(program().folder, 'moves.csv');
    writeFileSync(
      table,
      'instance,source_node,target_node,operation,started_at,duration_seconds\n' +
        'a,n1,n2,live_migration,2026-01-01T00:00:00Z,10\nb,n1,n2,live_migration,2026-01-01T00:00:00Z,-1\n',
    );
    const store = ['--store', `sqlite:${join(program().folder, 'moves.db')}`];
    const { code, other } = await runOnFullDisk('stderr', ['collect', 'records', table, ...store]);
    expect({ code, other }).toEqual({ code: 0, other: 'read 2: 1 new, 0 known, 1 rejected\n' });
    const { out } = await ended(program().start(['store', '--json', ...store]));
    expect(JSON.parse(out)).toMatchObject({ moves: 1 });
  });
});
