import { toIsoTime } from '../domain/units.js';
import { binomialBand } from '../domain/binomial.js';
import { driftOf, type Drift } from './drift.js';
import type { Score } from './score.js';

/** Something an operator should know, with the reason and what to do. */
export interface Alarm {
  kind: 'drift' | 'coverage';
  /** `all`, or the link. */
  scope: string;
  /** RFC 3339; when it began, as far as the moves say. */
  since: string;
  reason: string;
  what_to_do: string;
}

/** Newest scored moves that are looked at. */
const RECENT = 1_000;
/** Coverage is judged on so many newest moves, and not on fewer than the least. */
const COVERAGE_MOVES = 200;
const LEAST_COVERAGE_MOVES = 50;
/** An honest interval is called too narrow once in so many looks: 1 in 1,000. */
const COVERAGE_TAIL = 0.001;
/** Links with fewer scored moves are not judged on their own. */
const LEAST_LINK_MOVES = 10;
/** Most links named at once. */
const MOST_LINKS = 10;

/**
 * What is wrong with the forecasts now: drift on all moves or on one link, and intervals that hold less than they
 * promise. Scores of a backtest say nothing about now and are left out. Looks no further back than it has to.
 *
 * @param scores in order of finish
 */
export function alarmsOf(scores: readonly Score[]): Alarm[] {
  const recent = newestOf(scores);
  const alarms: Alarm[] = [];
  const overall = driftOf(recent);
  if (overall !== undefined) alarms.push(driftAlarm(overall, 'all'));
  else alarms.push(...linkAlarms(recent));
  const last = recent.slice(-COVERAGE_MOVES);
  if (last.length >= LEAST_COVERAGE_MOVES) {
    const inside = last.filter(({ actual_seconds: actual, p05, p95 }) => actual >= p05 && actual <= p95);
    const share = inside.length / last.length;
    if (share < binomialBand(last.length, 0.9, COVERAGE_TAIL).low)
      alarms.push({
        kind: 'coverage',
        scope: 'all',
        since: toIsoTime(last[0]!.started_ms),
        reason: `only ${(100 * share).toFixed(0)} % of the last ${last.length} moves fell inside their 90 % interval`,
        what_to_do:
          'Plan with wider margins for now. Train again on the newest moves (movecast train); if that does not help, look at the links and sizes that miss most under Links.',
      });
  }
  return alarms;
}

function newestOf(scores: readonly Score[]): Score[] {
  const recent: Score[] = [];
  for (let i = scores.length - 1; i >= 0 && recent.length < RECENT; i -= 1) {
    const score = scores[i]!;
    if (score.how !== 'backtest' && score.completed) recent.push(score);
  }
  return recent.toReversed();
}

function linkAlarms(recent: readonly Score[]): Alarm[] {
  const byLink = new Map<string, Score[]>();
  for (const score of recent) {
    const group = byLink.get(score.link);
    if (group === undefined) byLink.set(score.link, [score]);
    else group.push(score);
  }
  const alarms: Alarm[] = [];
  for (const [link, scores] of byLink) {
    const drift = scores.length < LEAST_LINK_MOVES ? undefined : driftOf(scores);
    if (drift !== undefined) alarms.push(driftAlarm(drift, link));
  }
  return alarms.sort((a, b) => (a.since < b.since ? 1 : -1)).slice(0, MOST_LINKS);
}

function driftAlarm({ direction, since_ms, moves, ratio }: Drift, scope: string): Alarm {
  const percent = Math.abs(100 * (ratio - 1)).toFixed(0);
  const where = scope === 'all' ? 'moves' : `moves over ${scope.replace('>', ' → ')}`;
  return {
    kind: 'drift',
    scope,
    since: toIsoTime(since_ms),
    reason: `the last ${moves} ${where} took ${percent} % ${direction === 'slower' ? 'longer' : 'less'} than predicted`,
    what_to_do:
      direction === 'slower'
        ? 'Look for what changed: a link that lost speed, other traffic, a new cap on migrations. The model adapts by itself over the next moves; train again (movecast train) when the change is there to stay.'
        : 'Something became faster: a new link, a lifted cap. The model adapts by itself over the next moves; train again (movecast train) when the change is there to stay.',
  };
}
