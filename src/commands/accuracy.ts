import { Command, Option } from 'commander';
import {
  accuracyBy,
  accuracyDimensions,
  accuracyOf,
  type AccuracyDimension,
  type AccuracyFigures,
} from '../monitor/accuracy.js';
import { readScores } from '../monitor/score.js';
import { windowMs } from '../monitor/window.js';
import { openStore } from '../store/open-store.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';

interface Options extends CommonOptions {
  window: string;
  by?: AccuracyDimension;
}

export function accuracyCommand(context: Context): Command {
  const command = new Command('accuracy')
    .option('--window <span>', 'moves that started in the last 90m, 12h, 7d, 4w, or all', '7d')
    .addOption(new Option('--by <dimension>', 'break the figures down').choices([...accuracyDimensions]));
  withCommonOptions(command, context, {
    store: true,
    examples: [
      'movecast accuracy',
      'movecast accuracy --window 30d --by link',
      'movecast accuracy --window all --json',
    ],
  });
  return command.action((options: Options) => run(options, context));
}

async function run({ window, by, store: url, json }: Options, context: Context): Promise<void> {
  const nowMs = context.now();
  const spanMs = windowMs(window, '--window');
  const store = await openStore(url, { mustExist: true });
  try {
    const { scores, moves } = await readScores(
      store,
      spanMs === undefined ? undefined : nowMs - spanMs,
      nowMs,
    );
    const overall = accuracyOf(scores);
    const groups = by === undefined ? [] : accuracyBy(scores, by);
    if (json === true) {
      context.stdout.write(
        `${JSON.stringify({ window, moves, scored_moves: scores.length, overall: overall ?? null, by: by ?? null, groups })}\n`,
      );
    } else if (overall === undefined)
      context.stdout.write(`${nothingScored(moves, scores.length, window)}\n`);
    else {
      const rows = [row('all', overall), ...groups.map(({ key, figures }) => row(key, figures))];
      context.stdout.write(`${table([header(by), ...rows])}\n\n${summary(overall, moves, window)}\n`);
    }
  } finally {
    await store.close();
  }
}

function nothingScored(moves: number, scored: number, window: string): string {
  const span = window === 'all' ? 'The store' : `The last ${window}`;
  if (moves === 0)
    return window === 'all'
      ? `${span} holds no moves; read some with movecast collect.`
      : `${span} held no moves; read some with movecast collect, or look further back with --window all.`;
  if (scored > 0)
    return `${span}: all ${scored} scored moves were broken off, so there is no duration to compare with.`;
  return `${span}: ${moves} moves, none with a prediction kept; movecast serve scores moves as they are reported, movecast backtest scores the past.`;
}

function summary(overall: AccuracyFigures, moves: number, window: string): string {
  const span = window === 'all' ? 'ever' : `in the last ${window}`;
  const share = (value: number): string => `${(100 * value).toFixed(1)} %`;
  const coverage = overall.coverage
    .map(
      ({ level, share: inside, low, high, verdict }) =>
        `${Math.round(100 * level)} % intervals held ${share(inside)} (${verdict}; by chance ${share(low)} to ${share(high)})`,
    )
    .join('; ');
  return `${overall.moves} of ${moves} moves ${span} have a prediction to compare with. ${coverage}.`;
}

const header = (by: AccuracyDimension | undefined): string[] => [
  by ?? '',
  'moves',
  'MAPE %',
  'median %',
  'p90 %',
  'bias %',
  'worse than 25 %',
  'in 80 %',
  'in 90 %',
];

function row(key: string, figures: AccuracyFigures): string[] {
  return [
    // eslint-disable-next-line no-control-regex
    key.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?'),
    String(figures.moves),
    figures.mape_percent.toFixed(1),
    figures.median_ape_percent.toFixed(1),
    figures.p90_ape_percent.toFixed(1),
    `${figures.bias_percent >= 0 ? '+' : ''}${figures.bias_percent.toFixed(1)}`,
    `${(100 * figures.worse_than_25_percent_share).toFixed(1)} %`,
    ...figures.coverage.map(({ share }) => `${(100 * share).toFixed(1)} %`),
  ];
}

/** Columns of text: the first to the left, the others to the right. */
function table(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)));
  return rows
    .map((cells) =>
      cells
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
