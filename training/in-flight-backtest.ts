import { finishMs, isCompleted, startMs } from '../src/domain/move-record.js';
import type { MoveProgress } from '../src/domain/move-progress.js';
import { QUANTILE_LEVELS } from '../src/domain/prediction.js';
import { mbpsToMibPerSecond } from '../src/domain/units.js';
import { newEstimate, type DurationModel } from '../src/predictor/duration-model.js';
import {
  estimateInFlight,
  LEAST_REMAINING_SECONDS,
  newInFlightEstimate,
} from '../src/predictor/in-flight.js';
import type { InFlightFit } from '../src/predictor/in-flight-fit.js';
import { durationModelOf } from '../src/predictor/load-predictor.js';
import { inputsOfRecord, type MoveInputs } from '../src/predictor/move-inputs.js';
import { newStream } from '../src/predictor/move-physics.js';
import { FIRST_ORIGIN_MOVES } from './backtest.js';
import { fitModel } from './fit.js';
import {
  fitInFlight,
  pollAt,
  somePolls,
  type ForecastMove,
  type QuestionBefore,
} from './in-flight-fitting.js';
import type { PolledMove } from './move-polls.js';

/** The duration model is fitted from so many finished moves on, so that there are predictions to fit the form to … */
const FIRST_MODEL_MOVES = FIRST_ORIGIN_MOVES >> 1;
/** … and the form is judged once so many moves with a prediction have finished. */
const FIRST_FORM_MOVES = FIRST_ORIGIN_MOVES >> 1;
const ORIGIN_GROWTH = 1.1;
export const JUDGED_SHARES = [0.1, 0.25, 0.5, 0.75, 0.9] as const;

/** Moves with what had been predicted for each before it started, as in service: nothing that had not finished is known. */
export function forecastMoves(moves: readonly PolledMove[], seed: number): ForecastMove[] {
  const byStart = [...moves].sort((a, b) => startMs(a.record) - startMs(b.record));
  const byFinish = [...moves].sort((a, b) => finishMs(a.record) - finishMs(b.record));
  const forecasts: ForecastMove[] = [];
  let model: DurationModel | undefined;
  let finished = 0;
  let fittedAt = 0;
  for (const move of byStart) {
    for (; finished < byFinish.length; finished++) {
      const { record } = byFinish[finished]!;
      if (finishMs(record) > startMs(move.record)) break;
      model?.learn(record);
    }
    if (finished < FIRST_MODEL_MOVES) continue;
    if (model === undefined || finished >= fittedAt * ORIGIN_GROWTH) {
      fittedAt = finished;
      const history = byFinish.slice(0, finished).map(({ record }) => record);
      model = durationModelOf(fitModel(history, { name: 'in-flight', seed }));
    }
    const inputs = inputsOfRecord(move.record);
    model.fillKnown(inputs);
    forecasts.push({
      ...move,
      before: questionBefore(model, inputs),
      beforeWithoutLimit: questionBefore(model, { ...inputs, timeoutSeconds: NaN }),
    });
  }
  return forecasts;
}

function questionBefore(model: DurationModel, inputs: MoveInputs): QuestionBefore {
  const estimate = model.estimate(inputs, newEstimate());
  return { ...estimate, inputs, stream: model.stream(inputs, newStream()) };
}

/** One judged poll. */
export interface InFlightRow {
  id: string;
  /** Share of the way for which the poll was chosen. */
  share: number;
  elapsed: number;
  actual: number;
  /** Total seconds by each way of answering. */
  answers: Record<string, Float64Array>;
}

/** One judged chance. */
export interface ChanceRow {
  id: string;
  completed: boolean;
  before: number;
  inFlight: number;
  beforeWithoutLimit: number;
  inFlightWithoutLimit: number;
}

/** One judged forecast of bytes: median and 90 % quantile, MiB. */
export interface BytesRow {
  share: number;
  actual: number;
  before: readonly [p50: number, p90: number];
  inFlight: readonly [p50: number, p90: number];
}

export interface InFlightBacktest {
  rows: InFlightRow[];
  /** Coverage over polls taken evenly while moves ran, whatever the share of their way. */
  polls: InFlightRow[];
  /** Of the moves that tell what they sent. */
  bytes: BytesRow[];
  chances: ChanceRow[];
  /** Fitted to all moves. */
  fit: InFlightFit;
}

const LEVELS = QUANTILE_LEVELS.length;

/** Rolling in time by move: each form was fitted to moves that had finished before the judged one started. */
export function inFlightBacktest(forecasts: readonly ForecastMove[]): InFlightBacktest {
  const rows: InFlightRow[] = [];
  const polls: InFlightRow[] = [];
  const bytes: BytesRow[] = [];
  const chances: ChanceRow[] = [];
  let fit: InFlightFit | undefined;
  let fittedAt = 0;
  for (const move of forecasts) {
    const history = forecasts.filter(({ record }) => finishMs(record) <= startMs(move.record));
    if (history.length < FIRST_FORM_MOVES) continue;
    if (fit === undefined || history.length >= fittedAt * ORIGIN_GROWTH) {
      fittedAt = history.length;
      fit = fitInFlight(history);
    }
    if (isCompleted(move.record)) {
      for (const share of JUDGED_SHARES) {
        const progress = pollAt(move, share);
        if (progress === undefined) continue;
        rows.push(rowOf(move, share, progress, fit));
        if (move.record.transferred_mib! > 0) bytes.push(bytesOf(move, share, progress, fit));
      }
      for (const progress of somePolls(move)) polls.push(rowOf(move, NaN, progress, fit));
    }
    for (const progress of somePolls(move)) chances.push(chanceOf(move, progress, fit));
  }
  return { rows, polls, bytes, chances, fit: fitInFlight(forecasts) };
}

function rowOf(move: ForecastMove, share: number, progress: MoveProgress, fit: InFlightFit): InFlightRow {
  const { seconds, inputs, stream } = move.before;
  const elapsed = progress.elapsed_seconds;
  const total = (remaining: ArrayLike<number>): Float64Array =>
    Float64Array.from(remaining, (left) => elapsed + left);
  const point = (left: number): Float64Array =>
    new Float64Array(LEVELS).fill(elapsed + Math.max(LEAST_REMAINING_SECONDS, left));
  const ours = (asked: MoveProgress): Float64Array =>
    total(estimateInFlight({ ...move.before, progress: asked }, newInFlightEstimate(), fit).remaining);
  const sent = progress.transferred_mib!;
  const remaining = progress.remaining_mib!;
  const memory = inputs.memoryMib;
  const { transferred_mib, remaining_mib } = progress;
  return {
    id: move.record.id,
    share,
    elapsed,
    actual: move.record.duration_seconds,
    answers: {
      movecast: ours(progress),
      'elapsed and bytes only': ours({
        elapsed_seconds: elapsed,
        ...(transferred_mib === undefined ? {} : { transferred_mib }),
        ...(remaining_mib === undefined ? {} : { remaining_mib }),
      }),
      'elapsed only': ours({ elapsed_seconds: elapsed }),
      'before the start': Float64Array.from(seconds),
      'predicted total - elapsed': Float64Array.from(seconds, (s) =>
        Math.max(elapsed + LEAST_REMAINING_SECONDS, s),
      ),
      'linear by memory': point((elapsed * remaining) / Math.max(1, memory - remaining)),
      'linear by bytes to send': point(
        (elapsed * Math.max(0, stream.volumeMib - sent)) / Math.max(0.1, sent),
      ),
      'remaining / throughput': point(
        remaining / Math.max(0.05, mbpsToMibPerSecond(progress.throughput_mbps!)),
      ),
    },
  };
}

function bytesOf(move: ForecastMove, share: number, progress: MoveProgress, fit: InFlightFit): BytesRow {
  const { before, record } = move;
  const after = estimateInFlight({ ...before, progress }, newInFlightEstimate(), fit);
  return {
    share,
    actual: record.transferred_mib!,
    before: [before.transferredMib, before.mostTransferredMib],
    inFlight: [after.transferredMib, after.mostTransferredMib],
  };
}

function chanceOf(move: ForecastMove, progress: MoveProgress, fit: InFlightFit): ChanceRow {
  const ask = (before: QuestionBefore): number =>
    estimateInFlight({ ...before, progress }, newInFlightEstimate(), fit).completionProbability;
  const { before, beforeWithoutLimit } = move;
  return {
    id: move.record.id,
    completed: isCompleted(move.record),
    before: before.completionProbability,
    inFlight: ask(before),
    beforeWithoutLimit: beforeWithoutLimit.completionProbability,
    inFlightWithoutLimit: ask(beforeWithoutLimit),
  };
}
