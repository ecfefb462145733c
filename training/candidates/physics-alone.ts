import { movePhysics, newPhysicsResult } from '../../src/predictor/move-physics.js';
import { Level, moveKeys } from '../../src/predictor/move-keys.js';
import { forecasterOf, type Candidate } from '../forecaster.js';
import { fitPhysicsByCluster } from '../physics-fit.js';

/** Pre-copy physics with constants fitted at each origin, and nothing learnt between origins. */
export const physicsAlone: Candidate = {
  name: 'physics',
  kind: 'layer',
  summary: 'pre-copy physics with fitted constants',
  fit(history) {
    const { global, clusters, speeds } = fitPhysicsByCluster(history.moves);
    const result = newPhysicsResult();
    return forecasterOf(
      {
        seconds(inputs) {
          const keys = moveKeys(inputs);
          inputs.sourceSpeed = speeds.get(keys[Level.source]!) ?? 0;
          inputs.targetSpeed = speeds.get(keys[Level.target]!) ?? 0;
          return movePhysics(inputs, clusters[inputs.cluster] ?? global, result).seconds;
        },
        learn: () => undefined,
      },
      history,
    );
  },
};
