/** A model file of any kind that we take: which one it is shows in its first bytes. */
import { UserError } from '../../domain/errors.js';
import type { ImportedForest } from './imported-forest.js';
import { forestFromLightgbm } from './lightgbm-text.js';
import { forestFromOnnx } from './onnx-trees.js';
import { forestFromXgboost } from './xgboost-json.js';

export type ImportFormat = 'xgboost-json' | 'lightgbm-text' | 'onnx';

/** ONNX files begin with the field `ir_version`, a small whole number. */
const ONNX_FIRST_BYTE = 0x08;
const HEAD_BYTES = 4096;

/**
 * The format of a model file, by its content. Throws a UserError that says what is taken where it is none of them.
 *
 * @example
 * importFormat(new TextEncoder().encode('tree\nversion=v4\n')) === 'lightgbm-text'
 */
export function importFormat(bytes: Uint8Array): ImportFormat {
  const head = new TextDecoder('latin1').decode(bytes.subarray(0, HEAD_BYTES));
  if (head.startsWith('{L\0') || head.startsWith('binf')) {
    throw new UserError(
      'input-unreadable',
      'this is a binary form of an XGBoost model; save it as model.json instead',
    );
  }
  if (/^\s*\{/.test(head)) return 'xgboost-json';
  if (/^tree\r?\n/.test(head)) return 'lightgbm-text';
  if (bytes[0] === ONNX_FIRST_BYTE) return 'onnx';
  throw new UserError(
    'input-unreadable',
    'this is no model that can be imported; XGBoost JSON, LightGBM text and ONNX tree ensembles are taken',
  );
}

/**
 * Reads a model file of any kind, as `forestFromXgboost`, `forestFromLightgbm` and `forestFromOnnx` do;
 * of XGBoost and LightGBM only the first `rounds` of the training, where that is given.
 */
export function forestFromAnyFormat(
  bytes: Uint8Array,
  options: { rounds?: number } = {},
): ImportedForest & { format: ImportFormat } {
  const format = importFormat(bytes);
  if (format === 'onnx') {
    if (options.rounds !== undefined)
      throw new UserError(
        'usage',
        'an ONNX model is taken whole: it does not know the rounds of its training',
      );
    return { ...forestFromOnnx(bytes), format };
  }
  const text = new TextDecoder().decode(bytes);
  const read = format === 'xgboost-json' ? forestFromXgboost : forestFromLightgbm;
  return { ...read(text, options), format };
}
