import type { MigrationReply } from './precopy-series.js';
import { migrationStatuses } from './precopy-series.js';
import { parseAmount, parseBytes, parseMilliseconds } from './sizes.js';

/** One printed answer, with the text that it was read from. */
export interface PrintedReply {
  reply: MigrationReply;
  line: number;
  text: string;
}

interface HmpState {
  reply?: MigrationReply;
  capabilities?: string[];
  section: string;
  text: string;
  /** The last line of the answer. */
  line: number;
}

/** Of one printed answer so much is kept for the rejects. */
const LONGEST_SHOWN = 2000;

const STATUS_LINE = /^(?:Migration s|S)tatus:\s*([a-z]+(?:-[a-z]+)*)(?:\s*\((.{0,200})\))?\s*$/;
/** Layouts before QEMU 10.1: `key: value unit`. */
const OLD_LINE = /^([a-z][a-z ]{2,40}):\s*([\d.,]{1,24})\s*([A-Za-z/]{0,14})\s*$/;
/** Sections of the layout from QEMU 10.1 on; the lines that follow without one go on with it. */
const SECTION =
  /^(Time|RAM info|Sizes|Bandwidth|Throughput|Transfers|Channels|Page Types|Page Rates|Others|XBZRLE|CPU Throttle|Globals|Dirty-limit[\w ]{0,20}|Postcopy[\w ]{0,40})(?: ?\((\w{1,6}|%)\))?:\s*/i;
const PAIR = /([a-z_]{1,30})=([\d.,]{1,24}?)(?: ?([KMGTPE]?i?B))?(?=[,\s]|$)/gi;

/**
 * Reads the monitor's `info migrate` in both layouts, with a monitor's prompts and echo around it. Kilobytes are 1024
 * bytes. An answer ends where another begins, at a prompt, or with the text.
 */
export class HmpMigrationText {
  private open: HmpState;

  constructor(state?: unknown) {
    this.open = typeof state === 'object' && state !== null ? (state as HmpState) : fresh();
  }

  state(): unknown {
    return this.open;
  }

  /** One line with its number and, where it carries one, its time. */
  line(raw: string, number: number, atMs?: number): PrintedReply[] {
    const text = raw.trim();
    if (text === '') return [];
    const found: PrintedReply[] = [];
    if (text.startsWith('(qemu)')) return this.end();
    const status = STATUS_LINE.exec(text);
    if (status !== null && migrationStatuses.has(status[1]!)) {
      const capabilities = this.open.reply === undefined ? this.open.capabilities : undefined;
      found.push(...this.end());
      const reply: MigrationReply = { status: status[1]! };
      if (atMs !== undefined) reply.atMs = atMs;
      if (status[2] !== undefined) reply.error = status[2];
      if (capabilities !== undefined) reply.capabilities = capabilities;
      this.open = { ...fresh(), reply, text: text.slice(0, LONGEST_SHOWN), line: number };
      return found;
    }
    if (text.startsWith('capabilities:')) {
      found.push(...this.end());
      this.open.capabilities = [...text.matchAll(/([a-z][\w-]{1,40}): on\b/g)]
        .slice(0, 64)
        .map((match) => match[1]!);
      return found;
    }
    const { reply } = this.open;
    if (reply === undefined) return found;
    this.open.line = number;
    if (this.open.text.length < LONGEST_SHOWN) this.open.text += `\n${text.slice(0, 200)}`;
    if (!this.readOld(text, reply)) this.readNew(text, reply);
    return found;
  }

  end(): PrintedReply[] {
    const { reply, text, line } = this.open;
    this.open = fresh();
    return reply === undefined ? [] : [{ reply, text, line }];
  }

  private readOld(text: string, reply: MigrationReply): boolean {
    const match = OLD_LINE.exec(text);
    if (match === null) return false;
    const [, key, amount, unit] = match;
    const milliseconds = (): number => parseMilliseconds(`${amount} ${unit}`, 'thousands');
    const bytes = (): number => parseBytes(`${amount} ${unit}`, 'thousands', 'kbytes');
    const count = (): number => parseAmount(amount!);
    switch (key) {
      case 'total time':
        set(reply, 'totalTimeMs', milliseconds());
        break;
      case 'downtime':
        set(reply, 'downtimeMs', milliseconds());
        break;
      case 'setup':
        set(reply, 'setupMs', milliseconds());
        break;
      case 'transferred ram':
        set(reply, 'ramTransferred', bytes());
        break;
      case 'total ram':
        set(reply, 'ramTotal', bytes());
        break;
      case 'transferred disk':
        set(reply, 'diskTransferred', bytes());
        break;
      case 'total disk':
        set(reply, 'diskTotal', bytes());
        break;
      case 'throughput':
        set(reply, 'mbps', count());
        break;
      case 'dirty sync count':
        set(reply, 'dirtySyncs', count());
        break;
      case 'dirty pages rate':
        set(reply, 'dirtyPagesPerSecond', count());
        break;
      case 'page size':
        set(reply, 'pageSize', bytes());
        break;
      case 'multifd bytes':
        if (bytes() > 0) addCapability(reply, 'multifd');
        break;
      case 'postcopy request count':
      case 'postcopy ram':
        if (count() > 0) addCapability(reply, 'postcopy-ram');
        break;
      case 'xbzrle transferred':
        addCapability(reply, 'xbzrle');
        break;
      case 'cpu throttle percentage':
        addCapability(reply, 'auto-converge');
        break;
      default:
        return /^(?:remaining|expected|duplicate|skipped|normal|cache|xbzrle|precopy|downtime|pages)/.test(
          key!,
        );
    }
    return true;
  }

  private readNew(text: string, reply: MigrationReply): void {
    const section = SECTION.exec(text);
    let values = text;
    if (section !== null) {
      this.open.section = `${section[1]!.toLowerCase()}${/^kb$/i.test(section[2] ?? '') ? ' kb' : ''}`;
      values = text.slice(section[0].length);
      const bare = /^([\d.,]{1,24})\s*%?$/.exec(values);
      if (bare !== null) {
        if (/^(throughput|bandwidth)/.test(this.open.section)) set(reply, 'mbps', parseAmount(bare[1]!));
        else if (this.open.section.startsWith('cpu throttle')) addCapability(reply, 'auto-converge');
      }
      if (this.open.section.startsWith('xbzrle')) addCapability(reply, 'xbzrle');
    }
    const inTime = this.open.section.startsWith('time');
    const unit = this.open.section.endsWith('kb') ? 'KB' : '';
    for (const [, key, amount, given] of values.matchAll(PAIR)) {
      const bytes = parseBytes(`${amount} ${given ?? unit}`);
      const count = parseAmount(amount!);
      if (inTime) {
        if (key === 'total') set(reply, 'totalTimeMs', count);
        else if (key === 'setup') set(reply, 'setupMs', count);
        else if (key === 'down') set(reply, 'downtimeMs', count);
      } else if (key === 'total') set(reply, 'ramTotal', bytes);
      else if (key === 'transferred' && !this.open.section.startsWith('xbzrle'))
        set(reply, 'ramTransferred', bytes);
      else if (key === 'pagesize' || key === 'psize') set(reply, 'pageSize', bytes);
      else if (key === 'multifd' && bytes > 0) addCapability(reply, 'multifd');
      else if (key === 'postcopy' && bytes > 0) addCapability(reply, 'postcopy-ram');
      else if (key === 'dirty_syncs') set(reply, 'dirtySyncs', count);
      else if (key === 'dirty') set(reply, 'dirtyPagesPerSecond', count);
    }
  }
}

const fresh = (): HmpState => ({ section: '', text: '', line: 0 });

type NumberField =
  | 'totalTimeMs'
  | 'setupMs'
  | 'downtimeMs'
  | 'ramTotal'
  | 'ramTransferred'
  | 'diskTotal'
  | 'diskTransferred'
  | 'mbps'
  | 'dirtySyncs'
  | 'dirtyPagesPerSecond'
  | 'pageSize';

function set(reply: MigrationReply, field: NumberField, value: number): void {
  if (Number.isFinite(value)) reply[field] = value;
}

function addCapability(reply: MigrationReply, name: string): void {
  reply.capabilities ??= [];
  if (!reply.capabilities.includes(name)) reply.capabilities.push(name);
}
