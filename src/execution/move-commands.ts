import type { Operation } from '../domain/move-record.js';
import type { PlanMove } from '../domain/plan.js';
import type { GanetiCommand } from '../ganeti/rapi-client.js';

/**
 * The Ganeti commands of a move, one a step, in their order. An instance that does not run is failed over instead of
 * migrated; one that runs is never shut down for it.
 */
export function commandsOf(
  { instance, letters }: Pick<PlanMove, 'instance' | 'letters'>,
  isRunning: boolean,
): GanetiCommand[] {
  const kind = isRunning ? 'migrate' : 'failover';
  return letters.split(' ').map((word) => {
    const node = word.slice(word.indexOf(':') + 1);
    if (word === 'f') return { kind, instance };
    if (word.startsWith('fa:')) return { kind, instance, targetNode: node };
    if (word.startsWith('r:')) return { kind: 'replace-disks', instance, newSecondary: node };
    throw new Error(`no such step of a move: ${word}`);
  });
}

/** The command as `gnt-instance` has it, for people. */
export function commandText(command: GanetiCommand): string {
  if (command.kind === 'replace-disks')
    return `gnt-instance replace-disks -n ${command.newSecondary} ${command.instance}`;
  const target = command.targetNode === undefined ? '' : `-n ${command.targetNode} `;
  return `gnt-instance ${command.kind} -f ${target}${command.instance}`;
}

/** What a command is to predictions and records. */
export const OPERATION_OF: Readonly<Record<GanetiCommand['kind'], Operation>> = {
  migrate: 'live_migration',
  failover: 'failover',
  'replace-disks': 'disk_replication',
};

/** Every node that a move's jobs lock. */
export function nodesOf({ from, to }: Pick<PlanMove, 'from' | 'to'>): string[] {
  const names = [from.primary, from.secondary, to.primary, to.secondary];
  return [...new Set(names.filter((name) => name !== undefined))];
}

/** Those that it holds to its end: an offline node that Ganeti lets go early keeps no other move waiting. */
export const nodesHeldBy = (move: Pick<PlanMove, 'from' | 'to' | 'releases_early'>): string[] =>
  nodesOf(move).filter((node) => node !== move.releases_early);

/** Sum of a column over a move's steps, seconds. */
export const secondsOf = ({ steps }: Pick<PlanMove, 'steps'>, column: 'p10' | 'p50' | 'p90'): number =>
  steps.reduce((sum, { duration_seconds }) => sum + duration_seconds[column], 0);
