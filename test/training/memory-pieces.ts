import type { BacktestRow } from '../../training/backtest.js';
import type { BacktestPieces } from '../../training/backtest-pieces.js';

/** Pieces kept in memory, so that trainings on the same records and seed backtest what they have in common once. */
export function memoryPieces(): BacktestPieces {
  const kept = new Map<string, BacktestRow[]>();
  return {
    read: (name) => kept.get(name),
    keep: (name, rows) => void kept.set(name, [...rows]),
  };
}
