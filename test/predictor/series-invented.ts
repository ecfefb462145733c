import { QUANTILE_LEVELS } from '../../src/domain/prediction.js';
import { SERIES_FEATURES, type NetworkWeights } from '../../src/predictor/series-network.js';

/** A network with weights made up by a formula: its outputs are small, so that its forecasts stay near its base. */
export function inventedNetwork(): NetworkWeights {
  const layer = (inputs: number, outputs: number, k: number) => ({
    inputs,
    outputs,
    kernel: Array.from({ length: inputs * outputs }, (_, i) => 0.1 * Math.sin(i * 1.7 + k)),
    bias: Array.from({ length: outputs }, (_, i) => 0.1 * Math.cos(i + k)),
  });
  return { layers: [layer(SERIES_FEATURES, 8, 0), layer(8, QUANTILE_LEVELS.length, 1)] };
}
