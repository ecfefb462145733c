import { reject } from './finished-move.js';
import { LogClock } from './log-times.js';
import { plainLine } from './log-prefix.js';
import type { MigrationReply } from './precopy-series.js';
import { PrecopySeries } from './precopy-series.js';
import { parseAmount, parseBytes, parseMilliseconds } from './sizes.js';
import type { Finding, LogParser, LogSource, SourceContext } from './source.js';
import { USUAL_LINE_BYTES } from './source.js';

/** `virsh domjobinfo`, as it prints a job that runs, or with `--completed` the last one. */
export const libvirtSource: LogSource = {
  name: 'libvirt',
  summary: 'virsh domjobinfo [--completed], of one or many guests, one after another',
  unit: 'line',
  version: 1,
  longestLineBytes: USUAL_LINE_BYTES,
  detect: (head) =>
    /^\s*Job type:\s+\S/m.test(head) ? 0.95 : /\bvirsh\b.*\bdomjobinfo\b/.test(head) ? 0.9 : 0,
  parser: (context, state) => new LibvirtParser(context, state),
};

/** libvirt's words for how a job is → QEMU's. */
const STATUS: ReadonlyMap<string, string> = new Map([
  ['none', 'none'],
  ['bounded', 'active'],
  ['unbounded', 'active'],
  ['completed', 'completed'],
  ['failed', 'failed'],
  ['cancelled', 'cancelled'],
  ['canceled', 'cancelled'],
]);

/** What is printed of one job. */
interface JobState {
  reply?: MigrationReply;
  operation?: string;
  text: string;
  line: number;
}

interface LibvirtState {
  job: JobState;
  series: [string, unknown][];
  guest: string;
  lastMs: number;
  atMs?: number;
}

/** Guests followed at a time; the one first met gives way. More than a host runs. */
const MOST_GUESTS = 1024;
/** Of one printed job so much is kept for the rejects. */
const LONGEST_SHOWN = 2000;

const PAIR = /^\s*([A-Z][A-Za-z/ ]{2,40}):\s+(\S.{0,80}?)\s*$/;
const PROMPT = /\bdomjobinfo\b((?:\s+\S+){1,8})/;

class LibvirtParser implements LogParser {
  /** One series a guest: a loop over guests asks them in turn. */
  private readonly series = new Map<string, PrecopySeries>();
  private guest: string;
  private readonly clock: LogClock;
  private job: JobState;
  /** The last time that stood on a line of its own (`date; virsh domjobinfo …`) or before a line. */
  private atMs: number | undefined;

  constructor(
    private readonly context: SourceContext,
    state?: unknown,
  ) {
    const saved = (state ?? {}) as Partial<LibvirtState>;
    for (const [guest, one] of saved.series ?? []) this.series.set(guest, this.seriesOf(guest, one));
    this.guest = saved.guest ?? '';
    this.clock = new LogClock(context, saved.lastMs);
    this.job = saved.job ?? { text: '', line: 0 };
    this.atMs = saved.atMs;
  }

  line(raw: string, number: number): Finding[] {
    const { text, atMs } = plainLine(raw, this.clock);
    if (atMs !== undefined) {
      const findings = text.trim() === '' ? this.close() : [];
      this.atMs = atMs;
      if (findings.length > 0) return findings;
    }
    const prompt = PROMPT.exec(text);
    if (prompt !== null) {
      const findings = this.close();
      const name = prompt[1]!
        .trim()
        .split(/\s+/)
        .find((word) => !word.startsWith('-'));
      if (name !== undefined) this.guest = name.replace(/^['"]|['"]$/g, '');
      return findings;
    }
    const pair = PAIR.exec(text);
    if (pair === null) return [];
    const key = pair[1]!.toLowerCase();
    const value = pair[2]!;
    if (key === 'job type') {
      const findings = this.close();
      const status = STATUS.get(value.toLowerCase());
      if (status === undefined)
        findings.push(reject(number, `unknown job type: ${value.slice(0, 40)}`, text));
      else {
        const reply: MigrationReply = { status };
        if (this.atMs !== undefined) reply.atMs = this.atMs;
        this.atMs = undefined;
        this.job = { reply, text: text.slice(0, LONGEST_SHOWN), line: number };
      }
      return findings;
    }
    if (this.job.reply !== undefined) {
      this.job.line = number;
      if (this.job.text.length < LONGEST_SHOWN) this.job.text += `\n${text.slice(0, 200)}`;
      if (key === 'operation') this.job.operation = value.toLowerCase();
      else read(key, value, this.job.reply);
    }
    return [];
  }

  end(): Finding[] {
    const findings = this.close();
    for (const series of this.series.values()) findings.push(...series.end());
    return findings;
  }

  state(): LibvirtState {
    const state: LibvirtState = {
      job: this.job,
      series: [...this.series].map(([guest, one]) => [guest, one.state()]),
      guest: this.guest,
      lastMs: this.clock.lastMs,
    };
    if (this.atMs !== undefined) state.atMs = this.atMs;
    return state;
  }

  private close(): Finding[] {
    const { reply, operation, text, line } = this.job;
    this.job = { text: '', line: 0 };
    if (reply === undefined || reply.status === 'none') return [];
    if (operation !== undefined && operation.startsWith('incoming'))
      return [reject(line, "the destination's view of a migration; read the source's", text)];
    if (operation !== undefined && !operation.includes('migration')) return []; // a save, a dump, a backup: no move
    let series = this.series.get(this.guest);
    if (series === undefined) {
      const findings: Finding[] = [];
      if (this.series.size >= MOST_GUESTS) {
        const [oldest, one] = this.series.entries().next().value!;
        this.series.delete(oldest);
        findings.push(...one.end());
      }
      series = this.seriesOf(this.guest);
      this.series.set(this.guest, series);
      return [...findings, ...series.add(reply, line, text)];
    }
    return series.add(reply, line, text);
  }

  private seriesOf(guest: string, state?: unknown): PrecopySeries {
    const series = new PrecopySeries('libvirt', this.context, state);
    if (guest !== '') series.instance(guest);
    return series;
  }
}

/** One `key: value` into the common form. A comma is the decimal point of another language: virsh groups no digits. */
function read(key: string, value: string, reply: MigrationReply): void {
  const bytes = (): number => parseBytes(value, 'decimal');
  const count = (): number => parseAmount(/^[\d.,]+/.exec(value)?.[0] ?? '', 'decimal');
  switch (key) {
    case 'time elapsed':
      return set(reply, 'totalTimeMs', parseMilliseconds(value));
    case 'total downtime':
    case 'downtime':
      return set(reply, 'downtimeMs', parseMilliseconds(value));
    case 'setup time':
      return set(reply, 'setupMs', parseMilliseconds(value));
    case 'data total': // of memory and disks; memory alone, where it is told, follows
    case 'memory total':
      return set(reply, 'ramTotal', bytes());
    case 'data processed':
    case 'memory processed':
      return set(reply, 'ramTransferred', bytes());
    case 'file total':
      return set(reply, 'diskTotal', bytes());
    case 'file processed':
      return set(reply, 'diskTransferred', bytes());
    case 'memory bandwidth':
      return set(reply, 'mbps', (parseBytes(value.replace(/\/s$/, ''), 'decimal') * 8) / 1e6);
    case 'iteration':
      return set(reply, 'dirtySyncs', count());
    case 'dirty rate':
      return set(reply, 'dirtyPagesPerSecond', count());
    case 'page size':
      return set(reply, 'pageSize', bytes());
    case 'postcopy requests':
      if (count() > 0) addCapability(reply, 'postcopy-ram');
      return undefined;
    case 'compression cache':
      return addCapability(reply, 'xbzrle');
    case 'auto converge throttle':
      return addCapability(reply, 'auto-converge');
    default:
      return undefined;
  }
}

type NumberField = Exclude<keyof MigrationReply, 'status' | 'capabilities' | 'error' | 'atMs'>;

function set(reply: MigrationReply, field: NumberField, value: number): void {
  if (Number.isFinite(value)) reply[field] = value;
}

function addCapability(reply: MigrationReply, name: string): void {
  reply.capabilities = [...(reply.capabilities ?? []), name];
}
