import {
  DEFAULT_CLUSTER,
  isCompleted,
  startMs,
  type MoveRecord,
  type Operation,
} from '../domain/move-record.js';
import type { Basis, DurationQuantiles, Prediction } from '../domain/prediction.js';
import { pairLink } from '../domain/samples.js';
import type { KeptPrediction, Store } from '../store/store.js';

/** One finished move beside what had been predicted for it. Durations in seconds, times in epoch milliseconds. */
export interface Score {
  id: string;
  cluster: string;
  instance: string;
  link: string;
  source_node: string;
  target_node: string;
  operation: Operation;
  memory_mib: number | undefined;
  /** What the move has to copy at least once: RAM and disk of a live migration, disk of a replication; undefined where not known. */
  size_mib: number | undefined;
  started_ms: number;
  finished_ms: number;
  /** False for a move that was broken off: its duration is only a lower bound. */
  completed: boolean;
  actual_seconds: number;
  p05: number;
  p10: number;
  p50: number;
  p90: number;
  p95: number;
  basis: Basis;
  /** `name@version` of the model that predicted. */
  model: string;
  how: ScoredHow;
}

/**
 * Where the prediction of a score comes from: given out before the move started, made afterwards from what had finished
 * before its start, or by the rolling backtest of the training, which does the same with a model trained only on that.
 */
export const scoredHow = ['asked_before', 'from_history', 'backtest'] as const;
export type ScoredHow = (typeof scoredHow)[number];

/** What a score needs of a prediction. */
export type ScoredPrediction = Pick<Prediction, 'basis' | 'model'> & {
  duration_seconds: Omit<DurationQuantiles, 'mean'>;
};

/** Puts a finished move beside its prediction. */
export function scoreOf(record: MoveRecord, prediction: ScoredPrediction, how: ScoredHow): Score {
  const startedMs = startMs(record);
  const { p05, p10, p50, p90, p95 } = prediction.duration_seconds;
  return {
    id: record.id,
    cluster: record.cluster ?? DEFAULT_CLUSTER,
    instance: record.instance,
    link: pairLink(record.source_node, record.target_node),
    source_node: record.source_node,
    target_node: record.target_node,
    operation: record.operation,
    memory_mib: record.memory_mib,
    size_mib: sizeMib(record),
    started_ms: startedMs,
    finished_ms: startedMs + record.duration_seconds * 1000,
    completed: isCompleted(record),
    actual_seconds: record.duration_seconds,
    p05,
    p10,
    p50,
    p90,
    p95,
    basis: prediction.basis,
    model: `${prediction.model.name}@${prediction.model.version}`,
    how,
  };
}

function sizeMib({ operation, memory_mib: memory, disk_mib: disk }: MoveRecord): number | undefined {
  if (operation === 'disk_replication') return disk;
  if (operation === 'failover' || memory === undefined) return undefined;
  return memory + (disk ?? 0);
}

/** The score of a move against the prediction that was kept for it. */
export const keptScoreOf = (record: MoveRecord, kept: KeptPrediction): Score =>
  scoreOf(
    record,
    kept.prediction,
    Date.parse(kept.predicted_at) <= startMs(record) ? 'asked_before' : 'from_history',
  );

/** Predictions held in memory while moves are read beside them; a newer one pushes the oldest out. */
const MOST_KEPT = 200_000;

export interface ScoresRead {
  scores: Score[];
  /** Moves in the window, with or without a prediction. */
  moves: number;
}

/** Scores of the moves that started in [fromMs, toMs), in order of start, from what the store keeps. O(moves + predictions kept). */
export async function readScores(
  store: Store,
  fromMs: number | undefined,
  toMs: number,
): Promise<ScoresRead> {
  const kept = new Map<string, KeptPrediction>();
  for await (const item of store.keptPredictions()) {
    kept.set(item.move_id, item);
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!);
  }
  const scores: Score[] = [];
  let moves = 0;
  for await (const record of store.moves({ ...(fromMs === undefined ? {} : { fromMs }), toMs })) {
    moves += 1;
    const item = kept.get(record.id);
    if (item !== undefined) scores.push(keptScoreOf(record, item));
  }
  return { scores, moves };
}
