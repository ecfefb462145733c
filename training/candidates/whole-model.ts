import { finishMs, DEFAULT_CLUSTER } from '../../src/domain/move-record.js';
import { newEstimate, type DurationModel, type Member } from '../../src/predictor/duration-model.js';
import { widenByForecasts, type ForecastInputs } from '../../src/predictor/forecast-inputs.js';
import { basisOf, durationModelOf } from '../../src/predictor/load-predictor.js';
import type { ModelFile } from '../../src/predictor/model-file.js';
import type { MoveInputs } from '../../src/predictor/move-inputs.js';
import { implausibility } from '../../src/predictor/plausibility.js';
import { fitModel } from '../fit.js';
import type { Candidate, Forecaster } from '../forecaster.js';
import { SampleFeed } from '../sample-feed.js';
import { replaySamples } from '../sample-replay.js';

/** A model fitted at each origin and fed as in service, of whose committee only `members` are heard; all unless given. */
const fittedModel = (name: string, members?: readonly Member[]): Pick<Candidate, 'name' | 'fit'> => ({
  name,
  fit(history, seed) {
    const { moves, forecasts, instanceSamples } = replaySamples(history);
    return modelForecaster(fitModel(moves, { name, seed, members, instanceSamples }), forecasts, { members });
  },
});

/** The model that is registered and served. */
export const wholeModel: Candidate = {
  ...fittedModel('movecast'),
  kind: 'whole',
  summary: 'all layers together: what train registers',
};

/** Physics and what instances, nodes, pairs and kinds of move have in common, learnt with every move. */
export const pooledEffects: Candidate = {
  ...fittedModel('pooled-effects', ['effects']),
  kind: 'layer',
  summary: 'physics, and effects of cluster, instance, nodes and pair learnt online',
};

/** Physics and boosted trees on what it misses. */
export const treesOnPhysics: Candidate = {
  ...fittedModel('trees-on-physics', ['trees']),
  kind: 'layer',
  summary: 'physics, and boosted trees on what it misses',
};

/** A model as it is in service: never fitted again, learning what it was not trained on. */
export const servedModel = (file: ModelFile): Candidate => ({
  name: `${file.name}@${file.version}`,
  kind: 'whole',
  summary: 'a registered version',
  fit(history) {
    const { moves, forecasts, instanceSamples } = replaySamples(history);
    const forecaster = modelForecaster(file, forecasts);
    const feed = new SampleFeed(instanceSamples, (sample) => forecaster.learnInstanceSample!(sample));
    for (const record of moves) {
      feed.until(finishMs(record));
      forecaster.learn(record);
    }
    feed.until(Infinity);
    return forecaster;
  },
});

export interface ForecasterSettings {
  /** Is shown the inputs of each move asked for, as history has filled them. */
  onAsked?: (model: DurationModel, inputs: MoveInputs) => void;
  /** See `DurationModelParts`. */
  members?: readonly Member[] | undefined;
}

/** A model file as a forecaster, fed as in service. */
export function modelForecaster(
  file: ModelFile,
  forecasts: ForecastInputs,
  { onAsked = () => undefined, members }: ForecasterSettings = {},
): Forecaster {
  const model = durationModelOf(file, members);
  const until = new Map(Object.entries(file.trained_on.until_ms));
  return {
    predict(inputs) {
      const filled = forecasts.fillIn(inputs, model);
      onAsked(model, inputs);
      const estimate = model.estimate(inputs, newEstimate());
      widenByForecasts(filled, model, inputs, estimate);
      return {
        seconds: estimate.seconds,
        mean: estimate.mean,
        completionProbability: estimate.completionProbability,
        basis: basisOf(estimate),
      };
    },
    learn(record) {
      if (implausibility(record) !== undefined) return;
      forecasts.learnMove(record);
      if (finishMs(record) > (until.get(record.cluster ?? DEFAULT_CLUSTER) ?? -Infinity))
        model.learn(forecasts.completed(record));
    },
    learnLinkSample: (sample) => forecasts.learnLinkSample(sample),
    learnInstanceSample(sample) {
      model.learnInstanceSample(sample.cluster ?? DEFAULT_CLUSTER, sample);
      forecasts.learnInstanceSample(sample);
    },
  };
}
