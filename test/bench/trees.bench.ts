/**
 * How long training and scoring take, beside scikit-learn and XGBoost in the same run where Debian's python3-sklearn and
 * python3-xgboost are installed. `npm run bench:trees [rows]`; prints machine, sizes, medians, spread and ratios.
 * CPU time of this process; the peers run on one thread and time themselves in the same way.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { predictBatch, predictRow, treeCount } from '../../src/predictor/trees.js';
import { trainForest, type BoostingOptions } from '../../training/boosting.js';
import { seededRandom } from '../../training/seeded-random.js';

const ROWS = Number(process.argv[2] ?? 100_000);
const FEATURES = 20;
const TEST_ROWS = 20_000;
const TREES = 100;
const LEAVES = 31;
const REPEATS = 3;

const PEERS = `
import json, statistics, sys, time
import numpy as np
path, rows, features, trees, leaves, repeats = sys.argv[1], *map(int, sys.argv[2:])
data = np.fromfile(path).reshape(features + 1, -1).T
X, y = np.ascontiguousarray(data[:rows, :features]), data[:rows, features].copy()
Xt, yt = np.ascontiguousarray(data[rows:, :features]), data[rows:, features].copy()
def cpu(run, repeats=repeats):
    times = []
    for _ in range(repeats + 1):
        before = time.process_time(); result = run(); times.append(time.process_time() - before)
    return result, statistics.median(times[1:])
def report(name, fit):
    model, train = cpu(fit)
    prediction, batch = cpu(lambda: model.predict(Xt))
    one = Xt[:1]
    _, row = cpu(lambda: [model.predict(one) for _ in range(100)])
    print(json.dumps(dict(name=name, train=train, batch_us=batch / len(Xt) * 1e6, row_us=row / 100 * 1e6,
                          rmse=float(np.sqrt(np.mean((prediction - yt) ** 2))))))
try:
    import sklearn
    from sklearn.ensemble import HistGradientBoostingRegressor as H
    report('scikit-learn ' + sklearn.__version__, lambda: H(max_iter=trees, max_leaf_nodes=leaves,
           learning_rate=0.1, early_stopping=False, l2_regularization=1.0).fit(X, y))
except ImportError: pass
try:
    import xgboost
    report('XGBoost ' + xgboost.__version__, lambda: xgboost.XGBRegressor(n_estimators=trees, max_leaves=leaves,
           max_depth=0, grow_policy='lossguide', tree_method='hist', max_bin=255, learning_rate=0.1, n_jobs=1,
           min_child_weight=20).fit(X, y))
except ImportError: pass
`;

const random = seededRandom(7);
const data = makeData(ROWS + TEST_ROWS);
const training = { columns: data.columns.map((column) => column.subarray(0, ROWS)), rows: ROWS };
const trainingTarget = data.target.subarray(0, ROWS);
const testTarget = data.target.subarray(ROWS);
const testRows = new Float64Array(TEST_ROWS * FEATURES);
for (let row = 0; row < TEST_ROWS; row++) {
  for (let f = 0; f < FEATURES; f++) testRows[row * FEATURES + f] = data.columns[f]![ROWS + row]!;
}

console.log(
  `${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}; ${ROWS} x ${FEATURES} (5 % missing), ` +
    `${TREES} trees x ${LEAVES} leaves, CPU seconds, median of ${REPEATS} (least to most)`,
);
const options: BoostingOptions = { trees: TREES, maxLeaves: LEAVES };
const squared = timed('train squared', () => trainForest(training, trainingTarget, options));
const forest = squared.result;
timed('train l1', () => trainForest(training, trainingTarget, { ...options, loss: 'l1' }));
timed('train quantile 0.9', () =>
  trainForest(training, trainingTarget, { ...options, loss: 'quantile', quantile: 0.9 }),
);
timed('train squared, 4 monotone', () =>
  trainForest(training, trainingTarget, {
    ...options,
    monotone: Int8Array.from({ length: FEATURES }, (_, f) => (f < 4 ? 1 : 0)),
  }),
);
timed('train aft normal, 1/5 censored', () =>
  trainForest(training, trainingTarget, {
    ...options,
    loss: 'aft',
    censored: Uint8Array.from({ length: ROWS }, (_, row) => (row % 5 === 0 ? 1 : 0)),
  }),
);

const out = new Float64Array(TEST_ROWS);
const batch = timed('', () => predictBatch(forest, testRows, TEST_ROWS, out));
const batchMicros = (batch.seconds / TEST_ROWS) * 1e6;
const single = timed('', () => {
  for (let row = 0; row < TEST_ROWS; row++) out[row] = predictRow(forest, testRows, row * FEATURES);
});
const singleMicros = (single.seconds / TEST_ROWS) * 1e6;
console.log(`one row at a time: ${singleMicros.toFixed(2)} us; in batch: ${batchMicros.toFixed(2)} us a row`);
console.log(
  `trees ${treeCount(forest)}, RMSE on ${TEST_ROWS} other rows ${rmse(out, testTarget).toFixed(4)}`,
);
comparePeers();

function makeData(rows: number): { columns: Float64Array[]; target: Float64Array } {
  const columns = Array.from({ length: FEATURES }, () => Float64Array.from({ length: rows }, normal));
  const target = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const x = columns.map((column) => column[row]!);
    target[row] =
      2 * Math.tanh(x[0]!) +
      Math.tanh(x[1]! * x[2]!) +
      Math.sin(3 * x[3]!) +
      (x[4]! > 0.5 ? 1.5 : 0) +
      normal();
  }
  for (const column of columns) {
    for (let row = 0; row < rows; row++) if (random() < 0.05) column[row] = NaN;
  }
  return { columns, target };
}

function normal(): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function timed<T>(name: string, run: () => T): { result: T; seconds: number } {
  let result = run(); // warm
  const seconds: number[] = [];
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const before = process.cpuUsage();
    result = run();
    const used = process.cpuUsage(before);
    seconds.push((used.user + used.system) / 1e6);
  }
  seconds.sort((a, b) => a - b);
  const median = seconds[REPEATS >> 1]!;
  if (name !== '') {
    console.log(
      `${name.padEnd(32)} ${median.toFixed(2)} (${seconds[0]!.toFixed(2)} to ${seconds.at(-1)!.toFixed(2)})`,
    );
  }
  return { result, seconds: median };
}

function rmse(prediction: Float64Array, target: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < target.length; i++) sum += (prediction[i]! - target[i]!) ** 2;
  return Math.sqrt(sum / target.length);
}

function comparePeers(): void {
  const folder = mkdtempSync(join(tmpdir(), 'trees-bench-'));
  try {
    const columnMajor = new Float64Array((ROWS + TEST_ROWS) * (FEATURES + 1));
    data.columns.forEach((column, f) => columnMajor.set(column, f * (ROWS + TEST_ROWS)));
    columnMajor.set(data.target, FEATURES * (ROWS + TEST_ROWS));
    writeFileSync(join(folder, 'data.f64'), columnMajor);
    writeFileSync(join(folder, 'peers.py'), PEERS);
    const python = process.env['MOVECAST_PYTHON'] ?? '/usr/bin/python3';
    const run = spawnSync(
      python,
      [join(folder, 'peers.py'), join(folder, 'data.f64'), ROWS, FEATURES, TREES, LEAVES, REPEATS].map(
        String,
      ),
      {
        encoding: 'utf8',
        env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
      },
    );
    const lines = (run.stdout ?? '').split('\n').filter((line) => line.startsWith('{'));
    if (lines.length === 0) {
      console.log('no peer: python3-sklearn and python3-xgboost are not installed');
      return;
    }
    for (const line of lines) {
      const peer = JSON.parse(line) as {
        name: string;
        train: number;
        batch_us: number;
        row_us: number;
        rmse: number;
      };
      console.log(
        `${peer.name}: train ${peer.train.toFixed(2)} s (ours / theirs ${(squared.seconds / peer.train).toFixed(2)}), ` +
          `RMSE ${peer.rmse.toFixed(4)}, batch ${peer.batch_us.toFixed(2)} us a row ` +
          `(${(batchMicros / peer.batch_us).toFixed(2)}), one row ${peer.row_us.toFixed(0)} us ` +
          `(${(singleMicros / peer.row_us).toFixed(4)})`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
