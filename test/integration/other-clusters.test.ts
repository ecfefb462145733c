import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Plan } from '../../src/domain/plan.js';
import { runCommand } from '../commands/run-command.js';
import { requireOrSkip } from './real-servers.js';

/** docs/other-clusters.md: its example is a cluster, and its script makes one of what Proxmox VE answers. */

const page = readFileSync(join('docs', 'other-clusters.md'), 'utf8');
const block = (language: string): string => page.split(`\`\`\`${language}\n`)[1]!.split('```')[0]!;

const MIB = 2 ** 20;
const GIB = 1024 * MIB;
const node = (name: string, usedGib: number): object => ({
  type: 'node',
  node: name,
  status: 'online',
  maxmem: 64 * GIB,
  mem: usedGib * GIB,
  maxcpu: 16,
});
const guest = (vmid: number, name: string, others: object = {}): object => ({
  type: 'qemu',
  vmid,
  node: name,
  status: 'running',
  maxmem: 8 * GIB,
  mem: 4 * GIB,
  maxdisk: 10 * GIB,
  maxcpu: 4,
  ...others,
});
const storage = (name: string, shared: 0 | 1, others: object = {}): object => ({
  type: 'storage',
  storage: shared === 1 ? 'ceph' : 'local-zfs',
  node: name,
  shared,
  status: 'available',
  content: 'images,rootdir',
  maxdisk: 1000 * GIB,
  disk: 100 * GIB,
  ...others,
});

/** What the calls of the script answer, by their path. */
const ANSWERS: Record<string, unknown> = {
  '/cluster/resources': [
    node('pve1', 22),
    node('pve2', 2),
    // As Proxmox VE shows a node that is off: without figures, its guests too.
    { type: 'node', node: 'pve3', status: 'offline' },
    guest(101, 'pve1', { tags: 'service-web;prod' }),
    guest(102, 'pve1'),
    guest(103, 'pve1'),
    guest(104, 'pve1', { status: 'stopped', mem: 0 }),
    guest(105, 'pve1', { template: 1, status: 'stopped' }),
    { type: 'qemu', vmid: 106, node: 'pve3', status: 'unknown' },
    { type: 'lxc', vmid: 107, node: 'pve1', status: 'running' },
    storage('pve1', 1),
    storage('pve2', 1),
    storage('pve1', 0),
    storage('pve2', 0),
    storage('pve3', 0, { status: 'unknown', maxdisk: undefined, disk: undefined }),
  ],
  '/cluster/replication': [{ id: '102-0', guest: 102, target: 'pve2', type: 'local' }],
  '/nodes/pve1/storage/local-zfs/content': [{ vmid: 102 }, { vmid: 103 }],
  '/nodes/pve2/storage/local-zfs/content': [],
};

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'movecast-other-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const planOf = async (text: string): Promise<Plan> => {
  const file = join(folder, 'read.data');
  writeFileSync(file, text);
  writeFileSync(join(folder, 'costs.json'), '{}');
  const costs = join(folder, 'costs.json');
  const { code, out, err } = await runCommand([
    'balance',
    file,
    '--costs',
    costs,
    '--json',
    '--effort',
    '0.01',
  ]);
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out) as Plan;
};

describe('docs/other-clusters.md', () => {
  it('has an example that is read and balanced', async () => {
    const { moves } = await planOf(block(''));
    expect(moves.map(({ to }) => to.primary)).toEqual(['pve2']);
  });
});

(requireOrSkip('jq') ? describe : describe.skip)(
  'the script of docs/other-clusters.md for Proxmox VE',
  () => {
    /** Runs it with a `pvesh` that answers as above. */
    const written = (): string => {
      writeFileSync(join(folder, 'answers.json'), JSON.stringify(ANSWERS));
      const pvesh = join(folder, 'pvesh');
      writeFileSync(pvesh, '#!/bin/sh\nexec jq --arg path "$2" \'.[$path]\' answers.json\n');
      chmodSync(pvesh, 0o755);
      const script = block('sh').replace(/^movecast .*\n/m, '');
      const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` };
      const { status, stderr } = spawnSync('sh', ['-e', '-c', script], {
        cwd: folder,
        env,
        encoding: 'utf8',
      });
      expect([status, stderr]).toEqual([0, '']);
      return readFileSync(join(folder, 'cluster.data'), 'utf8');
    };

    it('writes nodes and guests, those on local and replicated disks too, with a node that is offline', () => {
      const group = '11111111-1111-4111-8111-111111111111';
      expect(written().split('\n')).toEqual([
        `pool|${group}|preferred||`,
        '',
        `pve1|65536|10240|43008|1024000|921600|16|N|${group}|1||N|0|0|1.0`,
        `pve2|65536|2048|63488|1024000|921600|16|N|${group}|1||N|0|0|1.0`,
        `pve3|0|0|0|0|0|0|Y|${group}|1||N|0|0|1.0`,
        '',
        '101|8192|10240|4|running|Y|pve1||ext|service-web,prod|1',
        '102|8192|10240|4|running|Y|pve1|pve2|drbd||1',
        '103|8192|10240|4|running|Y|pve1||plain||1',
        '104|8192|10240|4|ADMIN_down|Y|pve1||ext||1',
        '',
        '',
        '',
      ]);
    });

    it('is balanced without moving the guests on local disks', async () => {
      const plan = await planOf(written());
      expect(plan.score_after).toBeLessThan(plan.score_before);
      expect(plan.moves.map(({ instance }) => instance)).not.toContain('103');
      expect(plan.moves.map(({ to }) => to.primary)).not.toContain('pve3');
    });
  },
);
