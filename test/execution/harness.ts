import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { blindSearch } from '../../src/balancer/blind-search.js';
import { ConstantMoveCosts } from '../../src/balancer/constant-move-costs.js';
import { GroupModel } from '../../src/balancer/group-model.js';
import type { MoveCosts } from '../../src/balancer/move-costs.js';
import { buildPlan } from '../../src/balancer/plan-builder.js';
import { clusterFromRapi } from '../../src/balancer/rapi-cluster.js';
import { defaultSearchOptions } from '../../src/balancer/search-options.js';
import type { Cluster } from '../../src/balancer/cluster.js';
import type { Plan } from '../../src/domain/plan.js';
import type { AuditEntry } from '../../src/execution/audit-log.js';
import { carryOut, type CarryOutOptions } from '../../src/execution/carry-out.js';
import type { ExecutionEvent } from '../../src/execution/execution-events.js';
import type { ExecutionReport, ReplanRequest } from '../../src/execution/execution-settings.js';
import { RapiClient } from '../../src/ganeti/rapi-client.js';
import type { FakeCluster, FakeJob } from '../ganeti/fake-cluster.js';
import { FakeRapi, WRITER, type FakeRequest } from '../ganeti/fake-rapi.js';
import { crookedCluster } from '../ganeti/small-cluster.js';

/** As long as the fake's jobs take. */
const COSTS = new ConstantMoveCosts({
  live_migration: { fixed_seconds: 4, mib_per_second: 200 },
  failover: { fixed_seconds: 4, mib_per_second: 200 },
  disk_replication: { fixed_seconds: 10, mib_per_second: 60 },
});

const modelOf = (cluster: Cluster): GroupModel => new GroupModel(cluster, { group: 0 });

/** An execution on a cluster of this size that asks more often goes round in circles. */
const MOST_REQUESTS = 8000;

/** A fake cluster, its remote API, and an execution on it. */
export class Harness {
  readonly cluster: FakeCluster;
  readonly server: FakeRapi;
  readonly folder: string;
  readonly auditPath: string;
  readonly events: ExecutionEvent[] = [];
  readonly stop = new AbortController();
  readonly leave = new AbortController();
  /** Rules that were broken at some moment which were not at the beginning, nor by the work of somebody else's job. */
  readonly broken = new Set<string>();

  private constructor(cluster: FakeCluster, server = new FakeRapi(cluster), folder?: string) {
    this.cluster = cluster;
    this.server = server;
    this.folder = folder ?? mkdtempSync(join(tmpdir(), 'movecast-execution-'));
    this.auditPath = join(this.folder, 'audit.jsonl');
    const before = new Set(this.#rules());
    const isForeign = ({ input }: FakeJob): boolean => !String(input['comment']).startsWith('movecast ');
    cluster.onChange = (by) => {
      const isTheirs = [by, ...cluster.jobs.filter(({ status }) => status === 'running')].some(
        (job) => job !== undefined && isForeign(job),
      );
      for (const rule of this.#rules()) if (!before.has(rule)) (isTheirs ? before : this.broken).add(rule);
    };
    writeFileSync(join(this.folder, 'credentials'), WRITER, { mode: 0o600 });
  }

  static async of(cluster: FakeCluster): Promise<Harness> {
    const harness = new Harness(cluster);
    await harness.server.start();
    return harness;
  }

  /** Broken rules; N+1 only while no move is half done. */
  #rules(): string[] {
    const { cluster } = this;
    // A move whose middle job failed rests between two placements, which Ganeti allows and N+1 may not.
    const isWhole = cluster.jobs.every(({ status, isVanished }) => !isVanished && status === 'success');
    return [
      ...cluster.brokenRules(),
      ...(isWhole ? cluster.failingN1().map((node) => `${node} fails N+1`) : []),
    ];
  }

  /** Jobs of ours of which the audit log does not know the intent. */
  unnotedJobs(): number[] {
    const intents = new Set(this.audit().flatMap((entry) => (entry.event === 'intent' ? [entry.token] : [])));
    return this.cluster.jobs
      .filter(({ input }) => {
        const token = /^movecast (\S+):/.exec(String(input['comment']))?.[1];
        return token !== undefined && !intents.has(token);
      })
      .map(({ id }) => id);
  }

  /** The next process on the same machine and cluster. */
  afterwards(): Harness {
    return new Harness(this.cluster, this.server, this.folder);
  }

  /** Tokens that the audit log leaves open. */
  openIntents(): string[] {
    const open = new Set<string>();
    for (const entry of this.audit()) {
      if (entry.event === 'intent') open.add(entry.token);
      if (entry.event === 'ended' || entry.event === 'not-submitted') open.delete(entry.token);
    }
    return [...open];
  }

  async close(): Promise<void> {
    await this.server.stop();
    rmSync(this.folder, { recursive: true });
  }

  /** The plan for the cluster as it is: hbal's moves, for they are found at once. */
  async plan(
    start = this.model(),
    excluded: ReadonlySet<string> = new Set(),
    costs: MoveCosts = COSTS,
  ): Promise<Plan> {
    const { steps } = blindSearch(start.copy(), { ...defaultSearchOptions, excluded });
    const moves = steps.map(({ move }) => move);
    return (await buildPlan(start, moves, costs)).document;
  }

  model(): GroupModel {
    const { cluster } = this;
    return modelOf(
      clusterFromRapi(
        {
          groups: cluster.groupsReply(),
          nodes: cluster.nodesReply(),
          instances: cluster.instancesReply(),
          info: cluster.infoReply(),
        },
        { address: 'fake' },
      ),
    );
  }

  readonly replan = ({ start, excluded }: ReplanRequest): Promise<Plan> => this.plan(start, excluded);

  async run(
    plan: Plan,
    options: Partial<CarryOutOptions> = {},
    { address = this.server.url, ...trust }: { address?: string; pinSha256?: string } = {},
  ): Promise<ExecutionReport> {
    const { clock } = this.cluster;
    const client = new RapiClient(address, {
      ...trust,
      clock,
      credentialsFile: join(this.folder, 'credentials'),
      signal: this.leave.signal,
    });
    try {
      return await carryOut(plan, client, {
        modelOf,
        auditPath: this.auditPath,
        lockPath: join(this.folder, 'lock'),
        clock,
        replan: this.replan,
        stop: this.stop.signal,
        leave: this.leave.signal,
        onEvent: (event) => this.events.push(event),
        onProgress: () => {
          if (this.server.asked.length > MOST_REQUESTS)
            throw new Error(`no end: ${JSON.stringify(this.events.slice(-5))}`);
        },
        ...options,
      });
    } finally {
      client.close();
    }
  }

  audit(): AuditEntry[] {
    if (!existsSync(this.auditPath)) return [];
    return readFileSync(this.auditPath, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .flatMap((line) => {
        try {
          return [JSON.parse(line) as AuditEntry];
        } catch {
          return []; // cut off
        }
      });
  }

  /**
   * What was done twice: one step of one move of one plan by two jobs, or an instance given to a second move before its
   * first one ended. That a plan moves an instance there and back, or a later plan moves it again, is none.
   */
  repeated(): string[] {
    const moveOf = new Map<string, string>();
    for (const entry of this.audit())
      if (entry.event === 'intent') moveOf.set(entry.token, `${entry.execution}, ${entry.why}`);
    const made = this.cluster.jobs.flatMap((job) => {
      const [, token = '', step = ''] =
        /^movecast (\S+): .*(step \d+)/.exec(String(job.input['comment'])) ?? [];
      const move = moveOf.get(token);
      return job.status === 'success' && move !== undefined ? [{ job, move, step }] : [];
    });
    return made.flatMap(({ job, move, step }, n) =>
      made.slice(0, n).flatMap((before) => {
        if (before.move === move)
          return before.step === step ? [`${move}, ${step}: jobs ${before.job.id} and ${job.id}`] : [];
        const isBeside =
          before.job.input.instance_name === job.input.instance_name && job.receivedMs < before.job.endMs!;
        return isBeside ? [`${job.input.instance_name}: job ${job.id} beside ${before.job.id}`] : [];
      }),
    );
  }

  /** Moves that were begun when their plan was over, or before a move ended that they had to wait for. */
  outOfOrder(): string[] {
    const [begin] = this.told('begin') as { execution: string }[];
    const plans = this.events.flatMap((event) => (event.event === 'plan' ? [event.plan] : []));
    const wrong: string[] = [];
    const ended = new Set<string>();
    const lastSteps = new Map<string, string>();
    let present = 0;
    for (const entry of this.audit()) {
      if (entry.execution !== begin?.execution) continue;
      if (entry.event === 'plan') present++;
      else if (entry.event === 'ended' && entry.status === 'success')
        ended.add(lastSteps.get(entry.token) ?? '');
      else if (entry.event === 'intent') {
        const { token, why, step, steps } = entry;
        if (step === steps - 1) lastSteps.set(token, why);
        if (step > 0) continue;
        const [move, plan] = why.match(/\d+/g)!.map(Number);
        if (plan !== present) wrong.push(`${why} began in plan ${present}`);
        for (const index of plans[plan! - 1]!.moves[move!]!.after)
          if (!ended.has(`move ${index} of plan ${plan}`))
            wrong.push(`${why} did not wait for move ${index}`);
      }
    }
    return wrong;
  }

  /** The plan that was carried out last. */
  lastPlan(): Plan {
    const plans = this.events.flatMap((event) => (event.event === 'plan' ? [event.plan] : []));
    return plans.at(-1)!;
  }

  told(event: ExecutionEvent['event']): ExecutionEvent[] {
    return this.events.filter((each) => each.event === event);
  }
}

/** Where a plan ends, as the fake tells placements. */
export function endOf(cluster: FakeCluster, plan: Plan): Record<string, string> {
  const placement = cluster.placement();
  for (const { instance, to } of plan.moves)
    placement[instance] = to.secondary === undefined ? to.primary : `${to.primary}:${to.secondary}`;
  return placement;
}

/** Gives a file's tests their harnesses; each is closed after its test, however that ended. */
export function harnesses(): (cluster?: FakeCluster) => Promise<Harness> {
  const open: Harness[] = [];
  afterEach(async () => {
    for (const harness of open.splice(0)) await harness.close();
  });
  return async (cluster = crookedCluster()) => {
    const harness = await Harness.of(cluster);
    open.push(harness);
    return harness;
  };
}

export const isSubmission = ({ method, path }: FakeRequest): boolean =>
  method !== 'GET' && /\/(migrate|failover|replace-disks)$/.test(path);
