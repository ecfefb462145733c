import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { UserError } from '../src/domain/errors.js';
import { moveStatusSchema, operationSchema, type MoveStatus } from '../src/domain/move-record.js';
import { QUANTILE_NAMES, type DurationQuantiles } from '../src/domain/prediction.js';
import { fromIsoTime, toIsoTime } from '../src/domain/units.js';
import { meanOfQuantiles } from '../src/predictor/duration-model.js';
import { FRAME_SCHEMA, frameColumns } from '../src/predictor/frame-columns.js';
import {
  NamedTrees,
  TreeErrors,
  treeTargets,
  type ErrorGroup,
  type ImportedTreesFile,
  type TreeTarget,
} from '../src/predictor/imported-trees.js';
import type { ModelFile } from '../src/predictor/model-file.js';
import { forestFromAnyFormat, type ImportFormat } from '../src/predictor/tree-import/any-format.js';
import { toJson, treeCount, type Forest } from '../src/predictor/trees.js';
import { accuracyBy, type Accuracy } from './accuracy.js';
import { accuracyMarkdown } from './accuracy-table.js';
import type { BacktestRow } from './backtest.js';
import type { DatasetSchema } from './dataset-table.js';
import type { ModelMetrics } from './model-card.js';

/** What is needed to put trees from elsewhere in service. */
export interface TreeImport {
  name: string;
  /** @default the library and a hash of what is imported */
  version?: string | undefined;
  path: string;
  bytes: Uint8Array;
  schema: DatasetSchema;
  /** The model beside the frame: it computes the columns. */
  base: ModelFile;
  target: TreeTarget;
  /** The frame's columns in the order of the trees, where their file does not name them. */
  columns?: readonly string[] | undefined;
  /** Take only the trees of so many rounds of the training, as early stopping found best. */
  rounds?: number | undefined;
  /** Moves that the trees were not grown on, from which their errors are known. */
  rows?: readonly ErrorRow[] | undefined;
}

/** A row of a frame, as far as errors are learnt from it. */
export interface ErrorRow extends ErrorGroup {
  id: string;
  startMs: number;
  finishMs: number;
  durationSeconds: number;
  status: MoveStatus;
  /** In the order of `frameColumns`; NaN where it is missing or not in the table. */
  features: Float64Array;
}

/** Trees from elsewhere as a version for the registry. */
export interface ImportedTrees {
  file: ModelFile;
  card: string;
  metrics: ModelMetrics;
  /** For the one who imports: what is not as they might think. */
  remarks: readonly string[];
  /** How the trees did on the rows, once enough errors were known; undefined without rows. */
  accuracy: Accuracy | undefined;
}

const libraries: Readonly<Record<ImportFormat, string>> = {
  'xgboost-json': 'xgboost',
  'lightgbm-text': 'lightgbm',
  onnx: 'onnx',
};
/** Coverage is counted from the row on at whose start so many errors were known. */
const LEAST_KNOWN_ERRORS = 30;
/** Trees that are off by this factor in the middle answer another question than the one that was named. */
const FAR_FACTOR = 2;
/** A version is named by what it holds: so many digits of its hash. */
const HASH_DIGITS = 12;

/**
 * Reads the trees, finds their columns in the frame, learns their errors from the rows in order of time, and writes the
 * card. @throws UserError in one sentence for a file that is damaged, and for columns that do not fit.
 */
export function importTrees(given: TreeImport): ImportedTrees {
  const { name, path, bytes, schema, base, target, rows } = given;
  const { forest, format, objective, featureNames, remarks } = readForest(given);
  const columns = columnsOf(path, forest, given.columns ?? featureNames, schema);
  const trees: Omit<ImportedTreesFile, 'residuals' | 'coverage'> = {
    frame_schema: FRAME_SCHEMA,
    source: {
      format,
      file: basename(path),
      sha256: createHash('sha256').update(bytes).digest('hex'),
      objective,
    },
    target,
    columns: [...columns],
    forest: toJson(forest),
  };
  const errors = new TreeErrors();
  const said = [...remarks];
  const scored = rows === undefined ? [] : learnErrors(trees, rows, errors);
  const median = middleOf(rows ?? [], trees);
  if (Math.abs(median) > Math.log(FAR_FACTOR))
    said.push(
      `on the rows the trees are off by a factor of ${Math.exp(Math.abs(median)).toFixed(1)} in the middle: is --target ${target} what they answer?`,
    );
  const imported: ImportedTreesFile = { ...trees, ...errors.save() };
  const hashed = `${libraries[format]}-${createHash('sha256')
    .update(JSON.stringify({ imported, base: base.version }))
    .digest('hex')
    .slice(0, HASH_DIGITS)}`;
  // How far the errors of the base reach says nothing of the trees'.
  const state = { ...base.state, errors: [] };
  const file: ModelFile = { ...base, state, name, version: given.version ?? hashed, imported };
  const accuracies = accuracyBy(scored, (row) => row.candidate);
  const metrics: ModelMetrics = {
    candidates: Object.fromEntries(accuracies),
    groups: Object.fromEntries(
      accuracyBy(
        scored.filter((row) => row.candidate === TREES),
        (row) => row.origin,
      ),
    ),
    protocols: {},
    verdict: { promote: false, reason: 'imported: promote it when its figures persuade you' },
  };
  const card = importCard(file, imported, forest, { schema, metrics, rows, remarks: said });
  return { file, card, metrics, remarks: said, accuracy: accuracies.get(TREES) };
}

function readForest({ path, bytes, rounds }: TreeImport): ReturnType<typeof forestFromAnyFormat> {
  try {
    return forestFromAnyFormat(bytes, rounds === undefined ? {} : { rounds });
  } catch (error) {
    if (error instanceof UserError) throw new UserError(error.code, `${path}: ${error.message}`);
    throw error;
  }
}

/** The frame's columns that the trees read, checked one by one. */
function columnsOf(
  path: string,
  forest: Forest,
  names: readonly string[] | undefined,
  schema: DatasetSchema,
): readonly string[] {
  const refuse = (sentence: string): never => {
    throw new UserError('input-invalid', `${path}: ${sentence}`);
  };
  if (names === undefined)
    return refuse('does not name the columns that its trees read; give them in their order with --columns');
  if (names.length !== forest.features)
    return refuse(`its trees read ${forest.features} columns, but ${names.length} are named`);
  for (const [i, name] of names.entries()) {
    const column = schema.columns.find((one) => one.name === name);
    if (column === undefined)
      return refuse(
        `its trees read a column ${JSON.stringify(name.slice(0, 60))}, which the frame does not have; train on the frame's columns, or name them in order with --columns`,
      );
    if (column.role === 'outcome')
      return refuse(
        `its trees read ${name}, which is known only after a move: they cannot predict one; train without it`,
      );
    if (column.role === 'key' || !frameColumns.some((one) => one.name === name))
      return refuse(`its trees read ${name}, which is no feature of the frame; train without it`);
    if (names.indexOf(name) !== i) return refuse(`its trees read the column ${name} twice`);
  }
  return names;
}

const TREES = 'these trees';
const PHYSICS = 'physics alone';
const PHYSICS_COLUMN = frameColumns.findIndex(({ name }) => name === 'log_physics_seconds');

/**
 * Walks through the rows in order of start: each is answered with what was known of the errors of those that had
 * finished by then, and becomes known itself when it finishes. Leaves all errors in `errors`. O(n log n).
 */
function learnErrors(
  trees: Pick<ImportedTreesFile, 'forest' | 'columns' | 'target'>,
  rows: readonly ErrorRow[],
  errors: TreeErrors,
): BacktestRow[] {
  const ask = new NamedTrees(trees);
  const byStart = rows.toSorted((a, b) => a.startMs - b.startMs || (a.id < b.id ? -1 : 1));
  const answers = new Map(
    byStart.map((row) => [row, ask.seconds(row.features, row.features[PHYSICS_COLUMN]!)] as const),
  );
  const points: [string, (row: ErrorRow) => number, TreeErrors][] = [
    [TREES, (row) => answers.get(row)!, errors],
    [PHYSICS, (row) => Math.exp(row.features[PHYSICS_COLUMN]!), new TreeErrors()],
  ];
  const scored: BacktestRow[] = [];
  for (const [candidate, secondsOf, known] of points) {
    const byFinish = byStart.toSorted((a, b) => a.finishMs - b.finishMs || (a.id < b.id ? -1 : 1));
    let finished = 0;
    let count = 0;
    const learnUntil = (ms: number): void => {
      for (; finished < byFinish.length && byFinish[finished]!.finishMs <= ms; finished++) {
        const row = byFinish[finished]!;
        if (row.status !== 'completed') continue;
        known.learn(row, Math.log(row.durationSeconds / secondsOf(row)));
        count++;
      }
    };
    for (const row of byStart) {
      learnUntil(row.startMs);
      const seconds = secondsOf(row);
      if (count < LEAST_KNOWN_ERRORS || !(seconds > 0)) continue;
      const at = known.quantiles(row).map((u) => seconds * Math.exp(u));
      const quantiles = { mean: meanOfQuantiles(at) } as DurationQuantiles;
      QUANTILE_NAMES.forEach((name, j) => (quantiles[name] = at[j]!));
      scored.push({
        id: row.id,
        candidate,
        origin: `${row.cluster}, ${row.concurrentMoves > 0 ? 'in parallel' : 'alone'}`,
        actual_seconds: row.durationSeconds,
        status: row.status,
        duration_seconds: quantiles,
        basis: 'cluster',
      });
    }
    learnUntil(Infinity);
  }
  return scored;
}

/** Median of log(actual ÷ predicted) over all completed rows; 0 without any. */
function middleOf(
  rows: readonly ErrorRow[],
  trees: Pick<ImportedTreesFile, 'forest' | 'columns' | 'target'>,
): number {
  const ask = new NamedTrees(trees);
  const errors = rows
    .filter(({ status }) => status === 'completed')
    .map(({ durationSeconds, features }) =>
      Math.log(durationSeconds / ask.seconds(features, features[PHYSICS_COLUMN]!)),
    )
    .sort((a, b) => a - b);
  return errors[errors.length >> 1] ?? 0;
}

/** A table's row as an `ErrorRow`. @throws UserError in a sentence that begins with `place`. */
export function errorRow(value: Record<string, unknown>, place: string): ErrorRow {
  const bad = (field: string, must: string): never => {
    throw new UserError('input-invalid', `${place}: ${field} ${must}`, field);
  };
  const number = (field: string): number => {
    const given = value[field];
    if (given === undefined || given === null) return NaN;
    return typeof given === 'number' ? given : bad(field, 'must be a number');
  };
  const startMs = fromIsoTime(String(value['started_at'] ?? ''));
  if (Number.isNaN(startMs)) bad('started_at', 'must be a time such as 2026-11-22T10:00:00Z');
  const durationSeconds = number('duration_seconds');
  if (!(durationSeconds > 0)) bad('duration_seconds', 'must be a number above 0');
  const operation = operationSchema.safeParse(value['operation'] ?? 'live_migration');
  const status = moveStatusSchema.safeParse(value['status'] ?? 'completed');
  return {
    id: String(value['id'] ?? place),
    cluster: String(value['cluster'] ?? 'default'),
    operation: operation.success ? operation.data : bad('operation', 'is none that there is'),
    status: status.success ? status.data : bad('status', 'must be completed, failed or cancelled'),
    concurrentMoves: number('concurrent_moves'),
    startMs,
    finishMs: startMs + 1000 * durationSeconds,
    durationSeconds,
    features: Float64Array.from(frameColumns, ({ name }) => number(name)),
  };
}

/** The columns that rows must have for these trees, beside `started_at` and `duration_seconds`. */
export const columnsNeeded = (columns: readonly string[], target: TreeTarget): string[] =>
  target === 'residual_log' ? [...columns, 'log_physics_seconds'] : [...columns];

function importCard(
  file: ModelFile,
  imported: ImportedTreesFile,
  forest: Forest,
  {
    schema,
    metrics,
    rows,
    remarks,
  }: {
    schema: DatasetSchema;
    metrics: ModelMetrics;
    rows: readonly ErrorRow[] | undefined;
    remarks: readonly string[];
  },
): string {
  const { source, target, columns } = imported;
  const completed = (rows ?? []).filter(({ status }) => status === 'completed');
  const times = (rows ?? []).map(({ startMs }) => startMs);
  const span =
    times.length === 0
      ? ''
      : `, started from ${toIsoTime(times.reduce((a, b) => Math.min(a, b)))} to ${toIsoTime(times.reduce((a, b) => Math.max(a, b)))}`;
  const isScored = metrics.candidates[TREES] !== undefined;
  const sections = [
    `# Model card: ${file.name}@${file.version}`,
    'Trees that were grown elsewhere answer how long a move takes; their answer is the median. The layers beneath them compute the columns that they read from what is known before the start, go on learning every move, and answer for downtime, bytes and the chance to complete.',
    '## Trees',
    [
      `- file \`${source.file}\`, ${source.format}, sha256 \`${source.sha256}\``,
      `- ${treeCount(forest)} trees, ${forest.feature.length} nodes${source.objective === '' ? '' : `, objective ${source.objective}`}, link ${forest.link}`,
      `- target ${target}: ${treeTargets[target]}`,
      `- columns, in their order: ${columns.join(', ')}`,
      ...remarks.map((remark) => `- ${remark}`),
    ].join('\n'),
    '## Frame',
    [
      `- schema version ${schema.schema_version}, sha256 of the table as CSV \`${schema.data_sha256}\``,
      `- ${schema.rows} moves${schema.from === undefined ? '' : `, from ${schema.from} to ${schema.to}`}; hash of the records \`${schema.records_hash}\`, seed ${schema.seed}`,
      `- columns computed by model ${schema.model.version}`,
    ].join('\n'),
    '## Intervals',
    rows === undefined
      ? 'No rows were given at the import, so that nothing is known of the errors: the 90 % interval goes from about a third to three times the answer, until reported moves have taught better.'
      : `Conformal: quantiles of the last errors log(actual ÷ predicted) of the move's cluster, operation and number of moves at once, blended with those of all. They stand on ${completed.length} completed moves given at the import${span}, taken in order of time, and go on with every reported move. They are honest only if the trees were not grown on those moves.`,
    isScored
      ? `On those rows, each answered with the errors of those that had finished before it started, from ${LEAST_KNOWN_ERRORS} known errors on (percent; \`in 80\` and \`in 90\` are the shares of moves inside of the intervals):`
      : rows === undefined
        ? undefined
        : `Too few to say how often the intervals hold: more than ${LEAST_KNOWN_ERRORS} are needed.`,
    isScored ? accuracyMarkdown('on the rows', new Map(Object.entries(metrics.candidates))) : undefined,
    isScored ? accuracyMarkdown('these trees, of which', new Map(Object.entries(metrics.groups))) : undefined,
    '## Limits',
    [
      '- Trees cannot extrapolate: sizes and links unlike those of the frame get a warning, and the answer of the nearest like.',
      '- How the trees were grown, and whether later moves were kept from them, is not known here.',
    ].join('\n'),
  ];
  return `${sections
    .filter((section) => section !== undefined)
    .map((section) => section.trimEnd())
    .join('\n\n')}\n`;
}
