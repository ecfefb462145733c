// Packs the package, installs it into an empty folder, and uses it there as a stranger would. Needs the npm registry.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from './build.mjs';
import { serviceUrl } from './service-url.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
await ensureBuilt();
const folder = mkdtempSync(join(tmpdir(), 'movecast-pack-'));
try {
  npm(['pack', '--ignore-scripts', '--pack-destination', folder], root);
  const archive = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  writeFileSync(join(folder, 'package.json'), '{"private": true}');
  npm(
    ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--omit=dev', join(folder, archive)],
    folder,
  );

  const help = movecast('--help');
  expect('npx movecast --help names its commands', help.includes('predict') && help.includes('balance'));
  const request = { instance: 'web1', source_node: 'node1', target_node: 'node2', memory_mib: 4096 };
  writeFileSync(join(folder, 'requests.jsonl'), `${JSON.stringify(request)}\n`);
  const prediction = JSON.parse(movecast('predict', '--requests', 'requests.jsonl'));
  expect(
    'predict answers with the shipped model',
    prediction.duration_seconds.p50 > 0 && prediction.model.version !== '',
  );
  libraryAnswers(request);
  await serveAnswers();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** A program in strict TypeScript that imports what the pages say: it compiles, and runs. */
function libraryAnswers(request) {
  const program = `
import { readFileSync } from 'node:fs';
import { forestFromAnyFormat, forestToOnnx, LinkForecasts, loadPredictor, predictRow, trainForest } from 'movecast';
import { MovecastClient } from 'movecast/client';

const predictor = loadPredictor(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')));
const seconds: number = predictor.predict(${JSON.stringify(request)}, 0).duration_seconds.p50;
const links = LinkForecasts.fit([{ at: '2026-01-01T00:00:00.000Z', link: 'a>b', throughput_mbps: 100, capacity_mbps: 1000 }]);
const available: Float64Array | undefined = links.at({ sourceNode: 'a', targetNode: 'b' }, Date.UTC(2026, 0, 1, 1))?.availableMbps;
const sizes = Float64Array.from({ length: 100 }, (_, i) => i);
const forest = trainForest({ columns: [sizes], rows: 100 }, sizes.map((size) => (size < 50 ? 0 : 1)), { loss: 'l1' });
const taken = forestFromAnyFormat(forestToOnnx(forest, { featureNames: ['size'] })).forest;
const large: number = predictRow(taken, Float64Array.of(80), 0);
new MovecastClient('http://127.0.0.1:1');
console.log(JSON.stringify(seconds > 0 && available !== undefined && available[2]! > 0 && large > 0.5));
`;
  writeFileSync(join(folder, 'program.mts'), program);
  const version = readFileSync(join(folder, 'node_modules/movecast/models/default/current'), 'utf8').trim();
  const model = join(folder, 'node_modules/movecast/models/default', version, 'model.json');
  const modules = join(root, 'node_modules');
  const strict = ['--strict', '--noUncheckedIndexedAccess', '--target', 'es2023', '--module', 'nodenext'];
  const types = ['--typeRoots', join(modules, '@types'), '--types', 'node'];
  run(process.execPath, [join(modules, 'typescript/bin/tsc'), ...strict, ...types, 'program.mts'], folder);
  const printed = run(process.execPath, ['program.mjs', model], folder);
  expect('a program in strict TypeScript compiles against the library and runs', printed.trim() === 'true');
}

async function serveAnswers() {
  const service = spawn(
    process.execPath,
    [join(folder, 'node_modules/movecast/dist/src/main.js'), 'serve', '--port', '0'],
    { cwd: folder },
  );
  try {
    const url = await serviceUrl(service, 'serve');
    const answer = await fetch(`${url}/readyz`);
    expect('serve is ready in an empty folder', answer.ok);
    const page = await (await fetch(url)).text();
    expect('serve shows the dashboard', page.includes('<html'));
  } finally {
    service.kill('SIGTERM');
  }
}

function movecast(...args) {
  return run(process.execPath, [join(folder, 'node_modules/movecast/dist/src/main.js'), ...args], folder);
}

function npm(args, cwd) {
  return run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, cwd);
}

function run(command, args, cwd) {
  const done = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.stderr}${done.stdout}`);
  return done.stdout;
}

function expect(promise, kept) {
  console.log(`${kept ? 'ok' : 'NOT OK'}: ${promise}`);
  if (!kept) process.exitCode = 1;
}
