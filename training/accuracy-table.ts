import type { Accuracy } from './accuracy.js';

const columns: readonly [title: string, of: (accuracy: Accuracy) => string][] = [
  ['moves', (a) => String(a.moves)],
  ['MAPE', (a) => percent(a.mape)],
  ['median', (a) => percent(a.median_ape)],
  ['p90', (a) => percent(a.p90_ape)],
  ['bias', (a) => a.log_bias.toFixed(3)],
  ['>25 %', (a) => percent(a.worse_than_25)],
  ['pinball', (a) => percent(a.pinball)],
  ['in 80', (a) => a.coverage_80.toFixed(1)],
  ['width', (a) => percent(a.width_80)],
  ['in 90', (a) => a.coverage_90.toFixed(1)],
  ['width', (a) => percent(a.width_90)],
];

const percent = (value: number): string => (value >= 1000 ? value.toExponential(1) : value.toFixed(1));

/** A table for a terminal: one line a name, all figures but the bias in percent. */
export function accuracyTable(title: string, accuracies: ReadonlyMap<string, Accuracy>): string {
  const lines = [[title, ...columns.map(([name]) => name)]];
  for (const [name, accuracy] of accuracies) lines.push([name, ...columns.map(([, of]) => of(accuracy))]);
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
  const lines = [
    `| ${[title, ...columns.map(([name]) => name)].join(' | ')} |`,
    `| --- |${columns.map(() => ' ---: |').join('')}`,
  ];
  for (const [name, accuracy] of accuracies)
    lines.push(`| ${[name, ...columns.map(([, of]) => of(accuracy))].join(' | ')} |`);
  return `${lines.join('\n')}\n`;
}
