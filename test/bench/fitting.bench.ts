/**
 * Fits one model to 100,000 moves in a process of its own and prints seconds and peak memory as a line of JSON. The moves
 * are the measured ones of data/osic over and over, each round later than the one before: how fast and how large, not
 * how good. `npm run marks` starts it.
 */
import { readFileSync } from 'node:fs';
import { parseMoveRecord, type MoveRecord } from '../../src/domain/move-record.js';
import { fitModel } from '../../training/fit.js';

const ROWS = Number(process.argv[2] ?? 100_000);

const measured = readFileSync('data/osic/records.jsonl', 'utf8')
  .trimEnd()
  .split('\n')
  .map((line): MoveRecord => {
    const parsed = parseMoveRecord(JSON.parse(line));
    if (!parsed.ok) throw new Error(parsed.reason);
    return parsed.value;
  });
const starts = measured.map(({ started_at }) => Date.parse(started_at));
const spanMs = 86_400_000 + Math.max(...starts) - Math.min(...starts);
const records = Array.from({ length: ROWS }, (_, i): MoveRecord => {
  const k = i % measured.length;
  const round = Math.floor(i / measured.length);
  return {
    ...measured[k]!,
    id: `round${round}-${k}`,
    started_at: new Date(starts[k]! + round * spanMs).toISOString(),
  };
});
const before = process.cpuUsage();
const file = fitModel(records, { name: 'speed', seed: 7 });
const { user, system } = process.cpuUsage(before);
console.log(
  JSON.stringify({
    rows: file.trained_on.moves,
    cpu_seconds: (user + system) / 1e6,
    peak_mib: process.resourceUsage().maxRSS / 1024,
  }),
);
