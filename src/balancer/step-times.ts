import { UserError } from '../domain/errors.js';
import type { MoveRequest } from '../domain/move-request.js';
import type { GroupModel } from './group-model.js';
import type { CostColumns, MoveCosts } from './move-costs.js';
import { moveSteps, type Move, type MoveStep } from './moves.js';

/** Predicted durations of all steps of some moves, in order; `firstStep[m]` is where move m's begin. Seconds. */
export interface StepTimes {
  steps: MoveStep[];
  firstStep: Int32Array;
  p10: Float64Array;
  p50: Float64Array;
  p90: Float64Array;
}

/**
 * What is known beforehand of one step, as a request to whoever knows durations. `others`: moves that its nodes take
 * part in besides.
 */
export function stepRequest(model: GroupModel, instance: number, step: MoveStep, others = 0): MoveRequest {
  const sizes = model.instances[instance]!;
  const copiesDisk = step.operation === 'disk_replication';
  return {
    instance: sizes.name,
    source_node: model.nodes[step.source]!.name,
    target_node: model.nodes[step.target]!.name,
    operation: step.operation,
    memory_mib: sizes.memory,
    vcpus: sizes.vcpus,
    disk_mib: copiesDisk ? sizes.disk : 0,
    concurrent_moves: others,
  };
}

/** What a step copies over the network: a disk, a memory, or nothing. MiB. */
export function copiedMib(model: GroupModel, instance: number, { operation }: MoveStep): number {
  const { memory, disk } = model.instances[instance]!;
  if (operation === 'failover') return 0;
  return operation === 'disk_replication' ? disk : memory;
}

/** Asks for all steps of all moves in one call. A duration that is no positive number is refused with a sentence. */
export async function askStepTimes(
  model: GroupModel,
  moves: readonly Move[],
  costs: MoveCosts,
  others = 0,
): Promise<StepTimes> {
  const steps: MoveStep[] = [];
  const requests: MoveRequest[] = [];
  const firstStep = new Int32Array(moves.length + 1);
  moves.forEach((move, m) => {
    for (const step of moveSteps(model, move)) {
      steps.push(step);
      requests.push(stepRequest(model, move.instance, step, others));
    }
    firstStep[m + 1] = steps.length;
  });
  const columns = await costs.durations(requests);
  refuseBadTimes(requests, columns);
  return { steps, firstStep, p10: columns.p10, p50: columns.p50, p90: columns.p90 };
}

/** No step of a plan that anyone would carry out takes longer: about 30 years. */
const MOST_SECONDS = 1e9;

/** Throws for the first request whose durations are not positive, in order and possible. */
export function refuseBadTimes(requests: readonly MoveRequest[], columns: CostColumns): void {
  for (let r = 0; r < requests.length; r++) {
    const low = columns.p10[r]!;
    const mid = columns.p50[r]!;
    const high = columns.p90[r]!;
    if (low > 0 && low <= mid && mid <= high && high <= MOST_SECONDS) continue;
    const { operation, instance, source_node, target_node } = requests[r]!;
    throw new UserError(
      'input-invalid',
      `the costs give ${operation} of ${instance} from ${source_node} to ${target_node} ${low} / ${mid} / ${high} seconds ` +
        `(p10 / p50 / p90); positive numbers in rising order, of 30 years at most, are needed`,
    );
  }
}

/** Seconds of each move: the sum of its steps in one column. */
export function moveSeconds(times: StepTimes, column: Float64Array): Float64Array {
  const seconds = new Float64Array(times.firstStep.length - 1);
  for (let m = 0; m < seconds.length; m++)
    for (let j = times.firstStep[m]!; j < times.firstStep[m + 1]!; j++) seconds[m]! += column[j]!;
  return seconds;
}
