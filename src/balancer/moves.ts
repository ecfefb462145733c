import type { Operation } from '../domain/move-record.js';
import { FORTHCOMING, RUNNING, USES_MEMORY, type GroupModel } from './group-model.js';

/** The kinds of one instance's move, in the order in which hbal tries them for one target. */
export const FAILOVER = 0; // f: swap primary and secondary
export const FAILOVER_TO_ANY = 1; // fa:x: shared storage, run on x
export const REPLACE_SECONDARY = 2; // r:x: a new mirror on x
export const REPLACE_AND_FAILOVER = 3; // r:x f: a new mirror on x, then run there
export const REPLACE_PRIMARY = 4; // f r:x f: to the secondary, a new mirror on x, then run there
export const FAILOVER_AND_REPLACE = 5; // f r:x: to the secondary, a new mirror on x
export type MoveKind = 0 | 1 | 2 | 3 | 4 | 5;

/** One move of one instance; `target` is -1 for a failover. Numbers are those of the group model. */
export interface Move {
  instance: number;
  kind: MoveKind;
  target: number;
  fromPrimary: number;
  fromSecondary: number;
  toPrimary: number;
  toSecondary: number;
}

/** The move of an instance from where it stands in `model`. */
export function moveFrom(model: GroupModel, instance: number, kind: MoveKind, target: number): Move {
  const p = model.primary[instance]!;
  const s = model.secondary[instance]!;
  const [toPrimary, toSecondary] = placementAfter(kind, p, s, target);
  return { instance, kind, target, fromPrimary: p, fromSecondary: s, toPrimary, toSecondary };
}

/** (primary, secondary) after a move. */
export const placementAfter = (kind: MoveKind, p: number, s: number, x: number): [number, number] => [
  primaryAfter(kind, p, s, x),
  secondaryAfter(kind, p, s, x),
];

/** The same one by one, without an array: for inner loops. */
export function primaryAfter(kind: MoveKind, p: number, s: number, x: number): number {
  if (kind === REPLACE_SECONDARY) return p;
  return kind === FAILOVER || kind === FAILOVER_AND_REPLACE ? s : x;
}

export function secondaryAfter(kind: MoveKind, p: number, s: number, x: number): number {
  switch (kind) {
    case FAILOVER:
    case REPLACE_AND_FAILOVER:
      return p;
    case FAILOVER_TO_ANY:
      return -1;
    case REPLACE_PRIMARY:
      return s;
    case REPLACE_SECONDARY:
    case FAILOVER_AND_REPLACE:
      return x;
  }
}

/** The kind and target that lead from one placement to another, or undefined where no single move does. */
export function kindBetween(
  p: number,
  s: number,
  newP: number,
  newS: number,
  shared: boolean,
): { kind: MoveKind; target: number } | undefined {
  if (shared) return newP === p ? undefined : { kind: FAILOVER_TO_ANY, target: newP };
  if (newS < 0 || newS === newP) return undefined;
  if (newP === p) return newS === s ? undefined : { kind: REPLACE_SECONDARY, target: newS };
  if (newP === s) {
    if (newS === p) return { kind: FAILOVER, target: -1 };
    return { kind: FAILOVER_AND_REPLACE, target: newS };
  }
  if (newS === p) return { kind: REPLACE_AND_FAILOVER, target: newP };
  if (newS === s) return { kind: REPLACE_PRIMARY, target: newP };
  return undefined;
}

/** The move in hbal's letters, such as `f r:node4`. `nameOf` gives a node's name. */
export function moveLetters(move: Pick<Move, 'kind' | 'target'>, nameOf: (node: number) => string): string {
  const x = move.target < 0 ? '' : nameOf(move.target);
  switch (move.kind) {
    case FAILOVER:
      return 'f';
    case FAILOVER_TO_ANY:
      return `fa:${x}`;
    case REPLACE_SECONDARY:
      return `r:${x}`;
    case REPLACE_AND_FAILOVER:
      return `r:${x} f`;
    case REPLACE_PRIMARY:
      return `f r:${x} f`;
    case FAILOVER_AND_REPLACE:
      return `f r:${x}`;
  }
}

/** One copy of a move: of the instance's disks, or of its memory, by which it comes to run elsewhere. */
export interface MoveLeg {
  copies: 'disks' | 'memory';
  source: number;
  target: number;
}

/** The copies of a move from primary `p` and secondary `s`, one after another, with the nodes that each really joins. */
export function moveLegs(kind: MoveKind, p: number, s: number, x: number): MoveLeg[] {
  const go = (source: number, target: number): MoveLeg => ({ copies: 'memory', source, target });
  const copy = (source: number, target: number): MoveLeg => ({ copies: 'disks', source, target });
  switch (kind) {
    case FAILOVER:
      return [go(p, s)];
    case FAILOVER_TO_ANY:
      return [go(p, x)];
    case REPLACE_SECONDARY:
      return [copy(p, x)];
    case REPLACE_AND_FAILOVER:
      return [copy(p, x), go(p, x)];
    case REPLACE_PRIMARY:
      return [go(p, s), copy(s, x), go(s, x)];
    case FAILOVER_AND_REPLACE:
      return [go(p, s), copy(s, x)];
  }
}

/** One operation of a move. */
export interface MoveStep {
  operation: Operation;
  source: number;
  target: number;
}

/** The operations of a move, one after another. What is stopped, or leaves a node that is off, fails over. */
export function moveSteps(model: GroupModel, move: Move): MoveStep[] {
  const { kind, fromPrimary: p, fromSecondary: s, target: x, instance } = move;
  const live = model.has(instance, USES_MEMORY) && !model.has(instance, FORTHCOMING);
  return moveLegs(kind, p, s, x).map(({ copies, source, target }) => {
    const migrates = live && (source !== p || model.online[p] === 1);
    const operation = migrates ? 'live_migration' : 'failover';
    return { operation: copies === 'disks' ? 'disk_replication' : operation, source, target };
  });
}

/**
 * A name as one word of a shell, for commands are pasted and run. Host names stand as they are, as in hbal.
 *
 * @example
 * shellWord("web;reboot") === "'web;reboot'"
 */
export const shellWord = (name: string): string =>
  /^[\w.@%+=:,/-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;

/** Ganeti's commands for a move, as hbal prints them; with full names unless short ones are given. */
export function moveCommands(
  model: GroupModel,
  move: Move,
  names: { instance: (index: number) => string; node: (index: number) => string } = {
    instance: (index) => model.instances[index]!.name,
    node: (index) => model.nodes[index]!.name,
  },
): string[] {
  const name = shellWord(names.instance(move.instance));
  const x = move.target < 0 ? '' : shellWord(names.node(move.target));
  const verb = model.has(move.instance, RUNNING) ? 'migrate' : 'failover';
  const go = `gnt-instance ${verb} -f ${name}`;
  const goTo = `gnt-instance ${verb} -f -n ${x} ${name}`;
  const replace = `gnt-instance replace-disks -n ${x} ${name}`;
  switch (move.kind) {
    case FAILOVER:
      return [go];
    case FAILOVER_TO_ANY:
      return [goTo];
    case REPLACE_SECONDARY:
      return [replace];
    case REPLACE_AND_FAILOVER:
      return [replace, go];
    case REPLACE_PRIMARY:
      return [go, replace, go];
    case FAILOVER_AND_REPLACE:
      return [go, replace];
  }
}
