// `npm test` on a fresh clone: installs and builds what is missing, runs every test, and ends in a plain line of counts.
// With MOVECAST_REQUIRE_ALL=1 a test that was skipped (a real server is not installed) counts as a failure.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from './build.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
await ensureBuilt();
const folder = mkdtempSync(join(tmpdir(), 'movecast-test-'));
const results = join(folder, 'results.json');
const jest = spawnSync(
  process.execPath,
  [
    '--experimental-vm-modules',
    '--no-warnings',
    join(root, 'node_modules/jest/bin/jest.js'),
    '--json',
    `--outputFile=${results}`,
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] },
);
let exitCode = jest.status ?? 1;
let counts = {
  numPassedTests: 0,
  numFailedTests: 0,
  numPendingTests: 0,
  numRuntimeErrorTestSuites: 0,
  testResults: [],
};
try {
  counts = JSON.parse(readFileSync(results, 'utf8'));
} catch {
  exitCode ||= 1; // jest ended before it could write: its words stand above
}
rmSync(folder, { recursive: true, force: true });
for (const suite of counts.testResults) {
  for (const test of suite.assertionResults)
    if (test.status === 'pending') console.log(`skipped: ${test.fullName}`);
}
if (process.env.MOVECAST_REQUIRE_ALL === '1' && counts.numPendingTests > 0) {
  console.log('a skipped test counts as a failure because MOVECAST_REQUIRE_ALL=1');
  exitCode ||= 1;
}
if (counts.numPassedTests === 0) exitCode ||= 1;
const failed = counts.numFailedTests + counts.numRuntimeErrorTestSuites;
console.log(`${counts.numPassedTests} passed, ${failed} failed, ${counts.numPendingTests} skipped`);
process.exit(exitCode);
