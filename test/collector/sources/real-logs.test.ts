import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { logSources } from '../../../src/collector/sources/registry.js';
import type { Finding } from '../../../src/collector/sources/source.js';
import { parseMoveRecord } from '../../../src/domain/move-record.js';
import { parseInstanceSample, parseLinkSample } from '../../../src/domain/samples.js';
import { sharedFolder } from './fixtures.js';
import { movesOf, runSource } from './run-source.js';

/** Folder of real logs, their source, and how long the moves in each file took, in seconds. Of files not named, all that is found must be valid. */
const folders: readonly (readonly [string, string, Readonly<Record<string, readonly number[]>>])[] = [
  [
    'qmp-query-migrate',
    'qmp',
    { '01': [], '02': [44.918], '05': [], '07': [], '13': [], '04': [2.06], '08': [14.119], '10': [2.872] },
  ],
  ['hmp-info-migrate', 'qmp', { '01': [11.619], '02': [4.955], '05': [196.735] }],
  ['libvirt-domjobinfo', 'libvirt', { '01': [], '02': [] }],
  ['nova-compute', 'nova', { '01': [], '02': [8] }],
  [
    'proxmox-task-log',
    'proxmox',
    { '01': [18], '02': [10], '04': [20], '05': [21], '07': [20], '11': [], '14': [] },
  ],
  ['drbd', 'drbd', { '01': [9.405553, 9], '04': [], '17': [] }],
  ['ganeti-migrate', 'ganeti-jobs', { '02': [21], '05': [], '07': [], '08': [] }],
  ['ganeti-disk-sync', 'ganeti-jobs', { '01': [], '02': [13, 11], '04': [] }],
  ['ganeti-job-show', 'ganeti-jobs', { '01': [], '02': [] }],
];

describe('real logs', () => {
  it.each(folders)(
    'of %s are read by %s: each move with its duration, each finding valid',
    (folder, name, expected) => {
      const source = logSources.find((candidate) => candidate.name === name)!;
      expect(source).toBeDefined();
      const path = sharedFolder('log-samples', folder);
      if (path === undefined) return;
      const read = readdirSync(path).map((file) => ({
        number: file.replace('.txt', ''),
        findings: runSource(source, readFileSync(join(path, file), 'utf8'), { fileName: file }),
      }));
      expect(
        read.flatMap(({ number, findings }) =>
          findings.filter(isInvalid).map((finding) => [number, finding]),
        ),
      ).toEqual([]);
      const durations = read
        .filter(({ number }) => number in expected)
        .map(({ number, findings }) => [number, movesOf(findings).map((move) => move['duration_seconds'])]);
      expect(Object.fromEntries(durations)).toEqual(expected);
    },
  );
});

function isInvalid(finding: Finding): boolean {
  if (finding.kind === 'move') return !parseMoveRecord(finding.value).ok;
  if (finding.kind === 'link-sample') return !parseLinkSample(finding.value).ok;
  if (finding.kind === 'instance-sample') return !parseInstanceSample(finding.value).ok;
  return finding.line < 1;
}
