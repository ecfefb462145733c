import type { ModelFile } from '../src/predictor/model-file.js';
import { accuracyBy, accuracyOf, type Accuracy } from './accuracy.js';
import { backtest, backtestEach, type BacktestData, type BacktestRow, type Protocol } from './backtest.js';
import { BacktestColumns } from './backtest-columns.js';
import type { BacktestPieces } from './backtest-pieces.js';
import { backtestReport } from './backtest-report.js';
import { accuracyIntervals, type AccuracyIntervals } from './bootstrap.js';
import { candidates } from './candidates/candidates.js';
import { wholeModel } from './candidates/whole-model.js';
import { fitModel } from './fit.js';
import { modelCard, type ModelMetrics } from './model-card.js';
import { moveGroups } from './move-groups.js';
import { judge, type Verdict } from './promotion.js';
import { inOrderOfTime } from './sample-feed.js';
import { replaySamples } from './sample-replay.js';

/** A trained model with all that the registry keeps of it. */
export interface TrainedModel {
  file: ModelFile;
  card: string;
  metrics: ModelMetrics;
  verdict: Verdict;
  /** What the model had predicted in the rolling backtest: a JSON object with id, duration_seconds and basis a line. */
  backtest: string;
  /** The rolling backtest as a page of plots; undefined where there were too few moves for one. */
  report: string | undefined;
}

export interface TrainingOptions {
  name: string;
  seed: number;
  /** Those under which the model itself is judged besides the rolling one. @default all but `rolling` */
  protocols?: readonly Protocol[];
  /** The version in service under this name. */
  champion?: ModelFile | undefined;
  /** So many older moves were there but are not in the data: the card says so. */
  leftOut?: number;
  onProgress?: (done: number, total: number) => void;
  /** What an earlier run with the same `trainingKey` has finished is taken from here, and kept here. */
  pieces?: BacktestPieces | undefined;
}

const otherProtocols: readonly Protocol[] = [
  'new-instance',
  'new-link',
  'new-node',
  'new-size',
  'cold-start',
  'shift',
];
/**
 * Those that leave groups out go through time once for each fifth of the groups. Fitted anew as often as the rolling one they
 * would take longer than all the rest of a training; between fits the model learns all the same.
 */
const OTHER_ORIGIN_GROWTH = 2;

/** Fits, backtests every candidate, judges against the version in service, and writes the card. */
export function trainModel(data: BacktestData, options: TrainingOptions): TrainedModel {
  const { name, seed, champion, leftOut = 0, pieces, onProgress = () => undefined } = options;
  const { protocols: judgedUnder = otherProtocols } = options;
  // The rolling backtest, the other protocols, the judgement, the fit itself.
  const parts = 3 + judgedUnder.length;
  const groups = moveGroups(data.records);
  const intervalsOf = (members: readonly BacktestRow[]): AccuracyIntervals | undefined =>
    accuracyIntervals(members, groups.instance, seed);
  const columns = new Map<string, BacktestColumns>();
  const accuracies = new Map<string, Accuracy>();
  for (const { candidate, rows } of backtestEach(data, candidates, {
    protocol: 'rolling',
    seed,
    pieces,
    onProgress: (done, total) => onProgress(done / total, parts),
  })) {
    columns.set(candidate.name, new BacktestColumns(rows));
    for (const [of, accuracy] of accuracyBy(rows, (row) => row.candidate, intervalsOf))
      accuracies.set(of, accuracy);
  }
  const rowsOf = (candidate: string): BacktestRow[] => columns.get(candidate)?.rows() ?? [];
  const protocols: Partial<Record<Protocol, Accuracy>> = {};
  judgedUnder.forEach((protocol, k) => {
    const accuracy = accuracyOf(
      backtest(data, [wholeModel], {
        protocol,
        seed,
        originGrowth: OTHER_ORIGIN_GROWTH,
        pieces,
        onProgress: (done) => onProgress(1 + k + done, parts),
      }),
    );
    if (accuracy !== undefined) protocols[protocol] = accuracy;
  });
  const own = rowsOf(wholeModel.name);
  const verdict = judge(data, own, {
    champion,
    accuracies,
    seed,
    pieces,
    onProgress: (done) => onProgress(parts - 2 + done, parts),
  });
  onProgress(parts - 1, parts);
  const { moves } = replaySamples({ moves: data.records, linkSamples: data.linkSamples ?? [] });
  const instanceSamples = inOrderOfTime(data.instanceSamples ?? []);
  const file = fitModel(moves, { name, seed, instanceSamples });
  onProgress(parts, parts);
  const metrics: ModelMetrics = {
    candidates: Object.fromEntries(accuracies),
    groups: Object.fromEntries(accuracyBy(own, groups.cluster, intervalsOf)),
    protocols,
    verdict,
  };
  return {
    file,
    card: modelCard(file, data.records, metrics, leftOut),
    metrics,
    verdict,
    report:
      own.length === 0
        ? undefined
        : backtestReport({
            rowsOf,
            accuracies,
            records: data.records,
            protocol: 'rolling',
            seed,
            candidates,
          }),
    backtest: backtestLines(own),
  };
}

/** Digits of a kept prediction: a thousandth part is finer than any forecast. */
const KEPT_DIGITS = 4;

/** The lines of `backtest.jsonl`, for whoever shows how the model had done. */
function backtestLines(rows: readonly BacktestRow[]): string {
  return rows
    .map(({ id, duration_seconds: { p05, p10, p50, p90, p95 }, basis }) => {
      const kept = Object.entries({ p05, p10, p50, p90, p95 }).map(
        ([name, seconds]) => [name, Number(seconds.toPrecision(KEPT_DIGITS))] as const,
      );
      return `${JSON.stringify({ id, duration_seconds: Object.fromEntries(kept), basis })}\n`;
    })
    .join('');
}
