import { describe, expect, it } from '@jest/globals';
import { killRounds } from '../kill/kill-rounds.js';
import { programForTests } from './bundled-program.js';
import { startInflux } from './influx-server.js';
import { requireOrSkip } from './real-servers.js';

/** A few rounds; `npm run test:kill` makes a hundred into each store. */
const ROUNDS = 4;

/** Moments spread over the run, the same ones each time. */
const evenly = (): (() => number) => {
  let call = 0;
  return () => (++call * 0.618034) % 1;
};

const program = programForTests();

const ONCE_EACH = { missing: 0, twice: 0, foreign: 0 };

describe('collect, killed at random moments,', () => {
  it('leaves every record once in SQLite', async () => {
    const options = {
      program: program().path,
      rounds: ROUNDS,
      store: 'sqlite:',
      recordsARound: 6000,
      random: evenly(),
    };
    expect(await killRounds(options)).toMatchObject(ONCE_EACH);
  });
});

(requireOrSkip('influxd') ? describe : describe.skip)('collect, killed together with InfluxDB,', () => {
  it('leaves every record once', async () => {
    const server = await startInflux();
    try {
      const result = await killRounds({
        program: program().path,
        rounds: ROUNDS,
        store: server.url('kill'),
        server: { server, everyRounds: 2 },
        recordsARound: 2000,
        random: evenly(),
      });
      expect(result).toMatchObject({ ...ONCE_EACH, serverKills: ROUNDS / 2 });
    } finally {
      await server.remove();
    }
  });
});
