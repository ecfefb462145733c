import { moveCount, type Plan } from '../domain/plan.js';
import { nodesOf } from './node-locks.js';

/**
 * A schedule as a chart of nodes against time: a bar for each move on each node that it keeps busy, from its predicted
 * start to its predicted end (p50).
 */

interface Bar {
  node: string;
  move: number;
  start: number;
  end: number;
}

function barsOf(plan: Plan): { nodes: string[]; bars: Bar[]; end: number } {
  const nodes = new Set<string>();
  const bars: Bar[] = [];
  let end = 0;
  for (const move of plan.moves) {
    for (const node of nodesOf(move)) {
      nodes.add(node);
      // An offline node that is let go early has the next move on it meanwhile.
      if (node !== move.releases_early)
        bars.push({ node, move: move.index, start: move.start_seconds, end: move.end_seconds.p50 });
    }
    end = Math.max(end, move.end_seconds.p50);
  }
  return { nodes: [...nodes].sort(), bars, end };
}

/** Of a chart in a terminal, however narrow that is. */
const LEAST_COLUMNS_OF_TIME = 10;

/**
 * For a terminal: a line a node, `width` columns of time, or fewer where lines would be longer than `lineWidth`; the last
 * digit of a move's index fills its bar.
 */
export function ganttText(plan: Plan, width: number, lineWidth = Infinity): string {
  const { nodes, bars, end } = barsOf(plan);
  if (nodes.length === 0 || end === 0) return '';
  const label = Math.max(...nodes.map((name) => name.length));
  const besides = label + 4; // of the longest line, the scale
  width = Math.min(width, Math.max(LEAST_COLUMNS_OF_TIME, lineWidth - besides));
  const lines = nodes.map((node) => {
    const cells = Array.from({ length: width }, () => '.');
    for (const bar of bars) {
      if (bar.node !== node) continue;
      const first = Math.min(width - 1, Math.floor((bar.start / end) * width));
      const last = Math.max(first, Math.min(width - 1, Math.ceil((bar.end / end) * width) - 1));
      for (let c = first; c <= last; c++) cells[c] = String(bar.move % 10);
    }
    return `${node.padEnd(label)} |${cells.join('')}|`;
  });
  const scale = `0 s${`${Math.round(end)} s`.padStart(width - 1)}`;
  return `${[...lines, `${' '.repeat(label)}  ${scale}`].join('\n')}\n`;
}

const ROW_HEIGHT = 22;
const CHART_WIDTH = 960;
const LABEL_WIDTH = 220;
const TOP = 34;
/** Colours by kind: RAM only, disks only, both. */
const COLOURS = { ram: '#3b7dd8', disk: '#d98c2b', both: '#8a5bb5' };

/** As an SVG picture; every bar has a title with its move and times. */
export function ganttSvg(plan: Plan): string {
  const { nodes, bars, end } = barsOf(plan);
  const height = TOP + nodes.length * ROW_HEIGHT + 40;
  const x = (seconds: number): number => LABEL_WIDTH + (end === 0 ? 0 : (seconds / end) * CHART_WIDTH);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${LABEL_WIDTH + CHART_WIDTH + 20}" height="${height}" font-family="sans-serif" font-size="12">`,
    '<rect width="100%" height="100%" fill="#ffffff"/>',
    `<text x="8" y="20" font-size="14">Score ${plan.score_before.toFixed(4)} to ${plan.score_after.toFixed(4)}, ${moveCount(plan)}, done after ${Math.round(plan.duration_seconds.p50)} s (p90 ${Math.round(plan.duration_seconds.p90)} s)</text>`,
  ];
  nodes.forEach((node, n) => {
    const y = TOP + n * ROW_HEIGHT;
    parts.push(
      `<rect x="${LABEL_WIDTH}" y="${y}" width="${CHART_WIDTH}" height="${ROW_HEIGHT - 2}" fill="#f3f4f6"/>`,
      `<text x="8" y="${y + 15}">${escapeXml(node)}</text>`,
    );
  });
  for (const bar of bars) {
    const move = plan.moves[bar.move]!;
    const y = TOP + nodes.indexOf(bar.node) * ROW_HEIGHT;
    const width = Math.max(1, x(bar.end) - x(bar.start));
    const title = `${move.index}: ${move.instance} (${move.letters}), ${Math.round(bar.start)} to ${Math.round(bar.end)} s`;
    parts.push(
      `<rect x="${x(bar.start).toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW_HEIGHT - 2}" fill="${colourOf(move)}" stroke="#ffffff"><title>${escapeXml(title)}</title></rect>`,
    );
  }
  const ticks = 6;
  const bottom = TOP + nodes.length * ROW_HEIGHT;
  for (let t = 0; t <= ticks; t++) {
    const seconds = (end * t) / ticks;
    const at = x(seconds).toFixed(1);
    parts.push(
      `<line x1="${at}" y1="${TOP}" x2="${at}" y2="${bottom + 4}" stroke="#9ca3af" stroke-width="0.5"/>`,
      `<text x="${at}" y="${bottom + 18}" text-anchor="middle">${Math.round(seconds)} s</text>`,
    );
  }
  parts.push('</svg>');
  return `${parts.join('\n')}\n`;
}

function colourOf(move: Plan['moves'][number]): string {
  const disk = move.steps.some(({ operation }) => operation === 'disk_replication');
  const ram = move.steps.some(({ operation }) => operation !== 'disk_replication');
  return disk ? (ram ? COLOURS.both : COLOURS.disk) : COLOURS.ram;
}

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
