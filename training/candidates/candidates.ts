import type { Candidate } from '../forecaster.js';
import { boostedTrees } from './boosted-trees.js';
import { bytesOverBandwidth } from './bytes-over-bandwidth.js';
import { linearRegression } from './linear-regression.js';
import { meanOfPast } from './mean-of-past.js';
import { physicsAlone } from './physics-alone.js';
import { quantilesOfFlavour } from './quantiles-of-flavour.js';
import { treesWithHistory } from './trees-with-history.js';
import { medianOfFlavour, medianOfInstance, medianOfPair } from './rolling-median.js';
import { pooledEffects, treesOnPhysics, wholeModel } from './whole-model.js';

/** Every candidate, naive marks first, in the order of the accuracy table. A new one is a file and a row here. */
export const candidates: readonly Candidate[] = [
  bytesOverBandwidth,
  meanOfPast,
  medianOfInstance,
  medianOfPair,
  medianOfFlavour,
  quantilesOfFlavour,
  linearRegression,
  boostedTrees,
  treesWithHistory,
  physicsAlone,
  treesOnPhysics,
  pooledEffects,
  wholeModel,
];
