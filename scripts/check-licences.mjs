// Every package that ships with movecast must have a licence that goes with Apache-2.0. Reads the lock file; no network.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ALLOWED =
  /^\(?(MIT|ISC|Apache-2\.0|BSD-2-Clause|BSD-3-Clause|0BSD|BlueOak-1\.0\.0|Unlicense|CC0-1\.0|Python-2\.0)( (OR|AND) [\w.-]+)*\)?$/;

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
const counts = new Map();
const faults = [];
for (const [path, entry] of Object.entries(lock.packages)) {
  if (path === '' || entry.dev || entry.link) continue;
  const licence = entry.license ?? licenceOnDisk(path);
  counts.set(licence, (counts.get(licence) ?? 0) + 1);
  if (!ALLOWED.test(licence)) faults.push(`${path}: licence ${licence}`);
}
console.log([...counts].map(([licence, count]) => `${licence} ${count}`).join(', '));
for (const fault of faults) console.error(fault);
process.exit(faults.length > 0 ? 1 : 0);

function licenceOnDisk(path) {
  try {
    return JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')).license ?? 'unknown';
  } catch {
    return 'unknown';
  }
}
