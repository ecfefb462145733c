import { z } from 'zod';
import { UserError } from '../domain/errors.js';
import { durationSeconds as seconds, firstIssue, LONGEST_MOVE_SECONDS } from '../domain/fields.js';
import type { Operation } from '../domain/move-record.js';
import type { MoveRequest } from '../domain/move-request.js';
import { pastErrorsSchema, type PastErrors } from '../domain/past-errors.js';
import type { CostColumns, MoveCosts } from './move-costs.js';

/**
 * Durations from constants: a time for the operation itself plus the data at a rate, unless a table says the seconds
 * of just this step. docs/balancer.md describes the file.
 */

const rateSchema = z
  .strictObject({
    fixed_seconds: z.number().nonnegative().max(LONGEST_MOVE_SECONDS),
    mib_per_second: z.number().positive().optional(),
  })
  .refine(
    (rate) => rate.fixed_seconds > 0 || rate.mib_per_second !== undefined,
    'needs fixed_seconds above 0 or mib_per_second',
  );

const tableRowSchema = z.strictObject({
  instance: z.string(),
  operation: z.enum(['live_migration', 'failover', 'disk_replication']).optional(),
  source_node: z.string().optional(),
  target_node: z.string().optional(),
  seconds,
  p10: seconds.optional(),
  p90: seconds.optional(),
});

export const costsFileSchema = z.strictObject({
  live_migration: rateSchema.optional(),
  failover: rateSchema.optional(),
  disk_replication: rateSchema.optional(),
  /** What a node's network card carries, all its copies together; `*` for nodes that are not named. */
  nic_mib_per_second: z.record(z.string(), z.number().positive()).optional(),
  /** p90 / p50 and p50 / p10 of every duration. */
  spread: z.number().min(1).optional(),
  /** How past moves deviated from such durations; the promise of a plan is drawn from them. */
  errors: pastErrorsSchema.optional(),
  /** Seconds of single steps; the row with the most of operation and nodes given wins. */
  table: z.array(tableRowSchema).optional(),
});
export type CostsFile = z.infer<typeof costsFileSchema>;

type Rate = z.infer<typeof rateSchema>;
type TableRow = z.infer<typeof tableRowSchema>;

/**
 * Plain figures for when nothing better is known: 8 s + RAM at 100 MiB/s a migration; 10 s + disk at Ganeti's default
 * resync rate of 60 MiB/s a new mirror; a failover waits for the guest to shut down, for which Ganeti allows up to
 * 120 s and most take a fraction.
 */
export const PLAIN_RATES: Record<Operation, Rate> = {
  live_migration: { fixed_seconds: 8, mib_per_second: 100 },
  failover: { fixed_seconds: 30 },
  disk_replication: { fixed_seconds: 10, mib_per_second: 60 },
};

/** Without a figure of its own, a plain duration is taken to be right within this factor, four times of five. */
export const PLAIN_SPREAD = 1.5;

/** Parsed JSON → costs file. Throws a `UserError` that names the field. */
export function parseCostsFile(json: unknown, file: string): CostsFile {
  const parsed = costsFileSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const { field, message } = firstIssue(parsed.error);
  throw new UserError('input-invalid', `${file}: ${field === '' ? 'the file' : field} ${message}`, field);
}

/** Names that a file may speak of. */
export interface KnownNames {
  instances: ReadonlySet<string>;
  nodes: ReadonlySet<string>;
}

/** Sentences on names in a costs file that the cluster does not have: most likely typing errors, that change nothing. */
export function unknownNames(
  { table = [], nic_mib_per_second: cards = {} }: CostsFile,
  { instances, nodes }: KnownNames,
  file: string,
): string[] {
  const ends = table.flatMap(({ source_node, target_node }) => [source_node, target_node]);
  return [
    strangers(
      `${file}: table`,
      'instance',
      table.map(({ instance }) => instance),
      instances,
    ),
    strangers(`${file}: table`, 'node', ends, nodes),
    strangers(
      `${file}: nic_mib_per_second`,
      'node',
      Object.keys(cards).filter((name) => name !== '*'),
      nodes,
    ),
  ].flat();
}

/** At most one sentence: the first of `names` that is not `known`, and how many there are besides. */
export function strangers(
  where: string,
  kind: 'instance' | 'node',
  names: readonly (string | undefined)[],
  known: ReadonlySet<string>,
): string[] {
  const strange = new Set(names.filter((name) => name !== undefined && !known.has(name)));
  const [first] = strange;
  if (first === undefined) return [];
  const others = strange.size === 1 ? '' : ` (and ${strange.size - 1} more)`;
  return [`${where} names ${kind} ${first}${others}, which is not there`];
}

/** Rates of a file, plain figures where it gives none. */
export const ratesOf = (file: CostsFile): Record<Operation, Rate> => ({
  live_migration: file.live_migration ?? PLAIN_RATES.live_migration,
  failover: file.failover ?? PLAIN_RATES.failover,
  disk_replication: file.disk_replication ?? PLAIN_RATES.disk_replication,
});

/** MiB/s that a node's card carries, shared by the copies that cross it: of one that is not given, what one copy does. */
export function cardRate(cards: CostsFile['nic_mib_per_second'], node: string, alone: number): number {
  if (cards === undefined) return alone;
  return (Object.hasOwn(cards, node) ? cards[node] : cards['*']) ?? alone;
}

export class ConstantMoveCosts implements MoveCosts {
  readonly model = undefined;
  readonly #rates: Record<Operation, Rate>;
  readonly #nics: CostsFile['nic_mib_per_second'];
  readonly #spread: number;
  readonly #errors: PastErrors | undefined;
  readonly #rows = new Map<string, TableRow>();
  readonly #warnings: readonly string[];

  constructor(file: CostsFile, warnings: readonly string[] = []) {
    this.#rates = ratesOf(file);
    this.#nics = file.nic_mib_per_second;
    this.#spread = file.spread ?? PLAIN_SPREAD;
    this.#errors = file.errors;
    for (const row of file.table ?? [])
      this.#rows.set(rowKey(row.instance, row.operation, row.source_node, row.target_node), row);
    this.#warnings = warnings;
  }

  durations(requests: readonly MoveRequest[]): Promise<CostColumns> {
    const columns: CostColumns = {
      p10: new Float64Array(requests.length),
      p50: new Float64Array(requests.length),
      p90: new Float64Array(requests.length),
    };
    requests.forEach((request, r) => {
      const row = this.#rows.size === 0 ? undefined : this.#tableRow(request);
      const mid = row?.seconds ?? this.#byRate(request);
      columns.p50[r] = mid;
      columns.p10[r] = row?.p10 ?? mid / this.#spread;
      columns.p90[r] = row?.p90 ?? mid * this.#spread;
    });
    return Promise.resolve(columns);
  }

  pastErrors(): Promise<PastErrors | undefined> {
    return Promise.resolve(this.#errors);
  }

  warnings(): readonly string[] {
    return this.#warnings;
  }

  #byRate(request: MoveRequest): number {
    const operation = request.operation ?? 'live_migration';
    const { fixed_seconds, mib_per_second } = this.#rates[operation];
    if (mib_per_second === undefined) return fixed_seconds;
    const mib = operation === 'disk_replication' ? request.disk_mib : request.memory_mib;
    return fixed_seconds + (mib ?? 0) / this.#sharedRate(request, mib_per_second);
  }

  #sharedRate({ source_node, target_node, concurrent_moves = 0 }: MoveRequest, alone: number): number {
    const share = (node: string): number => cardRate(this.#nics, node, alone) / (1 + concurrent_moves);
    return Math.min(alone, share(source_node), share(target_node));
  }

  /** The row that names most of the step. */
  #tableRow({ instance, operation, source_node, target_node }: MoveRequest): TableRow | undefined {
    return (
      this.#rows.get(rowKey(instance, operation, source_node, target_node)) ??
      this.#rows.get(rowKey(instance, operation, undefined, target_node)) ??
      this.#rows.get(rowKey(instance, operation, source_node, undefined)) ??
      this.#rows.get(rowKey(instance, operation, undefined, undefined)) ??
      this.#rows.get(rowKey(instance, undefined, undefined, undefined))
    );
  }
}

const rowKey = (instance: string, operation = '', source = '', target = ''): string =>
  `${instance}\n${operation}\n${source}\n${target}`;
