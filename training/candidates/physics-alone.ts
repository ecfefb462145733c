import { movePhysics, newPhysicsResult } from '../../src/predictor/move-physics.js';
import { forecasterOf, type Candidate } from '../forecaster.js';
import { fitPhysicsByCluster } from '../physics-fit.js';

/** Pre-copy physics with constants fitted at each origin, and nothing learnt between origins. */
export const physicsAlone: Candidate = {
  name: 'physics',
  kind: 'layer',
  summary: 'pre-copy physics with fitted constants',
  fit(history) {
    const { global, clusters } = fitPhysicsByCluster(history.moves);
    const result = newPhysicsResult();
    return forecasterOf(
      {
        seconds: (inputs) => movePhysics(inputs, clusters[inputs.cluster] ?? global, result).seconds,
        learn: () => undefined,
      },
      history,
    );
  },
};
