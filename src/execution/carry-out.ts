import type { Plan } from '../domain/plan.js';
import { wallClock, type Clock } from '../ganeti/clock.js';
import type { RapiClient } from '../ganeti/rapi-client.js';
import type { Store } from '../store/store.js';
import { AuditLog, type AuditSink } from './audit-log.js';
import { lockCluster } from './cluster-lock.js';
import type { ExecutionReport, ExecutionSettings } from './execution-settings.js';
import { Execution } from './execution.js';
import { FinishedMoves } from './finished-moves.js';

export interface CarryOutOptions extends ExecutionSettings {
  /** The audit log of this cluster, which is the journal too: see `AuditLog`. */
  auditPath: string;
  /** One execution at a time holds it: see `lockCluster`. */
  lockPath: string;
  /** Finished moves are stored here; undefined: nowhere. */
  store?: Store | undefined;
  /** As `collect --cluster` names the cluster: it is a part of the records' ids. */
  cluster?: string | undefined;
  clock?: Clock;
  openAuditSink?: (path: string) => Promise<AuditSink>;
}

/**
 * Carries a plan out on a live cluster: the entry point of this room.
 *
 * Before each move starts, the cluster is asked for anew and the balancer's own checks are made on what it is then.
 * Every submission stands in the audit log, safe on the disk, before it is sent. What does not go as planned leads to a
 * new plan (`replan`) or to an end in a safe state; the report says which in one sentence. `stop` lets what runs finish.
 *
 * @param plan made on the present state of the cluster, with full names
 * @param client of a user with the right to write; construct it with the signal that is `leave` here
 * @throws UserError before the first change: another execution is under way, the audit log cannot be written, the
 *   master does not answer
 */
export async function carryOut(
  plan: Plan,
  client: RapiClient,
  options: CarryOutOptions,
): Promise<ExecutionReport> {
  const { auditPath, lockPath, store, cluster, clock = wallClock, openAuditSink, ...settings } = options;
  const unlock = lockCluster(lockPath);
  try {
    const now = (): number => clock.now();
    const { log, left } = await AuditLog.open(auditPath, {
      now,
      ...(openAuditSink === undefined ? {} : { openSink: openAuditSink }),
    });
    try {
      const finished = new FinishedMoves({ store, address: client.address, cluster, now });
      return await new Execution(plan, client, { settings, clock, audit: log, finished }).run(left);
    } finally {
      await log.close();
    }
  } finally {
    unlock();
  }
}
