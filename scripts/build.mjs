// Builds `dist/`: TypeScript to JavaScript, and the dashboard's page bundled into one script beside its HTML and CSS.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled, fail } from './installed.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const stamp = join(root, 'dist', '.built');
const PAGE = 'src/service/dashboard/page';

/** Builds when a source is newer than the last build. */
export async function ensureBuilt() {
  ensureInstalled(root);
  const builtMs = existsSync(stamp) ? statSync(stamp).mtimeMs : 0;
  const sources = [
    'src',
    'training',
    'package.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'scripts/build.mjs',
  ];
  if (newestMs(sources.map((name) => join(root, name))) > builtMs) await build();
}

async function build() {
  console.error('movecast: building');
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  const tsc = spawnSync(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
    {
      cwd: root,
      stdio: ['ignore', 2, 2],
    },
  );
  if (tsc.status !== 0) fail('the TypeScript compiler found errors: see above');
  await buildPage(join(root, PAGE), join(root, 'dist', PAGE));
  writeFileSync(stamp, '');
}

async function buildPage(from, to) {
  if (!existsSync(from)) return;
  mkdirSync(to, { recursive: true });
  const esbuild = await import('esbuild');
  await esbuild.build({
    entryPoints: [join(from, 'app.ts')],
    outfile: join(to, 'app.js'),
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    logLevel: 'error',
  });
  for (const name of readdirSync(from))
    if (extname(name) !== '.ts') cpSync(join(from, name), join(to, name), { recursive: true });
  cpSync(join(root, 'node_modules/uplot/dist/uPlot.min.css'), join(to, 'uplot.css'));
}

function newestMs(paths) {
  let newest = 0;
  for (const path of paths) {
    const stat = statSync(path);
    newest = Math.max(
      newest,
      stat.isDirectory() ? newestMs(readdirSync(path).map((name) => join(path, name))) : stat.mtimeMs,
    );
  }
  return newest;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  ensureInstalled(root);
  await build();
}
