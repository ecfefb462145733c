import type { Cluster } from '../balancer/cluster.js';
import { ConstantMoveCosts, parseCostsFile, unknownNames } from '../balancer/constant-move-costs.js';
import type { MoveCosts } from '../balancer/move-costs.js';
import { UserError } from '../domain/errors.js';
import { DEFAULT_CLUSTER } from '../domain/move-record.js';
import { loadPredictor } from '../predictor/load-predictor.js';
import type { Predictor } from '../predictor/predictor.js';
import { HttpMoveCosts } from '../service/http-move-costs.js';
import { InProcessMoveCosts } from '../service/in-process-move-costs.js';
import { namesOf } from './cluster-input.js';
import type { Context } from './context.js';
import { readJsonFile } from './file-input.js';
import { registryIn } from './models-folder.js';
import { inOrderOfTime, PastInTime, samplesFor } from './past-in-time.js';
import { storeWithHistory } from './store-files.js';

export interface CostOptions {
  costs?: string;
  model?: string;
  service?: string;
  models: string;
  store: string;
  /** The cluster's name in records. */
  cluster?: string;
  /** The plan is carried out: the store is made then. */
  execute?: boolean;
}

const PLAIN_FIGURES =
  'no model is registered: durations are plain figures (8 s + RAM at 100 MiB/s, 10 s + disk at 60 MiB/s); train a model or give --costs';

/** Whoever answers for durations: a file of constants, a running service, else a registered model in this process. */
export async function moveCostsOf(
  options: CostOptions,
  cluster: Cluster,
  context: Context,
): Promise<MoveCosts> {
  if (options.costs !== undefined) {
    const file = parseCostsFile(await readJsonFile(options.costs), options.costs);
    return new ConstantMoveCosts(file, unknownNames(file, namesOf(cluster), options.costs));
  }
  if (options.service !== undefined)
    return new HttpMoveCosts(serviceUrl(options.service), {
      token: context.env['MOVECAST_TOKEN'],
      cluster: options.cluster,
    });
  const registry = registryIn(options.models);
  if (options.model === undefined && (await registry.list()).length === 0)
    return new ConstantMoveCosts({}, [PLAIN_FIGURES]);
  const { model } = await registry.read(await registry.resolve(options.model ?? 'default'));
  const predictor = loadPredictor(model);
  const warnings = await learnHistory(predictor, options, context);
  return new InProcessMoveCosts(predictor, context.now(), { cluster: options.cluster, warnings });
}

/** What the store says has happened since the training, learnt; in words where it cannot be read. */
async function learnHistory(
  predictor: Predictor,
  { store: url, cluster = DEFAULT_CLUSTER, execute = false }: CostOptions,
  context: Context,
): Promise<string[]> {
  try {
    const store = await storeWithHistory(url, context, { isMadeLater: execute });
    if (store === undefined) return [];
    try {
      const range = samplesFor(context.now(), context.now(), cluster);
      const past = new PastInTime(
        predictor,
        inOrderOfTime({
          moves: store.moves(),
          linkSamples: store.linkSamples(range),
          instanceSamples: store.instanceSamples(range),
        }),
      );
      await past.until(context.now());
      await past.end();
    } finally {
      await store.close();
    }
    return [];
  } catch (error) {
    if (!(error instanceof UserError) || error.code === 'usage') throw error;
    return [`durations do not know what happened since the training: ${error.message}`];
  }
}

function serviceUrl(text: string): string {
  if (/^https?:\/\/\S+$/.test(text)) return text;
  throw new UserError('usage', `--service ${text} is no URL; give one such as http://127.0.0.1:8080`);
}
