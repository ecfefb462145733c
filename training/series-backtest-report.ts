/** `npm run backtest:series`: every candidate on every series, by class, and what is chosen. */
import { seriesCandidates } from '../src/predictor/series-forecast.js';
import { backtestSeries, chosen, scoresByClass, type SeriesScore } from './series-backtest.js';
import { readLabSeries, readNabSeries } from './series-data.js';

const series = [...readNabSeries('data/nab-aws'), ...readLabSeries('data/qemu-lab/link-samples.csv')];
const scores: SeriesScore[] = [];
for (const one of series)
  for (const candidate of seriesCandidates.filter((name) => name !== 'network'))
    scores.push(backtestSeries(one, candidate));

const names = [...new Set(scores.map((s) => s.candidate))];
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
console.log("Mean pinball loss as a share of the last value's, by series\n");
for (const { name } of series) {
  const own = scores.filter((s) => s.series === name);
  const naive = own.find((s) => s.candidate === 'last-value')!;
  console.log(
    `${name.padEnd(40)} ${naive.class.padEnd(8)} ${String(naive.forecasts).padStart(5)}  ${names
      .map((c) => (own.find((s) => s.candidate === c)!.pinball / naive.pinball).toFixed(3).padStart(7))
      .join(' ')}  ${own.at(-1)!.covered80.toFixed(3)} ${own.at(-1)!.covered90.toFixed(3)}`,
  );
}
console.log(`\n${'class'.padEnd(10)} ${'candidate'.padEnd(16)} series   loss   in 80 %   in 90 %`);
const classes = scoresByClass(scores);
for (const s of classes)
  console.log(
    `${s.class.padEnd(10)} ${s.candidate.padEnd(16)} ${String(s.series).padStart(6)}  ${s.relativeLoss.toFixed(3)}  ${percent(s.covered80).padStart(7)}  ${percent(s.covered90).padStart(7)}`,
  );
console.log(`\nchosen: ${JSON.stringify(chosen(classes))}`);
