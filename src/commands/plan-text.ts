import { moveCount, type Plan } from '../domain/plan.js';

/** Seconds beyond which nobody cares how many. */
const THIRTY_YEARS = 30 * 365.25 * 86_400;

/** Seconds as a person reads them: `42 s`, `7 min 05 s`, `3 h 12 min`. */
export function durationText(seconds: number): string {
  if (seconds > THIRTY_YEARS) return 'over 30 years';
  const whole = Math.round(seconds);
  if (whole < 100) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** MiB as a person reads them. */
const sizeText = (mib: number): string =>
  mib < 10_240 ? `${Math.round(mib)} MiB` : `${(mib / 1024).toFixed(1)} GiB`;

/** A plan for a terminal: one line a move, in order of start, then the totals. */
export function planText(plan: Plan): string {
  const lines: string[] = [];
  if (plan.moves.length === 0) {
    lines.push(`Score ${plan.score_before.toFixed(8)}: nothing to move.`);
  } else {
    const rows = plan.moves.map((move) => [
      String(move.index),
      move.instance,
      [move.from.primary, move.from.secondary].filter((name) => name !== undefined).join(':'),
      [move.to.primary, move.to.secondary].filter((name) => name !== undefined).join(':'),
      move.letters,
      durationText(move.start_seconds),
      durationText(move.end_seconds.p50),
      durationText(move.end_seconds.p90),
      move.score_after.toFixed(4),
    ]);
    const titles = ['#', 'instance', 'from', 'to', 'move', 'start', 'end p50', 'end p90', 'score'];
    const widths = titles.map((title, c) => Math.max(title.length, ...rows.map((row) => row[c]!.length)));
    const right = new Set([0, 5, 6, 7, 8]);
    for (const row of [titles, ...rows])
      lines.push(
        row
          .map((cell, c) => (right.has(c) ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!)))
          .join('  ')
          .trimEnd(),
      );
    const past = plan.past_moves === undefined ? '' : `, by the errors of ${plan.past_moves} past moves`;
    lines.push(
      '',
      `Score ${plan.score_before.toFixed(8)} -> ${plan.score_after.toFixed(8)} in ${moveCount(plan)}, ${sizeText(plan.bytes_mib)} to copy.`,
      `Done in ${durationText(plan.duration_seconds.p50)} (nine times of ten in ${durationText(plan.duration_seconds.p90)}${past}).`,
    );
  }
  if (plan.model !== undefined) lines.push(`Durations from model ${plan.model.name}@${plan.model.version}.`);
  return `${lines.join('\n')}\n`;
}

/** One plan of several, for choosing between score and time. */
export interface ParetoPoint {
  duration_seconds: Plan['duration_seconds'];
  score_after: number;
  bytes_mib: number;
  moves: number;
}

export function paretoText(points: readonly ParetoPoint[]): string {
  const rows = points.map(({ duration_seconds, score_after, bytes_mib, moves }) => [
    durationText(duration_seconds.p50),
    durationText(duration_seconds.p90),
    score_after.toFixed(4),
    String(moves),
    sizeText(bytes_mib),
  ]);
  const titles = ['done p50', 'done p90', 'score', 'moves', 'to copy'];
  const widths = titles.map((title, c) => Math.max(title.length, ...rows.map((row) => row[c]!.length)));
  return [titles, ...rows]
    .map((row) => `${row.map((cell, c) => cell.padStart(widths[c]!)).join('  ')}\n`)
    .join('');
}
