import { median } from 'simple-statistics';
import { isCompleted } from '../../src/domain/move-record.js';
import type { MoveInputs } from '../../src/predictor/move-inputs.js';
import { forecasterOf, type Candidate } from '../forecaster.js';

/** The median of so many last moves. */
const WINDOW = 20;

/** Median of the last 20 completed moves with the same key; without one, of the last 20 of all. */
function rollingMedian(name: string, summary: string, keyOf: (inputs: MoveInputs) => string): Candidate {
  return {
    name,
    kind: 'naive',
    summary,
    fit(history) {
      const windows = new Map<string, number[]>();
      const all: number[] = [];
      return forecasterOf(
        {
          seconds(inputs) {
            const window = windows.get(keyOf(inputs)) ?? all;
            return window.length === 0 ? NaN : median(window);
          },
          learn(record, inputs) {
            if (!isCompleted(record)) return;
            const key = keyOf(inputs);
            let window = windows.get(key);
            if (window === undefined) windows.set(key, (window = []));
            for (const values of [window, all]) {
              values.push(record.duration_seconds);
              if (values.length > WINDOW) values.shift();
            }
          },
        },
        history,
      );
    },
  };
}

export const medianOfInstance = rollingMedian(
  'median-of-instance',
  'median of the last 20 moves of the same instance',
  (inputs) => JSON.stringify([inputs.cluster, inputs.operation, inputs.instance]),
);

export const medianOfPair = rollingMedian(
  'median-of-pair',
  'median of the last 20 moves between the same nodes',
  (inputs) => JSON.stringify([inputs.cluster, inputs.operation, inputs.sourceNode, inputs.targetNode]),
);

/** What moves of one flavour have in common, within a cluster and operation. */
export const flavourOf = ({ cluster, operation, memoryMib, diskMib, vcpus }: MoveInputs): string =>
  JSON.stringify([cluster, operation, memoryMib, diskMib, vcpus]);

export const medianOfFlavour = rollingMedian(
  'median-of-flavour',
  'median of the last 20 moves of the same memory, disk and vcpus',
  flavourOf,
);
