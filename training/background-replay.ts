import { finishMs, startMs, type MoveRecord } from '../src/domain/move-record.js';
import { fromIsoTime } from '../src/domain/units.js';
import { BackgroundForecasts } from '../src/predictor/background-forecasts.js';
import { inputsOfRecord } from '../src/predictor/move-inputs.js';
import type { History } from './forecaster.js';

/** The newest samples that are replayed: at 24 us each 1.2 s of one core for each origin of a backtest. */
const MOST_SAMPLES = 50_000;

/** Moves whose background was not measured get what was forecast for their start, from samples up to it alone. */
export interface ReplayedBackground {
  moves: readonly MoveRecord[];
  /** All samples and moves of the history learnt. */
  forecasts: BackgroundForecasts;
}

/** In order of time; at one moment a finish comes before a sample, and a sample before a start. O(n log n). */
export function replayBackground({
  moves,
  linkSamples: all,
}: Pick<History, 'moves' | 'linkSamples'>): ReplayedBackground {
  const linkSamples = all.slice(-MOST_SAMPLES);
  const forecasts = new BackgroundForecasts();
  if (linkSamples.length === 0) {
    for (const record of moves) forecasts.learnMove(record);
    return { moves, forecasts };
  }
  const filled = [...moves];
  const events = [
    ...moves.map((record) => ({ atMs: finishMs(record), order: 0, act: () => forecasts.learnMove(record) })),
    ...linkSamples.map((sample) => ({
      atMs: fromIsoTime(sample.at),
      order: 1,
      act: () => forecasts.learnSample(sample),
    })),
    ...moves.map((record, i) => ({
      atMs: startMs(record),
      order: 2,
      act: () => (filled[i] = forecasts.completed(record, inputsOfRecord(record))),
    })),
  ];
  events.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
  for (const { act } of events) act();
  return { moves: filled, forecasts };
}
