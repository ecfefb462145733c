import type { Accuracy } from './accuracy.js';
import type { Interval } from './bootstrap.js';

type Column = readonly [title: string, of: (accuracy: Accuracy) => string];

const MAPE_INTERVAL: Column = ['95 % of MAPE', (a) => interval(a.intervals_95?.mape)];
const PINBALL_INTERVAL: Column = ['95 % of pinball', (a) => interval(a.intervals_95?.pinball)];

const columns: readonly Column[] = [
  ['moves', (a) => String(a.moves)],
  ['MAPE', (a) => percent(a.mape)],
  MAPE_INTERVAL,
  ['median', (a) => percent(a.median_ape)],
  ['p90', (a) => percent(a.p90_ape)],
  ['bias', (a) => a.log_bias.toFixed(3)],
  ['>25 %', (a) => percent(a.worse_than_25)],
  ['pinball', (a) => percent(a.pinball)],
  PINBALL_INTERVAL,
  ['in 80', (a) => a.coverage_80.toFixed(1)],
  ['width', (a) => percent(a.width_80)],
  ['in 90', (a) => a.coverage_90.toFixed(1)],
  ['width', (a) => percent(a.width_90)],
];

const percent = (value: number): string => (value >= 1000 ? value.toExponential(1) : value.toFixed(1));

const interval = (of: Interval | undefined): string =>
  of === undefined ? NO_INTERVAL : `${percent(of[0])} to ${percent(of[1])}`;
/** One instance alone says nothing about others. */
const NO_INTERVAL = '-';

/** Columns of intervals are shown where there are any. */
const columnsFor = (
  accuracies: ReadonlyMap<string, Accuracy>,
  intervals: readonly Column[],
): readonly Column[] => {
  const has = [...accuracies.values()].some((a) => a.intervals_95 !== undefined);
  return columns.filter(
    (column) =>
      (column !== MAPE_INTERVAL && column !== PINBALL_INTERVAL) || (has && intervals.includes(column)),
  );
};

/** A table for a terminal: one line a name, all figures but the bias in percent. */
export function accuracyTable(title: string, accuracies: ReadonlyMap<string, Accuracy>): string {
  const shown = columnsFor(accuracies, [MAPE_INTERVAL]); // both would be wider than a terminal
  const lines = [[title, ...shown.map(([name]) => name)]];
  for (const [name, accuracy] of accuracies) lines.push([name, ...shown.map(([, of]) => of(accuracy))]);
  const widths = lines[0]!.map((_, j) => Math.max(...lines.map((line) => line[j]!.length)));
  return lines
    .map((line) =>
      line.map((cell, j) => (j === 0 ? cell.padEnd(widths[j]!) : cell.padStart(widths[j]!))).join('  '),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** The same as a Markdown table, for a model's card. */
export function accuracyMarkdown(title: string, accuracies: ReadonlyMap<string, Accuracy>): string {
  const shown = columnsFor(accuracies, [MAPE_INTERVAL, PINBALL_INTERVAL]);
  const lines = [
    `| ${[title, ...shown.map(([name]) => name)].join(' | ')} |`,
    `| --- |${shown.map(() => ' ---: |').join('')}`,
  ];
  for (const [name, accuracy] of accuracies)
    lines.push(`| ${[name, ...shown.map(([, of]) => of(accuracy))].join(' | ')} |`);
  return `${lines.join('\n')}\n`;
}
