import { describe, expect, it } from '@jest/globals';
import { maskCredentials } from '../../src/collector/credentials.js';

describe('maskCredentials', () => {
  it.each([
    ['GET http://rapi:hunter2@node1:5080/2/jobs', 'GET http://rapi:***@node1:5080/2/jobs'],
    ['Authorization: Basic cmFwaTpodW50ZXIy', 'Authorization: Basic ***'],
    ['{"Authorization":"Bearer abc.def-ghi12"}', '{"Authorization":"Bearer ***"}'],
    ['X-Auth-Token: gAAAAABf', 'X-Auth-Token: ***'],
    ['password=hunter2 user=me', 'password=*** user=me'],
    ["db_passwd: 'a b c', host: x", "db_passwd: '***', host: x"],
    ['{"api_key": "k-1", "vm": "web1"}', '{"api_key": "***", "vm": "web1"}'],
    ['"password": "cut off in the mid', '"password": "***"'],
  ])('%s', (text, masked) => {
    expect(maskCredentials(text)).toBe(masked);
  });

  it('leaves an ordinary log line as it is', () => {
    const line = '2026-11-22 10:00:00 migration of web1 from node1 to node2: 42% at 2026-11-22T10:56:05.208Z';
    expect(maskCredentials(line)).toBe(line);
  });

  it('is not kept busy by a hostile line', () => {
    // A tenth of a second; minutes where the work grows with the square of the length.
    const line = 'password'.repeat(25_000) + 'a-'.repeat(100_000);
    const before = performance.now();
    expect(maskCredentials(line)).toBe(line);
    expect(performance.now() - before).toBeLessThan(20_000);
  });
});
