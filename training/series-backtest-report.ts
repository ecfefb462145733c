/**
 * `npm run backtest:series`: every candidate on every series, by class, and what is chosen. With `-- --write` choice and
 * scores go into src/predictor/series-choice.ts.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { seriesCandidates, type SeriesCandidateName } from '../src/predictor/series-forecast.js';
import type { NetworkWeights } from '../src/predictor/series-network.js';
import { backtestSeries, chosen, scoresByClass, type SeriesScore } from './series-backtest.js';
import { readLabSeries, readNabSeries } from './series-data.js';
import { seriesRows, trainSeriesNetwork, weightsOf } from './series-network-training.js';
import { loadTensorFlow } from './series-tensorflow.js';

const SEED = 1;
const CHOICE_FILE = 'src/predictor/series-choice.ts';

const series = [...readNabSeries('data/nab-aws'), ...readLabSeries('data/qemu-lab/link-samples.csv')];
const networks = await leaveOneOutNetworks();
const scores: SeriesScore[] = [];
for (const one of series)
  for (const candidate of seriesCandidates)
    scores.push(backtestSeries(one, candidate, networks.get(one.group)));

printSeries();
const classes = scoresByClass(scores);
printClasses();
const { choice, reasons } = chosen(classes);
console.log('\nChosen');
for (const [name, candidate] of Object.entries(choice))
  console.log(`  ${name.padEnd(9)} ${candidate}: ${reasons[name]}`);
if (process.argv.includes('--write')) writeChoice();

/** For each group of series the network that was trained on all the others: it is scored on what it has never seen. */
async function leaveOneOutNetworks(): Promise<Map<string, NetworkWeights>> {
  const tensorFlow = await loadTensorFlow();
  console.log(`TensorFlow.js computes with its backend ${tensorFlow.backend}`);
  const ofGroups = new Map<string, NetworkWeights>();
  for (const group of new Set(series.map((one) => one.group))) {
    const startedMs = performance.now();
    const rows = seriesRows(
      series.filter((one) => one.group !== group),
      SEED,
    );
    const model = await trainSeriesNetwork(tensorFlow, rows, SEED);
    ofGroups.set(group, weightsOf(model));
    model.dispose();
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
    console.log(`  trained without ${group}: ${rows.targets.length} rows in ${seconds} s`);
  }
  return ofGroups;
}

function printSeries(): void {
  console.log("\nMean pinball loss as a share of the last value's");
  const header = ['series', 'class', 'forecasts', ...seriesCandidates];
  printTable([
    header,
    ...series.map(({ name }) => {
      const of = (candidate: SeriesCandidateName): SeriesScore =>
        scores.find((score) => score.series === name && score.candidate === candidate)!;
      const naive = of('last-value');
      return [
        name,
        naive.class,
        String(naive.forecasts),
        ...seriesCandidates.map((candidate) => (of(candidate).pinball / naive.pinball).toFixed(3)),
      ];
    }),
  ]);
}

function printClasses(): void {
  console.log(
    "\nBy class: geometric mean over series of the loss as a share of the last value's, and coverage",
  );
  printTable([
    ['class', 'candidate', 'series', 'loss', 'in p10-p90', 'in p05-p95'],
    ...classes.map((score) => [
      score.class,
      score.candidate,
      String(score.series),
      score.relativeLoss.toFixed(3),
      `${(100 * score.covered80).toFixed(1)} %`,
      `${(100 * score.covered90).toFixed(1)} %`,
    ]),
  ]);
}

function writeChoice(): void {
  const rounded = classes.map((score) => ({
    ...score,
    relativeLoss: Number(score.relativeLoss.toFixed(3)),
    covered80: Number(score.covered80.toFixed(3)),
    covered90: Number(score.covered90.toFixed(3)),
  }));
  const text = readFileSync(CHOICE_FILE, 'utf8');
  const head = text.slice(0, text.indexOf('export const CHOICE'));
  writeFileSync(
    CHOICE_FILE,
    `${head}export const CHOICE: Readonly<Record<SeriesClass, SeriesCandidateName>> = ${JSON.stringify(choice)};

export const SERIES_SCORES: readonly ClassScore[] = ${JSON.stringify(rounded)};
`,
  );
  console.log(`written to ${CHOICE_FILE}; run npm run format`);
}

function printTable(rows: readonly string[][]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const isText = rows[0]!.map((_, column) => Number.isNaN(Number.parseFloat(rows[1]![column]!)));
  for (const row of rows)
    console.log(
      row.map((cell, c) => (isText[c] ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join('  '),
    );
}
