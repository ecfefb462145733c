import { z } from 'zod';
import { UserError } from '../domain/errors.js';
import { firstIssue } from '../domain/fields.js';
import type { Plan } from '../domain/plan.js';
import { cardRate, costsFileSchema, ratesOf, type CostsFile } from './constant-move-costs.js';
import { setBefore } from './jobsets.js';
import { NodeLocks, nodesOf } from './node-locks.js';
import type { PlayMode } from './playable-plan.js';
import { normalFrom, seededRandom } from './random.js';

/**
 * Plays a plan on a cluster whose true durations, network and failures are given, not predicted: what would have
 * happened. The truth is a file; it never comes from what made the plan.
 */

const ofPredictions = z
  .custom<undefined>(
    (value) => value === undefined,
    'is about predicted durations, these are the true durations; leave it out or give deviation',
  )
  .optional();

/** The costs file's fields say the true durations; further ones what a cluster does besides. */
export const truthFileSchema = costsFileSchema.extend({
  spread: ofPredictions,
  errors: ofPredictions,
  /** Moves that a node takes part in at once: 1 by Ganeti's locks. */
  moves_per_node: z.int().positive().optional(),
  /** Sizes of instances, for durations by rate: a plan does not carry them. */
  instances: z
    .array(
      z.strictObject({
        instance: z.string(),
        memory_mib: z.number().nonnegative(),
        disk_mib: z.number().nonnegative(),
      }),
    )
    .optional(),
  /** Every duration is multiplied by exp(sigma × a standard normal number). */
  deviation: z.strictObject({ sigma: z.number().nonnegative(), seed: z.int() }).optional(),
  /** Steps that break off when this share of them is done; every step of the instance unless an operation is named. */
  failures: z
    .array(
      z.strictObject({
        instance: z.string(),
        operation: z.enum(['live_migration', 'failover', 'disk_replication']).optional(),
        after_share: z.number().min(0).max(1).optional(),
      }),
    )
    .optional(),
});
export type TruthFile = z.infer<typeof truthFileSchema>;

/** Parsed JSON → truth. Throws a `UserError` that names the field. */
export function parseTruthFile(json: unknown, file: string): TruthFile {
  const parsed = truthFileSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const { field, message } = firstIssue(parsed.error);
  throw new UserError('input-invalid', `${file}: ${field === '' ? 'the file' : field} ${message}`, field);
}

export interface PlayedMove {
  index: number;
  status: 'completed' | 'failed' | 'not started';
  start_seconds: number | undefined;
  end_seconds: number | undefined;
  /** From when all that it waits for was done until its nodes were free. */
  lock_seconds: number | undefined;
}

export interface PlayedPlan {
  moves: PlayedMove[];
  /** When the last move ended. */
  duration_seconds: number;
  /** Least time that any order could have taken: the busiest node, or the longest chain of one instance. */
  lower_bound_seconds: number;
}

/** One step under way: what is left of its fixed time, then of its data. */
interface Running {
  move: number;
  step: number;
  fixedLeft: number;
  mibLeft: number;
  rate: number;
  nodes: [string, string];
  /** The step breaks off when so much data and time is left. */
  failsAt: number | undefined;
}

/** Told of every start and end in their order, ends first where they are at one moment. */
export interface PlayWatch {
  started(move: number): void;
  ended(move: number, completed: boolean): void;
}

/**
 * Plays a plan that `refuseUnplayable` has let pass. A move starts when what it waits for is done and its nodes are
 * free; of several that wait for a node the first of the plan goes first. O(steps × (steps under way at once + moves)).
 */
export function playPlan(plan: Plan, truth: TruthFile, mode: PlayMode, watch?: PlayWatch): PlayedPlan {
  const world = new TrueDurations(truth);
  const waits =
    mode === 'schedule' ? plan.moves.map(({ after }) => after) : setBefore(plan.jobsets, plan.moves.length);
  const played: PlayedMove[] = plan.moves.map(({ index }) => ({
    index,
    status: 'not started',
    start_seconds: undefined,
    end_seconds: undefined,
    lock_seconds: undefined,
  }));
  const movesPerNode = truth.moves_per_node ?? 1;
  const locks = new NodeLocks(plan, movesPerNode);
  const ready = new Float64Array(plan.moves.length).fill(NaN);
  const running: Running[] = [];
  let now = 0;
  const begin = (m: number, s: number): void => {
    locks.begin(m, s, now);
    running.push(world.begin(plan, m, s));
  };
  const startReady = (): void => {
    played.forEach((state, m) => {
      if (state.start_seconds !== undefined) return;
      if (!waits[m]!.every((w) => played[w]!.status === 'completed')) return;
      if (Number.isNaN(ready[m])) ready[m] = now;
      if (!locks.areFree(m, now)) return;
      state.start_seconds = now;
      state.lock_seconds = now - ready[m]!;
      watch?.started(m);
      begin(m, 0);
    });
  };
  const end = (m: number, status: 'completed' | 'failed'): void => {
    played[m]!.status = status;
    played[m]!.end_seconds = now;
    locks.end(m);
    watch?.ended(m, status === 'completed');
  };
  startReady();
  while (running.length > 0) {
    const rates = world.shareNetwork(running);
    let wait = locks.nextRelease(now) - now;
    running.forEach((step, r) => {
      wait = Math.min(wait, timeLeft(step, rates[r]!));
    });
    now += wait;
    running.forEach((step, r) => advance(step, rates[r]!, wait));
    for (let r = running.length - 1; r >= 0; r--) {
      const step = running[r]!;
      if (timeLeft(step, rates[r]!) > END_TOLERANCE) continue;
      running.splice(r, 1);
      if (step.failsAt !== undefined) end(step.move, 'failed');
      else if (step.step + 1 < plan.moves[step.move]!.steps.length) begin(step.move, step.step + 1);
      else end(step.move, 'completed');
    }
    startReady();
  }
  const ends = played.map(({ end_seconds }) => end_seconds ?? 0);
  return {
    moves: played,
    duration_seconds: Math.max(0, ...ends),
    lower_bound_seconds: lowerBound(plan, played, movesPerNode),
  };
}

/** Seconds below which a step is over: rounding. */
const END_TOLERANCE = 1e-9;

/** A step that fails ends when the share that it gets through is done. */
function timeLeft(step: Running, rate: number): number {
  const left = step.fixedLeft + (step.mibLeft > 0 ? step.mibLeft / rate : 0);
  return Math.max(0, left - (step.failsAt ?? 0));
}

function advance(step: Running, rate: number, seconds: number): void {
  const fixed = Math.min(step.fixedLeft, seconds);
  step.fixedLeft -= fixed;
  step.mibLeft = Math.max(0, step.mibLeft - (seconds - fixed) * rate);
}

/** A node takes part in so many moves at a time; moves of one instance follow each other. */
function lowerBound(plan: Plan, played: readonly PlayedMove[], movesPerNode: number): number {
  const nodes = new Map<string, number>();
  const instances = new Map<string, number>();
  const add = (busy: Map<string, number>, key: string, seconds: number): unknown =>
    busy.set(key, (busy.get(key) ?? 0) + seconds);
  plan.moves.forEach((move, m) => {
    const { start_seconds: start, end_seconds: end } = played[m]!;
    if (start === undefined || end === undefined) return;
    add(instances, move.instance, end - start);
    // Held for a failover and a set-up only; counting it as free keeps the bound one.
    for (const node of nodesOf(move)) if (node !== move.releases_early) add(nodes, node, end - start);
  });
  return Math.max(0, ...instances.values(), Math.max(0, ...nodes.values()) / movesPerNode);
}

/** True durations of steps, and how a network card is shared. */
class TrueDurations {
  readonly #truth: TruthFile;
  readonly #rates: ReturnType<typeof ratesOf>;
  readonly #sizes: Map<string, { memory_mib: number; disk_mib: number }>;

  constructor(truth: TruthFile) {
    this.#truth = truth;
    this.#rates = ratesOf(truth);
    this.#sizes = new Map((truth.instances ?? []).map((sizes) => [sizes.instance, sizes]));
  }

  begin(plan: Plan, m: number, s: number): Running {
    const { instance, steps } = plan.moves[m]!;
    const step = steps[s]!;
    const { operation, source_node, target_node } = step;
    const row = rowFor(this.#truth, instance, operation, source_node, target_node);
    const { sigma = 0, seed = 0 } = this.#truth.deviation ?? {};
    const random = seededRandom(hash(`${seed} ${instance} ${operation} ${source_node} ${target_node}`));
    const scale = Math.exp(sigma * normalFrom(random));
    let fixed = row?.seconds;
    let mib = 0;
    let rate = Infinity;
    if (fixed === undefined) {
      const sizes = this.#sizes.get(instance);
      const byRate = this.#rates[operation];
      if (sizes === undefined && byRate.mib_per_second !== undefined)
        throw new UserError(
          'input-invalid',
          `the truth says neither the seconds of ${operation} of ${instance} nor its size; add a row to table or to instances`,
        );
      fixed = byRate.fixed_seconds;
      if (sizes !== undefined && byRate.mib_per_second !== undefined) {
        mib = operation === 'disk_replication' ? sizes.disk_mib : sizes.memory_mib;
        rate = byRate.mib_per_second;
      }
    }
    const failure = this.#truth.failures?.find(
      (one) => one.instance === instance && (one.operation === undefined || one.operation === operation),
    );
    const whole = scale * (fixed + (mib > 0 ? mib / rate : 0));
    return {
      move: m,
      step: s,
      fixedLeft: fixed * scale,
      mibLeft: mib * scale,
      rate,
      nodes: [source_node, target_node],
      failsAt: failure === undefined ? undefined : whole * (1 - (failure.after_share ?? 0.5)),
    };
  }

  /** MiB/s of each step: its own rate, or its share of the fuller of its two network cards. */
  shareNetwork(running: readonly Running[]): number[] {
    const cards = this.#truth.nic_mib_per_second;
    const flows = new Map<string, number>();
    for (const { nodes, mibLeft } of running)
      if (mibLeft > 0) for (const node of nodes) flows.set(node, (flows.get(node) ?? 0) + 1);
    return running.map(({ rate, nodes }) =>
      Math.min(rate, ...nodes.map((node) => cardRate(cards, node, rate) / (flows.get(node) ?? 1))),
    );
  }
}

function rowFor(
  truth: CostsFile,
  instance: string,
  operation: string,
  source: string,
  target: string,
): NonNullable<CostsFile['table']>[number] | undefined {
  let best: NonNullable<CostsFile['table']>[number] | undefined;
  let most = -1;
  for (const row of truth.table ?? []) {
    if (row.instance !== instance) continue;
    const pairs: [string | undefined, string][] = [
      [row.operation, operation],
      [row.source_node, source],
      [row.target_node, target],
    ];
    if (pairs.some(([given, is]) => given !== undefined && given !== is)) continue;
    const named = pairs.filter(([given]) => given !== undefined).length;
    if (named > most) {
      most = named;
      best = row;
    }
  }
  return best;
}

/** FNV-1a: the same text gives the same deviation in every plan, so that plans can be compared. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let c = 0; c < text.length; c++) value = Math.imul(value ^ text.charCodeAt(c), 0x01000193);
  return value;
}
