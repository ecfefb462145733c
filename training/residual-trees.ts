import { moveFeatures } from '../src/predictor/move-features.js';
import type { Forest } from '../src/predictor/trees.js';
import { trainForest } from './boosting.js';

/** Fewer moves than this teach trees nothing but noise. */
export const LEAST_TREE_MOVES = 80;
/** Small trees under so many moves. */
const FEW_MOVES = 2000;

/**
 * Scale of the logistic error of log time: misses of up to about a fifth pull in proportion, greater ones by their direction
 * alone, so that trees follow the middle as under an absolute loss.
 */
const ERROR_SCALE = 0.2;

const monotone = Int8Array.from(moveFeatures, (feature) => feature.monotone);

/** What trees are grown on: what physics missed of each move, in order of finish. */
export class ResidualFrame {
  private readonly columns: number[][] = moveFeatures.map(() => []);
  private readonly targets: number[] = [];
  /** 1 where a move was broken off. */
  private readonly censored: number[] = [];
  private completed = 0;

  /** Moves that completed: the others say only "at least this". */
  get completedRows(): number {
    return this.completed;
  }

  private get rows(): number {
    return this.targets.length;
  }

  /** `residual` = log(actual ÷ physics); of a move that was broken off, of how long it had lasted. */
  add(features: Float64Array, residual: number, isCompleted: boolean): void {
    for (let j = 0; j < this.columns.length; j++) this.columns[j]!.push(features[j]!);
    this.targets.push(residual);
    this.censored.push(isCompleted ? 0 : 1);
    if (isCompleted) this.completed++;
  }

  /**
   * Boosted trees on the residual, an accelerated failure time with a logistic error: they follow the median, and a move that
   * was broken off is a lower bound. O(rows · columns · trees).
   */
  forest(seed: number): Forest {
    return trainForest(
      { columns: this.columns.map((column) => Float64Array.from(column)), rows: this.rows },
      Float64Array.from(this.targets),
      {
        loss: 'aft',
        aftDistribution: 'logistic',
        aftScale: ERROR_SCALE,
        censored: Uint8Array.from(this.censored),
        trees: 80,
        learningRate: 0.07,
        maxLeaves: this.rows < FEW_MOVES ? 6 : 12,
        minChildWeight: this.rows < FEW_MOVES ? 10 : 30,
        l2: 3,
        maxBins: 64,
        rowFraction: 0.8,
        featureFraction: 0.7,
        monotone,
        seed,
      },
    );
  }
}
