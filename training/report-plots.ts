/**
 * Plots of a report as plain HTML: what is drawn is an SVG that is stretched to the width there is, what is written is
 * text beside it that is not, so that a plot reads as well on a phone as on a wide screen, without a script.
 */

/** Text for HTML, in an element or an attribute. */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

/** One axis; `at` maps a value to a share of the axis, 0 to 1. */
export interface Axis {
  title: string;
  at: (value: number) => number;
  ticks: readonly { value: number; label: string }[];
}

export const linearAxis = (
  title: string,
  [low, high]: readonly [number, number],
  ticks: Axis['ticks'],
): Axis => ({ title, at: (value) => clamp((value - low) / (high - low || 1)), ticks });

/** For values above zero. */
export const logAxis = (
  title: string,
  [low, high]: readonly [number, number],
  ticks: Axis['ticks'],
): Axis => ({
  title,
  at: (value) => clamp(Math.log(Math.max(value, low) / low) / Math.log(high / low || Math.E)),
  ticks,
});

/** Ticks at 1, 2 and 5 times powers of ten that lie inside, or at powers of ten where that were too many. */
export function decadeTicks(
  [low, high]: readonly [number, number],
  label: (value: number) => string,
): Axis['ticks'] {
  const steps = high / low > DENSE_RATIO ? [1] : [1, 2, 5];
  const ticks: { value: number; label: string }[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const step of steps) {
      const value = Number(`${step}e${power}`);
      if (value >= low * 0.999 && value <= high * 1.001) ticks.push({ value, label: label(value) });
    }
  return ticks;
}
const DENSE_RATIO = 200;

export interface Point {
  x: number;
  y: number;
}

/** What is drawn, back to front. `css` names a class of the report's style. */
export type Layer =
  | { kind: 'line'; css: string; points: readonly Point[] }
  | { kind: 'points'; css: string; points: readonly Point[] }
  /** Between low and high at each x. */
  | { kind: 'band'; css: string; points: readonly { x: number; low: number; high: number }[] };

/** Units of the stretched drawing: finer than any screen needs. */
const GRID_X = 1200;
const GRID_Y = 400;

/**
 * A plot with two axes. Points that fall on the same place of the drawing are drawn once, so that its size has a bound.
 * O(points).
 */
export function xyPlot({
  x,
  y,
  layers,
  says,
  css = '',
}: {
  x: Axis;
  y: Axis;
  layers: readonly Layer[];
  /** The plot in a sentence, for who cannot see it. */
  says: string;
  css?: string;
}): string {
  const px = (value: number): number => Math.round(GRID_X * x.at(value));
  const py = (value: number): number => Math.round(GRID_Y * (1 - y.at(value)));
  const grid = [
    ...y.ticks.map(({ value }) => `M0 ${py(value)}H${GRID_X}`),
    ...x.ticks.map(({ value }) => `M${px(value)} 0V${GRID_Y}`),
  ].join('');
  const paths = layers.map((layer) => {
    switch (layer.kind) {
      case 'line':
        return path(layer.css, `M${runOf(layer.points.map((p) => [px(p.x), py(p.y)]))}`);
      case 'points': {
        const places = new Set(layer.points.map((p) => `M${px(p.x)} ${py(p.y)}h0`));
        return path(`${layer.css} dots`, [...places].join(''));
      }
      case 'band': {
        const upper = layer.points.map((p): [number, number] => [px(p.x), py(p.high)]);
        const lower = layer.points.map((p): [number, number] => [px(p.x), py(p.low)]).toReversed();
        return path(layer.css, `M${runOf([...upper, ...lower])}Z`);
      }
    }
  });
  const labels = [
    ...y.ticks.map(
      ({ value, label }) =>
        `<span class="y" style="top:${percent(1 - y.at(value))}">${escapeHtml(label)}</span>`,
    ),
    ...x.ticks.map(({ value, label }) => {
      const at = x.at(value);
      const edge = at > 0.94 ? ' last' : at < 0.06 ? ' first' : '';
      return `<span class="x${edge}" style="left:${percent(at)}">${escapeHtml(label)}</span>`;
    }),
  ].join('');
  return `<div class="plot ${css}" role="img" aria-label="${escapeHtml(says)}"><p class="y-title">${escapeHtml(y.title)}</p><div class="area"><svg viewBox="0 0 ${GRID_X} ${GRID_Y}" preserveAspectRatio="none" aria-hidden="true">${path('grid', grid)}${paths.join('')}</svg>${labels}</div><p class="x-title">${escapeHtml(x.title)}</p></div>`;
}

/** One row of a row plot: a figure, and the interval that chance allows it. */
export interface PlotRow {
  label: string;
  /** A few words below the label. */
  note?: string;
  value: number;
  interval?: readonly [number, number] | undefined;
  /** What is written at the end of the row. */
  text: string;
  css?: string;
}

/** A dot and its whisker a row, names and figures as text. */
export function rowPlot({
  axis,
  rows,
  says,
  css = '',
}: {
  axis: Axis;
  rows: readonly PlotRow[];
  says: string;
  css?: string;
}): string {
  const drawn = rows.map(({ label, note, value, interval, text, css: rowCss = '' }) => {
    const whisker =
      interval === undefined
        ? ''
        : `<i class="whisker" style="left:${percent(axis.at(interval[0]))};width:${percent(axis.at(interval[1]) - axis.at(interval[0]))}"></i>`;
    const small = note === undefined ? '' : ` <small>${escapeHtml(note)}</small>`;
    return `<div class="row ${rowCss}"><span class="label">${escapeHtml(label)}${small}</span><span class="track" aria-hidden="true">${gridOf(axis)}${whisker}<i class="dot" style="left:${percent(axis.at(value))}"></i></span><span class="value">${escapeHtml(text)}</span></div>`;
  });
  const ticks = axis.ticks.map(
    ({ value, label }) =>
      `<span class="x" style="left:${percent(axis.at(value))}">${escapeHtml(label)}</span>`,
  );
  return `<div class="rowplot ${css}" role="group" aria-label="${escapeHtml(says)}">${drawn.join('')}<div class="row axis" aria-hidden="true"><span class="label"></span><span class="track">${ticks.join('')}</span><span class="value"></span></div><p class="x-title">${escapeHtml(axis.title)}</p></div>`;
}

const gridOf = (axis: Axis): string =>
  axis.ticks.map(({ value }) => `<i class="tick" style="left:${percent(axis.at(value))}"></i>`).join('');

export interface Column {
  title: string;
  /** Right-aligned, with figures of one width. */
  numeric?: boolean;
}

/** A table whose cells are text, or HTML where a cell says so. */
export type Cell = string | { html: string };

export function htmlTable(
  caption: string,
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
): string {
  const attributes = (j: number): string => (columns[j]?.numeric === true ? ' class="number"' : '');
  const head = columns.map(({ title }, j) => `<th scope="col"${attributes(j)}>${escapeHtml(title)}</th>`);
  const body = rows.map((cells) => {
    const drawn = cells.map((cell, j) => {
      const html = typeof cell === 'string' ? escapeHtml(cell) : cell.html;
      return j === 0 ? `<th scope="row">${html}</th>` : `<td${attributes(j)}>${html}</td>`;
    });
    return `<tr>${drawn.join('')}</tr>`;
  });
  return `<div class="scroll" tabindex="0"><table><caption>${escapeHtml(caption)}</caption><thead><tr>${head.join('')}</tr></thead><tbody>${body.join('')}</tbody></table></div>`;
}

const path = (css: string, d: string): string =>
  d === '' || d === 'M' ? '' : `<path class="${css}" d="${d}"/>`;
const runOf = (points: readonly (readonly [number, number])[]): string =>
  points.map(([x, y]) => `${x} ${y}`).join('L');
const clamp = (share: number): number => Math.min(1, Math.max(0, share));
const percent = (share: number): string => `${Math.round(10_000 * share) / 100}%`;
