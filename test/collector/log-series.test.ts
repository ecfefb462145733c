import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { seriesBeside, seriesOf } from '../../src/collector/log-series.js';

const folder = mkdtempSync(join(tmpdir(), 'movecast-series-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('seriesOf', () => {
  it('puts numbered files before the log, the highest number first', () => {
    expect(seriesOf(['n.log', 'n.log.1', 'n.log.10.gz', 'n.log.2.gz'])).toEqual([
      { path: 'n.log', files: ['n.log.10.gz', 'n.log.2.gz', 'n.log.1', 'n.log'] },
    ]);
  });

  it('puts dated files before the log, the earliest first', () => {
    const [series] = seriesOf([
      'n.log',
      'n.log-20261122',
      'n.log-20261120.gz',
      'n.log.2026-11-21',
      'n.log-20261122-1030',
    ]);
    expect(series?.files).toEqual([
      'n.log-20261120.gz',
      'n.log.2026-11-21',
      'n.log-20261122',
      'n.log-20261122-1030',
      'n.log',
    ]);
  });

  it('takes a numbered file for a log of its own where the log is not there', () => {
    expect(seriesOf(['moves-1', 'moves-2'])).toEqual([
      { path: 'moves-1', files: ['moves-1'] },
      { path: 'moves-2', files: ['moves-2'] },
    ]);
  });

  it('keeps logs of the same name in different folders apart', () => {
    expect(seriesOf(['a/n.log', 'b/n.log', 'b/n.log.1'])).toEqual([
      { path: 'a/n.log', files: ['a/n.log'] },
      { path: 'b/n.log', files: ['b/n.log.1', 'b/n.log'] },
    ]);
  });
});

describe('seriesBeside', () => {
  it('finds the rotated files of a log, and no others', async () => {
    for (const name of ['n.log', 'n.log.1', 'n.log.2.gz', 'm.log.1', 'n.log.old'])
      writeFileSync(join(folder, name), '');
    expect(await seriesBeside(join(folder, 'n.log'))).toEqual({
      path: join(folder, 'n.log'),
      files: ['n.log.2.gz', 'n.log.1', 'n.log'].map((name) => join(folder, name)),
    });
  });
});
