// Runs the terminal sessions of README.md and docs/python.md (blocks marked `console`), or of the pages named, and writes
// what was really printed back into them: `npm run readme [-- docs/python.md]`. The commands of a page run in order in one
// throw-away folder; `movecast` is the built program, `python3` Debian's; for the README, port 8080 is a service and port
// 8086 an InfluxDB that are started on free ports. A block without a command stays as it is.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from './build.mjs';
import { fail } from './installed.mjs';

/** Longer outputs are cut in the middle, with a line that says so. */
const MOST_LINES = 26;

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
await ensureBuilt();
const pages = process.argv.length > 2 ? process.argv.slice(2) : ['README.md', 'docs/python.md'];
const folder = mkdtempSync(join(tmpdir(), 'movecast-readme-'));
const running = [];
try {
  for (const name of ['data', 'docs', 'models', 'test']) symlinkSync(join(root, name), join(folder, name));
  writeFileSync(
    join(folder, 'npx'),
    `#!/bin/sh\nshift\nexec "${process.execPath}" "${join(root, 'dist/src/main.js')}" "$@"\n`,
    { mode: 0o755 },
  );
  writeFileSync(
    join(folder, 'python3'),
    `#!/bin/sh\nexec "${process.env.MOVECAST_PYTHON ?? '/usr/bin/python3'}" "$@"\n`,
    { mode: 0o755 },
  );
  for (const page of pages) {
    const ports = page === 'README.md' ? { 8080: await startService(), 8086: await startInflux() } : {};
    const path = join(root, page);
    const text = readFileSync(path, 'utf8').replace(
      /```console\n([\s\S]*?)```/g,
      (_, block) => `\`\`\`console\n${session(block, ports)}\`\`\``,
    );
    writeFileSync(path, text);
  }
} finally {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

function session(block, ports) {
  const commands = [...block.matchAll(/^\$ (.*(?:\\\n.*)*)$/gm)].map((match) => match[1]);
  return commands.map((command) => `$ ${command}\n${output(command, ports)}`).join('');
}

function output(command, ports) {
  let real = command;
  for (const [shown, port] of Object.entries(ports))
    real = real.replaceAll(`127.0.0.1:${shown}`, `127.0.0.1:${port}`);
  const done = spawnSync('sh', ['-c', `${real} 2>&1`], {
    cwd: folder,
    encoding: 'utf8',
    env: {
      ...process.env,
      PATH: `${folder}:${process.env.PATH}`,
      MOVECAST_STORE: `sqlite:${join(folder, 'readme.db')}`,
      NO_COLOR: '1',
    },
    maxBuffer: 1 << 26,
  });
  if (done.status !== 0) fail(`${command} exited ${done.status}: ${done.stdout}`);
  let printed = done.stdout.replaceAll(folder, '.');
  for (const [shown, port] of Object.entries(ports))
    printed = printed.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${shown}`);
  const lines = printed
    .replace(/\n$/, '')
    .split('\n')
    .filter((line, i, all) => line !== '' || i < all.length - 1);
  if (lines.length > MOST_LINES)
    lines.splice(
      MOST_LINES - 6,
      lines.length - MOST_LINES + 2,
      `… (${lines.length - MOST_LINES + 2} more lines)`,
    );
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

async function startService() {
  const store = `sqlite:${join(folder, 'service.db')}`;
  const movecast = join(root, 'dist/src/main.js');
  // What `npm start` loads on its first run.
  for (const files of [
    ['records', 'data/osic/records.jsonl', 'data/qemu-lab/records.jsonl'],
    ['link-samples', 'data/qemu-lab/link-samples.csv'],
  ])
    spawnSync(process.execPath, [movecast, 'collect', ...files, '--store', store, '--quiet'], {
      cwd: folder,
    });
  const service = spawn(process.execPath, [movecast, 'serve', '--port', '0', '--json', '--store', store], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.push(service);
  const line = await new Promise((resolve) => service.stdout.once('data', resolve));
  return new URL(JSON.parse(String(line)).url).port;
}

async function startInflux() {
  const [http, rpc] = [await freePort(), await freePort()];
  const data = join(folder, 'influx');
  const influx = spawn('influxd', ['run', '-config', '/dev/null'], {
    stdio: 'ignore',
    env: {
      ...process.env,
      INFLUXDB_REPORTING_DISABLED: 'true',
      INFLUXDB_BIND_ADDRESS: `127.0.0.1:${rpc}`,
      INFLUXDB_META_DIR: join(data, 'meta'),
      INFLUXDB_DATA_DIR: join(data, 'data'),
      INFLUXDB_DATA_WAL_DIR: join(data, 'wal'),
      INFLUXDB_HTTP_BIND_ADDRESS: `127.0.0.1:${http}`,
      INFLUXDB_HTTP_LOG_ENABLED: 'false',
      INFLUXDB_MONITOR_STORE_ENABLED: 'false',
    },
  });
  influx.on('error', () => fail('README: influxd is not installed (Debian: apt-get install influxdb)'));
  running.push(influx);
  for (let tries = 0; tries < 200; tries++) {
    if (
      await fetch(`http://127.0.0.1:${http}/ping`).then(
        (answer) => answer.ok,
        () => false,
      )
    )
      return http;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return fail('README: influxd does not answer');
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
