import type { Cluster } from '../balancer/cluster.js';
import { ConstantMoveCosts, parseCostsFile, unknownNames } from '../balancer/constant-move-costs.js';
import type { MoveCosts } from '../balancer/move-costs.js';
import { UserError } from '../domain/errors.js';
import { loadPredictor } from '../predictor/load-predictor.js';
import { HttpMoveCosts } from '../service/http-move-costs.js';
import { InProcessMoveCosts } from '../service/in-process-move-costs.js';
import { ModelRegistry } from '../store/model-registry.js';
import { namesOf } from './cluster-input.js';
import type { Context } from './context.js';
import { readJsonFile } from './file-input.js';

export interface CostOptions {
  costs?: string;
  model?: string;
  service?: string;
  models: string;
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
    return new HttpMoveCosts(serviceUrl(options.service), { token: context.env['MOVECAST_TOKEN'] });
  const registry = new ModelRegistry(options.models);
  if (options.model === undefined && (await registry.list()).length === 0)
    return new ConstantMoveCosts({}, [PLAIN_FIGURES]);
  const { model } = await registry.read(await registry.resolve(options.model ?? 'default'));
  return new InProcessMoveCosts(loadPredictor(model), context.now());
}

function serviceUrl(text: string): string {
  if (/^https?:\/\/\S+$/.test(text)) return text;
  throw new UserError('usage', `--service ${text} is no URL; give one such as http://127.0.0.1:8642`);
}
