import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../../src/store/open-store.js';
import { describeStore } from './store-contract.js';

const freshFile = (): string =>
  join(mkdtempSync(join(tmpdir(), 'movecast-store-')), 'sub', 'folder', 'moves.db');

describeStore('a SQLite file', {
  open: () => openStore(`sqlite:${freshFile()}`),
  reopen: (store) => openStore(store.url),
});
describeStore('SQLite in memory', { open: () => openStore('sqlite::memory:') });
