import { Decomposition } from './series-decomposition.js';
import { HoltWinters } from './series-holt-winters.js';
import { HourOfWeekMedian } from './series-hour-of-week.js';
import { LastValue } from './series-last-value.js';
import type { SeriesModel } from './series-model.js';
import { SeasonalNaive } from './series-seasonal-naive.js';

/** Models that say a middle; their bands are their own last errors. */
export const pointModels = {
  'last-value': () => new LastValue(),
  'seasonal-naive': (stepMs: number) => new SeasonalNaive(stepMs),
  'hour-of-week': (stepMs: number) => new HourOfWeekMedian(stepMs),
  'holt-winters': (stepMs: number) => new HoltWinters(stepMs),
  decomposition: (stepMs: number) => new Decomposition(stepMs),
} satisfies Record<string, (stepMs: number) => SeriesModel>;
export type PointModelName = keyof typeof pointModels;
