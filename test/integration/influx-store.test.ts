import { afterAll, beforeAll, describe } from '@jest/globals';
import { openStore } from '../../src/store/open-store.js';
import { describeStore } from '../store/store-contract.js';
import { startInflux, type InfluxServer } from './influx-server.js';
import { requireOrSkip } from './real-servers.js';

(requireOrSkip('influxd') ? describe : describe.skip)('InfluxDB', () => {
  let server: InfluxServer;
  let databases = 0;
  beforeAll(async () => {
    server = await startInflux();
  });
  afterAll(() => server.remove());

  const freshUrl = (): string => server.url(`db${(databases += 1)}`);

  describeStore('InfluxDB 1.x', {
    open: () => openStore(freshUrl()),
    reopen: (store) => openStore(store.url),
  });
});
