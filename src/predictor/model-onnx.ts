import { UserError } from '../domain/errors.js';
import type { TreeTarget } from './imported-trees.js';
import type { ModelFile } from './model-file.js';
import { moveFeatures } from './move-features.js';
import { forestToOnnx, type OnnxPrecision } from './onnx-export.js';
import { fromJson, treeCount } from './trees.js';

/** What the trees of a model answer: ours what physics misses. */
export const treeTargetOf = (file: ModelFile): TreeTarget => file.imported?.target ?? 'residual_log';

/**
 * The trees of a model as an ONNX file that names the columns of a frame which they read: our own, or those that were
 * imported. @throws UserError `model-unusable` where the model has none.
 */
export function treesAsOnnx(
  file: ModelFile,
  precision: OnnxPrecision = 'double',
): { bytes: Uint8Array; trees: number; columns: string[] } {
  const json = file.imported?.forest ?? file.forest;
  if (json === undefined)
    throw new UserError(
      'model-unusable',
      `${file.name}@${file.version} has no trees: it was trained on too few moves to grow any`,
    );
  const columns = file.imported?.columns ?? moveFeatures.map(({ name }) => name);
  const forest = fromJson(json);
  return {
    bytes: forestToOnnx(forest, { precision, featureNames: columns }),
    trees: treeCount(forest),
    columns,
  };
}
