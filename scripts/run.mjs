// Runs one TypeScript program of the repository that is no part of the package (a bench, a kill or fuzz run, a report):
// `node scripts/run.mjs test/bench/collect.bench.ts [arguments]`. Builds first, so that what it starts is what stands here.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from './build.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [program, ...args] = process.argv.slice(2);
await ensureBuilt();
const { build } = await import('esbuild');
const outfile = join(root, 'dist', 'run', program.replace(/\.ts$/, '.mjs'));
await build({
  entryPoints: [join(root, program)],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  logLevel: 'error',
});
const done = spawnSync(process.execPath, [outfile, ...args], { cwd: root, stdio: 'inherit' });
process.exit(done.status ?? 1);
