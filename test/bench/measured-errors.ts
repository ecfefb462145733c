import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConstantMoveCosts } from '../../src/balancer/constant-move-costs.js';
import type { CostColumns, MoveCosts } from '../../src/balancer/move-costs.js';
import { seededRandom } from '../../src/balancer/random.js';
import type { MoveRequest } from '../../src/domain/move-request.js';
import type { PastErrors } from '../../src/domain/past-errors.js';

/**
 * What the model got wrong about real moves, as the truth of simulated ones. The rolling backtest predicts every move
 * of a data set from what had finished before it; how far off each was, measured by the band that had been promised
 * for it, is replayed on the steps of a plan: their tails, their bias, and how they hang together on one host in one hour
 * are those of the real moves.
 */
export interface MeasuredErrors {
  name: string;
  moves: number;
  /** Per move, p10 / p50 and p90 / p50 as promised. */
  low: number[];
  high: number[];
  /** Per move, ln(actual / p50) over the width of the promised band on its side: -1 is p10, 1 is p90. */
  deviation: number[];
  /** Largest |ln(actual / p50)|. */
  most: number;
  /** Moves of one source host within one hour, by index; and the episode of each move. */
  episodes: number[][];
  episodeOf: number[];
  /** In order of start; epoch milliseconds. */
  startMs: number[];
  finishMs: number[];
  cluster: string[];
  host: string[];
}

/**
 * Moves of a later time as the truth; what had been wrong about those that had finished before, as a plan can know it; and
 * the truth's own errors, which no plan can know: what is missed with them known is the fault of how plans use them.
 */
export interface LaterErrors {
  truth: MeasuredErrors;
  past: PastErrors;
  own: PastErrors;
}

interface PredictedMove {
  id: string;
  actual_seconds: number;
  status: string;
  duration_seconds: { p10: number; p50: number; p90: number };
}

interface Where {
  id: string;
  cluster: string;
  source_node: string;
  started_at: string;
  duration_seconds: number;
  concurrent_moves?: number;
}

/** Moves one at a time, as a plan makes them on each node; those that were broken off tell no error. */
export function measuredErrors(name: string, records: string): MeasuredErrors {
  const folder = mkdtempSync(join(tmpdir(), 'movecast-errors-'));
  const out = join(folder, 'predictions.jsonl');
  const program = [join('dist', 'src', 'main.js'), 'backtest', '--candidates', 'movecast', '--quiet'];
  const { status, stderr } = spawnSync(process.execPath, [...program, '--records', records, '--out', out], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the backtest on ${records} ended with ${status}: ${stderr}`);
  const predicted = lines<PredictedMove>(out);
  rmSync(folder, { recursive: true });
  const where = new Map(lines<Where>(records).map((record) => [record.id, record]));
  const alone = predicted
    .filter(({ id, status: ended }) => ended === 'completed' && (where.get(id)?.concurrent_moves ?? 0) === 0)
    .sort((a, b) => Date.parse(where.get(a.id)!.started_at) - Date.parse(where.get(b.id)!.started_at));
  const places = alone.map(({ id }) => where.get(id)!);
  const startMs = places.map(({ started_at }) => Date.parse(started_at));
  const low = alone.map(({ duration_seconds: d }) => d.p10 / d.p50);
  const high = alone.map(({ duration_seconds: d }) => d.p90 / d.p50);
  const errors = alone.map(({ actual_seconds, duration_seconds: d }) => Math.log(actual_seconds / d.p50));
  const hours = new Map<string, number>();
  const episodeOf = places.map(({ cluster, source_node, started_at }) => {
    const key = `${cluster} ${source_node} ${started_at.slice(0, 13)}`;
    if (!hours.has(key)) hours.set(key, hours.size);
    return hours.get(key)!;
  });
  return {
    name,
    moves: alone.length,
    low,
    high,
    deviation: errors.map((e, m) => (e < 0 ? -e / Math.log(low[m]!) : e / Math.log(high[m]!))),
    most: Math.max(...errors.map(Math.abs)),
    episodes: episodesOf(episodeOf),
    episodeOf,
    startMs,
    finishMs: places.map(({ duration_seconds }, m) => startMs[m]! + 1000 * duration_seconds),
    cluster: places.map(({ cluster }) => cluster),
    host: places.map(({ source_node }) => source_node),
  };
}

/** Moves of each episode. */
function episodesOf(episodeOf: readonly number[]): number[][] {
  const episodes: number[][] = [];
  episodeOf.forEach((e, m) => (episodes[e] ??= []).push(m));
  return episodes;
}

/** Errors of the moves from `from` up to `to`, as if there were no others. */
function stretch(errors: MeasuredErrors, from: number, to: number): MeasuredErrors {
  const numbers = new Map<number, number>();
  const episodeOf = errors.episodeOf.slice(from, to).map((e) => {
    if (!numbers.has(e)) numbers.set(e, numbers.size);
    return numbers.get(e)!;
  });
  const { low, high, deviation, startMs, finishMs, cluster, host } = errors;
  const logs = deviation
    .slice(from, to)
    .map((d, k) => Math.abs(d * Math.log(d < 0 ? low[from + k]! : high[from + k]!)));
  return {
    name: errors.name,
    moves: to - from,
    low: low.slice(from, to),
    high: high.slice(from, to),
    deviation: deviation.slice(from, to),
    most: Math.max(...logs),
    episodes: episodesOf(episodeOf),
    episodeOf,
    startMs: startMs.slice(from, to),
    finishMs: finishMs.slice(from, to),
    cluster: cluster.slice(from, to),
    host: host.slice(from, to),
  };
}

/** So many last errors the model remembers of a cluster; here of all clusters of the data together. */
const KNOWN_ERRORS = 512;

/** What had been wrong about the moves that had finished at a moment, by hour of a cluster and by host. */
function knownAt(errors: MeasuredErrors, atMs = Infinity): PastErrors {
  const { finishMs, startMs, cluster, host, deviation, low, high } = errors;
  const known = [...finishMs.keys()].filter((m) => finishMs[m]! <= atMs).slice(-KNOWN_ERRORS);
  const hours = new Map<string, Map<string, number[]>>();
  let most = 0;
  for (const m of known) {
    const key = `${cluster[m]!} ${new Date(startMs[m]!).toISOString().slice(0, 13)}`;
    const hosts = hours.get(key) ?? new Map<string, number[]>();
    hours.set(key, hosts.set(host[m]!, [...(hosts.get(host[m]!) ?? []), deviation[m]!]));
    most = Math.max(most, Math.abs(deviation[m]! * Math.log(deviation[m]! < 0 ? low[m]! : high[m]!)));
  }
  return { hours: [...hours.values()].map((hosts) => [...hosts.values()]), most_factor: Math.exp(most) };
}

/** The later half of the moves in `parts` stretches of time, each with what was known when it began. */
export function laterErrors(errors: MeasuredErrors, parts: number): LaterErrors[] {
  const from = (k: number): number => Math.floor((errors.moves * (1 + k / parts)) / 2);
  return Array.from({ length: parts }, (_, k) => {
    const truth = stretch(errors, from(k), from(k + 1));
    return { truth, past: knownAt(errors, errors.startMs[from(k)]!), own: knownAt(truth) };
  });
}

const lines = <T>(path: string): T[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let c = 0; c < text.length; c++) value = Math.imul(value ^ text.charCodeAt(c), 0x01000193);
  return value;
}

const draw = (text: string, count: number): number => Math.floor(seededRandom(hash(text))() * count);

const stepKey = ({ instance, operation, source_node, target_node }: MoveRequest): string =>
  `${instance} ${operation} ${source_node} ${target_node}`;

/** Plain durations with the bands that the model promised for real moves, the same for a step in every world. */
export class PredictedDurations implements MoveCosts {
  readonly model = undefined;
  readonly #plain = new ConstantMoveCosts({});
  readonly #errors: MeasuredErrors;
  readonly #past: PastErrors | undefined;

  /** `past`: what is known of errors; undefined: nothing. */
  constructor(errors: MeasuredErrors, past?: PastErrors) {
    this.#errors = errors;
    this.#past = past;
  }

  pastErrors(): Promise<PastErrors | undefined> {
    return Promise.resolve(this.#past);
  }

  async durations(requests: readonly MoveRequest[]): Promise<CostColumns> {
    const { p10, p50, p90 } = await this.#plain.durations(requests);
    const { low, high, moves } = this.#errors;
    requests.forEach((request, r) => {
      const promised = draw(stepKey(request), moves);
      p10[r] = p50[r]! * low[promised]!;
      p90[r] = p50[r]! * high[promised]!;
    });
    return { p10, p50, p90 };
  }

  warnings(): readonly string[] {
    return [];
  }
}

/**
 * One world: every source node lives through one episode of a real host, and each of its steps deviates from its
 * band as a move of that episode did. The same step takes the same time in every plan.
 */
export class TrueDurations implements MoveCosts {
  readonly model = undefined;
  readonly #errors: MeasuredErrors;
  readonly #predicted: PredictedDurations;
  readonly #world: number;

  constructor(errors: MeasuredErrors, world: number) {
    this.#errors = errors;
    this.#predicted = new PredictedDurations(errors);
    this.#world = world;
  }

  async durations(requests: readonly MoveRequest[]): Promise<CostColumns> {
    const { p10, p50, p90 } = await this.#predicted.durations(requests);
    const { episodes, episodeOf, deviation, moves, most } = this.#errors;
    requests.forEach((request, r) => {
      const episode = episodes[episodeOf[draw(`${this.#world} ${request.source_node}`, moves)]!]!;
      const as = episode[draw(`${this.#world} ${stepKey(request)}`, episode.length)]!;
      const width = deviation[as]! < 0 ? Math.log(p50[r]! / p10[r]!) : Math.log(p90[r]! / p50[r]!);
      p50[r]! *= Math.exp(Math.max(-most, Math.min(most, deviation[as]! * width)));
    });
    return { p10: p50, p50, p90: p50 };
  }

  warnings(): readonly string[] {
    return [];
  }
}
