import type { MoveStatus, Operation } from '../../domain/move-record.js';
import { finishedMove, reject } from './finished-move.js';
import { plainLine } from './log-prefix.js';
import { LogClock } from './log-times.js';
import { ObjectScanner, parseLooseJson } from './loose-json.js';
import { mibOf, roundTo } from './sizes.js';
import type { Finding, LogParser, LogSource, SourceContext } from './source.js';
import { USUAL_LINE_BYTES } from './source.js';

/** OpenStack Nova: the nova-compute log of the source host, and the migrations API's JSON. */
export const novaSource: LogSource = {
  name: 'nova',
  summary: 'nova-compute log (live migrations) and JSON of os-migrations or server-migrations',
  unit: 'line',
  version: 1,
  longestLineBytes: 4 * USUAL_LINE_BYTES,
  detect,
  parser: (context, state) => new NovaParser(context, state),
};

function detect(head: string, fileName: string): number {
  if (/\[instance: [0-9a-f-]{36}\]/i.test(head) && /nova|Migrat|migrat/.test(head)) return 0.95;
  if (/["']source_compute["']\s*:/.test(head) && /["']dest_compute["']\s*:/.test(head)) return 0.95;
  if (/"Source Compute":/.test(head) && /"Dest Compute":/.test(head)) return 0.95;
  if (/\bnova[._-]compute\b/.test(head)) return 0.8;
  return /nova-compute/.test(fileName) ? 0.6 : 0;
}

/** Migrations that are under way at a time on one host; the oldest gives way. Nova itself runs a handful. */
const MOST_OPEN = 512;

const INSTANCE = /\[instance: ([0-9a-fA-F-]{36})\]\s*/;
const LEVEL = /^(?:\d{1,10} )?(?:TRACE|DEBUG|INFO|AUDIT|WARNING|WARN|ERROR|CRITICAL) /;
const RUNNING =
  /^Migration running for (\d{1,9}) secs, memory (\d{1,3})% remaining[;,]? ?\(bytes processed=(\d{1,18}), remaining=(\d{1,18}), total=(\d{1,18})\)(?:[;,]? disk (-?\d{1,3})% remaining ?\(bytes processed=(\d{1,18}), remaining=(\d{1,18}), total=(\d{1,18})\))?/;
const RUNNING_LOOSE = /^Migration running for (\d{1,9}) secs/;
const PREPARED =
  /^Took ([\d.]{1,12}) seconds for pre_live_migration on destination host ([^\s,]{1,255}?)\.?$/;
const BEGINS =
  /^(?:Starting (?:monitoring of )?live[_ ]migration|About to invoke the migrate API|_live_migration started|Live migration started)/i;
const COPIED = /^Migration operation has completed/;
const ENDED = /^Migrating instance to (\S{1,255}) finished successfully/;
const CANCELLED =
  /^(?:Migration operation was cancelled|Live migration (?:was )?(?:cancelled|canceled|aborted)|Aborting live migration)/i;
const FAILED =
  /^(?:Live Migration failure|Migration operation has aborted|Live migration failed|Pre live migration failed|Post live migration at destination (\S{1,255}) failed)/i;
const DOWNTIME = /^Increasing downtime to (\d{1,9}) ms/;
const POSTCOPY = /^(?:Switching to post-copy migration mode|Successfully switched to post-copy)/i;
const PAUSED = /^VM Paused \(Lifecycle Event\)/;

/** One live migration while it is followed: plain JSON. */
interface Following {
  host?: string;
  target?: string;
  firstMs?: number;
  startMs?: number;
  lastMs?: number;
  copiedMs?: number;
  seconds?: number;
  memoryBytes?: number;
  diskBytes?: number;
  processedBytes?: number;
  isPostcopy?: boolean;
  error?: string;
  status?: MoveStatus;
  /** It has failed and been told: what follows of it is only the cleaning up. */
  isTold?: boolean;
  line: number;
  text: string;
}

interface NovaState {
  open: [string, Following][];
  scanner: unknown;
  lastMs: number;
}

class NovaParser implements LogParser {
  private readonly context: SourceContext;
  private readonly clock: LogClock;
  private readonly scanner: ObjectScanner;
  private readonly open: Map<string, Following>;

  constructor(context: SourceContext, state?: unknown) {
    const saved = (state ?? {}) as Partial<NovaState>;
    this.context = context;
    this.clock = new LogClock(context, saved.lastMs);
    this.scanner = new ObjectScanner(saved.scanner);
    this.open = new Map(saved.open ?? []);
  }

  state(): NovaState {
    return { open: [...this.open], scanner: this.scanner.state(), lastMs: this.clock.lastMs };
  }

  line(raw: string, number: number): Finding[] {
    const findings: Finding[] = [];
    // Log lines quote objects too; only a line that is no log line is looked into for the API's.
    if (INSTANCE.test(raw)) return this.logLine(unwrapped(raw), number);
    for (const found of this.scanner.line(raw, number)) {
      if (found.kind === 'object') this.object(found.text, number, findings);
      else if (found.kind === 'broken' && /source_compute|migration_type|Source Compute/.test(found.text))
        findings.push(reject(number, found.reason, found.text));
    }
    return findings;
  }

  end(): Finding[] {
    const findings: Finding[] = [];
    for (const found of this.scanner.end())
      if (found.kind === 'broken' && /source_compute|migration_type|Source Compute/.test(found.text))
        findings.push(reject(found.startLine, found.reason, found.text));
    for (const [instance, one] of this.open) findings.push(...this.told(instance, one, 'the log ends'));
    this.open.clear();
    return findings;
  }

  private logLine(raw: string, number: number): Finding[] {
    const plain = plainLine(raw, this.clock);
    const where = INSTANCE.exec(plain.text);
    if (where === null) return [];
    const instance = where[1]!.toLowerCase();
    const message = plain.text.slice(where.index + where[0].length);
    if (!LEVEL.test(plain.text) && !/nova|oslo|^INFO|\] /.test(plain.text.slice(0, where.index))) return [];
    const { atMs } = plain;
    const findings: Finding[] = [];

    const running = RUNNING.exec(message) ?? RUNNING_LOOSE.exec(message);
    const prepared = PREPARED.exec(message);
    const isBeginning = prepared !== null || BEGINS.test(message);
    let one = this.open.get(instance);
    if (one?.isTold === true) {
      if (FAILED.test(message) || CANCELLED.test(message)) return findings;
      if (running !== null || isBeginning || ENDED.test(message)) {
        this.open.delete(instance);
        one = undefined;
      } else return findings;
    }
    if (running !== null) {
      const seconds = Number(running[1]);
      let following = one;
      // A counter that runs backwards counts another migration of the same instance.
      if (following?.seconds !== undefined && seconds < following.seconds) {
        findings.push(...this.close(instance, following, 'another migration of the instance begins'));
        following = undefined;
      }
      following ??= this.follow(instance, number, raw, findings);
      this.seen(following, plain.host, atMs, number);
      following.seconds = seconds;
      if (atMs !== undefined) following.startMs ??= atMs - seconds * 1000;
      if (running[3] !== undefined) {
        following.processedBytes = Number(running[3]) + Number(running[7] ?? 0);
        following.memoryBytes = Number(running[5]);
        if (running[9] !== undefined) following.diskBytes = Number(running[9]);
      }
      return findings;
    }
    if (isBeginning) {
      let following = one;
      if (following?.copiedMs !== undefined) {
        findings.push(...this.close(instance, following, 'another migration of the instance begins'));
        following = undefined;
      }
      following ??= this.follow(instance, number, raw, findings);
      this.seen(following, plain.host, atMs, number);
      if (prepared !== null) {
        following.target = prepared[2]!;
        if (atMs !== undefined) following.startMs = atMs - Number(prepared[1]) * 1000;
      } else if (atMs !== undefined) following.startMs ??= atMs;
      return findings;
    }
    const ended = ENDED.exec(message);
    if (ended !== null) {
      const following = one ?? this.follow(instance, number, raw, findings);
      this.seen(following, plain.host, atMs, number);
      following.target = ended[1]!;
      following.status = 'completed';
      findings.push(...this.close(instance, following, ''));
      return findings;
    }
    if (COPIED.test(message)) {
      const following = one ?? this.follow(instance, number, raw, findings);
      this.seen(following, plain.host, atMs, number);
      if (atMs !== undefined) following.copiedMs = atMs;
      return findings;
    }
    const failed = FAILED.exec(message);
    const isCancelled = CANCELLED.test(message);
    if (failed !== null || isCancelled) {
      const isAfterCopy = failed?.[1] !== undefined;
      if (one === undefined && isAfterCopy) return findings; // the destination's trouble afterwards; the failure was told
      const following = one ?? this.follow(instance, number, raw, findings);
      this.seen(following, plain.host, atMs, number);
      if (isAfterCopy) following.target ??= failed![1]!;
      following.error ??= message.slice(0, 200);
      // A cancelled job fails as well, in either order: "operation aborted: migration job: canceled by client".
      following.status = isCancelled || /cancell?ed/i.test(message) ? 'cancelled' : 'failed';
      findings.push(...this.told(instance, following, ''));
      following.isTold = true;
      return findings;
    }
    if (one === undefined) return findings;
    if (DOWNTIME.test(message) || POSTCOPY.test(message) || PAUSED.test(message)) {
      this.seen(one, plain.host, atMs, number);
      if (POSTCOPY.test(message)) one.isPostcopy = true;
    }
    return findings;
  }

  private follow(instance: string, line: number, text: string, findings: Finding[]): Following {
    if (this.open.size >= MOST_OPEN) {
      const [oldest, one] = this.open.entries().next().value!;
      findings.push(...this.close(oldest, one, `${MOST_OPEN} others began since`));
    }
    const following: Following = { line, text: text.slice(0, 1000) };
    this.open.set(instance, following);
    return following;
  }

  private seen(one: Following, host: string | undefined, atMs: number | undefined, line: number): void {
    one.line = line;
    if (host !== undefined) one.host = host;
    if (atMs === undefined) return;
    one.firstMs ??= atMs;
    one.lastMs = atMs;
  }

  private close(instance: string, one: Following, why: string): Finding[] {
    this.open.delete(instance);
    return this.told(instance, one, why);
  }

  private told(instance: string, one: Following, why: string): Finding[] {
    if (one.isTold === true) return [];
    const { context } = this;
    let status = one.status;
    let endMs = one.lastMs;
    if (status === undefined && one.copiedMs !== undefined) {
      status = 'completed';
      endMs = one.copiedMs;
    }
    if (status === undefined)
      return [
        reject(
          one.line,
          `${why} while the migration of ${instance} is under way: not a finished move`,
          one.text,
        ),
      ];
    if (one.startMs === undefined)
      return [
        reject(
          one.line,
          `the log does not tell when the migration of ${instance} began (short ones log no progress; the migrations API tells)`,
          one.text,
        ),
      ];
    return [
      finishedMove(
        {
          origin: 'nova',
          key: [instance, Math.round(one.startMs)],
          instance,
          sourceNode: context.sourceNode ?? context.node ?? one.host,
          targetNode: one.target,
          operation: 'live_migration',
          startMs: one.startMs,
          durationSeconds: endMs === undefined ? NaN : (endMs - one.startMs) / 1000,
          status,
          fields: {
            memory_mib:
              one.memoryBytes === undefined || one.memoryBytes === 0 ? undefined : mibOf(one.memoryBytes),
            disk_mib: mibOf(one.diskBytes),
            capabilities: one.isPostcopy === true ? ['postcopy-ram'] : undefined,
          },
          labels: {
            copied_after_seconds:
              one.copiedMs === undefined ? undefined : roundTo((one.copiedMs - one.startMs) / 1000, 3),
            last_progress_mib: mibOf(one.processedBytes),
            error: one.error,
          },
          line: one.line,
          text: one.text,
        },
        context,
      ),
    ];
  }

  private object(text: string, line: number, findings: Finding[]): void {
    const value = parseLooseJson(text);
    if (value === undefined) {
      if (/source_compute|migration_type|Source Compute/.test(text))
        findings.push(reject(line, 'not JSON, nor nearly', text));
      return;
    }
    this.walk(value, 0, line, findings);
  }

  private walk(value: unknown, depth: number, line: number, findings: Finding[]): void {
    if (depth > 6 || typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) {
      for (const item of value) this.walk(item, depth + 1, line, findings);
      return;
    }
    const object = plainKeys(value as Record<string, unknown>);
    if ('source_compute' in object && 'status' in object) {
      const finding = this.migration(object, line);
      if (finding !== undefined) findings.push(finding);
      return;
    }
    for (const item of Object.values(object)) this.walk(item, depth + 1, line, findings);
  }

  /** One row of the API. `updated_at` is when its state last changed: the end, for those that nobody confirms later. */
  private migration(row: Record<string, unknown>, line: number): Finding | undefined {
    const text = JSON.stringify(row);
    const type = row['migration_type'] ?? (row['server_uuid'] === undefined ? undefined : 'live-migration');
    const word = String(row['status']).toLowerCase();
    if (type === 'resize') return undefined; // another size, often on the same host: no move
    if (STILL.has(word)) return undefined;
    const status = API_STATUS.get(word);
    if (status === undefined) return reject(line, `unknown state of a migration: ${word.slice(0, 40)}`, text);
    const isLive = type === 'live-migration' || type === undefined || type === null;
    if (!isLive && type !== 'migration' && type !== 'evacuation')
      return reject(line, `unknown type of a migration: ${String(type).slice(0, 40)}`, text);
    if (
      !isLive &&
      word !== 'finished' &&
      word !== 'error' &&
      word !== 'failed' &&
      !(type === 'evacuation' && word === 'done')
    )
      return reject(line, `a ${String(type)} that was ${word} later: the time of its end is gone`, text);
    const startMs = apiTime(row['created_at']);
    const endMs = apiTime(row['updated_at']);
    if (Number.isNaN(startMs) || Number.isNaN(endMs))
      return reject(line, 'created_at or updated_at is missing', text);
    const operation: Operation = isLive ? 'live_migration' : 'failover';
    const instance = nameIn(row, 'instance_uuid', 'server_uuid', 'instance');
    const id =
      nameIn(row, 'uuid') ?? (row['id'] === undefined ? undefined : String(row['id'] as string | number));
    const bytes = (key: string): number | undefined =>
      typeof row[key] === 'number' && (row[key] as number) > 0 ? mibOf(row[key] as number) : undefined;
    return finishedMove(
      {
        origin: 'nova',
        key: [
          'migration',
          id ?? startMs,
          ...(nameIn(row, 'uuid') === undefined && instance !== undefined ? [instance] : []),
        ],
        instance,
        sourceNode: nameIn(row, 'source_compute', 'source_node'),
        targetNode: nameIn(row, 'dest_compute', 'dest_node', 'dest_host'),
        operation,
        startMs,
        durationSeconds: (endMs - startMs) / 1000,
        status,
        fields: {
          memory_mib: bytes('memory_total_bytes'),
          disk_mib: bytes('disk_total_bytes'),
          transferred_mib: bytes('memory_processed_bytes'),
        },
        labels: { migration_type: typeof type === 'string' && !isLive ? type : undefined },
        line,
        text,
      },
      this.context,
    );
  }
}

/** A container's log wraps each line in an object. */
function unwrapped(raw: string): string {
  if (!raw.startsWith('{')) return raw;
  const value = parseLooseJson(raw);
  if (typeof value !== 'object' || value === null) return raw;
  const object = value as Record<string, unknown>;
  for (const key of ['log', 'message', 'MESSAGE', 'msg'])
    if (typeof object[key] === 'string') return object[key];
  return raw;
}

const STILL = new Set([
  'accepted',
  'queued',
  'preparing',
  'running',
  'post-migrating',
  'migrating',
  'pre-migrating',
  'post-migrated',
  'confirming',
  'reverting',
  'cancelling',
]);

const API_STATUS: ReadonlyMap<string, MoveStatus> = new Map([
  ['completed', 'completed'],
  ['finished', 'completed'],
  ['done', 'completed'],
  ['confirmed', 'completed'],
  ['reverted', 'completed'],
  ['error', 'failed'],
  ['failed', 'failed'],
  ['cancelled', 'cancelled'],
  ['canceled', 'cancelled'],
]);

function nameIn(row: Record<string, unknown>, ...keys: string[]): string | undefined {
  for (const key of keys) if (typeof row[key] === 'string' && row[key] !== '') return row[key];
  return undefined;
}

/** The command line's JSON titles its columns: `Source Compute` is `source_compute`, `Type` is `migration_type`. */
function plainKeys(object: Record<string, unknown>): Record<string, unknown> {
  if (!('Source Compute' in object)) return object;
  const plain = Object.fromEntries(
    Object.entries(object).map(([key, item]) => [key.toLowerCase().replaceAll(' ', '_'), item]),
  );
  plain['migration_type'] ??= plain['type'];
  return plain;
}

/** The API's times are in UTC, with or without saying so. */
function apiTime(value: unknown): number {
  if (typeof value !== 'string') return NaN;
  const m = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,9})?)(Z|[+-]\d\d:?\d\d)?$/.exec(value);
  return m === null ? NaN : Date.parse(`${m[1]}T${m[2]}${m[3] ?? 'Z'}`);
}
