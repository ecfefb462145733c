import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** The files that one writer wrote: its log and the older ones that rotation left. */
export interface LogSeries {
  /** Path of the log that is written now (it need not exist). */
  path: string;
  /** The files, oldest first. */
  files: string[];
}

/** What rotation puts behind a log's name: `.1`, `.2.gz`, `-20261122`, `.2026-11-22_10:00.gz`. */
const ROTATED = /^(.+?)[.-](\d{1,5}|\d{8}(?:[-_.T:]?\d{2,6})*|\d{4}-\d\d-\d\d(?:[-_.T:]?\d\d)*)(\.gz)?$/;

/** Sorts files into series, each in order of age; series stay in the order of their first file. O(n log n). */
export function seriesOf(paths: readonly string[]): LogSeries[] {
  const bases = new Set(paths);
  const series = new Map<string, { path: string; age: number }[]>();
  for (const path of paths) {
    const rotated = rotation(path);
    const base = rotated === undefined ? path : rotated.base;
    // A rotated name counts as one only beside others of its series: `moves-1.log` alone may be anything.
    const key = bases.has(base) ? base : path;
    const files = series.get(key) ?? [];
    files.push({ path, age: key === path ? 0 : rotated!.age });
    series.set(key, files);
  }
  return [...series].map(([path, files]) => ({
    path,
    files: files.toSorted((a, b) => b.age - a.age).map((file) => file.path),
  }));
}

/** The series of a log on the disk: itself and the rotated files beside it, whether it exists at the moment or not. */
export async function seriesBeside(path: string): Promise<LogSeries> {
  const folder = dirname(path);
  const names = await readdir(folder).catch(() => []);
  const files = names
    .map((name) => (folder === '.' && !path.startsWith('./') ? name : join(folder, name)))
    .flatMap((file) => {
      if (basename(file) === basename(path)) return [{ path: file, age: 0 }];
      const rotated = rotation(file);
      return rotated !== undefined && basename(rotated.base) === basename(path)
        ? [{ path: file, age: rotated.age }]
        : [];
    });
  return { path, files: files.toSorted((a, b) => b.age - a.age).map((file) => file.path) };
}

/** The log whose rotated file this seems to be, by its name. */
export const baseOfRotated = (path: string): string | undefined => rotation(path)?.base;

/** Later than any date in digits (year to second): taken from it, an earlier date is the greater age. */
const LATEST_DATE = 1e14;

/** The name before rotation and how old: `.2` is older than `.1`, an earlier date older than a later one. */
function rotation(path: string): { base: string; age: number } | undefined {
  const m = ROTATED.exec(path);
  if (m === null) return undefined;
  const digits = m[2]!.replace(/\D/g, '');
  const isDate = digits.length >= 8;
  const age = isDate ? LATEST_DATE - Number(digits.padEnd(14, '0').slice(0, 14)) : Number(digits);
  return { base: m[1]!, age };
}
