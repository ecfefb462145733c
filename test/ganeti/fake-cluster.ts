import { SimulatedClock } from './simulated-clock.js';

/**
 * A small model of a Ganeti cluster with its job queue, on a simulated clock: locks, dependencies, checks before a job
 * and what it changes after it, in Ganeti's words. Memory and disk in MiB.
 */

export interface FakeNode {
  name: string;
  memory: number;
  disk: number;
  cpus: number;
  offline: boolean;
  drained: boolean;
  tags: string[];
}

export interface FakeInstance {
  name: string;
  memory: number;
  disk: number;
  vcpus: number;
  template: 'drbd' | 'sharedfile' | 'plain';
  primary: string;
  secondary: string | undefined;
  isUp: boolean;
  autoBalance: boolean;
  tags: string[];
}

export type FakeStatus = 'queued' | 'waiting' | 'running' | 'canceled' | 'success' | 'error';

export interface FakeJob {
  id: number;
  input: Record<string, unknown> & { OP_ID: string; instance_name: string };
  status: FakeStatus;
  receivedMs: number;
  startMs: number | undefined;
  execMs: number | undefined;
  endMs: number | undefined;
  log: [number, [number, number], string, string][];
  result: unknown;
  /** Nodes and instance that are locked while it runs. */
  locks: string[];
  isVanished: boolean;
}

/** What becomes of a job once it has its locks. */
export type FakeOutcome =
  | { kind: 'success'; seconds: number }
  /** Fails on the way, after so many seconds; the instance stays where it was. */
  | { kind: 'failure'; seconds: number }
  /** Never ends. */
  | { kind: 'hang' }
  /** Disappears from the queue when it begins, without having done anything. */
  | { kind: 'vanish' };

const ENDED = new Set<FakeStatus>(['success', 'error', 'canceled']);
const MOST_RUNNING = 20;
const NODE_SYSTEM_MEMORY = 512;
/** A job needs its process started before it asks for its locks. */
const START_SECONDS = 0.2;

const pair = (ms: number): [number, number] => [Math.floor(ms / 1000), Math.round((ms % 1000) * 1000)];

export class FakeCluster {
  readonly clock: SimulatedClock;
  name = 'cluster.example.org';
  uuid = '5f0b2d64-0000-4000-8000-000000000001';
  master: string;
  nodes: FakeNode[];
  instances: FakeInstance[];
  tags: string[] = [];
  queueIsDrained = false;
  readonly jobs: FakeJob[] = [];
  /** Decides about a job when it gets its locks. */
  outcomeOf: (job: FakeJob) => FakeOutcome = (job) => ({ kind: 'success', seconds: this.usualSeconds(job) });
  /** Called after every change of a job or of the cluster; with the job, where it was its work that took effect. */
  onChange: (by?: FakeJob) => void = () => undefined;
  #nextId = 100;

  constructor(clock: SimulatedClock, nodes: FakeNode[], instances: FakeInstance[]) {
    this.clock = clock;
    this.nodes = nodes;
    this.instances = instances;
    this.master = nodes[0]!.name;
  }

  node(name: string): FakeNode | undefined {
    return this.nodes.find((node) => node.name === name);
  }

  instance(name: string): FakeInstance | undefined {
    return this.instances.find((instance) => instance.name === name);
  }

  job(id: number): FakeJob | undefined {
    return this.jobs.find((job) => job.id === id && !job.isVanished);
  }

  /** 4 s and the RAM at 200 MiB/s, or 10 s and the disk at 60 MiB/s. */
  usualSeconds(job: FakeJob): number {
    const { memory = 0, disk = 0 } = this.instance(job.input.instance_name) ?? {};
    return job.input.OP_ID === 'OP_INSTANCE_REPLACE_DISKS' ? 10 + disk / 60 : 4 + memory / 200;
  }

  /** Takes a job into the queue. `depends`: numbers of jobs that must end in success before. */
  submit(input: FakeJob['input']): number {
    const job: FakeJob = {
      id: this.#nextId++,
      input: { debug_level: 0, priority: 0, depends: null, comment: null, ...input },
      status: 'queued',
      receivedMs: this.clock.now(),
      startMs: undefined,
      execMs: undefined,
      endMs: undefined,
      log: [],
      result: null,
      locks: [],
      isVanished: false,
    };
    this.jobs.push(job);
    this.clock.at(this.clock.now() + START_SECONDS * 1000, () => this.schedule());
    return job.id;
  }

  /** `[could it be cancelled, words]` */
  cancel(id: number): [boolean, string] {
    const job = this.job(id);
    if (job === undefined) return [false, `Job ${id} not found`];
    if (job.status !== 'queued' && job.status !== 'waiting')
      return [false, `Job ${id} is no longer waiting in the queue`];
    this.#end(job, 'canceled', 'Job canceled by request');
    return [true, `Job ${id} canceled`];
  }

  /** Another node is master: what ran there is marked as failed, what waited goes on. */
  failOver(to: string): void {
    this.master = to;
    for (const job of this.jobs)
      if (job.status === 'running')
        this.#end(job, 'error', ['OpExecError', ['Unclean master daemon shutdown']]);
    this.schedule();
  }

  /** Starts every job whose dependencies and locks allow it, in the queue's order. */
  schedule(): void {
    for (const job of this.jobs) {
      if (job.isVanished || (job.status !== 'queued' && job.status !== 'waiting')) continue;
      const running = this.jobs.filter((other) => other.status === 'running' && !other.isVanished);
      if (running.length >= MOST_RUNNING) break;
      const state = this.#dependencies(job);
      if (state === 'wait') continue;
      if (job.status === 'queued') {
        job.status = 'waiting';
        job.startMs = this.clock.now();
      }
      if (state === 'broken') {
        this.#end(job, 'error', ['OpExecError', ['Dependency failed']]);
        continue;
      }
      const locks = this.#locksOf(job);
      if (running.some((other) => other.locks.some((lock) => locks.includes(lock)))) continue;
      this.#begin(job, locks);
    }
    this.onChange();
  }

  #dependencies(job: FakeJob): 'ready' | 'wait' | 'broken' {
    const depends = (job.input['depends'] ?? []) as [number, string[]][];
    let state: 'ready' | 'wait' = 'ready';
    for (const [id, wanted] of depends) {
      const other = this.job(id);
      if (other === undefined) return 'broken';
      if (!ENDED.has(other.status)) state = 'wait';
      else if (!wanted.includes(other.status)) return 'broken';
    }
    return state;
  }

  #locksOf({ input }: FakeJob): string[] {
    const instance = this.instance(input.instance_name);
    const nodes = [instance?.primary, instance?.secondary, input['target_node'], input['remote_node']];
    return [`instance ${input.instance_name}`, ...nodes.filter((name) => typeof name === 'string')];
  }

  #begin(job: FakeJob, locks: string[]): void {
    const refusal = this.#refusalOf(job);
    job.execMs = this.clock.now();
    if (refusal !== undefined) return this.#end(job, 'error', ['OpPrereqError', [refusal, 'wrong_state']]);
    job.status = 'running';
    job.locks = locks;
    this.#log(job, 'begin');
    const outcome = this.outcomeOf(job);
    switch (outcome.kind) {
      case 'hang':
        return;
      case 'vanish':
        job.isVanished = true;
        return;
      case 'failure':
        this.clock.at(this.clock.now() + outcome.seconds * 1000, () => {
          if (job.status !== 'running') return;
          this.#say(job, 'Migration failed, aborting');
          this.#end(job, 'error', ['OpExecError', ['Could not migrate instance: broken pipe']]);
          this.schedule();
        });
        return;
      case 'success':
        this.clock.at(this.clock.now() + outcome.seconds * 1000, () => {
          if (job.status !== 'running') return;
          this.#log(job, 'end');
          this.#apply(job);
          this.#end(job, 'success', null);
          this.schedule();
        });
    }
  }

  #end(job: FakeJob, status: FakeStatus, result: unknown): void {
    job.status = status;
    job.result = result;
    job.endMs = this.clock.now();
    job.locks = [];
    this.onChange();
  }

  /** What Ganeti itself finds wrong before it begins. */
  #refusalOf({ input }: FakeJob): string | undefined {
    const instance = this.instance(input.instance_name);
    if (instance === undefined) return `Instance '${input.instance_name}' not known`;
    const isReplace = input.OP_ID === 'OP_INSTANCE_REPLACE_DISKS';
    if (isReplace && instance.template !== 'drbd')
      return 'Can only run replace disks for DRBD8-based instances';
    const target = this.#targetOf(input, instance);
    const node = target === undefined ? undefined : this.node(target);
    if (node === undefined) return `Node '${String(target)}' not known`;
    if (node.name === instance.primary) return 'Cannot migrate to the primary node';
    if (isReplace && node.name === instance.secondary)
      return 'The specified node is already the secondary node';
    if (node.offline) return `Can't use offline node ${node.name}`;
    if (node.drained) return `Can't use drained node ${node.name}`;
    if (input.OP_ID === 'OP_INSTANCE_MIGRATE' && !instance.isUp)
      return `Can't migrate, please use failover: Instance ${instance.name} is not running`;
    if (isReplace) {
      if (this.freeDisk(node.name) < instance.disk)
        return `Not enough disk space on target node ${node.name}`;
    } else if (instance.isUp && this.freeMemory(node.name) < instance.memory)
      return `Can't migrate: not enough memory on node ${node.name}`;
    return undefined;
  }

  #targetOf(input: FakeJob['input'], instance: FakeInstance): string | undefined {
    if (input.OP_ID === 'OP_INSTANCE_REPLACE_DISKS') return input['remote_node'] as string | undefined;
    if (instance.template === 'drbd') return instance.secondary;
    return input['target_node'] as string | undefined;
  }

  #apply(job: FakeJob): void {
    const { input } = job;
    const instance = this.instance(input.instance_name);
    if (instance === undefined) return;
    const target = this.#targetOf(input, instance);
    if (target === undefined) return;
    if (input.OP_ID === 'OP_INSTANCE_REPLACE_DISKS') instance.secondary = target;
    else {
      if (instance.template === 'drbd') instance.secondary = instance.primary;
      instance.primary = target;
    }
    this.onChange(job);
  }

  #say(job: FakeJob, text: string): void {
    job.log.push([job.log.length + 1, pair(this.clock.now()), 'message', text]);
  }

  #log(job: FakeJob, part: 'begin' | 'end'): void {
    const instance = this.instance(job.input.instance_name);
    if (instance === undefined) return; // renamed meanwhile
    const target = this.#targetOf(job.input, instance)!;
    const lines: Record<string, { begin: string[]; end: string[] }> = {
      OP_INSTANCE_REPLACE_DISKS: {
        begin: [
          `Replacing disk(s) 0 for instance '${instance.name}'`,
          `Current primary node: ${instance.primary}`,
          `Current secondary node: ${instance.secondary}`,
          'STEP 1/6 Check device existence',
          'STEP 5/6 Sync devices',
        ],
        end: [` - INFO: Instance ${instance.name}'s disks are in sync`, 'STEP 6/6 Removing old storage'],
      },
      migrate: {
        begin: [
          `Migrating instance ${instance.name}`,
          '* checking disk consistency between source and target',
          `* opening instance disks on node ${instance.primary} in shared mode`,
          `* preparing ${target} to accept the instance`,
          `* migrating instance to ${target}`,
          '* starting memory transfer',
        ],
        end: ['* memory transfer complete', '* done'],
      },
      failover: {
        begin: [
          `Failover instance ${instance.name}`,
          '* shutting down instance on source node',
          `* closing instance disks on node ${instance.primary}`,
        ],
        end: [`* starting the instance on the target node ${target}`],
      },
    };
    const isFailover = job.input.OP_ID === 'OP_INSTANCE_FAILOVER' || !instance.isUp;
    const kind =
      job.input.OP_ID === 'OP_INSTANCE_REPLACE_DISKS' ? job.input.OP_ID : isFailover ? 'failover' : 'migrate';
    for (const text of lines[kind]![part]) this.#say(job, text);
  }

  /** Memory that is not taken: by the host, by what runs there, by what is on its way there. */
  freeMemory(name: string): number {
    let free = this.node(name)!.memory - NODE_SYSTEM_MEMORY;
    for (const instance of this.instances) {
      if (!instance.isUp) continue;
      if (instance.primary === name) free -= instance.memory;
      else if (this.#comesTo(instance, name, false)) free -= instance.memory;
    }
    return free;
  }

  freeDisk(name: string): number {
    let free = this.node(name)!.disk;
    for (const instance of this.instances) {
      if (instance.template === 'sharedfile') continue;
      if (instance.primary === name || instance.secondary === name) free -= instance.disk;
      else if (this.#comesTo(instance, name, true)) free -= instance.disk;
    }
    return free;
  }

  #comesTo(instance: FakeInstance, node: string, disks: boolean): boolean {
    return this.jobs.some(
      (job) =>
        job.status === 'running' &&
        !job.isVanished &&
        job.input.instance_name === instance.name &&
        (job.input.OP_ID === 'OP_INSTANCE_REPLACE_DISKS') === disks &&
        this.#targetOf(job.input, instance) === node,
    );
  }

  /**
   * Rules that are broken now, each as a sentence that stays the same while it is: memory, disk, exclusion tags, and
   * (unless a move of several jobs is half done) the memory that the death of one other node would need.
   */
  brokenRules(): string[] {
    const broken: string[] = [];
    const prefixes = this.tags
      .filter((tag) => tag.startsWith('htools:iextags:'))
      .map((tag) => tag.slice('htools:iextags:'.length));
    for (const node of this.nodes) {
      if (this.freeMemory(node.name) <= 0) broken.push(`${node.name} has no memory left`);
      if (this.freeDisk(node.name) <= 0) broken.push(`${node.name} has no disk left`);
      const here = this.instances.filter(({ primary }) => primary === node.name);
      const seen = new Set<string>();
      for (const instance of here)
        for (const tag of instance.tags.filter((each) =>
          prefixes.some((prefix) => each.startsWith(prefix)),
        )) {
          if (seen.has(tag)) broken.push(`${node.name} has two primaries with tag ${tag}`);
          seen.add(tag);
        }
    }
    return broken;
  }

  /** Nodes that could not start what another one's death would leave to them. O(nodes × instances). */
  failingN1(): string[] {
    return this.nodes
      .filter(({ name, offline, drained }) => {
        if (offline || drained) return false;
        const needs = new Map<string, number>();
        for (const instance of this.instances)
          if (instance.secondary === name && instance.autoBalance)
            needs.set(instance.primary, (needs.get(instance.primary) ?? 0) + instance.memory);
        return this.freeMemory(name) <= Math.max(0, ...needs.values());
      })
      .map(({ name }) => name);
  }

  /** `instance` → `primary:secondary`. */
  placement(): Record<string, string> {
    return Object.fromEntries(
      this.instances.map(({ name, primary, secondary }) => [
        name,
        secondary === undefined ? primary : `${primary}:${secondary}`,
      ]),
    );
  }

  // The remote API's replies.

  jobReply(job: FakeJob, isWhole: boolean): Record<string, unknown> {
    const time = (ms: number | undefined): [number, number] | null => (ms === undefined ? null : pair(ms));
    const short = job.input.OP_ID.replace(/^OP_/, '');
    return {
      id: job.id,
      ops: [job.input],
      status: job.status,
      summary: [`${short}(${job.input.instance_name})`],
      opstatus: [job.status],
      received_ts: time(job.receivedMs),
      start_ts: time(job.startMs),
      end_ts: time(job.endMs),
      ...(isWhole ? { oplog: [job.log], opresult: [job.result] } : {}),
    };
  }

  /** Cells of `/2/query/job`. */
  queryRow(job: FakeJob): Record<string, unknown> {
    const time = (ms: number | undefined): [number, number] | null => (ms === undefined ? null : pair(ms));
    return {
      ...this.jobReply(job, true),
      opstart: [time(job.startMs)],
      opexec: [time(job.execMs)],
      opend: [time(job.endMs)],
      archived: false,
    };
  }

  infoReply(): Record<string, unknown> {
    return {
      name: this.name,
      uuid: this.uuid,
      master: this.master,
      software_version: '3.0.2',
      tags: this.tags,
      ipolicy: POLICY,
      default_hypervisor: 'fake',
    };
  }

  groupsReply(): unknown[] {
    return [{ name: 'default', uuid: 'group-1', alloc_policy: 'preferred', ipolicy: POLICY, tags: [] }];
  }

  nodesReply(): unknown[] {
    return this.nodes.map((node) => {
      const figure = <T>(value: T): T | null => (node.offline ? null : value);
      return {
        name: node.name,
        offline: node.offline,
        drained: node.drained,
        vm_capable: true,
        'group.uuid': 'group-1',
        mtotal: figure(node.memory),
        mnode: figure(NODE_SYSTEM_MEMORY),
        mfree: figure(Math.max(0, this.freeMemory(node.name))),
        dtotal: figure(node.disk),
        dfree: figure(Math.max(0, this.freeDisk(node.name))),
        ctotal: figure(node.cpus),
        cnos: figure(1),
        sptotal: null,
        spfree: null,
        ndparams: { spindle_count: 1, exclusive_storage: false },
        role: node.name === this.master ? 'M' : 'R',
        tags: node.tags,
      };
    });
  }

  instancesReply(): unknown[] {
    return this.instances.map((instance) => {
      const isAway = this.node(instance.primary)?.offline === true;
      return {
        name: instance.name,
        admin_state: instance.isUp ? 'up' : 'down',
        status: !instance.isUp ? 'ADMIN_down' : isAway ? 'ERROR_nodeoffline' : 'running',
        pnode: instance.primary,
        snodes: instance.secondary === undefined ? [] : [instance.secondary],
        disk_template: instance.template,
        disk_usage: instance.disk,
        'disk.sizes': [instance.disk],
        'disk.spindles': [null],
        beparams: {
          memory: instance.memory,
          maxmem: instance.memory,
          minmem: instance.memory,
          vcpus: instance.vcpus,
          auto_balance: instance.autoBalance,
          spindle_use: 1,
        },
        oper_ram: instance.isUp && !isAway ? instance.memory : null,
        tags: instance.tags,
      };
    });
  }
}

const SPEC = {
  'memory-size': 1,
  'cpu-count': 1,
  'disk-size': 0,
  'disk-count': 0,
  'nic-count': 0,
  'spindle-use': 0,
};
const POLICY = {
  minmax: [{ min: SPEC, max: { ...SPEC, 'memory-size': 1 << 20, 'disk-size': 1 << 30 } }],
  std: SPEC,
  'disk-templates': ['drbd', 'sharedfile', 'plain', 'diskless'],
  'vcpu-ratio': 64,
  'spindle-ratio': 1024,
};
