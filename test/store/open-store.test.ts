import { describe, expect, it } from '@jest/globals';
import { openStore, redactUrl } from '../../src/store/open-store.js';

describe('redactUrl', () => {
  it.each([
    ['influx://me:secret@db:8086/moves', 'influx://me:***@db:8086/moves'],
    ['influxs://me:se@cr:et/@db/moves', 'influxs://me:***@db/moves'],
    ['influx://me@db/moves', 'influx://me@db/moves'],
    ['influx:me:secret@db', 'influx:me:***@db'],
    ['sqlite:/a:b/c.db', 'sqlite:/a:b/c.db'],
    ['http://u:p@h/\n', 'http://u:***@h/?'],
  ])('stars the password of %j out', (url, redacted) => {
    expect(redactUrl(url)).toBe(redacted);
  });
});

describe('openStore', () => {
  it.each([
    'postgres://me:hunter2@db/moves',
    'influx://me:hunter2@db',
    'influx://me:hunter2@db/a/b',
    'influx://me:hunter2@db:99999/moves',
    'influx:me:hunter2@db/moves',
    'sqlite:',
    'moves.db',
    '',
  ])('refuses %j with a sentence of usage that shows no password', async (url) => {
    const error = await openStore(url).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'UserError', code: 'usage', exitCode: 2 });
    expect((error as Error).message).toMatch(/give sqlite:PATH or influx:/);
    expect((error as Error).message).not.toContain('hunter2');
  });
});
