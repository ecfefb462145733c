import type { MoveStatus, Operation } from '../../domain/move-record.js';
import { finishedMove, reject, withoutStart } from './finished-move.js';
import { stripEscapes } from './log-prefix.js';
import { LogClock } from './log-times.js';
import { mibOf, parseAmount, parseBytes, parseClockSpan, roundTo } from './sizes.js';
import type { Finding, LogParser, LogSource, SourceContext } from './source.js';
import { USUAL_LINE_BYTES } from './source.js';

/** Task logs of Proxmox VE: what `qm migrate` and `pct migrate` write, one task or many, one after another. */
export const proxmoxSource: LogSource = {
  name: 'proxmox',
  summary: 'task logs of Proxmox VE 3 to 9 (qmigrate, vzmigrate), as in /var/log/pve/tasks',
  unit: 'line',
  version: 1,
  longestLineBytes: USUAL_LINE_BYTES,
  detect,
  // Beside the tasks' logs in /var/log/pve/tasks lie lists of them.
  ownsFile: (fileName) => !/(?:^|[\\/])(?:index(?:\.\d+)?|active)$/.test(fileName),
  parser: (context, state) => new ProxmoxParser(context, state),
};

function detect(head: string, fileName: string): number {
  if (/starting migration of (?:VM|CT) \d+ to/.test(head)) return 0.95;
  if (
    /^(?:.{0,30} )?migration (?:active, transferred|status: active \(transferred|finished success)/m.test(
      head,
    )
  )
    return 0.95;
  if (/^(?:.{0,30} )?(?:drive|mirror)-\w+: transferred:? /m.test(head)) return 0.9;
  if (/average migration speed:|migration downtime limit:|migration aborted \(duration/.test(head))
    return 0.9;
  if (UPID.test(fileName) && /migrate/.test(fileName)) return 0.9;
  return /^TASK (?:OK|ERROR|WARNINGS)/m.test(head) ? 0.3 : 0;
}

/** `UPID:node:pid:pstart:start:type:guest:user:`, the numbers in hexadecimal; it is also the log's file name. */
const UPID =
  /UPID:([\w.-]{1,255}):[0-9A-Fa-f]{1,16}:[0-9A-Fa-f]{1,16}:([0-9A-Fa-f]{8,9}):(\w{1,40}):([^:\s/]{0,64}):/;

interface Upid {
  node: string;
  startMs: number;
  type: string;
  guest: string;
}

function readUpid(text: string): Upid | undefined {
  const m = UPID.exec(text);
  return m === null
    ? undefined
    : { node: m[1]!, startMs: Number.parseInt(m[2]!, 16) * 1000, type: m[3]!, guest: m[4]! };
}

/** Disks of one task that are told apart; further ones are added up as one. */
const MOST_DISKS = 256;

/** One task while it is read: plain JSON. */
interface Task {
  guest?: string;
  kind: 'VM' | 'CT';
  target?: string;
  startMs?: number;
  lastMs?: number;
  /** Mapping of the guest's id on the other cluster, or the tunnel's word: the guest went to another cluster. */
  isRemote: boolean;
  /** Memory was to be copied while the guest ran. */
  isOnline: boolean;
  isRestarted: boolean;
  copiesDisks: boolean;
  /** Bytes of each disk that is copied, by the drive's name. */
  disks: Record<string, number>;
  streamStartMs?: number;
  stateBytes?: number;
  transferredBytes?: number;
  totalTransferredBytes?: number;
  speedBytes?: number;
  speedMs?: number;
  downtimeMs?: number;
  downtimeLimitMs?: number;
  bandwidthBytes?: number;
  isCached: boolean;
  isCopied: boolean;
  isHa: boolean;
  error?: string;
  /** When it went wrong: what follows is cleaning up. */
  failedMs?: number;
  line: number;
  text: string;
}

/** What is remembered between lines. */
interface ProxmoxState {
  task?: Task;
  upid?: Upid;
  lastMs: number;
  isHa: boolean;
  /** The start that the user gave was that of the first task, which has been told. */
  isStartTaken?: true;
  /** The first time of a task whose starting line has not come yet. */
  earlyMs?: number;
}

const SIZE = '(\\d[\\d.]{0,23}) ?([KMGTP]?i?B|[KMGTP])?';
const START =
  /^starting migration of (VM|CT|VM\/CT)? ?(\d{1,12}) to (?:node|host|remote node|remote) '([^']{1,255})'/i;
const ACTIVE = new RegExp(`^migration active, transferred ${SIZE} of ${SIZE} VM-state(?:, ${SIZE}/s)?`, 'i');
const ACTIVE_OLD = new RegExp(
  `^migration status: active \\(transferred ${SIZE}, remaining ${SIZE}\\)?, total ${SIZE}\\)?`,
  'i',
);
const SPEED = new RegExp(`^(?:average )?migration speed: ${SIZE}/s(?: - downtime (\\d{1,12}) ms)?`, 'i');
const COMPLETED = new RegExp(`^migration completed, transferred ${SIZE} VM-state`, 'i');
const MIRROR = new RegExp(`^(?:drive|mirror)-([\\w.-]{1,40}): transferred ${SIZE} of ${SIZE}`, 'i');
const MIRROR_OLD =
  /^(?:drive|mirror)-([\w.-]{1,40}): transferred: \d{1,18} bytes remaining: \d{1,18} bytes total: (\d{1,18}) bytes/;
const ESTIMATE = new RegExp(
  `^(?:full )?send (?:of|from) (\\S{1,200}) .{0,200}estimated size is ${SIZE}\\s*$`,
  'i',
);
const RSYNC_TOTAL = /^total size is ([\d,]{1,24})\s+speedup is/;
const MIDDLE =
  /^(?:migration (?:active|status|completed|speed|xbzrle|downtime)|average migration speed|starting online|(?:drive|mirror)-\S+: transferred)/;
const FINISHED = /^migration finished success(?:fully|fuly) \(duration (\d{1,7}:\d\d:\d\d)\)/;
const PROBLEMS = /^(?:ERROR: )?migration finished with problems \(duration (\d{1,7}:\d\d:\d\d)\)/;
const ABORTED = /^(?:ERROR: )?migration aborted \(duration (\d{1,7}:\d\d:\d\d)\):?\s*(.{0,400})/;
const TASK_END = /^TASK (OK|ERROR|WARNINGS)(?:: (.{0,400}))?/;
const CANCELLED =
  /\b(?:cancel(?:l?ed)?|interrupt(?:ed)?|got signal|received interrupt|stopped by|abort(?:ed)? by|SIGTERM|SIGINT)\b/i;

class ProxmoxParser implements LogParser {
  private readonly context: SourceContext;
  private readonly clock: LogClock;
  private readonly saved: ProxmoxState;
  /** The file's name says that its task is another one, such as a backup or a move of a disk on one node. */
  private readonly isOther: boolean;

  constructor(context: SourceContext, state?: unknown) {
    this.context = context;
    const upid = readUpid(context.fileName);
    this.isOther = upid !== undefined && !upid.type.includes('migrate');
    this.saved = {
      lastMs: Number.NEGATIVE_INFINITY,
      isHa: false,
      ...(upid === undefined ? {} : { upid }),
      ...(state as Partial<ProxmoxState> | undefined),
    };
    this.clock = new LogClock(context, this.saved.lastMs);
  }

  state(): ProxmoxState {
    return { ...this.saved, lastMs: this.clock.lastMs };
  }

  end(): Finding[] {
    return this.cutOff('the log ends');
  }

  line(raw: string, number: number): Finding[] {
    const plain = stripEscapes(raw).trimStart();
    const time = this.clock.read(plain);
    const text = time === undefined ? plain : time.rest;
    const atMs = time?.ms;
    if (text === '' || this.isOther) return [];
    const findings: Finding[] = [];
    const { saved } = this;
    if (text.startsWith('task started by HA')) saved.isHa = true;
    if (
      /^(?:use dedicated network address|conntrack state migration|remote: started tunnel)/.test(text) &&
      atMs !== undefined
    )
      saved.earlyMs ??= atMs;
    if (
      text.startsWith('remote: started tunnel worker') ||
      text.startsWith('Establishing API connection with remote')
    ) {
      if (saved.task?.isRemote !== true || saved.task.guest !== undefined) {
        findings.push(...this.cutOff('another task begins'));
        saved.task = newTask(number, text);
        saved.task.isRemote = true;
      }
      const upid = readUpid(text);
      if (upid !== undefined) saved.task.target = upid.node;
      if (atMs !== undefined) saved.task.startMs = atMs;
      return findings;
    }
    const start = START.exec(text);
    if (start !== null) {
      const isSame = saved.task?.isRemote === true && saved.task.guest === undefined;
      if (!isSame) {
        findings.push(...this.cutOff('another task begins'));
        saved.task = newTask(number, text);
      }
      const task = saved.task!;
      task.kind = start[1]?.toUpperCase() === 'CT' ? 'CT' : 'VM';
      task.guest = start[2]!;
      task.target = start[3]!;
      task.isHa = saved.isHa;
      const from = saved.earlyMs ?? atMs;
      if (from !== undefined) task.startMs ??= from;
      if (atMs !== undefined) task.lastMs = atMs;
      delete saved.earlyMs;
      saved.isHa = false;
      return findings;
    }
    this.read(text, atMs, number, findings);
    return findings;
  }

  private read(text: string, atMs: number | undefined, number: number, findings: Finding[]): void {
    const ends = FINISHED.exec(text) ?? PROBLEMS.exec(text) ?? ABORTED.exec(text) ?? TASK_END.exec(text);
    const { saved } = this;
    if (saved.task === undefined) {
      // Without its beginning a task is only told of, so that nothing is lost silently; what follows its end is no task.
      if (ends === null ? !MIDDLE.test(text) : TASK_END.test(text)) return;
      saved.task = newTask(number, text);
    }
    const task = saved.task;
    task.line = number;
    if (atMs !== undefined) task.lastMs = atMs;
    if (ends === null) {
      progress(text, atMs, task);
      return;
    }
    this.close(text, atMs, task, findings);
  }

  private close(text: string, atMs: number | undefined, task: Task, findings: Finding[]): void {
    const aborted = ABORTED.exec(text);
    const word = TASK_END.exec(text);
    if (word !== null && word[1] !== 'ERROR' && FINISHED.exec(text) === null) {
      // The task is fine, yet no line told how long the migration took: lines were lost.
      findings.push(...this.told(task, 'completed', NaN, atMs, text));
      return;
    }
    if (aborted !== null || word !== null) {
      const error = (aborted?.[2] ?? word?.[2] ?? '').trim();
      if (error !== '') task.error ??= error;
      const why = `${task.error ?? ''} ${error}`;
      const status = CANCELLED.test(why) ? 'cancelled' : 'failed';
      findings.push(
        ...this.told(task, status, aborted === null ? NaN : parseClockSpan(aborted[1]!), atMs, text),
      );
      return;
    }
    const span = parseClockSpan((FINISHED.exec(text) ?? PROBLEMS.exec(text))![1]!);
    const isProblem = PROBLEMS.test(text);
    if (isProblem) task.error ??= 'finished with problems';
    const isBroken = isProblem && task.isOnline && !task.isCopied;
    findings.push(
      ...this.told(
        task,
        isBroken ? (CANCELLED.test(task.error ?? '') ? 'cancelled' : 'failed') : 'completed',
        span,
        atMs,
        text,
      ),
    );
  }

  /** The task's record; nothing for a task that was refused before any work. */
  private told(
    task: Task,
    status: MoveStatus,
    spanSeconds: number,
    atMs: number | undefined,
    text: string,
  ): Finding[] {
    const { context, saved } = this;
    delete saved.task;
    delete saved.earlyMs;
    const worked = task.isOnline || task.copiesDisks || task.isCopied || task.isRestarted;
    if (status !== 'completed' && !worked) return [];
    const upid = saved.upid;
    const own =
      upid !== undefined && (task.guest === undefined || task.guest === upid.guest) ? upid : undefined;
    const guest = task.guest ?? own?.guest;
    if (guest === undefined && context.instance === undefined)
      return [
        reject(
          task.line,
          'the log does not say which guest moved: its beginning is missing (or give --instance)',
          `${task.text}\n${text}`,
        ),
      ];
    const instance = context.instance ?? guest!;
    const isBroken = status !== 'completed' && task.failedMs !== undefined;
    const endMs = isBroken ? task.failedMs : (atMs ?? task.lastMs);
    const startMs = own === undefined ? task.startMs : nearest(own.startMs, task.startMs);
    // The log's own clock and the printed duration count whole seconds; where they differ by more than one, the clock
    // was set (or lines are missing) and the printed one, which is from a start that nobody moved, holds.
    const byClock = endMs !== undefined && task.startMs !== undefined ? (endMs - task.startMs) / 1000 : NaN;
    const durationSeconds =
      Number.isNaN(spanSeconds) ||
      Math.abs(byClock - spanSeconds) <= 1 ||
      (isBroken && byClock > 0 && byClock < spanSeconds)
        ? byClock
        : spanSeconds;
    const operation: Operation = task.isOnline
      ? 'live_migration'
      : task.copiesDisks && !task.isRestarted
        ? 'disk_replication'
        : 'failover';
    const diskBytes = Object.values(task.disks).reduce((a, b) => a + b, 0);
    const transferred =
      task.totalTransferredBytes ?? (status === 'completed' ? undefined : task.transferredBytes);
    const labels: Record<string, string | number | boolean | undefined> = {
      guest_kind: task.kind === 'CT' ? 'container' : undefined,
      remote_cluster: task.isRemote ? true : undefined,
      balancer: task.isHa ? 'ha' : undefined,
      error: task.error?.slice(0, 200),
      vmid: instance === guest ? undefined : guest,
    };
    const finding = finishedMove(
      {
        origin: 'proxmox',
        key:
          own === undefined
            ? startMs === undefined
              ? [instance, spanSeconds, Math.round(transferred ?? 0), task.downtimeMs ?? 0]
              : [instance, Math.round(startMs)]
            : [`UPID-${own.node}-${own.startMs / 1000}`, instance],
        instance,
        sourceNode: context.sourceNode ?? context.node ?? own?.node,
        targetNode: task.target,
        operation,
        startMs,
        durationSeconds,
        status,
        fields: {
          memory_mib: operation === 'live_migration' ? memoryMib(task) : undefined,
          disk_mib: task.copiesDisks
            ? diskBytes > 0
              ? mibOf(diskBytes)
              : undefined
            : task.guest !== undefined && status === 'completed'
              ? 0
              : undefined,
          max_bandwidth_mib_s: mibOf(task.bandwidthBytes),
          downtime_limit_ms: task.downtimeLimitMs,
          capabilities: task.isCached ? ['xbzrle'] : undefined,
          downtime_ms: task.downtimeMs,
          transferred_mib: mibOf(transferred),
        },
        labels,
        line: task.line,
        text: `${task.text}\n${text}`,
      },
      saved.isStartTaken === true ? withoutStart(context) : context,
    );
    saved.isStartTaken = true;
    return [finding];
  }

  private cutOff(how: string): Finding[] {
    const { task } = this.saved;
    delete this.saved.task;
    if (task === undefined) return [];
    const from = task.guest === undefined ? '' : ` of ${task.guest}`;
    return [
      reject(task.line, `${how} while the migration${from} is under way: not a finished move`, task.text),
    ];
  }
}

const newTask = (line: number, text: string): Task => ({
  kind: 'VM',
  isRemote: false,
  isOnline: false,
  isRestarted: false,
  copiesDisks: false,
  disks: {},
  isCached: false,
  isCopied: false,
  isHa: false,
  line,
  text: text.slice(0, 400),
});

/** What a line within a task tells. */
function progress(text: string, atMs: number | undefined, task: Task): void {
  if (/^starting VM \d+ on remote node/.test(text)) {
    task.isOnline = true;
    return;
  }
  if (/^start(?:ing)? (?:online\/live )?(?:migration on|migrate command)/.test(text)) {
    task.isOnline = true;
    if (atMs !== undefined) task.streamStartMs = atMs;
    return;
  }
  let m = ACTIVE.exec(text);
  if (m !== null) {
    task.isOnline = true;
    task.transferredBytes = parseBytes(`${m[1]} ${m[2] ?? ''}`);
    task.stateBytes = parseBytes(`${m[3]} ${m[4] ?? ''}`);
    return;
  }
  if ((m = ACTIVE_OLD.exec(text)) !== null) {
    task.isOnline = true;
    task.transferredBytes = parseBytes(`${m[1]} ${m[2] ?? ''}`);
    task.stateBytes = parseBytes(`${m[5]} ${m[6] ?? ''}`);
    return;
  }
  if ((m = SPEED.exec(text)) !== null) {
    task.isOnline = true;
    task.speedBytes = parseBytes(`${m[1]} ${m[2] ?? 'MB'}`);
    if (m[3] !== undefined) task.downtimeMs = Number(m[3]);
    if (atMs !== undefined) task.speedMs = atMs;
    return;
  }
  if ((m = COMPLETED.exec(text)) !== null) {
    task.totalTransferredBytes = parseBytes(`${m[1]} ${m[2] ?? ''}`);
    task.isOnline = true;
    return;
  }
  if ((m = MIRROR.exec(text)) !== null) return disk(task, m[1]!, parseBytes(`${m[4]} ${m[5] ?? ''}`));
  if ((m = MIRROR_OLD.exec(text)) !== null) return disk(task, m[1]!, Number(m[2]));
  if ((m = ESTIMATE.exec(text)) !== null) return disk(task, m[1]!, parseBytes(`${m[2]} ${m[3] ?? ''}`));
  if ((m = RSYNC_TOTAL.exec(text)) !== null) return disk(task, 'rsync', parseAmount(m[1]!));
  if (text.startsWith('migration status: completed')) task.isCopied = true;
  else if ((m = /^migration downtime limit: (\d{1,9}) ms/.exec(text)) !== null)
    task.downtimeLimitMs = Number(m[1]);
  else if ((m = /^migrate_set_downtime: ([\d.]{1,12})/.exec(text)) !== null) {
    const limit = roundTo(Number(m[1]) * 1000, 3);
    if (Number.isFinite(limit)) task.downtimeLimitMs = limit;
  } else if ((m = /^migrate_set_speed: (\d{1,18})/.exec(text)) !== null) task.bandwidthBytes = Number(m[1]);
  else if ((m = new RegExp(`^migration speed limit: ${SIZE}/s`, 'i').exec(text)) !== null)
    task.bandwidthBytes = parseBytes(`${m[1]} ${m[2] ?? ''}`);
  else if (/^migration (?:cachesize|xbzrle)|^xbzrle:/.test(text)) task.isCached = true;
  else if (
    /^(?:copying (?:local )?disk images|drive mirror is starting|found local (?:disk|volume)|full send of|send from)/.test(
      text,
    )
  ) {
    // "copying disk images" is said by old versions even where there is nothing to copy.
    if (!text.startsWith('copying disk images')) task.copiesDisks = true;
  } else if (
    /^(?:shutdown|stopping) (?:CT|container)|^start(?:ing)? (?:CT|container) .{0,40}on (?:the )?target/i.test(
      text,
    )
  )
    task.isRestarted = true;
  else if ((m = /^(?:ERROR|migration status error): (.{1,400})/.exec(text)) !== null) {
    task.error ??= m[1]!;
    if (atMs !== undefined) task.failedMs ??= atMs;
  }
}

function disk(task: Task, name: string, bytes: number): void {
  task.copiesDisks = true;
  if (!Number.isFinite(bytes)) return;
  const isNew = !Object.hasOwn(task.disks, name);
  const key =
    isNew && (Object.keys(task.disks).length >= MOST_DISKS || name === '__proto__') ? 'further' : name;
  task.disks[key] = Math.max(task.disks[key] ?? 0, bytes);
}

/**
 * The guest's RAM: the size of its state as the progress lines print it, else from the "average migration speed", which
 * is RAM ÷ the whole seconds from the start of the stream and tells nothing of the bytes that were sent.
 */
function memoryMib(task: Task): number | undefined {
  if (task.stateBytes !== undefined && task.stateBytes > 0) return mibOf(task.stateBytes);
  const { speedBytes, speedMs, streamStartMs } = task;
  if (
    speedBytes === undefined ||
    speedMs === undefined ||
    streamStartMs === undefined ||
    speedMs <= streamStartMs
  )
    return undefined;
  return mibOf((speedBytes * (speedMs - streamStartMs)) / 1000);
}

/** A UPID knows its start in UTC, a log line only in its own zone: the UPID's, unless the task began much later in it. */
function nearest(upidMs: number, lineMs: number | undefined): number {
  if (lineMs === undefined) return upidMs;
  const late = lineMs - upidMs;
  return late > 0 && late <= LATEST_AFTER_TASK_MS ? lineMs : upidMs;
}

/** Between a task's start and its first line lie seconds: locks, a ping of the target. */
const LATEST_AFTER_TASK_MS = 60_000;
