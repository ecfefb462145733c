import type { MoveRequest } from '../domain/move-request.js';
import { MIRROR_INTERNAL, type GroupModel } from './group-model.js';
import type { MoveCosts } from './move-costs.js';
import {
  FAILOVER,
  FAILOVER_TO_ANY,
  REPLACE_PRIMARY,
  REPLACE_SECONDARY,
  moveFrom,
  moveSteps,
  type MoveKind,
  type MoveStep,
} from './moves.js';
import { refuseBadTimes, stepRequest } from './step-times.js';

/** Predicted seconds of one RAM copy and of one disk copy of each instance of a group. */
export interface InstancePrices {
  go: Float64Array;
  copy: Float64Array;
}

/**
 * What the steps of each instance's moves cost, from where it stands to a typical other node: two requests an
 * instance, in one call. `quantile` is 0.1 to 0.9.
 */
export async function askInstancePrices(
  model: GroupModel,
  costs: MoveCosts,
  quantile: number,
): Promise<InstancePrices> {
  const requests: MoveRequest[] = [];
  const instances: number[] = [];
  const isCopy: boolean[] = [];
  for (let i = 0; i < model.instanceCount; i++) {
    const steps = typicalSteps(model, i);
    for (const step of steps) {
      requests.push(stepRequest(model, i, step));
      instances.push(i);
      isCopy.push(step.operation === 'disk_replication');
    }
  }
  const columns = await costs.durations(requests);
  refuseBadTimes(requests, columns);
  const prices: InstancePrices = {
    go: new Float64Array(model.instanceCount),
    copy: new Float64Array(model.instanceCount),
  };
  instances.forEach((i, r) => {
    const price = priceAt(quantile, columns.p10[r]!, columns.p50[r]!, columns.p90[r]!);
    (isCopy[r] === true ? prices.copy : prices.go)[i] = price;
  });
  return prices;
}

/** Seconds at a quantile between p10 and p90, on straight lines between the logarithms. */
export function priceAt(level: number, p10: number, p50: number, p90: number): number {
  const share = Math.min(0.9, Math.max(0.1, level));
  return share < 0.5
    ? p10 * (p50 / p10) ** ((share - 0.1) / 0.4)
    : p50 * (p90 / p50) ** ((share - 0.5) / 0.4);
}

function typicalSteps(model: GroupModel, i: number): MoveStep[] {
  const p = model.primary[i]!;
  const s = model.secondary[i]!;
  const target = otherNode(model, p, s);
  if (model.mirror[i] === MIRROR_INTERNAL) {
    if (s < 0 || s >= model.nodeCount) return [];
    const swap = moveSteps(model, moveFrom(model, i, FAILOVER, -1));
    return target < 0 ? swap : [...swap, ...moveSteps(model, moveFrom(model, i, REPLACE_SECONDARY, target))];
  }
  return target < 0 ? [] : moveSteps(model, moveFrom(model, i, FAILOVER_TO_ANY, target));
}

/** An online node that is neither of two, spread over the group by the primary's number; -1 where there is none. */
function otherNode(model: GroupModel, p: number, s: number): number {
  for (let k = 1; k <= model.nodeCount; k++) {
    const node = (p + k) % model.nodeCount;
    if (node !== p && node !== s && model.online[node] === 1) return node;
  }
  return -1;
}

/** Seconds of a move of a kind: its RAM copies and its disk copy. */
export function priceOfKind(prices: InstancePrices, i: number, kind: MoveKind): number {
  if (kind === FAILOVER || kind === FAILOVER_TO_ANY) return prices.go[i]!;
  if (kind === REPLACE_SECONDARY) return prices.copy[i]!;
  return kind === REPLACE_PRIMARY ? 2 * prices.go[i]! + prices.copy[i]! : prices.go[i]! + prices.copy[i]!;
}
