import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A captured-looking log of ours: `fixture('proxmox', 'pve-3.log')`. */
export const fixture = (source: string, name: string): string =>
  readFileSync(join('test', 'fixtures', source, name), 'utf8');

/** The names of a source's fixtures, folders looked into. */
export const fixtureNames = (source: string): string[] =>
  readdirSync(join('test', 'fixtures', source), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join('test', 'fixtures', source).length + 1))
    .sort();

/** Real logs that stand beside the repository on some machines; undefined (and a word on it) elsewhere. */
export function sharedFolder(...path: string[]): string | undefined {
  const folder = join('..', 'shared', 'data', ...path);
  if (existsSync(folder)) return folder;
  process.stdout.write(`skipped: ${folder} is not here\n`);
  return undefined;
}
