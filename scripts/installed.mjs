// What `npm start`, `npm test` and `npm run build` need before anything else: a new enough Node and the packages of the
// lock file. Uses nothing but Node and npm, because nothing else may be there yet.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const OLDEST_NODE = [20, 19];

/** Installs the packages of the lock file when they are missing or of another lock; ends the program with one sentence when it can't. */
export function ensureInstalled(root) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    fail(
      `Node ${process.versions.node} is too old: install Node ${OLDEST_NODE.join('.')} or newer from nodejs.org`,
    );
  }
  const stamp = join(root, 'node_modules', '.movecast-lock');
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  if (existsSync(join(root, 'node_modules')) && lstatSync(join(root, 'node_modules')).isSymbolicLink()) {
    fail(
      'node_modules is a link, and installing would empty what it points to: run npm ci there, or remove the link',
    );
  }
  console.error('movecast: installing the packages of package-lock.json (once, about a minute)');
  const npm = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (npm.error) fail(`npm cannot be started (${npm.error.message}): install npm, it comes with Node`);
  if (npm.status !== 0)
    fail('npm ci did not succeed: see its words above; it needs the npm registry or a cache of it');
  writeFileSync(stamp, lock);
}

export function fail(sentence) {
  console.error(`movecast: ${sentence}`);
  process.exit(1);
}
