import type { ExecutionView } from './execution-view.js';

/**
 * The schedule as a chart that fills: a line a node, time to the right. What has passed of a move is filled, what is
 * expected of it is not: `#` made, `!` failed, `>` under way, `-` to come.
 */
export function liveGantt(
  { beginMs, nowMs, moves }: ExecutionView,
  width: number,
  mostLines: number,
): string[] {
  const endMs = Math.max(nowMs, ...moves.map((move) => move.endMs));
  const nodes = [...new Set(moves.flatMap((move) => move.nodes))].sort();
  const longest = Math.max(0, ...nodes.map((name) => name.length));
  const columns = Math.max(10, width - longest - 3);
  const scale = columns / Math.max(1, endMs - beginMs);
  const columnOf = (ms: number): number =>
    Math.max(0, Math.min(columns - 1, Math.floor((ms - beginMs) * scale)));
  const now = columnOf(nowMs);
  // Nodes where something happens now stand first when there is not room for all.
  const busy = new Set(moves.filter(({ state }) => state === 'running').flatMap((move) => move.nodes));
  const shown =
    nodes.length <= mostLines
      ? nodes
      : [...nodes.filter((node) => busy.has(node)), ...nodes.filter((node) => !busy.has(node))].slice(
          0,
          Math.max(0, mostLines - 1),
        );
  const lines = shown.map((node) => {
    const cells = Array.from({ length: columns }, () => ' ');
    for (const move of moves) {
      if (!move.nodes.includes(node)) continue;
      const last = Math.max(columnOf(move.startMs), columnOf(move.endMs - 1));
      for (let c = columnOf(move.startMs); c <= last; c++) cells[c] = signOf(move.state, c <= now);
    }
    return `${node.padEnd(longest)} |${cells.join('')}|`;
  });
  if (shown.length < nodes.length) lines.push(`… and ${nodes.length - shown.length} more nodes`);
  return lines;
}

function signOf(state: ExecutionView['moves'][number]['state'], hasPassed: boolean): string {
  switch (state) {
    case 'done':
      return '#';
    case 'failed':
      return '!';
    case 'running':
      return hasPassed ? '>' : '-';
    case 'pending':
      return '-';
  }
}
