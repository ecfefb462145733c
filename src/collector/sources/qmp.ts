import { LogClock } from './log-times.js';
import { plainLine } from './log-prefix.js';
import { ObjectScanner, parseLooseJson } from './loose-json.js';
import { reject } from './finished-move.js';
import { HmpMigrationText } from './hmp-migration-text.js';
import { migrationStatuses, PrecopySeries } from './precopy-series.js';
import type { MigrationReply, MigrationSettings } from './precopy-series.js';
import type { Finding, LogParser, LogSource, SourceContext } from './source.js';
import { USUAL_LINE_BYTES } from './source.js';

/** Objects are looked into so deep for a migration's answer: pollers wrap it two or three times. */
const DEEPEST_WRAP = 8;

/** QEMU's `query-migrate` answers and the monitor's `info migrate` text. */
export const qmpSource: LogSource = {
  name: 'qmp',
  summary: "QEMU's query-migrate answers (QMP) and info migrate text (HMP), QEMU 1.2 to 11",
  unit: 'line',
  version: 1,
  longestLineBytes: 4 * USUAL_LINE_BYTES,
  detect,
  parser: (context, state) => new QmpParser(context, state),
};

function detect(head: string, fileName: string): number {
  if (/"execute"\s*:\s*"query-migrate"|\binfo migrate\b/.test(head)) return 0.95;
  if (/^\s*(Migration s|S)tatus:\s*[a-z-]+/m.test(head) && /total time:|Time \(ms\):/.test(head)) return 0.95;
  if (/["']dirty-sync-count["']\s*:/.test(head) || /["']total-time["']\s*:/.test(head)) return 0.9;
  if (/["']event["']\s*:\s*["']MIGRATION/.test(head)) return 0.8;
  if (
    /["']status["']\s*:\s*["'](completed|active|setup|cancelled|failed)["']/.test(head) &&
    /["']return["']|["']ram["']/.test(head)
  )
    return 0.7;
  if (/^\s*\{\s*["']status["']\s*:\s*["'][a-z-]+["']\s*\}/.test(head)) return 0.4;
  return /\.qmp$/i.test(fileName) ? 0.5 : 0;
}

interface QmpState {
  scanner: unknown;
  hmp: unknown;
  series: unknown;
  lastMs: number;
}

class QmpParser implements LogParser {
  private readonly scanner: ObjectScanner;
  private readonly hmp: HmpMigrationText;
  private readonly series: PrecopySeries;
  private readonly clock: LogClock;

  constructor(context: SourceContext, state?: unknown) {
    const saved = (state ?? {}) as Partial<QmpState>;
    this.scanner = new ObjectScanner(saved.scanner);
    this.hmp = new HmpMigrationText(saved.hmp);
    this.series = new PrecopySeries('qemu', context, saved.series);
    this.clock = new LogClock(context, saved.lastMs);
  }

  line(text: string, number: number): Finding[] {
    const findings: Finding[] = [];
    for (const found of this.scanner.line(text, number)) {
      if (found.kind === 'text') {
        const plain = plainLine(found.text, this.clock);
        for (const reply of this.hmp.line(plain.text, number, plain.atMs))
          findings.push(...this.answer(reply.reply, reply.line, reply.text));
        continue;
      }
      for (const reply of this.hmp.end()) findings.push(...this.answer(reply.reply, reply.line, reply.text));
      if (found.kind === 'broken') findings.push(...this.broken(found.text, number, found.reason));
      else {
        const value = parseLooseJson(found.text);
        const atMs = plainLine(found.before, this.clock).atMs;
        if (value === undefined) findings.push(...this.broken(found.text, number, 'not JSON, nor nearly'));
        else this.walk(value, atMs, 0, number, found.text, findings);
      }
    }
    return findings;
  }

  end(): Finding[] {
    const findings: Finding[] = [];
    for (const found of this.scanner.end())
      if (found.kind === 'broken') findings.push(...this.broken(found.text, found.startLine, found.reason));
    for (const reply of this.hmp.end()) findings.push(...this.answer(reply.reply, reply.line, reply.text));
    findings.push(...this.series.end());
    return findings;
  }

  state(): QmpState {
    return {
      scanner: this.scanner.state(),
      hmp: this.hmp.state(),
      series: this.series.state(),
      lastMs: this.clock.lastMs,
    };
  }

  private answer(reply: MigrationReply, line: number, text: string): Finding[] {
    return this.series.add(reply, line, text);
  }

  /** A broken object is told only when it looks like an answer about a migration: other text is none of ours. */
  private broken(text: string, line: number, reason: string): Finding[] {
    return /total-time|dirty-sync-count|['"]status['"]|['"]ram['"]/.test(text)
      ? [reject(line, reason, text)]
      : [];
  }

  private walk(
    value: unknown,
    atMs: number | undefined,
    depth: number,
    line: number,
    text: string,
    findings: Finding[],
  ): void {
    if (depth > DEEPEST_WRAP || typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) {
      const capabilities = capabilityList(value);
      if (capabilities !== undefined) this.series.settings({ capabilities });
      else for (const item of value) this.walk(item, atMs, depth + 1, line, text, findings);
      return;
    }
    const object = value as Record<string, unknown>;
    const at = momentOf(object) ?? atMs;
    if (object['event'] === 'MIGRATION') {
      this.event(object, at, line, text, findings);
      return;
    }
    if (typeof object['execute'] === 'string') {
      this.command(object['execute'], object['arguments']);
      return;
    }
    const name = object['instance'] ?? object['vm'] ?? object['domain'];
    if (typeof name === 'string' && name !== '') this.series.instance(name);
    if (typeof object['status'] === 'string' && migrationStatuses.has(object['status'])) {
      findings.push(...this.answer(replyOf(object, at), line, text));
      return;
    }
    if ('downtime-limit' in object || 'max-bandwidth' in object) {
      this.series.settings(settingsOf(object));
      return;
    }
    for (const item of Object.values(object)) this.walk(item, at, depth + 1, line, text, findings);
  }

  private event(
    object: Record<string, unknown>,
    at: number | undefined,
    line: number,
    text: string,
    findings: Finding[],
  ): void {
    const status = (object['data'] as Record<string, unknown> | undefined)?.['status'];
    if (at === undefined || typeof status !== 'string') return;
    if (status === 'setup') this.series.begins(at);
    // A broken-off migration answers no more: its event is the last that is heard. A completed one is asked for figures.
    else if (status === 'failed' || status === 'cancelled')
      findings.push(...this.answer({ status, atMs: at }, line, text));
  }

  private command(name: string, given: unknown): void {
    const values = (typeof given === 'object' && given !== null ? given : {}) as Record<string, unknown>;
    if (name === 'migrate-set-parameters') this.series.settings(settingsOf(values));
    else if (name === 'migrate-set-capabilities' && Array.isArray(values['capabilities'])) {
      const capabilities = capabilityList(values['capabilities']);
      if (capabilities !== undefined) this.series.settings({ capabilities });
    } else if (name === 'migrate_set_speed')
      this.series.settings(settingsOf({ 'max-bandwidth': values['value'] }));
    else if (name === 'migrate_set_downtime') {
      const seconds = numberOf(values['value']);
      if (seconds !== undefined) this.series.settings({ downtimeLimitMs: seconds * 1000 });
    }
  }
}

/** One object of MigrationInfo → the common form. Fields that are missing, renamed or not numbers are left out. */
function replyOf(info: Record<string, unknown>, atMs: number | undefined): MigrationReply {
  const ram = objectOf(info['ram']);
  const disk = objectOf(info['disk']);
  const capabilities: string[] = [];
  if ((numberOf(ram['multifd-bytes']) ?? 0) > 0) capabilities.push('multifd');
  const usedPostcopy =
    (numberOf(ram['postcopy-requests']) ?? 0) > 0 || (numberOf(ram['postcopy-bytes']) ?? 0) > 0;
  if (usedPostcopy || String(info['status']).startsWith('postcopy')) capabilities.push('postcopy-ram');
  if (info['xbzrle-cache'] !== undefined) capabilities.push('xbzrle');
  if (info['compression'] !== undefined) capabilities.push('compress');
  if (info['cpu-throttle-percentage'] !== undefined) capabilities.push('auto-converge');
  const reply: MigrationReply = { status: String(info['status']) };
  put(reply, 'totalTimeMs', numberOf(info['total-time']));
  put(reply, 'setupMs', numberOf(info['setup-time']));
  put(reply, 'downtimeMs', numberOf(info['downtime']));
  put(reply, 'ramTotal', numberOf(ram['total']));
  put(reply, 'ramTransferred', numberOf(ram['transferred']));
  put(reply, 'diskTotal', numberOf(disk['total']));
  put(reply, 'diskTransferred', numberOf(disk['transferred']));
  put(reply, 'mbps', numberOf(ram['mbps']));
  put(reply, 'dirtySyncs', numberOf(ram['dirty-sync-count']));
  put(reply, 'dirtyPagesPerSecond', numberOf(ram['dirty-pages-rate']));
  put(reply, 'pageSize', numberOf(ram['page-size']));
  put(reply, 'atMs', atMs);
  if (typeof info['error-desc'] === 'string') reply.error = info['error-desc'];
  if (capabilities.length > 0) reply.capabilities = capabilities;
  return reply;
}

/** Sets a field when its value is known: absent, not undefined. */
export function put<K extends keyof MigrationReply>(
  reply: MigrationReply,
  key: K,
  value: MigrationReply[K] | undefined,
): void {
  if (value !== undefined) reply[key] = value;
}

function settingsOf(values: Record<string, unknown>): MigrationSettings {
  const settings: MigrationSettings = {};
  const bandwidth = numberOf(values['max-bandwidth']);
  const downtime = numberOf(values['downtime-limit']);
  const channels = numberOf(values['multifd-channels'] ?? values['x-multifd-channels']);
  if (bandwidth !== undefined) settings.maxBandwidthBytes = bandwidth;
  if (downtime !== undefined) settings.downtimeLimitMs = downtime;
  if (channels !== undefined && Number.isInteger(channels)) settings.multifdChannels = channels;
  return settings;
}

/** `[{capability, state}]` → the names of those that are on; undefined for another list. */
function capabilityList(list: readonly unknown[]): string[] | undefined {
  if (list.length === 0) return undefined;
  const names: string[] = [];
  for (const item of list) {
    const { capability, state } = objectOf(item);
    if (typeof capability !== 'string' || typeof state !== 'boolean') return undefined;
    if (state) names.push(capability);
  }
  return names;
}

/** A moment beside an answer: QMP's `{seconds, microseconds}`, epoch seconds or milliseconds, or RFC 3339. */
function momentOf(object: Record<string, unknown>): number | undefined {
  for (const key of ['timestamp', 'time', 'ts', 'at', '@timestamp']) {
    const value = object[key];
    if (typeof value === 'object' && value !== null) {
      const seconds = numberOf((value as Record<string, unknown>)['seconds']);
      const micros = numberOf((value as Record<string, unknown>)['microseconds']) ?? 0;
      if (seconds !== undefined && isThisCentury(seconds * 1000)) return seconds * 1000 + micros / 1000;
    } else if (typeof value === 'number') {
      if (isThisCentury(value)) return value;
      if (isThisCentury(value * 1000)) return value * 1000;
    } else if (typeof value === 'string') {
      const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(value) ? Date.parse(value) : NaN;
      if (isThisCentury(ms)) return ms;
    }
  }
  return undefined;
}

const CENTURY_FROM = Date.UTC(2000, 0, 1);
const CENTURY_TO = Date.UTC(2100, 0, 1);
const isThisCentury = (ms: number): boolean => ms >= CENTURY_FROM && ms < CENTURY_TO;

const numberOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;

const objectOf = (value: unknown): Record<string, unknown> =>
  (typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}) as Record<
    string,
    unknown
  >;
