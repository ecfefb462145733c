import { finishMs, DEFAULT_CLUSTER } from '../../src/domain/move-record.js';
import { newEstimate } from '../../src/predictor/duration-model.js';
import { basisOf, durationModelOf } from '../../src/predictor/load-predictor.js';
import type { ModelFile } from '../../src/predictor/model-file.js';
import { fitModel } from '../fit.js';
import type { Candidate, Forecaster } from '../forecaster.js';

/** The model that is registered and served. */
export const wholeModel: Candidate = {
  name: 'movecast',
  kind: 'whole',
  summary: 'all layers together: what train registers',
  fit: (history, seed) => modelForecaster(fitModel(history.moves, { name: 'movecast', seed })),
};

/** A model as it is in service: never fitted again, learning what it was not trained on. */
export const servedModel = (file: ModelFile): Candidate => ({
  name: `${file.name}@${file.version}`,
  kind: 'whole',
  summary: 'a registered version',
  fit(history) {
    const forecaster = modelForecaster(file);
    for (const record of history.moves) forecaster.learn(record);
    return forecaster;
  },
});

function modelForecaster(file: ModelFile): Forecaster {
  const model = durationModelOf(file);
  const until = new Map(Object.entries(file.trained_on.until_ms));
  return {
    predict(inputs) {
      model.fillKnown(inputs);
      const estimate = model.estimate(inputs, newEstimate());
      return {
        seconds: estimate.seconds,
        mean: estimate.mean,
        completionProbability: estimate.completionProbability,
        basis: basisOf(estimate),
      };
    },
    learn(record) {
      if (finishMs(record) > (until.get(record.cluster ?? DEFAULT_CLUSTER) ?? -Infinity)) model.learn(record);
    },
    learnInstanceSample: (sample) => model.learnInstanceSample(sample.cluster ?? DEFAULT_CLUSTER, sample),
  };
}
