import type { SeriesClass } from './series-class.js';
import type { SeriesCandidateName } from './series-forecast.js';

/**
 * The candidate that answers for each class of series: the best by the mean pinball loss, relative to the last value's, in
 * `npm run backtest:series`. docs/forecasts.md has the figures.
 */
export const CHOICE: Readonly<Record<SeriesClass, SeriesCandidateName>> = {
  young: 'mixture',
  bursty: 'mixture',
  seasonal: 'mixture',
  steady: 'mixture',
};
