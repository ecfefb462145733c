import { get, type Accuracy, type Alarms, type ListedMove, type Ready } from './api.js';
import {
  calibrationPlot,
  coverageMeter,
  errorsOverTime,
  isPredicted,
  predictedAndActual,
  type PredictedMove,
} from './charts.js';
import { figure, h, table, tag } from './elements.js';
import * as format from './format.js';
import { residualMarks } from './residual-marks.js';
import { startOf, whatIfForm } from './what-if.js';

const windows = [
  ['24h', '24 hours'],
  ['7d', '7 days'],
  ['30d', '30 days'],
  ['all', 'all'],
] as const;
const FIRST_WINDOW = '7d';

/** Moves in the charts, and in the table below them. */
const CHARTED = 300;
/** Moves drawn with their intervals: more would run into each other. */
const DRAWN_WIDE = 100;
const DRAWN_NARROW = 36;
const NARROW = '(max-width: 600px)';
const LISTED = 12;

const bases: Record<string, string> = {
  link: 'this pair of nodes',
  node: 'one of the nodes',
  cluster: 'the cluster',
  prior: 'physics alone',
};

/** The first page: can I trust the forecast? */
export async function overviewPage(ready: Ready): Promise<HTMLElement> {
  const [recent, chosen, alarms] = await Promise.all([
    get<{ moves: ListedMove[] }>('/v1/moves', { limit: String(CHARTED) }),
    firstAccuracy(),
    get<Alarms>('/v1/alarms'),
  ]);
  const moves = recent.moves;
  const verdict = h('div', {});
  const show = (accuracy: Accuracy): void =>
    verdict.replaceChildren(headline(accuracy, moves.length, ready), ...tiles(accuracy, choice));
  const choice = windowChoice(chosen.window, async (window) =>
    show(await get<Accuracy>('/v1/accuracy', { window })),
  );
  show(chosen);
  const scored = moves
    .filter(isPredicted)
    .filter(({ status }) => (status ?? 'completed') === 'completed')
    .toReversed();
  const newest = scored.at(-1) ?? moves[0];
  return h(
    'div',
    {},
    ...alarmNotices(alarms),
    verdict,
    h(
      'div',
      { class: 'panels' },
      ...(scored.length > 0 ? chartPanels(scored, chosen, alarms) : []),
      h(
        'section',
        { class: 'panel', 'aria-labelledby': 'what-if' },
        h('h2', { id: 'what-if' }, 'How long would a move take?'),
        whatIfForm(startOf(newest)),
      ),
      recentMoves(moves),
    ),
  );
}

/** What is wrong now, why, and what to do. */
function alarmNotices({ alarms, late }: Alarms): HTMLElement[] {
  const notices = alarms.map(({ reason, since, what_to_do: what }) =>
    h(
      'div',
      { class: 'notice', role: 'alert' },
      h('strong', {}, `${reason.charAt(0).toUpperCase()}${reason.slice(1)} (since ${format.when(since)}).`),
      h('span', {}, what),
    ),
  );
  const longest = late.at(-1);
  if (longest !== undefined)
    notices.push(
      h(
        'div',
        { class: 'notice', role: 'status' },
        h('strong', {}, `${format.plural(late.length, 'move')} should have finished by now.`),
        h(
          'span',
          {},
          `The longest overdue is ${longest.move_id}: 95 of 100 such moves would have finished by ${format.when(longest.expected_by)}. Has it been reported?`,
        ),
        late.length > 1 && lateMoves(late),
      ),
    );
  return notices.length === 0 ? [] : [h('div', { class: 'notices' }, ...notices)];
}

/** What is late right now, the longest overdue first. */
function lateMoves(late: Alarms['late']): HTMLElement {
  return h(
    'details',
    {},
    h('summary', {}, 'All that are late'),
    table(
      'Moves that should have finished by now, the longest overdue first',
      [{ title: 'Move' }, { title: 'Predicted' }, { title: 'Expected by' }],
      late
        .toReversed()
        .map(({ move_id: id, predicted_at: at, expected_by: by }) => [id, format.when(at), format.when(by)]),
    ),
  );
}

/** The last seven days; when nothing was scored in them, everything. */
async function firstAccuracy(): Promise<Accuracy> {
  const week = await get<Accuracy>('/v1/accuracy', { window: FIRST_WINDOW });
  return week.overall === null && week.scored_moves_ever > 0
    ? get<Accuracy>('/v1/accuracy', { window: 'all' })
    : week;
}

function headline(
  { overall, counts_by_how: how, window }: Accuracy,
  moves: number,
  ready: Ready,
): HTMLElement {
  const question = h('p', { class: 'question' }, 'Can I trust the forecast?');
  if (overall === null)
    return h(
      'div',
      { class: 'headline' },
      question,
      h('h1', {}, moves === 0 ? 'Nothing to compare with yet.' : 'No forecast has met its outcome yet.'),
      ...nothingScored(moves, ready, window),
    );
  const sentence = trust(overall);
  const backtested = how['backtest'] ?? 0;
  const asked = how['asked_before'] ?? 0;
  const origin =
    backtested === 0
      ? ` ${format.count(asked)} were predicted before they started, the others from what had finished before their start.`
      : backtested >= overall.moves
        ? ' These are from the rolling backtest of the training: each move was predicted by a model that knew only what had finished before it started.'
        : ` ${format.count(backtested)} of them are from the rolling backtest of the training, the others were scored here.`;
  return h(
    'div',
    { class: 'headline' },
    question,
    h('h1', {}, sentence),
    h(
      'p',
      { class: 'lead' },
      `${format.plural(overall.moves, 'finished move')} compared with ${overall.moves === 1 ? 'its' : 'their'} forecast.${origin}`,
    ),
  );
}

/** Up to this median error a single figure can be planned with; the literature's models reach 3 to 15 %. */
const EXACT_PERCENT = 10;
const BIASED_PERCENT = 10;

/** The answer in one sentence: first whether the ranges hold, then how exact the single figures are. */
function trust({
  coverage,
  median_ape_percent: median,
  bias_percent: bias,
}: NonNullable<Accuracy['overall']>): string {
  const narrow = coverage.find(({ verdict }) => verdict === 'too narrow');
  if (narrow !== undefined)
    return `With care: only ${format.share(narrow.share)} of moves fell inside the ${Math.round(100 * narrow.level)} % interval.`;
  if (median <= EXACT_PERCENT && Math.abs(bias) <= BIASED_PERCENT)
    return `Yes. Half of the forecasts were within ${format.percent(median)} of the actual time.`;
  return median <= EXACT_PERCENT
    ? `Mostly: forecasts are ${format.percent(Math.abs(bias))} too ${bias > 0 ? 'long' : 'short'} on average.`
    : 'Trust the ranges, not the single figures.';
}

function nothingScored(moves: number, ready: Ready, window: string): HTMLElement[] {
  if (moves === 0)
    return [
      h(
        'p',
        { class: 'lead' },
        'The store holds no moves. Read the logs that you have, or report moves as they finish:',
      ),
      h(
        'pre',
        {},
        'npx movecast collect auto /var/lib/ganeti/queue\ncurl -X POST /v1/moves  (see the HTTP interface)',
      ),
    ];
  return [
    h(
      'p',
      { class: 'lead' },
      window === 'all'
        ? `The model ${ready.model.name} was trained on the ${format.count(ready.learned_moves)} moves in the store, so it is not judged by them. The next move that is reported or collected is scored here.`
        : 'No scored move finished in this span of time. Look further back, or report moves as they finish.',
    ),
  ];
}

function windowChoice(first: string, choose: (window: string) => Promise<void>): HTMLElement {
  return h(
    'fieldset',
    {},
    h('legend', { class: 'visually-hidden' }, 'Span of time'),
    h(
      'div',
      { class: 'choice' },
      ...windows.map(([value, text]) => {
        const input = h('input', { type: 'radio', name: 'window', value, checked: value === first });
        input.addEventListener('change', () => void choose(value));
        return h('label', {}, input, text);
      }),
    ),
  );
}

function tiles(
  { overall, first_scored_at: from, last_scored_at: to }: Accuracy,
  choice: HTMLElement,
): HTMLElement[] {
  const span =
    from === null || to === null ? '' : `Moves that finished from ${format.when(from)} to ${format.when(to)}`;
  const bar = h('div', { class: 'row' }, h('p', { class: 'muted small' }, span), choice);
  if (overall === null) return [bar, h('div', { class: 'tiles' })];
  const tile = (name: string, value: Node, note: string, extra?: Node): HTMLElement =>
    h(
      'div',
      { class: 'tile' },
      h('dt', {}, name),
      h('dd', {}, value),
      extra && h('dd', {}, extra),
      h('dd', { class: 'note' }, note),
    );
  const { bias_percent: bias } = overall;
  return [
    bar,
    h(
      'dl',
      { class: 'tiles' },
      tile(
        'Mean error',
        figure(format.percentDigits(overall.mape_percent), '%'),
        `of the actual duration (MAPE). Half are within ${format.percent(overall.median_ape_percent)}, nine in ten within ${format.percent(overall.p90_ape_percent)}.`,
      ),
      tile(
        'Bias',
        figure(`${bias < 0 ? '−' : '+'}${format.percentDigits(Math.abs(bias))}`, '%'),
        `predictions are too ${bias < 0 ? 'short' : 'long'} by this on average. ${format.share(overall.worse_than_25_percent_share)} of moves were more than 25 % off.`,
      ),
      ...overall.coverage.map(({ level, share, low, high, verdict }) =>
        tile(
          `Inside the ${Math.round(100 * level)} % interval`,
          h(
            'span',
            {},
            figure((100 * share).toFixed(1), '%'),
            ' ',
            tag(verdict, verdict === 'as promised' ? 'good' : verdict === 'too narrow' ? 'warn' : 'plain'),
          ),
          `An honest interval holds ${format.share(low)} to ${format.share(high)} of so many moves.`,
          coverageMeter(level, share, low, high),
        ),
      ),
    ),
  ];
}

function chartPanels(scored: readonly PredictedMove[], accuracy: Accuracy, alarms: Alarms): HTMLElement[] {
  const drawn = scored.slice(matchMedia(NARROW).matches ? -DRAWN_NARROW : -DRAWN_WIDE);
  return [
    h(
      'section',
      { class: 'panel', 'aria-labelledby': 'chart-durations' },
      h('h2', { id: 'chart-durations' }, 'Predicted and actual'),
      h(
        'p',
        { class: 'muted' },
        `The last ${drawn.length} scored moves, oldest on the left; duration on a logarithmic scale.`,
      ),
      predictedAndActual(drawn),
      asTable(drawn),
    ),
    h(
      'section',
      { class: 'panel', 'aria-labelledby': 'chart-errors' },
      h('h2', { id: 'chart-errors' }, 'Error of each move'),
      h(
        'p',
        { class: 'muted' },
        'Above zero the prediction was too long. A line that leaves zero is a change that the model has not caught up with.',
      ),
      errorsOverTime(scored, residualMarks(scored, alarms.alarms)),
    ),
    h(
      'section',
      { class: 'panel half', 'aria-labelledby': 'chart-calibration' },
      h('h2', { id: 'chart-calibration' }, 'Does it keep its promises?'),
      h(
        'p',
        { class: 'muted' },
        'Of moves promised to end within a quantile, so many did. On the diagonal the forecast is honest; the bars are what chance allows.',
      ),
      calibrationPlot(accuracy.calibration),
    ),
    h(
      'section',
      { class: 'panel half', 'aria-labelledby': 'chart-basis' },
      h('h2', { id: 'chart-basis' }, 'What forecasts stand on'),
      h('p', { class: 'muted' }, 'The most specific history that was there for each scored move.'),
      basisBars(accuracy.counts_by_basis),
    ),
  ];
}

function asTable(scored: readonly PredictedMove[]): HTMLElement {
  const details = h('details', {}, h('summary', {}, 'The same as a table'));
  details.addEventListener(
    'toggle',
    () => {
      details.append(
        table(
          'Predicted and actual durations in seconds',
          [
            { title: 'Started' },
            { title: 'Instance' },
            { title: 'Predicted s', numeric: true },
            { title: '10 % s', numeric: true },
            { title: '90 % s', numeric: true },
            { title: 'Actual s', numeric: true },
          ],
          scored.map(
            ({ started_at, instance, duration_seconds: actual, predicted: { duration_seconds: p } }) => [
              format.when(started_at),
              instance,
              p.p50.toFixed(1),
              p.p10.toFixed(1),
              p.p90.toFixed(1),
              actual.toFixed(1),
            ],
          ),
        ),
      );
    },
    { once: true },
  );
  return details;
}

function basisBars(counts: Readonly<Record<string, number>>): HTMLElement {
  const total = Object.values(counts).reduce((sum, value) => sum + value, 0);
  return h(
    'dl',
    { class: 'bars' },
    ...Object.entries(bases).map(([key, text]) => {
      const value = counts[key] ?? 0;
      const fill = h('span', { class: 'bar-fill' });
      fill.style.width = `${total === 0 ? 0 : (100 * value) / total}%`;
      return h(
        'div',
        { class: 'bar-row' },
        h('dt', {}, h('span', {}, text)),
        h(
          'dd',
          {},
          h('span', { class: 'bar-track', 'aria-hidden': 'true' }, fill),
          h('span', { class: 'number' }, format.count(value)),
        ),
      );
    }),
  );
}

function recentMoves(moves: readonly ListedMove[]): HTMLElement {
  const section = h(
    'section',
    { class: 'panel', 'aria-labelledby': 'recent' },
    h('h2', { id: 'recent' }, 'Recent moves'),
  );
  if (moves.length === 0) {
    section.append(
      h('p', { class: 'muted' }, 'None yet. Moves appear here as they are collected or reported.'),
    );
    return section;
  }
  section.append(
    table(
      'Recent moves, newest first',
      [
        { title: 'Started' },
        { title: 'Instance' },
        { title: 'From → to' },
        { title: 'Operation' },
        { title: 'Memory', numeric: true },
        { title: 'Predicted', numeric: true },
        { title: '80 % interval', numeric: true },
        { title: 'Took', numeric: true },
        { title: 'Error', numeric: true },
      ],
      moves.slice(0, LISTED).map((move) => {
        const { predicted } = move;
        const broken = (move.status ?? 'completed') !== 'completed';
        return [
          format.when(move.started_at),
          move.instance,
          `${move.source_node} → ${move.target_node}`,
          format.operation(move.operation),
          move.memory_mib === undefined ? '–' : format.memory(move.memory_mib),
          predicted === null
            ? h('span', { class: 'muted' }, 'not scored')
            : format.seconds(predicted.duration_seconds.p50),
          predicted === null
            ? '–'
            : h(
                'span',
                { class: 'muted' },
                `${format.seconds(predicted.duration_seconds.p10)} to ${format.seconds(predicted.duration_seconds.p90)}`,
              ),
          format.seconds(move.duration_seconds),
          broken
            ? tag(move.status ?? '', 'warn')
            : predicted === null
              ? '–'
              : format.signedPercent(100 * (predicted.duration_seconds.p50 / move.duration_seconds - 1)),
        ];
      }),
    ),
  );
  return section;
}
