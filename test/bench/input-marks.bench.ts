// What a forecast in the place of an input that a request leaves out is worth: npm run marks:inputs
import { readFileSync } from 'node:fs';
import { parseMoveRecord, type MoveRecord, type Parsed } from '../../src/domain/move-record.js';
import { parseLinkSample, type LinkSample } from '../../src/domain/samples.js';
import { accuracyOf } from '../../training/accuracy.js';
import { backtest, type BacktestRow } from '../../training/backtest.js';
import { SeriesForecast, seriesCandidates } from '../../src/predictor/series-forecast.js';
import { QUANTILE_LEVELS } from '../../src/domain/prediction.js';
import type { MoveInputs } from '../../src/predictor/move-inputs.js';
import { wholeModel } from '../../training/candidates/whole-model.js';
import type { Candidate } from '../../training/forecaster.js';

const SEED = 7;
const FOLDER = 'data/qemu-lab';

const lines = (name: string): string[] =>
  readFileSync(`${FOLDER}/${name}`, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
function must<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}
const records = lines('records.jsonl').map((line) => must(parseMoveRecord(JSON.parse(line))));
const linkSamples = lines('link-samples.csv')
  .slice(1)
  .map((line): LinkSample => {
    const [at, cluster, link, mbps] = line.split(',');
    return must(parseLinkSample({ at, cluster, link, throughput_mbps: Number(mbps) }));
  });

/** Whether the laboratory's samples are means of the time before or after `at`: by how well the moves' own traffic explains them. */
function windowOfSamples(): void {
  const windowMs = 10_000;
  for (const [name, offsetMs] of [
    ['before', -windowMs],
    ['after', 0],
  ] as const) {
    const own: number[] = [];
    const measured: number[] = [];
    for (const { at, cluster, link, throughput_mbps } of linkSamples) {
      const fromMs = Date.parse(at) + offsetMs;
      let mbps = 0;
      for (const record of records) {
        if (record.cluster !== cluster || `${record.source_node}:egress` !== link) continue;
        const startMs = Date.parse(record.started_at);
        const sharedMs =
          Math.min(fromMs + windowMs, startMs + 1000 * record.duration_seconds) - Math.max(fromMs, startMs);
        if (sharedMs > 0) mbps += (sharedMs / windowMs) * (record.throughput_mbps ?? 0);
      }
      own.push(mbps);
      measured.push(throughput_mbps);
    }
    console.log(
      `  samples as means of the 10 s ${name.padEnd(6)} \`at\`: correlation with the moves' own traffic ${correlation(own, measured).toFixed(2)}`,
    );
  }
}

function correlation(x: readonly number[], y: readonly number[]): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
  const mx = mean(x);
  const my = mean(y);
  let xy = 0;
  let xx = 0;
  let yy = 0;
  x.forEach((value, i) => {
    xy += (value - mx) * (y[i]! - my);
    xx += (value - mx) ** 2;
    yy += (y[i]! - my) ** 2;
  });
  return xy / Math.sqrt(xx * yy);
}

/** Asked without some inputs, whatever history knows. */
const askingWithout = (missing: Partial<MoveInputs>): Candidate => ({
  ...wholeModel,
  fit(history, seed) {
    const forecaster = wholeModel.fit(history, seed);
    return { ...forecaster, predict: (inputs) => forecaster.predict({ ...inputs, ...missing }) };
  },
});
const asksWithout = askingWithout({ backgroundMbps: NaN });
const bare = records.map((record): MoveRecord => {
  const { background_mbps: _background, ...rest } = record;
  return rest;
});
const rolling = (
  candidate: Candidate,
  data: { records: readonly MoveRecord[]; linkSamples?: LinkSample[] },
) => backtest(data, [candidate], { protocol: 'rolling', seed: SEED });

console.log(
  `background_mbps on ${FOLDER}: given, left out, or forecast from link samples; rolling, seed ${SEED}`,
);
windowOfSamples();
const runs: [string, BacktestRow[]][] = [
  ['measured and given', rolling(wholeModel, { records })],
  ['measured, asked without; nothing filled', rolling(asksWithout, { records })],
  ['measured, asked without; forecast', rolling(asksWithout, { records, linkSamples })],
  ['never measured; nothing filled', rolling(wholeModel, { records: bare })],
  ['never measured; forecast', rolling(wholeModel, { records: bare, linkSamples })],
];
const scenarios = new Map(records.map((record) => [record.id, String(record.labels?.['scenario'])]));
const print = (name: string, rows: readonly BacktestRow[]): void => {
  const a = accuracyOf(rows)!;
  const figures = [a.mape, a.median_ape, a.p90_ape, a.pinball, a.coverage_80, a.coverage_90, a.width_80];
  console.log(
    `  ${name.padEnd(40)}${String(a.moves).padStart(9)}${figures.map((x) => x.toFixed(1).padStart(9)).join('')}`,
  );
};
const header = ['moves', 'MAPE', 'median', 'p90', 'pinball', 'in 80', 'in 90', 'width 80'];
for (const scenario of ['', 'day', 'single', 'contention', 'nodes']) {
  console.log(
    `\n${(scenario === '' ? 'all' : scenario).padEnd(42)}${header.map((name) => name.padStart(9)).join('')}`,
  );
  for (const [name, rows] of runs)
    print(
      name,
      rows.filter(({ id }) => scenario === '' || scenarios.get(id) === scenario),
    );
}

console.log('\nFilled in with what history last said');
for (const [name, missing] of [
  ['asked with all that was measured', {}],
  ['asked without dirty_rate_mib_s', { dirtyMibS: NaN }],
  ['asked without used_memory_mib', { usedMemoryMib: NaN }],
  ['asked without link_mbps', { linkMbps: NaN }],
  [
    'asked by names alone',
    { dirtyMibS: NaN, usedMemoryMib: NaN, linkMbps: NaN, backgroundMbps: NaN, memoryMib: NaN },
  ],
] as const)
  print(name, rolling(askingWithout(missing), { records }));

/**
 * The load of the lasting instances of the `day` campaigns, as measured before each of their moves, forecast from what was
 * measured before their earlier ones. Times are those of the virtual day.
 */
console.log('\nLoad of an instance at its next move, scenario day: mean pinball loss, and coverage');
for (const field of ['dirty_rate_mib_s', 'used_memory_mib'] as const) {
  for (const name of seriesCandidates) {
    if (name.includes('network')) continue;
    const choice = { young: name, bursty: name, seasonal: name, steady: name };
    const series = new Map<string, SeriesForecast>();
    let loss = 0;
    let count = 0;
    let in80 = 0;
    let in90 = 0;
    for (const record of records) {
      const { cluster = '', instance } = record;
      const actual = record[field];
      if (!cluster.endsWith('-day') || actual === undefined) continue;
      const atMs = Date.parse(String(record.labels?.['virtual_started_at']));
      let forecast = series.get(`${cluster} ${instance}`);
      if (forecast === undefined)
        series.set(`${cluster} ${instance}`, (forecast = new SeriesForecast({ choice })));
      const q = forecast.quantiles(atMs);
      if (Number.isFinite(q[2]!)) {
        QUANTILE_LEVELS.forEach((p, j) => {
          loss += Math.max(p * (actual - q[j]!), (p - 1) * (actual - q[j]!)) / QUANTILE_LEVELS.length;
        });
        count++;
        in80 += Number(actual >= q[1]! && actual <= q[3]!);
        in90 += Number(actual >= q[0]! && actual <= q[4]!);
      }
      forecast.learn(atMs, actual);
    }
    console.log(
      `  ${field.padEnd(18)} ${name.padEnd(16)} ${(loss / count).toFixed(3)}  ${((100 * in80) / count).toFixed(1)} %  ${((100 * in90) / count).toFixed(1)} %  of ${count}`,
    );
  }
}
