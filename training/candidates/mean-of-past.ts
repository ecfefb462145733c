import { isCompleted } from '../../src/domain/move-record.js';
import { forecasterOf, type Candidate } from '../forecaster.js';

/** The mean of all past moves of the same operation: what VMware's DRS does. */
export const meanOfPast: Candidate = {
  name: 'mean-of-past',
  kind: 'naive',
  summary: 'mean of all past moves',
  fit(history) {
    const sums = new Map<string, { sum: number; count: number }>();
    return forecasterOf(
      {
        seconds(inputs) {
          const seen = sums.get(inputs.operation);
          return seen === undefined ? NaN : seen.sum / seen.count;
        },
        learn(record, inputs) {
          if (!isCompleted(record)) return;
          const seen = sums.get(inputs.operation) ?? { sum: 0, count: 0 };
          seen.sum += record.duration_seconds;
          seen.count++;
          sums.set(inputs.operation, seen);
        },
      },
      history,
    );
  },
};
