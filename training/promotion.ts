import { DEFAULT_CLUSTER, isCompleted, startMs, type MoveRecord } from '../src/domain/move-record.js';
import { implausibility } from '../src/predictor/plausibility.js';
import type { ModelFile } from '../src/predictor/model-file.js';
import { accuracyOf, pinballOf, type Accuracy } from './accuracy.js';
import { backtest, type BacktestData, type BacktestRow } from './backtest.js';
import { piecesWithin, type BacktestPieces } from './backtest-pieces.js';
import { pairedDifference, type Interval, type PairedDifference } from './bootstrap.js';
import { candidates } from './candidates/candidates.js';
import { servedModel } from './candidates/whole-model.js';
import { LEAST_MOVES } from './data-remarks.js';
import { moveGroups } from './move-groups.js';

/** Fewer moves in common decide nothing between two models. */
const LEAST_COMPARED = 30;

/** A move that took this many times longer or shorter than predicted is far off … */
const FAR_FACTOR = 5;
/** … and data in which more than this share of the newest moves are so is not to be trusted. */
const MOST_FAR_SHARE = 0.05;
/** So many moves may be such as cannot be true; more of them are no accident. */
const MOST_WRONG_SHARE = 0.05;

/** Whether a new version goes into service, and why, in a sentence for the card. */
export interface Verdict {
  promote: boolean;
  reason: string;
  /** The comparison on the same rows, where there was one. */
  compared?: {
    with: string;
    moves: number;
    /** Mean pinball loss relative to the duration, in percent. */
    champion_pinball: number;
    challenger_pinball: number;
    /** Challenger − champion, and where it lies in 95 of 100 samples of instances like these. */
    difference: number;
    difference_interval_95: Interval;
    /** Chance that a difference at least as large comes up between equals (two-sided, by sign changes of whole instances). */
    p_value: number;
    /** What counts as one observation. */
    blocks: PairedDifference['blocks'];
  };
}

/** Who is judged, and what of an earlier run may be taken up. */
export interface JudgeOptions {
  champion: ModelFile | undefined;
  /** How accurate the candidates were in the same backtest, by name. */
  accuracies?: ReadonlyMap<string, Accuracy>;
  seed: number;
  pieces?: BacktestPieces | undefined;
  onProgress?: (done: number) => void;
}

/**
 * Champion against challenger on the same rows: moves that the version in service has not been trained on. Both see
 * only what had finished before a move; the champion goes on learning from what it was trained on, the challenger is
 * fitted anew at each origin. Only what loses less goes into service; `pairedDifference` says how surely it does. `own` is
 * what the challenger had predicted in the rolling backtest.
 */
export function judge(
  data: BacktestData,
  own: readonly BacktestRow[],
  { champion, accuracies = new Map(), seed, pieces, onProgress }: JudgeOptions,
): Verdict {
  const done = data.records.filter(isCompleted);
  if (done.length < LEAST_MOVES)
    return {
      promote: false,
      reason: `${done.length} finished moves say too little to judge by: ${LEAST_MOVES} are needed`,
    };
  const { length: wrong } = data.records.filter((record) => implausibility(record) !== undefined);
  if (wrong > MOST_WRONG_SHARE * data.records.length)
    return {
      promote: false,
      reason: `${wrong} of ${data.records.length} moves cannot be true (see the remarks on the data): look at the records before trusting them`,
    };
  if (new Set(done.map((record) => record.duration_seconds)).size === 1)
    return { promote: false, reason: `every move took ${done[0]!.duration_seconds} s: nothing was measured` };
  const naive = bestNaive(accuracies);
  const ownAccuracy = accuracyOf(own);
  if (ownAccuracy === undefined) return { promote: false, reason: 'none of its predictions could be scored' };
  if (!Number.isFinite(ownAccuracy.pinball))
    return { promote: false, reason: 'some of its predictions are no numbers' };
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
    backtest(data, [servedModel(champion)], {
      protocol: 'rolling',
      seed,
      // Its name may have stood for another file when a run was broken off.
      pieces: pieces === undefined ? undefined : piecesWithin(pieces, JSON.stringify(champion)),
      ...(onProgress === undefined ? {} : { onProgress }),
    }).map((row) => [row.id, row]),
  );
  const { instance } = moveGroups(data.records);
  const differences: number[] = [];
  const instances: string[] = [];
  let championLoss = 0;
  let challengerLoss = 0;
  for (const row of ownFresh) {
    const other = championRows.get(row.id);
    if (other === undefined) continue;
    // Relative to the duration, so that long moves do not decide alone.
    const mine = (100 * pinballOf(row)) / row.actual_seconds;
    const theirs = (100 * pinballOf(other)) / other.actual_seconds;
    challengerLoss += mine;
    championLoss += theirs;
    differences.push(mine - theirs);
    instances.push(instance(row));
  }
  const moves = differences.length;
  const test = pairedDifference(differences, instances, seed);
  const compared = {
    with: reference,
    moves,
    champion_pinball: championLoss / moves,
    challenger_pinball: challengerLoss / moves,
    difference: test.mean,
    difference_interval_95: test.interval,
    p_value: test.p_value,
    blocks: test.blocks,
  };
  const beats = test.mean < 0;
  const [low, high] = test.interval;
  const figures = `pinball loss ${compared.challenger_pinball.toFixed(2)} against ${compared.champion_pinball.toFixed(2)} % of the duration on the same ${moves} moves; difference ${signed(test.mean)}, 95 % interval ${signed(low)} to ${signed(high)}, p = ${test.p_value.toFixed(3)} (sign changes of whole ${test.blocks === 'instances' ? 'instances' : 'runs of moves'})`;
  return {
    promote: beats,
    reason: `${beats ? 'beats' : 'does not beat'} ${reference}: ${figures}`,
    compared,
  };
}

const signed = (value: number): string => `${value > 0 ? '+' : ''}${value.toFixed(2)}`;

/** Moves that started after the last one of their cluster that is inside the model. */
export function freshIds(records: readonly MoveRecord[], model: ModelFile): Set<string> {
  const until = new Map(Object.entries(model.trained_on.until_ms));
  return new Set(
    records
      .filter((record) => startMs(record) > (until.get(record.cluster ?? DEFAULT_CLUSTER) ?? -Infinity))
      .map((record) => record.id),
  );
}

function bestNaive(accuracies: ReadonlyMap<string, Accuracy>): { name: string; pinball: number } | undefined {
  let best: { name: string; pinball: number } | undefined;
  for (const { name } of candidates.filter(({ kind }) => kind === 'naive')) {
    const pinball = accuracies.get(name)?.pinball;
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
