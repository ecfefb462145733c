// `npm run demo:ganeti`: the whole loop on a real Ganeti cluster of virtual nodes, which starts with it and goes with it.
// Moves of an operator, collected and trained on beside the shipped data; a plan, carried out; its moves, collected
// again; and the cluster's score before and after by Ganeti's own hbal. Needs root and the packages that
// test/integration/ganeti-cluster.sh names; takes a minute or two. Ends with 1 when the cluster is not better for it.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from './build.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const INSIDE = '--inside';

if (process.argv[2] !== INSIDE) {
  await ensureBuilt();
  const { status } = spawnSync(
    'bash',
    [
      join(root, 'test', 'integration', 'ganeti-cluster.sh'),
      'run',
      process.execPath,
      fileURLToPath(import.meta.url),
      INSIDE,
    ],
    { stdio: 'inherit' },
  );
  process.exit(status ?? 1);
}

const folder = mkdtempSync(join(tmpdir(), 'movecast-demo-'));
const MASTER = 'https://192.0.2.10:5080';
const access = (user) => ['--ca', '/srv/rapi-ca.pem', '--credentials', `/srv/${user}`];

/** Runs a command as a person would see it. */
function show(shown, command, args) {
  console.log(`$ ${shown}`);
  const { status } = spawnSync(command, args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new Error(`it ended with ${status}`);
}
const ON_MASTER = '/srv/cluster/node1/cmd';
const onMaster = (...args) => show(args.join(' '), ON_MASTER, args);
const movecast = (...args) =>
  show(`movecast ${args.join(' ')}`, process.execPath, [join(root, 'dist', 'src', 'main.js'), ...args]);
const title = (text) => console.log(`\n== ${text}`);
function hbalScore() {
  const { stdout } = spawnSync(ON_MASTER, ['hbal', '-L'], { encoding: 'utf8' });
  console.log(`$ hbal -L\n${stdout.trim()}`);
  return Number(/Initial score: (\S+)/.exec(stdout)[1]);
}

try {
  // The shipped model is in service to begin with, in a registry of the demonstration's own.
  cpSync(join(root, 'models'), join(folder, 'models'), { recursive: true });
  cpSync(join(root, 'data'), join(folder, 'data'), { recursive: true });

  title('A cluster with everything on two of its four nodes');
  onMaster('gnt-node', 'list', '-o', 'name,mtotal,mfree,pinst_cnt');
  const before = hbalScore();

  title('An operator has moved some instances, there and back');
  for (const [instance, there, back] of [
    ['instance1', 'node3', 'node2'],
    ['instance2', 'node4', 'node1'],
    ['instance4', 'node3', 'node1'],
  ])
    for (const node of [there, back])
      onMaster('gnt-instance', 'migrate', '-f', '-n', node, instance, '>/dev/null', '2>&1');

  title('What the job queue tells of it is collected, and learnt from beside the shipped data');
  movecast('collect', 'ganeti-rapi', MASTER, ...access('reader'));
  movecast('collect', 'records', 'data/osic/records.jsonl', 'data/qemu-lab/records.jsonl', '--quiet');
  movecast('train', '--quiet');

  title('What the plan of hbal itself will take');
  console.log(`$ hbal -m ${MASTER} -C > hbal.txt`);
  const { stdout: plan } = spawnSync(ON_MASTER, ['hbal', '-m', MASTER, '-C'], { encoding: 'utf8' });
  writeFileSync(join(folder, 'hbal.txt'), plan);
  movecast('price', MASTER, 'hbal.txt', '--ca', '/srv/rapi-ca.pem');

  title('A plan, carried out');
  movecast('balance', MASTER, '--execute', '--yes', ...access('balancer'));

  title('Its moves are in the store already: the queue has nothing to add');
  movecast('collect', 'ganeti-rapi', MASTER, ...access('reader'));

  title('The score by hbal');
  const after = hbalScore();
  console.log(`\nhbal: ${before} before, ${after} after`);
  if (!(after < before)) throw new Error('the cluster is not better for it');
} catch (error) {
  console.error(`demo:ganeti: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
