import { kindsForTargets, mayFailOver, movableInstances } from './candidates.js';
import type { GroupModel } from './group-model.js';
import { MoveBound } from './move-bound.js';
import { MoveTrial } from './move-trial.js';
import { FAILOVER, type Move, type MoveKind } from './moves.js';
import { ScoreBoard } from './score.js';
import type { SearchOptions } from './search-options.js';

/** A move with the score that it leads to. */
export interface ScoredMove {
  move: Move;
  score: number;
}

export interface SearchResult {
  scoreBefore: number;
  scoreAfter: number;
  componentsBefore: Float64Array;
  componentsAfter: Float64Array;
  /** True when the score was so close to the unavoidable that nothing was searched. */
  alreadyBalanced: boolean;
  steps: ScoredMove[];
  /** False when the search was given up because it had looked at too many candidates. */
  complete: boolean;
}

/**
 * Scores nearer than this, relative to 1 + the score, are told apart by exact arithmetic; the approximate score is
 * off by some 1e-10 at most.
 */
const NEAR_TIE = 2e-9;

/**
 * hbal's search: steepest descent, one move a step, no look-ahead; of equal scores the first in order wins. Moves
 * `model` to the final placement. O(steps × instances × targets). Gives up before a step that would take it past
 * `mostCandidates`.
 */
export function blindSearch(
  model: GroupModel,
  options: SearchOptions,
  mostCandidates = Infinity,
): SearchResult {
  const board = new ScoreBoard(model);
  const trial = new MoveTrial(board, options);
  const bound = new MoveBound(board, trial);
  const scoreBefore = board.score;
  const componentsBefore = board.components.slice();
  const steps: ScoredMove[] = [];
  const floor = model.optimum + options.minScore;
  const alreadyBalanced = scoreBefore - model.optimum < options.minScore;
  const near = new CandidateList();
  const mostSteps = alreadyBalanced ? 0 : options.maxLength < 0 ? Infinity : options.maxLength;
  const perStep = countCandidates(model, options);
  let complete = true;
  while (steps.length < mostSteps && board.score > floor) {
    if ((steps.length + 1) * perStep > mostCandidates) {
      complete = false;
      break;
    }
    const best = bestMove(model, board, trial, bound, options, near);
    if (best === undefined) break;
    const { score } = best;
    if (!(board.score > options.minGainLimit || board.score - score >= options.minGain)) break;
    trial.begin(best.instance);
    trial.allows(best.kind, best.target);
    steps.push({ move: trial.commit(), score });
  }
  return {
    scoreBefore,
    scoreAfter: board.score,
    componentsBefore,
    componentsAfter: board.components.slice(),
    alreadyBalanced,
    steps,
    complete,
  };
}

/** About how many candidates one step looks at. */
export function countCandidates(model: GroupModel, options: SearchOptions): number {
  let count = 0;
  for (const i of movableInstances(model, options))
    count += 1 + kindsForTargets(model, i, options).length * model.onlineCount;
  return count;
}

interface Candidate {
  instance: number;
  kind: MoveKind;
  target: number;
  score: number;
}

/** The move with the exactly least score below the present one, the first in order among equals. */
function bestMove(
  model: GroupModel,
  board: ScoreBoard,
  trial: MoveTrial,
  bound: MoveBound,
  options: SearchOptions,
  near: CandidateList,
): Candidate | undefined {
  const present = board.score;
  const slack = NEAR_TIE * (1 + Math.abs(present));
  near.clear();
  let least = present;
  const consider = (instance: number, kind: MoveKind, target: number): void => {
    if (!trial.allows(kind, target)) return;
    const score = trial.approximateScore(least + slack);
    if (!(score <= least + slack)) return;
    if (score < least) least = score;
    near.push(instance, kind, target, score);
  };
  for (const i of movableInstances(model, options)) {
    trial.begin(i);
    if (bound.begin(i) > least + slack) continue;
    if (mayFailOver(model, i, options)) consider(i, FAILOVER, -1);
    const kinds = kindsForTargets(model, i, options);
    if (kinds.length === 0) continue;
    const p = model.primary[i]!;
    const s = model.secondary[i]!;
    for (let x = 0; x < model.nodeCount; x++) {
      if (x === p || x === s || model.online[x] === 0) continue;
      for (let k = 0; k < kinds.length; k++)
        if (bound.least(kinds[k]!, x, least + slack) <= least + slack) consider(i, kinds[k]!, x);
    }
  }
  let best: Candidate | undefined;
  let taken = -1;
  for (let c = 0; c < near.length; c++) {
    if (near.scores[c]! > least + slack) continue;
    const instance = near.instances[c]!;
    if (instance !== taken) {
      trial.begin(instance);
      taken = instance;
    }
    const kind = near.kinds[c]! as MoveKind;
    const target = near.targets[c]!;
    trial.allows(kind, target);
    const score = trial.exactScore();
    if (score < (best?.score ?? present)) best = { instance, kind, target, score };
  }
  return best;
}

/** Candidates as columns that are used again step by step. */
class CandidateList {
  length = 0;
  instances: number[] = [];
  kinds: number[] = [];
  targets: number[] = [];
  scores: number[] = [];

  clear(): void {
    this.length = 0;
  }

  push(instance: number, kind: MoveKind, target: number, score: number): void {
    const at = this.length++;
    this.instances[at] = instance;
    this.kinds[at] = kind;
    this.targets[at] = target;
    this.scores[at] = score;
  }
}
