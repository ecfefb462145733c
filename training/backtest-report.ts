import { quantileSorted } from 'simple-statistics';
import { DEFAULT_CLUSTER, finishMs, startMs, type MoveRecord } from '../src/domain/move-record.js';
import { accuracyBy, apeOf, type Accuracy } from './accuracy.js';
import { completedRows, protocols, type BacktestRow, type Protocol } from './backtest.js';
import { accuracyIntervals, type Interval } from './bootstrap.js';
import { dataHash } from './data-hash.js';
import { dataRemarks } from './data-remarks.js';
import type { Candidate } from './forecaster.js';
import { mainGroups, moveGroups, type GroupOf, type MoveGroups } from './move-groups.js';
import { moveTable, type MoveTable } from './move-table.js';
import {
  calibrationOf,
  coverageVerdict,
  finishedBefore,
  isIn90,
  learningCurve,
  residualOf,
  residualWindows,
} from './report-figures.js';
import {
  decadeTicks,
  escapeHtml,
  htmlTable,
  linearAxis,
  logAxis,
  rowPlot,
  xyPlot,
  type Axis,
  type Cell,
  type Column,
  type Layer,
  type PlotRow,
} from './report-plots.js';
import { REPORT_STYLE } from './report-style.js';

export interface BacktestReport {
  /** What a candidate had predicted, by its name. */
  rowsOf: (candidate: string) => readonly BacktestRow[];
  /** Of every candidate of which a move was scored, with intervals. */
  accuracies: ReadonlyMap<string, Accuracy>;
  records: readonly MoveRecord[];
  protocol: Protocol;
  seed: number;
  /** Those that were run, the one that the report is about last. */
  candidates: readonly Candidate[];
}

/** Links and moves that are named. */
const NAMED_LINKS = 15;
const NAMED_MOVES = 12;
/** A link with fewer scored moves says little. */
const LEAST_OF_LINK = 8;
/** Moves in a window of errors over time. */
const MOST_WINDOW = 100;
const LEAST_WINDOW = 20;
/** Residuals beyond 8 times are drawn at the edge. */
const MOST_OCTAVES = 3;
/** Candidates in the learning curve: more lines hide each other. */
const DRAWN_LINES = 4;
/** Protocols in which a move's history is what had finished before it. */
const IN_TIME: readonly Protocol[] = ['rolling', 'shift', 'cold-start'];

/**
 * A backtest as one HTML file that needs nothing else: no script, no network. The same rows, records and seed give the
 * same bytes.
 */
export function backtestReport({
  rowsOf,
  accuracies: byCandidate,
  records,
  protocol,
  seed,
  candidates,
}: BacktestReport): string {
  const table = moveTable(records);
  const groups = moveGroups(table.records);
  const intervalsOf = (members: readonly BacktestRow[]): ReturnType<typeof accuracyIntervals> =>
    accuracyIntervals(members, groups.instance, seed);
  const subject = candidates.at(-1)!;
  const order = new Map(table.records.map((record, i) => [record.id, i]));
  const asked = rowsOf(subject.name);
  const own = completedRows(asked).sort((a, b) => order.get(a.id)! - order.get(b.id)!);
  const accuracy = byCandidate.get(subject.name);
  const sections =
    accuracy === undefined
      ? ['<p>None of the moves that were asked for finished, so that nothing can be scored.</p>']
      : [
          tiles(accuracy, byCandidate, candidates),
          candidatesPanel(byCandidate, candidates),
          calibrationPanel(own),
          coverageOverTimePanel(own, table, order),
          residualPanel(own, table, order),
          learningPanel(rowsOf, table, byCandidate, candidates, protocol),
          linksPanel(own, groups, subject.name),
          ...groupPanels(own, groups, protocol, intervalsOf),
          worstPanel(own, groups),
        ];
  const title = `Backtest of ${subject.name}, ${protocol}`;
  const headline =
    accuracy === undefined
      ? title
      : `Half of ${thousands(accuracy.moves)} moves were predicted to within ${figure(accuracy.median_ape)} % of what they took`;
  const html = [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    // Says to the browser what holds anyway: nothing is loaded, nothing is run.
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<title>${escapeHtml(title)}</title>`,
    `<style>${REPORT_STYLE}</style>`,
    '</head>',
    '<body>',
    '<main>',
    `<header><p class="kicker">Movecast backtest · ${escapeHtml(subject.name)} · ${escapeHtml(`${protocol}: ${protocols[protocol]}`)}</p><h1>${escapeHtml(headline)}</h1><p class="muted">Figures in percent. Each comes with the interval in which it lies in 95 of 100 samples of instances like these (bootstrap by instance). Moves that were broken off are not scored.</p></header>`,
    remarksPanel(table.records),
    ...sections,
    dataPanel(table.records, seed, asked),
    '</main>',
    '</body>',
    '</html>',
  ];
  return `${html.filter((line) => line !== '').join('\n')}\n`;
}

function tiles(
  accuracy: Accuracy,
  byCandidate: ReadonlyMap<string, Accuracy>,
  candidates: readonly Candidate[],
): string {
  const { intervals_95: chance } = accuracy;
  const tile = (name: string, value: number, unit: string, below: string): string =>
    `<div class="tile"><span class="name">${name}</span><span class="figure">${figure(value)}<span class="unit"> ${unit}</span></span><span class="chance">${below}</span></div>`;
  const naive = bestOf(byCandidate, candidates, 'naive');
  const made = [
    tile('Median error', accuracy.median_ape, '%', range(chance?.median_ape)),
    tile('Mean error (MAPE)', accuracy.mape, '%', range(chance?.mape)),
    tile('90 % interval holds', accuracy.coverage_90, '%', range(chance?.coverage_90)),
    naive === undefined
      ? tile('80 % interval holds', accuracy.coverage_80, '%', range(chance?.coverage_80))
      : tile(
          'Pinball loss',
          accuracy.pinball,
          '%',
          `best baseline, ${escapeHtml(naive.name)}: ${figure(naive.accuracy.pinball)} %`,
        ),
  ];
  return `<div class="tiles">${made.join('')}</div>`;
}

function bestOf(
  byCandidate: ReadonlyMap<string, Accuracy>,
  candidates: readonly Candidate[],
  kind: Candidate['kind'],
): { name: string; accuracy: Accuracy } | undefined {
  let best: { name: string; accuracy: Accuracy } | undefined;
  for (const candidate of candidates) {
    const accuracy = byCandidate.get(candidate.name);
    if (candidate.kind !== kind || accuracy === undefined) continue;
    if (best === undefined || accuracy.pinball < best.accuracy.pinball)
      best = { name: candidate.name, accuracy };
  }
  return best;
}

function candidatesPanel(
  byCandidate: ReadonlyMap<string, Accuracy>,
  candidates: readonly Candidate[],
): string {
  const known = candidates.flatMap((candidate) => {
    const accuracy = byCandidate.get(candidate.name);
    return accuracy === undefined ? [] : [{ candidate, accuracy }];
  });
  const plot = (name: 'pinball' | 'mape', title: string, says: string): string => {
    const range = spanOf(
      known.flatMap(({ accuracy }) => [accuracy[name], ...(accuracy.intervals_95?.[name] ?? [])]),
    );
    const plotRows = known.map(({ candidate, accuracy }): PlotRow => ({
      label: candidate.name,
      note: candidate.kind === 'naive' ? 'baseline' : candidate.kind,
      value: accuracy[name],
      interval: accuracy.intervals_95?.[name],
      text: withChance(accuracy[name], accuracy.intervals_95?.[name]),
      css: candidate.kind === 'whole' ? 'whole' : '',
    }));
    return rowPlot({ axis: logAxis(title, range, decadeTicks(range, tickLabel)), rows: plotRows, says });
  };
  const columns: Column[] = [
    { title: 'Candidate' },
    ...[
      'Moves',
      'MAPE',
      'Median',
      'p90',
      'Bias',
      'Over 25 %',
      'Pinball',
      'In 80 %',
      'Width',
      'In 90 %',
      'Width',
    ].map((title) => ({ title, numeric: true })),
  ];
  const tableRows = known.map(({ candidate, accuracy: a }): Cell[] => [
    candidate.name,
    thousands(a.moves),
    figure(a.mape),
    figure(a.median_ape),
    figure(a.p90_ape),
    signed(a.log_bias),
    figure(a.worse_than_25),
    figure(a.pinball),
    a.coverage_80.toFixed(1),
    figure(a.width_80),
    a.coverage_90.toFixed(1),
    figure(a.width_90),
  ]);
  return panel(
    'accuracy',
    'Accuracy by candidate',
    'Pinball loss judges the whole distribution and decides; it is divided by the median duration. The scale is logarithmic, the bars are what chance allows.',
    plot('pinball', 'Pinball loss, % of the median duration', 'Pinball loss of every candidate'),
    plot('mape', 'Mean absolute percentage error, %', 'Mean absolute percentage error of every candidate'),
    htmlTable(
      'Bias is the mean of log(predicted ÷ actual); widths are medians of the interval over its median',
      columns,
      tableRows,
    ),
  );
}

function calibrationPanel(own: readonly BacktestRow[]): string {
  const points = calibrationOf(own);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((value) => ({ value, label: String(100 * value) }));
  const isOff = (point: (typeof points)[number]): boolean =>
    point.share < point.low || point.share > point.high;
  const dots = (off: boolean, css: string): Layer => ({
    kind: 'points',
    css,
    points: points.filter((p) => isOff(p) === off).map(({ level, share }) => ({ x: level, y: share })),
  });
  const says = points
    .map(
      ({ level, share }) => `${percentage(share)} took no longer than the ${percentage(level, 0)} quantile`,
    )
    .join('; ');
  return panel(
    'calibration',
    'Does it keep its promises?',
    'Of the moves promised to end within a quantile, so many did. On the diagonal the forecast is honest.',
    '<div class="panels calibration">',
    xyPlot({
      x: linearAxis('promised, %', [0, 1], ticks),
      y: linearAxis('happened, %', [0, 1], ticks),
      layers: [
        {
          kind: 'line',
          css: 'ideal',
          points: [
            { x: 0, y: 0 },
            { x: 1, y: 1 },
          ],
        },
        dots(false, 'big'),
        dots(true, 'big off'),
      ],
      says: `Calibration: ${says}.`,
      css: 'square',
    }),
    htmlTable(
      'Promised and happened, with the 95 % band of a binomial',
      [{ title: 'Promised' }, ...figureColumns('Happened', 'Chance allows'), { title: '' }],
      points.map((point) => [
        percentage(point.level, 0),
        percentage(point.share),
        `${percentage(point.low)} to ${percentage(point.high)}`,
        { html: tag(!isOff(point), isOff(point) ? 'outside' : 'inside') },
      ]),
    ),
    '</div>',
  );
}

function coverageOverTimePanel(
  own: readonly BacktestRow[],
  table: MoveTable,
  order: ReadonlyMap<string, number>,
): string {
  const width = windowOf(own.length);
  const windows = residualWindows(own, width);
  if (windows.length < 2) return '';
  const { low, high } = coverageVerdict(0.9, width, 0.9);
  const shares = windows.map(({ in_90 }) => in_90);
  const bottom = Math.min(0.6, Math.floor(10 * Math.min(...shares)) / 10);
  const ticks = [0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1]
    .filter((value) => value >= bottom && (bottom >= 0.6 || value < 0.65 || value > 0.75))
    .map((value) => ({ value, label: String(Math.round(100 * value)) }));
  const x = timeAxis(own, table, order);
  const all = [
    { x: 0, low, high },
    { x: own.length - 1, low, high },
  ];
  return panel(
    'coverage-over-time',
    'Is the 90 % interval held over time?',
    `Share of the last ${width} moves inside of it. Grey is what chance allows.`,
    xyPlot({
      x,
      y: linearAxis('inside, %', [bottom, 1], ticks),
      layers: [
        { kind: 'band', css: 'chance', points: all },
        {
          kind: 'line',
          css: 'ideal',
          points: [
            { x: 0, y: 0.9 },
            { x: own.length - 1, y: 0.9 },
          ],
        },
        { kind: 'line', css: 'c0', points: windows.map(({ at, in_90 }) => ({ x: at, y: in_90 })) },
      ],
      css: 'short',
      says: `Coverage of the 90 % interval over time: between ${percentage(Math.min(...shares))} and ${percentage(Math.max(...shares))} of ${width} moves.`,
    }),
  );
}

function residualPanel(
  own: readonly BacktestRow[],
  table: MoveTable,
  order: ReadonlyMap<string, number>,
): string {
  const width = windowOf(own.length);
  const windows = residualWindows(own, width);
  const points = own.map((row, i) => ({ x: i, y: residualOf(row), inside: isIn90(row) }));
  const ticks = [-3, -2, -1, 0, 1, 2, 3].map((value) => ({
    value,
    label: value === 0 ? 'as predicted' : value < 0 ? `1/${2 ** -value}` : `${2 ** value}×`,
  }));
  const octaves = Math.min(
    MOST_OCTAVES,
    Math.max(
      1,
      Math.ceil(
        quantileSorted(
          points.map(({ y }) => Math.abs(y)).sort((a, b) => a - b),
          0.995,
        ),
      ),
    ),
  );
  const beyond = points.filter(({ y }) => Math.abs(y) > octaves).length;
  const edge = beyond > 0 ? ` ${thousands(beyond)} moves beyond the edge are drawn on it.` : '';
  return panel(
    'residuals',
    'Error over time',
    `Each dot is a move: above the middle it took longer than predicted. The line is the median of ${width} moves, the band holds 80 % of them.${edge}`,
    legend([
      ['inside', 'inside of its 90 % interval', true],
      ['outside', 'outside', true],
      ['c0', `median of ${width}`, false],
    ]),
    xyPlot({
      x: timeAxis(own, table, order),
      y: linearAxis(
        'took ÷ predicted',
        [-octaves, octaves],
        ticks
          .filter(({ value }) => Math.abs(value) <= octaves)
          .map((t) => (t.value === 0 ? { ...t, label: '1×' } : t)),
      ),
      layers: [
        { kind: 'points', css: 'inside', points: points.filter(({ inside }) => inside) },
        { kind: 'points', css: 'outside', points: points.filter(({ inside }) => !inside) },
        {
          kind: 'band',
          css: 'band',
          points: windows.map(({ at, low, high }) => ({ x: at, low, high })),
        },
        { kind: 'line', css: 'c0', points: windows.map(({ at, median }) => ({ x: at, y: median })) },
      ],
      says: `Error of ${own.length} moves over time, as the ratio of what they took to what was predicted.`,
    }),
  );
}

/** Moves in order of start, with the days at which they started: real time would be mostly the gaps between. */
function timeAxis(own: readonly BacktestRow[], table: MoveTable, order: ReadonlyMap<string, number>): Axis {
  const last = Math.max(1, own.length - 1);
  const places = [0, 1 / 2, 1].map((share) => Math.round(share * last));
  const ticks = [...new Set(places)].map((i) => {
    const row = own[Math.min(i, own.length - 1)]!;
    return { value: i, label: table.records[order.get(row.id)!]!.started_at.slice(0, 10) };
  });
  return linearAxis('moves in order of start', [0, last], ticks);
}

function learningPanel(
  rowsOf: BacktestReport['rowsOf'],
  table: MoveTable,
  byCandidate: ReadonlyMap<string, Accuracy>,
  candidates: readonly Candidate[],
  protocol: Protocol,
): string {
  if (!IN_TIME.includes(protocol)) return '';
  const naive = bestOf(byCandidate, candidates, 'naive');
  const pinballOf = ({ name }: Candidate): number => byCandidate.get(name)?.pinball ?? Infinity;
  const drawn = [
    candidates.at(-1)!,
    ...candidates.filter(({ name }) => name === naive?.name),
    ...candidates.toSorted((a, b) => pinballOf(a) - pinballOf(b)),
  ]
    .filter((candidate, i, all) => all.indexOf(candidate) === i && byCandidate.has(candidate.name))
    .slice(0, DRAWN_LINES);
  const keys: [key: string, title: string, groupOf: (record: MoveRecord) => string][] = [
    ['history', 'finished moves in the history', () => ''],
    ['cluster', 'finished moves of the same cluster', (record) => record.cluster ?? DEFAULT_CLUSTER],
    [
      'instance',
      'finished moves of the same instance',
      (record) => JSON.stringify([record.cluster ?? DEFAULT_CLUSTER, record.instance]),
    ],
  ];
  const parts = keys.flatMap(([key, title, groupOf]) => {
    const before = finishedBefore(
      table.records.map((record) => ({
        id: record.id,
        group: groupOf(record),
        startMs: startMs(record),
        finishMs: finishMs(record),
      })),
    );
    const curves = drawn.map((candidate) =>
      learningCurve(
        rowsOf(candidate.name),
        (row) => before.get(row.id) ?? 0,
        key === 'instance' ? { steps: 8 } : {},
      ),
    );
    if (curves.every((curve) => curve.length < 2)) return [];
    const most = Math.max(...curves.flat().map(({ history }) => history));
    const least = Math.min(...curves.flat().map(({ history }) => history));
    const errors = spanOf(curves.flat().map(({ median_ape }) => Math.max(median_ape, 0.1)));
    // A history may be empty: one more than it on the log scale.
    const x: Axis = {
      title,
      at: (value) => Math.log((value + 1) / (least + 1)) / Math.log((most + 1) / (least + 1) || Math.E),
      ticks: [0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000]
        .filter((value) => value >= least && value <= most)
        .map((value) => ({ value, label: thousands(value) })),
    };
    const layers = curves
      .map((curve, c): Layer => ({
        kind: 'line',
        css: `c${c}`,
        points: curve.map(({ history, median_ape }) => ({ x: history, y: median_ape })),
      }))
      .toReversed();
    const [own] = curves;
    const says = `Median error of ${drawn[0]!.name} against the number of ${title}: ${own!.map((step) => `${figure(step.median_ape)} % at ${step.history}`).join(', ')}.`;
    const y = logAxis('median error, %', errors, decadeTicks(errors, tickLabel));
    return [xyPlot({ x, y, layers, says, css: 'learning' })];
  });
  if (parts.length === 0) return '';
  return panel(
    'learning',
    'Learning curve',
    'The median error of moves that had so much history when they started. Moves differ from one end to the other, so that a curve may rise where harder ones came.',
    legend(drawn.map(({ name }, c) => [`c${c}`, name, false] as const)),
    `<div class="panels three">${parts.join('')}</div>`,
  );
}

function linksPanel(own: readonly BacktestRow[], groups: MoveGroups, name: string): string {
  const byLink = new Map<string, number[]>();
  const inside = new Map<string, number>();
  for (const row of own) {
    const link = groups.link(row);
    const errors = byLink.get(link);
    if (errors === undefined) byLink.set(link, [apeOf(row)]);
    else errors.push(apeOf(row));
    inside.set(link, (inside.get(link) ?? 0) + (isIn90(row) ? 1 : 0));
  }
  const known = [...byLink].map(([link, errors]) => {
    errors.sort((a, b) => a - b);
    return {
      link,
      moves: errors.length,
      median: quantileSorted(errors, 0.5),
      p90: quantileSorted(errors, 0.9),
      in_90: coverageVerdict(inside.get(link)! / errors.length, errors.length, 0.9),
    };
  });
  const often = known.filter(({ moves }) => moves >= LEAST_OF_LINK);
  const worst = (often.length > 0 ? often : known)
    .sort((a, b) => b.median - a.median || (a.link < b.link ? -1 : 1))
    .slice(0, NAMED_LINKS);
  const range = spanOf(worst.flatMap(({ median, p90 }) => [Math.max(0.1, median), Math.max(0.1, p90)]));
  const left = known.length - worst.length;
  return panel(
    'links',
    'Links furthest off',
    `Links by their median error, those with ${LEAST_OF_LINK} moves or more${left > 0 ? `; ${thousands(left)} others are better or were used less` : ''}. The bar goes on to the error that one move in ten exceeds.`,
    rowPlot({
      axis: logAxis('error, %', range, decadeTicks(range, tickLabel)),
      rows: worst.map(({ link, moves, median, p90 }) => ({
        label: link,
        note: `${thousands(moves)} moves`,
        value: Math.max(0.1, median),
        interval: [Math.max(0.1, median), Math.max(0.1, p90)] as const,
        text: `${figure(median)} %, p90 ${figure(p90)} %`,
        css: 'link',
      })),
      says: `Links by the median error of ${name}`,
      css: 'links',
    }),
    htmlTable(
      'Coverage of the 90 % interval by link, with the band that chance allows',
      [{ title: 'Link' }, ...figureColumns('Moves', 'Median error', 'p90 error', 'In 90 %'), { title: '' }],
      worst.map(({ link, moves, median, p90, in_90 }) => [
        link,
        thousands(moves),
        figure(median),
        figure(p90),
        { html: shareCell(in_90) },
        { html: tag(in_90.verdict === 'as promised', in_90.verdict) },
      ]),
    ),
  );
}

function groupPanels(
  own: readonly BacktestRow[],
  groups: MoveGroups,
  protocol: Protocol,
  intervalsOf: (rows: readonly BacktestRow[]) => ReturnType<typeof accuracyIntervals>,
): string[] {
  const ways: [title: string, of: GroupOf][] = [
    [
      protocol === 'new-size' || protocol === 'cold-start' ? 'What was left out' : 'Cluster',
      mainGroups(protocol, groups),
    ],
    ['Operation', groups.operation],
    ['Memory', groups.size],
    ['Capabilities', groups.capabilities],
    ['What the forecast stands on', (row) => row.basis],
  ];
  const columns: Column[] = ['', 'Moves', 'MAPE', 'Median', 'Bias', 'In 80 %', '', 'In 90 %', ''].map(
    (title, j) => ({
      title,
      numeric: j > 0 && title !== '',
    }),
  );
  const tables = ways.flatMap(([title, groupOf], w) => {
    const found = accuracyBy(own, groupOf, intervalsOf);
    if (w > 0 && found.size < 2) return [];
    const rows = [...found].map(([name, a]): Cell[] => {
      const in80 = coverageVerdict(a.coverage_80 / 100, a.moves, 0.8);
      const in90 = coverageVerdict(a.coverage_90 / 100, a.moves, 0.9);
      return [
        name,
        thousands(a.moves),
        { html: chanceCell(a.mape, a.intervals_95?.mape) },
        { html: chanceCell(a.median_ape, a.intervals_95?.median_ape) },
        signed(a.log_bias),
        { html: shareCell(in80) },
        { html: tag(in80.verdict === 'as promised', in80.verdict) },
        { html: shareCell(in90) },
        { html: tag(in90.verdict === 'as promised', in90.verdict) },
      ];
    });
    return [htmlTable(title, columns, rows)];
  });
  return [
    panel(
      'groups',
      'By group',
      'After a share inside of an interval stands the 95 % band of a binomial: what chance allows an honest interval of so many moves. Where moves of a group depend on each other, chance allows more than that.',
      ...tables,
    ),
  ];
}

function worstPanel(own: readonly BacktestRow[], groups: MoveGroups): string {
  const worst = [...own]
    .sort((a, b) => Math.abs(residualOf(b)) - Math.abs(residualOf(a)) || (a.id < b.id ? -1 : 1))
    .slice(0, NAMED_MOVES);
  return panel(
    'moves',
    'Moves furthest off',
    'Start here to find what the model does not know, or what was logged wrongly.',
    htmlTable(
      'Seconds; the range is the 90 % interval',
      [
        { title: 'Move' },
        { title: 'Instance' },
        { title: 'Link' },
        ...figureColumns('Predicted', 'Took', 'Ratio'),
      ],
      worst.map((row) => {
        const { p05, p50, p95 } = row.duration_seconds;
        return [
          row.id,
          groups.record(row)?.instance ?? '',
          groups.link(row),
          {
            html: `${seconds(p50)} <small>${seconds(p05)} to ${seconds(p95)}</small>`,
          },
          seconds(row.actual_seconds),
          `${(row.actual_seconds / p50).toPrecision(2)}×`,
        ];
      }),
    ),
  );
}

function remarksPanel(records: readonly MoveRecord[]): string {
  const remarks = dataRemarks(records);
  if (remarks.length === 0) return '';
  return `<section class="panel remarks" aria-labelledby="remarks"><h2 id="remarks">Remarks on the data</h2><ul>${remarks.map((remark) => `<li>${escapeHtml(remark)}</li>`).join('')}</ul></section>`;
}

function dataPanel(records: readonly MoveRecord[], seed: number, rows: readonly BacktestRow[]): string {
  const origins = new Set(rows.map((row) => row.origin)).size;
  const clusters = new Set(records.map((record) => record.cluster ?? DEFAULT_CLUSTER)).size;
  const broken = records.filter((record) => (record.status ?? 'completed') !== 'completed').length;
  const facts: [string, string][] = [
    ['Moves', `${thousands(records.length)}, ${thousands(broken)} broken off`],
    ['Clusters', thousands(clusters)],
    ['From', records[0]?.started_at.slice(0, 16).replace('T', ' ') ?? '-'],
    ['To', records.at(-1)?.started_at.slice(0, 16).replace('T', ' ') ?? '-'],
    ['Fits of each candidate', thousands(origins)],
    ['Seed', String(seed)],
    ['Hash of the records', dataHash(records)],
  ];
  return `<section class="panel" aria-labelledby="data"><h2 id="data">The data</h2><dl class="data">${facts.map(([name, value]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd></div>`).join('')}</dl><p class="muted">The same records and seed give this file to the last byte.</p></section>`;
}

function panel(id: string, title: string, says: string, ...content: readonly string[]): string {
  return `<section class="panel" aria-labelledby="${id}"><h2 id="${id}">${escapeHtml(title)}</h2><p class="muted">${escapeHtml(says)}</p>${content.join('')}</section>`;
}

const figureColumns = (...titles: readonly string[]): { title: string; numeric: true }[] =>
  titles.map((title) => ({ title, numeric: true }));

const legend = (items: readonly (readonly [css: string, label: string, isDot: boolean])[]): string =>
  `<ul class="legend">${items.map(([css, label, isDot]) => `<li><svg viewBox="0 0 30 12" aria-hidden="true"><path class="${css}${isDot ? ' dots key' : ''}" d="${isDot ? 'M15 6h0' : 'M1 6H29'}"/></svg>${escapeHtml(label)}</li>`).join('')}</ul>`;

const windowOf = (moves: number): number =>
  Math.max(LEAST_WINDOW, Math.min(MOST_WINDOW, Math.floor(moves / 10)));

/** From the smallest to the largest, with a little room, never empty. */
function spanOf(values: readonly number[]): readonly [number, number] {
  const low = Math.min(...values.filter((value) => value > 0));
  const high = Math.max(...values);
  return [low / 1.15, Math.max(high, low * 1.5) * 1.1];
}

const tag = (isGood: boolean, text: string): string =>
  `<span class="tag${isGood ? '' : ' off'}">${escapeHtml(text)}</span>`;
const shareCell = ({ share, low, high }: { share: number; low: number; high: number }): string =>
  `${(100 * share).toFixed(1)} <small>${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)}</small>`;
const chanceCell = (value: number, of: Interval | undefined): string =>
  of === undefined ? figure(value) : `${figure(value)} <small>${figure(of[0])} to ${figure(of[1])}</small>`;
const withChance = (value: number, of: Interval | undefined): string =>
  of === undefined ? `${figure(value)} %` : `${figure(value)} % (${figure(of[0])} to ${figure(of[1])})`;
const range = (of: Interval | undefined): string =>
  of === undefined ? 'one instance alone: no interval' : `95 %: ${figure(of[0])} to ${figure(of[1])}`;
const figure = (value: number): string => {
  if (value >= 10_000) return value.toExponential(1);
  return value.toFixed(value >= 100 ? 0 : 1);
};
const tickLabel = (value: number): string => String(value);
const signed = (value: number): string => `${value > 0 ? '+' : ''}${value.toFixed(3)}`;
const seconds = (value: number): string => Number(value.toPrecision(3)).toString();
const percentage = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;
const thousands = (value: number): string => value.toLocaleString('en-GB');
