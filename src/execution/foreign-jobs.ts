import type { PlanMove } from '../domain/plan.js';
import { hasEnded, type JobState } from '../ganeti/job-state.js';
import { tokenOf } from './job-comment.js';
import type { LiveCluster } from './live-cluster.js';
import type { PlanRun } from './plan-run.js';

/** Opcodes that change where an instance is, what it needs there, or whether it is there at all. */
const CHANGES_INSTANCE =
  /^OP_INSTANCE_(?:MIGRATE|FAILOVER|MOVE|REPLACE_DISKS|RECREATE_DISKS|GROW_DISK|SET_PARAMS|CHANGE_GROUP|RENAME|REMOVE|STARTUP|SHUTDOWN)$/;

/** Somebody else's job that is under way. */
interface ForeignJob {
  id: number;
  instances: string[];
  nodes: string[];
}

/** Jobs of somebody else: another balancer ends the execution, anything else holds back what it touches. */
export class ForeignJobs {
  readonly #run: PlanRun;
  readonly #cluster: LiveCluster;
  #open: ForeignJob[] = [];
  readonly #toldHolds = new Set<string>();

  constructor(run: PlanRun, cluster: LiveCluster) {
    this.#run = run;
    this.#cluster = cluster;
  }

  /** Numbers of those that are under way. */
  get open(): number[] {
    return this.#open.map(({ id }) => id);
  }

  /** Jobs of the queue at the beginning: those that are under way. */
  begin(jobs: readonly JobState[]): void {
    this.#open = jobs.filter((job) => !hasEnded(job)).map(foreignJob);
  }

  /** A look at the queue, with the number of the newest job at the last one. */
  async see(jobs: readonly JobState[], newestBefore: number): Promise<void> {
    const run = this.#run;
    const before = new Set(this.open);
    const theirs = jobs.filter(({ id }) => !run.ownJobs.has(id));
    this.#open = theirs.filter((job) => !hasEnded(job)).map(foreignJob);
    for (const job of theirs) {
      if (!hasEnded(job)) {
        if (isOfBalancer(job)) await run.stop(balancerAtWork(job));
      } else if (before.has(job.id) || job.id > newestBefore) await this.#seeEnd(job);
    }
  }

  /** A job that ended since the last look, and may have begun after it. */
  async #seeEnd(job: JobState): Promise<void> {
    if (job.status !== 'success') return;
    const run = this.#run;
    const ours = new Set(
      [...run.pending, ...[...run.flights].map(({ move }) => move)].map((m) => m.instance),
    );
    const changed = job.opcodes.find(
      ({ opId, instance }) => instance !== undefined && ours.has(instance) && CHANGES_INSTANCE.test(opId),
    );
    if (changed !== undefined)
      await run.unforeseen(`somebody else's job ${job.id} changed ${changed.instance} meanwhile`);
  }

  /** Number of the job that works on a move's instance or nodes. */
  holderOf({ instance, letters }: PlanMove, nodes: readonly string[]): number | undefined {
    const job = this.#open.find(
      (each) =>
        each.instances.includes(instance) ||
        each.nodes.some((node) => nodes.includes(node)) ||
        each.instances.some((other) => {
          const place = this.#cluster.last?.placementOf(other);
          return (
            place !== undefined && [place.primary, place.secondary].some((node) => nodes.includes(node ?? ''))
          );
        }),
    );
    if (job !== undefined && !this.#toldHolds.has(`${instance} ${job.id}`)) {
      this.#toldHolds.add(`${instance} ${job.id}`);
      this.#run.tell({ event: 'hold', instance, letters, job: job.id });
    }
    return job?.id;
  }
}

const foreignJob = (job: JobState): ForeignJob => ({
  id: job.id,
  instances: instancesOf(job),
  nodes: job.opcodes.flatMap(({ nodes }) => nodes),
});

const instancesOf = ({ opcodes }: JobState): string[] => opcodes.flatMap(({ instance }) => instance ?? []);

const isOfBalancer = (job: JobState): boolean =>
  tokenOf(job) !== undefined ||
  job.opcodes.some(
    ({ askedBy, comment }) => askedBy === 'hbal' || comment?.startsWith('rebalancing via hbal') === true,
  );

function balancerAtWork(job: JobState): string {
  const instances = instancesOf(job);
  const on = instances.length === 0 ? '' : ` on ${instances.join(', ')}`;
  return `another balancer is at work (job ${job.id}${on}); wait for its end`;
}
