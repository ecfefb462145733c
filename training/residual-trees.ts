import { moveFeatures } from '../src/predictor/move-features.js';
import type { Forest } from '../src/predictor/trees.js';
import { trainForest } from './boosting.js';

/** Fewer moves than this teach trees nothing but noise. */
export const LEAST_TREE_MOVES = 80;
/** Small trees under so many moves. */
const FEW_MOVES = 2000;

const monotone = Int8Array.from(moveFeatures, (feature) => feature.monotone);

/** What trees are grown on: what physics missed of each move, in order of finish. */
export class ResidualFrame {
  private readonly columns: number[][] = moveFeatures.map(() => []);
  private readonly targets: number[] = [];

  get rows(): number {
    return this.targets.length;
  }

  add(features: Float64Array, residual: number): void {
    for (let j = 0; j < this.columns.length; j++) this.columns[j]!.push(features[j]!);
    this.targets.push(residual);
  }

  /** Boosted trees on the residual under an absolute loss: they follow the median. O(rows · columns · trees). */
  forest(seed: number): Forest {
    return trainForest(
      { columns: this.columns.map((column) => Float64Array.from(column)), rows: this.rows },
      Float64Array.from(this.targets),
      {
        loss: 'l1',
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
