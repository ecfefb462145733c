/** Do intervals hold in every group, or only overall? */
import type { MoveRecord } from '../../src/domain/move-record.js';
import { accuracyBy } from '../../training/accuracy.js';
import { backtest, type BacktestRow, type Protocol } from '../../training/backtest.js';
import { wholeModel } from '../../training/candidates/whole-model.js';
import { moveGroups } from '../../training/move-groups.js';
import type { AtMost } from './synthetic-marks.js';

/** Smaller groups are judged by chance: of 200 moves one standard deviation of a coverage of 80 % is 2.8 points. */
const LEAST_MOVES = 200;
const MOST_POINTS = 4;

/** Prints the coverage of every group of at least 200 moves; the mark is the one that is farthest off. */
export function coverageMarks(
  title: string,
  records: readonly MoveRecord[],
  rows: readonly BacktestRow[],
  atMost: AtMost,
): void {
  const groups = moveGroups(records);
  const atOnce = (row: BacktestRow): string => `${(groups.record(row)?.concurrent_moves ?? 0) + 1} at a time`;
  const ways: Readonly<Record<string, (row: BacktestRow) => string>> = {
    operation: groups.operation,
    'cluster, alone or in parallel': groups.cluster,
    'how many at a time': atOnce,
    memory: groups.size,
    capabilities: groups.capabilities,
    'what it stands on': (row) => row.basis,
  };
  console.log(`\n${title}: coverage in every group of ${LEAST_MOVES} moves or more`);
  let worst = { points: 0, name: 'none' };
  for (const [way, groupOf] of Object.entries(ways)) {
    for (const [name, accuracy] of accuracyBy(rows, groupOf)) {
      if (accuracy.moves < LEAST_MOVES) continue;
      const { coverage_80, coverage_90, moves } = accuracy;
      const points = Math.max(Math.abs(coverage_80 - 80), Math.abs(coverage_90 - 90));
      if (points > worst.points) worst = { points, name: `${way}: ${name}` };
      console.log(
        `  ${`${way}: ${name}`.padEnd(56)} ${String(moves).padStart(5)} moves  in 80 ${coverage_80.toFixed(1)}  in 90 ${coverage_90.toFixed(1)}${points > MOST_POINTS ? '  !' : ''}`,
      );
    }
  }
  atMost(`${title}: worst group, off by (${worst.name})`, worst.points, MOST_POINTS, ' points');
}

const PROTOCOLS: readonly Protocol[] = ['new-instance', 'new-link', 'new-node', 'new-size', 'cold-start'];

/** Prints the coverage by what predictions stand on, also where instances, links, nodes, sizes and clusters are new. */
export function basisMarks(
  title: string,
  records: readonly MoveRecord[],
  seed: number,
  atMost: AtMost,
): void {
  console.log(`\n${title}: coverage by what a prediction stands on`);
  const all = PROTOCOLS.flatMap((protocol) => {
    const rows = backtest({ records }, [wholeModel], { protocol, seed });
    for (const [basis, { moves, coverage_80, coverage_90 }] of accuracyBy(rows, (row) => row.basis))
      console.log(
        `  ${`${protocol}: ${basis}`.padEnd(56)} ${String(moves).padStart(5)} moves  in 80 ${coverage_80.toFixed(1)}  in 90 ${coverage_90.toFixed(1)}`,
      );
    return rows;
  });
  let worst = { points: 0, name: 'none' };
  let widest = { points: 0, name: 'none' };
  for (const [name, { moves, coverage_80, coverage_90 }] of accuracyBy(all, (row) => row.basis)) {
    if (moves < LEAST_MOVES) continue;
    const short = Math.max(80 - coverage_80, 90 - coverage_90);
    if (short > worst.points) worst = { points: short, name };
    const over = Math.max(coverage_80 - 80, coverage_90 - 90);
    if (over > widest.points) widest = { points: over, name };
  }
  console.log(`  wider than promised by at most ${widest.points.toFixed(1)} points (${widest.name})`);
  atMost(
    `${title}, all that is new: worst basis, short by (${worst.name})`,
    worst.points,
    MOST_POINTS,
    ' points',
  );
}
