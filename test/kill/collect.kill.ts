// Kills a running `collect` at random moments, a hundred times into each store, and looks whether every record is there
// once: npm run test:kill [-- ROUNDS]
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { requireOrSkip } from '../integration/real-servers.js';
import { startInflux } from '../integration/influx-server.js';
import { killRounds, type KillRoundsResult } from './kill-rounds.js';

const rounds = Number(process.argv[2] ?? 100);
const program = resolve('dist/src/main.js');
const isVerbose = process.argv.includes('--verbose');
const onRound = (line: string): void => {
  if (isVerbose) console.log(line);
};

console.log(`${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`);
let failed = false;

function tell(name: string, result: KillRoundsResult): void {
  const { records, killed, killedWhileWriting, serverKills, rotations, missing, twice, foreign } = result;
  console.log(
    `${name}: ${rounds} rounds, killed ${killed} times while running (${killedWhileWriting} in the middle of writing), ` +
      `server killed ${serverKills} times, log rotated ${rotations} times; of ${records} records ` +
      `${missing} missing, ${twice} twice, ${foreign} foreign`,
  );
  if (missing + twice + foreign > 0) failed = true;
}

tell(
  'SQLite',
  await killRounds({
    program,
    rounds,
    store: 'sqlite:',
    recordsARound: 12_000,
    random: Math.random,
    onRound,
  }),
);
if (requireOrSkip('influxd')) {
  const server = await startInflux();
  try {
    tell(
      'InfluxDB',
      await killRounds({
        program,
        rounds,
        store: server.url('kill'),
        server: { server, everyRounds: 5 },
        recordsARound: 6000,
        random: Math.random,
        onRound,
      }),
    );
  } finally {
    await server.remove();
  }
}
process.exit(failed ? 1 : 0);
