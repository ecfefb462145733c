import { movableInstances, whyImmovable } from './candidates.js';
import type { GroupModel } from './group-model.js';
import type { MovePrices } from './move-prices.js';
import { MoveTrial } from './move-trial.js';
import { ScoreBoard } from './score.js';
import type { SearchOptions } from './search-options.js';
import { LEAST_GAIN, forEachCandidate } from './timed-search.js';

/**
 * Why a search found nothing to move though there is something to gain, as far as single moves tell; undefined where
 * nothing is to be gained. A sentence for the plan's warnings. O(candidates).
 */
export function whyNothing(
  start: GroupModel,
  options: SearchOptions,
  prices: MovePrices,
  { maxSeconds, gainPerHour }: { maxSeconds: number | undefined; gainPerHour: number | undefined },
): string | undefined {
  const model = start.copy();
  const board = new ScoreBoard(model);
  const { score } = board;
  const nobodyOnline = start.onlineCount === 0; // which every plan says
  if (!(score - start.optimum >= options.minScore) || nobodyOnline) return undefined;
  if (options.maxLength === 0) return 'nothing is moved: -l 0 allows no move';
  if (movableInstances(start, options).length === 0) return nobodyMoves(start, options);
  const trial = new MoveTrial(board, options);
  let offered = 0;
  let allowed = 0;
  let mostGain = 0;
  let mostPerHour = 0;
  let quickest = Infinity;
  forEachCandidate(model, trial, options, (instance, kind, target) => {
    offered += 1;
    if (!trial.allows(kind, target)) return;
    allowed += 1;
    const gain = score - trial.approximateScore(score);
    if (!(gain >= LEAST_GAIN)) return;
    const seconds = prices.typical(instance, kind, target);
    mostGain = Math.max(mostGain, gain);
    mostPerHour = Math.max(mostPerHour, (gain * 3600) / seconds);
    quickest = Math.min(quickest, seconds);
  });
  if (offered === 0)
    return 'nothing is moved: the instances that may move have no other online node to go to, or the options leave them no kind of move';
  if (allowed === 0)
    return 'nothing is moved: every move breaks a rule where it would go (room for memory or disk, N+1, tags, limits of the policy)';
  if (mostGain === 0) return 'nothing is moved: no single move that keeps the rules makes the score better';
  if (maxSeconds !== undefined && quickest > maxSeconds)
    return `nothing is moved: the quickest move that makes the score better takes ${shown(quickest)} s, and there are ${shown(maxSeconds)}`;
  if (gainPerHour !== undefined && mostPerHour < gainPerHour)
    return `nothing is moved: no move gains ${gainPerHour} of score an hour of moving; the best gains ${shown(mostPerHour)}`;
  if (score <= options.minGainLimit && mostGain < options.minGain)
    return `nothing is moved: no move gains ${options.minGain} of score (-g); the best gains ${shown(mostGain)}`;
  if (maxSeconds !== undefined)
    return `nothing is moved: no move that makes the score better is surely over in ${shown(maxSeconds)} s`;
  return 'nothing is moved: no plan was found that makes the score better';
}

/** How many instances stay for which reason. */
function nobodyMoves(start: GroupModel, options: SearchOptions): string | undefined {
  if (start.instanceCount === 0) return undefined;
  const counts = new Map<string, number>();
  for (let i = 0; i < start.instanceCount; i++) {
    const why = whyImmovable(start, i, options);
    if (why !== undefined) counts.set(why, (counts.get(why) ?? 0) + 1);
  }
  const parts = [...counts].map(([why, count]) => `${count} ${why}`);
  return `nothing is moved: no instance may move (${parts.join(', ')})`;
}

const shown = (figure: number): string => String(Number(figure.toPrecision(3)));
