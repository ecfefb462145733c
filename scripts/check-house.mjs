// Checks of the house that no linter knows: who may import whom, pure rooms, no machine's paths, no addresses in the lock,
// no links of a page that lead nowhere.
// `node scripts/check-house.mjs [folder]` prints each fault with its place and exits 1 when there is one.
import { readdirSync, readFileSync, existsSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnSync } from 'node:child_process';

const root = process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..');

/** Which rooms a room may import besides itself; an import the other way is a fault. */
const mayImport = {
  domain: [],
  predictor: ['domain'],
  store: ['domain'],
  ganeti: ['domain'],
  collector: ['domain', 'store', 'ganeti'],
  balancer: ['domain'],
  execution: ['domain', 'balancer', 'ganeti', 'collector', 'store'],
  watch: ['domain', 'store', 'ganeti'],
  monitor: ['domain', 'store'],
  training: ['domain', 'store', 'predictor'],
  service: ['domain', 'predictor', 'store', 'ganeti', 'collector', 'balancer', 'execution', 'monitor'],
  commands: [
    'domain',
    'predictor',
    'store',
    'ganeti',
    'collector',
    'balancer',
    'execution',
    'watch',
    'monitor',
    'service',
    'training',
  ],
  main: ['domain', 'commands'],
  library: ['domain', 'predictor', 'training'],
};

/** Rooms without files, network, clock or chance: a function of their arguments. */
const pureRooms = new Set(['domain', 'predictor', 'balancer']);
const IMPURE = [
  [/\bDate\.now\(/, 'reads the clock'],
  [/\bnew Date\(\)/, 'reads the clock'],
  [/\bMath\.random\(/, 'throws dice'],
  [/\bprocess\.(env|argv|cwd|hrtime|exit)\b/, 'looks at the process'],
];
const PURE_PACKAGES = new Set(['zod', 'simple-statistics']);

const faults = [];
for (const top of ['src', 'training']) {
  if (!existsSync(join(root, top))) continue;
  for (const file of typescriptFiles(join(root, top))) checkFile(relative(root, file));
}
checkRepository();
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exit(1);
console.log('the house is in order');

function roomOf(path) {
  const parts = path.split(sep);
  if (parts[0] === 'training') return 'training';
  if (parts[0] === 'src') return parts.length === 2 ? parts[1].replace(/\.ts$/, '') : parts[1];
  return undefined;
}

function checkFile(path) {
  const room = roomOf(path);
  const allowed = mayImport[room];
  if (allowed === undefined) {
    faults.push(`${path}: there is no room called ${room}; see the table in scripts/check-house.mjs`);
    return;
  }
  const text = readFileSync(join(root, path), 'utf8');
  const lines = text.split('\n');
  lines.forEach((line, index) => {
    const place = `${path}:${index + 1}`;
    for (const [, specifier] of line.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"]+)['"]/g)) {
      if (specifier.startsWith('.')) {
        const target = roomOf(normalize(join(dirname(path), specifier)));
        if (target !== room && target !== undefined && !allowed.includes(target))
          faults.push(`${place}: ${room} may not import ${target}`);
        if (target === undefined)
          faults.push(`${place}: imports ${specifier} from outside of src and training`);
      } else if (pureRooms.has(room) && !PURE_PACKAGES.has(specifier)) {
        faults.push(`${place}: ${room} is pure and may not import ${specifier}`);
      }
    }
    if (pureRooms.has(room) && !/^\s*(\*|\/\/|\/\*)/.test(line)) {
      for (const [pattern, words] of IMPURE)
        if (pattern.test(line)) faults.push(`${place}: ${room} is pure but ${words}`);
    }
  });
}

function checkRepository() {
  const listed = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' });
  if (listed.status !== 0) return; // not a checkout, such as an unpacked package
  for (const path of listed.stdout.split('\0').filter(Boolean)) {
    if (path.endsWith('.md') && existsSync(join(root, path))) checkLinks(path);
    if (
      !/\.(ts|mjs|js|json|md|sh|yml|yaml|css|html)$|^\.ci\//.test(path) ||
      path.startsWith('data/') ||
      !existsSync(join(root, path))
    )
      continue;
    readFileSync(join(root, path), 'utf8')
      .split('\n')
      .forEach((line, index) => {
        if (/(?<![\w.])\/(work|root|home\/[a-z]+)\//.test(line) && path !== 'scripts/check-house.mjs')
          faults.push(`${path}:${index + 1}: an absolute path of one machine`);
        if (path.endsWith('package-lock.json') && /"resolved": *"http/.test(line))
          faults.push(`${path}:${index + 1}: the lock file records a download address`);
        if (
          /\.(ts|mjs)$/.test(path) &&
          path !== 'scripts/check-house.mjs' &&
          /\b(TODO|FIXME)\b|@ts-ignore|\b(it|test|describe)\.only\(/.test(line)
        )
          faults.push(`${path}:${index + 1}: unfinished`);
      });
  }
}

/** Links of a page to other files of the repository must lead somewhere. */
function checkLinks(path) {
  const text = readFileSync(join(root, path), 'utf8');
  for (const [, link] of text.matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)) {
    if (!/^[a-z]+:/.test(link) && !existsSync(join(root, dirname(path), link)))
      faults.push(`${path}: links to ${link}, which is not there`);
  }
}

function typescriptFiles(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return typescriptFiles(path);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}
