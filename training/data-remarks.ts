import {
  DEFAULT_CLUSTER,
  isCompleted,
  startMs,
  finishMs,
  type MoveRecord,
} from '../src/domain/move-record.js';
import { implausibility } from '../src/predictor/plausibility.js';
import { MS_PER_DAY, MS_PER_SECOND } from '../src/domain/units.js';

/** Fewer finished moves say too little to put a model in service. */
export const LEAST_MOVES = 100;

/** Inputs worth a word when they are missing or never change. */
const INPUTS = [
  'memory_mib',
  'used_memory_mib',
  'vcpus',
  'dirty_rate_mib_s',
  'disk_mib',
  'link_mbps',
  'background_mbps',
  'max_bandwidth_mib_s',
  'downtime_limit_ms',
  'concurrent_moves',
  'cpu_load',
] as const satisfies readonly (keyof MoveRecord)[];

/** A field that is absent in more than this share of the moves is called missing. */
const MOSTLY_MISSING = 0.5;
/** So many durations alike are no measurement. */
const MOSTLY_EQUAL = 0.5;
/** Durations from a tenth of a second to a quarter of an hour are usual: 10^4. */
const USUAL_SPAN = 1e4;
/** Of one instance so many moves may begin before the one before had ended, by rounding or a clock a little off. */
const USUAL_OVERLAP = 0.01;
/** A sentence for the card about what the records are like, where they are out of the ordinary. O(n log n). */
export function dataRemarks(records: readonly MoveRecord[]): string[] {
  const remarks: string[] = [];
  const done = records.filter(isCompleted);
  if (done.length < LEAST_MOVES)
    remarks.push(
      `Only ${count(done.length, 'finished move')}: predictions stand on physics more than on history.`,
    );
  if (records.length === 0) return remarks;
  const broken = records.length - done.length;
  if (broken > records.length / 2)
    remarks.push(
      `${share(broken, records.length)} were broken off: they say only that they would have taken longer.`,
    );
  const links = new Set(records.map((r) => JSON.stringify([clusterOf(r), r.source_node, r.target_node])));
  if (links.size === 1 && records.length > 1)
    remarks.push('All moves went over one link: nothing can be learnt about how links differ.');
  remarks.push(...durationRemarks(done));
  const never: string[] = [];
  const missing: string[] = [];
  const constant: string[] = [];
  for (const name of INPUTS) {
    const values = records.flatMap((record) => (record[name] === undefined ? [] : [record[name]]));
    const absent = records.length - values.length;
    if (values.length === 0) never.push(name);
    else if (absent > records.length * MOSTLY_MISSING)
      missing.push(`${name} (in ${percent(absent, records.length)} of the moves)`);
    else if (records.length > 1 && new Set(values).size === 1) constant.push(`${name} (${values[0]})`);
  }
  if (missing.length > 0)
    remarks.push(`Mostly missing, so that history and physics fill it in: ${missing.join(', ')}.`);
  if (never.length > 0) remarks.push(`Never given: ${never.join(', ')}.`);
  if (constant.length > 0)
    remarks.push(`The same in every move, so that its effect cannot be learnt: ${constant.join(', ')}.`);
  const jumps = overlaps(records);
  if (jumps.overlapping > Math.max(1, jumps.pairs * USUAL_OVERLAP))
    remarks.push(
      `${share(jumps.overlapping, jumps.pairs)} of an instance began before its move before had ended, such as ${jumps.example}: a clock that jumps, or wrong durations.`,
    );
  const wrong = new Map<string, MoveRecord[]>();
  for (const record of records) {
    const why = implausibility(record);
    if (why === undefined) continue;
    const members = wrong.get(why);
    if (members === undefined) wrong.set(why, [record]);
    else members.push(record);
  }
  for (const [why, members] of wrong)
    remarks.push(
      `${share(members.length, records.length)} ${why}, such as ${members[0]!.id}: nothing is learnt from them.`,
    );
  return remarks;
}

function durationRemarks(done: readonly MoveRecord[]): string[] {
  const remarks: string[] = [];
  if (done.length < 2) return remarks;
  const durations = new Map<number, number>();
  let shortest = Infinity;
  let longest = 0;
  for (const { duration_seconds: seconds } of done) {
    durations.set(seconds, (durations.get(seconds) ?? 0) + 1);
    shortest = Math.min(shortest, seconds);
    longest = Math.max(longest, seconds);
  }
  const [usual, times] = [...durations].reduce((a, b) => (b[1] > a[1] ? b : a));
  if (times === done.length)
    remarks.push(`All durations are ${usual} s: there is nothing to tell moves apart by.`);
  else if (times > done.length * MOSTLY_EQUAL)
    remarks.push(`${share(times, done.length)} took exactly ${usual} s: are they measured?`);
  if (longest / shortest > USUAL_SPAN)
    remarks.push(
      `Durations span ${Math.log10(longest / shortest).toFixed(1)} orders of magnitude, from ${shortest} to ${longest} s.`,
    );
  const long = done.filter((record) => record.duration_seconds > MS_PER_DAY / MS_PER_SECOND);
  if (long.length > 0)
    remarks.push(`${share(long.length, done.length)} took longer than a day, such as ${long[0]!.id}.`);
  return remarks;
}

/** Moves of an instance that began while its last one was under way. */
function overlaps(records: readonly MoveRecord[]): { overlapping: number; pairs: number; example: string } {
  const byInstance = new Map<string, MoveRecord[]>();
  for (const record of records) {
    const key = JSON.stringify([clusterOf(record), record.instance]);
    const members = byInstance.get(key);
    if (members === undefined) byInstance.set(key, [record]);
    else members.push(record);
  }
  let overlapping = 0;
  let pairs = 0;
  let example = '';
  for (const members of byInstance.values()) {
    members.sort((a, b) => startMs(a) - startMs(b) || (a.id < b.id ? -1 : 1));
    for (let i = 1; i < members.length; i++) {
      pairs++;
      if (startMs(members[i]!) >= finishMs(members[i - 1]!)) continue;
      if (overlapping++ === 0) example = members[i]!.id;
    }
  }
  return { overlapping, pairs, example };
}

const clusterOf = (record: MoveRecord): string => record.cluster ?? DEFAULT_CLUSTER;
const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
const percent = (part: number, whole: number): string => {
  const value = (100 * part) / whole;
  return `${value >= 9.95 || value === 0 ? value.toFixed(0) : value.toFixed(1)} %`;
};
const share = (part: number, whole: number): string => `${part} of ${whole} moves (${percent(part, whole)})`;
