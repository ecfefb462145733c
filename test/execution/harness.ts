import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
import type { ExecutionReport, ReplanRequest } from '../../src/execution/execution.js';
import { RapiClient } from '../../src/ganeti/rapi-client.js';
import type { FakeCluster, FakeJob } from '../ganeti/fake-cluster.js';
import { FakeRapi, WRITER } from '../ganeti/fake-rapi.js';

/** As long as the fake's jobs take. */
const COSTS = new ConstantMoveCosts({
  live_migration: { fixed_seconds: 4, mib_per_second: 200 },
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

  /** Jobs that changed something, as `web1 migrate`, and how often. */
  made(): Map<string, number> {
    const counts = new Map<string, number>();
    const plansMs = this.events.flatMap((event) => (event.event === 'plan' ? [Date.parse(event.at)] : []));
    for (const { status, input, receivedMs } of this.cluster.jobs) {
      if (status !== 'success' || !String(input['comment']).startsWith('movecast ')) continue;
      // A later plan may well move an instance back.
      const plan = plansMs.filter((atMs) => atMs <= receivedMs).length;
      const key = `plan ${plan}: ${input.instance_name} ${String(input['comment']).replace(/^.*?: /, '')}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return counts;
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
