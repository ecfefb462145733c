import type { MoveStatus } from '../../domain/move-record.js';
import { BYTES_PER_MIB, toIsoTime } from '../../domain/units.js';
import { finishedMove, reject, streamLink, withoutStart } from './finished-move.js';
import { mibOf, roundTo } from './sizes.js';
import type { Finding, SourceContext } from './source.js';

/**
 * One answer of a hypervisor to "how is the migration?", in one form for QEMU's JSON, QEMU's text and libvirt's text.
 * Bytes, milliseconds; absent where the answer does not tell.
 */
export interface MigrationReply {
  /** QEMU's word: setup, active, completed, failed, cancelled, … */
  status: string;
  totalTimeMs?: number;
  setupMs?: number;
  downtimeMs?: number;
  ramTotal?: number;
  ramTransferred?: number;
  diskTotal?: number;
  diskTransferred?: number;
  /** Mbit/s as the hypervisor says: of the last interval while it runs, of the whole at its end. */
  mbps?: number;
  dirtySyncs?: number;
  dirtyPagesPerSecond?: number;
  pageSize?: number;
  capabilities?: string[];
  error?: string;
  /** Epoch milliseconds at which the answer was given, where the log says. */
  atMs?: number;
}

/** What was set before the start, where the log says. */
export interface MigrationSettings {
  capabilities?: string[];
  maxBandwidthBytes?: number;
  downtimeLimitMs?: number;
  multifdChannels?: number;
}

/** What a series remembers between answers: plain JSON. */
interface SeriesState {
  startMs?: number;
  /** An event told the start. */
  isBegun?: true;
  instance?: string;
  last?: MigrationReply;
  replies: number;
  line: number;
  settings: MigrationSettings;
  capabilities: string[];
  /** Figures of the last finished migration: asking again afterwards gives the same answer again. */
  finished?: string;
  /** The start that the user gave was that of the first migration, which has been told. */
  isStartTaken?: true;
}

const STATUS: ReadonlyMap<string, MoveStatus> = new Map([
  ['completed', 'completed'],
  ['failed', 'failed'],
  ['cancelled', 'cancelled'],
  ['canceled', 'cancelled'],
]);

/** States of a migration that has begun and not ended. */
const RUNNING = new Set([
  'setup',
  'active',
  'device',
  'pre-switchover',
  'wait-unplug',
  'postcopy-device',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover',
  'postcopy-recover-setup',
  'cancelling',
  'failing',
]);

/** Every word that QEMU says of a migration's state. */
export const migrationStatuses: ReadonlySet<string> = new Set([...RUNNING, ...STATUS.keys(), 'none', 'colo']);

/**
 * Follows the answers about one guest's migrations, one after another, and tells each migration that has ended. The
 * duration is the hypervisor's own total time; a broken-off migration, of which it then tells none, lasted at least as
 * long as its last answer said.
 */
export class PrecopySeries {
  private current: SeriesState;

  constructor(
    private readonly origin: string,
    private readonly context: SourceContext,
    state?: unknown,
  ) {
    this.current =
      typeof state === 'object' && state !== null
        ? (state as SeriesState)
        : { replies: 0, line: 0, settings: {}, capabilities: [] };
  }

  state(): unknown {
    return this.current;
  }

  /** The guest that the following answers are about. */
  instance(name: string): void {
    this.current.instance = name;
  }

  /** Settings that hold for the migrations to come. */
  settings(settings: MigrationSettings): void {
    this.current.settings = { ...this.current.settings, ...settings };
  }

  /** An event says that a migration was set up at a moment, in epoch milliseconds. */
  begins(atMs: number): void {
    this.current.startMs = atMs;
    this.current.isBegun = true;
  }

  /** One answer; `text` is what a reject shows. */
  add(reply: MigrationReply, line: number, text: string): Finding[] {
    if (reply.status === 'none') return [];
    if (reply.status === 'colo')
      return [reject(line, 'a COLO checkpoint, not a migration: the guest is mirrored for ever', text)];
    const status = STATUS.get(reply.status);
    if (status === undefined && !RUNNING.has(reply.status))
      return [reject(line, `unknown state of a migration: ${reply.status.slice(0, 40)}`, text)];
    if (status === 'completed' && reply.totalTimeMs === undefined && !this.hasTotal())
      return [reject(line, "no times: the destination's answer; ask the source", text)];
    if (status === 'completed' && reply.totalTimeMs === undefined && reply.ramTotal === undefined)
      return [reject(line, "no times: the destination's answer, amid the source's", text)];
    const key = status === undefined ? undefined : figures(reply);
    if (key !== undefined && key === this.current.finished && this.current.last === undefined) return [];
    const findings: Finding[] = [];
    const before = this.current.last?.totalTimeMs;
    if (before !== undefined && reply.totalTimeMs !== undefined && reply.totalTimeMs < before)
      findings.push(...this.cutOff());
    this.follow(reply, line);
    if (status === undefined) {
      findings.push(...this.samples(reply, line));
      return findings;
    }
    findings.push(this.ended(status, reply, line, text));
    this.next(line);
    this.current.finished = key!;
    this.current.isStartTaken = true;
    return findings;
  }

  /** The text is over: a migration that was still running is not a finished move. */
  end(): Finding[] {
    return this.cutOff();
  }

  private hasTotal(): boolean {
    return this.current.last?.totalTimeMs !== undefined;
  }

  private follow(reply: MigrationReply, line: number): void {
    const { current } = this;
    current.replies += 1;
    current.line = line;
    if (reply.atMs !== undefined) current.startMs ??= reply.atMs - (reply.totalTimeMs ?? 0);
    for (const name of reply.capabilities ?? [])
      if (!current.capabilities.includes(name) && current.capabilities.length < 64)
        current.capabilities.push(name);
    // What a later answer leaves out (a failed migration tells nothing more), an earlier one has told.
    current.last = { ...current.last, ...(withoutUndefined(reply) as MigrationReply) };
  }

  private cutOff(): Finding[] {
    const { last, line } = this.current;
    if (last === undefined) return [];
    this.next(line);
    if (!RUNNING.has(last.status)) return [];
    const seconds = last.totalTimeMs === undefined ? '' : ` after ${roundTo(last.totalTimeMs / 1000, 3)} s`;
    return [
      reject(
        line,
        `the log ends while the migration is ${last.status}${seconds}: not a finished move`,
        JSON.stringify(last),
      ),
    ];
  }

  /** What outlasts a migration: the guest, its settings, and whether the given start is taken. */
  private next(line: number): void {
    const { instance, settings, isStartTaken } = this.current;
    this.current = { replies: 0, line, settings, capabilities: [] };
    if (instance !== undefined) this.current.instance = instance;
    if (isStartTaken !== undefined) this.current.isStartTaken = isStartTaken;
  }

  private ended(status: MoveStatus, reply: MigrationReply, line: number, text: string): Finding {
    const { current, context } = this;
    const last = current.last!;
    const bytes = sum(last.ramTransferred, last.diskTransferred);
    let durationMs = last.totalTimeMs ?? NaN;
    if (
      status !== 'completed' &&
      reply.totalTimeMs === undefined &&
      reply.atMs !== undefined &&
      current.startMs !== undefined
    )
      durationMs = Math.max(Number.isNaN(durationMs) ? 0 : durationMs, reply.atMs - current.startMs);
    const mbps =
      status === 'completed' && positive(reply.mbps) ? reply.mbps : (bytes * 8) / durationMs / 1000;
    const { settings } = current;
    const capabilities = new Set([...(settings.capabilities ?? []), ...current.capabilities]);
    return finishedMove(
      {
        origin: this.origin,
        // An answer that stands alone may be asked for again, at any time later: its figures tell which move it was.
        key:
          current.startMs === undefined
            ? ['figures', figures(last)]
            : current.isBegun !== true && current.replies === 1
              ? [instanceOf(current, context), 'figures', figures(last)]
              : [instanceOf(current, context), Math.round(current.startMs)],
        instance: current.instance,
        sourceNode: context.sourceNode ?? context.node,
        targetNode: undefined,
        operation: 'live_migration',
        startMs: current.startMs,
        durationSeconds: durationMs / 1000,
        status,
        fields: {
          memory_mib: positiveMib(last.ramTotal),
          disk_mib: positiveMib(last.diskTotal),
          max_bandwidth_mib_s: positiveMib(settings.maxBandwidthBytes),
          downtime_limit_ms: settings.downtimeLimitMs,
          multifd_channels: settings.multifdChannels,
          capabilities: [...capabilities],
          downtime_ms: status === 'completed' ? last.downtimeMs : undefined,
          setup_ms: last.setupMs,
          transferred_mib: mibOf(bytes),
          throughput_mbps: Number.isFinite(mbps) && mbps > 0 ? roundTo(mbps, 3) : undefined,
          dirty_sync_count: last.dirtySyncs,
        },
        labels: {
          error: last.error?.slice(0, 200),
          replies: current.replies > 1 ? current.replies : undefined,
        },
        line,
        text,
      },
      current.isStartTaken === true ? withoutStart(context) : context,
    );
  }

  /** Samples of what a running migration saw, where the moment and the names are known. */
  private samples(reply: MigrationReply, line: number): Finding[] {
    const { context, current } = this;
    const atMs =
      reply.atMs ??
      (current.startMs !== undefined && reply.totalTimeMs !== undefined
        ? current.startMs + reply.totalTimeMs
        : undefined);
    if (atMs === undefined || !Number.isFinite(atMs) || Math.abs(atMs) > LATEST_MS) return [];
    const at = toIsoTime(Math.round(atMs));
    const cluster = context.cluster === undefined ? {} : { cluster: context.cluster };
    const findings: Finding[] = [];
    const source = context.sourceNode ?? context.node;
    if (source !== undefined && context.targetNode !== undefined && positive(reply.mbps)) {
      const link = streamLink(source, context.targetNode);
      findings.push({
        kind: 'link-sample',
        line,
        value: { at, ...cluster, link, throughput_mbps: roundTo(reply.mbps, 3) },
      });
    }
    const instance = current.instance ?? context.instance;
    if (instance !== undefined && positive(reply.dirtyPagesPerSecond) && positive(reply.pageSize)) {
      const rate = roundTo((reply.dirtyPagesPerSecond * reply.pageSize) / BYTES_PER_MIB, 3);
      findings.push({
        kind: 'instance-sample',
        line,
        value: { at, ...cluster, instance, dirty_rate_mib_s: rate },
      });
    }
    return findings;
  }
}

/** The largest time that a Date can hold. */
const LATEST_MS = 8.64e15;

function instanceOf(current: SeriesState, context: SourceContext): string {
  return current.instance ?? context.instance ?? context.fileName.split(/[\\/]/).at(-1)!;
}

/** What tells two migrations apart when no clock does. */
function figures(reply: MigrationReply): string {
  const { status, totalTimeMs, downtimeMs, setupMs, ramTotal, ramTransferred, dirtySyncs } = reply;
  return [status, totalTimeMs, downtimeMs, setupMs, ramTotal, ramTransferred, dirtySyncs]
    .map((item) => item ?? '')
    .join('-');
}

const positive = (value: number | undefined): value is number =>
  value !== undefined && Number.isFinite(value) && value > 0;

const positiveMib = (bytes: number | undefined): number | undefined =>
  positive(bytes) ? mibOf(bytes) : undefined;

function sum(a: number | undefined, b: number | undefined): number {
  return a === undefined && b === undefined ? NaN : (a ?? 0) + (b ?? 0);
}

function withoutUndefined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as Partial<T>;
}
