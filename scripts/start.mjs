// `npm start` on a fresh clone: installs and builds what is missing, loads the shipped data into the embedded store on
// the first run, trains when no model is there, and serves. Arguments after `--` go to `movecast serve`.
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from './build.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);
await ensureBuilt();

const { main } = await import('../dist/src/main.js');
const { processContext } = await import('../dist/src/commands/context.js');
const context = processContext();
const ownStore =
  Boolean(process.env.MOVECAST_STORE) || process.argv.some((word) => /^--store(=|$)/.test(word));

/** Says that the shipped data stands in the embedded store; written last, so that a broken first run is repeated. */
const loaded = '.movecast/shipped-data-loaded';
if (!ownStore && !existsSync(loaded)) {
  console.error('movecast: first run: loading the shipped data into .movecast/movecast.db');
  await run('collect', 'records', 'data/osic/records.jsonl', 'data/qemu-lab/records.jsonl');
  await run('collect', 'link-samples', 'data/qemu-lab/link-samples.csv');
  writeFileSync(loaded, '');
}
if (!existsSync('models/default/current')) await run('train');
process.exitCode = await main(['serve', ...process.argv.slice(2)], context);

async function run(...args) {
  const code = await main(args, context);
  if (code !== 0) process.exit(code);
}
