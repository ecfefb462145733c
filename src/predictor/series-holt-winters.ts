import { binsPerDay, slotOfDay, type SeriesModel } from './series-model.js';

/**
 * Exponential smoothing with a damped trend and an additive daily season (Holt-Winters; ETS(A,Ad,A)), held against
 * outliers by cutting each surprise at a multiple of its usual size (Gelper, Fried and Croux 2010).
 *
 *     surprise  e = value − (level + φ·trend + season)
 *     level    += φ·trend + α·e,   trend = φ·trend + α·β·e,   season += γ·(1 − α)·e
 *     forecast h steps ahead = level + (φ + φ² + … + φ^h)·trend + season of the target
 *
 * The smoothing constant α is not searched for once but chosen as it goes: four smoothers run beside each other, and
 * the one that did best lately answers, one for the next steps and one for those further off.
 */

const ALPHAS = [0.03, 0.12, 0.35, 0.8] as const;
/** The trend is slower than the level by this factor. */
const BETA = 0.05;
/** A trend loses a tenth of itself a step: it bends a forecast for an hour or two and never carries it away. */
const PHI = 0.9;
/** A season is learnt over about ten days of one value a slot. */
const GAMMA = 0.05;
/** Half hours: fine enough for a working day, coarse enough to be seen several times in a few days. */
const MOST_SLOTS = 48;
/** A surprise counts as at most so many times its usual size. */
const CUT = 3;
/** How slowly the usual size of a surprise is forgotten. */
const SCALE_MEMORY = 0.97;
/** How slowly the record of each smoother is forgotten. */
const RECORD_MEMORY = 0.98;
/** A forecast this many steps ahead is kept open to judge smoothers on what is further off. */
const FAR_STEPS = 36;
/** The usual size of a surprise is never smaller than this share of the level, so that an idle link can wake. */
const SMALLEST_SCALE_SHARE = 0.01;
const SMALLEST_SCALE = 1e-6;

// One smoother in the state: level, trend, scale, record near, record far, open far forecast, then the season.
const LEVEL = 0;
const TREND = 1;
const SCALE = 2;
const NEAR = 3;
const FAR = 4;
const OPEN = 5;
const SEASON = 6;
// Before the smoothers: the last bin, the bin of the open far forecasts, and how many values were learnt.
const LAST_BIN = 0;
const OPEN_BIN = 1;
const COUNT = 2;
const HEAD = 3;

export class HoltWinters implements SeriesModel {
  readonly state: Float64Array;
  private readonly slots: number;
  private readonly width: number;

  constructor(private readonly stepMs: number) {
    this.slots = Math.min(MOST_SLOTS, binsPerDay(stepMs));
    this.width = SEASON + this.slots;
    this.state = new Float64Array(HEAD + ALPHAS.length * this.width);
    this.state[OPEN_BIN] = NaN;
  }

  learn(bin: number, value: number): void {
    const s = this.state;
    const first = s[COUNT] === 0;
    const steps = first ? 1 : bin - s[LAST_BIN]!;
    const slot = slotOfDay(bin, this.stepMs, this.slots);
    const openIsDue = s[OPEN_BIN]! <= bin;
    const openIsNow = s[OPEN_BIN] === bin;
    for (let k = 0; k < ALPHAS.length; k++) {
      const at = HEAD + k * this.width;
      if (first) {
        s[at + LEVEL] = value;
        s[at + SCALE] = NaN;
        continue;
      }
      const expected = this.pointOf(at, steps, slot);
      const surprise = value - expected;
      const size = Math.abs(surprise);
      s[at + NEAR] = RECORD_MEMORY * s[at + NEAR]! + (1 - RECORD_MEMORY) * size;
      if (openIsNow)
        s[at + FAR] = RECORD_MEMORY * s[at + FAR]! + (1 - RECORD_MEMORY) * Math.abs(value - s[at + OPEN]!);
      const floor = Math.max(SMALLEST_SCALE, SMALLEST_SCALE_SHARE * Math.abs(s[at + LEVEL]!));
      const scale = Number.isNaN(s[at + SCALE]!) ? Math.max(floor, size) : Math.max(floor, s[at + SCALE]!);
      const cut = Math.max(-CUT * scale, Math.min(CUT * scale, surprise));
      s[at + SCALE] = SCALE_MEMORY * scale + (1 - SCALE_MEMORY) * Math.abs(cut);
      const alpha = ALPHAS[k]!;
      const carried = dampedSum(steps) * s[at + TREND]!;
      s[at + LEVEL] = s[at + LEVEL]! + carried + alpha * cut;
      s[at + TREND] = PHI ** steps * s[at + TREND]! + alpha * BETA * cut;
      s[at + SEASON + slot] = s[at + SEASON + slot]! + GAMMA * cut;
    }
    s[LAST_BIN] = bin;
    s[COUNT] = s[COUNT]! + 1;
    if (Number.isNaN(s[OPEN_BIN]!) || openIsDue) this.openFarForecasts(bin + FAR_STEPS);
  }

  point(bin: number): number {
    const s = this.state;
    if (s[COUNT] === 0) return NaN;
    const steps = bin - s[LAST_BIN]!;
    const record = steps > FAR_STEPS / 2 ? FAR : NEAR;
    let best = 0;
    for (let k = 1; k < ALPHAS.length; k++) {
      if (s[HEAD + k * this.width + record]! < s[HEAD + best * this.width + record]!) best = k;
    }
    return this.pointOf(HEAD + best * this.width, steps, slotOfDay(bin, this.stepMs, this.slots));
  }

  private pointOf(at: number, steps: number, slot: number): number {
    const s = this.state;
    return s[at + LEVEL]! + dampedSum(steps) * s[at + TREND]! + s[at + SEASON + slot]!;
  }

  private openFarForecasts(bin: number): void {
    const slot = slotOfDay(bin, this.stepMs, this.slots);
    for (let k = 0; k < ALPHAS.length; k++) {
      const at = HEAD + k * this.width;
      this.state[at + OPEN] = this.pointOf(at, FAR_STEPS, slot);
    }
    this.state[OPEN_BIN] = bin;
  }
}

/** φ + φ² + … + φ^steps. */
const dampedSum = (steps: number): number => (PHI * (1 - PHI ** steps)) / (1 - PHI);
