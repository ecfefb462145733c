import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * True when a program that a test needs is installed. Where it is not, the test is left out with a remark, unless
 * `MOVECAST_REQUIRE_ALL=1` says that nothing may be left out.
 *
 * @example
 * (requireOrSkip('influxd') ? describe : describe.skip)('a real server', () => …);
 */
export function requireOrSkip(binary: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/lib/ganeti'];
  if (folders.some((folder) => existsSync(join(folder, binary)))) return true;
  if (process.env['MOVECAST_REQUIRE_ALL'] === '1')
    throw new Error(`${binary} is not installed and MOVECAST_REQUIRE_ALL=1 allows no test to be left out`);
  process.stderr.write(`left out: tests that need ${binary}, which is not installed\n`);
  return false;
}
