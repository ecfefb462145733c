import type { Alarm } from '../../../monitor/alarms.js';
import type { PredictedMove } from './charts.js';
import * as format from './format.js';

/** Where forecasts became others: another version of the model answered, or a drift that still stands began. */
export interface ResidualMark {
  kind: 'version' | 'drift';
  /** Index of the first move after it. */
  at: number;
  text: string;
}

/** More versions than these in one chart are trials, and would hide it. */
const MOST_VERSIONS = 5;

/** @param moves oldest first */
export function residualMarks(moves: readonly PredictedMove[], alarms: readonly Alarm[]): ResidualMark[] {
  const marks: ResidualMark[] = [];
  for (const [at, { predicted, started_at: started }] of moves.entries())
    if (at > 0 && predicted.model !== moves[at - 1]!.predicted.model)
      marks.push({ kind: 'version', at, text: `${predicted.model} since ${format.when(started)}` });
  const drift = alarms.find(({ kind, scope }) => kind === 'drift' && scope === 'all');
  const at = drift === undefined ? -1 : moves.findIndex(({ started_at: started }) => started >= drift.since);
  return [
    ...marks.slice(-MOST_VERSIONS),
    ...(at < 0 ? [] : [{ kind: 'drift' as const, at, text: `drift since ${format.when(drift!.since)}` }]),
  ];
}
