import { DurationModel, newEstimate } from '../../src/predictor/duration-model.js';
import { basisOf } from '../../src/predictor/load-predictor.js';
import { fitModel } from '../fit.js';
import type { Candidate } from '../forecaster.js';

/** The model that is registered and served. */
export const wholeModel: Candidate = {
  name: 'movecast',
  kind: 'whole',
  summary: 'all layers together: what train registers',
  fit(history, seed) {
    const file = fitModel(history.moves, { name: 'movecast', seed });
    const model = new DurationModel(file);
    model.restore(file.state);
    return {
      predict(inputs) {
        model.fill(inputs);
        const estimate = model.estimate(inputs, newEstimate());
        return {
          seconds: estimate.seconds,
          mean: estimate.mean,
          completionProbability: estimate.completionProbability,
          basis: basisOf(estimate),
        };
      },
      learn: (record) => model.learn(record),
      learnInstanceSample: (sample) => model.learnInstanceSample(sample.cluster ?? 'default', sample),
    };
  },
};
