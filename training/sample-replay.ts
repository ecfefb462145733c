import { finishMs, startMs, type MoveRecord } from '../src/domain/move-record.js';
import type { InstanceSample } from '../src/domain/samples.js';
import { fromIsoTime } from '../src/domain/units.js';
import { ForecastInputs } from '../src/predictor/forecast-inputs.js';
import type { History } from './forecaster.js';

/** The newest samples of each kind that are replayed: at 24 us each 1.2 s of one core for each origin of a backtest. */
const MOST_SAMPLES = 50_000;

/** Moves whose background was not measured get what was forecast for their start, from samples up to it alone. */
export interface ReplayedSamples {
  moves: readonly MoveRecord[];
  /** The newest samples and all moves of the history learnt. */
  forecasts: ForecastInputs;
  /** Those that were looked at, in order of time. */
  instanceSamples: readonly InstanceSample[];
}

/** In order of time; at one moment a finish comes before a sample, and a sample before a start. O(n log n). */
export function replaySamples({
  moves,
  linkSamples: all,
  instanceSamples: allInstances = [],
}: Pick<History, 'moves' | 'linkSamples'> & Partial<Pick<History, 'instanceSamples'>>): ReplayedSamples {
  const linkSamples = all.slice(-MOST_SAMPLES);
  const instanceSamples = allInstances.slice(-MOST_SAMPLES);
  const forecasts = new ForecastInputs();
  for (const sample of instanceSamples) forecasts.learnInstanceSample(sample);
  if (linkSamples.length === 0) {
    for (const record of moves) forecasts.learnMove(record);
    return { moves, forecasts, instanceSamples };
  }
  const filled = [...moves];
  const events = [
    ...moves.map((record) => ({ atMs: finishMs(record), order: 0, act: () => forecasts.learnMove(record) })),
    ...linkSamples.map((sample) => ({
      atMs: fromIsoTime(sample.at),
      order: 1,
      act: () => forecasts.learnLinkSample(sample),
    })),
    ...moves.map((record, i) => ({
      atMs: startMs(record),
      order: 2,
      act: () => (filled[i] = forecasts.completed(record)),
    })),
  ];
  events.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
  for (const { act } of events) act();
  return { moves: filled, forecasts, instanceSamples };
}
