// How far off the simulator of the SYNTHETIC moves itself would be, and where ours is off at double the memory:
// node scripts/run.mjs test/bench/synthetic-oracle.bench.ts
import { backtest, type BacktestRow } from '../../training/backtest.js';
import { physicsAlone } from '../../training/candidates/physics-alone.js';
import { wholeModel } from '../../training/candidates/whole-model.js';
import { LARGEST_MIB, oracleLines, UNSEEN_MOVES } from './synthetic-marks.js';
import { syntheticMoves } from './synthetic-moves.js';

const { records, oracles } = syntheticMoves(UNSEEN_MOVES);
console.log(oracleLines(records, oracles));

const dirtyRates = new Map(records.map(({ id, dirty_rate_mib_s }) => [id, dirty_rate_mib_s ?? 0]));
const rateOf = ({ id }: BacktestRow): number => dirtyRates.get(id)!;
const shown = [physicsAlone, wholeModel];
const rows = backtest({ records }, shown, { protocol: 'new-size', seed: 7 }).filter((row) =>
  row.origin.includes(` ${LARGEST_MIB} `),
);
console.log('\nDouble the memory: log(p50 / actual), mean and standard deviation, by dirty rate');
for (const { name } of shown) {
  const own = rows.filter(({ candidate }) => candidate === name).sort((a, b) => rateOf(a) - rateOf(b));
  line(name, own);
  const quarter = Math.ceil(own.length / 4);
  for (let q = 0; q < 4; q++) {
    const part = own.slice(q * quarter, (q + 1) * quarter);
    line(`  ${rateOf(part[0]!)} to ${rateOf(part.at(-1)!)} MiB/s`, part);
  }
}

function line(name: string, of: readonly BacktestRow[]): void {
  const logs = of.map((row) => Math.log(row.duration_seconds.p50 / row.actual_seconds));
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  const spread = Math.sqrt(logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / logs.length);
  console.log(`${name.padEnd(24)} ${mean.toFixed(3).padStart(7)} ${spread.toFixed(3).padStart(7)}`);
}
