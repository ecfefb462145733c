import { isCompleted } from '../src/domain/move-record.js';
import { QUANTILE_LEVELS } from '../src/domain/prediction.js';
import type { MoveProgress } from '../src/domain/move-progress.js';
import {
  chanceFeatures,
  chanceFormOf,
  dot,
  estimateInFlight,
  formOf,
  IN_FLIGHT_FEATURES,
  LEAST_REMAINING_SECONDS,
  newInFlightEstimate,
  remainingByPrior,
  type InFlightQuestion,
} from '../src/predictor/in-flight.js';
import type { InFlightFit } from '../src/predictor/in-flight-fit.js';
import { solveLinear } from './linear-solver.js';
import type { PolledMove } from './move-polls.js';

/** A move with what had been predicted before it started. */
export interface ForecastMove extends PolledMove {
  before: QuestionBefore;
  /** The same, asked for by someone who does not know when the manager breaks a move off. */
  beforeWithoutLimit: QuestionBefore;
}
/** All that is asked but the progress. */
export type QuestionBefore = Omit<InFlightQuestion, 'progress'>;

/** The form is fitted at these shares of each finished move's way, so that a long move counts no more than a short one. */
const FITTED_SHARES = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95];
/** The chance to complete is fitted at so many polls of each move, evenly over the time that it ran. */
const CHANCE_POLLS = 12;
const KNOTS = [0.1, 0.3, 0.5, 0.7, 0.85, 0.95];
/** The errors at a knot are those of the rows nearest to it, this share of all. */
const NEAREST_SHARE = 0.2;
/** Ridge: each weight counts as if so many rows had spoken for 0. */
const RIDGE = 3;
const CHANCE_RIDGE = 0.1;
/** Errors (log scale) beyond this lose force in proportion: the form follows the median. */
const HUBER = 0.15;
const ROUNDS = 20;

/** The last poll at or before a share of the way; only where the outcome is judged or learnt may it choose the poll. */
export function pollAt({ record, polls }: PolledMove, share: number): MoveProgress | undefined {
  return polls.findLast((poll) => poll.elapsed_seconds <= share * record.duration_seconds);
}

interface Row {
  features: Float64Array;
  way: number;
  target: number;
}

function rowsOf(move: ForecastMove): Row[] {
  const prior = new Float64Array(QUANTILE_LEVELS.length);
  return FITTED_SHARES.flatMap((share): Row[] => {
    const progress = pollAt(move, share);
    if (progress === undefined) return [];
    const question = { ...move.before, progress };
    remainingByPrior(question.seconds, progress.elapsed_seconds, prior);
    const form = formOf(question, prior[prior.length >> 1]!);
    if (form === undefined) return [];
    const left = Math.max(LEAST_REMAINING_SECONDS, move.record.duration_seconds - progress.elapsed_seconds);
    return [{ features: form.features.slice(), way: form.way, target: Math.log(left / form.physicsSeconds) }];
  });
}

/** Fits weights and errors to moves that have finished or were broken off. O(moves). */
export function fitInFlight(moves: readonly ForecastMove[]): InFlightFit {
  const rows = moves.filter(({ record }) => isCompleted(record)).flatMap(rowsOf);
  const weights = huberWeights(rows);
  const errors = rows
    .map(({ features, way, target }) => ({ way, error: target - dot(weights, features) }))
    .sort((a, b) => a.way - b.way);
  const fit: InFlightFit = {
    weights: [...weights],
    knots: KNOTS,
    errors: KNOTS.map((knot) => quantilesNear(errors, knot)),
    chance_within_limit: ODDS_AS_BEFORE,
    chance: ODDS_AS_BEFORE,
  };
  return {
    ...fit,
    chance_within_limit: chanceWeights(moves, fit, ({ before }) => before),
    chance: chanceWeights(moves, fit, ({ beforeWithoutLimit }) => beforeWithoutLimit),
  };
}

function huberWeights(rows: readonly Row[]): Float64Array {
  let weights: Float64Array = new Float64Array(IN_FLIGHT_FEATURES);
  for (let round = 0; round < ROUNDS; round++)
    weights = ridge(
      rows.map(({ features, target }) => ({
        features,
        target,
        weight: round === 0 ? 1 : Math.min(1, HUBER / Math.abs(target - dot(weights, features))),
      })),
      RIDGE,
    );
  return weights;
}

/** Weighted least squares; the first column, the constant, is not drawn to 0. */
function ridge(
  rows: readonly { features: Float64Array; target: number; weight: number }[],
  strength: number,
  towards?: readonly number[],
): Float64Array {
  const n = rows[0]?.features.length ?? IN_FLIGHT_FEATURES;
  const system = Array.from({ length: n }, () => new Float64Array(n + 1));
  for (let i = 1; i < n; i++) {
    system[i]![i] = strength;
    system[i]![n] = strength * (towards?.[i] ?? 0);
  }
  system[0]![0] = 1e-6;
  for (const { features, target, weight } of rows)
    for (let i = 0; i < n; i++) {
      const scaled = weight * features[i]!;
      for (let j = 0; j < n; j++) system[i]![j]! += scaled * features[j]!;
      system[i]![n]! += scaled * target;
    }
  return solveLinear(system);
}

function quantilesNear(errors: readonly { way: number; error: number }[], knot: number): number[] {
  const nearest = [...errors]
    .sort((a, b) => Math.abs(a.way - knot) - Math.abs(b.way - knot))
    .slice(0, Math.max(1, Math.round(NEAREST_SHARE * errors.length)))
    .map(({ error }) => error)
    .sort((a, b) => a - b);
  return QUANTILE_LEVELS.map((p) => {
    const rank = Math.max(0, Math.min(nearest.length - 1, p * (nearest.length + 1) - 1));
    const low = Math.floor(rank);
    const high = Math.min(nearest.length - 1, low + 1);
    return nearest[low]! + (rank - low) * (nearest[high]! - nearest[low]!);
  });
}

/** A few polls of a move, evenly over those that it has. */
export function somePolls({ polls }: PolledMove, most = CHANCE_POLLS): MoveProgress[] {
  if (polls.length <= most) return polls;
  return Array.from({ length: most }, (_, k) => polls[Math.round((k * (polls.length - 1)) / (most - 1))]!);
}

/** Weights of `chanceFeatures` that leave the odds as they were. */
const ODDS_AS_BEFORE = [0, 1, 0, 0, 0];

/** Logistic regression by Newton's method, drawn to the odds as they were before. */
function chanceWeights(
  moves: readonly ForecastMove[],
  fit: InFlightFit,
  asked: (move: ForecastMove) => QuestionBefore,
): number[] {
  const estimate = newInFlightEstimate();
  const rows = moves.flatMap((move) => {
    const polls = somePolls(move);
    return polls.map((progress) => {
      const question = { ...asked(move), progress };
      estimateInFlight(question, estimate, fit);
      const middle = estimate.remaining[estimate.remaining.length >> 1]!;
      const prior = new Float64Array(QUANTILE_LEVELS.length);
      remainingByPrior(question.seconds, progress.elapsed_seconds, prior);
      const divergence = formOf(question, prior[prior.length >> 1]!)?.divergence ?? 0;
      const { row, before } = chanceFormOf(question, middle, divergence, fit);
      return {
        features: row.slice(),
        before,
        completed: isCompleted(move.record) ? 1 : 0,
        weight: 1 / polls.length,
      };
    });
  });
  let weights = Float64Array.from(ODDS_AS_BEFORE);
  for (let round = 0; round < ROUNDS; round++) {
    const working = rows.map(({ features, before, completed, weight }) => {
      const z = dot(weights, features);
      const p = 1 / (1 + Math.exp(-before - z));
      const curvature = Math.max(1e-6, p * (1 - p));
      return { features, target: z + (completed - p) / curvature, weight: weight * curvature };
    });
    weights = Float64Array.from(ridge(working, CHANCE_RIDGE, ODDS_AS_BEFORE));
  }
  return chanceFeatures.map((_, j) => weights[j]!);
}
