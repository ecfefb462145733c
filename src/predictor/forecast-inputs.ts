import type { MoveRecord } from '../domain/move-record.js';
import { QUANTILE_LEVELS } from '../domain/prediction.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';
import { BackgroundForecasts, fillBackground } from './background-forecasts.js';
import { meanOfQuantiles, type DurationEstimate, type DurationModel } from './duration-model.js';
import { fillLoad, InstanceForecasts, type FilledInputs } from './instance-forecasts.js';
import { inputsOfRecord, type MoveInputs } from './move-inputs.js';
import { NORMAL_QUANTILES } from './normal-quantiles.js';

const { abs, exp, log, max, min, sqrt } = Math;

const LEVELS = QUANTILE_LEVELS.length;
const MIDDLE = LEVELS >> 1;
/** Standard normal at p90: what one standard deviation is to the distance of p90 from the median. */
const NORMAL_P90 = NORMAL_QUANTILES[3];

const NOTHING: readonly FilledInputs[] = [];

/** Inputs that a request leaves out, as forecast for its start from link and instance samples. */
export class ForecastInputs {
  readonly loads = new InstanceForecasts();

  constructor(readonly backgrounds = new BackgroundForecasts()) {}

  learnMove(record: MoveRecord): void {
    this.backgrounds.learnMove(record);
  }
  learnLinkSample(sample: LinkSample): void {
    this.backgrounds.learnSample(sample);
  }
  learnInstanceSample(sample: InstanceSample): void {
    this.loads.learn(sample);
  }

  /** A record with what was forecast for its start in the place of what was not measured. */
  completed(record: MoveRecord): MoveRecord {
    return this.backgrounds.isEmpty ? record : this.backgrounds.completed(record, inputsOfRecord(record));
  }

  /**
   * Fills in place: forecasts where there are samples, else what history last said (`names` gets what was filled). Costs nothing
   * while there are no samples and links are what they were.
   */
  fillIn(inputs: MoveInputs, model: DurationModel, names?: string[]): readonly FilledInputs[] {
    const load = fillLoad(this.loads, inputs);
    const known = model.fillKnown(inputs);
    if (names !== undefined) for (const name of known) names.push(name);
    const background = fillBackground(this.backgrounds, model, inputs);
    const link = known.includes('link_mbps') ? linkAsFilled(model, inputs) : undefined;
    if (load === undefined && background === undefined && link === undefined) return NOTHING;
    const all = [load, background, link].filter((filled) => filled !== undefined);
    for (const filled of all) names?.push(...filled.names);
    return all;
  }
}

/** Where the link of a cluster changes, what history says of it is a guess; `DurationModel.fillKnown` has named it already. */
function linkAsFilled(model: DurationModel, inputs: MoveInputs): FilledInputs | undefined {
  const deviation = model.linkDeviation(inputs);
  if (deviation === 0) return undefined;
  const factor = exp(NORMAL_P90 * deviation);
  return {
    names: [],
    low: { linkMbps: inputs.linkMbps * factor },
    high: { linkMbps: inputs.linkMbps / factor },
  };
}

/** An estimate that takes forecasts for facts is too sure: durations under their p10 and p90 widen it, in place. */
export function widenByForecasts(
  all: readonly FilledInputs[],
  model: DurationModel,
  inputs: MoveInputs,
  estimate: DurationEstimate,
): void {
  if (all.length === 0) return;
  const at = (changed: Partial<MoveInputs>): number => log(model.physicsSeconds({ ...inputs, ...changed }));
  const middle = at({});
  for (const { low, high } of all)
    widen(estimate, max(0, middle - at(low)), max(0, at(high) - middle), inputs.timeoutSeconds);
}

/** Adds spreads (log scale, from p50 to p10 and to p90) to those that are there already, as independent errors add. */
function widen(estimate: DurationEstimate, down: number, up: number, timeoutSeconds: number): void {
  const { seconds } = estimate;
  const before = meanOfQuantiles(seconds);
  const median = seconds[MIDDLE]!;
  for (let j = 0; j < LEVELS; j++) {
    const own = log(seconds[j]! / median);
    const more = ((j < MIDDLE ? down : up) / NORMAL_P90) * abs(NORMAL_QUANTILES[j]!);
    const wide = sqrt(own * own + more * more);
    const value = median * exp(j < MIDDLE ? -wide : wide);
    seconds[j] = timeoutSeconds > 0 ? min(max(seconds[j]!, timeoutSeconds), value) : value;
  }
  estimate.mean *= meanOfQuantiles(seconds) / before;
}
