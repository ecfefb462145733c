import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { basisSchema, durationQuantilesSchema } from '../domain/prediction.js';
import type { ScoredPrediction } from '../monitor/score.js';
import { loadPredictor } from '../predictor/load-predictor.js';
import { parseModelFile } from '../predictor/model-file.js';
import type { ModelRegistry } from '../store/model-registry.js';
import type { LoadedModel } from './learning-model.js';

/** Beside a model, where its training left them: the predictions of its rolling backtest, in the lines of `backtest --out`. */
const BACKTEST_FILE = 'backtest.jsonl';

const backtestLine = z.object({
  id: z.string(),
  duration_seconds: durationQuantilesSchema.omit({ mean: true }),
  basis: basisSchema,
});

/** Reads a registered model, `NAME` or `NAME@VERSION`, as it was trained. */
export async function loadRegisteredModel(registry: ModelRegistry, reference: string): Promise<LoadedModel> {
  const registered = await registry.resolve(reference);
  const { model } = await registry.read(registered);
  const predictor = loadPredictor(model);
  const untilMs = new Map(Object.entries(parseModelFile(model).trained_on.until_ms));
  return {
    predictor,
    trainedUntilMs: (cluster) => untilMs.get(cluster),
    backtest: await readBacktest(join(registered.folder, BACKTEST_FILE), predictor.model),
  };
}

async function readBacktest(
  path: string,
  model: ScoredPrediction['model'],
): Promise<Map<string, ScoredPrediction>> {
  const predictions = new Map<string, ScoredPrediction>();
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return predictions;
    throw new UserError('model-unusable', systemErrorSentence(error, path));
  }
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue;
    const parsed = backtestLine.safeParse(jsonOf(line));
    if (!parsed.success)
      throw new UserError(
        'model-unusable',
        `${path} line ${index + 1}: is no prediction of a backtest; train again or remove the file`,
      );
    const { id, duration_seconds, basis } = parsed.data;
    predictions.set(id, { duration_seconds, basis, model });
  }
  return predictions;
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
