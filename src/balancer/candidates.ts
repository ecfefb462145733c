import { MIRROR_INTERNAL, MIRROR_NONE, type GroupModel } from './group-model.js';
import {
  FAILOVER_AND_REPLACE,
  FAILOVER_TO_ANY,
  REPLACE_AND_FAILOVER,
  REPLACE_PRIMARY,
  REPLACE_SECONDARY,
  type MoveKind,
} from './moves.js';
import type { SearchOptions } from './search-options.js';

/** Which instances may be moved at all, in index order. */
export function movableInstances(model: GroupModel, options: SearchOptions): number[] {
  const movable: number[] = [];
  for (let i = 0; i < model.instanceCount; i++)
    if (whyImmovable(model, i, options) === undefined) movable.push(i);
  return movable;
}

/** Why an instance may not be moved, to be read after a number of such instances; undefined where it may. */
export function whyImmovable(model: GroupModel, i: number, options: SearchOptions): string | undefined {
  const { name, autoBalance } = model.instances[i]!;
  const mirror = model.mirror[i]!;
  const secondary = model.secondary[i]!;
  if (mirror === MIRROR_NONE) return 'with disks on one node alone';
  if (!autoBalance) return 'not balanced automatically';
  if (options.excluded.has(name)) return 'excluded';
  if (options.selected !== undefined && !options.selected.has(name)) return 'not selected';
  if (secondary >= model.nodeCount) return 'split over two groups'; // hbal does not move it
  if (mirror === MIRROR_INTERNAL && secondary < 0) return 'mirrored without a second node';
  if (options.evacuate && !standsOnOffline(model, i)) return 'on no offline node';
  return undefined;
}

const standsOnOffline = (model: GroupModel, i: number): boolean =>
  model.online[model.primary[i]!] === 0 ||
  (model.mirror[i] === MIRROR_INTERNAL && model.online[model.secondary[i]!] === 0);

const NONE: readonly MoveKind[] = [];
const SHARED: readonly MoveKind[] = [FAILOVER_TO_ANY];
const MIRROR_ONLY: readonly MoveKind[] = [REPLACE_SECONDARY];
const AROUND_SECONDARY: readonly MoveKind[] = [REPLACE_SECONDARY, REPLACE_AND_FAILOVER];
const OFF_PRIMARY: readonly MoveKind[] = [REPLACE_SECONDARY, REPLACE_AND_FAILOVER, FAILOVER_AND_REPLACE];
const ALL: readonly MoveKind[] = [
  REPLACE_SECONDARY,
  REPLACE_AND_FAILOVER,
  REPLACE_PRIMARY,
  FAILOVER_AND_REPLACE,
];

/** The kinds of move that an instance tries for each target, in hbal's order. */
export function kindsForTargets(model: GroupModel, i: number, options: SearchOptions): readonly MoveKind[] {
  if (model.mirror[i] !== MIRROR_INTERNAL) return options.instanceMoves ? SHARED : NONE;
  if (!options.diskMoves) return NONE;
  if (!options.instanceMoves) return MIRROR_ONLY;
  const primaryOnline = model.online[model.primary[i]!] === 1;
  if (options.restrictedMigration && primaryOnline) return MIRROR_ONLY;
  if (!secondaryUsable(model, i)) return AROUND_SECONDARY;
  return options.restrictedMigration ? OFF_PRIMARY : ALL;
}

/**
 * The same without a copy from a primary that is not up, which hbal offers and Ganeti refuses, where the instance can
 * go to its secondary first.
 */
export function possibleKinds(model: GroupModel, i: number, options: SearchOptions): readonly MoveKind[] {
  const kinds = kindsForTargets(model, i, options);
  const p = model.primary[i]!;
  if (!model.isDead(p) || !mayFailOver(model, i, options)) return kinds;
  const { migration, nodeCount } = model;
  if (migration.length > 0 && migration[p * nodeCount + model.secondary[i]!] === 0) return kinds;
  return kinds.filter((kind) => kind !== REPLACE_SECONDARY && kind !== REPLACE_AND_FAILOVER);
}

/** True when the instance may swap its two nodes. */
export const mayFailOver = (model: GroupModel, i: number, options: SearchOptions): boolean =>
  model.mirror[i] === MIRROR_INTERNAL && options.instanceMoves && secondaryUsable(model, i);

const secondaryUsable = (model: GroupModel, i: number): boolean => model.online[model.secondary[i]!] === 1;
