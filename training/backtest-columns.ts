import { QUANTILE_NAMES, type Basis, type DurationQuantiles } from '../src/domain/prediction.js';
import type { MoveStatus } from '../src/domain/move-record.js';
import type { BacktestRow } from './backtest.js';

const FIGURES = [...QUANTILE_NAMES, 'mean'] as const;

/** Rows of one candidate as columns: some 90 bytes a row in the place of 300. They come out as they went in. */
export class BacktestColumns {
  private readonly candidate: string;
  private readonly ids: readonly string[];
  private readonly origins: readonly string[];
  private readonly statuses: readonly MoveStatus[];
  private readonly bases: readonly Basis[];
  private readonly actualSeconds: Float64Array;
  /** NaN where the candidate says none. */
  private readonly completion: Float64Array;
  private readonly seconds: readonly Float64Array[];

  /** `rows` of one candidate. O(n). */
  constructor(rows: readonly BacktestRow[]) {
    this.candidate = rows[0]?.candidate ?? '';
    this.ids = rows.map((row) => row.id);
    this.origins = rows.map((row) => row.origin);
    this.statuses = rows.map((row) => row.status);
    this.bases = rows.map((row) => row.basis);
    this.actualSeconds = Float64Array.from(rows, (row) => row.actual_seconds);
    this.completion = Float64Array.from(rows, (row) => row.completion_probability ?? NaN);
    this.seconds = FIGURES.map((name) => Float64Array.from(rows, (row) => row.duration_seconds[name]));
  }

  /** O(n). */
  rows(): BacktestRow[] {
    const [p05, p10, p50, p90, p95, mean] = this.seconds as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    return this.ids.map((id, i): BacktestRow => {
      const duration_seconds: DurationQuantiles = {
        p05: p05[i]!,
        p10: p10[i]!,
        p50: p50[i]!,
        p90: p90[i]!,
        p95: p95[i]!,
        mean: mean[i]!,
      };
      const completion = this.completion[i]!;
      return {
        id,
        candidate: this.candidate,
        origin: this.origins[i]!,
        actual_seconds: this.actualSeconds[i]!,
        status: this.statuses[i]!,
        duration_seconds,
        basis: this.bases[i]!,
        ...(Number.isNaN(completion) ? {} : { completion_probability: completion }),
      };
    });
  }
}
