import { DEFAULT_CLUSTER, isCompleted, startMs, type MoveRecord } from '../src/domain/move-record.js';
import type { ModelFile } from '../src/predictor/model-file.js';
import { normalDistribution } from '../src/predictor/normal-distribution.js';
import { accuracyOf, pinballOf } from './accuracy.js';
import { backtest, type BacktestData, type BacktestRow } from './backtest.js';
import { servedModel } from './candidates/whole-model.js';
import { LEAST_MOVES } from './data-remarks.js';
import type { Candidate } from './forecaster.js';

/** Fewer moves in common decide nothing between two models. */
const LEAST_COMPARED = 30;
/** A challenger may be worse by this share of the champion's loss before it is refused: ties go to the newer data. */
const TOLERATED_LOSS = 0.01;

/** A move that took this many times longer or shorter than predicted is far off … */
const FAR_FACTOR = 5;
/** … and data in which more than this share of the newest moves are so is not to be trusted. */
const MOST_FAR_SHARE = 0.05;

/** Whether a new version goes into service, and why, in a sentence for the card. */
export interface Verdict {
  promote: boolean;
  reason: string;
  /** The comparison on the same rows, where there was one. */
  compared?: {
    with: string;
    moves: number;
    champion_pinball: number;
    challenger_pinball: number;
    /** Chance that a difference at least as large comes up between equals (sign test, two-sided). */
    p_value: number;
  };
}

/**
 * Champion against challenger on the same rows: moves that the version in service has not been trained on. Both see
 * only what had finished before a move; the champion goes on learning from what it was trained on, the challenger is
 * fitted anew at each origin.
 */
export function judge(
  data: BacktestData,
  rolling: readonly BacktestRow[],
  challenger: Candidate,
  champion: ModelFile | undefined,
  seed: number,
): Verdict {
  const completed = data.records.filter(isCompleted).length;
  if (completed < LEAST_MOVES)
    return {
      promote: false,
      reason: `${completed} finished moves say too little to judge by: ${LEAST_MOVES} are needed`,
    };
  const own = rolling.filter((row) => row.candidate === challenger.name);
  const naive = bestNaive(rolling, challenger.name);
  const ownAccuracy = accuracyOf(own);
  if (ownAccuracy === undefined) return { promote: false, reason: 'none of its predictions could be scored' };
  if (naive !== undefined && naive.pinball < ownAccuracy.pinball)
    return {
      promote: false,
      reason: `the naive mark ${naive.name} has a smaller pinball loss (${naive.pinball.toFixed(2)} against ${ownAccuracy.pinball.toFixed(2)} %)`,
    };
  if (champion === undefined) {
    const far = farOff(own);
    if (far !== undefined) return { promote: false, reason: far };
    return { promote: true, reason: 'it beats every naive mark, and no version was in service' };
  }
  const fresh = freshIds(data.records, champion);
  const reference = `${champion.name}@${champion.version}`;
  const ownFresh = own.filter((row) => fresh.has(row.id) && row.status === 'completed');
  if (ownFresh.length < LEAST_COMPARED)
    return {
      promote: false,
      reason: `only ${ownFresh.length} moves are new to ${reference}, ${LEAST_COMPARED} are needed to compare`,
    };
  const far = farOff(ownFresh);
  if (far !== undefined) return { promote: false, reason: far };
  const championRows = new Map(
    backtest(data, [servedModel(champion)], { protocol: 'rolling', seed }).map((row) => [row.id, row]),
  );
  let championLoss = 0;
  let challengerLoss = 0;
  let wins = 0;
  let compared = 0;
  for (const row of ownFresh) {
    const other = championRows.get(row.id);
    if (other === undefined) continue;
    // Relative to the duration, so that long moves do not decide alone.
    const mine = pinballOf(row) / row.actual_seconds;
    const theirs = pinballOf(other) / other.actual_seconds;
    challengerLoss += mine;
    championLoss += theirs;
    if (mine < theirs) wins++;
    compared++;
  }
  const verdict = {
    with: reference,
    moves: compared,
    champion_pinball: (100 * championLoss) / compared,
    challenger_pinball: (100 * challengerLoss) / compared,
    p_value: signTest(wins, compared),
  };
  const promote = challengerLoss <= championLoss * (1 + TOLERATED_LOSS);
  const figures = `pinball loss ${verdict.challenger_pinball.toFixed(2)} against ${verdict.champion_pinball.toFixed(2)} % of the duration on the same ${compared} moves (sign test p = ${verdict.p_value.toFixed(3)})`;
  return {
    promote,
    reason: promote ? `not worse than ${reference}: ${figures}` : `worse than ${reference}: ${figures}`,
    compared: verdict,
  };
}

/** Moves that started after the last one of their cluster that is inside the model. */
export function freshIds(records: readonly MoveRecord[], model: ModelFile): Set<string> {
  const until = new Map(Object.entries(model.trained_on.until_ms));
  return new Set(
    records
      .filter((record) => startMs(record) > (until.get(record.cluster ?? DEFAULT_CLUSTER) ?? -Infinity))
      .map((record) => record.id),
  );
}

function bestNaive(
  rows: readonly BacktestRow[],
  except: string,
): { name: string; pinball: number } | undefined {
  let best: { name: string; pinball: number } | undefined;
  for (const name of new Set(rows.map((row) => row.candidate))) {
    if (name === except) continue;
    const pinball = accuracyOf(rows.filter((row) => row.candidate === name))?.pinball;
    if (pinball !== undefined && (best === undefined || pinball < best.pinball)) best = { name, pinball };
  }
  return best;
}

/** A sentence when too many moves are out of all proportion to what was predicted: poisoned or broken records. */
function farOff(rows: readonly BacktestRow[]): string | undefined {
  const done = rows.filter((row) => row.status === 'completed');
  const far = done.filter(
    (row) => Math.abs(Math.log(row.duration_seconds.p50 / row.actual_seconds)) > Math.log(FAR_FACTOR),
  ).length;
  if (far <= MOST_FAR_SHARE * done.length) return undefined;
  return `${far} of ${done.length} moves took more than ${FAR_FACTOR} times longer or shorter than predicted: look at the records before trusting them`;
}

/** Two-sided sign test by the normal approximation with continuity correction. */
export function signTest(wins: number, trials: number): number {
  if (trials === 0) return 1;
  const away = Math.max(0, Math.abs(wins - trials / 2) - 0.5);
  const z = away / Math.sqrt(trials / 4);
  return Math.min(1, Math.max(0, 2 * (1 - normalDistribution(z))));
}
