import type { SearchResult, ScoredMove } from './blind-search.js';
import { kindsForTargets, mayFailOver, movableInstances } from './candidates.js';
import type { GroupModel } from './group-model.js';
import { priceOfKind, type InstancePrices } from './instance-prices.js';
import { MoveTrial } from './move-trial.js';
import { FAILOVER, type MoveKind } from './moves.js';
import { ScoreBoard } from './score.js';
import type { SearchOptions } from './search-options.js';

/** Gains are divided by seconds to this power: 1 would never touch a long move, 0 is hbal. */
const TIME_POWER = 0.5;

/**
 * Steepest descent in score gain per predicted time: cheap moves first, long ones only where nothing else helps.
 * Moves `model` to the final placement. O(steps × instances × targets).
 */
export function timedSearch(model: GroupModel, options: SearchOptions, prices: InstancePrices): SearchResult {
  const board = new ScoreBoard(model);
  const trial = new MoveTrial(board, options);
  const scoreBefore = board.score;
  const componentsBefore = board.components.slice();
  const steps: ScoredMove[] = [];
  const alreadyBalanced = scoreBefore - model.optimum < options.minScore;
  const floor = model.optimum + options.minScore;
  const mostSteps = alreadyBalanced ? 0 : options.maxLength < 0 ? Infinity : options.maxLength;
  while (steps.length < mostSteps && board.score > floor) {
    const present = board.score;
    const leastGain = present > options.minGainLimit ? LEAST_GAIN : Math.max(LEAST_GAIN, options.minGain);
    let best = 0;
    let choice: { i: number; kind: MoveKind; x: number } | undefined;
    const consider = (i: number, kind: MoveKind, x: number): void => {
      if (!trial.allows(kind, x)) return;
      const gain = present - trial.approximateScore();
      if (!(gain >= leastGain)) return;
      const worth = gain / priceOfKind(prices, i, kind) ** TIME_POWER;
      if (worth > best) {
        best = worth;
        choice = { i, kind, x };
      }
    };
    for (const i of movableInstances(model, options)) {
      trial.begin(i);
      if (mayFailOver(model, i, options)) consider(i, FAILOVER, -1);
      const kinds = kindsForTargets(model, i, options);
      if (kinds.length === 0) continue;
      for (let x = 0; x < model.nodeCount; x++) {
        if (x === model.primary[i] || x === model.secondary[i] || model.online[x] === 0) continue;
        for (let k = 0; k < kinds.length; k++) consider(i, kinds[k]!, x);
      }
    }
    if (choice === undefined) break;
    trial.begin(choice.i);
    trial.allows(choice.kind, choice.x);
    const move = trial.commit();
    steps.push({ move, score: board.score });
  }
  return {
    scoreBefore,
    scoreAfter: board.score,
    componentsBefore,
    componentsAfter: board.components.slice(),
    alreadyBalanced,
    steps,
  };
}

/** A gain below this is rounding. */
const LEAST_GAIN = 1e-7;
