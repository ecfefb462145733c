import type { MoveStatus } from '../../domain/move-record.js';
import { toIsoTime } from '../../domain/units.js';
import { finishedMove, reject, streamLink, UNKNOWN_SOURCE, UNKNOWN_TARGET } from './finished-move.js';
import { plainLine } from './log-prefix.js';
import type { PlainLine } from './log-prefix.js';
import { LogClock } from './log-times.js';
import { bytesOfUnit, mibOf, parseAmount, roundTo } from './sizes.js';
import type { Finding, LogParser, LogSource, SourceContext } from './source.js';
import { USUAL_LINE_BYTES } from './source.js';

/** DRBD: the kernel's lines about resyncs become moves of disks, `/proc/drbd` becomes samples of the link. */
export const drbdSource: LogSource = {
  name: 'drbd',
  summary: "DRBD 8.0 to 9: the kernel log's resync lines, and /proc/drbd",
  unit: 'line',
  version: 1,
  longestLineBytes: USUAL_LINE_BYTES,
  detect,
  parser: (context, state) => new DrbdParser(context, state),
};

function detect(head: string, fileName: string): number {
  if (/^version: \d.{0,80}\(api:/m.test(head) && /^\s*\d+: cs:/m.test(head)) return 0.98;
  if (/drbd.{0,120}(?:Began resync as Sync|Resync done \(total)/.test(head)) return 0.95;
  if (/^\s*\d+: cs:\w+ (?:st|ro):/m.test(head) || /sync'ed: *[\d.]+%/.test(head)) return 0.9;
  if (/^\s*peer-disk:\w+|replication:Sync(?:Source|Target)/m.test(head)) return 0.6;
  return /\bdrbd\d*\b/.test(head) ? 0.3 : /proc.drbd|drbd/.test(fileName) ? 0.2 : 0;
}

/** Devices that resync at a time on one host; the oldest gives way. DRBD's own limit of minors in use is of this order. */
const MOST_DEVICES = 4096;

type Side = 'source' | 'target';

/** One resync while it is followed: plain JSON. */
interface Resync {
  side?: Side;
  host?: string;
  startMs?: number;
  startUptime?: number;
  kib?: number;
  line: number;
  text: string;
}

/** A resync that is done, until the next line tells (or not) how much of it had to be sent. */
interface Done {
  device: string;
  resync: Resync;
  status: MoveStatus;
  seconds: number;
  pausedSeconds: number;
  rateKib: number;
  atMs?: number;
  uptime?: number;
  error?: string;
  transferredKib?: number;
  totalKib?: number;
}

/** One device of `/proc/drbd` while it is read. */
interface Proc {
  minor: number;
  side?: Side;
}

/** The speeds of one look at `/proc/drbd`, added up by link: devices that resync side by side share it. Plain JSON. */
interface Look {
  atMs: number;
  mbps: [link: string, mbps: number][];
  line: number;
  text: string;
}

interface DrbdState {
  open: [string, Resync][];
  done?: Done;
  proc?: Proc;
  look?: Look;
  lastMs: number;
  /** The last time that stood on a line of its own, such as `date` before `cat /proc/drbd`. */
  atMs?: number;
}

/** `block drbd1: `, `drbd1: ` (8.0), `drbd r0/0 drbd1 peer: ` and `drbd r0/0 drbd1: ` (9), `drbd r0: ` (8.4). */
const SPEAKER =
  /^(?:block )?(?:drbd ([\w.-]{1,128})(?:\/(\d{1,6}))? )?(drbd\d{1,8})?(?: ?([\w.-]{1,253}))?: (.*)$/;
const BEGAN =
  /^Began resync as (Sync(?:Source|Target)|PausedSync[ST]|VerifyS|VerifyT) \(will sync (\d{1,18}) KB/;
const DONE =
  /^(?:Resync|resync) done \(total (\d{1,12}) sec;(?: paused (\d{1,12}) sec;)? (\d{1,18}) K\/sec\)/;
const EQUAL = /had equal checksums, eliminated: (\d{1,18})K; transferred (\d{1,18})K total (\d{1,18})K/;
const STATE = /\b(?:conn|repl|cstate)\( ?(\w{1,40}) -> (\w{1,40}) ?\)/;
const STATE_8_0 =
  /^cs:(\w{1,40}) -> (\w{1,40})|^(\w{1,40}) \[[^\]]{0,60}\]: cstate (\w{1,40}) --> (\w{1,40})/;
const MINOR = /^\s*(\d{1,7}): cs:(\w{1,40})(?: (?:st|ro):(\w{1,20})\/(\w{1,20}))?/;
const SYNCED = /sync'ed: {0,4}([\d.]{1,8})% {0,4}\((\d{1,18})\/(\d{1,18})\) ?([KMGT](?!\w{0,3}nish)i?B?)?/;
const SPEED =
  /speed: {0,4}([\d,]{1,24}) \(([\d,]{1,24})[^)]{0,40}\)(?: \([\d,]{1,24}\))?(?: want: {0,4}([\d,]{1,24}))? {0,4}([KMGT]?)(?:i?B)?\/sec/;
const FINISH = /finish: {0,4}(\d{1,7}:\d\d:\d\d)/;

class DrbdParser implements LogParser {
  private readonly context: SourceContext;
  private readonly clock: LogClock;
  private readonly open: Map<string, Resync>;
  private done: Done | undefined;
  private proc: Proc | undefined;
  private look: Look | undefined;
  private atMs: number | undefined;

  constructor(context: SourceContext, state?: unknown) {
    const saved = (state ?? {}) as Partial<DrbdState>;
    this.context = context;
    this.clock = new LogClock(context, saved.lastMs);
    this.open = new Map(saved.open ?? []);
    this.done = saved.done;
    this.proc = saved.proc;
    this.look = saved.look;
    this.atMs = saved.atMs;
  }

  state(): DrbdState {
    const state: DrbdState = { open: [...this.open], lastMs: this.clock.lastMs };
    if (this.done !== undefined) state.done = this.done;
    if (this.proc !== undefined) state.proc = this.proc;
    if (this.look !== undefined) state.look = this.look;
    if (this.atMs !== undefined) state.atMs = this.atMs;
    return state;
  }

  line(raw: string, number: number): Finding[] {
    const plain = plainLine(raw, this.clock);
    const { text } = plain;
    if (text.trim() === '') {
      const findings = this.tellDone();
      if (plain.atMs !== undefined) {
        findings.push(...this.tellLook());
        this.atMs = plain.atMs;
      }
      return findings;
    }
    const findings = this.procLine(text);
    if (SPEED.test(text) && (FINISH.test(text) || SYNCED.test(text)))
      findings.push(...this.speed(plain, number));
    if (findings.length > 0 || MINOR.test(text)) return findings;
    const speaker = SPEAKER.exec(text);
    if (speaker === null) return [];
    const [, resource, volume, minor, peer, message] = speaker;
    if (resource === undefined && minor === undefined) return [];
    const device = minor ?? (volume === undefined ? resource! : `${resource}/${volume}`);
    return this.kernelLine({ device, peer, message: message! }, plain, number, text);
  }

  end(): Finding[] {
    const findings = [...this.tellDone(), ...this.tellLook()];
    for (const [device, resync] of this.open)
      findings.push(
        reject(
          resync.line,
          `the log ends while the resync of ${device.split('|')[1]} is under way: not a finished move`,
          resync.text,
        ),
      );
    this.open.clear();
    this.proc = undefined;
    return findings;
  }

  private kernelLine(
    { device, peer, message }: { device: string; peer: string | undefined; message: string },
    plain: PlainLine,
    number: number,
    text: string,
  ): Finding[] {
    const key = [plain.host ?? '', device, peer ?? ''].join('|');
    const equal = EQUAL.exec(message);
    if (equal !== null && this.done?.device === key) {
      this.done.transferredKib = Number(equal[2]);
      this.done.totalKib = Number(equal[3]);
      return this.tellDone();
    }
    const findings = this.tellDone();
    const began = BEGAN.exec(message);
    if (began !== null) {
      if (began[1]!.startsWith('Verify')) return findings;
      const before = this.open.get(key);
      if (before !== undefined)
        findings.push(...this.broken(key, before, plain, number, 'another resync begins'));
      if (this.open.size >= MOST_DEVICES) {
        const [oldest, resync] = this.open.entries().next().value!;
        this.open.delete(oldest);
        findings.push(
          reject(resync.line, `no end of the resync of ${oldest.split('|')[1]} in sight`, resync.text),
        );
      }
      const resync: Resync = {
        side: /Source|SyncS$/.test(began[1]!) ? 'source' : 'target',
        kib: Number(began[2]),
        line: number,
        text: text.slice(0, 400),
      };
      if (plain.host !== undefined) resync.host = plain.host;
      if (plain.atMs !== undefined) resync.startMs = plain.atMs;
      if (plain.uptimeSeconds !== undefined) resync.startUptime = plain.uptimeSeconds;
      this.open.set(key, resync);
      return findings;
    }
    const done = DONE.exec(message);
    if (done !== null) {
      const resync = this.open.get(key) ?? { line: number, text: text.slice(0, 400) };
      this.open.delete(key);
      if (plain.host !== undefined) resync.host = plain.host;
      resync.line = number;
      this.done = {
        device: key,
        resync,
        status: 'completed',
        seconds: Number(done[1]),
        pausedSeconds: Number(done[2] ?? 0),
        rateKib: Number(done[3]),
        ...(plain.atMs === undefined ? {} : { atMs: plain.atMs }),
        ...(plain.uptimeSeconds === undefined ? {} : { uptime: plain.uptimeSeconds }),
      };
      return findings;
    }
    const state = STATE.exec(message) ?? STATE_8_0.exec(message);
    const open = this.open.get(key);
    if (state !== null && open !== undefined) {
      const from = state[1] ?? state[4] ?? '';
      const to = state[2] ?? state[5] ?? '';
      // To Connected (8) or Established (9) comes right after "Resync done"; anything else breaks the resync off.
      if (/Sync[ST]/.test(from) && !/Sync[ST]|^Connected$|^Established$/.test(to))
        findings.push(...this.broken(key, open, plain, number, `the connection became ${to}`));
    }
    return findings;
  }

  private broken(key: string, resync: Resync, plain: PlainLine, number: number, error: string): Finding[] {
    this.open.delete(key);
    resync.line = number;
    this.done = {
      device: key,
      resync,
      status: 'failed',
      seconds: NaN,
      pausedSeconds: 0,
      rateKib: NaN,
      error,
      ...(plain.atMs === undefined ? {} : { atMs: plain.atMs }),
      ...(plain.uptimeSeconds === undefined ? {} : { uptime: plain.uptimeSeconds }),
    };
    return this.tellDone();
  }

  private tellDone(): Finding[] {
    const { done, context } = this;
    this.done = undefined;
    if (done === undefined) return [];
    const { resync } = done;
    const [, device, peer] = done.device.split('|') as [string, string, string];
    let measured = NaN;
    if (done.uptime !== undefined && resync.startUptime !== undefined)
      measured = done.uptime - resync.startUptime;
    else if (done.atMs !== undefined && resync.startMs !== undefined)
      measured = (done.atMs - resync.startMs) / 1000;
    const printed = done.seconds;
    // The stamps are finer than DRBD's whole seconds (counted up to one when shorter); where they disagree, a clock was set.
    const agrees = Number.isNaN(printed) || Math.abs(measured - printed) <= 2 + printed * 0.01;
    const seconds = !Number.isNaN(measured) && measured > 0 && agrees ? measured : printed;
    const startUptime = resync.startUptime ?? (done.uptime === undefined ? undefined : done.uptime - seconds);
    const startMs =
      resync.startMs ??
      (done.atMs !== undefined
        ? done.atMs - seconds * 1000
        : startUptime !== undefined && context.startedAtMs !== undefined
          ? context.startedAtMs + startUptime * 1000 // the user said when the machine booted
          : undefined);
    const kib = resync.kib ?? done.totalKib ?? done.rateKib * Math.max(1, printed - done.pausedSeconds);
    const host = context.node ?? resync.host;
    const other = peer === '' ? undefined : peer;
    const isSource = resync.side === 'source';
    const sourceNode = resync.side === undefined ? undefined : isSource ? host : other;
    const targetNode = resync.side === undefined ? undefined : isSource ? other : host;
    const working = seconds - done.pausedSeconds;
    const sentKib = done.transferredKib ?? kib;
    const mbps = done.status === 'completed' && working > 0 ? (sentKib * 1024 * 8) / working / 1e6 : NaN;
    const finding = finishedMove(
      {
        origin: 'drbd',
        key: [
          host ?? '',
          device,
          startMs === undefined
            ? `uptime-${startUptime === undefined ? '' : roundTo(startUptime, 6)}`
            : Math.round(startMs),
        ],
        instance: context.instance ?? device,
        sourceNode,
        targetNode,
        operation: 'disk_replication',
        startMs,
        durationSeconds: seconds,
        status: done.status,
        fields: {
          disk_mib: mibOf(kib * 1024),
          transferred_mib: done.status === 'completed' ? mibOf(sentKib * 1024) : undefined,
          throughput_mbps: Number.isFinite(mbps) && mbps > 0 ? roundTo(mbps, 3) : undefined,
        },
        labels: {
          device,
          side: resync.side,
          paused_seconds: done.pausedSeconds > 0 ? done.pausedSeconds : undefined,
          error: done.error,
        },
        line: resync.line,
        text: resync.text,
      },
      context,
    );
    return [finding];
  }

  /** What a line of `/proc/drbd` says of the device; a look is over where the next one begins. */
  private procLine(text: string): Finding[] {
    if (/^version: \d/.test(text)) {
      this.proc = undefined;
      return this.tellLook();
    }
    const minor = MINOR.exec(text);
    if (minor === null) return [];
    const number = Number(minor[1]);
    const findings = this.proc !== undefined && number <= this.proc.minor ? this.tellLook() : [];
    this.proc = { minor: number };
    if (/SyncS/.test(minor[2]!)) this.proc.side = 'source';
    else if (/SyncT/.test(minor[2]!)) this.proc.side = 'target';
    return findings;
  }

  private speed(plain: PlainLine, number: number): Finding[] {
    const { text } = plain;
    const { context, proc } = this;
    const speed = SPEED.exec(text)!;
    const mbps = (parseAmount(speed[1]!) * bytesOfUnit(speed[4] === '' ? 'K' : speed[4]!) * 8) / 1e6;
    if (!Number.isFinite(mbps)) return [reject(number, 'no speed that can be read', text)];
    const here = context.node ?? plain.host;
    const source = (proc?.side === 'target' ? undefined : here) ?? context.sourceNode ?? UNKNOWN_SOURCE;
    const target = (proc?.side === 'target' ? here : undefined) ?? context.targetNode ?? UNKNOWN_TARGET;
    const link = streamLink(source, target);
    this.look ??= {
      atMs: plain.atMs ?? this.atMs ?? context.startedAtMs ?? context.nowMs,
      mbps: [],
      line: number,
      text: text.slice(0, 400),
    };
    this.look.line = number;
    const same = this.look.mbps.find(([name]) => name === link);
    if (same === undefined) this.look.mbps.push([link, mbps]);
    else same[1] += mbps;
    return [];
  }

  private tellLook(): Finding[] {
    const { look, context } = this;
    this.look = undefined;
    if (look === undefined || !(Math.abs(look.atMs) < 8.64e15)) return [];
    return look.mbps.map(([link, mbps]) => {
      const value: Record<string, unknown> = {
        at: toIsoTime(Math.round(look.atMs)),
        link,
        throughput_mbps: roundTo(mbps, 3),
      };
      if (context.cluster !== undefined) value['cluster'] = context.cluster;
      return { kind: 'link-sample', value, line: look.line, text: look.text };
    });
  }
}
