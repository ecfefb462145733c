import { finishMs, isCompleted, type MoveRecord } from '../src/domain/move-record.js';
import { newEstimate, type DurationEstimate, type DurationModel } from '../src/predictor/duration-model.js';
import { durationModelOf } from '../src/predictor/load-predictor.js';
import { Capability, inputsOfRecord } from '../src/predictor/move-inputs.js';
import { FIRST_ORIGIN_MOVES } from './backtest.js';
import { fitModel } from './fit.js';
import { moveTable } from './move-table.js';

const ORIGIN_GROWTH = 1.1;

/** What was predicted of one move besides its duration, and what came. */
export interface OutcomeRow {
  record: MoveRecord;
  completed: boolean;
  /** Chance to complete: with the manager's time-out known where the record has it, and as if it had not. */
  chance: number;
  chanceWithoutLimit: number;
  /** Median and 90 % quantile. */
  downtimeMs: readonly [number, number];
  transferredMib: readonly [number, number];
  /** The plainest guesses: the mean of what completed moves had, the memory of the instance. */
  meanDowntimeMs: number;
  /** multifd does not count what its channels send. */
  countsTransferred: boolean;
}

/** In order of time, as in service: the protocol `rolling` of the backtest of durations. */
export function outcomeBacktest(records: readonly MoveRecord[], seed: number): OutcomeRow[] {
  const table = moveTable(records);
  const rows: OutcomeRow[] = [];
  const history: MoveRecord[] = [];
  let model: DurationModel | undefined;
  let finished = 0;
  let fittedAt = 0;
  let downtimes = 0;
  let downtimeSum = 0;
  table.records.forEach((record, i) => {
    const nowMs = table.startMs[i]!;
    for (; finished < table.byFinish.length; finished++) {
      const done = table.records[table.byFinish[finished]!]!;
      if (finishMs(done) > nowMs) break;
      model?.learn(done);
      history.push(done);
      if (isCompleted(done) && done.downtime_ms !== undefined) {
        downtimes++;
        downtimeSum += done.downtime_ms;
      }
    }
    if (history.length < FIRST_ORIGIN_MOVES) return;
    if (model === undefined || history.length >= fittedAt * ORIGIN_GROWTH) {
      fittedAt = history.length;
      model = durationModelOf(fitModel(history.slice(), { name: 'outcomes', seed }));
    }
    const inputs = inputsOfRecord(record);
    model.fillKnown(inputs);
    const estimate = model.estimate(inputs, newEstimate());
    rows.push({
      record,
      completed: isCompleted(record),
      chance: estimate.completionProbability,
      chanceWithoutLimit: model.estimate({ ...inputs, timeoutSeconds: NaN }, newEstimate())
        .completionProbability,
      downtimeMs: estimate.downtimeMs,
      transferredMib: transferredOf(estimate),
      meanDowntimeMs: downtimeSum / Math.max(1, downtimes),
      countsTransferred: (inputs.capabilities & Capability.multifd) === 0,
    });
  });
  return rows;
}

const transferredOf = ({ transferredMib, mostTransferredMib }: DurationEstimate): [number, number] => [
  transferredMib,
  mostTransferredMib,
];
