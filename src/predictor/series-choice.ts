import type { SeriesClass } from './series-class.js';
import type { SeriesCandidateName } from './series-forecast.js';

/**
 * The candidate that answers for each class of series: what `npm run backtest:series` chooses and why is
 * in docs/forecasts.md.
 */
export const CHOICE: Readonly<Record<SeriesClass, SeriesCandidateName>> = {
  young: 'decomposition',
  bursty: 'mixture',
  seasonal: 'mixture',
  steady: 'mixture',
};
