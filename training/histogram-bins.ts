/**
 * Columns of numbers as small integers: each column is cut at about equal counts into at most 255 bins, missing values
 * get a bin of their own. All that boosting asks of the data afterwards is answered by the bins.
 */

/** Columns of equal length; NaN is missing. Infinite values are taken as very large ones. */
export interface TrainingFrame {
  readonly columns: readonly Float64Array[];
  readonly rows: number;
}

/** Bins of values in one column; with the bin of missing values they fit one byte. */
export const MOST_VALUE_BINS = 255;

/** All bins of all columns share one numbering, held in 16 bits. */
const MOST_BINS_IN_ALL = 65_536;

/** The row-major copy is padded to groups of four columns, so that the histogram loop can take four at a step. */
export const COLUMNS_PER_STEP = 4;

/** Columns longer than this are cut after every k-th row: the cuts move by less than a hundredth of a bin. */
const MOST_ROWS_SORTED = 400_000;

export interface BinnedFrame {
  readonly rows: number;
  /** Columns that vary at all. The others can split nothing and are left out; `column[f]` is the place in the frame. */
  readonly features: number;
  readonly column: Int32Array;
  /** Ascending cuts of each feature: bin b holds edges[b - 1] < x <= edges[b]. */
  readonly edges: readonly Float64Array[];
  /** The bin of missing values of each feature, counted within the feature, or -1 where none is missing. */
  readonly missingBin: Int32Array;
  /** First bin of each feature in the common numbering, and one entry more: the bin that padding points to. */
  readonly binStart: Int32Array;
  readonly totalBins: number;
  /** Places of a row in `byRow`. */
  readonly stride: number;
  /** rows × stride, in the common numbering. */
  readonly byRow: Uint16Array;
  /** features × rows, counted within the feature. */
  readonly byColumn: Uint8Array;
}

/**
 * Bins a frame. The cuts are made from the first `trainingRows` rows alone, so that nothing of the validation rows
 * shapes them; the rest is binned by the same cuts. O(rows · columns · log rows).
 */
export function binFrame(frame: TrainingFrame, trainingRows: number, mostBins: number): BinnedFrame {
  const fitting = Math.floor(MOST_BINS_IN_ALL / (frame.columns.length + COLUMNS_PER_STEP)) - 1;
  const bins = Math.min(mostBins, MOST_VALUE_BINS, fitting);
  if (bins < 2) throw new RangeError(`too many columns to bin: ${frame.columns.length}`);
  const column: number[] = [];
  const edges: Float64Array[] = [];
  const missing: boolean[] = [];
  frame.columns.forEach((values, index) => {
    const cuts = cutsOf(values, trainingRows, bins);
    const hasMissing = values.subarray(0, frame.rows).some(Number.isNaN);
    if (cuts.length === 0 && !hasMissing) return;
    column.push(index);
    edges.push(cuts);
    missing.push(hasMissing);
  });

  const features = column.length;
  const binStart = new Int32Array(features + 1);
  const missingBin = new Int32Array(features).fill(-1);
  for (let f = 0; f < features; f++) {
    const valueBins = edges[f]!.length + 1;
    if (missing[f]!) missingBin[f] = valueBins;
    binStart[f + 1] = binStart[f]! + valueBins + (missing[f]! ? 1 : 0);
  }
  const stride = Math.ceil(features / COLUMNS_PER_STEP) * COLUMNS_PER_STEP;
  const byRow = new Uint16Array(frame.rows * stride).fill(binStart[features]!);
  const byColumn = new Uint8Array(features * frame.rows);
  for (let f = 0; f < features; f++) {
    const values = frame.columns[column[f]!]!;
    const cuts = edges[f]!;
    const start = binStart[f]!;
    const at = f * frame.rows;
    for (let row = 0; row < frame.rows; row++) {
      const x = values[row]!;
      const bin = Number.isNaN(x) ? missingBin[f]! : binOf(cuts, x);
      byColumn[at + row] = bin;
      byRow[row * stride + f] = start + bin;
    }
  }
  return {
    rows: frame.rows,
    features,
    column: Int32Array.from(column),
    edges,
    missingBin,
    binStart,
    totalBins: binStart[features]! + 1,
    stride,
    byRow,
    byColumn,
  };
}

/** The bin of a present value: the number of edges below it. O(log bins). */
export function binOf(edges: Float64Array, x: number): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x <= edges[middle]!) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Cuts halfway between neighbouring values: all of them where there are at most `bins` different values, else after
 * every (rows / bins)-th row.
 */
function cutsOf(column: Float64Array, rows: number, bins: number): Float64Array {
  const sorted = sortedPresent(column, rows);
  const cuts: number[] = [];
  let different = sorted.length === 0 ? 0 : 1;
  for (let i = 1; i < sorted.length && different <= bins; i++) if (sorted[i] !== sorted[i - 1]) different++;
  if (different <= bins) {
    for (let i = 1; i < sorted.length; i++) {
      if (sorted[i] !== sorted[i - 1]) cuts.push(between(sorted[i - 1]!, sorted[i]!));
    }
    return Float64Array.from(cuts);
  }
  let next = 0;
  for (let cut = 1; cut < bins; cut++) {
    let i = Math.max(next, Math.round((cut * sorted.length) / bins));
    while (i < sorted.length && (i === 0 || sorted[i] === sorted[i - 1])) i++;
    if (i >= sorted.length) break;
    cuts.push(between(sorted[i - 1]!, sorted[i]!));
    next = i + 1;
  }
  return Float64Array.from(cuts);
}

function sortedPresent(column: Float64Array, rows: number): Float64Array {
  const step = Math.ceil(rows / MOST_ROWS_SORTED);
  const present = new Float64Array(Math.ceil(rows / step));
  let n = 0;
  for (let row = 0; row < rows; row += step) {
    const x = column[row]!;
    if (!Number.isNaN(x)) present[n++] = Math.min(Math.max(x, -Number.MAX_VALUE), Number.MAX_VALUE);
  }
  return present.subarray(0, n).sort();
}

/**
 * A number with low <= it < high near the middle: in as few digits as keep it within the middle half, for a model file
 * that reads well.
 */
function between(low: number, high: number): number {
  const middle = low / 2 + high / 2;
  const quarter = (high / 2 - low / 2) / 2;
  for (let digits = 1; digits <= 15; digits++) {
    const short = Number(middle.toPrecision(digits));
    if (Math.abs(short - middle) <= quarter && low <= short && short < high) return short + 0;
  }
  return low <= middle && middle < high ? middle + 0 : low + 0;
}
