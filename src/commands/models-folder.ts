import { ModelRegistry } from '../store/model-registry.js';
import { DEFAULT_MODELS_FOLDER, packageFolder } from './context.js';

/**
 * The registry in a folder. The default one stands for the models shipped with the package until something is written: into
 * the package's own folder nothing is, which an update replaces.
 */
export const registryIn = (folder: string): ModelRegistry =>
  new ModelRegistry(folder, Date.now, folder === DEFAULT_MODELS_FOLDER ? packageFolder('models') : undefined);

/** Says so when writing has begun an own folder, which stood for the shipped models until then. */
export function sayIfBegun(
  registry: ModelRegistry,
  rootBefore: string,
  remark: (sentence: string) => void,
): void {
  if (registry.root !== rootBefore)
    remark(`${registry.root}/ is new here: it begins with a copy of the models that came with Movecast`);
}
