// How well the remaining time of running moves is forecast, beside naive marks: npm run marks:inflight [-- --write]
// With --write the form is fitted to all moves anew and written to src/predictor/in-flight-fit.ts.
import { readFileSync, writeFileSync } from 'node:fs';
import { QUANTILE_LEVELS } from '../../src/domain/prediction.js';
import { inFlightFeatures, chanceFeatures } from '../../src/predictor/in-flight.js';
import type { InFlightFit } from '../../src/predictor/in-flight-fit.js';
import {
  forecastMoves,
  inFlightBacktest,
  JUDGED_SHARES,
  type BytesRow,
  type ChanceRow,
  type InFlightRow,
} from '../../training/in-flight-backtest.js';
import { readLabPolls } from '../../training/move-polls.js';
import { brierScore, reliabilityTable } from '../../training/reliability.js';

const SEED = 7;
const FIT_FILE = 'src/predictor/in-flight-fit.ts';
const median = (values: number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
const percent = (share: number): string => (100 * share).toFixed(1);
const isPoint = (name: string): boolean => name.startsWith('linear') || name.startsWith('remaining');

function table(rows: readonly InFlightRow[]): void {
  const names = Object.keys(rows[0]!.answers);
  const lines = [
    [
      `${rows.length} polls`,
      'total: MAPE',
      'median',
      'remaining: median',
      'pinball',
      'in 80',
      'in 90',
      'width 80',
    ],
  ];
  for (const name of names) {
    const of = rows.map((row) => ({ ...row, q: row.answers[name]! }));
    const errors = of.map(({ q, actual }) => Math.abs(q[2]! / actual - 1));
    const left = of.map(({ q, actual, elapsed }) =>
      Math.abs(Math.max(0, q[2]! - elapsed) / (actual - elapsed) - 1),
    );
    const pinball = of.map(({ q, actual }) =>
      mean(QUANTILE_LEVELS.map((p, j) => Math.max(p * (actual - q[j]!), (p - 1) * (actual - q[j]!)))),
    );
    const inside = (low: number, high: number): string =>
      isPoint(name)
        ? '-'
        : percent(mean(of.map(({ q, actual }) => Number(actual >= q[low]! && actual <= q[high]!))));
    const scale = median(of.map(({ actual }) => actual));
    lines.push([
      name,
      percent(mean(errors)),
      percent(median(errors)),
      percent(median(left)),
      percent(mean(pinball) / scale),
      inside(1, 3),
      inside(0, 4),
      isPoint(name) ? '-' : percent(median(of.map(({ q }) => (q[3]! - q[1]!) / q[2]!))),
    ]);
  }
  const widths = lines[0]!.map((_, k) => Math.max(...lines.map((line) => line[k]!.length)));
  for (const line of lines)
    console.log(
      line.map((cell, k) => (k === 0 ? cell.padEnd(widths[k]!) : cell.padStart(widths[k]!))).join('  '),
    );
}

const moves = forecastMoves(readLabPolls('data/qemu-lab'), SEED);
const { rows, polls, bytes, chances, fit } = inFlightBacktest(moves);
console.log(
  `In flight on data/qemu-lab, rolling in time by move; seed ${SEED}. Errors, pinball and widths in percent, of the total\n` +
    'duration but for "remaining"; a poll is the last one at or before a share of the way.',
);
for (const share of JUDGED_SHARES) {
  console.log(`\nat ${100 * share} % of the way`);
  table(rows.filter((row) => row.share === share));
}
console.log('\nat up to 12 polls of each move, evenly while it ran');
table(polls);

console.log('\nWhat the whole move sends               MAPE  p50 holds  p90 holds  p90 over p50');
for (const share of JUDGED_SHARES)
  for (const [name, quantiles] of [
    ['before the start', ({ before }) => before],
    ['in flight', ({ inFlight }) => inFlight],
  ] as [string, (row: BytesRow) => readonly [number, number]][]) {
    const at = bytes.filter((row) => row.share === share);
    const meanOf = (one: (actual: number, p50: number, p90: number) => number): number =>
      mean(at.map((row) => one(row.actual, ...quantiles(row))));
    console.log(
      `  at ${100 * share} %, ${name}`.padEnd(36) +
        percent(meanOf((actual, p50) => Math.abs(p50 / actual - 1))).padStart(8) +
        percent(meanOf((actual, p50) => Number(actual <= p50))).padStart(11) +
        percent(meanOf((actual, _, p90) => Number(actual <= p90))).padStart(11) +
        meanOf((_actual, p50, p90) => p90 / p50)
          .toFixed(2)
          .padStart(14),
    );
  }

console.log('\nChance to complete, at up to 12 polls of each move: Brier score (each move counts the same)');
const weights = new Map<string, number>();
for (const { id } of chances) weights.set(id, (weights.get(id) ?? 0) + 1);
const of = (p: (row: ChanceRow) => number) =>
  chances.map((row) => ({ p: p(row), outcome: row.completed, weight: 1 / weights.get(row.id)! }));
const base = mean([...weights.keys()].map((id) => Number(chances.find((row) => row.id === id)!.completed)));
for (const [name, p] of [
  ['share of all moves, known afterwards', () => base],
  ['before the start, time-out known', (row) => row.before],
  ['in flight, time-out known', (row) => row.inFlight],
  ['before the start, time-out not known', (row) => row.beforeWithoutLimit],
  ['in flight, time-out not known', (row) => row.inFlightWithoutLimit],
] as [string, (row: ChanceRow) => number][])
  console.log(`  ${name.padEnd(40)} ${brierScore(of(p)).toFixed(4)}`);
console.log('\nReliability in flight, time-out not known');
console.log(reliabilityTable(of((row) => row.inFlightWithoutLimit)));

console.log('Weights of the form, fitted to all moves');
fit.weights.forEach((weight, j) => console.log(`  ${inFlightFeatures[j]!.padEnd(36)} ${weight.toFixed(3)}`));
console.log('Weights of the chance to complete: time-out known, not known');
chanceFeatures.forEach((name, j) =>
  console.log(
    `  ${name.padEnd(36)} ${fit.chance_within_limit[j]!.toFixed(3).padStart(7)} ${fit.chance[j]!.toFixed(3).padStart(7)}`,
  ),
);
if (process.argv.includes('--write')) write(fit);

/** Three digits after the point: finer than the data can tell. */
function write(fitted: InFlightFit): void {
  const round = (x: number): number => Math.round(x * 1000) / 1000 + 0;
  const list = (values: readonly number[]): string => `[${values.map(round).join(', ')}]`;
  const text = readFileSync(FIT_FILE, 'utf8');
  const at = text.indexOf('export const IN_FLIGHT_FIT');
  writeFileSync(
    FIT_FILE,
    `${text.slice(0, at)}export const IN_FLIGHT_FIT: InFlightFit = {
  weights: ${list(fitted.weights)},
  knots: ${list(fitted.knots)},
  errors: [
${fitted.errors.map((row) => `    ${list(row)},`).join('\n')}
  ],
  chance_within_limit: ${list(fitted.chance_within_limit)},
  chance: ${list(fitted.chance)},
};
`,
  );
  console.log(`written to ${FIT_FILE}; run npm run format`);
}
