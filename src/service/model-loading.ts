import { z } from 'zod';
import { UserError } from '../domain/errors.js';
import { jsonOf } from '../domain/json.js';
import { basisSchema, durationQuantilesSchema, type ModelReference } from '../domain/prediction.js';
import type { ScoredPrediction } from '../monitor/score.js';
import { loadPredictor } from '../predictor/load-predictor.js';
import { parseModelFile } from '../predictor/model-file.js';
import type { ModelRegistry } from '../store/model-registry.js';
import type { LoadedModel } from './learning-model.js';

/** What the training's rolling backtest had predicted, a move a line. */
const backtestLine = z.object({
  id: z.string(),
  duration_seconds: durationQuantilesSchema.omit({ mean: true }),
  basis: basisSchema,
});

/** Reads a registered model, `NAME` or `NAME@VERSION`, as it was trained. */
export async function loadRegisteredModel(registry: ModelRegistry, reference: string): Promise<LoadedModel> {
  const { model, backtest = '' } = await registry.read(await registry.resolve(reference));
  const predictor = loadPredictor(model);
  const untilMs = new Map(Object.entries(parseModelFile(model).trained_on.until_ms));
  return {
    predictor,
    trainedUntilMs: (cluster) => untilMs.get(cluster),
    backtest: backtestOf(backtest, predictor.model),
  };
}

function backtestOf(text: string, model: ModelReference): Map<string, ScoredPrediction> {
  const predictions = new Map<string, ScoredPrediction>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue;
    const parsed = backtestLine.safeParse(jsonOf(line));
    if (!parsed.success)
      throw new UserError(
        'model-unusable',
        `the backtest of ${model.name}@${model.version} is damaged at line ${index + 1}; train again or remove its backtest.jsonl`,
      );
    const { id, duration_seconds, basis } = parsed.data;
    predictions.set(id, { duration_seconds, basis, model });
  }
  return predictions;
}
