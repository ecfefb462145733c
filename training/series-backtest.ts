import { QUANTILE_LEVELS } from '../src/domain/prediction.js';
import type { ClassScore } from '../src/predictor/series-choice.js';
import { seriesClasses, type SeriesClass } from '../src/predictor/series-class.js';
import {
  SeriesForecast,
  seriesCandidates,
  usualStepMs,
  type SeriesCandidateName,
} from '../src/predictor/series-forecast.js';
import { MS_PER_HOUR } from '../src/domain/units.js';
import type { NetworkWeights } from '../src/predictor/series-network.js';
import type { NamedSeries } from './series-data.js';

/** How far ahead forecasts are scored: the next sample, an hour, six hours, a day. */
const HORIZONS_MS = [0, MS_PER_HOUR, 6 * MS_PER_HOUR, 24 * MS_PER_HOUR];
/** The share of a series that is learnt before its first origin. */
const FIRST_ORIGIN_SHARE = 0.4;
/** Origins of a series: evenly spread over the rest of it. */
const ORIGINS = 300;

/** The figures of one candidate on one series. */
export interface SeriesScore {
  series: string;
  candidate: SeriesCandidateName;
  /** The class that most origins of the series had. */
  class: SeriesClass;
  forecasts: number;
  /** Mean pinball loss over the levels and horizons, each horizon counted alike, in the unit of the series. */
  pinball: number;
  /** The share of values inside of p10 to p90 and of p05 to p95. */
  covered80: number;
  covered90: number;
}

/** Pinball loss of a value under a quantile at a level (Koenker and Bassett 1978). */
export const pinballLoss = (value: number, quantile: number, level: number): number =>
  value >= quantile ? level * (value - quantile) : (1 - level) * (quantile - value);

/** What a candidate said at one origin, having learnt the samples up to it, and what came. */
export interface OriginForecasts {
  /** When the last sample that was learnt was taken, epoch milliseconds. */
  originAtMs: number;
  /** The class of the series as it was known then. */
  class: SeriesClass;
  forecasts: {
    horizonMs: number;
    /** The start of the bin that is forecast, epoch milliseconds. */
    targetAtMs: number;
    /** At QUANTILE_LEVELS, in the unit of the series. */
    quantiles: Float64Array;
    /** The value that came: for the score alone. */
    actual: number;
  }[];
}

/**
 * Rolling origins over one series: at each the candidate has learnt what came before and nothing else, and forecasts
 * the values that came 1 step, 1 h, 6 h and 24 h later, where there is one. O(samples · candidate).
 */
export function* rollingForecasts(
  series: NamedSeries,
  candidate: SeriesCandidateName,
  network?: NetworkWeights,
): Generator<OriginForecasts> {
  const samples = [...series.samples].sort((a, b) => a.atMs - b.atMs);
  const stepMs = usualStepMs(samples.slice(0, 24).map(({ atMs }) => atMs));
  const valueAt = new Map<number, number>();
  for (const { atMs, value } of samples) {
    const bin = Math.floor(atMs / stepMs);
    if (!valueAt.has(bin)) valueAt.set(bin, value);
  }
  const everywhere = Object.fromEntries(seriesClasses.map((name) => [name, candidate])) as Record<
    SeriesClass,
    SeriesCandidateName
  >;
  const forecast = new SeriesForecast({ choice: everywhere, network });
  const from = Math.floor(FIRST_ORIGIN_SHARE * samples.length);
  const every = Math.max(1, Math.floor((samples.length - from) / ORIGINS));
  for (const [i, { atMs, value }] of samples.entries()) {
    forecast.learn(atMs, value);
    if (i < from || (i - from) % every !== 0) continue;
    const origin: OriginForecasts = { originAtMs: atMs, class: forecast.class(), forecasts: [] };
    for (const horizonMs of HORIZONS_MS) {
      const bin = Math.floor(atMs / stepMs) + Math.max(1, Math.round(horizonMs / stepMs));
      const actual = valueAt.get(bin);
      if (actual === undefined) continue;
      const targetAtMs = bin * stepMs;
      const quantiles = new Float64Array(QUANTILE_LEVELS.length);
      forecast.quantiles(targetAtMs, quantiles);
      origin.forecasts.push({ horizonMs, targetAtMs, quantiles, actual });
    }
    yield origin;
  }
}

/** The score of a candidate's rolling forecasts of one series. */
export function backtestSeries(
  series: NamedSeries,
  candidate: SeriesCandidateName,
  network?: NetworkWeights,
): SeriesScore {
  const losses = new Map(HORIZONS_MS.map((horizonMs) => [horizonMs, { sum: 0, count: 0 }]));
  const classes = new Map<SeriesClass, number>();
  let in80 = 0;
  let in90 = 0;
  let count = 0;
  for (const { class: seen, forecasts } of rollingForecasts(series, candidate, network)) {
    classes.set(seen, (classes.get(seen) ?? 0) + 1);
    for (const { horizonMs, quantiles, actual } of forecasts) {
      let loss = 0;
      quantiles.forEach((quantile, j) => (loss += pinballLoss(actual, quantile, QUANTILE_LEVELS[j]!)));
      const ofHorizon = losses.get(horizonMs)!;
      ofHorizon.sum += loss / quantiles.length;
      ofHorizon.count++;
      count++;
      if (actual >= quantiles[1]! && actual <= quantiles[3]!) in80++;
      if (actual >= quantiles[0]! && actual <= quantiles[4]!) in90++;
    }
  }
  const means = [...losses.values()].filter((loss) => loss.count > 0).map((loss) => loss.sum / loss.count);
  const mostSeen = [...classes].sort((a, b) => b[1] - a[1])[0];
  return {
    series: series.name,
    candidate,
    class: mostSeen?.[0] ?? 'young',
    forecasts: count,
    pinball: means.reduce((sum, mean) => sum + mean, 0) / Math.max(1, means.length),
    covered80: in80 / Math.max(1, count),
    covered90: in90 / Math.max(1, count),
  };
}

/** Gathers the scores of series by their class. */
export function scoresByClass(scores: readonly SeriesScore[]): ClassScore[] {
  const naive = new Map(scores.filter((s) => s.candidate === 'last-value').map((s) => [s.series, s.pinball]));
  const all: ClassScore[] = [];
  for (const name of seriesClasses) {
    for (const candidate of seriesCandidates) {
      const own = scores.filter(
        (s) => s.class === name && s.candidate === candidate && (naive.get(s.series) ?? 0) > 0,
      );
      if (own.length === 0) continue;
      const mean = (of: (score: SeriesScore) => number): number =>
        own.reduce((sum, score) => sum + of(score), 0) / own.length;
      all.push({
        class: name,
        candidate,
        series: own.length,
        relativeLoss: Math.exp(mean((s) => Math.log(Math.max(1e-9, s.pinball / naive.get(s.series)!)))),
        covered80: mean((s) => s.covered80),
        covered90: mean((s) => s.covered90),
      });
    }
  }
  return all;
}

/** A simpler candidate gives way to the mixture, whose bands are safer, only where it is no better than by this share. */
const TIE_SHARE = 0.01;
/** A candidate whose 90 % bands hold less than this is not chosen. */
const LEAST_COVERED_90 = 0.85;

/** A network brings weights that have to be trained and kept: so many series of a class must speak for it, not one. */
const FEWEST_SERIES_FOR_NETWORK = 3;

/** The candidate with the least loss in each class that was seen, of those whose bands keep their word, and why. */
export function chosen(scores: readonly ClassScore[]): {
  choice: Partial<Record<SeriesClass, SeriesCandidateName>>;
  reasons: Record<string, string>;
} {
  const choice: Partial<Record<SeriesClass, SeriesCandidateName>> = {};
  const reasons: Record<string, string> = {};
  for (const name of seriesClasses) {
    const own = scores
      .filter((score) => score.class === name && score.covered90 >= LEAST_COVERED_90)
      .sort((a, b) => a.relativeLoss - b.relativeLoss);
    const held = own.filter(
      (score) => !score.candidate.includes('network') || score.series >= FEWEST_SERIES_FOR_NETWORK,
    );
    const best = held[0];
    if (best === undefined) continue;
    const mixture = held.find(({ candidate }) => candidate === 'mixture');
    const isTie = mixture !== undefined && mixture.relativeLoss <= (1 + TIE_SHARE) * best.relativeLoss;
    const taken = isTie ? mixture : best;
    choice[name] = taken.candidate;
    reasons[name] =
      taken === best
        ? `the least loss, ${best.relativeLoss.toFixed(3)}`
        : `its loss, ${taken.relativeLoss.toFixed(3)}, is within 1 % of the least, ${best.relativeLoss.toFixed(3)} of ${best.candidate}`;
    const first = own[0]!;
    if (first !== best)
      reasons[name] +=
        ` (${first.candidate} had ${first.relativeLoss.toFixed(3)}, but only ${first.series} series speak for it)`;
  }
  return { choice, reasons };
}
