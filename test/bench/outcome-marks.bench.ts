// How well chances to complete, downtimes and transferred bytes are predicted: npm run marks:outcomes
import { readFileSync } from 'node:fs';
import { parseMoveRecord, type MoveRecord } from '../../src/domain/move-record.js';
import { outcomeBacktest, type OutcomeRow } from '../../training/outcome-backtest.js';
import { calibrationError, brierScore, reliabilityTable } from '../../training/reliability.js';

const SEED = 7;
const records = readFileSync('data/qemu-lab/records.jsonl', 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line): MoveRecord => {
    const parsed = parseMoveRecord(JSON.parse(line));
    if (!parsed.ok) throw new Error(parsed.reason);
    return parsed.value;
  });
const rows = outcomeBacktest(records, SEED);
const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
const pinball = (p: number, actual: number, q: number): number =>
  Math.max(p * (actual - q), (p - 1) * (actual - q));

console.log(
  `data/qemu-lab, rolling, seed ${SEED}: ${rows.length} moves, ${rows.filter((row) => !row.completed).length} broken off\n`,
);

const of = (p: (row: OutcomeRow) => number) =>
  rows.map((row) => ({ p: p(row), outcome: row.completed, weight: 1 }));
console.log('Chance to complete: Brier score, and expected calibration error in points');
const share = mean(rows.map((row) => Number(row.completed)));
for (const [name, p] of [
  ['share of all these moves, known afterwards', () => share],
  ['always sure', () => 1],
  ['time-out known', (row) => row.chance],
  ['time-out not known', (row) => row.chanceWithoutLimit],
] as [string, (row: OutcomeRow) => number][])
  console.log(
    `  ${name.padEnd(46)} ${brierScore(of(p)).toFixed(4)} ${(100 * calibrationError(of(p))).toFixed(1).padStart(6)}`,
  );
console.log('\nReliability, time-out known');
console.log(reliabilityTable(of((row) => row.chance)));
console.log('Reliability, time-out not known');
console.log(reliabilityTable(of((row) => row.chanceWithoutLimit)));

interface Judged {
  name: string;
  actual: (row: OutcomeRow) => number | undefined;
  predicted: (row: OutcomeRow) => readonly [number, number];
}
function judge(title: string, members: readonly OutcomeRow[], judged: readonly Judged[]): void {
  console.log(title);
  console.log(`  ${''.padEnd(32)}  moves  median error    MAPE  below p50  below p90  pinball ÷ median`);
  for (const { name, actual, predicted } of judged) {
    const pairs = members.flatMap((row) => {
      const y = actual(row);
      return y === undefined || !(y > 0) ? [] : [{ y, q: predicted(row) }];
    });
    const errors = pairs.map(({ y, q }) => 100 * Math.abs(q[0] / y - 1));
    const below = (j: 0 | 1): number => 100 * mean(pairs.map(({ y, q }) => Number(y <= q[j])));
    const loss =
      mean(pairs.map(({ y, q }) => (pinball(0.5, y, q[0]) + pinball(0.9, y, q[1])) / 2)) /
      median(pairs.map(({ y }) => y));
    console.log(
      `  ${name.padEnd(32)}  ${String(pairs.length).padStart(5)}  ${median(errors).toFixed(1).padStart(10)} %  ${mean(errors).toFixed(1).padStart(5)} %  ${below(0).toFixed(1).padStart(7)} %  ${below(1).toFixed(1).padStart(7)} %  ${loss.toFixed(3).padStart(16)}`,
    );
  }
  console.log('');
}

const completed = rows.filter((row) => row.completed);
const precopy = completed.filter((row) => !(row.record.capabilities ?? []).includes('postcopy-ram'));
const downtimes: Judged[] = [
  { name: 'movecast', actual: (row) => row.record.downtime_ms, predicted: (row) => row.downtimeMs },
  {
    name: 'mean of the past',
    actual: (row) => row.record.downtime_ms,
    predicted: (row) => [row.meanDowntimeMs, row.meanDowntimeMs],
  },
  {
    name: 'the configured limit',
    actual: (row) => row.record.downtime_ms,
    predicted: ({ record: { downtime_limit_ms: limit = 300 } }) => [limit, limit],
  },
];
judge('Downtime of completed moves', completed, downtimes);
judge('Downtime of completed moves without post-copy', precopy, downtimes);
judge(
  'Transferred bytes of completed moves without multifd',
  completed.filter((row) => row.countsTransferred),
  [
    { name: 'movecast', actual: (row) => row.record.transferred_mib, predicted: (row) => row.transferredMib },
    {
      name: 'configured memory',
      actual: (row) => row.record.transferred_mib,
      predicted: ({ record: { memory_mib: mib = NaN } }) => [mib, mib],
    },
    {
      name: 'touched memory',
      actual: (row) => row.record.transferred_mib,
      predicted: ({ record: { used_memory_mib: mib = NaN } }) => [mib, mib],
    },
  ],
);
