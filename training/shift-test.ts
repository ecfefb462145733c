import { median } from 'simple-statistics';
import { DEFAULT_CLUSTER, isCompleted, type MoveRecord } from '../src/domain/move-record.js';
import { newEstimate } from '../src/predictor/duration-model.js';
import { durationModelOf } from '../src/predictor/load-predictor.js';
import { inputsOfRecord } from '../src/predictor/move-inputs.js';
import { FIRST_ORIGIN_MOVES, SHIFT_FACTOR } from './backtest.js';
import { fitModel } from './fit.js';
import { moveTable } from './move-table.js';

/** The median error over so many moves says how good predictions are just now. */
const WINDOW = 20;
/** Recovered: no more than this many times the median error before the shift. */
const RECOVERED_FACTOR = 1.25;

/** How a model reacts when durations of one cluster grow by a quarter (a bandwidth that drops by 20 %). */
export interface ShiftReaction {
  cluster: string;
  /** Moves of the cluster from the shift until the first alarm; undefined when there was none. */
  noticedAfter: number | undefined;
  /** Moves of the cluster from the shift until the median error is what it was before. */
  recoveredAfter: number | undefined;
  /** Moves of the cluster from the shift on. */
  shiftedMoves: number;
  /** Alarms where nothing shifts, … */
  falseAlarms: number;
  /** … in so many moves. */
  moves: number;
}

const clusterOf = (record: MoveRecord): string => record.cluster ?? DEFAULT_CLUSTER;

/** The reaction in each cluster that has enough moves for a fit to a part of them, in the order in which they first appear. */
export function shiftReactions(records: readonly MoveRecord[]): ShiftReaction[] {
  const finished = records.filter(isCompleted);
  const clusters = [...new Set(finished.map(clusterOf))];
  return clusters
    .filter(
      (cluster) => finished.filter((record) => clusterOf(record) === cluster).length >= FIRST_ORIGIN_MOVES,
    )
    .map((cluster) => shiftReaction(finished, cluster));
}

/**
 * Fits to the first third of a cluster's moves, then shows it the rest, with durations a quarter longer from the middle
 * of the rest on; and once more without the shift, to count false alarms. Measured moves, altered for the test.
 */
export function shiftReaction(records: readonly MoveRecord[], cluster: string): ShiftReaction {
  const table = moveTable(records.filter((record) => clusterOf(record) === cluster));
  const inOrder = Array.from(table.byFinish, (i) => table.records[i]!);
  const first = Math.floor(inOrder.length / 3);
  const shiftAt = Math.floor((2 * inOrder.length) / 3);
  const file = fitModel(inOrder.slice(0, first), { name: 'shift', seed: 1 });
  const run = (factorFrom: number): { errors: number[]; alarmsAt: number[] } => {
    const model = durationModelOf(file);
    const errors: number[] = [];
    const alarmsAt: number[] = [];
    let alarms = model.shiftAlarms;
    for (let i = first; i < inOrder.length; i++) {
      const factor = i >= factorFrom ? SHIFT_FACTOR : 1;
      const record = { ...inOrder[i]!, duration_seconds: inOrder[i]!.duration_seconds * factor };
      const inputs = inputsOfRecord(record);
      model.fillKnown(inputs);
      const predicted = model.estimate(inputs, newEstimate()).seconds[2]!;
      errors.push(Math.abs(predicted / record.duration_seconds - 1));
      model.learn(record);
      if (model.shiftAlarms > alarms) alarmsAt.push(i);
      alarms = model.shiftAlarms;
    }
    return { errors, alarmsAt };
  };
  const quiet = run(Infinity);
  const shifted = run(shiftAt);
  const before = median(shifted.errors.slice(0, shiftAt - first));
  let recoveredAfter: number | undefined;
  for (let i = shiftAt; i + WINDOW <= inOrder.length; i++) {
    const now = median(shifted.errors.slice(i - first, i - first + WINDOW));
    if (now <= before * RECOVERED_FACTOR) {
      recoveredAfter = i - shiftAt;
      break;
    }
  }
  const noticed = shifted.alarmsAt.find((i) => i >= shiftAt);
  return {
    cluster,
    noticedAfter: noticed === undefined ? undefined : noticed - shiftAt + 1,
    recoveredAfter,
    shiftedMoves: inOrder.length - shiftAt,
    falseAlarms: quiet.alarmsAt.length,
    moves: inOrder.length - first,
  };
}

/** A table for a terminal: one line a cluster. */
export function shiftTable(reactions: readonly ShiftReaction[]): string {
  const after = (moves: number | undefined): string => (moves === undefined ? 'never' : `${moves} moves`);
  const lines = [
    ['cluster', 'noticed after', 'recovered after', 'of moves', 'false alarms'],
    ...reactions.map(({ cluster, noticedAfter, recoveredAfter, shiftedMoves, falseAlarms, moves }) => [
      cluster,
      after(noticedAfter),
      after(recoveredAfter),
      String(shiftedMoves),
      `${falseAlarms} in ${moves}`,
    ]),
  ];
  const widths = lines[0]!.map((_, j) => Math.max(...lines.map((line) => line[j]!.length)));
  return lines
    .map((line) =>
      line.map((cell, j) => (j === 0 ? cell.padEnd(widths[j]!) : cell.padStart(widths[j]!))).join('  '),
    )
    .map((line) => `${line}\n`)
    .join('');
}
