import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { InstanceSpec } from '../../src/balancer/cluster.js';
import { clusterFromRapi, type RapiReplies } from '../../src/balancer/rapi-cluster.js';
import { readRapiCluster } from '../../src/commands/rapi-input.js';

const spec = {
  'memory-size': 128,
  'cpu-count': 1,
  'disk-size': 1024,
  'disk-count': 1,
  'nic-count': 1,
  'spindle-use': 1,
};
const ipolicy = {
  minmax: [{ min: spec, max: spec }],
  std: spec,
  'disk-templates': ['drbd', 'plain'],
  'vcpu-ratio': 4,
  'spindle-ratio': 32,
};
const node = (name: string, more: object = {}): object => ({
  name,
  offline: false,
  drained: false,
  vm_capable: true,
  'group.uuid': 'u1',
  mtotal: 16384,
  mnode: 900,
  mfree: 8000,
  dtotal: 400_000,
  dfree: 300_000,
  ctotal: 8,
  cnos: 1,
  sptotal: null,
  spfree: null,
  ndparams: { spindle_count: 2, exclusive_storage: false, cpu_speed: 3 },
  tags: [],
  ...more,
});
const instance = (more: object = {}): object => ({
  name: 'web1',
  disk_usage: 20_608,
  'disk.spindles': [null],
  beparams: { memory: 2048, maxmem: 2048, vcpus: 2, auto_balance: true, spindle_use: 1 },
  oper_ram: 1900,
  pnode: 'n1',
  snodes: ['n2'],
  status: 'running',
  tags: ['service:web'],
  disk_template: 'drbd',
  ...more,
});
const replies = (more: Partial<RapiReplies> = {}): RapiReplies => ({
  groups: [{ name: 'g1', uuid: 'u1', alloc_policy: 'preferred', ipolicy, tags: [] }],
  nodes: [node('n1'), node('n2')],
  instances: [instance()],
  info: { master: 'n1', tags: ['htools:iextags:service'], ipolicy, default_hypervisor: 'xen-pvm' },
  ...more,
});
const cluster = (more: Partial<RapiReplies> = {}) => clusterFromRapi(replies(more), { address: 'rapi' });

describe("a cluster from Ganeti's remote API", () => {
  it('has every field from the reply that hbal takes it from', () => {
    const range = (from: number): object => ({
      'memory-size': from,
      'cpu-count': from + 1,
      'disk-size': from + 2,
      'disk-count': from + 3,
      'nic-count': from + 4,
      'spindle-use': from + 5,
    });
    const ours = (from: number): InstanceSpec => ({
      memory: from,
      cpus: from + 1,
      disk: from + 2,
      disks: from + 3,
      nics: from + 4,
      spindleUse: from + 5,
    });
    const minmax = [
      { min: range(10), max: range(20) },
      { min: range(30), max: range(40) },
    ];
    const own = { ...ipolicy, minmax, std: range(50), 'vcpu-ratio': 5, 'spindle-ratio': 6 };
    expect(
      cluster({
        groups: [
          { name: 'g0', uuid: 'u0', alloc_policy: 'unallocable', ipolicy, tags: [] },
          { name: 'g1', uuid: 'u1', alloc_policy: 'last_resort', ipolicy: own, tags: ['old'] },
        ],
        nodes: [
          node('n1', { tags: ['rack:1'], cnos: 3, spfree: 9 }),
          node('n2', {
            sptotal: 12,
            spfree: 7,
            ndparams: { spindle_count: 2, exclusive_storage: true },
          }),
          node('n3', { vm_capable: false }),
        ],
        instances: [
          instance({ 'disk.spindles': [2, 3], snodes: ['n2', 'n3'], forthcoming: true }),
          instance({
            name: 'db1',
            beparams: { maxmem: 777, vcpus: 4, auto_balance: false, spindle_use: 5 },
            oper_ram: '-',
            pnode: 'n2',
            snodes: [],
            status: 'ADMIN_down',
            tags: [],
            disk_template: 'plain',
            'disk.spindles': [2, null],
          }),
        ],
      }),
    ).toEqual({
      groups: [
        { name: 'g0', uuid: 'u0', allocationPolicy: 'unallocable', tags: [], networks: [] },
        { name: 'g1', uuid: 'u1', allocationPolicy: 'last_resort', tags: ['old'], networks: [] },
      ],
      nodes: [
        {
          name: 'n1',
          totalMemory: 16384,
          nodeMemory: 900,
          freeMemory: 8000,
          totalDisk: 400_000,
          freeDisk: 300_000,
          totalCpu: 8,
          offline: false,
          master: true,
          group: 1,
          spindles: 2,
          tags: ['rack:1'],
          exclusiveStorage: false,
          freeSpindles: 9,
          nodeCpu: 3,
          cpuSpeed: 1,
        },
        {
          name: 'n2',
          totalMemory: 16384,
          nodeMemory: 900,
          freeMemory: 8000,
          totalDisk: 400_000,
          freeDisk: 300_000,
          totalCpu: 8,
          offline: false,
          master: false,
          group: 1,
          spindles: 12,
          tags: [],
          exclusiveStorage: true,
          freeSpindles: 7,
          nodeCpu: 1,
          cpuSpeed: 1,
        },
        {
          name: 'n3',
          totalMemory: 0,
          nodeMemory: 0,
          freeMemory: 0,
          totalDisk: 0,
          freeDisk: 0,
          totalCpu: 0,
          offline: true,
          isUp: true,
          master: false,
          group: 1,
          spindles: 2,
          tags: [],
          exclusiveStorage: false,
          freeSpindles: 0,
          nodeCpu: 0,
          cpuSpeed: 1,
        },
      ],
      instances: [
        {
          name: 'web1',
          memory: 1900,
          disk: 20_608,
          vcpus: 2,
          status: 'running',
          autoBalance: true,
          primary: 0,
          secondary: 1,
          template: 'drbd',
          tags: ['service:web'],
          spindleUse: 1,
          diskSpindles: 5,
          forthcoming: true,
        },
        {
          name: 'db1',
          memory: 777,
          disk: 20_608,
          vcpus: 4,
          status: 'ADMIN_down',
          autoBalance: false,
          primary: 1,
          secondary: -1,
          template: 'plain',
          tags: [],
          spindleUse: 5,
          diskSpindles: undefined,
          forthcoming: false,
        },
      ],
      tags: ['htools:iextags:service'],
      policy: {
        standard: { memory: 128, cpus: 1, disk: 1024, disks: 1, nics: 1, spindleUse: 1 },
        ranges: [
          {
            minimum: { memory: 128, cpus: 1, disk: 1024, disks: 1, nics: 1, spindleUse: 1 },
            maximum: { memory: 128, cpus: 1, disk: 1024, disks: 1, nics: 1, spindleUse: 1 },
          },
        ],
        templates: ['drbd', 'plain'],
        vcpuRatio: 4,
        spindleRatio: 32,
      },
      groupPolicies: [
        expect.objectContaining({ vcpuRatio: 4, spindleRatio: 32 }),
        {
          standard: ours(50),
          ranges: [
            { minimum: ours(10), maximum: ours(20) },
            { minimum: ours(30), maximum: ours(40) },
          ],
          templates: ['drbd', 'plain'],
          vcpuRatio: 5,
          spindleRatio: 6,
        },
      ],
    });
  });

  it('fills in what a reply leaves out, as hbal does', () => {
    const plain = cluster({
      nodes: [
        { ...node('n1'), vm_capable: undefined },
        node('n2', { sptotal: null, ndparams: { spindle_count: 2, exclusive_storage: true } }),
      ],
      instances: [
        instance({ beparams: { vcpus: 1, auto_balance: true }, oper_ram: null, 'disk.spindles': undefined }),
      ],
    });
    expect(plain.nodes[0]).toMatchObject({ offline: false });
    expect(plain.nodes[1]).toMatchObject({ spindles: 0, freeSpindles: 0 });
    expect(plain.instances[0]).toMatchObject({ memory: 0, spindleUse: 1, forthcoming: false });
    expect(plain.instances[0]!.diskSpindles).toBeUndefined();
  });

  it('counts the memory that a running instance has, and the configured one of a stopped', () => {
    expect(cluster().instances[0]!.memory).toBe(1900);
    expect(cluster({ instances: [instance({ oper_ram: null })] }).instances[0]!.memory).toBe(2048);
  });

  it('treats a drained node as offline but keeps its resources, and takes those of a dead one as 0', () => {
    const { nodes } = cluster({
      nodes: [node('n1', { drained: true }), node('n2', { offline: true, mtotal: null })],
    });
    expect(nodes[0]).toMatchObject({ offline: true, isUp: true, master: false, totalMemory: 16384 });
    expect(nodes[1]).toMatchObject({ offline: true, totalMemory: 0, freeDisk: 0 });
    expect(nodes[1]!.isUp).toBeUndefined();
  });

  it("puts a fixed figure for the host's own memory on KVM, and never reads the CPU speed", () => {
    const info = { ...(replies().info as object), default_hypervisor: 'kvm' };
    expect(cluster({ info }).nodes[0]).toMatchObject({ nodeMemory: 4096, cpuSpeed: 1 });
    expect(
      clusterFromRapi(replies({ info }), { address: 'rapi', staticKvmNodeMemory: 0 }).nodes[0]!.nodeMemory,
    ).toBe(900);
  });

  it('takes disk figures that are not there as 0, but refuses an online node without memory figures', () => {
    const noDisk = node('n1', { dtotal: null, dfree: null });
    expect(cluster({ nodes: [noDisk, node('n2')] }).nodes[0]).toMatchObject({ totalDisk: 0, freeDisk: 0 });
    expect(() => cluster({ nodes: [node('n1', { mfree: null }), node('n2')] })).toThrow(
      'node n1 is online but reports no mfree',
    );
  });

  it.each([
    ['a reply of another kind', { nodes: { error: 'no' } }, 'its reply on nodes'],
    [
      'an instance on an unknown node',
      { instances: [instance({ pnode: 'n9' })] },
      'n9 is not in its own list',
    ],
    [
      'a name that would write to the terminal',
      { nodes: [node('n1'), node('n2\u001b[2J')] },
      'must not contain control characters',
    ],
    ['an unknown status', { instances: [instance({ status: 'dancing' })] }, 'status'],
  ])('refuses %s in one sentence', (_case, more, words) => {
    expect(() => cluster(more)).toThrow(words);
  });
});

describe('the remote API itself', () => {
  let server: Server | undefined;
  afterEach(async () => {
    await new Promise((closed) => (server === undefined ? closed(undefined) : server.close(closed)));
    server = undefined;
  });
  const listen = async (answer: (path: string) => unknown): Promise<string> => {
    server = createServer((request, response) => {
      const body = answer(request.url ?? '');
      response.writeHead(typeof body === 'number' ? body : 200);
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
    await new Promise<void>((listening) => server!.listen(0, '127.0.0.1', listening));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  it('is asked four questions', async () => {
    const asked: string[] = [];
    const all = replies();
    const url = await listen((path) => {
      asked.push(path);
      if (path.startsWith('/2/groups')) return all.groups;
      if (path.startsWith('/2/nodes')) return all.nodes;
      return path.startsWith('/2/instances') ? all.instances : all.info;
    });
    expect(await readRapiCluster(url, 4096)).toEqual(cluster());
    expect(asked.sort()).toEqual(['/2/groups?bulk=1', '/2/info', '/2/instances?bulk=1', '/2/nodes?bulk=1']);
  });

  it.each([
    ['refuses', () => 401, 'refuses the user or the password'],
    ['talks of something else', () => '<html>', 'not JSON'],
  ])('makes one sentence, without the password, when it %s', async (_case, answer, words) => {
    const url = (await listen(answer)).replace('http://', 'http://admin:topsecret@');
    const failure = await readRapiCluster(url, 4096).catch((error: unknown) => String(error));
    expect(failure).toContain(words);
    expect(failure).not.toContain('topsecret');
  });
});
