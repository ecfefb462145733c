import { DEFAULT_CLUSTER, type MoveRecord } from '../src/domain/move-record.js';
import type { InstanceSample } from '../src/domain/samples.js';
import { implausibility } from '../src/predictor/plausibility.js';
import { KnownInputs } from '../src/predictor/known-inputs.js';
import { inputsOfRecord, type MoveInputs } from '../src/predictor/move-inputs.js';
import type { MoveTable } from './move-table.js';
import { SampleFeed } from './sample-feed.js';

/**
 * The inputs of every move with what was filled in from moves that had finished, and samples that had been taken, when it
 * started: what a prediction would have gone by. `samples` in order of time. O(n).
 */
export function inputsAtStart(
  table: MoveTable,
  samples: readonly InstanceSample[] = [],
): Map<MoveRecord, MoveInputs> {
  const { records, startMs, finishMs, byFinish } = table;
  const known = new KnownInputs();
  const feed = new SampleFeed(samples, (sample) =>
    known.learnSample(sample.cluster ?? DEFAULT_CLUSTER, sample),
  );
  const inputs = new Map<MoveRecord, MoveInputs>();
  let finished = 0;
  records.forEach((record, i) => {
    while (finished < byFinish.length && finishMs[byFinish[finished]!]! <= startMs[i]!) {
      const f = byFinish[finished++]!;
      if (implausibility(records[f]!) === undefined) known.learn(inputsOfRecord(records[f]!), finishMs[f]!);
    }
    feed.until(startMs[i]!);
    const own = inputsOfRecord(record);
    known.fill(own);
    inputs.set(record, own);
  });
  return inputs;
}
