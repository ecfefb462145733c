import { UserError } from '../domain/errors.js';
import type { Plan, PlanMove } from '../domain/plan.js';
import type { Cluster } from './cluster.js';
import { setBefore } from './jobsets.js';
import { kindBetween, moveLegs, type MoveLeg } from './moves.js';
import { nodesOf } from './node-locks.js';

/** Whether a plan that someone may have changed can be played at all: what it says of its moves has to hold together. */

/** How a plan is run: a move starts when what it waits for is done, or set after set as hbal's -X does. */
export type PlayMode = 'schedule' | 'jobsets';

/** Throws a `UserError` that names the move at fault. O(moves + what they wait for), but for instances that move often. */
export function refuseUnplayable(plan: Plan, mode: PlayMode, file: string): void {
  const { moves, jobsets } = plan;
  const refuse = (fault: string): never => {
    throw new UserError('input-invalid', `${file}: ${fault}; give the plan as it was printed`);
  };
  const misnumbered = moves.findIndex(({ index }, m) => index !== m);
  if (misnumbered >= 0) refuse(`the move at place ${misnumbered} has the index ${moves[misnumbered]!.index}`);
  const outside = [...moves.flatMap(({ after }) => after), ...jobsets.flat()].find((m) => m >= moves.length);
  if (outside !== undefined)
    refuse(
      `speaks of a move ${outside}, but ${moves.length === 0 ? 'it has none' : `its moves are 0 to ${moves.length - 1}`}`,
    );
  if (plan.duration_seconds.p50 > plan.duration_seconds.p90) refuse('promises its p90 before its p50');
  for (const move of moves) {
    const fault = routeFault(move) ?? timesFault(move);
    if (fault !== undefined) refuse(`move ${move.index} ${fault}`);
  }
  const circle = circleIn(moves.map(({ after }) => after));
  if (circle.length === 1) refuse(`move ${circle[0]!} waits for itself`);
  if (circle.length > 1) refuse(`moves ${circle.join(', ')} wait for each other in a circle`);
  if (mode === 'jobsets') {
    const times = new Int32Array(moves.length);
    for (const m of jobsets.flat()) times[m]! += 1;
    const odd = times.findIndex((count) => count !== 1);
    if (odd >= 0)
      refuse(`move ${odd} is in ${times[odd] === 0 ? 'no job set' : `job sets ${times[odd]!} times`}`);
  }
  const fault = repeatFault(
    moves,
    mode === 'schedule' ? moves.map(({ after }) => after) : setBefore(jobsets, moves.length),
  );
  if (fault !== undefined) refuse(fault);
}

/** Refuses a plan that was made for another cluster than that of `clusterFile`, or that the cluster has left behind. */
export function refuseForeign(plan: Plan, cluster: Cluster, planFile: string, clusterFile: string): void {
  const { moves } = plan;
  if (moves.length === 0) return;
  const refuse = (fault: string, what = 'give the cluster that the plan was made for'): never => {
    throw new UserError('input-invalid', `${planFile}: ${fault}; ${what}`);
  };
  const instances = new Map(cluster.instances.map((instance) => [instance.name, instance]));
  const nodes = new Map(cluster.nodes.map((node) => [node.name, node]));
  for (const move of moves) {
    if (!instances.has(move.instance))
      refuse(`move ${move.index} is of instance ${move.instance}, which ${clusterFile} does not have`);
    const strange = nodesOf(move).find((node) => !nodes.has(node));
    if (strange !== undefined)
      refuse(`move ${move.index} names node ${strange}, which ${clusterFile} does not have`);
  }
  const home = nodes.get(moves[0]!.from.primary)!.group;
  for (const move of moves) {
    const away = nodesOf(move).find((node) => nodes.get(node)!.group !== home);
    if (away !== undefined)
      refuse(
        `move ${move.index} names node ${away}, which is in another node group than ${moves[0]!.from.primary}`,
      );
    // Ganeti lets go of an offline node early, of no other: the plan would be faster than the locks allow.
    const { releases_early: released } = move;
    if (released !== undefined && !nodes.get(released)!.offline)
      refuse(
        `move ${move.index} releases ${released} early, which is not offline in ${clusterFile}`,
        'give the plan as it was printed',
      );
  }
  const isThere = ({ instance, from }: PlanMove): boolean =>
    cluster.nodes[instances.get(instance)!.primary]?.name === from.primary;
  if (!moves.some(isThere))
    refuse(
      `no instance is in ${clusterFile} where the plan takes it from: it is another cluster, or the plan is done`,
    );
}

const placeText = ({ primary, secondary }: PlanMove['from']): string =>
  secondary === undefined ? primary : `${primary}:${secondary}`;

/** What is impossible in where a move leads, and by which steps. */
function routeFault(move: PlanMove): string | undefined {
  const { from, to, steps, releases_early: released } = move;
  const way = `from ${placeText(from)} to ${placeText(to)}`;
  for (const { primary, secondary } of [from, to])
    if (primary === secondary) return `has ${primary} as primary and as secondary node at once`;
  if (from.primary === to.primary && from.secondary === to.secondary)
    return `ends where it begins, on ${placeText(from)}`;
  const names = [...new Set([from.primary, from.secondary ?? '', to.primary, to.secondary ?? ''])];
  const numberOf = (name: string | undefined): number => (name === undefined ? -1 : names.indexOf(name));
  const [p, s] = [numberOf(from.primary), numberOf(from.secondary)];
  const [newP, newS] = [numberOf(to.primary), numberOf(to.secondary)];
  const isMirrored = s >= 0;
  const found = isMirrored === newS >= 0 ? kindBetween(p, s, newP, newS, !isMirrored) : undefined;
  if (found === undefined) return `goes ${way}, which no single move does`;
  const legs = moveLegs(found.kind, p, s, found.target);
  if (steps.length !== legs.length)
    return steps.length === 0
      ? 'has no steps'
      : `has ${stepCount(steps.length)}, but a move ${way} takes ${stepCount(legs.length)}`;
  for (const [j, { operation, source_node, target_node }] of steps.entries()) {
    const { copies, source, target } = legs[j]!;
    const isOfDisks = operation === 'disk_replication';
    if (isOfDisks === (copies === 'disks') && source_node === names[source] && target_node === names[target])
      continue;
    return `has the step ${operation} from ${source_node} to ${target_node}, but a move ${way} has there ${legText(legs[j]!, names)}`;
  }
  if (released === undefined) return undefined;
  if (!nodesOf(move).includes(released)) return `releases ${released} early, which is no node of it`;
  const isLeft = released !== to.primary && released !== to.secondary;
  return isLeft && legs.some(({ copies }) => copies === 'disks')
    ? undefined
    : `releases ${released} early, which it does not leave by a copy of disks`;
}

const stepCount = (count: number): string => (count === 1 ? '1 step' : `${count} steps`);

const legText = ({ copies, source, target }: MoveLeg, names: readonly string[]): string =>
  `${copies === 'disks' ? 'a disk_replication' : 'a migration or failover'} from ${names[source]!} to ${names[target]!}`;

function timesFault({ start_seconds, end_seconds, steps }: PlanMove): string | undefined {
  if (start_seconds > end_seconds.p50) return 'ends before it starts';
  const isCrossed = steps.some(({ duration_seconds: { p10, p50, p90 } }) => p10 > p50 || p50 > p90);
  return end_seconds.p50 > end_seconds.p90 || isCrossed ? 'has quantiles that cross' : undefined;
}

/** What is impossible in the moves of one instance: each begins where the one before it ends, and waits for it. */
function repeatFault(moves: readonly PlanMove[], waits: readonly (readonly number[])[]): string | undefined {
  const last = new Map<string, PlanMove>();
  for (const move of moves) {
    const before = last.get(move.instance);
    last.set(move.instance, move);
    if (before === undefined) continue;
    if (placeText(before.to) !== placeText(move.from))
      return `move ${move.index} takes ${move.instance} from ${placeText(move.from)}, but move ${before.index} leaves it on ${placeText(before.to)}`;
    if (!waitsFor(move.index, before.index, waits))
      return `move ${move.index} of ${move.instance} does not wait for move ${before.index} of it`;
  }
  return undefined;
}

/** Does one move wait for another, by itself or by what it waits for? */
function waitsFor(later: number, earlier: number, waits: readonly (readonly number[])[]): boolean {
  const seen = new Set([later]);
  for (const m of seen)
    for (const w of waits[m]!) {
      if (w === earlier) return true;
      seen.add(w);
    }
  return false;
}

/** Moves of which each waits for the next and the last for the first; none where there is no circle. */
function circleIn(after: readonly (readonly number[])[]): number[] {
  const missing = after.map((list) => new Set(list).size);
  const waiting = after.map((): number[] => []);
  after.forEach((list, m) => {
    for (const w of new Set(list)) waiting[w]!.push(m);
  });
  const free = [...after.keys()].filter((m) => missing[m] === 0);
  for (let next = free.pop(); next !== undefined; next = free.pop())
    for (const m of waiting[next]!) if (--missing[m]! === 0) free.push(m);
  // Whoever is left waits for another one that is left.
  const path: number[] = [];
  let m = missing.findIndex((count) => count > 0);
  if (m < 0) return path;
  while (!path.includes(m)) {
    path.push(m);
    m = after[m]!.find((w) => missing[w]! > 0)!;
  }
  return path.slice(path.indexOf(m));
}
