/**
 * What programs import from `movecast`: predictions from a model file, forecasts of links, and boosted trees. Nothing here
 * reads the clock, files or the network. A running service is asked by `movecast/client`.
 */
export { loadPredictor } from './predictor/load-predictor.js';
export type { DurationColumns, Predictor } from './predictor/predictor.js';
export { QUANTILE_LEVELS, type ModelReference, type Prediction } from './domain/prediction.js';
export type { MoveRecord } from './domain/move-record.js';
export type { MoveRequest } from './domain/move-request.js';
export type { PastErrors } from './domain/past-errors.js';
export type { InstanceSample, LinkSample } from './domain/samples.js';
export { UserError, type ErrorCode } from './domain/errors.js';

export {
  LinkForecasts,
  type LinkForecast,
  type LinkOf,
  type SavedLinkForecasts,
} from './predictor/link-forecast.js';

export { trainForest, type BoostingOptions, type TrainingFrame } from '../training/boosting.js';
export { predictBatch, predictRow, type Forest } from './predictor/trees.js';
export { forestFromAnyFormat, type ImportFormat } from './predictor/tree-import/any-format.js';
export { forestToOnnx } from './predictor/onnx-export.js';
