import type { MoveRequest } from '../domain/move-request.js';
import type { Prediction } from '../domain/prediction.js';

/** Seconds for a person: `8.4 s`, `3 min 20 s`, `2 h 05 min`. */
export function secondsText(seconds: number): string {
  if (seconds < 60) return `${seconds < 9.95 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

const basisWords: Record<Prediction['basis'], string> = {
  link: 'past moves between these two nodes',
  node: 'past moves from or to one of these nodes',
  cluster: 'past moves of this cluster, none of them with these nodes',
  prior: 'physics alone: no history of this cluster',
};

const transferredText = ({ p50, p90 }: NonNullable<Prediction['transferred_mib']>): string =>
  `about ${Math.round(p50)} MiB${p90 === undefined ? '' : `, 9 in 10 below ${Math.round(p90)} MiB`}`;

/** One prediction for a person. */
export function predictionText(request: MoveRequest, prediction: Prediction): string {
  const { remaining_seconds: remaining, duration_seconds: duration } = prediction;
  const { p05, p10, p50, p90, p95 } = remaining ?? duration;
  const elapsed = request.progress?.elapsed_seconds ?? 0;
  const rows: [string, string][] = [
    ...(remaining === undefined ? [] : [['running for', secondsText(elapsed)] as [string, string]]),
    [remaining === undefined ? 'duration' : 'remaining', `about ${secondsText(p50)}`],
    ['4 in 5 moves like it', `${secondsText(p10)} to ${secondsText(p90)}`],
    ['9 in 10', `${secondsText(p05)} to ${secondsText(p95)}`],
    ...(remaining === undefined
      ? []
      : [['in all', `about ${secondsText(duration.p50)}`] as [string, string]]),
    ['chance to complete', `${Math.round(prediction.completion_probability * 100)} %`],
  ];
  if (prediction.downtime_ms !== undefined)
    rows.push([
      'downtime',
      `about ${Math.round(prediction.downtime_ms.p50)} ms, 9 in 10 below ${Math.round(prediction.downtime_ms.p90)} ms`,
    ]);
  if (prediction.transferred_mib !== undefined)
    rows.push(['transferred', transferredText(prediction.transferred_mib)]);
  rows.push(['stands on', basisWords[prediction.basis]]);
  if (prediction.inputs_filled.length > 0)
    rows.push(['filled in from history', prediction.inputs_filled.join(', ')]);
  rows.push(['model', `${prediction.model.name}@${prediction.model.version}`]);
  const width = Math.max(...rows.map(([label]) => label.length));
  const lines = rows.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`);
  for (const warning of prediction.warnings) lines.push(`  note: ${warning}`);
  return `${request.instance}: ${request.source_node} -> ${request.target_node}\n${lines.join('\n')}\n`;
}
