import uPlot from 'uplot';
import { h, svg } from './elements.js';
import * as format from './format.js';
import type { ResidualMark } from './residual-marks.js';
import type { ListedMove } from './api.js';

/** A move with the prediction that it had. */
export type PredictedMove = ListedMove & { predicted: NonNullable<ListedMove['predicted']> };

export const isPredicted = (move: ListedMove): move is PredictedMove => move.predicted !== null;

const CHART_HEIGHT = 280;
const ERROR_HEIGHT = 210;
/** Moves whose median error is drawn as the line. */
const ROLLING = 25;
/** Errors beyond are drawn at the edge. */
const MOST_ERROR_PERCENT = 100;

const colour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const axisFont = '12px system-ui, "Liberation Sans", sans-serif';

function axis(extra: uPlot.Axis): uPlot.Axis {
  return {
    stroke: colour('--ink-2'),
    font: axisFont,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
    ...extra,
  };
}

/** Redraws on a change of width or of the colour scheme; frees everything when its place leaves the page. */
function plotted(place: HTMLElement, make: (width: number) => uPlot): void {
  let plot: uPlot | undefined;
  const draw = (): void => {
    const width = Math.floor(place.clientWidth);
    if (width === 0) return;
    if (!place.isConnected) return;
    plot?.destroy();
    plot = make(width);
  };
  const observer = new ResizeObserver(() => {
    if (!place.isConnected) {
      observer.disconnect();
      scheme.removeEventListener('change', draw);
      plot?.destroy();
      plot = undefined;
    } else if (plot === undefined) draw();
    else if (plot.width !== Math.floor(place.clientWidth) && place.clientWidth > 0)
      plot.setSize({ width: Math.floor(place.clientWidth), height: plot.height });
  });
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  scheme.addEventListener('change', draw);
  observer.observe(place);
}

const describe = (move: PredictedMove): string => {
  const { p10, p50, p90 } = move.predicted.duration_seconds;
  return `${move.instance}, ${move.source_node} → ${move.target_node}, ${format.when(move.started_at)}: predicted ${format.seconds(p50)} (80 % between ${format.seconds(p10)} and ${format.seconds(p90)}), took ${format.seconds(move.duration_seconds)}`;
};

/** Ticks of a duration, in seconds, that a person would choose. */
const durationTicks = [
  0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000,
  36000, 86400, 172800, 432000, 864000,
];
/** Least distance between two ticks on the vertical axis, in pixels. */
const TICK_SPACE = 26;

function durationSplits(low: number, high: number, height: number): number[] {
  const inside = durationTicks.filter((tick) => tick >= low && tick <= high);
  const pixelsPerUnit = height / Math.log(high / low);
  const kept: number[] = [];
  for (const tick of inside)
    if (kept.length === 0 || Math.log(tick / kept.at(-1)!) * pixelsPerUnit >= TICK_SPACE) kept.push(tick);
  return kept;
}

const tickText = (tick: number): string =>
  tick < 1
    ? `${tick}\u202fs`
    : format
        .seconds(tick)
        .replace(/\.0(\D)/, '$1')
        .replace(/ 0\D*$/, '');

/** Each move as the bar of its 80 % interval with the predicted median, and a dot where it really ended. `moves` oldest first. */
export function predictedAndActual(moves: readonly PredictedMove[]): HTMLElement {
  const place = h('div', { class: 'chart', role: 'img', 'aria-label': summary(moves) });
  const hint = 'Point at a move to read its figures.';
  const readout = h('p', { class: 'readout' }, hint);
  const data: uPlot.AlignedData = [
    moves.map((_, i) => i + 1),
    moves.map((move) => move.predicted.duration_seconds.p10),
    moves.map((move) => move.predicted.duration_seconds.p90),
    moves.map((move) => move.duration_seconds),
  ];
  plotted(place, (width) => {
    const series = { stroke: 'transparent', width: 0, points: { show: false } };
    return new uPlot(
      {
        width,
        height: CHART_HEIGHT,
        cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
        scales: {
          x: { time: false, range: () => [0.4, moves.length + 0.6] },
          y: { distr: 3, log: 10, range: (_plot, low, high) => [(low ?? 1) * 0.85, (high ?? 10) * 1.15] },
        },
        axes: [
          axis({ size: 30, grid: { show: false }, values: (_plot, ticks) => ticks.map(wholeTick) }),
          axis({
            size: 62,
            splits: (plot, _axis, low, high) =>
              durationSplits(low, high, plot.bbox.height / devicePixelRatio),
            filter: (_plot, splits) => splits,
            values: (_plot, ticks) => ticks.map(tickText),
          }),
        ],
        series: [
          {},
          { ...series, label: 'p10' },
          { ...series, label: 'p90' },
          { ...series, label: 'actual' },
        ],
        legend: { show: false },
        hooks: {
          draw: [(plot) => drawIntervals(plot, moves)],
          setCursor: [
            (plot) => {
              const move = moves[plot.cursor.idx ?? -1];
              readout.textContent = move === undefined ? hint : describe(move);
            },
          ],
        },
      },
      data,
      place,
    );
  });
  return h(
    'div',
    {},
    place,
    readout,
    h(
      'ul',
      { class: 'chart-key' },
      h('li', {}, h('span', { class: 'swatch band' }), '80 % interval'),
      h('li', {}, h('span', { class: 'swatch predicted' }), 'predicted median'),
      h('li', {}, h('span', { class: 'swatch inside' }), 'actual, inside'),
      h('li', {}, h('span', { class: 'swatch actual' }), 'actual, outside'),
    ),
  );
}

function drawIntervals(plot: uPlot, moves: readonly PredictedMove[]): void {
  const { ctx } = plot;
  const pixel = devicePixelRatio;
  const pitch = plot.bbox.width / moves.length;
  const half = Math.max(0.75 * pixel, Math.min(7 * pixel, pitch * 0.36));
  const dot = Math.max(1.6 * pixel, Math.min(3.6 * pixel, pitch * 0.34));
  const band = withAlpha(colour('--accent'), 0.26);
  const accent = colour('--accent');
  const inside = colour('--ink');
  const outside = colour('--actual');
  const y = (value: number): number => plot.valToPos(value, 'y', true);
  ctx.save();
  for (const [i, { duration_seconds: actual, predicted }] of moves.entries()) {
    const { p10, p50, p90 } = predicted.duration_seconds;
    const x = plot.valToPos(i + 1, 'x', true);
    ctx.fillStyle = band;
    ctx.fillRect(x - half, y(p90), 2 * half, Math.max(pixel, y(p10) - y(p90)));
    ctx.fillStyle = accent;
    ctx.fillRect(x - half, y(p50) - pixel, 2 * half, 2 * pixel);
    ctx.fillStyle = actual >= p10 && actual <= p90 ? inside : outside;
    ctx.beginPath();
    ctx.arc(x, y(actual), dot, 0, 2 * Math.PI);
    ctx.fill();
  }
  ctx.restore();
}

export interface MbpsBands {
  p05: number;
  p10: number;
  p50: number;
  p90: number;
  p95: number;
}

/** Hours of the day, and the date where it changes. */
function clockTicks(_plot: uPlot, ticks: number[]): string[] {
  return ticks.map((tick) => {
    const at = new Date(tick * 1000);
    return at.getHours() === 0 && at.getMinutes() === 0
      ? at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })
      : at.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  });
}

/** What was measured on a link as dots, and what is to come as an 80 % band with its median. Both oldest first, in Mbit/s. */
export function measuredAndForecast(
  name: string,
  measured: readonly { at: string; mbps: number }[],
  ahead: readonly { at: string; bands: MbpsBands }[],
): HTMLElement {
  const said = [
    measured.length > 0
      ? `${format.plural(measured.length, 'measured value')} up to ${format.when(measured.at(-1)!.at)}`
      : '',
    ahead.length > 0
      ? `forecast until ${format.when(ahead.at(-1)!.at)}: median ${format.mbps(ahead[0]!.bands.p50)} at first and ${format.mbps(ahead.at(-1)!.bands.p50)} at the end`
      : '',
  ].filter((text) => text !== '');
  const place = h('div', {
    class: 'chart',
    role: 'img',
    'aria-label': `${name} in Mbit/s: ${said.join('; ')}.`,
  });
  const hint = 'Point at the chart to read its figures.';
  const readout = h('p', { class: 'readout' }, hint);
  const nothing = (count: number): null[] => Array.from({ length: count }, () => null);
  const seconds = (at: string): number => Date.parse(at) / 1000;
  const before = nothing(measured.length);
  const after = nothing(ahead.length);
  const data: uPlot.AlignedData = [
    [...measured, ...ahead].map(({ at }) => seconds(at)),
    [...measured.map(({ mbps }) => mbps), ...after],
    [...before, ...ahead.map(({ bands }) => bands.p90)],
    [...before, ...ahead.map(({ bands }) => bands.p10)],
    [...before, ...ahead.map(({ bands }) => bands.p50)],
  ];
  const describeAt = (index: number | null | undefined): string => {
    if (index === null || index === undefined) return hint;
    const past = measured[index];
    if (past !== undefined) return `${format.when(past.at)}: measured ${format.mbps(past.mbps)} Mbit/s`;
    const next = ahead[index - measured.length];
    return next === undefined
      ? hint
      : `${format.when(next.at)}: about ${format.mbps(next.bands.p50)} Mbit/s, in 8 of 10 cases between ${format.mbps(next.bands.p10)} and ${format.mbps(next.bands.p90)}`;
  };
  plotted(place, (width) => {
    const line = { points: { show: false } };
    const dots = withAlpha(colour('--ink'), 0.6);
    return new uPlot(
      {
        width,
        height: CHART_HEIGHT,
        cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
        scales: { x: { time: true }, y: { range: (_plot, _low, high) => [0, (high ?? 1) * 1.05 || 1] } },
        axes: [axis({ size: 30, values: clockTicks }), axis({ size: 62 })],
        series: [
          {},
          {
            ...line,
            label: 'measured',
            stroke: dots,
            paths: () => null,
            points: { show: true, size: 4, fill: dots, stroke: dots, width: 0 },
          },
          { ...line, label: 'p90', stroke: 'transparent', width: 0 },
          { ...line, label: 'p10', stroke: 'transparent', width: 0 },
          { ...line, label: 'median', stroke: colour('--accent'), width: 2 },
        ],
        bands: [{ series: [2, 3], fill: withAlpha(colour('--accent'), 0.26) }],
        legend: { show: false },
        hooks: {
          setCursor: [(plot) => void (readout.textContent = describeAt(plot.cursor.idx))],
        },
      },
      data,
      place,
    );
  });
  return h(
    'div',
    {},
    place,
    readout,
    h(
      'ul',
      { class: 'chart-key' },
      measured.length > 0 && h('li', {}, h('span', { class: 'swatch inside' }), 'measured'),
      ahead.length > 0 && h('li', {}, h('span', { class: 'swatch band' }), '80 % interval'),
      ahead.length > 0 && h('li', {}, h('span', { class: 'swatch predicted' }), 'predicted median'),
    ),
  );
}

const wholeTick = (tick: number): string => (Number.isInteger(tick) ? String(tick) : '');

function summary(moves: readonly PredictedMove[]): string {
  const inside = moves.filter(
    ({ duration_seconds: actual, predicted: { duration_seconds: p } }) => actual >= p.p10 && actual <= p.p90,
  ).length;
  return `Predicted and actual durations of the last ${moves.length} scored moves; ${inside} of them lay inside the 80 % interval.`;
}

/** Error of each move in percent, their rolling median, and where forecasts became others. `moves` oldest first. */
export function errorsOverTime(moves: readonly PredictedMove[], marks: readonly ResidualMark[]): HTMLElement {
  const errors = moves.map(
    ({ duration_seconds: actual, predicted }) => 100 * (predicted.duration_seconds.p50 / actual - 1),
  );
  const shown = errors.map((error) => Math.max(-MOST_ERROR_PERCENT, Math.min(MOST_ERROR_PERCENT, error)));
  const rolling = errors.map((_, i) => {
    if (i < ROLLING - 1) return null;
    const window = errors.slice(i - ROLLING + 1, i + 1).sort((a, b) => a - b);
    return window[ROLLING >> 1]!;
  });
  const place = h('div', {
    class: 'chart',
    role: 'img',
    'aria-label': `Error of each of the last ${moves.length} scored moves in percent; above zero the prediction was too long. ${marks.map(({ text }) => `${text}.`).join(' ')}`,
  });
  plotted(place, (width) => {
    const dots = withAlpha(colour('--actual'), 0.55);
    return new uPlot(
      {
        width,
        height: ERROR_HEIGHT,
        cursor: { drag: { x: true, y: false }, y: false },
        scales: { x: { time: false }, y: { range: (_plot, low, high) => symmetric(low, high) } },
        axes: [
          axis({ size: 30, grid: { show: false }, values: (_plot, ticks) => ticks.map(wholeTick) }),
          axis({
            size: 62,
            values: (_plot, ticks) =>
              ticks.map((tick) => `${tick > 0 ? '+' : tick < 0 ? '−' : ''}${Math.abs(tick)}\u202f%`),
          }),
        ],
        series: [
          {},
          {
            label: 'error',
            stroke: dots,
            paths: () => null,
            points: { show: true, size: 4, fill: dots, stroke: dots, width: 0 },
          },
          { label: 'rolling median', stroke: colour('--accent'), width: 2, points: { show: false } },
        ],
        legend: { show: false },
        hooks: { draw: [(plot) => drawMarks(plot, marks)] },
      },
      [moves.map((_, i) => i + 1), shown, rolling],
      place,
    );
  });
  return h(
    'div',
    {},
    place,
    h(
      'ul',
      { class: 'chart-key' },
      h('li', {}, h('span', { class: 'swatch actual' }), 'error of one move'),
      h('li', {}, h('span', { class: 'swatch predicted' }), `median of the last ${ROLLING}`),
      ...marks.map(({ kind, text }) => h('li', {}, h('span', { class: `swatch mark ${kind}` }), text)),
    ),
  );
}

/** A dashed line down the chart before the first move of what is new. */
function drawMarks(plot: uPlot, marks: readonly ResidualMark[]): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.lineWidth = 2 * devicePixelRatio;
  ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const { kind, at } of marks) {
    const x = Math.round(plot.valToPos(at + 0.5, 'x', true));
    ctx.strokeStyle = colour(kind === 'drift' ? '--warn' : '--ink');
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function symmetric(low: number | null, high: number | null): [number, number] {
  const most = Math.max(10, Math.abs(low ?? 0), Math.abs(high ?? 0)) * 1.05;
  return [-most, most];
}

/** `#rrggbb` with an opacity. */
function withAlpha(hex: string, alpha: number): string {
  const value = Number.parseInt(hex.slice(1), 16);
  return `rgb(${value >> 16} ${(value >> 8) & 255} ${value & 255} / ${alpha})`;
}

/** Where a share lies against its promise: the band that chance allows, and the mark of what happened. */
export function coverageMeter(level: number, share: number, low: number, high: number): SVGElement {
  const from = Math.min(0.5, share - 0.02, low - 0.02);
  const x = (value: number): number => (100 * (value - from)) / (1 - from);
  return svg(
    'svg',
    {
      class: 'meter',
      viewBox: '0 0 100 10',
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': `Inside: ${format.share(share)}; promised ${100 * level} %, by chance between ${format.share(low)} and ${format.share(high)}`,
    },
    svg('rect', { class: 'track', x: 0, y: 4, width: 100, height: 2, rx: 1 }),
    svg('rect', { class: 'band', x: x(low), y: 2, width: Math.max(0.6, x(high) - x(low)), height: 6 }),
    svg('rect', { class: 'mark', x: x(share) - 0.5, y: 0, width: 1, height: 10 }),
  );
}

/** Width of a character below a bar, in pixels. */
const DIGIT_WIDTH = 7;

/** A predicted distribution as one bar: 90 % light, 80 % darker, the median as a line; a dot where the move really ended. */
export function rangeBar(
  p: { p05: number; p10: number; p50: number; p90: number; p95: number },
  actual?: number,
): SVGElement {
  const width = 340;
  const low = Math.min(p.p05, actual ?? p.p05) * 0.97;
  const high = Math.max(p.p95, actual ?? p.p95) * 1.03;
  const x = (value: number): number => (width * Math.log(value / low)) / Math.log(high / low);
  const label = (value: number, at: number, anchor: string): SVGElement =>
    svg('text', { x: at, y: 50, 'text-anchor': anchor }, format.seconds(value));
  const lengthOf = (value: number): number => DIGIT_WIDTH * format.seconds(value).length;
  const half = lengthOf(p.p50) / 2;
  const middle = Math.max(half, Math.min(width - half, x(p.p50)));
  return svg(
    'svg',
    {
      class: 'range',
      viewBox: `0 0 ${width} 56`,
      role: 'img',
      'aria-label': `90 % between ${format.seconds(p.p05)} and ${format.seconds(p.p95)}, 80 % between ${format.seconds(p.p10)} and ${format.seconds(p.p90)}, median ${format.seconds(p.p50)}${actual === undefined ? '' : `; took ${format.seconds(actual)}`}`,
    },
    svg('rect', { class: 'outer', x: x(p.p05), y: 8, width: x(p.p95) - x(p.p05), height: 22, rx: 5 }),
    svg('rect', { class: 'inner', x: x(p.p10), y: 8, width: x(p.p90) - x(p.p10), height: 22, rx: 3 }),
    svg('rect', { class: 'median', x: x(p.p50) - 1.5, y: 3, width: 3, height: 32, rx: 1.5 }),
    actual !== undefined &&
      svg('circle', {
        class: actual >= p.p10 && actual <= p.p90 ? 'took' : 'took outside',
        cx: x(actual),
        cy: 19,
        r: 5,
      }),
    // The median is always written; an end of the range only where it does not run into it.
    x(p.p05) + lengthOf(p.p05) < middle - half && label(p.p05, x(p.p05), 'start'),
    label(p.p50, middle, 'middle'),
    x(p.p95) - lengthOf(p.p95) > middle + half && label(p.p95, x(p.p95), 'end'),
  );
}

/** Share of moves at or below each predicted quantile against the quantile's own level: an honest forecast lies on the diagonal. */
export function calibrationPlot(
  points: readonly { level: number; share: number; low: number; high: number }[],
): SVGElement {
  const size = 240;
  const margin = 34;
  const x = (value: number): number => margin + value * (size - margin - 14);
  const y = (value: number): number => size - margin - value * (size - margin - 14);
  const text = (content: string, attributes: Record<string, string | number>): SVGElement =>
    svg('text', attributes, content);
  const ticks = [0, 0.5, 1];
  return svg(
    'svg',
    {
      class: 'calibration',
      viewBox: `0 0 ${size} ${size}`,
      role: 'img',
      'aria-label': `Calibration: ${points.map(({ level, share }) => `${format.share(share)} of moves took no longer than the ${Math.round(100 * level)} % quantile`).join('; ')}`,
    },
    ...ticks.flatMap((tick) => [
      svg('line', { class: 'grid', x1: x(tick), x2: x(tick), y1: y(0), y2: y(1) }),
      svg('line', { class: 'grid', x1: x(0), x2: x(1), y1: y(tick), y2: y(tick) }),
      text(`${100 * tick}`, { x: x(tick), y: y(0) + 15, 'text-anchor': 'middle' }),
      text(`${100 * tick}`, { x: x(0) - 6, y: y(tick) + 4, 'text-anchor': 'end' }),
    ]),
    svg('line', { class: 'ideal', x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    ...points.flatMap(({ level, share, low, high }) => [
      svg('line', { class: 'chance', x1: x(level), x2: x(level), y1: y(low), y2: y(high) }),
      svg('circle', {
        class: share >= low && share <= high ? 'point' : 'point outside',
        cx: x(level),
        cy: y(share),
        r: 4.5,
      }),
    ]),
    text('promised, %', { x: x(0.5), y: size - 3, 'text-anchor': 'middle' }),
    text('happened, %', {
      x: 0,
      y: 0,
      'text-anchor': 'middle',
      transform: `translate(10 ${y(0.5)}) rotate(-90)`,
    }),
  );
}
