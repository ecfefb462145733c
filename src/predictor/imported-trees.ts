import { z } from 'zod';
import { UserError } from '../domain/errors.js';
import { isCompleted, type MoveRecord, type Operation } from '../domain/move-record.js';
import { QUANTILE_LEVELS } from '../domain/prediction.js';
import { CoverageControl } from './coverage-control.js';
import {
  DurationModel,
  meanOfQuantiles,
  type DurationEstimate,
  type DurationModelParts,
} from './duration-model.js';
import { FRAME_SCHEMA, frameColumns } from './frame-columns.js';
import { inputsOfRecord, type MoveInputs } from './move-inputs.js';
import { ResidualQuantiles } from './residual-quantiles.js';
import { forestJsonSchema, fromJson, predictRow, type Forest } from './trees.js';

const { exp, log, max, min } = Math;

/** What the trees answer, and how it becomes seconds; `physics` is the frame's log_physics_seconds. */
export const treeTargets = {
  residual_log: 'seconds = exp(log_physics_seconds + answer)',
  log_seconds: 'seconds = exp(answer)',
  seconds: 'seconds = answer',
} as const;
export type TreeTarget = keyof typeof treeTargets;
export const treeTargetNames = Object.keys(treeTargets) as TreeTarget[];

/** Trees from elsewhere as they stand in model.json, with what is known of their errors. */
export const importedTreesSchema = z.object({
  frame_schema: z.literal(FRAME_SCHEMA),
  /** Where they came from, for the card. */
  source: z.object({ format: z.string(), file: z.string(), sha256: z.string(), objective: z.string() }),
  target: z.enum(treeTargetNames),
  /** The frame's columns that the trees read, in their order. */
  columns: z.array(z.string()),
  forest: forestJsonSchema,
  residuals: z.array(z.tuple([z.string(), z.array(z.number())])),
  coverage: z.array(z.tuple([z.string(), z.tuple([z.number(), z.number()])])),
});
export type ImportedTreesFile = z.infer<typeof importedTreesSchema>;

/**
 * Standard deviation of log(actual ÷ predicted) where no error of the trees is known: the 90 % interval goes from about
 * a third to three times the answer. Deliberately wide: what is not known must not look sure.
 */
const UNKNOWN_SCALE = 0.7;
/** log T is kept in the range of a duration between a millisecond and the longest move that a record may have. */
const LEAST_SECONDS = 1e-3;
const MOST_SECONDS = 100 * 86_400;

/** What decides in which company a move's error stands. */
export interface ErrorGroup {
  cluster: string;
  operation: Operation;
  concurrentMoves: number;
}

/** From the whole to the particular. */
const errorGroups = ({ cluster, operation, concurrentMoves }: ErrorGroup): string[] => {
  const others = concurrentMoves > 0 ? concurrentMoves : 0;
  return ['', `${cluster} ${operation}`, `${cluster} ${operation} ${others}`];
};

/**
 * Errors of trees that were grown elsewhere: conformal quantiles of the last of them, of the move's own group and of
 * those above it, held to their promise over time.
 */
export class TreeErrors {
  private readonly residuals = new ResidualQuantiles();
  private readonly coverage = new CoverageControl();
  private readonly standard = new Float64Array(QUANTILE_LEVELS.length);

  /** log(actual ÷ predicted) at QUANTILE_LEVELS, rising, 0 at the median: the trees' answer is p50. */
  quantiles(of: ErrorGroup): Float64Array {
    const { standard } = this;
    this.given(errorGroups(of));
    standard[2] = 0;
    standard[1] = min(0, standard[1]!);
    standard[0] = min(standard[1], standard[0]!);
    standard[3] = max(0, standard[3]!);
    standard[4] = max(standard[3], standard[4]!);
    return standard;
  }

  private given(groups: readonly string[]): void {
    const { standard } = this;
    this.residuals.quantiles(groups, QUANTILE_LEVELS, standard);
    for (let j = 0; j < standard.length; j++) standard[j]! *= UNKNOWN_SCALE;
    this.coverage.widen(groups.slice(1), standard);
  }

  /** `error` = log(actual ÷ predicted) of a move that finished. */
  learn(of: ErrorGroup, error: number): void {
    if (!Number.isFinite(error)) return;
    const groups = errorGroups(of);
    this.given(groups);
    this.coverage.learn(groups.slice(1), this.standard, error);
    this.residuals.learn(groups, error / UNKNOWN_SCALE);
  }

  save(): Pick<ImportedTreesFile, 'residuals' | 'coverage'> {
    return { residuals: this.residuals.save(), coverage: this.coverage.save() };
  }

  restore(saved: Pick<ImportedTreesFile, 'residuals' | 'coverage'>): void {
    this.residuals.restore(saved.residuals);
    this.coverage.restore(saved.coverage);
  }
}

/** Asks trees from elsewhere by the names of the columns that they read. */
export class NamedTrees {
  private readonly forest: Forest;
  private readonly places: Int32Array;
  private readonly asked: Float64Array;
  private readonly target: TreeTarget;

  /** @throws UserError `model-unusable` where a column is none of the frame's, or there are too many or too few. */
  constructor(file: Pick<ImportedTreesFile, 'forest' | 'columns' | 'target'>) {
    this.forest = fromJson(file.forest);
    this.target = file.target;
    this.asked = new Float64Array(this.forest.features);
    if (file.columns.length !== this.forest.features)
      throw new UserError(
        'model-unusable',
        `the trees read ${this.forest.features} columns, but ${file.columns.length} are named`,
      );
    this.places = Int32Array.from(file.columns, (name) => {
      const place = frameColumns.findIndex((column) => column.name === name);
      if (place >= 0) return place;
      throw new UserError('model-unusable', `the trees read the column ${name}, which a frame does not have`);
    });
  }

  /** Seconds for a row in the order of `frameColumns`, between a millisecond and the longest move of a record. */
  seconds(row: Float64Array, physicsLog: number): number {
    const { places, asked } = this;
    for (let j = 0; j < places.length; j++) asked[j] = row[places[j]!]!;
    const answer = predictRow(this.forest, asked, 0);
    const seconds =
      this.target === 'seconds' ? answer : exp(this.target === 'log_seconds' ? answer : physicsLog + answer);
    return seconds > LEAST_SECONDS ? min(MOST_SECONDS, seconds) : LEAST_SECONDS;
  }
}

/**
 * A model whose durations are those of trees from elsewhere. The model beneath them goes on learning every move: it
 * computes the columns that they read, and still says what is downtime, transferred and likely to complete.
 */
export class ImportedTreesModel extends DurationModel {
  private readonly trees: NamedTrees;
  private readonly errors = new TreeErrors();
  private readonly row = new Float64Array(frameColumns.length);

  constructor(parts: DurationModelParts, file: ImportedTreesFile) {
    super(parts);
    this.trees = new NamedTrees(file);
    this.errors.restore(file);
  }

  override estimate(inputs: MoveInputs, out: DurationEstimate): DurationEstimate {
    super.estimate(inputs, out);
    if (inputs.operation === 'failover') out.downtimeMs = [1000 * out.seconds[2]!, 1000 * out.seconds[3]!];
    return out;
  }

  override estimateSeconds(inputs: MoveInputs, out: DurationEstimate): number {
    const inTime = super.estimateSeconds(inputs, out);
    const seconds = this.treeSeconds(inputs);
    const quantiles = this.errors.quantiles(inputs);
    for (let j = 0; j < quantiles.length; j++) {
      const at = min(MOST_SECONDS, max(LEAST_SECONDS, seconds * exp(quantiles[j]!)));
      // A move that ends in time ends before its manager breaks it off.
      out.seconds[j] = inputs.timeoutSeconds > 0 ? min(at, inputs.timeoutSeconds) : at;
    }
    out.mean = meanOfQuantiles(out.seconds);
    return inTime;
  }

  override learn(record: MoveRecord): void {
    if (isCompleted(record)) {
      const inputs = inputsOfRecord(record);
      this.fillKnown(inputs);
      const error = log(record.duration_seconds / this.treeSeconds(inputs));
      if (Number.isFinite(error)) super.keepError(inputs, error, this.errors.quantiles(inputs));
      this.errors.learn(inputs, error);
    }
    super.learn(record);
  }

  /** The errors of the model beneath are not those of the trees. */
  protected override keepError(): void {
    return undefined;
  }

  private treeSeconds(inputs: MoveInputs): number {
    const physicsLog = this.frameRow(inputs, this.row);
    return this.trees.seconds(this.row, physicsLog);
  }
}
